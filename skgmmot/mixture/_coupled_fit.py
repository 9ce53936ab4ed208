"""The loop of EM for two mixtures with a transport term between them.

Objective, to be maximised: mean log-likelihood of the source sample + that of the
target sample - transport_weight · OT, both domains counting equally whatever their
sizes (`_coupled` has the M-step).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from skgmmot.kernels import Moments
from skgmmot.linalg._covariances import safe_counts
from skgmmot.mixture._coupled import Side, SideMoments, coupling_objective, m_step
from skgmmot.mixture._em import Parameters, gaussians_of
from skgmmot.mixture._squarem import Extrapolation

_TRIAL_ITERATIONS = 4  # after which the start with the best objective is kept
_PLAIN_ITERATIONS = 10  # most fits are done by then, and a leap costs a plan


class CoupledFitProblem(NamedTuple):
    """What stays the same during a fit."""

    blocks: tuple  # sums over the rows of the source, of the target
    kind: Any  # covariance type, Full or Diag
    coupling: Any  # CouplingProblem


class CoupledState(NamedTuple):
    """Two mixtures with their moments and the objective at them."""

    point: tuple  # Parameters of the source, of the target
    moments: tuple[Moments, Moments]
    objective: float
    link: Any = None  # CouplingState that goes with the point, or None


class CoupledFit(NamedTuple):
    """What a run found."""

    state: CoupledState
    bounds: list  # the objective before each M-step
    converged: bool


def parameters_of(kind, weights, means, covariances):
    """Parameters with their factors."""
    factors = kind.precisions_cholesky(covariances)
    return Parameters(weights, means, covariances, factors)


def side_of(parameters):
    """The record that M-steps take."""
    return Side(parameters.weights, parameters.means, parameters.covariances)


def _side_moments(moments, parameters, kind):
    counts = moments.counts / moments.mass
    shifts = moments.sums / safe_counts(moments.counts)[:, None]
    return SideMoments(counts, parameters.means + shifts, kind.estimate(moments, 0.0))


def evaluate(problem, point, link=None):
    """E-steps of both domains; the transport is solved unless `link` knows it."""
    moments = tuple(
        blocks.moments(gaussians_of(parameters, problem.kind))
        for blocks, parameters in zip(problem.blocks, point, strict=True)
    )
    value = sum(part.log_likelihood / part.mass for part in moments)
    coupling = problem.coupling
    if coupling.transport_weight > 0.0:
        transport = (
            coupling_objective(*map(side_of, point), coupling, warn=False).value
            if link is None
            else link.transport
        )
        value -= coupling.transport_weight * transport
    return CoupledState(point, moments, value, link)


def _step(problem, state):
    """The point after an M-step, and its link."""
    moments = (
        _side_moments(part, parameters, problem.kind)
        for part, parameters in zip(state.moments, state.point, strict=True)
    )
    sides = map(side_of, state.point)
    source, target, link = m_step(*moments, *sides, problem.coupling, state.link)
    point = tuple(parameters_of(problem.kind, *side) for side in (source, target))
    return point, link


def run_coupled(problem, state, control):
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
        if control.report is not None:
            control.report(iteration, change)
        following, link = _step(problem, state)
        settled = abs(change) < control.tol and not leapt
        former = state
        plain = not control.accelerate or iteration < _PLAIN_ITERATIONS
        if settled or plain or extrapolation.start is None:
            extrapolation.start = None if plain else state.point
            state, leapt = evaluate(problem, following, link), False
        else:
            at = _evaluator(problem, following, link)
            state, leapt = extrapolation.advance(
                state.point, state.objective, following, at
            )
        if settled:
            better = state if state.objective >= former.objective else former
            return CoupledFit(better, bounds, True)
    return CoupledFit(state, bounds, False)


def run_from_best(problem, points, control):
    """Try some points for a few iterations, go on from the best of them.

    Where the best two are the same optimum, rounding shall not choose between them.
    """
    if len(points) == 1:
        return run_coupled(problem, evaluate(problem, points[0]), control)
    trial = control._replace(max_iter=min(_TRIAL_ITERATIONS, control.max_iter))
    best, collapsed = None, None
    for point in points:
        try:
            fit = run_coupled(problem, evaluate(problem, point), trial)
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


def _evaluator(problem, following, link):
    """`evaluate` that knows the transport at the plain step."""
    return lambda point: evaluate(problem, point, link if point is following else None)


def matched(point, plan):
    """Target components reordered so that the trace of the plan is largest."""
    order = linear_sum_assignment(-plan.coupling)[1]
    source, target = point
    target = Parameters(*(np.ascontiguousarray(part[order]) for part in target))
    return (source, target), plan._replace(
        coupling=plan.coupling[:, order],
        costs=plan.costs[:, order],
        potentials=(plan.potentials[0], plan.potentials[1][order]),
    )
