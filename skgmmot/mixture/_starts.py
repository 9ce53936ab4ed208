"""From a way to start, and from what the user gave, to a first mixture."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skgmmot.mixture import _seeding
from skgmmot.mixture._em import Parameters, Problem, estimate

METHODS = ("kmeans", "k-means++", "random", "random_from_data")


Given = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


def start_parameters(
    problem: Problem,
    n_components: int,
    init_params: str | Callable[..., Any],
    random_state: np.random.RandomState,
    given: Given,
) -> Parameters:
    """A first mixture.

    Parameters
    ----------
    problem : Problem
        Its blocks give the rows that a way to start asks for.
    n_components : int
    init_params : one of METHODS or a callable
    random_state : RandomState
    given : tuple of (weights, means, precisions)
        What the user gave, None for the rest; it is taken as it is. Given means
        take the place of `init_params`.
    """
    weights, means, precisions = given
    if weights is None or means is None or precisions is None:
        if means is None:
            found = _find(problem, n_components, init_params, random_state)
        else:
            found = _from_means(problem, means)
        weights = found.weights if weights is None else weights
        means, covariances, factors = found[1:]
    if precisions is not None:
        factors = problem.kind.factor_precisions(precisions)
        covariances = problem.kind.covariances(factors)
    return Parameters(weights, means, covariances, factors)


def _find(
    problem: Problem,
    n_components: int,
    init_params: str | Callable[..., Any],
    random_state: np.random.RandomState,
) -> Parameters:
    blocks = problem.blocks
    if callable(init_params):
        made = init_params(blocks.rows(), n_components, random_state)
        return _from_callable(problem, n_components, made)
    if init_params == "random":
        return _from_random(problem, n_components, random_state)
    rows, weights = blocks.sample_rows(n_components, random_state)
    if init_params == "kmeans":
        means = _seeding.kmeans(
            rows, weights, n_components, random_state, blocks.n_threads
        )
    elif init_params == "k-means++":
        means = _seeding.kmeans_plusplus(rows, weights, n_components, random_state)
    else:
        means = _seeding.draw_from_data(rows, weights, n_components, random_state)
    return _from_means(problem, means)


def _from_means(problem: Problem, means: np.ndarray) -> Parameters:
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
    found = estimate(problem.unpenalised(), moments, means)
    return found._replace(means=means)


def _from_responsibilities(problem: Problem, responsibilities: Any) -> Parameters:
    center, _ = problem.blocks.mean_and_variances()
    means = np.repeat(center[None], responsibilities.shape[1], axis=0)
    moments = problem.blocks.given_moments(
        responsibilities, means, problem.kind.full_form
    )
    return estimate(problem.unpenalised(), moments, means)


def _from_random(
    problem: Problem, n_components: int, random_state: np.random.RandomState
) -> Parameters:
    """Random responsibilities, which do not depend on the order of the rows."""
    blocks = problem.blocks.in_canonical_order()
    made = _seeding.RandomResponsibilities(blocks.rows(), n_components, random_state)
    return _from_responsibilities(problem._replace(blocks=blocks), made)


def _from_callable(problem: Problem, n_components: int, made: Any) -> Parameters:
    n_rows, d = problem.blocks.n_rows, problem.blocks.n_features
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
