"""Factors of one mixture rotated towards those of another: costs and descent at once.

For factors Σ = L Lᵀ and the rotation Q that brings L1 Q nearest to L0, L1 Q is the
image T L0 of the factor under the optimal map. Its distance from L0 is the cost, and a
weighted mean of images is a factor of the Gaussian that is pushed by the mean of maps:
no inverse, so that singular covariances are no special case.
"""

from typing import NamedTuple

import numpy as np

from skgmmot.linalg._bures import rotations
from skgmmot.linalg._spd import factor


class Cloud(NamedTuple):
    """Gaussians by means (K, d) and factors (K, d, d), float64."""

    means: np.ndarray
    factors: np.ndarray


class Alignment(NamedTuple):
    """Pairs of two clouds: costs (K0, K1), images L1 Q (K0, K1, d, d)."""

    costs: np.ndarray
    images: np.ndarray


def cloud(mixture):
    """Return the Gaussians of a checked mixture."""
    return Cloud(mixture.means.astype(np.float64), factor(mixture.covariances))


def align(source, target):
    """Return costs and images of all pairs of two clouds.

    Parameters
    ----------
    source, target : Cloud
        Of K0 and K1 Gaussians.

    Returns
    -------
    alignment : Alignment
    """
    left = source.factors[:, None]
    images = target.factors @ rotations(left, target.factors)
    gaps = (left - images).reshape(*images.shape[:2], -1)
    steps = source.means[:, None] - target.means
    costs = np.einsum("klp,klp->kl", gaps, gaps) + np.einsum(
        "klp,klp->kl", steps, steps
    )
    return Alignment(costs, images)


def pulled(coefficients, target, images):
    """Return Σ_l c_kl (m'_l, T_kl L_k): where the mean of the maps takes a source.

    Parameters
    ----------
    coefficients : ndarray of shape (K0, K1)
    target : Cloud
        Of K1 Gaussians.
    images : ndarray of shape (K0, K1, d, d)
        From `align`.

    Returns
    -------
    images : Cloud
        Of K0 Gaussians; means of conditional distributions if the rows sum to 1.
    """
    k0, k1, d, _ = images.shape
    factors = coefficients[:, None] @ images.reshape(k0, k1, d * d)
    return Cloud(coefficients @ target.means, factors.reshape(k0, d, d))
