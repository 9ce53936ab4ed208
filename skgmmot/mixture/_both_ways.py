"""A penalised fit that neither a removal nor a split of a component raises."""

import numpy as np

from skgmmot._blocks import blocks_of
from skgmmot.mixture._em import Parameters, Problem
from skgmmot.mixture._fit import Control, Fit, run_with_moves
from skgmmot.mixture._moves import local_splits

_MOST_SPLITS = 2  # that are refitted in a round
_ROUNDS = 8
_WORTH = 1e-3  # nats a row that a split must add to be tried


def run_both_ways(
    problem: Problem, parameters: Parameters, control: Control, most: int
) -> Fit:
    """`run_with_moves`, then splits: halve a component, refit, keep what rises.

    What a fit has lost on its way down, more components offered would have kept: splits
    bring it back. There are never more than `most` components.
    """
    fit = run_with_moves(problem, parameters, control)
    for _ in range(_ROUNDS):
        larger = _with_split(problem, fit, control, most) if fit.converged else None
        if larger is None:
            break
        fit = larger
    return fit


def _with_split(problem: Problem, fit: Fit, control: Control, most: int) -> Fit | None:
    """The first refit with a component in two that raises the objective, or None."""
    size = len(fit.state.parameters.weights)
    if size >= most:
        return None
    blocks = problem.blocks
    rows = blocks.sample_rows(size, np.random.RandomState(0))
    sample = blocks_of(*rows, blocks.n_threads)
    goal = fit.state.objective + _WORTH
    quiet = control._replace(report=None, previous=-np.inf, goal=goal)
    least = 2.0 * problem.min_mass
    for candidate in local_splits(problem, fit.state, least, sample)[:_MOST_SPLITS]:
        try:
            trial = run_with_moves(problem, candidate, quiet)
        except ValueError:  # the refit collapsed
            continue
        if trial.state.objective > goal:
            bounds = [*fit.bounds, *trial.bounds]
            return trial._replace(
                bounds=bounds, n_starved=fit.n_starved + trial.n_starved
            )
    return None
