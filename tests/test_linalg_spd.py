"""Factors, pseudo-inverses and whiteners of covariances."""

import numpy as np
import pytest
import strategies
from hypothesis import given, settings

from skgmmot.linalg import _spd


@pytest.fixture
def low_rank():
    """Covariances of 4 points in 6 dimensions: rank 3."""
    points = np.random.default_rng(0).standard_normal((5, 4, 6))
    return np.stack([np.cov(block.T) for block in points])


@given(strategies.spd_pairs())
@settings(max_examples=30, deadline=None)
def test_factor_is_a_root(pair):
    for matrices in pair:
        factors = _spd.factor(matrices)
        rebuilt = factors @ _spd.transpose(factors)
        np.testing.assert_allclose(rebuilt, matrices, rtol=0, atol=1e-13 * 100)


@given(strategies.spd_pairs())
@settings(max_examples=30, deadline=None)
def test_pinv_factor_inverts(pair):
    factors = _spd.factor(pair[0])
    eye = np.broadcast_to(np.eye(factors.shape[-1]), factors.shape)
    np.testing.assert_allclose(_spd.pinv_factor(factors) @ factors, eye, atol=1e-12)


@given(strategies.spd_pairs())
@settings(max_examples=30, deadline=None)
def test_whiteners(pair):
    factors, log_dets = _spd.whiteners(pair[0])
    assert not np.triu(factors, 1).any()
    precisions = _spd.transpose(factors) @ factors
    np.testing.assert_allclose(precisions, np.linalg.inv(pair[0]), rtol=1e-9, atol=1e-9)
    expected = -0.5 * np.linalg.slogdet(pair[0])[1]
    np.testing.assert_allclose(log_dets, expected, rtol=1e-10, atol=1e-12)


def test_factor_of_singular_matrices(low_rank):
    factors = _spd.factor(low_rank)
    null = ~factors.any(axis=1)
    np.testing.assert_array_equal(null.sum(axis=1), 3)
    np.testing.assert_allclose(factors @ _spd.transpose(factors), low_rank, atol=1e-14)


def test_pinv_of_singular_factors(low_rank):
    factors = _spd.factor(low_rank)
    inverses = _spd.pinv_factor(factors)
    expected = np.linalg.pinv(factors, rcond=1e-10)
    np.testing.assert_allclose(inverses, expected, rtol=1e-10, atol=1e-12)


def test_pinv_of_a_mixed_stack(low_rank):
    stack = np.concatenate([low_rank[:1], np.eye(6)[None]])
    inverses = _spd.pinv_factor(_spd.factor(stack))
    assert np.linalg.matrix_rank(inverses[0]) == 3
    np.testing.assert_allclose(inverses[1] @ _spd.factor(stack)[1], np.eye(6))


def test_is_singular(low_rank):
    stack = np.concatenate([low_rank, np.eye(6)[None], np.zeros((1, 6, 6))])
    np.testing.assert_array_equal(_spd.is_singular(stack), [True] * 5 + [False, True])


def test_is_singular_knows_single_precision(low_rank):
    single = low_rank.astype(np.float32)
    assert _spd.is_singular(single).all()
    assert not _spd.is_singular(single + np.float32(0.01) * np.eye(6, dtype="f4")).any()


def test_units_do_not_make_a_matrix_singular():
    scales = np.array([1e-12, 1.0, 1e12])
    correlations = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.3], [0.2, 0.3, 1.0]])
    matrix = (correlations * scales[:, None] * scales)[None]
    assert not _spd.is_singular(matrix).any()
    factors = _spd.factor(matrix)
    rebuilt = (factors @ _spd.transpose(factors))[0] / scales[:, None] / scales
    np.testing.assert_allclose(rebuilt, correlations, rtol=1e-13)
    eye = (_spd.pinv_factor(factors) @ factors)[0]
    np.testing.assert_allclose(eye, np.eye(3), atol=1e-12)
    whitener = _spd.whiteners(matrix)[0][0]
    np.testing.assert_allclose(whitener @ matrix[0] @ whitener.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e150])
def test_scale(scale):
    matrices = strategies.spd_stack(np.random.default_rng(0), 3, 4)
    factors = _spd.factor(matrices * scale**2)
    np.testing.assert_allclose(factors, scale * _spd.factor(matrices), rtol=1e-9)


def test_is_diagonal():
    assert _spd.is_diagonal(np.ones((3, 1, 1)))
    assert _spd.is_diagonal(np.stack([np.eye(3), np.diag([1.0, 2.0, 0.0])]))
    assert not _spd.is_diagonal(np.stack([np.eye(3), np.ones((3, 3))]))


def test_symmetrise():
    matrices = np.arange(8.0).reshape(2, 2, 2)
    once = _spd.symmetrise(matrices)
    np.testing.assert_array_equal(once, _spd.transpose(once))
    np.testing.assert_array_equal(_spd.symmetrise(once), once)


def test_scaled_eigh_rebuilds():
    matrices = strategies.spd_stack(np.random.default_rng(1), 3, 4)
    scales, values, vectors = _spd.scaled_eigh(matrices)
    inner = vectors * values[:, None, :] @ _spd.transpose(vectors)
    rebuilt = inner * scales[:, :, None] * scales[:, None, :]
    np.testing.assert_allclose(rebuilt, matrices, rtol=1e-12, atol=1e-13)
