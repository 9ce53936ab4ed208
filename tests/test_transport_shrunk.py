"""Covariances that maps take: drawn to a common one where noise could make them."""

import numpy as np
import pytest
import reference
import strategies

from skgmmot.linalg import as_mixture
from skgmmot.transport._component_maps import MixtureMap
from skgmmot.transport._shrunk import shrunk_covariances


def problem(seed, sizes=(3, 2), d=3):
    rng = np.random.default_rng(seed)
    compared = tuple(strategies.spd_stack(rng, n, d) for n in sizes)
    return compared, tuple(rng.dirichlet(np.full(n, 3.0)) for n in sizes)


def common_of(compared, weights):
    pairs = zip(weights, compared, strict=True)
    means = [np.einsum("k,kij->ij", w, c) for w, c in pairs]
    return 0.5 * sum(means)


@pytest.mark.parametrize("masses", [(30.0, 400.0), (5.0, 5.0)])
@pytest.mark.parametrize("seed", range(5))
def test_the_covariances_are_those_of_the_reference(seed, masses):
    compared, weights = problem(seed)
    common = common_of(compared, weights)
    for found, side, w, mass in zip(
        shrunk_covariances(compared, weights, masses), compared, weights, masses,
        strict=True,
    ):  # fmt: skip
        expected = reference.shrunk_covariances(side, common, mass * w)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_many_rows_leave_covariances_as_they_are_and_none_make_them_equal():
    compared, weights = problem(7)
    for found, side in zip(
        shrunk_covariances(compared, weights, (np.inf, np.inf)), compared, strict=True
    ):
        np.testing.assert_array_equal(found, side)
    common = common_of(compared, weights)
    for found in shrunk_covariances(compared, weights, (1e-9, 1e-9)):
        np.testing.assert_allclose(found, np.broadcast_to(common, found.shape))


def test_a_common_affine_map_changes_no_share():
    compared, weights = problem(8)
    turn = np.random.default_rng(0).standard_normal((3, 3)) * [[1e3], [1.0], [1e-3]]
    moved = tuple(turn @ side @ turn.T for side in compared)
    for found, other in zip(
        shrunk_covariances(compared, weights, (40.0, 60.0)),
        shrunk_covariances(moved, weights, (40.0, 60.0)),
        strict=True,
    ):
        units = np.sqrt(np.einsum("kii->ki", other))
        scales = units[:, :, None] * units[:, None]
        np.testing.assert_allclose(
            turn @ found @ turn.T / scales, other / scales, atol=1e-8
        )


def test_samples_of_one_gaussian_are_told_from_two():
    rng = np.random.default_rng(0)
    ones = np.ones(1), np.ones(1)
    same = [np.cov(rng.standard_normal((20, 400)))[None] for _ in range(2)]
    left, entered = shrunk_covariances(tuple(same), ones, (400.0, 400.0))
    np.testing.assert_allclose(left, entered)  # not one direction is stretched
    wide = same[0], 9.0 * same[1]
    left, entered = shrunk_covariances(wide, ones, (400.0, 400.0))
    ratios = np.linalg.eigvals(np.linalg.solve(left[0], entered[0])).real
    assert ratios.min() > 3.0


def test_a_component_that_collapsed_onto_a_handful_of_rows_stretches_nothing():
    covariances = np.array([np.eye(2), 1e-8 * np.eye(2)])
    weights = np.array([0.99, 0.01])
    means = np.array([[0.0, 0.0], [5.0, 5.0]])
    source = as_mixture((weights, means, covariances))
    target = as_mixture((weights, means, np.array([np.eye(2), np.eye(2)])))
    wild = MixtureMap(source, target, np.diag(weights))
    assert wild.steepest == pytest.approx(1e4)
    compared = shrunk_covariances(
        (source.covariances, target.covariances), (weights, weights), (500.0, 500.0)
    )
    tame = MixtureMap(source, target, np.diag(weights), None, compared)
    assert tame.steepest < 1.5
