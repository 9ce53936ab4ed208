"""Algebra of stacks of symmetric positive semi-definite matrices.

Every function works on the last two axes of its argument, in float64. The matrices
are first scaled to unit diagonal, Σ = D R D: what is singular is then decided on the
correlations R, and a feature in microns beside one in kilometres keeps its digits.
"""

from typing import Any

import numpy as np

from skgmmot.kernels import plain
from skgmmot.linalg._forms import factorise


def transpose(matrices: np.ndarray) -> np.ndarray:
    """Exchange the last two axes."""
    return matrices.swapaxes(-1, -2)


def symmetrise(matrices: np.ndarray) -> np.ndarray:
    """Return the symmetric part, exact where the matrix is symmetric already."""
    return 0.5 * matrices + 0.5 * transpose(matrices)


def is_diagonal(matrices: np.ndarray) -> bool:
    """Tell whether every matrix of the stack is exactly diagonal."""
    return np.count_nonzero(matrices) == np.count_nonzero(diagonals(matrices))


def diagonals(matrices: np.ndarray) -> np.ndarray:
    """Return the diagonals, of shape (..., d)."""
    return np.diagonal(matrices, axis1=-2, axis2=-1)


def scaled_eigh(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decompose Σ = D V diag(λ) Vᵀ D, D the standard deviations.

    Returns
    -------
    scales : ndarray of shape (..., d)
        Diagonal of D; 1 where the variance is 0.
    values : ndarray of shape (..., d)
        Eigenvalues of the correlations, ascending, not clipped.
    vectors : ndarray of shape (..., d, d)
        Eigenvectors of the correlations, one a column.
    """
    matrices = np.asarray(matrices, dtype=np.float64)
    scales = np.sqrt(np.maximum(diagonals(matrices), 0.0))
    scales = np.where(scales > 0.0, scales, 1.0)
    # Two divisions: the product of two small scales could underflow.
    correlations = matrices / scales[..., :, None] / scales[..., None, :]
    values, vectors = np.linalg.eigh(correlations)
    return scales, values, vectors


def null_values(values: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    """Mark the eigenvalues of `scaled_eigh` that are 0 to the rounding of `dtype`."""
    eps = np.finfo(np.float32 if dtype == np.float32 else np.float64).eps
    return values <= 4.0 * values.shape[-1] * eps


def is_singular(matrices: np.ndarray) -> np.ndarray:
    """Tell which matrices are singular to rounding, whatever the units.

    Returns
    -------
    singular : ndarray of bool, of shape (...,)
    """
    matrices = np.asarray(matrices)
    return null_values(scaled_eigh(matrices)[1], matrices.dtype)[..., 0]


def factor(matrices: np.ndarray) -> np.ndarray:
    """Return L with Σ = L Lᵀ, for singular matrices too.

    A root of a null eigenvalue of size eps would be 1e-8: null eigenvalues are set
    to 0, which gives a singular matrix columns of exact zeros.

    Parameters
    ----------
    matrices : array-like of shape (..., d, d)
        Symmetric positive semi-definite.

    Returns
    -------
    factors : ndarray of shape (..., d, d), float64
    """
    matrices = np.asarray(matrices)
    scales, values, vectors = scaled_eigh(matrices)
    null = null_values(values, matrices.dtype)
    roots = np.sqrt(np.where(null, 0.0, values))
    return scales[..., :, None] * vectors * roots[..., None, :]


def pinv_factor(factors: np.ndarray) -> np.ndarray:
    """Return the pseudo-inverses of factors that `factor` made.

    L = D B with orthogonal columns in B, so that a regular L has the inverse
    (BᵀB)⁻¹ Bᵀ D⁻¹, BᵀB diagonal. Only singular factors need an SVD.

    Parameters
    ----------
    factors : ndarray of shape (K, d, d)

    Returns
    -------
    inverses : ndarray of shape (K, d, d), float64
    """
    lengths = np.linalg.norm(factors, axis=1)
    regular = (lengths > 0.0).all(axis=1)
    inverses = np.empty_like(factors)
    scales = np.linalg.norm(factors[regular], axis=2)[:, :, None]
    bases = factors[regular] / scales
    bases /= np.square(bases).sum(axis=1, keepdims=True) * scales
    inverses[regular] = transpose(bases)
    # Columns of unit length: only true dependence counts as rank lost.
    lengths = np.where(lengths > 0.0, lengths, 1.0)[~regular]
    columns = factors[~regular] / lengths[:, None, :]
    inverses[~regular] = np.linalg.pinv(columns) / lengths[:, :, None]
    return inverses


def whiteners(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower triangular W with Σ⁻¹ = WᵀW, and log det W.

    Parameters
    ----------
    matrices : ndarray of shape (..., d, d)
        Symmetric positive definite.

    Returns
    -------
    factors : ndarray of shape (..., d, d), float64
    log_dets : ndarray of shape (...,), float64
    """
    matrices = np.asarray(matrices, dtype=np.float64)
    d = matrices.shape[-1]
    stack = plain(matrices.reshape(-1, d, d))
    uppers = np.empty(stack.shape)
    if not factorise(stack, uppers, np.empty((d + 1, d))):
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    factors = transpose(uppers.reshape(matrices.shape))
    return factors, np.log(diagonals(factors)).sum(axis=-1)
