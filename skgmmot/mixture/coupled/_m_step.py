"""M-step of coupled mixtures: one mixture a sample, a transport term for each link.

The function to be raised, for moments (n_k, mean, scatter) of each sample, is

    Q = sum_samples sum_k n_k [log pi_k - log det S_k / 2 - tr(S_k^-1 A_k) / 2]
        - transport_weight sum_links weight OT(mixture_first, mixture_second),
    A_k = scatter_k + reg_covar I + (mean_k - m_k)(mean_k - m_k)^T.

Minus OT is a maximum over plans, and minus each squared Bures distance a maximum over
rotations: everything is maximised, and no block of it lowers Q.  A sweep is

1. rotations and costs of all links, by batched SVDs (`_links`);
2. all weights and plans for these costs (`_weights`);
3. means and covariances of all samples together for these plans and rotations
   (`_newton`).

Sweeps end with 1 and 2, so that the plans are those of the parameters returned.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._links import (
    Comparison,
    LinkFrame,
    LinkTerm,
    compare,
    coupling_matrix,
    link_frames,
)
from skgmmot.mixture.coupled._newton import (
    WhitenedMoments,
    newton_step,
    whiten_moments,
)
from skgmmot.mixture.coupled._records import (
    AffineMaps,
    CoupledProblem,
    Coupling,
    Link,
    LinkPlan,
    SampleMoments,
    StackedMoments,
    link_penalties,
    orthogonal_roots,
    own_centres,
    sample_slices,
    stacked,
    stacked_moments,
    unstacked,
)
from skgmmot.mixture.coupled._weights import (
    WeightsProgramme,
    WeightsSolution,
    evaluate_programme,
    solve_programme,
    weights_programme,
)
from skgmmot.transport._plan import TransportPlan, solve_plan
from skgmmot.transport._shift import ShiftedPlan, cheapest_shift

Shifts = Sequence[np.ndarray | None]  # one a link, in the data's units

# A gain of less than this share of 1 + |Q| is rounding.
_ROUNDING = 1e-15


class _Point(NamedTuple):
    # All variables, and the loss -Q at them.
    maps: AffineMaps
    whitened: WhitenedMoments
    solution: WeightsSolution
    rotations: list[np.ndarray]  # one a link
    costs: list[np.ndarray]  # one a link, squared distances
    shifts: list[np.ndarray | None]  # one a link, where free, in units of its metric
    loss: float

    @property
    def starts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(self.solution.plans, self.solution.slacks, strict=True))


class _Whole(NamedTuple):
    # What stays the same during one M-step.
    moments: StackedMoments
    programme: WeightsProgramme
    frames: list[LinkFrame]
    problem: CoupledProblem
    ends: list[tuple[slice, slice]]  # components of either side of each link


def m_step(
    moments: Sequence[SampleMoments],
    samples: Sequence[Parameters],
    problem: CoupledProblem,
    coupling: Coupling | None = None,
    shifts: Shifts | None = None,
) -> tuple[tuple[Parameters, ...], Coupling | None]:
    """Raise Q from the parameters given, and never lower it.

    Without links, or with `transport_weight` 0, this is the plain M-step of every
    sample.

    Parameters
    ----------
    moments : list of SampleMoments
    samples : list of Parameters
        Where to start: the mixtures that the moments were taken with.
    problem : CoupledProblem
    coupling : Coupling, default=None
        From the last M-step: its plans are where this one starts.  Without it the plain
        M-step is a second place to start from, and the better one is taken.
    shifts : list of ndarray of shape (d,), default=None
        Where no coupling is given, shifts of the links near which the best are.

    Returns
    -------
    samples : tuple of Parameters
    coupling : Coupling
        None where no plan is needed.

    Raises
    ------
    ValueError
        If a covariance or a scatter with its ridge is singular.

    Notes
    -----
    Links are taken as they are: `check_links` is called once a fit, not every step.
    """
    slices = sample_slices(samples)
    stack = stacked_moments(moments, problem)
    old = stacked(samples, stack.centres, problem.kind)
    plain = _plain(stack, old)
    programme = weights_programme(samples, stack, slices, problem)
    if not problem.is_coupled:
        return unstacked(
            plain, programme.weights, stack.centres, samples, problem
        ), None
    frames = link_frames(problem, slices, stack.centres)
    ends = [(slices[link.first], slices[link.second]) for link in problem.links]
    whole = _Whole(stack, programme, frames, problem, ends)
    start = _start(whole, old, plain, coupling, shifts)
    point, n_sweeps = _sweeps(whole, start, problem)
    result = unstacked(
        point.maps, point.solution.weights, stack.centres, samples, problem
    )
    return result, _coupling(whole, point, start.loss - point.loss, n_sweeps)


def transport_plans(
    samples: Sequence[Parameters],
    problem: CoupledProblem,
    warn: bool = True,
    shifts: Shifts | None = None,
) -> list[ShiftedPlan]:
    """Solve the transport programme of each link at given parameters.

    Parameters
    ----------
    samples : list of Parameters
    problem : CoupledProblem
    warn : bool, default=True
        Whether a plan that did not converge is told.
    shifts : list of ndarray of shape (d,), default=None
        Free shifts near which the best are.

    Returns
    -------
    plans : list of ShiftedPlan
        In units of the links' metrics: `value` is OT, `costs` are divided by the unit.
        The shift is the link's own, that which was found where it is free.
    """
    centres = own_centres(samples, problem.links)
    maps = stacked(samples, centres, problem.kind)
    frames = link_frames(problem, sample_slices(samples), centres)
    plans = []
    for i, (link, frame) in enumerate(zip(problem.links, frames, strict=True)):
        compared, shift = compare(maps, frame), None
        weights = samples[link.first].weights, samples[link.second].weights
        if frame.roots is not None:
            hint = None if shifts is None else shifts[i]
            hint = None if hint is None else hint / frame.roots
            shift = _cheapest(problem, link, compared, weights, hint)
        plan = _solved(problem, link, compared.costs(shift), weights, warn)
        known = np.zeros(centres.shape[1]) if link.shift is None else link.shift
        plans.append(ShiftedPlan(known if shift is None else _told(frame, shift), plan))
    return plans


def _solved(
    problem: CoupledProblem,
    link: Link,
    costs: np.ndarray,
    weights: tuple[np.ndarray, np.ndarray],
    warn: bool,
) -> TransportPlan:
    reg_m = link_penalties(problem, link)
    costs = costs / link.unit
    return solve_plan(costs, *weights, reg=problem.reg, reg_m=reg_m, warn=warn)


def _cheapest(
    problem: CoupledProblem,
    link: Link,
    compared: Comparison,
    weights: tuple[np.ndarray, np.ndarray],
    start: np.ndarray | None,
) -> np.ndarray:
    # The cheapest shift of a link at fixed weights, in units of its metric.
    return cheapest_shift(
        compared.gaps(link.unit),
        weights,
        reg=problem.reg,
        reg_m=link_penalties(problem, link),
        start=start,
    ).shift


def _told(frame: LinkFrame, shift: np.ndarray) -> np.ndarray:
    # In the data's units; a feature that takes no part stays.
    if frame.roots is None:
        return shift
    return np.where(np.isfinite(frame.roots), frame.roots, 0.0) * shift


def total_transport(problem: CoupledProblem, values: Sequence[float]) -> float:
    """Sum of link.weight OT."""
    return sum(
        link.weight * value for link, value in zip(problem.links, values, strict=True)
    )


def _coupling(whole: _Whole, point: _Point, gain: float, n_sweeps: int) -> Coupling:
    problem, solution = whole.problem, point.solution
    values = [
        value / (problem.transport_weight * link.weight)
        for value, link in zip(solution.transports, problem.links, strict=True)
    ]
    plans = [
        LinkPlan(
            plan,
            slack,
            costs / link.unit,
            value,
            None if shift is None else _told(frame, shift),
        )
        for link, frame, plan, slack, costs, value, shift in zip(
            problem.links,
            whole.frames,
            solution.plans,
            solution.slacks,
            point.costs,
            values,
            point.shifts,
            strict=True,
        )
    ]
    return Coupling(tuple(plans), total_transport(problem, values), gain, n_sweeps)


def _start(
    whole: _Whole,
    old: AffineMaps,
    plain: AffineMaps,
    coupling: Coupling | None,
    shifts: Shifts | None,
) -> _Point:
    # The old parameters with their plans; at first, the plain M-step if it is better.
    if coupling is not None:
        starts = [(plan.coupling, plan.slack) for plan in coupling.plans]
        known = _in_metric(whole, [plan.shift for plan in coupling.plans])
        return _point(whole, old, starts, known, solve=False)
    points = [
        _point(whole, maps, None, _first_shifts(whole, maps, shifts))
        for maps in (old, plain)
    ]
    return min(points, key=lambda point: point.loss)


def _in_metric(whole: _Whole, shifts: Shifts) -> list[np.ndarray | None]:
    return [
        None if frame.roots is None or shift is None else shift / frame.roots
        for frame, shift in zip(whole.frames, shifts, strict=True)
    ]


def _first_shifts(
    whole: _Whole, maps: AffineMaps, hints: Shifts | None
) -> list[np.ndarray | None]:
    # Cheapest for the weights that the data alone would have.
    found: list[np.ndarray | None] = []
    known = [None] * len(whole.frames) if hints is None else _in_metric(whole, hints)
    for link, frame, (first, second), hint in zip(
        whole.problem.links, whole.frames, whole.ends, known, strict=True
    ):
        if frame.roots is None:
            found.append(None)
            continue
        pair = whole.programme.weights[first], whole.programme.weights[second]
        found.append(_cheapest(whole.problem, link, compare(maps, frame), pair, hint))
    return found


def _point(
    whole: _Whole,
    maps: AffineMaps,
    starts: Sequence | None,
    shifts: Sequence[np.ndarray | None],
    solve: bool = True,
) -> _Point:
    # Parts 1 and 2 of a sweep. Free shifts are the best for the plans of `starts`.
    compared = [compare(maps, frame) for frame in whole.frames]
    if starts is not None:
        shifts = [
            None if shift is None else sides.best_shift(plan, shift)
            for sides, (plan, _), shift in zip(compared, starts, shifts, strict=True)
        ]
    costs = [sides.costs(v) for sides, v in zip(compared, shifts, strict=True)]
    nats = [f.rate * table for f, table in zip(whole.frames, costs, strict=True)]
    if solve or starts is None:
        solution = solve_programme(whole.programme, nats, starts)
    else:
        solution = evaluate_programme(whole.programme, nats, starts)
    whitened = whiten_moments(whole.moments, maps)
    loss = solution.loss + whitened.loss
    rotations = [sides.rotations for sides in compared]
    return _Point(maps, whitened, solution, rotations, costs, list(shifts), loss)


def _terms(whole: _Whole, point: _Point) -> list[LinkTerm]:
    return [
        LinkTerm(
            frame,
            coupling_matrix(frame.rate * plan, turned, frame.roots is not None),
        )
        for frame, plan, turned in zip(
            whole.frames, point.solution.plans, point.rotations, strict=True
        )
    ]


def _sweeps(
    whole: _Whole, start: _Point, problem: CoupledProblem
) -> tuple[_Point, int]:
    point = start
    for sweep in range(1, problem.max_sweeps + 1):
        maps, fall, expected = newton_step(
            whole.moments, point.maps, point.whitened, _terms(whole, point)
        )
        after = _point(whole, maps, point.starts, point.shifts)
        gain = point.loss - after.loss
        if gain <= _ROUNDING * (1 + abs(point.loss)):
            return (after if gain > 0 else point), sweep
        point = after
        # Little came of this sweep, or so much as foretold that little is left.
        wanted = problem.gain_fraction * (start.loss - point.loss)
        if gain < wanted or abs(gain - fall) + abs(fall - expected) < wanted:
            return point, sweep
    return point, problem.max_sweeps


def _plain(moments: StackedMoments, old: AffineMaps) -> AffineMaps:
    # The plain M-step: the moments themselves, but on a frozen sample.
    moving = moments.moving
    if moving.all():
        return AffineMaps(orthogonal_roots(moments.scatters), moments.means)
    factors = old.factors.copy()
    factors[:, moving] = orthogonal_roots(moments.scatters[:, moving])
    means = np.where(moving[:, None], moments.means, old.means)
    return AffineMaps(factors, means)
