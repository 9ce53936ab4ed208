"""The penalised M-step of the weights, and what a component is worth."""

import numpy as np
import pytest
import reference_mixture as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import random_mixture

from skgmmot._blocks import blocks_of
from skgmmot.kernels import Moments
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture._em import Parameters, Problem, evaluate
from skgmmot.mixture._penalty import (
    PENALTIES,
    NoPenalty,
    RootPenalty,
    Setting,
    penalty_of,
)

seeds = st.integers(0, 2**32 - 1)
counts = st.integers(1, 12)
prices = st.floats(1e-6, 10.0)


def draw(seed, n_components, least=0.05):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(n_components)) + least
    return rng.dirichlet(np.ones(n_components)), weights / weights.sum()


def settled(shares, weights, price):
    for _ in range(400):
        updated = RootPenalty(price).update_weights(shares, weights)
        if np.abs(updated - weights).max() < 1e-15:
            break
        weights = updated
    return updated


def test_root_penalty_is_the_sum_of_roots():
    weights = np.array([0.25, 0.0, 0.75])
    expected = 0.3 * (0.5 + np.sqrt(0.75))
    assert RootPenalty(0.3).value(weights) == pytest.approx(expected)


def test_without_a_penalty_the_weights_are_the_shares():
    shares, weights = draw(0, 5)
    penalty = NoPenalty()
    assert penalty.value(weights) == 0.0
    np.testing.assert_array_equal(penalty.update_weights(shares, weights), shares)


def all_penalties():
    """One penalty of every class in the registry."""
    setting = Setting(3.0, 10, 2, 200.0, TYPES["full"])
    return [cls.of(setting) for cls in PENALTIES.values()]


@pytest.mark.parametrize("penalty", all_penalties(), ids=lambda p: p.name)
@pytest.mark.parametrize("seed", range(3))
def test_what_a_penalty_says_of_itself_agrees(penalty, seed):
    weights = draw(seed, 5)[1]
    value, step = penalty.value(weights), 1e-6
    assert penalty.terms(weights).sum() == pytest.approx(value, abs=1e-14)
    moments = Moments(0.0, 2.0, None, None, None, np.arange(-5.0, 0.0))
    gains = penalty.removal_gains(moments, weights)
    for j in range(5):
        moved = np.array([weights, weights])
        moved[:, j] *= np.exp([-step, step])
        slope = (penalty.value(moved[1]) - penalty.value(moved[0])) / (2.0 * step)
        assert penalty.gradient(weights)[j] == pytest.approx(slope, abs=1e-9)
        rest = np.delete(weights, j)
        freed = value - penalty.value(rest / rest.sum())
        assert penalty.freed(weights)[j] == pytest.approx(freed, abs=1e-13)
        gain = 0.5 * moments.deletion[j] - np.log(rest.sum()) + freed
        assert gains[j] == pytest.approx(gain, abs=1e-13)


def test_candidates_come_by_what_they_lose_beside_their_own_penalty():
    weights = np.array([0.04, 0.36, 0.6])
    moments = Moments(0.0, 10.0, None, None, None, np.array([-3.0, -4.0, -9.0]))
    found = NoPenalty().removal_order(moments, weights)
    np.testing.assert_array_equal(found, [0, 1, 2])  # losses of .3, .4, .9
    found = RootPenalty(0.5).removal_order(moments, weights)  # less .1, .3, .39
    np.testing.assert_array_equal(found, [1, 0, 2])


def test_sparsity_chooses_a_penalty():
    setting = Setting(3.0, 10, 2, 200.0, TYPES["full"])
    root = penalty_of(3.0, setting)
    assert isinstance(root, RootPenalty)
    assert root.price == pytest.approx(0.3)
    assert type(penalty_of(0.0, setting)) is NoPenalty
    assert type(penalty_of("none", setting)) is NoPenalty


@settings(deadline=None, max_examples=200)
@given(seeds, counts, prices)
def test_weights_are_a_distribution_and_never_lower_the_objective(seed, n, price):
    shares, weights = draw(seed, n)
    updated = RootPenalty(price).update_weights(shares, weights)
    assert (updated >= 0.0).all()
    assert updated.sum() == pytest.approx(1.0, abs=1e-14)
    before = reference.expected_objective(shares, weights, price)
    after = reference.expected_objective(shares, updated, price)
    assert after >= before - 1e-12 * max(1.0, abs(before))


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(2, 8), st.floats(1e-4, 0.5))
def test_weights_settle_where_the_conditions_of_the_optimum_hold(seed, n, price):
    # For w_j > 0: r_j / w_j - price / (2 sqrt(w_j)) is the same multiplier for all j.
    shares, weights = draw(seed, n)
    weights = settled(shares, weights, price)
    alive = weights > 1e-6
    slopes = shares / weights - price / (2.0 * np.sqrt(weights))
    np.testing.assert_allclose(slopes[alive], slopes[alive][0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("price", [1e-3, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_weights_equal_those_of_a_general_root_finder(seed, price):
    shares, weights = draw(seed, 5)
    expected = reference.stationary_weights(shares, weights, price)
    found = settled(shares, weights, price)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_a_weight_of_zero_stays_zero():
    shares = np.array([0.5, 0.5, 1e-17])
    updated = RootPenalty(0.1).update_weights(shares, np.array([0.5, 0.5, 0.0]))
    np.testing.assert_allclose(updated, [0.5, 0.5, 0.0])


def test_one_component_keeps_the_weight_one():
    np.testing.assert_array_equal(
        RootPenalty(5.0).update_weights(np.ones(1), np.ones(1)), [1.0]
    )


@pytest.mark.parametrize("price", [1e3, 1e8])
def test_a_huge_price_is_survived(price):
    shares, weights = draw(3, 6)
    updated = RootPenalty(price).update_weights(shares, weights)
    assert np.isfinite(updated).all()
    assert updated.sum() == pytest.approx(1.0)
    tiny = np.array([1.0 - 1e-300, 1e-300])
    assert np.isfinite(RootPenalty(price).update_weights(tiny, tiny)).all()


@pytest.mark.parametrize("price", [0.0, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_deletion_gain_is_the_objective_without_the_component(seed, price):
    rng = np.random.default_rng(seed)
    mixture = random_mixture(rng, 4, 2)
    X = 2.0 * rng.standard_normal((120, 2))
    rows = rng.uniform(0.5, 2.0, len(X))
    kind = TYPES["full"]
    factors = kind.precisions_cholesky(mixture[2])
    penalty = RootPenalty(price) if price else NoPenalty()
    problem = Problem(blocks_of(X, rows), kind, penalty, prune=True, n_offered=4)
    state = evaluate(problem, Parameters(*mixture, factors))
    expected = reference.objective(X, mixture, price, rows)
    assert state.objective == pytest.approx(expected, rel=1e-11)
    gains = penalty.removal_gains(state.moments, mixture[0])
    for k in range(4):
        rest = reference.without(mixture, k)
        change = reference.objective(X, rest, price, rows) - expected
        assert gains[k] == pytest.approx(change, rel=1e-9, abs=1e-11)
