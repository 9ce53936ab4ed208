"""What maps take of components that few rows stand behind.

The map of a pair is a ratio of two covariances, so that it takes sampling noise of
either side at its worst: a component that collapsed onto a handful of rows is stretched
without bound. Maps therefore use covariances that are drawn to one that both domains
share, by as much as their difference from it may be noise; and where a linear alignment
has matched the domains to their second moments, what pairs do beyond it is drawn to
what all of them do, in the same way.
"""

from typing import NamedTuple

import numpy as np

from skgmmot.linalg._bures import pair_maps
from skgmmot.linalg._spd import factor, pinv_factor, transpose


class Common(NamedTuple):
    """What the maps of all pairs share, and how much of it is in each.

    The map of a pair becomes 1 - share parts of its own and share parts of the common
    one, which sends the mean of a component the way of the whole domain.
    """

    linear: np.ndarray  # (d, d), in the coordinates in which covariances are compared
    shares: np.ndarray  # (K0, K1), from 0 to 1


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
    common = np.mean([_within(w, side) for w, side in pairs], axis=0)
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


def common_maps(
    compared: tuple[np.ndarray, np.ndarray],
    gaps: np.ndarray,
    coupling: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    masses: tuple[float, float],
) -> tuple[Common, Common]:
    r"""Say how far the maps of pairs are drawn to the one that they share.

    The common map A is that between the mean covariances of the two sides. With M the
    mean of :math:`A \Sigma_k A^T` and :math:`\Sigma'_l`, D their difference and δ the
    gap of the means, both seen by :math:`M^{-1/2}`, the share of the common map is

    .. math::
        \rho_{kl} = \min\left(1, \frac{p\, (1 / n_k + 1 / n'_l)}
        {\|\delta\|^2 + \|D\|^2 / 2}\right), \qquad p = \frac{d (d + 3)}{2}

    The numerator is what the denominator is in the mean for samples of n and n' rows of
    one Gaussian, which has p parameters: the positive part of James and Stein. It falls
    as 1 / n, and a single component on either side is its own common map.

    Parameters
    ----------
    compared : tuple of ndarrays of shape (K0, d, d) and (K1, d, d)
        Σ of both sides, in coordinates in which the two domains are compared.
    gaps : ndarray of shape (K0, K1, d)
        From the mean of k, moved as the whole domain, to that of l, in the same.
    coupling : ndarray of shape (K0, K1)
        Pairs without mass get the share 0.
    weights : tuple of ndarrays of shape (K0,) and (K1,)
        Of sum 1.
    masses : tuple of two floats
        Rows of the two domains; n is their number times the weight.

    Returns
    -------
    there, back : Common
        For the maps from the first side to the second, and from the second.

    References
    ----------
    Efron and Morris (1973), doi 10.1080/01621459.1973.10481350.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in compared]
    within = [_within(w, side)[None] for w, side in zip(weights, sides, strict=True)]
    first = np.zeros(1, dtype=np.intp)
    there, back = (
        pair_maps(start, end, first, first)[0] for start, end in (within, within[::-1])
    )
    shares = np.zeros(coupling.shape)
    noises = [
        1.0 / np.maximum(mass * w, 1.0) for w, mass in zip(weights, masses, strict=True)
    ]
    alone = coupling.shape == (1, 1)
    for k, row in enumerate(coupling):
        found = np.flatnonzero(row > 0.0)
        if alone or not len(found):
            continue
        noise = noises[0][k] + noises[1][found]
        moved = there @ sides[0][k] @ there.T
        shares[k, found] = _noise_shares(moved, sides[1][found], gaps[k, found], noise)
    return Common(there, shares), Common(back, shares.T)


def _noise_shares(
    moved: np.ndarray, others: np.ndarray, gaps: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """ρ of one component and several others; `noise` is 1 / n + 1 / n'."""
    middle = 0.5 * moved + 0.5 * others
    whitener = pinv_factor(factor(middle))
    unlike = whitener @ (others - moved) @ transpose(whitener)
    apart = np.einsum("lij,lj->li", whitener, gaps)
    seen = np.square(apart).sum(axis=1) + 0.5 * np.square(unlike).sum(axis=(1, 2))
    rank = np.einsum("lij,ljk,lik->l", whitener, middle, whitener)
    expected = 0.5 * rank * (rank + 3.0) * noise
    # Where nothing is seen, either map is the other.
    return np.minimum(expected, seen) / np.where(seen > 0.0, seen, 1.0)


def _within(weights: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    return np.einsum("k,kij->ij", weights, covariances)
