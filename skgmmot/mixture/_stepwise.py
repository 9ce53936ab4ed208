"""Stepwise EM: batches of rows, K-sized sums as the only memory.

Cappé and Moulines, Journal of the Royal Statistical Society B 2009,
doi 10.1111/j.1467-9868.2009.00698.x.
"""

from typing import Any, NamedTuple

import numpy as np

from skgmmot._blocks import add_moments
from skgmmot.kernels import Moments
from skgmmot.mixture._em import Parameters, Problem, drop, estimate, evaluate

_FORGETTING = 0.7  # exponent of the step


class Step(NamedTuple):
    """What one step found."""

    parameters: Parameters
    shares: np.ndarray  # (K,) mean responsibilities behind the parameters
    mass_seen: float
    n_starved: int
    objective: float  # on the batch, before the step


def _scaled(moments: Moments, factor: float) -> Moments:
    sums: Any = moments
    return Moments(*(factor * total for total in sums))


def step(
    problem: Problem, parameters: Parameters, shares: np.ndarray, mass_seen: float
) -> Step:
    """Mix the statistics of a batch into those behind the parameters; M-step."""
    state = evaluate(problem._replace(prune=False), parameters)
    mass = problem.blocks.mass
    moments = _scaled(state.moments, 1.0 / mass)
    if mass_seen > 0.0:
        rate = (mass_seen / mass + 2.0) ** -_FORGETTING
        kept = _remembered(shares, parameters, problem)
        moments = add_moments(_scaled(kept, 1.0 - rate), _scaled(moments, rate))
    mass_seen += mass
    parameters = estimate(problem, moments, parameters.means, parameters.weights)
    parameters, shares, n_starved = _without_starved(
        problem, parameters, moments.counts, mass_seen
    )
    return Step(parameters, shares, mass_seen, n_starved, state.objective)


def _without_starved(
    problem: Problem, parameters: Parameters, shares: np.ndarray, mass_seen: float
) -> tuple[Parameters, np.ndarray, int]:
    """Drop starved components, once all could have had twice the rows they need."""
    n_starved = 0
    ready = mass_seen >= 2.0 * problem.n_offered * problem.min_mass
    while problem.prune and ready and len(shares) > 1:
        smallest = int(np.argmin(shares))
        if shares[smallest] * mass_seen >= problem.min_mass:
            break
        parameters = drop(parameters, problem.kind, smallest)
        shares = np.delete(shares, smallest)
        shares = shares / shares.sum()
        n_starved += 1
    return parameters, shares, n_starved


def _remembered(
    shares: np.ndarray, parameters: Parameters, problem: Problem
) -> Moments:
    """Mean statistics that gave the present parameters, about the present means."""
    kind = problem.kind
    n_components, d = parameters.means.shape
    seconds = kind.dense(parameters.covariances, n_components, d).copy()
    seconds[:, np.arange(d), np.arange(d)] -= problem.reg_covar
    if not kind.full_form:
        seconds = np.diagonal(seconds, axis1=1, axis2=2)
    scale = shares.reshape(-1, *[1] * (seconds.ndim - 1))
    zeros = np.zeros_like(parameters.means)
    return Moments(0.0, 1.0, shares, zeros, scale * seconds, np.zeros(n_components))
