"""Barycentres of Gaussians, many at once, singular ones included."""

import numpy as np

from skgmmot._threads import run_ranges
from skgmmot.linalg._spd import factor, symmetrise
from skgmmot.transport._alignment import align, as_gaussians

# Temporaries of a chunk: some six arrays of the size of its points.
_CHUNK_BYTES = 2**23
_MAX_ITER = 1000


def gaussian_barycenters(
    stack: np.ndarray, index: np.ndarray, weights: np.ndarray, tol: float = 1e-12
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return barycentres of tuples of Gaussians and what they cost.

    The barycentre minimises :math:`\sum_j \lambda_j W_2^2(\cdot, N_j)`. With factors
    :math:`F F^T = \Sigma` its fixed point is :math:`F \leftarrow \sum_j \lambda_j L_j
    Q_j`, each factor rotated towards F: the iteration of Álvarez-Esteban, del Barrio,
    Cuesta-Albertos and Matrán (2016), doi 10.1016/j.jmaa.2016.04.045, without its
    inverse roots. It lowers the cost at every step.

    Parameters
    ----------
    stack : ndarray of shape (N, d + 1, d)
        Gaussians as points, see `skgmmot.transport._alignment`.
    index : ndarray of int, of shape (n, J)
        Row i names the J Gaussians whose barycentre is wanted.
    weights : ndarray of shape (J,)
        Not negative, of sum 1.
    tol : float, default=1e-12
        A barycentre has converged where its factor changes by less than this part.

    Returns
    -------
    points : ndarray of shape (n, d + 1, d)
    costs : ndarray of shape (n,)
        A sum of squares: 0 where all Gaussians of a tuple are equal.
    """
    n_tuples, n_sides = index.shape
    points, costs = np.empty((n_tuples, *stack.shape[1:])), np.empty(n_tuples)
    size = max(1, _CHUNK_BYTES // (48 * n_sides * stack[0].size))
    n_chunks = -(-n_tuples // size)

    def work(i: int) -> None:
        part = slice(i * size, (i + 1) * size)
        points[part], costs[part] = _fixed_points(stack[index[part]], weights, tol)

    operations = 100.0 * index.size * stack.shape[-1] ** 3
    run_ranges(work, n_chunks, None, operations)
    return points, costs


def _fixed_points(
    sides: np.ndarray, weights: np.ndarray, tol: float
) -> tuple[np.ndarray, np.ndarray]:
    """Iterate on the tuples that have not converged yet."""
    current = _start(sides, weights)
    costs = np.empty(len(sides))
    active = np.arange(len(sides))
    for _ in range(_MAX_ITER):
        images, gaps = align(current[active, None], sides[active])
        moved = np.einsum("j,njpq->npq", weights, images)
        costs[active] = gaps @ weights
        step = np.square(moved - current[active])[:, 1:].sum(axis=(1, 2))
        size = np.square(moved)[:, 1:].sum(axis=(1, 2))
        current[active] = moved
        active = active[step > tol**2 * size]
        if not len(active):
            break
    return current, costs


def _start(sides: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the covariances: of full rank on all that the sides span."""
    means, covariances = as_gaussians(sides)
    mean = symmetrise(np.einsum("j,njpq->npq", weights, covariances))
    means = np.einsum("j,njp->np", weights, means)
    return np.concatenate([means[:, None], factor(mean)], axis=1)
