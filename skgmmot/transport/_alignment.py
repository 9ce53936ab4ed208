"""Factors of one mixture rotated towards those of another: costs and descent at once.

For factors Σ = L Lᵀ and the rotation Q that brings L1 Q nearest to L0, L1 Q is the
image T L0 of the factor under the optimal map. Its distance from L0 is the cost, and a
weighted mean of images is a factor of the Gaussian that is pushed by the mean of maps:
no inverse, so that singular covariances are no special case.

A Gaussian is a point here, an array (d + 1, d): its mean, and below it its factor. The
squared distance between a point and an image is that between Gaussians.
"""

import numpy as np

from skgmmot.linalg._bures import rotations
from skgmmot.linalg._spd import factor, transpose


def as_points(means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return the Gaussians of a checked mixture as points (K, d + 1, d), float64."""
    return np.concatenate([means[:, None], factor(covariances)], axis=1)


def as_gaussians(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means (..., d) and covariances (..., d, d) of points."""
    factors = points[..., 1:, :]
    return points[..., 0, :], factors @ transpose(factors)


def align(points0: np.ndarray, points1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images and costs of pairs of points, or of stacks that broadcast.

    Parameters
    ----------
    points0, points1 : ndarray of shape (..., d + 1, d)
        Broadcast against each other.

    Returns
    -------
    images : ndarray of shape (..., d + 1, d)
        The second points, their factors rotated towards the first.
    costs : ndarray of shape (...,)
        Squared distances between the Gaussians.
    """
    left, right = points0[..., 1:, :], points1[..., 1:, :]
    rotated = rotations(left, right)
    images = np.empty(rotated.shape[:-2] + points1.shape[-2:])
    images[..., 0, :] = points1[..., 0, :]
    np.matmul(right, rotated, out=images[..., 1:, :])
    gaps = points0 - images
    return images, np.einsum("...ij,...ij->...", gaps, gaps)


def mean_images(coefficients: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return Σ_l c_kl images_kl.

    Parameters
    ----------
    coefficients : ndarray of shape (K0, K1)
        Rows of sum 1 for means.
    images : ndarray of shape (K0, K1, d + 1, d)
        From `align`.

    Returns
    -------
    points : ndarray of shape (K0, d + 1, d)
    """
    k0, k1, rows, d = images.shape
    points = coefficients[:, None] @ images.reshape(k0, k1, rows * d)
    return points.reshape(k0, rows, d)
