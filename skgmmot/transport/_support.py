"""What maps do with rows that lie outside the mixture they were fitted to."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from skgmmot._blocks import MemoryBlocks
from skgmmot.kernels import Gaussians

OUT_OF_SUPPORT = ("extrapolate", "shrink", "identity", "nan", "raise")


class Nearest(NamedTuple):
    """The component that is nearest to each row, and how far it is."""

    labels: np.ndarray  # (n,)
    squared: np.ndarray  # (n,) squared Mahalanobis distances


class SupportRule(NamedTuple):
    """When a row is outside, and what is done about it."""

    out_of_support: str = "extrapolate"
    level: float = 0.999
    numbers: np.ndarray | None = None  # of the rows in what the user gave


def nearest_components(
    X: np.ndarray, gaussians: Gaussians, n_threads: int | None = None
) -> Nearest:
    """Find the component of least Mahalanobis distance for each row.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    gaussians : Gaussians
        Their offsets are not read: the weights of components do not matter.
    n_threads : int or None

    Returns
    -------
    nearest : Nearest
        Distances in float64.
    """
    blocks = MemoryBlocks(X, n_threads=n_threads)
    labels = np.zeros(len(X), dtype=np.intp)
    squared = np.full(len(X), np.inf)
    for k in range(len(gaussians.means)):
        # The log-density of one component with offset 0 is minus half its distance.
        part = slice(k, k + 1)
        alone = Gaussians(np.zeros(1), gaussians.means[part], gaussians.whiteners[part])
        distances = -2.0 * blocks.log_density(alone)
        nearer = distances < squared
        squared[nearer] = distances[nearer]
        labels[nearer] = k
    return Nearest(labels, np.maximum(squared, 0.0))


def support_score(
    X: np.ndarray, gaussians: Gaussians, n_threads: int | None = None
) -> np.ndarray:
    r"""Return how far rows lie from the nearest component, as a probability.

    .. math:: F_{\chi^2_d}\left(\min_k\, (x - m_k)^T \Sigma_k^{-1} (x - m_k)\right)

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    gaussians : Gaussians
    n_threads : int or None

    Returns
    -------
    scores : ndarray of shape (n_samples,), float64
        0 at the mean of a component; rows of a single Gaussian have uniform scores.
    """
    squared = nearest_components(X, gaussians, n_threads).squared
    return chi2.cdf(squared, gaussians.means.shape[1])


def move_supported(
    X: np.ndarray,
    gaussians: Gaussians,
    move: Callable[[np.ndarray], np.ndarray],
    move_as_whole: Callable[[np.ndarray], np.ndarray],
    rule: SupportRule,
    n_threads: int | None = None,
) -> np.ndarray:
    """Move rows, those outside the mixture as the rule says.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    gaussians : Gaussians
        Of the mixture that the rows belong to.
    move : callable
        The map, from rows to rows.
    move_as_whole : callable
        The affine part that holds for the whole domain: rows go through it only under
        "identity", and beyond the edge of the support under "shrink".
    rule : SupportRule
    n_threads : int or None

    Returns
    -------
    moved : ndarray of shape (n_samples, n_features)

    Raises
    ------
    ValueError
        Under "raise", if a row is outside.
    """
    if rule.out_of_support == "extrapolate" or not len(X):
        return move(X)
    nearest = nearest_components(X, gaussians, n_threads)
    edge = chi2.ppf(rule.level, X.shape[1])
    outside = np.flatnonzero(nearest.squared > edge)
    if not len(outside):
        return move(X)
    if rule.out_of_support == "raise":
        first = outside[0] if rule.numbers is None else rule.numbers[outside[0]]
        raise ValueError(
            f"X: expected rows inside the support of their mixture, got {len(outside)} "
            f"of {len(X)} beyond support_level={rule.level:g} (row {first} the "
            "first); raise support_level, or set out_of_support to 'shrink', "
            "'identity' or 'nan'."
        )
    if rule.out_of_support == "shrink":
        return _shrunk(X, gaussians, move, move_as_whole, (nearest, outside, edge))
    moved = move(X)
    # The map of far rows may be anything: it is replaced, not corrected.
    far = rule.out_of_support == "identity"
    moved[outside] = move_as_whole(X[outside]) if far else np.nan
    return moved


def _shrunk(
    X: np.ndarray,
    gaussians: Gaussians,
    move: Callable[[np.ndarray], np.ndarray],
    move_as_whole: Callable[[np.ndarray], np.ndarray],
    found: tuple[Nearest, np.ndarray, float],
) -> np.ndarray:
    """The map at the edge of the nearest ellipsoid, and from there on the whole's."""
    nearest, outside, edge = found
    centers = gaussians.means[nearest.labels[outside]]
    # Just inside, so that rounding leaves the edge itself in the support.
    lengths = np.sqrt(edge / nearest.squared[outside])[:, None]
    at_edge = (centers + lengths * (X[outside] - centers)).astype(X.dtype)
    inside = X.copy()
    inside[outside] = at_edge
    moved = move(inside)
    moved[outside] += move_as_whole(X[outside]) - move_as_whole(at_edge)
    return moved


def clipped_slopes(linear: np.ndarray, max_slope: float | None) -> np.ndarray:
    """Return linear maps whose singular values are at most max_slope.

    Parameters
    ----------
    linear : ndarray of shape (P, d, d), or (P, d) for diagonals
    max_slope : float or None
        None: as they are.

    Returns
    -------
    linear : ndarray of the same shape
        Maps that stretch by less are returned as they are, to the bit.
    """
    if max_slope is None:
        return linear
    if linear.ndim == 2:
        return np.clip(linear, -max_slope, max_slope)
    left, values, right = np.linalg.svd(linear)
    steep = np.asarray((values > max_slope).any(axis=-1))
    clipped = (left * np.minimum(values, max_slope)[..., None, :]) @ right
    return np.where(steep[..., None, None], clipped, linear)


def largest_slope(linear: np.ndarray) -> float:
    """Return the largest singular value of linear maps; 0 where there are none."""
    if not linear.size:
        return 0.0
    if linear.ndim == 2:
        return float(np.abs(linear).max())
    return float(np.linalg.norm(linear, ord=2, axis=(-2, -1)).max())
