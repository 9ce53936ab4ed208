"""The geodesic: formula, properties by name, singular covariances, refusals."""

import numpy as np
import pytest
import reference_toolbox
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from skgmmot.transport import (
    Mixture,
    component_costs,
    mw2_distance,
    mw2_interpolation,
    mw2_plan,
)

times = st.floats(0.0, 1.0)

# A pair of one-dimensional mixtures of Delon and Desolneux.
SOURCE = [0.3, 0.7], [[0.2], [0.4]], [[[9e-4]], [[16e-4]]]
TARGET = [0.6, 0.4], [[0.6], [0.8]], [[[36e-4]], [[49e-4]]]


@settings(max_examples=30, deadline=None)
@given(strategies.mixture_pairs(), st.sampled_from([0.2, 0.5, 0.8]))
def test_interpolation_equals_reference(pair, t):
    source, target = pair
    found = mw2_interpolation(source, target, t)
    coupling = mw2_plan(source, target).coupling
    wanted = reference_toolbox.interpolation(source, target, t, coupling)
    for array, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-9, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(strategies.mixture_pairs(), times)
def test_distance_from_the_source_grows_with_time(pair, t):
    source, target = pair
    whole = mw2_distance(source, target)
    middle = mw2_interpolation(source, target, t)
    part = mw2_distance(source, middle)
    # Weights that are right to rounding let that much mass go the longest way.
    stray = 1e-16 + 1e-15 * component_costs(source, middle).max()
    assert part**2 == pytest.approx((t * whole) ** 2, rel=2e-8, abs=stray)


@settings(max_examples=30, deadline=None)
@given(strategies.mixture_pairs(), times, times)
def test_interpolation_property_geodesic(pair, s, t):
    source, target = pair
    first, last = (mw2_interpolation(source, target, time) for time in (s, t))
    wanted = abs(s - t) * mw2_distance(source, target)
    assert mw2_distance(first, last) == pytest.approx(wanted, rel=1e-7, abs=1e-7)


@settings(max_examples=30, deadline=None)
@given(strategies.mixture_pairs(), times)
def test_interpolation_property_backwards(pair, t):
    source, target = pair
    there = mw2_interpolation(source, target, t)
    back = mw2_interpolation(target, source, 1.0 - t)
    assert mw2_distance(there, back) == pytest.approx(0.0, abs=2e-7)


def test_values_of_the_one_dimensional_example():
    for t in (0.2, 0.5, 0.8):
        found = mw2_interpolation(SOURCE, TARGET, t)
        np.testing.assert_allclose(found.weights, [0.3, 0.3, 0.4], rtol=1e-12)
        pairs = [(0, 0), (1, 0), (1, 1)]
        for k, (i, j) in enumerate(pairs):
            mean = (1 - t) * SOURCE[1][i][0] + t * TARGET[1][j][0]
            start, end = SOURCE[2][i][0][0], TARGET[2][j][0][0]
            variance = ((1 - t) + t * np.sqrt(end / start)) ** 2 * start
            assert found.means[k, 0] == pytest.approx(mean, rel=1e-12)
            assert found.covariances[k, 0, 0] == pytest.approx(variance, rel=1e-12)


def test_ends_are_the_mixtures_to_the_bit():
    rng = np.random.default_rng(0)
    source, target = (strategies.random_mixture(rng, k, 3) for k in (3, 4))
    for t, mixture in ((0.0, source), (1.0, target)):
        found = mw2_interpolation(source, target, t)
        for mean, covariance in zip(found.means, found.covariances, strict=True):
            k = np.flatnonzero((mixture[1] == mean).all(axis=1))
            assert k.size == 1
            assert (mixture[2][k[0]] == covariance).all()


def test_number_of_components_is_that_of_the_plan():
    rng = np.random.default_rng(1)
    source, target = (strategies.random_mixture(rng, k, 2) for k in (6, 5))
    assert len(mw2_interpolation(source, target, 0.4).weights) <= 10


def test_a_given_plan_is_followed():
    plan = np.array([[0.15, 0.15], [0.45, 0.25]])
    found = mw2_interpolation(SOURCE, TARGET, 0.5, plan=plan)
    np.testing.assert_allclose(found.weights, plan.ravel(), rtol=1e-12)
    entropic = mw2_plan(SOURCE, TARGET, reg=0.1)
    found = mw2_interpolation(SOURCE, TARGET, 0.5, plan=entropic)
    np.testing.assert_allclose(found.weights, entropic.coupling.ravel(), rtol=1e-12)


def test_points_and_segments():
    segment = np.diag([4.0, 0.0])
    source = [1.0], [[0.0, 0.0]], [segment]
    target = [0.5, 0.5], [[0.0, 2.0], [0.0, -2.0]], [np.zeros((2, 2)), segment]
    found = mw2_interpolation(source, target, 0.5)
    np.testing.assert_allclose(found.covariances[0], segment / 4.0, atol=1e-15)
    np.testing.assert_allclose(found.covariances[1], segment, atol=1e-15)


def test_float32_is_kept():
    source, target = (
        Mixture(*(np.asarray(part, dtype=np.float32) for part in mixture))
        for mixture in (SOURCE, TARGET)
    )
    found = mw2_interpolation(source, target, 0.25)
    assert {array.dtype for array in found} == {np.dtype(np.float32)}
    wanted = mw2_interpolation(SOURCE, TARGET, 0.25)
    np.testing.assert_allclose(found.covariances, wanted.covariances, rtol=1e-4)


@pytest.mark.parametrize("t", [-0.1, 1.1, np.nan])
def test_times_outside_are_refused(t):
    with pytest.raises(ValueError, match="between 0 and 1"):
        mw2_interpolation(SOURCE, TARGET, t)


def test_plans_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        mw2_interpolation(SOURCE, TARGET, 0.5, plan=np.ones((2, 3)) / 6)


# Unbalanced plans


def unbalanced(pair, reg_m=0.5):
    """A plan that loses mass, and its marginals."""
    coupling = mw2_plan(*pair, reg=0.1, reg_m=reg_m).coupling
    return coupling, coupling.sum(axis=1), coupling.sum(axis=0)


@given(strategies.mixture_pairs(), st.floats(0.0, 1.0), st.floats(1.0, 20.0))
@settings(max_examples=40, deadline=None)
def test_unbalanced_interpolation_equals_reference(pair, t, largest):
    coupling, _, _ = unbalanced(pair)
    found = mw2_interpolation(*pair, t, plan=coupling, max_growth=largest)
    expected = reference_toolbox.unbalanced_interpolation(*pair, t, coupling, largest)
    assert found.weights.sum() == pytest.approx(1.0)
    for left, right in zip(moments_of(found), moments_of(expected), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-7, atol=1e-7)


def moments_of(mixture):
    """Mean and second moment of a mixture: they do not depend on its order."""
    weights, means, covariances = mixture
    outer = means[:, :, None] * means[:, None, :]
    return weights @ means, np.einsum("k,kij->ij", weights, covariances + outer)


@given(strategies.mixture_pairs(), st.sampled_from([1.0, 1.5, 1e6]))
@settings(max_examples=30, deadline=None)
def test_unbalanced_ends_are_the_mixtures(pair, largest):
    coupling, _, _ = unbalanced(pair)
    for t, end in zip((0.0, 1.0), pair, strict=True):
        found = mw2_interpolation(*pair, t, plan=coupling, max_growth=largest)
        for left, right in zip(moments_of(found), moments_of(end), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6)


def test_a_population_that_grows_grows_on_the_way():
    means, ones = np.array([[0.0], [100.0]]), np.ones((2, 1, 1))
    source, target = ([0.8, 0.2], means, ones), ([0.2, 0.8], means + 1.0, ones)
    coupling = np.diag([0.4, 0.4])
    found = mw2_interpolation(source, target, 0.5, plan=coupling, max_growth=2.0)
    masses = np.array([0.4, 0.4])  # √(2 · ½) of both pairs
    np.testing.assert_allclose(found.weights, masses / masses.sum())
    np.testing.assert_allclose(found.means, means + 0.5)


def test_what_nothing_is_paired_with_fades_in_its_place():
    source = [0.5, 0.5], [[0.0], [50.0]], np.ones((2, 1, 1))
    target = [1.0], [[1.0]], np.ones((1, 1, 1))
    # The mass of the pair is made up for by 1 and 2, by √2 in the mean.
    found = mw2_interpolation(source, target, 0.25, plan=[[0.5], [0.0]])
    np.testing.assert_allclose(found.means.ravel(), [0.25, 50.0])
    weights = np.array([0.5**0.75, 0.75 * 0.5])
    np.testing.assert_allclose(found.weights, weights / weights.sum())
    capped = {"plan": [[0.5], [0.0]], "max_growth": 1.0}
    found = mw2_interpolation(source, target, 0.25, **capped)
    np.testing.assert_allclose(found.means.ravel(), [0.25, 0.0, 50.0, 1.0])
    kept = np.sqrt(0.5)
    rest = (0.75 * 0.5 * (1.0 - kept), 0.75 * 0.5, 0.25 * (1.0 - kept))
    weights = np.array([kept * 0.5**0.75, *rest])
    np.testing.assert_allclose(found.weights, weights / weights.sum())


def test_a_population_that_branches_keeps_the_shares_of_its_branches():
    # An unbalanced plan has little mass on the long way to the second branch.
    source = [1.0], [[0.0]], np.ones((1, 1, 1))
    target = [0.7, 0.3], [[1.0], [9.0]], np.ones((2, 1, 1))
    for t in (0.1, 0.5, 0.9):
        found = mw2_interpolation(source, target, t, plan=[[0.65, 0.1]], max_growth=2.0)
        np.testing.assert_allclose(found.weights, [0.7, 0.3])


@given(strategies.mixture_pairs(), times)
@settings(max_examples=30, deadline=None)
def test_unbalanced_interpolation_property_backwards(pair, t):
    source, target = pair
    coupling, _, _ = unbalanced(pair)
    there = mw2_interpolation(source, target, t, plan=coupling)
    back = mw2_interpolation(target, source, 1.0 - t, plan=coupling.T)
    for left, right in zip(moments_of(there), moments_of(back), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("largest", [0.5, np.nan, "2"])
def test_growth_below_one_is_refused(largest):
    with pytest.raises(ValueError, match="max_growth: expected"):
        mw2_interpolation(SOURCE, TARGET, 0.5, max_growth=largest)
