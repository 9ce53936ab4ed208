"""Covariances of whole domains, shrunk, and the linear map from one to the other."""

from typing import NamedTuple

import numpy as np

from skgmmot.linalg._bures import pair_maps
from skgmmot.linalg._spd import diagonals


class DomainMoments(NamedTuple):
    """What a domain as a whole has to say, in units u_j of the features.

    `fourth` is Σ_i w_i ‖(x_i − mean) / u‖⁴, the one number that shrinkage needs beyond
    the covariance.
    """

    mean: np.ndarray  # (d,) in the data's units
    covariance: np.ndarray  # (d, d) in the data's units, divided by the mass
    mass: float  # Σ_i w_i
    fourth: float


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

    In units u of the features, with shrunk covariances,

    .. math:: T = S_0^{-1/2} (S_0^{1/2} S_1 S_0^{1/2})^{1/2} S_0^{-1/2}

    Parameters
    ----------
    source, target : DomainMoments
    units : ndarray of shape (d,)
        u, from `common_units`; optimality is in these.

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
    first = np.zeros(1, dtype=np.intp)
    linear = pair_maps(shrunk[:1], shrunk[1:], first, first)[0]
    linear = linear * (units[:, None] / units)
    return Affine(linear, target.mean - linear @ source.mean)


def scale_alignment(source: DomainMoments, target: DomainMoments) -> Affine:
    """Return the map that gives each feature the target's mean and deviation.

    A feature without variance on either side is shifted only.
    """
    roots = [np.sqrt(diagonals(side.covariance)) for side in (source, target)]
    usable = (roots[0] > 0.0) & (roots[1] > 0.0)
    slopes = np.divide(roots[1], roots[0], out=np.ones(len(roots[0])), where=usable)
    return Affine(slopes, target.mean - slopes * source.mean)
