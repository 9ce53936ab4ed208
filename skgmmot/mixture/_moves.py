"""Neighbours of a mixture with one component more or fewer, before any refit."""

import numpy as np

from skgmmot._blocks import MemoryBlocks
from skgmmot.linalg._covariances import Diag, Full
from skgmmot.linalg._spd import whiteners
from skgmmot.mixture._em import (
    Parameters,
    Problem,
    State,
    drop,
    evaluate,
    gaussians_of,
    m_step,
    some,
)
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture._soundness import unsound

_AS_LONG = 1e-9  # relative difference of squared lengths that is rounding
_APART = 0.8  # half the distance of the halves of a split, in deviations
_MOST_REMOVALS = 3
_HALVES = Control(tol=1e-5, max_iter=8)  # of two halves among their own rows
_OF_A_COMPONENT = 0.01  # responsibility from which a row is one of its rows
_WORTH = 3.0  # dearer removals than this, relative to the cheapest, are not tried


def removals(problem: Problem, state: State) -> list[Parameters]:
    """Mixtures without a component, the one that costs least first.

    Without a refit the mean log-likelihood changes by mean log(1 - r) - log(1 - w).
    The state's moments have the sums of a deletion.
    """
    weights, moments = state.parameters.weights, state.moments
    others = np.maximum(1.0 - weights, np.finfo(np.float64).tiny)
    costs = np.log(others) - moments.deletion / moments.mass
    order = np.argsort(costs, kind="stable")[:_MOST_REMOVALS]
    limit = _WORTH * max(costs[order[0]], 1.0 / moments.mass)
    return [drop(state.parameters, problem.kind, j) for j in order if costs[j] <= limit]


def splits(problem: Problem, state: State, least_mass: float) -> list[Parameters]:
    """Mixtures with a component in two halves, along the longest axis of its rows.

    The axis is the longest in units of the mean covariance within components, so that
    units of the features do not matter. Components below `least_mass` stay whole.
    Where covariances are full, the halves have the mean and covariance of the whole.
    """
    return [candidate for _, candidate in _halves(problem, state, least_mass)]


def _halves(
    problem: Problem, state: State, least_mass: float
) -> list[tuple[int, Parameters]]:
    """Component and mixture of each split."""
    kind, parameters = problem.kind, m_step(problem, state)
    n_components, d = parameters.means.shape
    form = Full if kind.full_form else Diag
    scatters = form.estimate(state.moments, problem.reg_covar)
    scatters = form.dense(scatters, n_components, d)
    within = np.einsum("k,kij->ij", parameters.weights, scatters)
    if n_components == 1:  # in its own units every axis is as long
        within = np.diag(np.diag(within))
    # A feature that is constant has no extent to be split along, in any unit.
    within += np.diag(np.diag(within) <= 0.0)
    try:
        inverse = whiteners(within)[0]
    except np.linalg.LinAlgError:  # rows in a subspace: no axis is the longest
        return []
    root = np.linalg.inv(inverse)
    shifts = _APART * _longest_axes(inverse @ scatters @ inverse.T) @ root.T
    return [
        (k, _halved(problem, parameters, k, shifts[k]))
        for k in range(n_components)
        if state.moments.counts[k] >= least_mass
    ]


def _longest_axes(scatters: np.ndarray) -> np.ndarray:
    """The longest half axis of each matrix, (K, d); rounding decides nothing.

    Of axes that are as long the first counts, and its largest entry is positive.
    """
    values, vectors = np.linalg.eigh(scatters)
    values = np.maximum(values, 0.0)
    as_long = values >= (1.0 - _AS_LONG) * values[:, -1:]
    tops = np.abs(vectors).argmax(axis=1)  # feature of the largest entry of each axis
    order = np.where(as_long, tops, scatters.shape[-1])
    chosen, index = order.argmin(axis=1), np.arange(len(values))
    axes = vectors[index, :, chosen]
    signs = np.where(axes[index, tops[index, chosen]] < 0.0, -1.0, 1.0)
    return (signs * np.sqrt(values[index, chosen]))[:, None] * axes


def _halved(
    problem: Problem, parameters: Parameters, component: int, shift: np.ndarray
) -> Parameters:
    """The mixture with a component twice, at its mean ± shift, the copy last."""
    kind = problem.kind
    index = np.append(np.arange(len(parameters.weights)), component)
    weights, means = parameters.weights[index], parameters.means[index]
    weights[[component, -1]] *= 0.5
    means[component] += shift
    means[-1] -= shift
    covariances = kind.take(parameters.covariances, index)
    if covariances is not parameters.covariances:  # a tied one is shared, and stays
        covariances[[component, -1]] -= kind.spread(shift)
    return Parameters(
        weights, means, covariances, kind.precisions_cholesky(covariances)
    )


def local_splits(
    problem: Problem, state: State, least_mass: float, rows: MemoryBlocks
) -> list[Parameters]:
    """`splits` after EM of the halves alone, the one that gains most first.

    By Jensen's inequality a split of component k gains at least
    Σ_i w_i r_ik (log q(x_i) - log p_k(x_i)), q the mixture of its halves: its own rows,
    weighted by their responsibilities, can judge it, at a fraction of what EM of the
    whole mixture costs. A tied covariance is not a component's own: it stays.
    """
    posteriors = rows.posteriors(gaussians_of(state.parameters, problem.kind))
    least = problem.min_mass * rows.mass / problem.blocks.mass
    found = []
    for component, candidate in _halves(problem, state, least_mass):
        own = rows.weighted(posteriors[:, component], _OF_A_COMPONENT)
        local = problem._replace(blocks=own, min_mass=least)
        trial = _tried(local, state.parameters, candidate, component)
        if trial is not None:
            found.append(trial)
    found.sort(key=lambda trial: -trial[0])
    return [candidate for _, candidate in found]


def _tried(
    local: Problem, whole: Parameters, candidate: Parameters, component: int
) -> tuple[float, Parameters] | None:
    """What a split gains and its mixture; None where a half cannot stand."""
    kind, pair = local.kind, np.array([component, -1])
    try:
        before = evaluate(local, some(whole, kind, pair[:1])).objective
        fit = run(local, some(candidate, kind, pair), _HALVES)
    except ValueError:  # a half collapsed
        return None
    if unsound(local, fit.state) is not None:
        return None
    halves = fit.state.parameters
    weights, means = candidate.weights.copy(), candidate.means.copy()
    weights[pair] = halves.weights * weights[pair].sum()
    means[pair] = halves.means
    covariances = candidate.covariances
    if kind.take(covariances, pair) is not covariances:
        covariances = covariances.copy()
        covariances[pair] = halves.covariances
    factors = kind.precisions_cholesky(covariances)
    gain = local.blocks.mass * (fit.state.objective - before)
    return gain, Parameters(weights, means, covariances, factors)
