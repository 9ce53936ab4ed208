"""What two domains as a whole say: the frame of their link, ridges, coordinates."""

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
from skgmmot.transport._frame import Frame, frame_of, mixture_moments, row_moments

_ROUNDING = 8.0 * np.finfo(np.float64).eps  # of a mean, that looks like a deviation


class Domains(NamedTuple):
    """Two samples with their frame, and the coordinates of their starts."""

    frame: Frame
    link: Link
    samples: tuple[Sample, Sample]
    ridges: tuple[np.ndarray, np.ndarray]  # (d,) each, added to the variances
    first_ridge: float  # of starts, in their coordinates: not less than these

    def aligned_by(self, shift: np.ndarray) -> "Domains":
        """Samples pooled where the source is moved by a shift, not by its mean."""
        source, target = self.samples
        pooled = source.pooled._replace(centre=target.pooled.centre - shift)
        return self._replace(samples=(source._replace(pooled=pooled), target))


def domains_of(
    blocks: Sequence[Blocks | None],
    known: Sequence[Mixture | None],
    align: str | None,
    cost_scale: Any,
    reg_covar: float,
) -> Domains:
    """Measure two domains, each by its rows, or by a mixture where it has none.

    With cost_scale "auto" the ridge is reg_covar in units of the variance of each
    feature in its own domain, and starts are made in such units: no factor of a feature
    matters. With a number both are in the units of the data.
    """
    moments = _moments(blocks, known, full=align == "linear")
    frame = frame_of(moments[0], moments[1], align, cost_scale)
    d = len(frame.metric)
    free = cost_scale == "auto"
    ridge = np.full(d, float(reg_covar))
    units = [np.ones(d)] * 2
    aligned = np.ones(d)
    if free:
        units = _units(moments)
        used = np.isfinite(frame.metric)
        aligned = frame.scales * np.where(used, np.sqrt(max(used.sum(), 1)), 1.0)
    linear = frame.alignment.linear
    source = aligned[:, None] * linear if linear.ndim == 2 else aligned * linear
    first, second = (
        Sample(
            side,
            Coordinates(matrix, sums.mean),
            Coordinates(1.0 / unit, sums.mean if free else np.zeros(d)),
        )
        for side, matrix, sums, unit in zip(
            blocks, (source, aligned), moments, units, strict=True
        )
    )
    ridges = ridge * np.square(units[0]), ridge * np.square(units[1])
    # Pooled units are of the mean of two variances: one is twice that at most.
    widest = 2.0 * reg_covar if free else reg_covar
    link = _link(frame, align, cost_scale)
    return Domains(frame, link, (first, second), ridges, widest)


def _link(frame: Frame, align: str | None, cost_scale: Any) -> Link:
    metric = frame.metric if cost_scale == "auto" else float(cost_scale)
    if align == "shift":
        return Link(0, 1, metric=metric, free_shift=True)
    if align is None:
        return Link(0, 1, metric=metric)
    return Link(0, 1, 1.0, frame.alignment.linear, frame.alignment.shift, metric)


def _units(moments: Sequence[DomainMoments]) -> list[np.ndarray]:
    """Deviation of each feature in its domain; of both where it has none; or 1."""
    variances = []
    for side in moments:
        own = diagonals(side.covariance)
        rounding = np.square(_ROUNDING * np.abs(side.mean))
        variances.append(np.where(own > rounding, own, 0.0))
    both = common_units(*variances)
    return [np.where(own > 0.0, np.sqrt(own), both) for own in variances]


def _moments(
    blocks: Sequence[Blocks | None], known: Sequence[Mixture | None], full: bool
) -> list[DomainMoments]:
    moments = []
    for side, mixture in zip(blocks, known, strict=True):
        if side is not None:
            mean, variances = side.mean_and_variances()
            moments.append(DomainMoments(mean, np.diag(variances), side.mass, 0.0))
        elif mixture is not None:
            moments.append(mixture_moments(mixture))
    if full:
        units = common_units(*(diagonals(side.covariance) for side in moments))
        for i, side in enumerate(blocks):
            if side is not None:
                (moments[i],) = row_moments(side, units=units)
    return moments


def dense_mixture(kind: Any, parameters: Parameters) -> Mixture:
    """Parameters of a covariance type as a mixture of dense covariances."""
    covariances = dense_form(kind, parameters.covariances, parameters.means)
    if not kind.full_form:
        covariances = covariances[:, :, None] * np.eye(covariances.shape[1])
    return Mixture(parameters.weights, parameters.means, covariances)
