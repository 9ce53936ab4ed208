"""One step of the flow between mixtures: its weights, then its means and factors."""

from typing import NamedTuple

import numpy as np

from skgmmot.transport._alignment import align, mean_images
from skgmmot.transport._arguments import Penalty
from skgmmot.transport._plan import solve_plan, weight_derivative
from skgmmot.transport._simplex import cleaned, simplex

_EPS = np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).tiny
_MAX_ATTEMPTS = 12
# A kink nearer than this part of a step is here, to rounding.
_SMALLEST_PART = 1e-12


class FlowProblem(NamedTuple):
    """What stays: the target, the kind of plan, steps, length² of the weights.

    Potentials of the flow are in units of `length`: their squares do not overflow.
    `rates` are the steps of mean and factor, twice, as a column beside a point.
    """

    points: np.ndarray
    weights: np.ndarray
    reg: float
    reg_m: Penalty
    step: float
    rates: np.ndarray
    length: float


class FlowState(NamedTuple):
    """A point of the flow and all that its next step needs.

    `gap` is by how much the potential jumped at the kink where the weights are.
    """

    weights: np.ndarray
    points: np.ndarray
    images: np.ndarray
    costs: np.ndarray
    coupling: np.ndarray
    potential: np.ndarray
    loss: float
    gap: np.ndarray | None = None


def flow_state(
    problem: FlowProblem,
    weights: np.ndarray,
    points: np.ndarray,
    gap: np.ndarray | None = None,
) -> FlowState:
    """Evaluate a point of the flow."""
    placed = points, *align(points[:, None], problem.points)
    return _coupled(problem, weights, placed, gap)


def _coupled(
    problem: FlowProblem,
    weights: np.ndarray,
    placed: tuple[np.ndarray, np.ndarray, np.ndarray],
    gap: np.ndarray | None = None,
) -> FlowState:
    """Couple weights with the target, for points, images and costs as they are."""
    costs = placed[2]
    if problem.reg_m is None and problem.reg == 0.0:
        coupling, potential, _ = simplex(costs, weights, problem.weights)
        coupling = cleaned(coupling)
        loss = float(np.vdot(coupling, costs))
    else:
        reg, reg_m = problem.reg, problem.reg_m
        plan = solve_plan(costs, weights, problem.weights, reg=reg, reg_m=reg_m)
        coupling, loss = plan.coupling, plan.value
        mass = float(problem.weights.sum())
        potential = weight_derivative(plan, mass, reg=reg, reg_m=reg_m)
    potential = potential / problem.length
    return FlowState(weights, *placed, coupling, potential, loss, gap)


def flow_step(problem: FlowProblem, state: FlowState) -> FlowState:
    """Move weights and points at once; one after the other where that is too far.

    The loss is convex in the weights: where it rises at the end of the way there was
    a minimum in between, most often a kink.
    """
    weights = _moved_weights(problem, state)
    trial = flow_state(problem, weights, _moved_points(problem, state), state.gap)
    if trial.loss <= state.loss:
        way = weights - state.weights
        if weights is state.weights or way.dot(trial.potential) <= 0.0:
            return trial
    state = _move_weights(problem, state)
    points = _moved_points(problem, state)
    trial = flow_state(problem, state.weights, points, state.gap)
    # Only rounding can raise the loss: then the flow has arrived.
    return trial if trial.loss <= state.loss else state


def _moved_weights(problem: FlowProblem, state: FlowState) -> np.ndarray:
    """Return the weights after a full step, the same ones where nothing is to gain."""
    slopes, promised = _slopes(problem, state, _first_potential(state))
    if problem.step * promised <= _EPS * state.loss:
        return state.weights
    return _mirrored(state, problem.step * slopes)


def _slopes(
    problem: FlowProblem, state: FlowState, potential: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the velocities of log weights, and the squared length of the gradient."""
    slopes = potential - state.weights.dot(potential)
    return slopes, problem.length * state.weights.dot(slopes * slopes)


def _mirrored(state: FlowState, moves: np.ndarray) -> np.ndarray:
    """Lower the logarithms of the weights; near a kink in a straight line along it."""
    if state.gap is None or moves.dot(moves) > 0.25:
        lowest = moves[state.weights > 0.0].min()
        weights = state.weights * np.exp(np.minimum(lowest - moves, 0.0))
    else:
        weights = state.weights * (1.0 - moves)
    return weights / weights.sum()


def _move_weights(problem: FlowProblem, state: FlowState) -> FlowState:
    """Mirror descent of the weights, along kinks where the loss has them.

    Without entropy the loss is piecewise linear in the weights and its minimum is a
    kink. Where a step does not bring half of what the slope promises, a kink is in
    between: go there, and on along the shortest combination of the potentials of both
    sides; if that fails too, by half of the step. See Kiwiel, *Methods of Descent for
    Nondifferentiable Optimization* (1985), doi 10.1007/BFb0074500.
    """
    step, potential = problem.step, _first_potential(state)
    placed = state.points, state.images, state.costs
    gap = state.gap
    for attempt in range(_MAX_ATTEMPTS):
        slopes, promised = _slopes(problem, state, potential)
        if step * promised <= _EPS * state.loss:
            break
        weights = _mirrored(state, step * slopes)
        trial = _coupled(problem, weights, placed, gap)
        if trial.loss <= state.loss - 0.5 * step * promised:
            return trial
        gap = trial.potential - potential
        potential = _shortest(state.weights, potential, gap)
        part = _kink(problem, state, trial)
        if part > _SMALLEST_PART:
            weights = state.weights + part * (weights - state.weights)
            kink = _coupled(problem, weights, placed, gap)
            state = kink if kink.loss < state.loss else state
        if attempt:
            step *= 0.5
    return state._replace(gap=gap)


def _first_potential(state: FlowState) -> np.ndarray:
    """Return the potential of a state, at a known kink that of least variance.

    At a kink the plan is degenerate; it may have the potential of either side.
    """
    if state.gap is None:
        return state.potential
    if np.count_nonzero(state.coupling) >= sum(state.coupling.shape) - 1:
        return state.potential
    return _shortest(state.weights, state.potential, state.gap, -1.0)


def _shortest(
    weights: np.ndarray,
    potential: np.ndarray,
    gap: np.ndarray,
    least: float = 0.0,
) -> np.ndarray:
    """Return potential + share * gap of least variance, share from `least` to 1."""
    gap = gap - weights.dot(gap)
    weighted = weights * gap
    variance = weighted.dot(gap)
    if variance == 0.0:
        return potential
    share = -weighted.dot(potential) / variance
    return potential + min(max(share, least), 1.0) * gap


def _kink(problem: FlowProblem, state: FlowState, trial: FlowState) -> float:
    """Return where on the way from state to trial the tangents of both ends meet."""
    way = problem.length * (trial.weights - state.weights)
    ahead, behind = state.potential.dot(way), trial.potential.dot(way)
    if behind <= ahead:
        return 0.0
    part = (trial.loss - behind - state.loss) / (ahead - behind)
    return min(max(part, 0.0), 1.0)


def _moved_points(problem: FlowProblem, state: FlowState) -> np.ndarray:
    """Return points part of the way to the mean images.

    For a fixed coupling the squared distance to the images changes by the factor
    (1 - 2 τ r / π)², r the mass of the row, so that τ r / π ≤ 1 lowers the loss.
    """
    rows, rates = np.add.reduce(state.coupling, axis=1), problem.rates
    conditional = state.coupling / np.maximum(rows, _TINY)[:, None]
    images = mean_images(conditional, state.images)
    if problem.reg_m is not None:
        shares = rows / np.maximum(state.weights, _TINY)
        rates = bounded(rates, shares.max()) * shares[:, None, None]
    elif np.count_nonzero(rows) < len(rows):
        rates = rates * (rows > 0.0)[:, None, None]
    return state.points + rates * (images - state.points)


def bounded(rates: np.ndarray, largest: float = 1.0) -> np.ndarray:
    """Halve the rates that would raise the loss of some component."""
    while (rates * largest).max() > 2.0:
        rates = np.where(rates * largest > 2.0, 0.5 * rates, rates)
    return rates
