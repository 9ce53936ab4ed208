"""What samples as a whole say: the frames of their links, ridges, coordinates."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skgmmot._blocks import Blocks
from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._shrinkage import DomainMoments, common_units
from skgmmot.linalg._spd import diagonals
from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._records import Link, dense_form
from skgmmot.mixture.coupled._starts import Coordinates, Sample
from skgmmot.mixture.coupled._tree import Branch, branches, root_of
from skgmmot.transport._cells import between_shares
from skgmmot.transport._frame import (
    Frame,
    frame_of,
    mixture_moments,
    moved_covariances,
    passages,
)

_ROUNDING = 8.0 * np.finfo(np.float64).eps  # of a mean, that looks like a deviation


class Domains(NamedTuple):
    """Samples with the frames of their links, and the coordinates of their starts."""

    frames: tuple[Frame, ...]  # one a link
    links: tuple[Link, ...]
    samples: tuple[Sample, ...]
    ridges: tuple[np.ndarray, ...]  # (d,) each, added to the variances
    first_ridge: float  # of starts, in their coordinates: not less than these
    tree: tuple[Branch, ...]  # from the sample whose coordinates are the common ones

    def aligned_by(self, shifts: Sequence[np.ndarray]) -> "Domains":
        """Samples pooled where links move them by shifts, not by their means."""
        samples = list(self.samples)
        for branch in self.tree:
            if branch.link is None:
                continue
            shift = shifts[branch.link] if branch.forward else -shifts[branch.link]
            sample, parent = samples[branch.sample], samples[branch.parent]
            pooled = sample.pooled._replace(centre=parent.pooled.centre - shift)
            samples[branch.sample] = sample._replace(pooled=pooled)
        return self._replace(samples=tuple(samples))


def domains_of(
    blocks: Sequence[Blocks | None],
    known: Sequence[Mixture | None],
    links: Sequence[Link],
    align: str | None,
    cost_scale: Any,
    reg_covar: float,
) -> Domains:
    """Measure samples, each by its rows, or by a mixture where it has none.

    `links` say who is linked and how strongly; those returned have their frames. With
    cost_scale "auto" the ridge is reg_covar in units of the variance of each feature in
    its own sample, and starts are made in such units: no factor of a feature matters.
    With a number both are in the units of the data.
    """
    free = cost_scale == "auto"
    moments = _moments(blocks, known, full=align == "linear")
    frames = tuple(
        _frame(blocks, moments, link.first, link.second, align, cost_scale)
        for link in links
    )
    d = len(moments[0].mean)
    units = _units(moments) if free else [np.ones(d)] * len(moments)
    root = root_of(links)
    tree = tuple(branches(len(moments), links, root))
    ways = _ways(blocks, moments, frames, tree, root, align)
    scales = _pooled_scales(moments, ways) if free else np.ones(d)
    samples = tuple(
        Sample(
            side,
            Coordinates(_times(scales, way), sums.mean),
            Coordinates(1.0 / unit, sums.mean if free else np.zeros(d)),
        )
        for side, way, sums, unit in zip(blocks, ways, moments, units, strict=True)
    )
    ridges = tuple(reg_covar * np.square(unit) for unit in units)
    # Pooled units are of the mean variance: one is at most so many times that.
    widest = len(moments) * reg_covar if free else reg_covar
    framed = tuple(
        _link(link, frame, align, cost_scale)
        for link, frame in zip(links, frames, strict=True)
    )
    return Domains(frames, framed, samples, ridges, widest, tree)


def _link(link: Link, frame: Frame, align: str | None, cost_scale: Any) -> Link:
    metric = frame.metric if cost_scale == "auto" else float(cost_scale)
    if align == "shift":
        return link._replace(metric=metric, free_shift=True)
    if align is None:
        return link._replace(metric=metric)
    linear, shift = frame.alignment
    return link._replace(matrix=linear, shift=shift, metric=metric)


def _ways(
    blocks: Sequence[Blocks | None],
    moments: Sequence[DomainMoments],
    frames: Sequence[Frame],
    tree: Sequence[Branch],
    root: int,
    align: str | None,
) -> list[np.ndarray]:
    """Linear maps of all samples to the root, along the links."""
    ways = [np.ones(len(moments[0].mean))] * len(moments)
    for sample, parent, link, forward in tree:
        if link is None:
            frame = _frame(blocks, moments, sample, root, align, 1.0)
        else:
            frame = frames[link]
        there, back = passages(frame)
        way = there if forward else back
        ways[sample] = _times(ways[parent], way.whole.linear)
    return ways


def _times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product of matrices, each (d, d), or (d,) for a diagonal."""
    if left.ndim == 2:
        return left @ right if right.ndim == 2 else left * right
    return left[:, None] * right if right.ndim == 2 else left * right


def _pooled_scales(
    moments: Sequence[DomainMoments], ways: Sequence[np.ndarray]
) -> np.ndarray:
    """What makes the mean variance of the samples at the root 1; 1 where it is 0."""
    variances = np.mean(
        [
            diagonals(moved_covariances(side.covariance[None], way)[0])
            for side, way in zip(moments, ways, strict=True)
        ],
        axis=0,
    )
    sizes = np.max([np.abs(side.mean) for side in moments], axis=0)
    used = variances > np.square(_ROUNDING * sizes)
    return np.where(used, 1.0 / np.sqrt(np.where(used, variances, 1.0)), 1.0)


def _units(moments: Sequence[DomainMoments]) -> list[np.ndarray]:
    """Deviation of each feature in its sample; of all where it has none; or 1."""
    variances = []
    for side in moments:
        own = diagonals(side.covariance)
        rounding = np.square(_ROUNDING * np.abs(side.mean))
        variances.append(np.where(own > rounding, own, 0.0))
    common = np.sqrt(np.mean(variances, axis=0))
    common = np.where(common > 0.0, common, 1.0)
    return [np.where(own > 0.0, np.sqrt(own), common) for own in variances]


def _moments(
    blocks: Sequence[Blocks | None], known: Sequence[Mixture | None], full: bool
) -> list[DomainMoments]:
    moments = []
    for side, mixture in zip(blocks, known, strict=True):
        if side is not None:
            mean, variances = side.mean_and_variances()
            covariance = np.diag(variances)
            if full:
                covariance = side.scatter(mean) / side.mass
            between = between_shares(side) if full else None
            moments.append(DomainMoments(mean, covariance, side.mass, 0.0, between))
        elif mixture is not None:
            moments.append(mixture_moments(mixture))
    return moments


def _frame(
    blocks: Sequence[Blocks | None],
    moments: Sequence[DomainMoments],
    first: int,
    second: int,
    align: str | None,
    cost_scale: Any,
) -> Frame:
    """The frame of two samples; fourth moments are in their common units."""
    pair = [moments[first], moments[second]]
    if align == "linear":
        units = common_units(*(diagonals(side.covariance) for side in pair))
        for i, t in enumerate((first, second)):
            rows = blocks[t]
            if rows is not None:
                fourth = rows.fourth_moment(pair[i].mean, units)
                pair[i] = pair[i]._replace(fourth=fourth)
    return frame_of(pair[0], pair[1], align, cost_scale)


def dense_mixture(kind: Any, parameters: Parameters) -> Mixture:
    """Parameters of a covariance type as a mixture of dense covariances."""
    covariances = dense_form(kind, parameters.covariances, parameters.means)
    if not kind.full_form:
        covariances = covariances[:, :, None] * np.eye(covariances.shape[1])
    return Mixture(parameters.weights, parameters.means, covariances)
