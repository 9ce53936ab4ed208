"""Shrunk covariances and whole-domain maps from moments, against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import linear_map
from sklearn.covariance import LedoitWolf
from strategies import seeds

from skgmmot.linalg._shrinkage import (
    DomainMoments,
    common_units,
    ledoit_wolf,
    linear_alignment,
    scale_alignment,
)


def moments_of(X, units=1.0):
    """What `DomainMoments` says of rows, by its definition."""
    centred = X - X.mean(axis=0)
    fourth = np.square(np.square(centred / units).sum(axis=1)).sum()
    return DomainMoments(X.mean(axis=0), centred.T @ centred / len(X), len(X), fourth)


def rows(seed, n, d):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 5.0


def aligned(X0, X1):
    """The alignment of two samples, in their common units."""
    units = common_units(X0.var(axis=0), X1.var(axis=0))
    return linear_alignment(moments_of(X0, units), moments_of(X1, units), units)


@given(seeds, st.integers(2, 200), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_ledoit_wolf_equals_scikit_learn(seed, n, d):
    X = rows(seed, n, d)
    moments = moments_of(X)
    found = ledoit_wolf(moments.covariance, moments.mass, moments.fourth)
    expected = LedoitWolf().fit(X).covariance_
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * expected.max())


def test_integer_weights_are_repeated_rows():
    X = rows(0, 30, 4)
    weights = np.random.default_rng(1).integers(1, 4, len(X))
    repeated = moments_of(np.repeat(X, weights, axis=0))
    mean = weights @ X / weights.sum()
    centred = X - mean
    covariance = (weights[:, None] * centred).T @ centred / weights.sum()
    fourth = weights @ np.square(np.square(centred).sum(axis=1))
    found = ledoit_wolf(covariance, weights.sum(), fourth)
    np.testing.assert_allclose(
        found, ledoit_wolf(repeated.covariance, repeated.mass, repeated.fourth)
    )


@pytest.mark.parametrize("covariance", [np.zeros((2, 2)), 3.0 * np.eye(2)])
def test_what_is_round_already_is_kept(covariance):
    np.testing.assert_array_equal(ledoit_wolf(covariance, 10, 50.0), covariance)


def test_linear_alignment_is_the_map_of_the_shrunk_covariances():
    X0, X1 = rows(1, 60, 3), rows(2, 80, 3)
    units = np.sqrt(0.5 * (X0.var(axis=0) + X1.var(axis=0)))
    shrunk = [LedoitWolf().fit(X / units).covariance_ for X in (X0, X1)]
    linear = linear_map(*shrunk) * units[:, None] / units
    found = aligned(X0, X1)
    np.testing.assert_allclose(found.linear, linear, rtol=1e-8, atol=1e-8)
    moved = X0 @ found.linear.T + found.shift
    np.testing.assert_allclose(moved.mean(axis=0), X1.mean(axis=0))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_factors_of_both_sides_change_units_only(seed):
    rng = np.random.default_rng(seed)
    X0, X1 = rows(seed, 40, 4), rows(seed + 1, 50, 4)
    factors = 10.0 ** rng.uniform(-3, 3, 4)
    before, after = aligned(X0, X1), aligned(X0 * factors, X1 * factors)
    expected = (X0 @ before.linear.T + before.shift) * factors
    found = (X0 * factors) @ after.linear.T + after.shift
    np.testing.assert_allclose(found / factors, expected / factors, rtol=1e-7)


@pytest.mark.parametrize("shares", [(0.2, 0.5, 0.9), (0.0, 0.4, 1.0)])
def test_linear_alignment_moves_least_what_tells_groups_apart(shares):
    X0, X1 = rows(1, 60, 3), rows(2, 80, 3)
    units = common_units(X0.var(axis=0), X1.var(axis=0))
    shrunk = [LedoitWolf().fit(X / units).covariance_ for X in (X0, X1)]
    mean = np.clip(0.5 * np.array(shares) + 0.2, 1e-3, 0.999)
    weights = np.sqrt(mean / (1.0 - mean))
    linear = linear_map(*(c * np.outer(weights, weights) for c in shrunk))
    linear = linear * np.outer(units / weights, weights / units)
    pair = [
        moments_of(X, units)._replace(between=np.array(between))
        for X, between in ((X0, shares), (X1, (0.4, 0.4, 0.4)))
    ]
    found = linear_alignment(*pair, units)
    np.testing.assert_allclose(found.linear, linear, rtol=1e-7, atol=1e-7)
    # Still from the one covariance to the other, as without shares.
    inner = found.linear * np.outer(1.0 / units, units)
    np.testing.assert_allclose(inner @ shrunk[0] @ inner.T, shrunk[1], atol=1e-9)
    plain = linear_alignment(pair[0]._replace(between=None), pair[1], units)
    np.testing.assert_allclose(plain.linear, aligned(X0, X1).linear, rtol=1e-12)
    assert np.abs(plain.linear - found.linear).max() > 1e-2


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_shares_without_end_are_bounded(share):
    X0, X1 = rows(1, 60, 3), rows(2, 80, 3)
    units = common_units(X0.var(axis=0), X1.var(axis=0))
    pair = [moments_of(X, units)._replace(between=np.full(3, share)) for X in (X0, X1)]
    found = linear_alignment(*pair, units)
    np.testing.assert_allclose(found.linear, aligned(X0, X1).linear, rtol=1e-8)


def test_equal_domains_stay():
    X = rows(3, 50, 3)
    found = aligned(X, X + 7.0)
    np.testing.assert_allclose(found.linear, np.eye(3), atol=1e-10)
    np.testing.assert_allclose(found.shift, 7.0)


def test_scale_alignment_gives_means_and_deviations():
    X0, X1 = rows(4, 50, 3), rows(5, 60, 3)
    found = scale_alignment(moments_of(X0), moments_of(X1))
    moved = X0 * found.linear + found.shift
    np.testing.assert_allclose(moved.mean(axis=0), X1.mean(axis=0))
    np.testing.assert_allclose(moved.std(axis=0), X1.std(axis=0))


@pytest.mark.parametrize("side", [0, 1])
def test_a_constant_feature_is_shifted_only(side):
    pair = [rows(6, 50, 2), rows(7, 50, 2)]
    pair[side][:, 0] = 1.0
    found = scale_alignment(*map(moments_of, pair))
    assert found.linear[0] == 1.0
    moved = pair[0] * found.linear + found.shift
    np.testing.assert_allclose(moved.mean(axis=0), pair[1].mean(axis=0))


def test_units_of_constant_features():
    units = common_units(np.array([0.0, 3.0, 0.0]), np.array([0.0, 5.0, 2.0]))
    np.testing.assert_array_equal(units, [1.0, 2.0, 1.0])
