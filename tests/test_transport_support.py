"""Rows outside the mixture: their scores, what maps do with them, bounded slopes."""

import numpy as np
import pytest
import reference
import strategies
from hypothesis import given, settings
from scipy.stats import chi2

from skgmmot.linalg import as_mixture
from skgmmot.transport import mw2_plan
from skgmmot.transport._component_maps import MixtureMap, mixture_gaussians
from skgmmot.transport._support import (
    SupportRule,
    clipped_slopes,
    largest_slope,
    move_supported,
    nearest_components,
    support_score,
)

ALIGNMENT, SHIFT = np.array([[2.0, 0.5], [0.0, 1.0]]), np.array([3.0, -1.0])


def whole(X):
    """An affine map of the whole domain."""
    return X @ ALIGNMENT.T + SHIFT


@pytest.fixture
def problem():
    """A map between mixtures in general position, rows in and far outside."""
    rng = np.random.default_rng(0)
    source, target = (
        as_mixture(strategies.random_mixture(rng, n, 2, 5.0)) for n in (3, 4)
    )
    maps = MixtureMap(source, target, mw2_plan(source, target).coupling)
    rows, _ = source.sample(50, random_state=0)
    far = rng.uniform(-200.0, 200.0, (40, 2))
    return maps, np.concatenate([rows, far])


def squared_distances(X, mixture):
    """Squared Mahalanobis distances to all components, by solving."""
    columns = []
    for mean, covariance in zip(mixture[1], mixture[2], strict=True):
        gaps = X - mean
        columns.append((gaps * np.linalg.solve(covariance, gaps.T).T).sum(axis=1))
    return np.transpose(columns)


def moved(problem, how, level=0.999):
    maps, X = problem
    rule = SupportRule(how, level)
    return move_supported(X, maps.gaussians, maps.move, whole, rule)


def outside(problem, level=0.999):
    maps, X = problem
    return squared_distances(X, maps.source).min(axis=1) > chi2.ppf(level, 2)


@given(strategies.mixtures())
@settings(max_examples=30, deadline=None)
def test_nearest_component_and_score_equal_their_formulas(parameters):
    mixture = as_mixture(parameters)
    d = mixture.means.shape[1]
    X = 4.0 * np.random.default_rng(0).standard_normal((20, d))
    gaussians = mixture_gaussians(mixture)
    expected = squared_distances(X, mixture)
    found = nearest_components(X, gaussians)
    np.testing.assert_allclose(found.squared, expected.min(axis=1), rtol=1e-8)
    np.testing.assert_array_equal(found.labels, expected.argmin(axis=1))
    scores = chi2.cdf(expected.min(axis=1), d)
    np.testing.assert_allclose(support_score(X, gaussians), scores, atol=1e-10)


def test_scores_of_a_gaussian_are_uniform():
    mixture = as_mixture(strategies.random_mixture(np.random.default_rng(1), 1, 3))
    X, _ = mixture.sample(20_000, random_state=0)
    scores = support_score(X, mixture_gaussians(mixture))
    assert abs(scores.mean() - 0.5) < 0.01
    assert abs((scores > 0.9).mean() - 0.1) < 0.01


@pytest.mark.parametrize("how", ["extrapolate", "shrink", "identity", "nan"])
def test_rows_inside_are_moved_as_ever(problem, how):
    maps, X = problem
    inside = ~outside(problem)
    assert 40 < inside.sum() < len(X)
    np.testing.assert_array_equal(moved(problem, how)[inside], maps.move(X)[inside])


def test_extrapolation_is_the_map_itself(problem):
    maps, X = problem
    np.testing.assert_array_equal(moved(problem, "extrapolate"), maps.move(X))


def test_identity_sends_rows_outside_with_the_whole(problem):
    far = outside(problem)
    np.testing.assert_allclose(moved(problem, "identity")[far], whole(problem[1][far]))


def test_nan_marks_rows_outside(problem):
    marked = np.isnan(moved(problem, "nan"))
    np.testing.assert_array_equal(marked.all(axis=1), outside(problem))
    np.testing.assert_array_equal(marked.any(axis=1), outside(problem))


def test_raise_counts_rows_outside(problem):
    n = outside(problem).sum()
    with pytest.raises(ValueError, match=f"got {n} of 90 beyond support_level=0.999"):
        moved(problem, "raise")
    inside = problem[0], problem[1][~outside(problem)]
    assert np.isfinite(moved(inside, "raise")).all()


def test_shrink_equals_its_formula(problem):
    maps, X = problem
    level, found = 0.9, moved(problem, "shrink", 0.9)
    edge = chi2.ppf(level, 2)
    distances = squared_distances(X, maps.source)
    for x, row, image in zip(X, distances, found, strict=True):
        if row.min() <= edge:
            continue
        mean = maps.source.means[row.argmin()]
        at_edge = mean + np.sqrt(edge / row.min()) * (x - mean)
        expected = reference.barycentric_map(
            at_edge[None], maps.source, maps.target, maps.conditional
        )
        expected = expected[0] + ALIGNMENT @ (x - at_edge)
        np.testing.assert_allclose(image, expected, rtol=1e-9, atol=1e-9)


def test_shrink_does_not_jump_at_the_edge(problem):
    maps, _ = problem
    root = reference.root(maps.source.covariances[0])
    ray = root @ np.array([1.0, 0.0])
    length = np.sqrt(chi2.ppf(0.999, 2))
    X = maps.source.means[0] + np.outer(length * np.array([1 - 1e-9, 1 + 1e-9]), ray)
    images = moved((maps, X), "shrink")
    np.testing.assert_allclose(images[0], images[1], atol=1e-6)


def test_float32_rows_and_no_rows(problem):
    maps, X = problem
    single = moved((maps, X.astype(np.float32)), "shrink")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, moved(problem, "shrink"), rtol=1e-3, atol=1e-3)
    assert moved((maps, X[:0]), "nan").shape == (0, 2)


# Slopes


def test_clipped_slopes_bound_singular_values():
    rng = np.random.default_rng(2)
    maps = strategies.spd_stack(rng, 6, 3)
    clipped = clipped_slopes(maps, 2.0)
    values = np.linalg.eigvalsh(maps)
    expected = np.minimum(values, 2.0)
    np.testing.assert_allclose(np.linalg.eigvalsh(clipped), expected)
    mild = values.max(axis=1) <= 2.0
    np.testing.assert_array_equal(clipped[mild], maps[mild])
    assert largest_slope(clipped) == pytest.approx(2.0)
    np.testing.assert_array_equal(
        clipped_slopes(np.array([[0.5, 9.0]]), 2.0), [[0.5, 2]]
    )
    assert clipped_slopes(maps, None) is maps


def test_slopes_of_nothing_are_zero():
    assert largest_slope(np.empty((0, 2, 2))) == 0.0
    assert largest_slope(np.array([[0.5, 3.0]])) == 3.0


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("method", ["barycentric", "random", "most_likely"])
def test_max_slope_tames_a_collapsed_component(method, diagonal):
    covariances = np.array([[[1e-6, 0.0], [0.0, 1.0]], [[1.0, 0.3], [0.3, 1.0]]])
    if diagonal:
        covariances = covariances * np.eye(2)
    source = as_mixture(([0.2, 0.8], [[0.0, 0.0], [9.0, 0.0]], covariances))
    target = as_mixture(([0.2, 0.8], [[1.0, 0.0], [9.0, 1.0]], covariances[[1, 1]]))
    coupling = np.diag([0.2, 0.8])
    wild = MixtureMap(source, target, coupling)
    tame = MixtureMap(source, target, coupling, max_slope=4.0)
    assert wild.steepest > 900.0
    assert tame.steepest == pytest.approx(4.0)
    X = np.array([[0.002, 0.0]])  # two standard deviations
    rng = np.random.RandomState(0)
    np.testing.assert_allclose(wild.move(X, method, rng=rng), [[3.0, 0.0]], atol=0.1)
    np.testing.assert_allclose(tame.move(X, method, rng=rng), [[1.0, 0.0]], atol=0.01)


def test_a_slope_that_is_not_reached_changes_nothing(problem):
    maps, X = problem
    bounded = MixtureMap(maps.source, maps.target, maps.conditional, max_slope=1e6)
    np.testing.assert_allclose(bounded.move(X), maps.move(X), rtol=1e-12)
