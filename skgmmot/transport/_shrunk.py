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

_ROUNDING = 1e-6  # of a gap: what inverting a covariance may cost


class Common(NamedTuple):
    """What the maps of all pairs share, and how much of it is in each.

    The map of a pair becomes 1 - share parts of its own and share parts of the common
    one, which sends the mean of a component the way of the whole domain.
    """

    linear: np.ndarray  # (d, d), in the coordinates in which covariances are compared
    of_means: np.ndarray  # (K0, K1) shares from 0 to 1: where the mean goes
    of_slopes: np.ndarray  # (K0, K1): what is done to the offset from it


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
    common = 0.5 * (_within(*pairs[0]) + _within(*pairs[1]))
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
    gap of the means, both seen by :math:`M^{-1/2}`, the shares of the common map are

    .. math::
        \rho = \min\left(1, \frac{c_p (1 / n_k + 1 / n'_l)}{S}\right), \qquad
        c_p = \max(0, \min(p, 2 (p - 2)))

    with :math:`S = \|\delta\|^2`, p = d for means and :math:`S = \|D\|^2 / 2`,
    p = d (d + 1) / 2 for slopes. For samples of n and n' rows of one Gaussian S is
    p (1/n + 1/n') in the mean, so that p gives the part of S that is noise; up to
    2 (p - 2) a positive part of James and Stein lowers the mean square error whatever
    the truth is. In one dimension nothing is drawn. All of it falls as 1 / n, and one
    component on either side has the common map for its own.

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
    left, entered = (_within(*pair)[None] for pair in zip(weights, sides, strict=True))
    first = np.zeros(1, dtype=np.intp)
    there = pair_maps(left, entered, first, first)[0]
    back = pair_maps(entered, left, first, first)[0]
    shares = np.zeros((2, *coupling.shape))
    noises = [
        1.0 / np.maximum(mass * w, 1.0) for w, mass in zip(weights, masses, strict=True)
    ]
    for k, row in enumerate(coupling):
        found = np.flatnonzero(row > 0.0)
        if not len(found):
            continue
        noise = noises[0][k] + noises[1][found]
        moved = there @ sides[0][k] @ there.T
        drawn = _noise_shares(moved, sides[1][found], gaps[k, found], noise)
        shares[:, k, found] = drawn
    return Common(there, *shares), Common(back, *shares.swapaxes(1, 2))


def _noise_shares(
    moved: np.ndarray, others: np.ndarray, gaps: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """ρ of one component and several others; `noise` is 1 / n + 1 / n'."""
    factors = factor(0.5 * moved + 0.5 * others)
    whitener = pinv_factor(factors)
    unlike = whitener @ (others - moved) @ transpose(whitener)
    apart = np.einsum("lij,lj->li", whitener, gaps)
    # Where neither component has variance no gap is noise.
    across = gaps - np.einsum("lij,lj->li", factors, apart)
    flat = np.abs(across).max(axis=1) > _ROUNDING * np.abs(gaps).max(axis=1)
    distance = np.where(flat, np.inf, np.square(apart).sum(axis=1))
    rank = np.count_nonzero(np.linalg.norm(factors, axis=1), axis=1)
    return (
        _drawn(rank, noise, distance),
        _drawn(rank * (rank + 1) / 2, noise, 0.5 * np.square(unlike).sum(axis=(1, 2))),
    )


def _drawn(p: np.ndarray, noise: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The share of S that is noise; where nothing is seen, either map is the other."""
    expected = np.clip(np.minimum(p, 2.0 * (p - 2.0)), 0.0, None) * noise
    return np.minimum(1.0, expected / np.where(seen > 0.0, seen, 1.0))


def _within(weights: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    return np.einsum("k,kij->ij", weights, covariances)
