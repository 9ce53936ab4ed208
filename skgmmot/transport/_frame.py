"""Where two domains are compared: after one was moved onto the other, free of units.

A frame holds an affine map that brings the source onto the target as a whole, and a
metric, one number for each feature: costs compare D^-1/2 (A x + b) with D^-1/2 y.
"""

from typing import Any, NamedTuple

import numpy as np

from skgmmot._blocks import Blocks
from skgmmot.linalg._bures import squared_distances
from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._shrinkage import (
    Affine,
    DomainMoments,
    common_units,
    linear_alignment,
    scale_alignment,
)
from skgmmot.linalg._spd import diagonals
from skgmmot.transport._cells import between_shares

ALIGNMENTS = ("shift", "scale", "linear")
_ROUNDING = 8.0 * np.finfo(np.float64).eps


class Frame(NamedTuple):
    """An alignment from the source to the target, and the units of costs after it."""

    alignment: Affine
    metric: np.ndarray  # (d,) squared units; inf: a feature that takes no part

    @property
    def scales(self) -> np.ndarray:
        """What brings features to the units of costs, (d,).

        A feature that takes no part keeps its own unit, where maps are concerned.
        """
        used = np.isfinite(self.metric)
        return 1.0 / np.sqrt(np.where(used, self.metric, 1.0))


class Passage(NamedTuple):
    """Coordinates in which components are compared, and the way of a whole domain.

    Maps are computed between C x for the side that is left and C' y for the other, and
    told by C'^-1: so they are optimal in the units of the costs.
    """

    left: np.ndarray  # C: (d,) or (d, d)
    entered: np.ndarray  # C'
    back: np.ndarray  # the inverse of C'
    whole: Affine


def passages(frame: Frame) -> tuple[Passage, Passage]:
    """The ways from the source to the target and back."""
    (linear, shift), scales = frame.alignment, frame.scales
    inverse = inverse_linear(linear)
    if linear.ndim == 2:
        aligned, undone = scales[:, None] * linear, inverse / scales
        home = Affine(inverse, -inverse @ shift)
    else:
        aligned, undone = scales * linear, inverse / scales
        home = Affine(inverse, -inverse * shift)
    there = Passage(aligned, scales, 1.0 / scales, frame.alignment)
    return there, Passage(scales, aligned, undone, home)


def inverse_linear(linear: np.ndarray) -> np.ndarray:
    """The inverse of the matrix of an alignment, in its own form."""
    if linear.ndim == 1:
        return 1.0 / linear
    try:
        return np.linalg.inv(linear)
    except np.linalg.LinAlgError:  # domains that are known, and flat
        return np.linalg.pinv(linear)


def row_moments(
    *sides: Blocks, units: np.ndarray | None = None, grouped: bool = False
) -> tuple[DomainMoments, ...]:
    """Mean, covariance, mass and fourth moment of the rows of two domains.

    `units` are those of the fourth moment; None: the common ones of the two domains.
    `grouped`: shares of variance between groups too, which take some passes.
    """
    pairs = [side.mean_and_variances() for side in sides]
    if units is None:
        units = common_units(*(variances for _, variances in pairs))
    moments = []
    for side, (mean, _) in zip(sides, pairs, strict=True):
        fourth = side.fourth_moment(mean, units)
        covariance = side.scatter(mean) / side.mass
        between = between_shares(side) if grouped else None
        moments.append(DomainMoments(mean, covariance, side.mass, fourth, between))
    return tuple(moments)


def mixture_moments(mixture: Mixture) -> DomainMoments:
    """Moments of a mixture, which is known: of infinite mass, so never shrunk.

    Its groups are its components.
    """
    weights, means, covariances = (np.asarray(x, np.float64) for x in mixture)
    mean = weights @ means
    offsets = means - mean
    covariance = np.einsum("k,kij->ij", weights, covariances)
    apart = (weights[:, None] * offsets).T @ offsets
    covariance += apart
    variances = diagonals(covariance)
    between = np.divide(
        diagonals(apart), variances, out=np.zeros(len(mean)), where=variances > 0.0
    )
    return DomainMoments(mean, covariance, np.inf, 0.0, between)


def frame_of(
    source: DomainMoments, target: DomainMoments, align: str | None, cost_scale: Any
) -> Frame:
    r"""Return the frame that two domains as a whole ask for.

    Parameters
    ----------
    source, target : DomainMoments
    align : {"shift", "scale", "linear"} or None
        For "shift" the difference of the means, from which `cheapest_shift` starts.
    cost_scale : "auto" or float
        "auto": :math:`d\, u_j^2`, with :math:`u_j^2` the mean of the two variances of
        feature j after the move and d the number of features that have any, so that a
        cost is a mean over features. Features without variance get infinity.

    Returns
    -------
    frame : Frame
    """
    d = len(source.mean)
    alignment = Affine(np.ones(d), np.zeros(d))
    if align == "shift":
        alignment = Affine(np.ones(d), target.mean - source.mean)
    elif align == "scale":
        alignment = scale_alignment(source, target)
    elif align == "linear":
        units = common_units(diagonals(source.covariance), diagonals(target.covariance))
        alignment = linear_alignment(source, target, units)
    if cost_scale != "auto":
        return Frame(alignment, np.full(d, float(cost_scale)))
    moved = moved_covariances(source.covariance[None], alignment.linear)[0]
    variances = 0.5 * diagonals(moved) + 0.5 * diagonals(target.covariance)
    sizes = np.maximum(np.abs(source.mean), np.abs(target.mean))
    used = variances > np.square(_ROUNDING * sizes)
    metric = np.where(used, variances * max(int(np.count_nonzero(used)), 1), np.inf)
    return Frame(alignment, metric)


def moved_means(means: np.ndarray, alignment: Affine) -> np.ndarray:
    """A m + b of means (K, d), in float64."""
    linear, shift = alignment
    means = np.asarray(means, dtype=np.float64)
    return (means @ linear.T if linear.ndim == 2 else means * linear) + shift


def moved_covariances(covariances: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """A C Aᵀ of covariances (K, d, d); A is (d, d), or (d,) for a diagonal."""
    covariances = np.asarray(covariances, dtype=np.float64)
    if linear.ndim == 1:
        return covariances * np.outer(linear, linear)
    return linear @ covariances @ linear.T


def gaps_and_spreads(
    source: Mixture, target: Mixture, frame: Frame
) -> tuple[np.ndarray, np.ndarray]:
    """What the costs in a frame are made of.

    Returns
    -------
    gaps : ndarray of shape (K0, K1, d)
        m'_l - (A m_k + b), in the data's units.
    spreads : ndarray of shape (K0, K1)
        Costs of components of equal means.
    """
    moved = moved_means(source.means, frame.alignment)
    gaps = target.means.astype(np.float64) - moved[:, None]
    weights = 1.0 / np.sqrt(frame.metric)  # 0 where a feature takes no part
    left = moved_covariances(source.covariances, frame.alignment.linear)
    pair = [
        covariances * np.outer(weights, weights)
        for covariances in (left, target.covariances.astype(np.float64))
    ]
    zeros = [np.zeros(covariances.shape[:2]) for covariances in pair]
    spreads = squared_distances(zeros[0], pair[0], zeros[1], pair[1])
    return gaps, spreads
