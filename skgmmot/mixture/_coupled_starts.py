"""Starts of the coupled fit: pooled, independent, given."""

from typing import NamedTuple

import numpy as np

from skgmmot._blocks import blocks_of
from skgmmot.linalg._mixture import narrowed
from skgmmot.mixture._coupled_fit import parameters_of
from skgmmot.mixture._em import Parameters, Problem
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture._starts import start_parameters

_RIDGE = 1e-6  # part of the mean variance
_START_ROWS = 4000  # at least, from which a start is fitted
# Restarts that began alike would end alike.
_METHODS = ("kmeans", "k-means++", "random_from_data")
_CONTROL = Control(tol=1e-3, max_iter=50, accelerate=True)


class Recipe(NamedTuple):
    """What the starts have in common."""

    reg_covar: float
    rng: np.random.RandomState
    n_threads: int | None
    number: int = 0  # of the restart


def _alone(kind, x, weights, n_components, recipe):
    """A mixture of one sample, nearly converged, that cannot collapse."""
    blocks = blocks_of(x, weights, recipe.n_threads)
    variance = blocks.mean_and_variances()[1].mean()
    reg_covar = max(recipe.reg_covar, _RIDGE * variance)
    sample = blocks.sample_rows(n_components, recipe.rng, _START_ROWS)
    blocks = blocks_of(*sample, recipe.n_threads)
    problem = Problem(blocks, kind, reg_covar=reg_covar)
    method = _METHODS[recipe.number % len(_METHODS)]
    start = start_parameters(problem, n_components, method, recipe.rng, (None,) * 3)
    return run(problem, start, _CONTROL).state.parameters


def _shifted(parameters, by):
    return parameters._replace(means=parameters.means + by)


def pooled_start(kind, sides, size, recipe):
    """One mixture of both domains, each centred at its mean, shifted back.

    Without the centring the start splits by domain as soon as the domains are apart.
    """
    centers = [blocks_of(*side).mean_and_variances()[0] for side in sides]
    rows = [narrowed(x - c, x.dtype) for (x, _), c in zip(sides, centers, strict=True)]
    masses = [np.ones(len(x)) if w is None else w for x, w in sides]
    total = sum(part.sum() for part in masses)
    # Both domains count alike, whatever their masses.
    shares = [part * (0.5 * total / part.sum()) for part in masses]
    together = _alone(kind, np.concatenate(rows), np.concatenate(shares), size, recipe)
    return tuple(_shifted(together, center) for center in centers)


def independent_start(kind, sides, sizes, given, recipe):
    """A mixture of each domain by itself, or the one that was given."""
    return tuple(
        mixture if mixture is not None else _alone(kind, *side, size, recipe)
        for side, size, mixture in zip(sides, sizes, given, strict=True)
    )


def shifted_start(sides, given):
    """The given mixture of one side, shifted to the mean of the other side."""
    known = 0 if given[0] is not None else 1
    mixture = given[known]
    center, _ = blocks_of(*sides[1 - known]).mean_and_variances()
    by = center - mixture.weights @ mixture.means
    pair = [mixture, _shifted(mixture, by)]
    return tuple(pair if known == 0 else pair[::-1])


def starts(methods, kind, sides, sizes, given, recipe):
    """Points to start from, by the names of the methods."""
    points = []
    n_given = sum(mixture is not None for mixture in given)
    for method in methods:
        if method == "pooled" and n_given == 0:
            point = pooled_start(kind, sides, sizes[0], recipe)
        elif method == "pooled":
            point = shifted_start(sides, given)
        else:
            point = independent_start(kind, sides, sizes, given, recipe)
        points.append(point)
    return points


def given_parameters(kind, mixture):
    """A mixture from the user as Parameters of a covariance type."""
    weights, means, covariances = (np.asarray(part, np.float64) for part in mixture)
    if not kind.full_form:
        covariances = np.diagonal(covariances, axis1=1, axis2=2).copy()
    tiny = np.finfo(np.float64).tiny
    weights = np.maximum(weights, tiny)
    return Parameters(*parameters_of(kind, weights / weights.sum(), means, covariances))
