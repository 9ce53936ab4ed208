"""Promises of plans, flows and barycentres that once could break unnoticed."""

import numpy as np
import pytest

from skgmmot.transport import component_costs, mw2_barycenter, mw2_flow, mw2_plan
from skgmmot.transport._plan import solve_plan


@pytest.mark.parametrize("seed", range(10))
def test_entropic_plan_where_one_side_is_barely_held(seed):
    # The duals of the exact plan are no start here: they end at a wrong plan.
    rng = np.random.default_rng(seed)
    costs, reg, reg_m = rng.random((5, 8)), 5e-6, 0.01
    a, b = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(8))
    plan = solve_plan(costs, a, b, reg=reg, reg_m=(None, reg_m))
    f, g = plan.potentials
    np.testing.assert_allclose(plan.coupling.sum(axis=1), a, atol=1e-8)
    wanted = b * np.exp(-g / reg_m)
    np.testing.assert_allclose(plan.coupling.sum(axis=0), wanted, atol=1e-8)
    gibbs = a[:, None] * b * np.exp((f[:, None] + g - costs) / reg)
    np.testing.assert_allclose(plan.coupling, gibbs, atol=1e-8)


def line(weights, means):
    """A mixture of unit variances on the line."""
    return weights, np.array(means)[:, None], np.ones((len(means), 1, 1))


def test_weights_end_at_a_kink_that_the_joint_step_would_jump():
    # Half of the mass belongs to each end. Moving means hide that a full step of the
    # weights goes too far: the loss falls all the same.
    source, target = line([0.4, 0.6], [0.0, 10.0]), line([0.5, 0.5], [2.0, 12.0])
    path = mw2_flow(source, target, n_steps=1, step_size=(0.5, 0.2, 0.0))
    np.testing.assert_allclose(path.mixtures[1].weights, [0.5, 0.5], atol=1e-12)
    assert path.losses[1] == pytest.approx((2.0 * (1.0 - 2.0 * 0.2)) ** 2)


def test_steps_away_from_a_kink_follow_a_potential_of_the_plan():
    # The logarithms of the weights fall by step f / length. At a kink f may be any
    # combination of the potentials of both sides, but none beyond: f is optimal in the
    # dual programme. These weights meet a kink and leave it to the other side.
    source = line([0.69, 0.16, 0.15], [-8.1, -3.7, 1.0])
    target = line([0.47, 0.02, 0.51], [-2.9, 0.3, 4.8])
    step, n_steps = 0.2, 33
    path = mw2_flow(source, target, n_steps=n_steps, step_size=(step, 0.02, 0.0))
    length = source[0] @ component_costs(source, target) @ target[0]
    for k in range(27, n_steps):
        before, after = path.mixtures[k].weights, path.mixtures[k + 1].weights
        costs = component_costs(path.mixtures[k], target)
        values = []
        # Near the kink the step is straight: relative changes in place of logarithms.
        for moves in (np.log(before / after), 1.0 - after / before):
            f = length / step * moves
            g = (costs - f[:, None]).min(axis=0)
            values.append(f @ before + g @ target[0])
        assert max(values) == pytest.approx(path.losses[k], rel=1e-8)


@pytest.mark.parametrize("max_iter", [0, 1, 200])
def test_descent_starts_from_no_more_components_than_there_are(max_iter):
    two = line([0.25, 0.75], [0.0, 3.0])
    flipped = line([0.75, 0.25], [3.0, 0.0])
    found = mw2_barycenter(
        [two, flipped], n_components=5, method="fixed_point", max_iter=max_iter,
        random_state=0,
    )  # fmt: skip
    order = np.argsort(found.means[:, 0])
    np.testing.assert_allclose(found.means[order, 0], [0.0, 3.0], atol=1e-12)
    np.testing.assert_allclose(found.weights[order], [0.25, 0.75], atol=1e-12)


@pytest.mark.parametrize("kind", [{"reg_m": 3.0}, {"reg": 0.5, "reg_m": (1.0, None)}])
def test_one_step_of_an_unbalanced_flow_follows_its_formula(kind):
    # Rows of the plan do not sum to the weights; the step divides by the weights.
    source, target = line([0.3, 0.7], [0.0, 4.0]), line([0.6, 0.4], [1.0, 2.0])
    plan = mw2_plan(source, target, **kind)
    assert np.abs(plan.coupling.sum(axis=1) - source[0]).max() > 0.01
    after = mw2_flow(source, target, n_steps=1, step_size=(0.0, 0.05, 0.0), **kind)
    gaps = source[1] - target[1].T
    moves = 2.0 / np.array(source[0]) * (plan.coupling * gaps).sum(axis=1)
    means = source[1][:, 0] - 0.05 * moves
    np.testing.assert_allclose(after.mixtures[1].means[:, 0], means, rtol=1e-8)
