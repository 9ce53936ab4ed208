"""Singular values of many matrices at once: operations, steps, and hard matrices."""

import numba
import numpy as np
import pytest
from test_kernels_vectors import check, compiled

from skgmmot.linalg import _pairs
from skgmmot.linalg import _singular as singular

LANES = singular.LANES
compiled_only = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="the twins stand in for the operations"
)


def random_groups(seed, *shape):
    return np.random.default_rng(seed).normal(size=(*shape, LANES))


@compiled_only
def test_squared_lengths():
    groups, out = random_groups(0, 12).ravel(), np.empty(LANES)
    for first, stride, count in ((0, 1, 12), (1, 3, 4), (5, 2, 1)):
        check(singular.squared_lengths, groups, first, stride, count, out)


@compiled_only
def test_reflections():
    groups, factor = random_groups(1, 12).ravel(), random_groups(2)
    check(singular.reflect, groups, 1, 2, 3, 3, factor)
    check(singular.reflect, groups, 0, 4, 1, 4, factor)


@compiled_only
@pytest.mark.parametrize("d", [1, 2, 5])
def test_products(d):
    groups, factor = random_groups(3, d * d).ravel(), random_groups(4, d, d)[..., 0]
    check(singular.product, groups, np.ascontiguousarray(factor), np.empty_like(groups))


@compiled_only
@pytest.mark.parametrize("last", [1, 2, 5])
def test_passes(last):
    squares, edges = random_groups(5, 6) ** 2 + 0.1, random_groups(6, 6) ** 2
    active, sums = np.ones(LANES), random_groups(7, 4)
    active[2], squares[:, 3], edges[:, 4] = 0.0, 0.0, 0.0
    shift = np.linspace(0.0, 1e-3, LANES)
    check(singular.qd_pass, squares, edges, last, active, shift, sums)


def bidiagonals(squares, edges):
    """The matrices of LANES pairs of diagonals, given as squares."""
    stack = np.zeros((LANES, len(squares), len(squares)))
    for k, square in enumerate(squares):
        stack[:, k, k] = np.sqrt(square)
        if k + 1 < len(squares):
            stack[:, k, k + 1] = np.sqrt(edges[k])
    return stack


def test_a_pass_shifts_the_squares_and_sums_their_inverses():
    squares, edges = random_groups(8, 5) ** 2 + 0.1, random_groups(9, 5) ** 2
    take_pass = compiled(singular.qd_pass, 6)
    before = np.linalg.svd(bidiagonals(squares, edges), compute_uv=False) ** 2
    shift, sums = 0.5 * before[:, -1], np.empty((4, LANES))
    take_pass(squares, edges, 4, np.ones(LANES), shift, sums)
    after = np.linalg.svd(bidiagonals(squares, edges), compute_uv=False) ** 2
    np.testing.assert_allclose(after, before - shift[:, None], rtol=1e-11)
    leading = np.linalg.svd(bidiagonals(squares[:4], edges), compute_uv=False) ** 2
    wanted = [(v**-power).sum(axis=1) for v in (after, leading) for power in (1.0, 2.0)]
    np.testing.assert_allclose(sums, wanted, rtol=1e-10)


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_two_diagonals_have_the_singular_values_of_the_matrix(d):
    stack = random_groups(10, d, d)
    stack[:, 0] *= 1e-9  # a column that is nearly 0
    squares, edges, work = (
        np.empty((d, LANES)),
        np.zeros((d, LANES)),
        np.empty((2, LANES)),
    )
    singular.bidiagonalise(stack.flatten(), squares, edges, work)
    found = np.linalg.svd(bidiagonals(squares, edges), compute_uv=False)
    wanted = np.linalg.svd(stack.transpose(2, 1, 0), compute_uv=False)
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=1e-14 * wanted.max())


def added(squares, edges):
    norms, work = np.empty(LANES), np.empty((7, LANES))
    singular.add_singular_values(np.copy(squares), np.copy(edges), work, norms)
    return norms


def test_sums_of_singular_values_of_two_diagonals():
    rng = np.random.default_rng(11)
    for scale in (0.0, 3.0, 12.0):
        squares, edges = 10.0 ** rng.uniform(-scale, 0.0, (2, 7, LANES))
        edges[:, ::4], squares[3, 1], edges[2, 2], squares[:, 5] = 0.0, 0.0, 0.0, 1.0
        wanted = np.linalg.svd(bidiagonals(squares, edges), compute_uv=False)
        found = added(squares, edges)
        # Lanes of two blocks that do not meet may be left to a decomposition.
        assert set(np.flatnonzero(np.isnan(found))) <= {1, 2}
        known = ~np.isnan(found)
        np.testing.assert_allclose(found[known], wanted.sum(axis=1)[known], rtol=1e-14)


def test_values_that_do_not_part_are_left_to_a_decomposition():
    matrix = np.diag([1e-8, 1.0, 1.0]) + np.diag([0.0, 1e-3], 1)
    squares, edges = np.diag(matrix) ** 2, np.append(np.diag(matrix, 1) ** 2, 0.0)
    squares, edges = (np.tile(a[:, None], LANES) for a in (squares, edges))
    edges[:, 1] = 0.0
    found = added(squares, edges)
    assert np.isnan(found).sum() == LANES - 1
    assert found[1] == pytest.approx(2.0 + 1e-8, rel=1e-15)
    norms = _pairs.compiled_pair_norms(np.stack([np.eye(3), matrix]), matrix.T[None])
    wanted = np.linalg.svd([matrix, matrix @ matrix], compute_uv=False).sum(axis=1)
    np.testing.assert_allclose(norms[:, 0], wanted, rtol=1e-14)
