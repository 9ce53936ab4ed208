"""Nuclear norms of pairs of factors against decompositions."""

import numpy as np
import pytest
from strategies import spd_stack

from skgmmot.linalg import _pairs
from skgmmot.linalg._bures import squared_distances
from skgmmot.linalg._spd import factor


def wanted(factors0, factors1):
    """The same, pair by pair."""
    norms = np.empty((len(factors0), len(factors1)))
    for k, left in enumerate(factors0):
        for j, right in enumerate(factors1):
            norms[k, j] = np.linalg.svd(right.T @ left, compute_uv=False).sum()
    return norms


def random_factors(seed, d, n0=3, n1=69):
    rng = np.random.default_rng(seed)
    return factor(spd_stack(rng, n0, d, 1e4)), factor(spd_stack(rng, n1, d, 1e4))


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8, 12])
def test_norms_are_sums_of_singular_values(d):
    sides = random_factors(d, d)
    found = _pairs.compiled_pair_norms(*sides)
    np.testing.assert_allclose(found, wanted(*sides), rtol=1e-13)


@pytest.mark.parametrize("n", [0, 1, _pairs.LANES - 1, _pairs.LANES, _pairs.LANES + 1])
def test_any_number_of_pairs(n):
    sides = random_factors(0, 3, 2, n)
    np.testing.assert_allclose(
        _pairs.compiled_pair_norms(*sides), wanted(*sides).reshape(2, n), rtol=1e-13
    )


@pytest.mark.parametrize("d", [3, 6])
def test_singular_and_graded_factors(d):
    rng = np.random.default_rng(1)
    left, right = random_factors(2, d)
    left[0, :, 0] = 0.0
    left[1] = np.outer(rng.standard_normal(d), rng.standard_normal(d))
    left[2] *= 10.0 ** -np.arange(0, 3 * d, 3)
    right[0] = 0.0
    right[1:20] *= 10.0 ** rng.uniform(-12.0, 0.0, (19, 1, d))
    right[20] = np.ones((d, d))
    right[21] = left[1]
    size = np.linalg.norm(left, axis=(1, 2))[:, None]
    size = size * np.linalg.norm(right, axis=(1, 2)) + (size == 0.0)
    error = np.abs(_pairs.compiled_pair_norms(left, right) - wanted(left, right))
    assert (error <= 1e-14 * size).all()


@pytest.mark.parametrize("unit", [1e-150, 1e-75, 1e75, 1e150])
def test_units_do_not_matter(unit):
    left, right = random_factors(3, 4)
    found = _pairs.compiled_pair_norms(unit * left, unit * right)
    np.testing.assert_allclose(
        found, unit * (unit * _pairs.compiled_pair_norms(left, right)), rtol=1e-13
    )


def test_a_pair_does_not_depend_on_its_neighbours():
    left, right = random_factors(4, 4)
    right[::3] *= 10.0 ** -np.arange(4)
    found = _pairs.compiled_pair_norms(left, right)
    order = np.random.default_rng(0).permutation(len(right))
    np.testing.assert_array_equal(
        _pairs.compiled_pair_norms(left, right[order]), found[:, order]
    )
    np.testing.assert_array_equal(
        _pairs.compiled_pair_norms(left, right[:5]), found[:, :5]
    )


def planar(seed, k0=5, k1=7):
    """Means and covariances of two sides in two features."""
    rng = np.random.default_rng(seed)
    sides = [(rng.normal(size=(k, 2)), spd_stack(rng, k, 2, 1e4)) for k in (k0, k1)]
    return [array for side in sides for array in side]


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e-9, 1e6), (1e60, 1e60)])
def test_costs_in_two_features_are_those_of_all(units):
    means0, covariances0, means1, covariances1 = planar(0)
    covariances0[0], covariances0[1] = np.diag([0.0, 2.0]), 0.0
    covariances1[0] = np.outer([1.0, -2.0], [1.0, -2.0])
    covariances1[1], means1[1] = covariances0[2], means0[2]
    covariances1[2] = covariances0[3] * [[1.0, 1.01], [1.01, 1.02]]  # near, turned
    means1[2] = means0[3]
    scales = np.outer(units, units)
    sides = (
        means0 * units, covariances0 * scales, means1 * units, covariances1 * scales
    )  # fmt: skip
    found = _pairs.planar_squared_distances(*sides)
    assert found[2, 1] == 0.0
    assert found[3, 2] < 1e-2 * np.trace(sides[1][3])
    np.testing.assert_allclose(found, squared_distances(*sides), rtol=1e-11)


def test_costs_in_two_features_are_left_where_care_is_needed():
    sides = planar(1)
    assert _pairs.planar_squared_distances(*sides) is not None
    tiny = [sides[0], sides[1] * 1e-200, *sides[2:]]
    single = [side.astype(np.float32) for side in sides]
    other = [np.zeros((1, 3)), np.eye(3)[None]] * 2
    for case in (tiny, single, other):
        assert _pairs.planar_squared_distances(*case) is None
