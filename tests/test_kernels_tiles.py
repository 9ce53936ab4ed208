"""Arithmetic of compiled tiles: how rows are cut, exponentials and logarithms."""

import numpy as np
import pytest

from skgmmot.kernels.numba import _primitives, _tiles


@pytest.mark.parametrize("n", [1, 127, 128, 129, 300, 12_345])
@pytest.mark.parametrize("n_ranges", [1, 2, 7])
def test_ranges_end_with_tiles(n, n_ranges):
    bounds = _primitives._bounds(n, n_ranges)
    assert (bounds[0], bounds[-1], len(bounds)) == (0, n, n_ranges + 1)
    assert bounds == sorted(bounds)
    assert all(end % _tiles.TILE == 0 for end in bounds[:-1])


def exponentials(values):
    """exp of many values through the loop over tiles that the kernels use."""
    padded = np.zeros(-(-len(values) // _tiles.TILE) * _tiles.TILE)
    padded[: len(values)] = values
    rows = padded.reshape(-1, _tiles.TILE).copy()
    zeros, total = np.zeros(_tiles.TILE), np.empty(_tiles.TILE)
    _tiles.exponentiate(rows, zeros, total)
    np.testing.assert_allclose(total, rows.sum(axis=0), rtol=1e-13)
    return rows.ravel()[: len(values)]


def test_exponential_is_right_over_its_range():
    rng = np.random.default_rng(0)
    x = -np.concatenate(
        [rng.uniform(0, 708, 30_000), 10.0 ** rng.uniform(-320, 2.8, 30_000)]
    )
    expected = np.exp(x)
    np.testing.assert_allclose(exponentials(x), expected, rtol=1e-15)


def test_exponential_at_the_ends_of_its_range():
    x = np.array([0.0, -0.0, -708.0, -708.8, -745.0, -1e4, -1e308, -np.inf])
    found = exponentials(x)
    assert found[0] == found[1] == 1.0  # the largest component is found by this
    np.testing.assert_allclose(found[2], np.exp(-708.0), rtol=1e-15)
    assert not found[3:].any()
    rows = np.full((1, _tiles.TILE), np.nan)
    _tiles.exponentiate(rows, np.zeros(_tiles.TILE), np.empty(_tiles.TILE))
    assert np.isnan(rows).all()


def test_logarithm_is_right_from_1_on():
    rng = np.random.default_rng(0)
    total = 1.0 + np.concatenate([10.0 ** rng.uniform(-17, 6, 1276), [0, 1, 2, 3]])
    rows, found = total.reshape(-1, _tiles.TILE), np.empty((10, _tiles.TILE))
    for row, out in zip(rows, found, strict=True):
        _tiles.log_of_sums(np.zeros(_tiles.TILE), row, out)
    np.testing.assert_allclose(found, np.log(rows), rtol=1e-15)
    assert not found[rows == 1.0].any()
