"""The cheapest common shift: properties of the objective that fits have to reach."""

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from reference_coupled import (
    costs,
    objective,
    scaled,
    shifted_transport,
    transport_plan,
    transport_value,
)

from skgmmot.transport import mw2_distance

regimes = pytest.mark.parametrize("reg_m", [None, (1.0, 1.0), (0.3, 2.0)])
REG = 1.0


def pair(seed, k0=3, k1=2, d=2):
    rng = np.random.default_rng(seed)
    return (strategies.random_mixture(rng, k, d) for k in (k0, k1))


def shifted(mixture, by):
    return mixture[0], mixture[1] + by, mixture[2]


@regimes
@pytest.mark.parametrize("seed", range(2))
def test_a_shift_of_either_side_changes_no_transport_cost(seed, reg_m):
    source, target = pair(seed)
    value, shift, plan = shifted_transport(source, target, REG, reg_m)
    by = np.array([30.0, -20.0])
    for ends, sign in (
        ((shifted(source, by), target), -1.0),
        ((source, shifted(target, by)), 1.0),
    ):
        other, moved, after = shifted_transport(*ends, REG, reg_m)
        assert other == pytest.approx(value, abs=1e-9)
        np.testing.assert_allclose(moved, shift + sign * by, atol=1e-4)
        np.testing.assert_allclose(after, plan, atol=1e-5)


@regimes
def test_no_other_shift_is_cheaper(reg_m):
    source, target = pair(5)
    value, shift, _ = shifted_transport(source, target, REG, reg_m)
    rng = np.random.default_rng(0)
    for by in rng.standard_normal((8, 2)) * rng.choice([0.1, 1.0, 3.0], (8, 1)):
        table = costs(shifted(source, shift + by), target)
        assert fixed_value(table, source[0], target[0], reg_m) >= value - 1e-9


def fixed_value(table, a, b, reg_m):
    plan = transport_plan(table, a, b, REG, reg_m)
    return transport_value(plan, table, a, b, REG, reg_m)


@given(strategies.mixture_pairs(max_components=3, max_dimension=3))
@settings(max_examples=15, deadline=None)
def test_balanced_the_best_shift_is_the_difference_of_the_means(ends):
    source, target = ends
    value, shift, _ = shifted_transport(source, target)
    difference = target[0] @ target[1] - source[0] @ source[1]
    np.testing.assert_allclose(shift, difference, atol=1e-9)
    squared = mw2_distance(shifted(source, difference), target, squared=True)
    assert value == pytest.approx(squared, rel=1e-6, abs=1e-7)
    without = mw2_distance(source, target, squared=True)
    assert value == pytest.approx(without - difference @ difference, rel=1e-6, abs=1e-6)


def test_a_population_that_grew_is_no_shift():
    ones = 0.25 * np.array([np.eye(2)] * 3)
    means = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    source = np.array([0.6, 0.2, 0.2]), means, ones
    target = np.array([0.2, 0.6, 0.2]), means + [30.0, -20.0], ones
    _, shift, plan = shifted_transport(source, target, 0.1, (1.0, 1.0))
    np.testing.assert_allclose(shift, [30.0, -20.0], atol=0.02)
    growth = plan.sum(1) / source[0] * target[0] / plan.sum(0)
    np.testing.assert_allclose(growth, [1 / 3, 3.0, 1.0], rtol=0.25)


def test_the_objective_knows_neither_shift_nor_unit():
    source, target = pair(7)
    rng = np.random.default_rng(1)
    X0, X1 = rng.standard_normal((2, 20, 2))
    arguments = {"transport_weight": 0.5, "reg": REG, "align": "shift"}
    scale, factors = np.array([2.0, 3.0]), np.array([10.0, 0.01])
    before = objective(X0, X1, source, target, scale=scale, **arguments)

    def changed(mixture):
        return scaled(shifted(mixture, 4.0), factors**-2.0)

    after = objective(
        (X0 + 4.0) * factors,
        X1 * factors,
        changed(source),
        scaled(target, factors**-2.0),
        scale=scale * factors**2,
        **arguments,
    )
    jacobian = 2.0 * np.log(factors).sum()
    assert after + jacobian == pytest.approx(before, abs=1e-8)
