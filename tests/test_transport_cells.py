"""Shares of variance between cells: by their definition, and what changes nothing."""

import numpy as np
import pytest

from skgmmot._blocks import blocks_of
from skgmmot.transport._cells import between_shares


def rows(seed=0, n=200):
    """Four groups that differ in two of four features."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4)) @ (np.eye(4) + 0.3 * rng.standard_normal((4, 4)))
    X[:, 0] += 4.0 * rng.integers(0, 2, n)
    X[:, 2] += 9.0 * rng.integers(0, 2, n)
    return X


def shares_by_definition(X):
    """Cells of standardised rows, halved and moved, as the docstring says."""
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    means, labels = np.zeros((1, Z.shape[1])), np.zeros(len(Z), dtype=int)
    while 2 * len(means) <= min(16, len(Z) / 5):
        halves = []
        for k in np.unique(labels):
            cell = Z[labels == k]
            lengths, directions = np.linalg.eigh(np.cov(cell.T, bias=True))
            step = np.sqrt(lengths[-1]) * directions[:, -1]
            halves += [cell.mean(axis=0) - step, cell.mean(axis=0) + step]
        labels = nearest(Z, np.array(halves))
        means = np.array([Z[labels == k].mean(axis=0) for k in np.unique(labels)])
        labels = nearest(Z, means)
    cells = [Z[labels == k] for k in np.unique(labels)]
    return sum(len(cell) * cell.mean(axis=0) ** 2 for cell in cells) / len(Z)


def nearest(Z, means):
    return np.square(Z[:, None] - means).sum(axis=2).argmin(axis=1)


def found(X, weights=None):
    return between_shares(blocks_of(X, weights))


@pytest.mark.parametrize("n", [9, 10, 35, 79, 200])
def test_shares_are_those_of_the_definition(n):
    X = rows(1, n)
    np.testing.assert_allclose(found(X), shares_by_definition(X), rtol=1e-9, atol=1e-15)


def test_fewer_than_ten_rows_are_one_cell():
    np.testing.assert_allclose(found(rows(1, 9)), 0.0, atol=1e-12)


def test_features_that_tell_groups_apart_have_the_larger_shares():
    shares = found(rows(2, 2000))
    assert shares[2] > 0.9
    assert shares[[0, 2]].min() > shares[[1, 3]].max()


def test_units_shifts_and_the_order_of_rows_and_features_change_nothing():
    X = rows(3)
    rng, order = np.random.default_rng(0), [2, 0, 3, 1]
    expected = found(X)
    moved = X * [1e3, 1e-4, 7.0, 0.2] + [5.0, -1.0, 40.0, 0.0]
    np.testing.assert_allclose(found(moved), expected, rtol=1e-8)
    np.testing.assert_allclose(found(X[:, order]), expected[order], rtol=1e-8)
    np.testing.assert_allclose(found(rng.permutation(X)), expected, rtol=1e-8)


def test_weights_are_frequencies():
    X, weights = rows(4, 60), np.random.default_rng(1).integers(1, 4, 60)
    repeated = found(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(found(X, weights.astype(float)), repeated, rtol=1e-9)


def test_float32_rows_have_nearly_the_same_shares():
    X = rows(5)
    np.testing.assert_allclose(found(X.astype(np.float32)), found(X), atol=1e-4)


def test_a_constant_feature_has_no_share_and_changes_no_other():
    X = rows(6)
    for constant in (0.1, 3.3, 1e5 + 0.1):
        wide = np.column_stack([X, np.full(len(X), constant)])
        np.testing.assert_allclose(found(wide)[:4], found(X), rtol=1e-9)
        assert found(wide)[4] == 0.0


def test_a_white_sample_has_no_longest_direction():
    factor = np.linalg.cholesky(np.linalg.inv(np.cov(rows(7).T, bias=True)))
    np.testing.assert_allclose(found(rows(7) @ factor), 0.0, atol=1e-12)


def test_one_feature_is_halved_too():
    X = np.concatenate([np.zeros(50), np.ones(50)])[:, None]
    np.testing.assert_allclose(found(X), 1.0)
