"""From a way to start, and from what the user gave, to a first mixture."""

import numpy as np

from skgmmot._blocks import blocks_of
from skgmmot.mixture import _seeding
from skgmmot.mixture._em import Parameters, estimate

METHODS = ("kmeans", "k-means++", "random", "random_from_data")


def start_parameters(problem, n_components, init_params, random_state, given):
    """A first mixture.

    Parameters
    ----------
    problem : Problem
        Its blocks hold the rows in memory.
    n_components : int
    init_params : one of METHODS or a callable
    random_state : RandomState
    given : tuple of (weights, means, precisions)
        Parts that the user gave, or None; they are taken as they are. Given means
        take the place of `init_params`.
    """
    weights, means, precisions = given
    if any(part is None for part in given):
        found = _find(problem, n_components, init_params, random_state, means)
    if precisions is None:
        covariances, factors = found.covariances, found.factors
    else:
        factors = problem.kind.factor_precisions(precisions)
        covariances = problem.kind.covariances(factors)
    return Parameters(
        found.weights if weights is None else weights,
        found.means if means is None else means,
        covariances,
        factors,
    )


def _find(problem, n_components, init_params, random_state, means):
    blocks = problem.blocks
    if means is not None:
        return _from_means(problem, means)
    if callable(init_params):
        made = init_params(blocks.x, n_components, random_state)
        return _from_callable(problem, n_components, made)
    if init_params == "random":
        return _from_random(problem, n_components, random_state)
    rows, weights = _seeding.sample_rows(
        blocks.x, blocks.sample_weight, n_components, random_state
    )
    if init_params == "kmeans":
        means = _seeding.kmeans(
            rows, weights, n_components, random_state, blocks.n_threads
        )
    elif init_params == "k-means++":
        means = _seeding.kmeans_plusplus(rows, weights, n_components, random_state)
    else:
        means = _seeding.draw_from_data(rows, weights, n_components, random_state)
    return _from_means(problem, means)


def _from_means(problem, means):
    """Weights and covariances of the cells around means; empty cells get averages.

    A cell's covariance is taken about its mean, the given means are kept.
    """
    moments = problem.blocks.nearest_moments(means, problem.kind.full_form)
    empty = moments.counts <= 0.0
    if empty.any():
        shape = (-1, *[1] * (moments.seconds.ndim - 1))
        average = moments.seconds.sum(axis=0) / moments.mass
        share = moments.mass / len(means)
        counts = np.where(empty, share, moments.counts)
        seconds = np.where(empty.reshape(shape), share * average, moments.seconds)
        moments = moments._replace(counts=counts, seconds=seconds)
    found = estimate(problem._replace(price=0.0), moments, means)
    return found._replace(means=means)


def _from_responsibilities(problem, responsibilities):
    x, weights = problem.blocks.x, problem.blocks.sample_weight
    center, _ = _seeding.mean_and_variances(x, weights)
    means = np.repeat(center[None], responsibilities.shape[1], axis=0)
    moments = problem.blocks.given_moments(
        responsibilities, means, problem.kind.full_form
    )
    return estimate(problem._replace(price=0.0), moments, means)


def _from_random(problem, n_components, random_state):
    """Random responsibilities, which do not depend on the order of the rows."""
    x, weights = problem.blocks.x, problem.blocks.sample_weight
    order = _seeding.canonical_order(x)
    weights = None if weights is None else weights[order]
    blocks = blocks_of(x[order], weights, problem.blocks.n_threads)
    made = _seeding.RandomResponsibilities(blocks.x, n_components, random_state)
    return _from_responsibilities(problem._replace(blocks=blocks), made)


def _from_callable(problem, n_components, made):
    n_rows, d = problem.blocks.x.shape
    try:
        made = np.asarray(made, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            "init_params: expected the callable to return an array of numbers, got "
            f"{type(made).__name__}."
        ) from None
    if not np.isfinite(made).all():
        raise ValueError("init_params: the callable returned NaN or infinity.")
    if made.shape == (n_components, d):
        return _from_means(problem, made)
    if made.shape != (n_rows, n_components):
        raise ValueError(
            "init_params: expected the callable to return means of shape "
            f"{(n_components, d)} or responsibilities of shape "
            f"{(n_rows, n_components)}, got shape {made.shape}."
        )
    if made.min() < 0.0 or np.abs(made.sum(axis=1) - 1.0).max() > 1e-6:
        raise ValueError(
            "init_params: expected the callable to return responsibilities that are "
            "not negative and sum to 1 in every row; divide each row by its sum."
        )
    return _from_responsibilities(problem, made)
