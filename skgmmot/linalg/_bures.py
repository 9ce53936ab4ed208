"""Squared Wasserstein distances, rotations and maps between stacks of Gaussians.

All of them come from one rotation. For factors Σ = L Lᵀ let Q be the orthogonal polar
factor of L1ᵀ L0. Then the squared distance is |m0 - m1|² + ‖L0 - L1 Q‖², a sum of
squares: no cancellation, no inverse, and singular covariances are no special case. The
optimal map is m1 + L1 Q L0⁻¹ (x - m0). See Bhatia, Jain and Lim, *On the
Bures-Wasserstein distance between positive definite matrices*, Expositiones
Mathematicae 37 (2019), doi 10.1016/j.exmath.2018.01.002.
"""

from collections.abc import Callable, Iterator

import numpy as np

from skgmmot._threads import run_ranges
from skgmmot.linalg._pairs import compiled_pair_norms
from skgmmot.linalg._spd import (
    diagonals,
    factor,
    is_diagonal,
    pinv_factor,
    symmetrise,
    transpose,
)

# Temporaries of a chunk of pairs: some eight matrices a pair.
_CHUNK_BYTES = 2**25
# Part of the traces below which the trace formula loses more than three digits.
_NEAR = 1e-3
# Pairs for which it pays to make one call more.
_PAIRS_PER_CALL = 256
_PAIRS_PER_KERNEL_CALL = 4096
# Compiled nuclear norms: up to this d, where cache holds the matrices of all lanes.
_LARGEST_COMPILED = 48
# d times the number of pairs from which they save more than loading them takes.
_WORTH_COMPILING = 20_000
# Below this the quotient of two numbers has lost digits.
_SMALLEST_NORMAL = 2.0**-1000
# Cosine and sine of a rotation, then of a reflection, from the entries of a matrix;
# the transpose makes a matrix of them.
_PARTS = np.array(
    [
        [1.0, 0.0, 1.0, 0.0],
        [0.0, -1.0, 0.0, 1.0],
        [0.0, 1.0, 0.0, 1.0],
        [1.0, 0.0, -1.0, 0.0],
    ]
)
# What is taken of these four: the rotation, or the reflection.
_CHOICES = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])


def rotations(factors0: np.ndarray, factors1: np.ndarray) -> np.ndarray:
    """Return the rotations Q that bring L1 Q nearest to L0.

    Parameters
    ----------
    factors0, factors1 : ndarray of shape (..., d, d)
        L0 and L1, of shapes that broadcast; from `skgmmot.linalg._spd.factor`.

    Returns
    -------
    rotations : ndarray of shape (..., d, d)
        Orthogonal. (1 - t) L0 + t L1 Q is a factor of the covariance at time t of the
        geodesic.
    """
    return polar_factors(transpose(factors1) @ factors0)


def polar_factors(matrices: np.ndarray) -> np.ndarray:
    """Return the orthogonal Q that make tr(Qᵀ M) largest, the nuclear norm of M.

    In closed form for one and two features, where a decomposition is mostly overhead.

    Parameters
    ----------
    matrices : ndarray of shape (..., d, d), float64
        Singular ones, which have several such Q, and zeros are allowed.

    Returns
    -------
    factors : ndarray of shape (..., d, d), float64
    """
    d = matrices.shape[-1]
    if d == 1:
        return np.copysign(1.0, matrices)
    if d == 2:
        return _polar_factors_2(matrices)
    left, _, right = np.linalg.svd(matrices)
    return left @ right


def _polar_factors_2(matrices: np.ndarray) -> np.ndarray:
    """Polar factors of 2 x 2 matrices: the better of a rotation and a reflection.

    A 2 x 2 matrix is a rotation times a size plus a reflection times a size. The
    nearest orthogonal matrix is that of the larger size; with equal ones, where the
    matrix is singular, both are as near.
    """
    parts, sizes = _parts_2(matrices)
    largest = np.maximum(sizes[:, 0], sizes[:, 1])
    if np.minimum.reduce(largest, initial=np.inf) < _SMALLEST_NORMAL:
        return _polar_factors_2(_enlarged(matrices, largest))
    parts *= _CHOICES.take(sizes.argmax(axis=1), axis=0)
    parts /= largest[:, None]
    return parts.dot(_PARTS.T).reshape(matrices.shape)


def _parts_2(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rotation and reflection in 2 x 2 matrices (n, 4), and their sizes."""
    parts = matrices.reshape(-1, 4).dot(_PARTS)
    return parts, np.abs(parts.view(np.complex128))


def _enlarged(matrices: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return matrices of which none is 0 or of numbers that have lost digits."""
    small = (sizes < _SMALLEST_NORMAL).reshape(*matrices.shape[:-2], 1, 1)
    matrices = matrices * np.where(small, 2.0**100, 1.0)
    zero = (sizes == 0.0).reshape(small.shape)
    return np.where(zero, np.eye(2), matrices)


def nuclear_norms(matrices: np.ndarray) -> np.ndarray:
    """Return the sums of the singular values of matrices (..., d, d)."""
    d = matrices.shape[-1]
    if d == 1:
        return np.abs(matrices[..., 0, 0])
    if d == 2:
        sizes = _parts_2(matrices)[1]
        return np.maximum(sizes[:, 0], sizes[:, 1]).reshape(matrices.shape[:-2])
    return np.linalg.svd(matrices, compute_uv=False).sum(axis=-1)


def bures_squared(factors0: np.ndarray, factors1: np.ndarray) -> np.ndarray:
    """Return ‖L0 - L1 Q‖² for all pairs of two stacks of factors.

    Parameters
    ----------
    factors0 : ndarray of shape (K0, d, d), float64
    factors1 : ndarray of shape (K1, d, d), float64

    Returns
    -------
    costs : ndarray of shape (K0, K1), float64
        Exactly 0 between equal factors.
    """
    costs = np.zeros((len(factors0), len(factors1)))
    add_bures(costs, factors0, factors1)
    return costs


def add_bures(costs: np.ndarray, factors0: np.ndarray, factors1: np.ndarray) -> None:
    """Add ‖L0 - L1 Q‖² to the squared distances of the means, rows side by side.

    Parameters
    ----------
    costs : ndarray of shape (K0, K1), float64
        Changed in place.
    factors0, factors1 : ndarray of shape (K0, d, d) and (K1, d, d), float64
    """
    k0, k1, d = len(factors0), len(factors1), factors0.shape[-1]
    norms = norms_for(d, k0 * k1)
    pairs = _PAIRS_PER_CALL if norms is pair_norms else _PAIRS_PER_KERNEL_CALL
    step = max(1, pairs // max(k1, 1))

    def work(i: int) -> None:
        rows = slice(i * step, (i + 1) * step)
        add_bures_rows(costs[rows], factors0[rows], factors1, norms)

    run_ranges(work, -(-k0 // step), None, 50.0 * k0 * k1 * d**3)


def add_bures_rows(
    costs: np.ndarray,
    factors0: np.ndarray,
    factors1: np.ndarray,
    norms: Callable[..., np.ndarray],
) -> None:
    """`add_bures` on one thread; `norms` gives nuclear norms of L1ᵀ L0 of all pairs.

    Traces less twice the nuclear norm: much faster than a rotation, and right to
    rounding where the cost is not small beside the traces. Where it is, the rotation is
    computed.
    """
    traces0, traces1 = (np.square(f).sum(axis=(1, 2)) for f in (factors0, factors1))
    traces = traces0[:, None] + traces1
    sums = costs + (traces - 2.0 * norms(factors0, factors1))
    rows, columns = np.nonzero(sums < _NEAR * traces)
    for pairs in _chunks(len(rows), factors0.shape[-1]):
        near = rows[pairs], columns[pairs]
        left, right = factors0[near[0]], factors1[near[1]]
        gaps = left - right @ rotations(left, right)
        gaps[(left == right).all(axis=(1, 2))] = 0.0
        sums[near] = costs[near] + np.einsum("pij,pij->p", gaps, gaps)
    costs[...] = sums


def norms_for(d: int, n_pairs: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the function that gives the nuclear norms of L1ᵀ L0 for all pairs."""
    if 2 < d <= _LARGEST_COMPILED and d * n_pairs >= _WORTH_COMPILING:
        return compiled_pair_norms
    return pair_norms


def pair_norms(factors0: np.ndarray, factors1: np.ndarray) -> np.ndarray:
    """Return the nuclear norms of L1ᵀ L0 for all pairs."""
    norms = np.empty((len(factors0), len(factors1)))
    size = max(1, _CHUNK_BYTES // (64 * max(factors0.size, 1)))
    for begin in range(0, len(factors1), size):
        part = slice(begin, begin + size)
        products = transpose(factors1[part]) @ factors0[:, None]
        norms[:, part] = nuclear_norms(products)
    return norms


def squared_distances(
    means0: np.ndarray,
    covariances0: np.ndarray,
    means1: np.ndarray,
    covariances1: np.ndarray,
) -> np.ndarray:
    """Return the squared Wasserstein distances between two stacks of Gaussians.

    Parameters
    ----------
    means0, covariances0 : ndarray of shape (K0, d) and (K0, d, d)
    means1, covariances1 : ndarray of shape (K1, d) and (K1, d, d)

    Returns
    -------
    costs : ndarray of shape (K0, K1), float64
    """
    if is_diagonal(covariances0) and is_diagonal(covariances1):
        # W2² is Euclidean in means and standard deviations.
        points0 = np.hstack([means0, standard_deviations(covariances0)])
        points1 = np.hstack([means1, standard_deviations(covariances1)])
        return squared_euclidean(points0, points1)
    costs = squared_euclidean(means0, means1)
    both = factor(np.concatenate([covariances0, covariances1]))
    add_bures(costs, both[: len(costs)], both[len(costs) :])
    return costs


def squared_euclidean(points0: np.ndarray, points1: np.ndarray) -> np.ndarray:
    """Return the squared distances of all pairs, by differences: no cancellation."""
    points0 = np.asarray(points0, dtype=np.float64)
    points1 = np.asarray(points1, dtype=np.float64)
    costs = np.zeros((len(points0), len(points1)))
    for left, right in zip(points0.T, points1.T, strict=True):
        costs += np.square(left[:, None] - right[None, :])
    return costs


def standard_deviations(covariances: np.ndarray) -> np.ndarray:
    """Return the roots of the diagonals, in float64."""
    return np.sqrt(diagonals(covariances).astype(np.float64, copy=False))


def pair_ratios(
    covariances0: np.ndarray,
    covariances1: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> np.ndarray:
    """Return the diagonals of `pair_maps` for diagonal covariances, (P, d)."""
    return standard_deviations(covariances1)[columns] * _inverse_std(covariances0)[rows]


def mean_ratios(
    covariances0: np.ndarray, covariances1: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Return the diagonals of `mean_maps` for diagonal covariances, (K0, d)."""
    targets = coefficients @ standard_deviations(covariances1)
    return targets * _inverse_std(covariances0)


def pair_maps(
    covariances0: np.ndarray,
    covariances1: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> np.ndarray:
    """Return the linear parts T = L1 Q L0⁺ of the optimal maps of chosen pairs.

    Parameters
    ----------
    covariances0, covariances1 : ndarray of shape (K0, d, d) and (K1, d, d)
    rows, columns : ndarray of int, of shape (P,)
        Pair p goes from component rows[p] to component columns[p].

    Returns
    -------
    maps : ndarray of shape (P, d, d), float64
        Symmetric positive where covariances0 is regular; else by the pseudo-inverse,
        of the rank of covariances0.
    """
    rows, columns = np.asarray(rows), np.asarray(columns)
    if is_diagonal(covariances0) and is_diagonal(covariances1):
        return _embed(pair_ratios(covariances0, covariances1, rows, columns))
    maps = np.empty((len(rows), *covariances0.shape[1:]))
    for pairs, block in _map_blocks(covariances0, covariances1, rows, columns):
        maps[pairs] = block
    return maps


def mean_maps(
    covariances0: np.ndarray, covariances1: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Return Σ_l c_kl T_kl for each k, without holding all pairs.

    Parameters
    ----------
    covariances0, covariances1 : ndarray of shape (K0, d, d) and (K1, d, d)
    coefficients : ndarray of shape (K0, K1)
        Pairs of coefficient 0 cost nothing.

    Returns
    -------
    maps : ndarray of shape (K0, d, d), float64
    """
    if is_diagonal(covariances0) and is_diagonal(covariances1):
        return _embed(mean_ratios(covariances0, covariances1, coefficients))
    rows, columns = np.nonzero(coefficients)
    result = np.zeros(covariances0.shape, dtype=np.float64)
    for pairs, block in _map_blocks(covariances0, covariances1, rows, columns):
        block *= coefficients[rows[pairs], columns[pairs]][:, None, None]
        # The pairs come row by row: one run of them for each row.
        found, starts = np.unique(rows[pairs], return_index=True)
        result[found] += np.add.reduceat(block, starts, axis=0)
    return result


def _inverse_std(covariances: np.ndarray) -> np.ndarray:
    """Return 1 / standard deviation, 0 where it is 0: the pseudo-inverse."""
    std = standard_deviations(covariances)
    return np.divide(1.0, std, out=np.zeros_like(std), where=std > 0.0)


def _embed(diagonal: np.ndarray) -> np.ndarray:
    """Make diagonal matrices of the last axis."""
    return diagonal[..., :, None] * np.eye(diagonal.shape[-1])


def _map_blocks(
    covariances0: np.ndarray,
    covariances1: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the maps of the pairs, a chunk at a time."""
    factors0, factors1 = factor(covariances0), factor(covariances1)
    inverses = pinv_factor(factors0)
    regular = (np.linalg.norm(factors0, axis=1) > 0.0).all(axis=1)
    for pairs in _chunks(len(rows), covariances0.shape[-1]):
        left, right = factors0[rows[pairs]], factors1[columns[pairs]]
        block = right @ rotations(left, right) @ inverses[rows[pairs]]
        even = regular[rows[pairs]]
        block[even] = symmetrise(block[even])
        yield pairs, block


def _chunks(n_pairs: int, d: int) -> Iterator[np.ndarray]:
    """Yield ranges of pairs whose temporaries fit in a bounded memory."""
    size = max(1, _CHUNK_BYTES // (64 * d * d))
    for start in range(0, n_pairs, size):
        yield np.arange(start, min(start + size, n_pairs))
