"""What a Newton step of the coupled M-step says of its fall."""

import numpy as np
import pytest

from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture.coupled._links import (
    LinkTerm,
    compare,
    coupling_matrix,
    link_frames,
)
from skgmmot.mixture.coupled._newton import newton_step, whiten_moments
from skgmmot.mixture.coupled._records import (
    AffineMaps,
    CoupledProblem,
    Link,
    StackedMoments,
)


def random_maps(rng, blocks, k, p):
    factors = np.linalg.svd(rng.standard_normal((blocks, k, p, p)))[0]
    factors = factors * np.exp(rng.uniform(-0.5, 0.5, (blocks, k, 1, p)))
    factors = np.abs(factors) if p == 1 else factors
    return AffineMaps(factors, rng.standard_normal((blocks, k, p)))


@pytest.mark.parametrize(("blocks", "p", "kind"), [(1, 3, "full"), (4, 1, "diag")])
def test_a_newton_step_reports_by_how_much_the_sum_fell(blocks, p, kind):
    rng = np.random.default_rng(3)
    maps, far = (random_maps(rng, blocks, 5, p) for _ in range(2))
    centres = np.zeros((2, blocks * p))
    problem = CoupledProblem(TYPES[kind], (Link(0, 1),), 1.0)
    (frame,) = link_frames(problem, [slice(0, 2), slice(2, 5)], centres)
    scatters = far.factors @ np.swapaxes(far.factors, -1, -2)
    moments = StackedMoments(
        np.full(5, 0.4), far.means, scatters, np.full(5, True), centres
    )
    plan = rng.random((2, 3))

    def loss(at):
        return whiten_moments(moments, at).loss + np.sum(
            plan * compare(at, frame).costs()
        )

    falls = []
    for _ in range(12):
        rotations = compare(maps, frame).rotations
        term = LinkTerm(frame, coupling_matrix(plan, rotations))
        before = loss(maps)
        maps, fall, expected = newton_step(
            moments, maps, whiten_moments(moments, maps), [term]
        )
        fallen = before - loss(maps)
        # Better rotations lower it further; a single feature has none.
        assert fallen >= fall - 1e-12
        if p == 1:
            assert fallen == pytest.approx(fall, rel=1e-6, abs=1e-12)
        falls.append((fall, expected))
    # Near the optimum the quadratic model is exact.
    near = [pair for pair in falls if 1e-10 < pair[0] < 1e-3]
    assert near
    for fall, expected in near:
        assert expected == pytest.approx(fall, rel=0.05)
