"""Covariances of whole domains, shrunk, and the linear map from one to the other."""

from typing import NamedTuple

import numpy as np

from skgmmot.linalg._bures import pair_maps
from skgmmot.linalg._spd import diagonals

_LEAST_SHARE = 1e-3  # of variance, between groups and within


class DomainMoments(NamedTuple):
    """What a domain as a whole has to say, in units u_j of the features.

    `fourth` is Σ_i w_i ‖(x_i − mean) / u‖⁴, the one number that shrinkage needs beyond
    the covariance. `between` says how much of each feature's variance tells the groups
    of the domain apart.
    """

    mean: np.ndarray  # (d,) in the data's units
    covariance: np.ndarray  # (d, d) in the data's units, divided by the mass
    mass: float  # Σ_i w_i
    fourth: float
    between: np.ndarray | None = None  # (d,) shares of variance between groups


class Affine(NamedTuple):
    """The map x → linear x + shift."""

    linear: np.ndarray  # (d, d), or (d,) for a diagonal
    shift: np.ndarray  # (d,)


def common_units(variances0: np.ndarray, variances1: np.ndarray) -> np.ndarray:
    """Return u_j = √(mean of the two variances of feature j); 1 where both are 0."""
    units = np.sqrt(0.5 * np.asarray(variances0) + 0.5 * np.asarray(variances1))
    return np.where(units > 0.0, units, 1.0)


def ledoit_wolf(covariance: np.ndarray, mass: float, fourth: float) -> np.ndarray:
    r"""Return the covariance of Ledoit and Wolf from moments.

    .. math::
        (1 - \beta / \delta) S + (\beta / \delta)\, \mu I, \qquad
        \mu = \mathrm{tr} S / d, \quad \delta = \|S - \mu I\|^2, \quad
        \beta = \frac{1}{n}\Big(\frac{1}{n} \sum_i w_i \|x_i - m\|^4 - \|S\|^2\Big)

    with β at most δ, and n the sum of the weights.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        S, divided by n.
    mass : float
        n.
    fourth : float
        The sum of the fourth powers of the lengths of centred rows.

    Returns
    -------
    covariance : ndarray of shape (d, d), float64

    References
    ----------
    Ledoit and Wolf (2004), doi 10.1016/S0047-259X(03)00096-4.
    """
    covariance = np.asarray(covariance, dtype=np.float64)
    d = len(covariance)
    eye = np.eye(d)
    level = np.trace(covariance) / d
    spread = np.square(covariance - level * eye).sum()
    noise = (fourth / mass - np.square(covariance).sum()) / mass
    share = min(max(noise, 0.0), spread) / spread if spread > 0.0 else 0.0
    return (1.0 - share) * covariance + share * level * eye


def linear_alignment(
    source: DomainMoments, target: DomainMoments, units: np.ndarray
) -> Affine:
    r"""Return the linear Gaussian optimal map between two domains.

    With covariances that are shrunk in units u of the features, and told in units v,

    .. math:: T = S_0^{-1/2} (S_0^{1/2} S_1 S_0^{1/2})^{1/2} S_0^{-1/2}, \qquad
        v_j = u_j \sqrt{\frac{1 - s_j}{s_j}}

    with s the mean of the two domains' shares of variance between groups. Among all
    maps that match the covariances the optimal one moves rows least; moving a feature
    that tells groups apart counts more than one of noise. Without shares v is u.

    Parameters
    ----------
    source, target : DomainMoments
    units : ndarray of shape (d,)
        u, from `common_units`.

    Returns
    -------
    alignment : Affine
        From the data's units to the data's units.
    """
    scales = np.outer(units, units)
    shrunk = np.stack(
        [
            ledoit_wolf(side.covariance / scales, side.mass, side.fourth)
            for side in (source, target)
        ]
    )
    weights = _weights(source, target)
    weighted = shrunk * np.outer(weights, weights)
    first = np.zeros(1, dtype=np.intp)
    linear = pair_maps(weighted[:1], weighted[1:], first, first)[0]
    told = units / weights
    linear = linear * (told[:, None] / told)
    return Affine(linear, target.mean - linear @ source.mean)


def _weights(source: DomainMoments, target: DomainMoments) -> np.ndarray:
    """√(s / (1 - s)), with s the share of variance between groups; 1 if unknown."""
    if source.between is None or target.between is None:
        return np.ones(len(source.mean))
    shares = 0.5 * source.between + 0.5 * target.between
    shares = np.clip(shares, _LEAST_SHARE, 1.0 - _LEAST_SHARE)
    return np.sqrt(shares / (1.0 - shares))


def scale_alignment(source: DomainMoments, target: DomainMoments) -> Affine:
    """Return the map that gives each feature the target's mean and deviation.

    A feature without variance on either side is shifted only.
    """
    roots = [np.sqrt(diagonals(side.covariance)) for side in (source, target)]
    usable = (roots[0] > 0.0) & (roots[1] > 0.0)
    slopes = np.divide(roots[1], roots[0], out=np.ones(len(roots[0])), where=usable)
    return Affine(slopes, target.mean - slopes * source.mean)
