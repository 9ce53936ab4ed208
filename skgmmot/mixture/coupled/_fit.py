"""The loop of EM for coupled mixtures.

Objective, to be maximised: sum of the samples' mean log-likelihoods - transport_weight
· sum of link.weight OT over the links, all samples counting equally whatever their
sizes (`_m_step`).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from skgmmot.kernels import Moments
from skgmmot.linalg._scatters import ILL_DEFINED
from skgmmot.mixture._em import Parameters, gaussians_of
from skgmmot.mixture._fit import Control
from skgmmot.mixture._squarem import Extrapolation
from skgmmot.mixture.coupled._graph_shifts import agreeing_shifts
from skgmmot.mixture.coupled._m_step import m_step, total_transport, transport_plans
from skgmmot.mixture.coupled._records import (
    CoupledProblem,
    Coupling,
    check_links,
    sample_moments,
)
from skgmmot.mixture.coupled._tree import Branch

_TRIAL_ITERATIONS = 4  # after which the start with the best objective is kept
_PLAIN_ITERATIONS = 10  # most fits are done by then, and a leap costs a plan

Point = tuple[Parameters, ...]  # one mixture a sample


class CoupledState(NamedTuple):
    """Mixtures with their moments and the objective at them."""

    point: Point
    moments: tuple[Moments | None, ...]  # None of a sample that has no rows
    objective: float
    coupling: Coupling | None = None  # that goes with the point, where it is known
    shifts: tuple[np.ndarray | None, ...] | None = None  # of the links, data's units


class CoupledFit(NamedTuple):
    """What a run found."""

    state: CoupledState
    bounds: list[float]  # the objective before each M-step
    converged: bool


def e_step(
    problem: CoupledProblem,
    point: Point,
    coupling: Coupling | None = None,
    shifts: Sequence[np.ndarray | None] | None = None,
) -> CoupledState:
    """Moments and objective; transport is solved unless `coupling` knows it.

    `shifts` are free shifts near which the best are, where it is solved.
    """
    moments = tuple(
        None if blocks is None else blocks.moments(gaussians_of(side, problem.kind))
        for blocks, side in zip(problem.blocks, point, strict=True)
    )
    value = sum(m.log_likelihood / m.mass for m in moments if m is not None)
    if problem.is_coupled:
        if coupling is None:
            plans = transport_plans(point, problem, warn=False, shifts=shifts)
            shifts = [plan.shift for plan in plans]
            values = [plan.plan.value for plan in plans]
            transport = total_transport(problem, values)
        else:
            transport = coupling.transport
            shifts = [plan.shift for plan in coupling.plans]
        value -= problem.transport_weight * transport
    known = None if shifts is None else tuple(shifts)
    return CoupledState(point, moments, value, coupling, known)


def _step(
    problem: CoupledProblem, state: CoupledState
) -> tuple[Point, Coupling | None]:
    """The point after an M-step, and its coupling."""
    moments = [
        sample_moments(sample, parameters, problem.kind)
        for sample, parameters in zip(state.moments, state.point, strict=True)
    ]
    return m_step(moments, state.point, problem, state.coupling, state.shifts)


def run_coupled(
    problem: CoupledProblem, state: CoupledState, control: Control
) -> CoupledFit:
    """Iterate until a plain step raises the objective by less than tol.

    reg_covar is no part of the objective, so that a step may lower it by a little:
    the fit then ends with the point before that step.
    """
    bounds, former = [], None
    extrapolation = Extrapolation(problem.kind)
    previous, leapt = control.previous, False
    for iteration in range(1, control.max_iter + 1):
        change = state.objective - previous
        if change < 0.0 and not leapt and former is not None:
            return CoupledFit(former, bounds, True)
        bounds.append(state.objective)
        previous = state.objective
        if control.report is not None and control.report(iteration, change, state):
            break
        following, coupling = _step(problem, state)
        settled = abs(change) < control.tol and not leapt
        former = state
        plain = not control.accelerate or iteration < _PLAIN_ITERATIONS
        if settled or plain or extrapolation.start is None:
            extrapolation.start = None if plain else state.point
            state, leapt = e_step(problem, following, coupling), False
        else:
            at = _e_step_from(problem, following, coupling)
            state, leapt = extrapolation.advance(
                state.point, state.objective, following, at
            )
        if settled:
            better = state if state.objective >= former.objective else former
            return CoupledFit(better, bounds, True)
    return CoupledFit(state, bounds, False)


def run_from_best(
    problem: CoupledProblem, points: Sequence[Point], control: Control
) -> CoupledFit:
    """Try some points for a few iterations, go on from the best of them.

    Where the best two are the same optimum, rounding shall not choose between them.
    """
    first = points[0]
    check_links(problem, len(first), first[0].means.shape[1])
    if len(points) == 1:
        return run_coupled(problem, _first_state(problem, points[0]), control)
    trial = control._replace(max_iter=min(_TRIAL_ITERATIONS, control.max_iter))
    best: CoupledFit | None = None
    collapsed = ValueError(ILL_DEFINED)
    for point in points:
        try:
            fit = run_coupled(problem, _first_state(problem, point), trial)
        except ValueError as error:  # a component collapsed: the other start may do
            collapsed = error
            continue
        least = -np.inf if best is None else best.state.objective + control.tol
        if fit.state.objective > least:
            best = fit
    if best is None:
        raise collapsed
    left = control.max_iter - len(best.bounds)
    if best.converged or left <= 0:
        return best
    rest = control._replace(max_iter=left, previous=best.bounds[-1])
    fit = run_coupled(problem, best.state, rest)
    return fit._replace(bounds=best.bounds + fit.bounds)


def _first_state(problem: CoupledProblem, point: Point) -> CoupledState:
    """Where no shift is known; those of links that share samples agree."""
    return e_step(problem, point, shifts=agreeing_shifts(point, problem))


def _e_step_from(
    problem: CoupledProblem, following: Point, coupling: Coupling | None
) -> Callable[[Point], CoupledState]:
    """`e_step` that knows the transport at the plain step."""
    shifts = None if coupling is None else [plan.shift for plan in coupling.plans]
    return lambda point: e_step(
        problem, point, coupling if point is following else None, shifts
    )


def taken(kind: Any, side: Parameters, order: np.ndarray) -> Parameters:
    """A mixture with its components in another order."""
    return Parameters(
        side.weights[order],
        np.ascontiguousarray(side.means[order]),
        np.ascontiguousarray(kind.take(side.covariances, order)),
        np.ascontiguousarray(kind.take(side.factors, order)),
    )


def matching_orders(
    plans: Sequence[np.ndarray], free: Sequence[bool], tree: Sequence[Branch]
) -> dict[int, np.ndarray]:
    """Orders of components in which label j is one population along the links.

    Parameters
    ----------
    plans : list of ndarray
        The coupling of each link.
    free : list of bool
        Whether the components of a sample may be reordered.
    tree : list of Branch

    Returns
    -------
    orders : dict of ndarray
        Of the samples that are reordered: the trace of the coupling with the nearest
        sample before them that has as many components is largest. Between the two it
        is composed.
    """
    orders: dict[int, np.ndarray] = {}
    before = {branch.sample: branch for branch in tree}
    for branch in tree:
        if branch.link is None or not free[branch.sample]:
            continue
        plan, at = _directed(plans[branch.link], branch), branch.parent
        while plan.shape[0] != plan.shape[1] and at in before:
            former = before[at]
            if former.link is None:
                break
            mass = plan.sum(axis=1, keepdims=True)
            shares = np.divide(plan, mass, out=np.zeros_like(plan), where=mass > 0.0)
            plan, at = _directed(plans[former.link], former) @ shares, former.parent
        if plan.shape[0] == plan.shape[1]:
            plan = plan[orders.get(at, slice(None))]
            orders[branch.sample] = linear_sum_assignment(-plan)[1]
    return orders


def _directed(plan: np.ndarray, branch: Branch) -> np.ndarray:
    # From the sample before, whichever side of the link that is.
    return plan.T if branch.forward else plan
