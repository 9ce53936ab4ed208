"""From a way to start, and from what the user gave, to a first mixture."""

from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import (
    as_floats,
    has_all,
    has_any,
    in_type_of,
    like_rows_of,
)
from skgmmot.kernels import to_host
from skgmmot.linalg._covariances import CovarianceType, Diag, Full
from skgmmot.linalg._spd import is_singular, whiteners
from skgmmot.mixture import _seeding
from skgmmot.mixture._em import Parameters, Problem, estimate

_FLAT = 1e-6  # least variance of a cell in a direction, relative to the average's

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
    if init_params == "random_from_data":
        means = _seeding.draw_from_data(rows, weights, n_components, random_state)
        return _from_means(problem, means)
    center, variances = blocks_of(rows, weights).mean_and_variances()
    units = _units(variances)
    scaled = (rows - like_rows_of(rows, center)) / like_rows_of(rows, units)
    scaled = in_type_of(scaled, rows)
    if init_params == "kmeans":
        found = _seeding.rescaled_kmeans(
            scaled, weights, n_components, random_state, blocks.n_threads
        )
    else:
        found = _seeding.kmeans_plusplus(scaled, weights, n_components, random_state)
    return _from_means(problem, center + found * units)


def _units(variances: np.ndarray) -> np.ndarray:
    """Standard deviations of the features, 1 where one is constant.

    Seeds and cells are found among features divided by these, so that the units of the
    data do not matter.
    """
    return np.where(variances > 0.0, np.sqrt(variances), 1.0)


def _from_means(problem: Problem, means: np.ndarray) -> Parameters:
    """Weights and covariances of the cells around means, which are kept.

    A cell's covariance is taken about its mean. Empty cells get an average share, and
    they and cells without extent in some direction the average covariance.
    """
    kind = problem.kind
    units = _units(problem.blocks.mean_and_variances()[1])
    moments = problem.blocks.nearest_moments(means, kind.full_form, units)
    form = Full if kind.full_form else Diag
    scatters = form.estimate(moments, 0.0)
    average = np.tensordot(moments.counts / moments.mass, scatters, axes=1)
    empty = moments.counts <= 0.0
    counts = np.where(empty, moments.mass / len(means), moments.counts)
    for k in np.flatnonzero(empty | _flat(form, scatters, average)):
        shift = moments.sums[k] / counts[k]
        about = np.outer(shift, shift) if kind.full_form else shift**2
        moments.seconds[k] = counts[k] * (average + about)
    found = estimate(problem.unpenalised(), moments._replace(counts=counts), means)
    return found._replace(means=means)


def _flat(
    form: CovarianceType, scatters: np.ndarray, average: np.ndarray
) -> np.ndarray:
    """Which cells have no extent in some direction that cells have on average, (K,)."""
    n_components, d = len(scatters), average.shape[-1]
    within = form.dense(average[None], 1, d)[0]
    wide = np.flatnonzero(np.diag(within) > 0.0)
    within = within[wide[:, None], wide]
    if len(wide) == 0 or is_singular(within):  # all rows lie in a subspace
        return np.zeros(n_components, dtype=bool)
    dense = form.dense(scatters, n_components, d)[:, wide[:, None], wide]
    inverse = whiteners(within)[0]
    return ~(np.linalg.eigvalsh(inverse @ dense @ inverse.T)[:, 0] > _FLAT)


def _from_responsibilities(problem: Problem, responsibilities: Any) -> Parameters:
    blocks: Any = problem.blocks  # in memory: others gave no rows to a way to start
    center, _ = blocks.mean_and_variances()
    means = np.repeat(center[None], responsibilities.shape[1], axis=0)
    moments = blocks.given_moments(responsibilities, means, problem.kind.full_form)
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
        made = as_floats(made)
    except (TypeError, ValueError):
        raise ValueError(
            "init_params: expected the callable to return an array of numbers, got "
            f"{type(made).__name__}."
        ) from None
    xp = array_namespace(made)
    if not has_all(xp.isfinite(made)):
        raise ValueError("init_params: the callable returned NaN or infinity.")
    if made.shape == (n_components, d):
        return _from_means(problem, to_host(made))
    if made.shape != (n_rows, n_components):
        raise ValueError(
            "init_params: expected the callable to return means of shape "
            f"{(n_components, d)} or responsibilities of shape "
            f"{(n_rows, n_components)}, got shape {tuple(made.shape)}."
        )
    apart = xp.abs(xp.sum(made, axis=1) - 1.0)
    if has_any(made < 0.0) or has_any(apart > 1e-6):
        raise ValueError(
            "init_params: expected the callable to return responsibilities that are "
            "not negative and sum to 1 in every row; divide each row by its sum."
        )
    return _from_responsibilities(problem, made)
