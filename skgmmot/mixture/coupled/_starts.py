"""Starts of the coupled fit: pooled, independent, given."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skgmmot._blocks import blocks_of
from skgmmot.linalg._mixture import Mixture, narrowed
from skgmmot.mixture._em import Parameters, Problem
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture._starts import start_parameters
from skgmmot.mixture.coupled._fit import Point
from skgmmot.mixture.coupled._records import parameters_of

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


Rows = tuple[np.ndarray, np.ndarray | None]  # of a sample, and their weights
Given = Sequence[Parameters | None]  # mixtures that the user gave, one a sample


def _mean_of(rows: Rows) -> np.ndarray:
    return blocks_of(*rows).mean_and_variances()[0]


def _together(samples: Sequence[Rows], centers: Sequence[np.ndarray]) -> Rows:
    """All samples, each about its centre, one counting as much as another."""
    rows = [
        narrowed(x - center, x.dtype)
        for (x, _), center in zip(samples, centers, strict=True)
    ]
    masses = [np.ones(len(x)) if w is None else w for x, w in samples]
    share = sum(part.sum() for part in masses) / len(samples)
    weights = [part * (share / part.sum()) for part in masses]
    return np.concatenate(rows), np.concatenate(weights)


def _alone(kind: Any, rows: Rows, n_components: int, recipe: Recipe) -> Parameters:
    """A mixture of one sample, nearly converged, that cannot collapse."""
    blocks = blocks_of(*rows, recipe.n_threads)
    variance = blocks.mean_and_variances()[1].mean()
    reg_covar = max(recipe.reg_covar, _RIDGE * variance)
    some = blocks.sample_rows(n_components, recipe.rng, _START_ROWS)
    blocks = blocks_of(*some, recipe.n_threads)
    problem = Problem(blocks, kind, reg_covar=reg_covar)
    method = _METHODS[recipe.number % len(_METHODS)]
    start = start_parameters(problem, n_components, method, recipe.rng, (None,) * 3)
    return run(problem, start, _CONTROL).state.parameters


def _shifted(parameters: Parameters, by: np.ndarray) -> Parameters:
    return parameters._replace(means=parameters.means + by)


def pooled_start(
    kind: Any, samples: Sequence[Rows], size: int, recipe: Recipe
) -> Point:
    """One mixture of all samples, each centred at its mean, shifted back.

    Without the centring the start splits by sample as soon as the samples are apart.
    """
    centers = [_mean_of(rows) for rows in samples]
    together = _alone(kind, _together(samples, centers), size, recipe)
    return tuple(_shifted(together, center) for center in centers)


def independent_start(
    kind: Any,
    samples: Sequence[Rows],
    sizes: Sequence[int],
    given: Given,
    recipe: Recipe,
) -> Point:
    """A mixture of each sample by itself, or the one that was given."""
    return tuple(
        mixture if mixture is not None else _alone(kind, rows, size, recipe)
        for rows, size, mixture in zip(samples, sizes, given, strict=True)
    )


def shifted_start(samples: Sequence[Rows], given: Given) -> Point:
    """The first given mixture, shifted to the mean of each sample that has none."""
    mixture = next(known for known in given if known is not None)
    mean = mixture.weights @ mixture.means
    return tuple(
        known if known is not None else _shifted(mixture, _mean_of(rows) - mean)
        for rows, known in zip(samples, given, strict=True)
    )


def starts(
    methods: Sequence[str],
    kind: Any,
    samples: Sequence[Rows],
    sizes: Sequence[int],
    given: Given,
    recipe: Recipe,
) -> list[Point]:
    """Points to start from, by the names of the methods."""
    points = []
    n_given = sum(mixture is not None for mixture in given)
    for method in methods:
        if method == "pooled" and n_given == 0:
            point = pooled_start(kind, samples, sizes[0], recipe)
        elif method == "pooled":
            point = shifted_start(samples, given)
        else:
            point = independent_start(kind, samples, sizes, given, recipe)
        points.append(point)
    return points


def given_parameters(kind: Any, mixture: Mixture) -> Parameters:
    """A mixture from the user as Parameters of a covariance type."""
    weights, means, covariances = (np.asarray(part, np.float64) for part in mixture)
    if not kind.full_form:
        covariances = np.diagonal(covariances, axis1=1, axis2=2).copy()
    tiny = np.finfo(np.float64).tiny
    weights = np.maximum(weights, tiny)
    return parameters_of(kind, weights / weights.sum(), means, covariances)
