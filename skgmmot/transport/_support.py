"""What maps do with rows that lie outside the mixture they were fitted to."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from scipy.stats import chi2

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import (
    Rows,
    everywhere,
    has_any,
    in_type_of,
    like_rows_of,
    replaced,
)
from skgmmot.kernels import Gaussians, is_device_array

_ROUNDING = 1e-17  # part of the mass that does not show

OUT_OF_SUPPORT = ("extrapolate", "shrink", "identity", "nan", "raise")


class Nearest(NamedTuple):
    """The component that is nearest to each row, and how far it is."""

    labels: Any  # (n,)
    squared: Any  # (n,) squared Mahalanobis distances


class SupportRule(NamedTuple):
    """When a row is outside, and what is done about it."""

    out_of_support: str = "extrapolate"
    level: float = 0.999
    leaving: Any = None  # which rows of what the user gave these are, a mask


def nearest_components(
    X: Rows, gaussians: Gaussians, n_threads: int | None = None
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
    xp, blocks = array_namespace(X), blocks_of(X, n_threads=n_threads)
    labels, squared = everywhere(X, 0), everywhere(X, np.inf)
    for k in range(len(gaussians.means)):
        # The log-density of one component with offset 0 is minus half its distance.
        part = slice(k, k + 1)
        alone = Gaussians(np.zeros(1), gaussians.means[part], gaussians.whiteners[part])
        distances = -2.0 * blocks.log_density(alone)
        nearer = distances < squared
        squared = xp.where(nearer, distances, squared)
        labels = xp.where(nearer, like_rows_of(X, np.asarray(k)), labels)
    return Nearest(labels, xp.where(squared > 0.0, squared, xp.zeros_like(squared)))


def support_score(X: Rows, gaussians: Gaussians, n_threads: int | None = None) -> Any:
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
    return _chi_square(squared, gaussians.means.shape[1])


def _chi_square(squared: Any, d: int) -> Any:
    r"""Distribution function of the squared lengths of standard normal rows.

    .. math:: P(a, x) = x^a e^{-x} \sum_n x^n / \Gamma(a + n + 1), a = d / 2

    at half the squares: the standard of arrays has no incomplete gamma function.
    """
    if not is_device_array(squared):
        return chi2.cdf(squared, d)
    xp, a = array_namespace(squared), 0.5 * d
    largest = 0.5 * float(chi2.isf(_ROUNDING, d))  # where all but rounding is below
    x = xp.clip(0.5 * squared, 0.0, largest)
    term = xp.exp(a * xp.log(x) - x - math.lgamma(a + 1.0))
    total, n, last = term, 0, 1.0
    while last > _ROUNDING:
        n += 1
        term = term * (x / (a + n))
        total = total + term
        last *= largest / (a + n)  # of the terms of the largest x, beside its first
    return xp.clip(total, 0.0, 1.0)


def move_supported(
    X: Rows,
    gaussians: Gaussians,
    move: Callable[[Rows], Rows],
    move_as_whole: Callable[[Rows], Rows],
    rule: SupportRule,
    n_threads: int | None = None,
) -> Rows:
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
    if rule.out_of_support == "extrapolate" or not X.shape[0]:
        return move(X)
    nearest = nearest_components(X, gaussians, n_threads)
    edge = float(chi2.ppf(rule.level, X.shape[1]))
    outside = nearest.squared > edge
    if not has_any(outside):
        return move(X)
    if rule.out_of_support == "raise":
        raise ValueError(_refusal(outside, rule))
    if rule.out_of_support == "shrink":
        return _shrunk(X, gaussians, move, move_as_whole, (nearest, outside, edge))
    moved = move(X)
    # The map of far rows may be anything: it is replaced, not corrected.
    far = rule.out_of_support == "identity"
    return replaced(moved, outside, move_as_whole(X[outside]) if far else np.nan)


def _refusal(outside: Any, rule: SupportRule) -> str:
    xp = array_namespace(outside)
    number = int(xp.sum(xp.astype(outside, xp.int64)))
    first = int(xp.argmax(xp.astype(outside, xp.int64)))
    if rule.leaving is not None:
        first = int(xp.nonzero(rule.leaving)[0][first])
    return (
        f"X: expected rows inside the support of their mixture, got {number} "
        f"of {outside.shape[0]} beyond support_level={rule.level:g} (row {first} the "
        "first); raise support_level, or set out_of_support to 'shrink', "
        "'identity' or 'nan'."
    )


def _shrunk(
    X: Rows,
    gaussians: Gaussians,
    move: Callable[[Rows], Rows],
    move_as_whole: Callable[[Rows], Rows],
    found: tuple[Nearest, Any, float],
) -> Rows:
    """The map at the edge of the nearest ellipsoid, and from there on the whole's."""
    nearest, outside, edge = found
    xp, rows = array_namespace(X), X[outside]
    means = like_rows_of(X, gaussians.means)
    centers = xp.take(means, nearest.labels[outside], axis=0)
    # Just inside, so that rounding leaves the edge itself in the support.
    lengths = xp.sqrt(edge / nearest.squared[outside])[:, None]
    at_edge = in_type_of(centers + lengths * (rows - centers), X)
    moved = move(replaced(X, outside, at_edge))
    beyond = move_as_whole(rows) - move_as_whole(at_edge)
    return replaced(moved, outside, moved[outside] + beyond)


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
