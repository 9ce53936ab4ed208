"""Removal of components: those that starve, and those the objective is better without.

The bare objective prefers spikes: a component on a few rows gains more likelihood than
it costs. Components with too few effective rows are therefore removed, and at any
iteration a component is dropped whose removal raises the objective even without a
refit, which keeps the objective from falling.
"""

import numpy as np

from skgmmot.mixture._em import Problem, State, drop, evaluate

_VANISHED = 1e-8  # share below which a component counts as gone


def _starved(problem: Problem, state: State, at_rest: bool) -> int | None:
    """Index of the component to remove for want of rows, or None."""
    counts = state.moments.counts
    least = _VANISHED * state.moments.mass
    if at_rest:
        least = max(problem.min_mass, least)
    smallest = int(np.argmin(counts))
    return smallest if counts[smallest] < least and len(counts) > 1 else None


def _superfluous(problem: Problem, state: State) -> int | None:
    """Index of the component without which the objective is higher, or None."""
    weights = state.parameters.weights
    gains = problem.penalty.removal_gains(state.moments, weights)
    candidates = weights < 1.0 / problem.n_offered
    candidates[np.argmax(weights)] = False
    gains = np.where(candidates, gains, -np.inf)
    best = int(np.argmax(gains))
    return best if gains[best] > 0.0 else None


def remove(problem: Problem, state: State, at_rest: bool = True) -> tuple[State, int]:
    """Remove what starves or is superfluous; the new state and how many starved.

    One starved component at a time, and only while EM is nearly at rest: its rows go to
    the others, which may then live.
    """
    if not problem.prune:
        return state, 0
    starved = _starved(problem, state, at_rest)
    if starved is not None:
        state = evaluate(problem, drop(state.parameters, problem.kind, starved))
    while len(state.parameters.weights) > 1:
        superfluous = _superfluous(problem, state)
        if superfluous is None:
            break
        state = evaluate(problem, drop(state.parameters, problem.kind, superfluous))
    return state, int(starved is not None)
