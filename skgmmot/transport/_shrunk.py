"""Covariances of components that few rows stand behind, as maps use them.

The map of a pair is a ratio of two covariances, so that it takes sampling noise of
either side at its worst: a component that collapsed onto a handful of rows is stretched
without bound. Maps therefore use covariances that are drawn to one that both domains
share, by as much as their difference from it may be noise.
"""

import numpy as np

from skgmmot.linalg._spd import factor, pinv_factor


def shrunk_covariances(
    compared: tuple[np.ndarray, np.ndarray],
    weights: tuple[np.ndarray, np.ndarray],
    masses: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    r"""Draw the covariances of both sides to their mean.

    With Ψ the mean of all, each side counting half, and :math:`S = \Psi^{-1/2} \Sigma
    \Psi^{-1/2}`,

    .. math::
        \Sigma \leftarrow (1 - \rho) \Sigma + \rho \Psi, \qquad
        \rho = \min\left(1, \frac{\max(\mathrm{tr} S, d)^2
        + \max(\mathrm{tr} S^2, d)}{n \|S - I\|^2}\right)

    The numerator over n is what a Gaussian sample of n rows misses its covariance by,
    in mean square, whether that is S or I.

    Parameters
    ----------
    compared : tuple of ndarrays of shape (K0, d, d) and (K1, d, d)
        Σ of both sides, in coordinates in which the two domains are compared.
    weights : tuple of ndarrays of shape (K0,) and (K1,)
        Of sum 1.
    masses : tuple of two floats
        Rows of the two domains; n is their number times the weight. Infinity leaves
        covariances as they are.

    Returns
    -------
    compared : tuple of ndarrays of the same shapes, float64

    References
    ----------
    Ledoit and Wolf (2004), doi 10.1016/S0047-259X(03)00096-4, for the form of ρ.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in compared]
    pairs = list(zip(weights, sides, strict=True))
    common = 0.5 * sum(np.einsum("k,kij->ij", w, side) for w, side in pairs)
    whitener = pinv_factor(factor(common[None]))[0]
    left, entered = (
        _shrunk(side, common, whitener, mass * w)
        for (w, side), mass in zip(pairs, masses, strict=True)
    )
    return left, entered


def _shrunk(
    covariances: np.ndarray, common: np.ndarray, whitener: np.ndarray, n: np.ndarray
) -> np.ndarray:
    d = len(common)
    seen = whitener @ covariances @ whitener.T
    traces = np.maximum(np.einsum("kii->k", seen), d)
    squares = np.maximum(np.square(seen).sum(axis=(1, 2)), d)
    noise = (np.square(traces) + squares) / np.maximum(n, 1.0)
    gaps = np.square(seen - np.eye(d)).sum(axis=(1, 2))
    # Where there is no gap, either covariance is the other.
    share = np.minimum(noise, gaps) / np.where(gaps > 0.0, gaps, 1.0)
    share = share[:, None, None]
    return (1.0 - share) * covariances + share * common
