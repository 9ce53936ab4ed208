"""Neighbours of a mixture with one component more or fewer, before any refit."""

import numpy as np

from skgmmot.mixture._em import Parameters, Problem, State, drop

_APART = 0.8  # half the distance of the halves of a split, in deviations


def removals(
    problem: Problem, state: State, n_most: int, worth: float
) -> list[Parameters]:
    """The mixtures without a component, the one that costs least first.

    Without a refit the mean log-likelihood changes by mean log(1 - r) - log(1 - w).
    Of these only such are tried whose cost is below `worth` times the least.
    """
    weights, moments = state.parameters.weights, state.moments
    others = np.maximum(1.0 - weights, np.finfo(np.float64).tiny)
    costs = np.log(others) - moments.deletion / moments.mass
    order = np.argsort(costs, kind="stable")[:n_most]
    limit = worth * max(costs[order[0]], 1.0 / moments.mass)
    return [drop(state.parameters, problem.kind, j) for j in order if costs[j] <= limit]


def _append(parameters: Parameters, kind: type, component: int) -> Parameters:
    """The mixture with a component twice, the copy last, weights halved."""
    n_components = len(parameters.weights)
    index = np.append(np.arange(n_components), component)
    weights = parameters.weights[index].copy()
    weights[[component, -1]] *= 0.5
    return Parameters(
        weights,
        parameters.means[index],
        kind.take(parameters.covariances, index),
        kind.take(parameters.factors, index),
    )


def split(
    problem: Problem, parameters: Parameters, component: int, axis: int
) -> Parameters:
    """A component in two halves along an axis of its covariance, 0 the longest.

    Axes are taken in units of the mean covariance within components, so that units of
    the features do not matter. Where covariances are full the halves have the mean and
    covariance of the whole.
    """
    kind, (n_components, d) = problem.kind, parameters.means.shape
    dense = kind.dense(parameters.covariances, n_components, d)
    within = np.einsum("k,kij->ij", parameters.weights, dense)
    root = np.linalg.cholesky(within)
    inverse = np.linalg.inv(root)
    values, vectors = np.linalg.eigh(inverse @ dense[component] @ inverse.T)
    place = d - 1 - axis
    shift = _APART * np.sqrt(values[place]) * (root @ vectors[:, place])
    halves = _append(parameters, kind, component)
    halves.means[component] += shift
    halves.means[-1] -= shift
    if kind.name != "full":
        return halves
    covariances = halves.covariances.copy()
    covariances[[component, -1]] -= np.outer(shift, shift)
    return halves._replace(
        covariances=covariances, factors=kind.precisions_cholesky(covariances)
    )
