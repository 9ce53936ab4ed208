"""The loop of EM: M-step, E-step, removals, and moves after convergence."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from skgmmot.mixture._em import Parameters, Problem, State, drop, evaluate, m_step
from skgmmot.mixture._removal import remove
from skgmmot.mixture._small import small_rows, small_steps
from skgmmot.mixture._squarem import Extrapolation

_FALLING = 0.01  # a weight that falls faster than this an iteration is not settled
_REST = 1e-3  # change of the objective below which a component may starve
_TRIAL_ITERATIONS = 5  # after which a refit may be given up
_PATIENCE = 50  # iterations of the present gain that must reach the goal


class Stopped(Exception):
    """A report wants no more: what was found so far is the fit."""


class Control(NamedTuple):
    """When to stop and whether to extrapolate."""

    tol: float
    max_iter: int
    accelerate: bool = False
    # Of iteration, change and state; whether to stop there.
    report: Callable[[int, float, Any], bool] | None = None
    previous: float = -np.inf  # objective before the last M-step of a continued fit
    goal: float = -np.inf  # give up where this cannot be reached


class Fit(NamedTuple):
    """What a run of EM found."""

    state: State
    bounds: list[float]  # the objective before each step
    converged: bool
    n_starved: int = 0


def _falls(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a weight still falls by more than 1 % an iteration."""
    return bool(np.any(after < (1.0 - _FALLING) * before))


def _is_plain(control: Control) -> bool:
    """Whether a run is plain steps until tol that nobody watches."""
    watched = control.report is not None or control.goal > -np.inf
    return not control.accelerate and not watched and control.max_iter > 0


def run(
    problem: Problem,
    parameters: Parameters,
    control: Control,
    state: State | None = None,
) -> Fit:
    """Iterate until the objective changes by less than tol; see the module.

    `state` is that of the parameters, where it is known.
    """
    rows = small_rows(problem, parameters) if _is_plain(control) else None
    if rows is not None:
        limits = control.tol, control.max_iter, control.previous
        steps = small_steps(problem, rows, parameters, *limits)
        return Fit(evaluate(problem, steps.parameters), steps.bounds, steps.converged)
    n_starved = 0
    if state is None:
        state = evaluate(problem, parameters)
    extrapolation = Extrapolation(problem.kind) if control.accelerate else None
    bounds, converged, leapt = [], False, False
    previous, last_change = control.previous, 0.0
    for iteration in range(1, control.max_iter + 1):
        bounds.append(state.objective)
        change = state.objective - previous
        previous = state.objective
        if control.report is not None and control.report(iteration, change, state):
            break
        following = m_step(problem, state)
        # Every second step of an accelerated run is a leap: it must gain little too.
        settled = max(abs(change), last_change) < control.tol and not leapt
        last_change = abs(change) if control.accelerate else 0.0
        if problem.prune:
            settled = settled and not _falls(
                state.parameters.weights, following.weights
            )
        if (
            iteration > _TRIAL_ITERATIONS
            and not leapt
            and (state.objective + _PATIENCE * max(change, 0.0) < control.goal)
        ):
            break
        if extrapolation is None or settled:
            state, leapt = evaluate(problem, following), False
        else:
            state, leapt = extrapolation.advance(
                (state.parameters,),
                state.objective,
                (following,),
                lambda point: evaluate(problem, point[0]),
            )
        n_components = len(state.parameters.weights)
        at_rest = abs(change) < max(_REST, control.tol)
        state, starved = remove(problem, state, at_rest)
        n_starved += starved
        if len(state.parameters.weights) < n_components:
            previous, leapt = -np.inf, False
            if extrapolation is not None:
                extrapolation.start = None
        elif settled:
            converged = True
            break
    return Fit(state, bounds, converged, n_starved)


def run_with_moves(problem: Problem, parameters: Parameters, control: Control) -> Fit:
    """`run`, then deletion moves: drop a component, refit, keep what rises.

    Every subset of components is a local optimum of the penalised objective. The
    cheapest components are tried first. A kept move is one step: its refit has up to
    max_iter iterations of its own.
    """
    fit = run(problem, parameters, control)
    while fit.converged and len(fit.state.parameters.weights) > 1:
        moved = _best_move(problem, fit.state, control)
        if moved is None:
            return _polished(problem, fit, control)
        bounds = [*fit.bounds, fit.state.objective]
        converged = moved.converged and len(bounds) < control.max_iter
        n_starved = fit.n_starved + moved.n_starved
        fit = Fit(moved.state, bounds, converged, n_starved)
        change = moved.state.objective - bounds[-1]
        if control.report is not None and control.report(
            len(bounds), change, moved.state
        ):
            return fit._replace(converged=False)
    return fit


def _polished(problem: Problem, fit: Fit, control: Control) -> Fit:
    """Go on to a tenth of tol: few components are left, iterations are cheap."""
    left = control.max_iter - len(fit.bounds)
    control = control._replace(
        tol=0.1 * control.tol, max_iter=left, previous=fit.bounds[-1]
    )
    rest = run(problem, fit.state.parameters, control)
    n_starved = fit.n_starved + rest.n_starved
    return Fit(rest.state, fit.bounds + rest.bounds, True, n_starved)


def _best_move(problem: Problem, state: State, control: Control) -> Fit | None:
    """The first refit without a component that raises the objective, or None."""
    order = problem.penalty.removal_order(state.moments, state.parameters.weights)
    goal = state.objective + control.tol
    trial_control = control._replace(report=None, previous=-np.inf, goal=goal)
    bare = problem._replace(prune=False)  # without removals E-steps cost less
    for component in order:
        candidate = drop(state.parameters, problem.kind, component)
        try:
            trial = run(bare, candidate, trial_control)
        except ValueError:  # the refit collapsed: no move
            continue
        if trial.state.objective > goal:
            kept = evaluate(problem, trial.state.parameters)
            kept, n_starved = remove(problem, kept)
            if kept.objective > goal:
                return trial._replace(state=kept, n_starved=n_starved)
    return None
