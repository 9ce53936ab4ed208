"""What a Newton step of the coupled M-step says of its fall."""

import numpy as np
import pytest

from skgmmot.mixture._coupled_newton import (
    Stack,
    Targets,
    compare,
    coupling_matrix,
    look,
    newton_step,
)


def random_stack(rng, blocks, k, p):
    factors = np.linalg.svd(rng.standard_normal((blocks, k, p, p)))[0]
    factors = factors * np.exp(rng.uniform(-0.5, 0.5, (blocks, k, 1, p)))
    factors = np.abs(factors) if p == 1 else factors
    return Stack(factors, rng.standard_normal((blocks, k, p)))


@pytest.mark.parametrize(("blocks", "p"), [(1, 3), (4, 1)])
def test_a_newton_step_reports_by_how_much_the_sum_fell(blocks, p):
    rng = np.random.default_rng(3)
    stack, far = (random_stack(rng, blocks, 5, p) for _ in range(2))
    scatters = far.factors @ np.swapaxes(far.factors, -1, -2)
    targets = Targets(np.full(5, 0.4), far.means, scatters, np.full(5, True))
    plan = rng.random((2, 3))
    falls = []
    for _ in range(12):
        turns, costs = compare(stack, 2)
        view = look(targets, stack)
        before = view.loss + np.sum(plan * costs)
        stack, fall, expected = newton_step(
            targets, stack, view, coupling_matrix(plan, turns)
        )
        after = look(targets, stack).loss + np.sum(plan * compare(stack, 2)[1])
        # Better rotations lower it further; a single feature has none.
        assert before - after >= fall - 1e-12
        if p == 1:
            assert before - after == pytest.approx(fall, rel=1e-6, abs=1e-12)
        falls.append((fall, expected))
    # Near the optimum the quadratic model is exact.
    near = [pair for pair in falls if 1e-10 < pair[0] < 1e-3]
    assert near
    for fall, expected in near:
        assert expected == pytest.approx(fall, rel=0.05)
