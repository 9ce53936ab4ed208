"""Starts: weights are repeats, the order of rows does not matter, centers spread."""

import numpy as np
import pytest
import reference_mixture as reference

from skgmmot import _rows
from skgmmot._rows import canonical_order, sample_rows
from skgmmot.mixture._seeding import (
    RandomResponsibilities,
    draw_from_data,
    kmeans,
    kmeans_plusplus,
    rescaled_kmeans,
)

METHODS = [draw_from_data, kmeans_plusplus, kmeans, rescaled_kmeans]


def clusters(n_clusters=5, n=40, spread=100.0, seed=0):
    """Far clusters on a grid, n rows each, and their centers."""
    rng = np.random.default_rng(seed)
    centers = spread * np.array([(i, (i * i) % 7) for i in range(n_clusters)], float)
    X = np.repeat(centers, n, axis=0) + rng.standard_normal((n * n_clusters, 2))
    return X, centers


def rng():
    return np.random.RandomState(0)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_canonical_order_is_the_order_of_the_values(d):
    X = np.random.default_rng(d).integers(0, 3, (60, d)).astype(float)
    expected = sorted(map(tuple, X))
    assert list(map(tuple, X[canonical_order(X)])) == expected


def test_canonical_order_is_one_for_all_shuffles():
    X = np.random.default_rng(0).integers(0, 4, (80, 3)).astype(np.float32)
    expected = X[canonical_order(X)]
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(X)
        np.testing.assert_array_equal(shuffled[canonical_order(shuffled)], expected)


def test_canonical_order_of_one_row_and_of_equal_rows():
    np.testing.assert_array_equal(canonical_order(np.zeros((1, 2))), [0])
    np.testing.assert_array_equal(canonical_order(np.zeros((4, 2))), np.arange(4))
    signed = np.array([[0.0, 2.0], [-0.0, 1.0]])  # equal in the first feature
    np.testing.assert_array_equal(canonical_order(signed), [1, 0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repeats(method, seed):
    data = np.random.default_rng(seed)
    X = data.standard_normal((50, 3))
    weights = data.integers(1, 4, len(X)).astype(float)
    repeated = np.repeat(X, weights.astype(int), axis=0)
    starts = []
    for rows, w in ((X, weights), (repeated, None)):
        random_state = np.random.RandomState(seed)
        rows, w = sample_rows(rows, w, 4, random_state)
        starts.append(method(rows, w, 4, random_state))
    np.testing.assert_allclose(starts[0], starts[1], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_rows_does_not_matter(method):
    X = np.random.default_rng(0).standard_normal((60, 2))
    expected = method(*sample_rows(X, None, 5, rng()), 5, rng())
    shuffled = np.random.default_rng(1).permutation(X)
    found = method(*sample_rows(shuffled, None, 5, rng()), 5, rng())
    np.testing.assert_array_equal(found, expected)


def test_weights_of_a_large_sample_are_repeats(monkeypatch):
    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", 64)
    monkeypatch.setattr(_rows, "_ROWS_PER_COMPONENT", 1)
    data = np.random.default_rng(0)
    X = data.standard_normal((300, 2))
    weights = data.integers(1, 4, len(X)).astype(float)
    rows, repeats = sample_rows(X, weights, 3, rng())
    assert repeats.sum() == 64
    assert len(np.unique(rows, axis=0)) == len(rows)
    others = sample_rows(np.repeat(X, weights.astype(int), axis=0), None, 3, rng())
    expanded = [
        np.repeat(r, w.astype(int), axis=0) for r, w in ((rows, repeats), others)
    ]
    np.testing.assert_array_equal(*expanded)
    small = sample_rows(X, None, 100, rng())
    assert len(small[0]) < len(X)


def test_a_large_sample_keeps_shares(monkeypatch):
    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", 500)
    X, centers = clusters(n=400)
    rows, repeats = sample_rows(X, None, 1, rng())
    labels = reference.nearest(rows, centers)[0]
    shares = np.bincount(labels, repeats) / repeats.sum()
    np.testing.assert_allclose(shares, 0.2, atol=0.01)


@pytest.mark.parametrize("method", [kmeans_plusplus, kmeans])
@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("seed", range(4))
def test_kmeans_plusplus_spreads_over_far_clusters(method, offset, seed):
    X, centers = clusters()
    found = method(X + offset, np.ones(len(X)), 5, np.random.RandomState(seed))
    labels = reference.nearest(found - offset, centers)[0]
    assert sorted(labels) == list(range(5))


def test_kmeans_ends_at_the_means_of_its_cells():
    X, centers = clusters(n=25)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    found = kmeans(X, weights, 5, rng())
    labels = reference.nearest(X, found)[0]
    for k in range(5):
        mean = np.average(X[labels == k], axis=0, weights=weights[labels == k])
        np.testing.assert_allclose(found[k], mean, rtol=1e-12)
    assert len(centers) == len(found)


def test_kmeans_finds_a_small_far_cluster():
    data = np.random.default_rng(0)
    X = np.vstack([data.standard_normal((3000, 2)), [[80.0, 80.0]] * 3])
    found = kmeans(X, np.ones(len(X)), 4, rng())
    assert np.abs(found - 80.0).sum(axis=1).min() < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_more_centers_than_distinct_rows(method):
    X = np.repeat([[0.0, 0.0], [1.0, 1.0]], 5, axis=0)
    found = method(X, np.ones(len(X)), 4, rng())
    assert found.shape == (4, 2)
    assert len(np.unique(found, axis=0)) == 2  # both rows are among the centers


@pytest.mark.parametrize("method", METHODS)
def test_one_center_and_equal_rows(method):
    found = method(np.full((6, 3), 2.0, np.float32), np.ones(6), 2, rng())
    np.testing.assert_array_equal(found, 2.0)
    assert found.dtype == np.float64
    assert method(np.zeros((1, 1)), np.ones(1), 1, rng()).shape == (1, 1)


def test_rows_drawn_from_the_data_are_rows_and_distinct():
    X = np.repeat(np.random.default_rng(0).standard_normal((6, 2)), 5, axis=0)
    found = draw_from_data(X, np.ones(len(X)), 6, rng())
    np.testing.assert_array_equal(np.unique(found, axis=0), np.unique(X, axis=0))


def test_rows_are_drawn_by_weight():
    X = np.arange(4.0)[:, None]
    weights = np.array([1.0, 0.0, 3.0, 4.0])
    state = rng()
    draws = [draw_from_data(X, weights, 1, state)[0, 0] for _ in range(2000)]
    shares = np.bincount(np.array(draws, int), minlength=4) / 2000
    assert shares[1] == 0.0
    np.testing.assert_allclose(shares, weights / 8.0, atol=0.04)


@pytest.mark.parametrize("step", [1, 7, 40, 100])
def test_random_responsibilities_are_equal_for_equal_rows(step):
    X = np.random.default_rng(0).integers(0, 3, (40, 2)).astype(float)
    X = X[canonical_order(X)]
    made = RandomResponsibilities(X, 3, rng())
    found = np.concatenate([made[i : i + step] for i in range(0, len(X), step)])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found >= 0.0).all()
    distinct, where = np.unique(X, axis=0, return_inverse=True)
    once = RandomResponsibilities(distinct, 3, rng())[:]
    np.testing.assert_array_equal(once[where.ravel()], found)


def log_volume(X, centers):
    """Σ_j log of the variance of feature j about the nearest centers."""
    nearest = ((X[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    return np.log(((X - centers[nearest]) ** 2).mean(axis=0)).sum()


def test_cells_in_their_own_units_fill_no_larger_volume():
    falls = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        labels = np.arange(400) % 4
        X = rng.standard_normal((400, 6))
        X[:, :2] += 6.0 * np.column_stack([labels % 2, labels // 2])
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        plain, rescaled = (
            method(X, np.ones(400), 4, np.random.RandomState(seed))
            for method in (kmeans, rescaled_kmeans)
        )
        falls.append(log_volume(X, plain) - log_volume(X, rescaled))
    assert np.mean(falls) > 0.1
