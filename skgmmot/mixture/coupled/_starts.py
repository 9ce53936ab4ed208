"""Starts of the coupled fit: pooled, independent, from a neighbour, given.

They are made in coordinates in which samples are alike and features have no unit, and
told in those of the data.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks import Blocks, blocks_of
from skgmmot._blocks._row_arrays import Rows, like_rows_of, narrowed_like, total
from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._spd import symmetrise
from skgmmot.mixture._criteria import CRITERIA
from skgmmot.mixture._em import Parameters, Problem
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture._path import Search
from skgmmot.mixture._starts import start_parameters
from skgmmot.mixture.coupled._fit import Point
from skgmmot.mixture.coupled._records import parameters_of
from skgmmot.mixture.coupled._tree import Branch

_RIDGE = 1e-6  # part of the mean variance
_START_ROWS = 4000  # at least, from which a start is fitted
# Restarts that began alike would end alike.
_METHODS = ("kmeans", "k-means++", "random_from_data")
_CONTROL = Control(tol=1e-3, max_iter=50, accelerate=True)
_SEARCH = Control(tol=1e-5, max_iter=300, accelerate=True)  # for their number


class Coordinates(NamedTuple):
    """z = M (x - c), with M (d, d), or (d,) for a diagonal."""

    matrix: np.ndarray
    centre: np.ndarray

    def of(self, x: Rows) -> Rows:
        """Rows (n, d) in these coordinates, in their own type."""
        shifted = x - like_rows_of(x, self.centre)
        matrix = like_rows_of(x, self.matrix.T)
        full = self.matrix.ndim == 2
        return narrowed_like(shifted @ matrix if full else shifted * matrix, x)

    @property
    def back(self) -> "Coordinates":
        """From here to the data: x = M^-1 (z - (-M c))."""
        if self.matrix.ndim == 2:
            return Coordinates(np.linalg.inv(self.matrix), -self.matrix @ self.centre)
        return Coordinates(1.0 / self.matrix, -self.matrix * self.centre)


class Sample(NamedTuple):
    """One sample, and coordinates in which a start of it is made."""

    blocks: Blocks | None  # None: no rows are needed
    pooled: Coordinates  # in which the samples are alike
    alone: Coordinates


class Recipe(NamedTuple):
    """What the starts have in common."""

    reg_covar: float
    rng: np.random.RandomState
    n_threads: int | None
    number: int = 0  # of the restart


Given = Sequence[Parameters | None]  # mixtures that the user gave, one a sample


def _moved(kind: Any, parameters: Parameters, to: Coordinates) -> Parameters:
    """A mixture in other coordinates."""
    means = parameters.means - to.centre
    covariances, matrix = parameters.covariances, to.matrix
    if matrix.ndim == 2:
        means = means @ matrix.T
        covariances = symmetrise(matrix @ covariances @ matrix.T)
    else:
        means = means * matrix
        scales = np.outer(matrix, matrix) if kind.full_form else np.square(matrix)
        covariances = covariances * scales
    return parameters_of(kind, parameters.weights, means, covariances)


def _together(samples: Sequence[Sample], size: int, recipe: Recipe) -> Blocks:
    """Rows of all samples, alike, one sample counting as much as another."""
    rows, masses = [], []
    for sample in samples:
        if sample.blocks is not None:
            some, weights = sample.blocks.sample_rows(size, recipe.rng, _START_ROWS)
            rows.append(sample.pooled.of(some))
            masses.append(weights * (sample.blocks.mass / total(weights)))
    share = sum(total(part) for part in masses) / len(masses)
    xp = array_namespace(rows[0])
    weights = xp.concat([part * (share / total(part)) for part in masses])
    return blocks_of(xp.concat(rows), weights, recipe.n_threads)


def _problem(kind: Any, blocks: Blocks, recipe: Recipe) -> Problem:
    """Of a start, in which nothing can collapse."""
    variance = blocks.mean_and_variances()[1].mean()
    return Problem(blocks, kind, reg_covar=max(recipe.reg_covar, _RIDGE * variance))


def _nearly_fitted(kind: Any, blocks: Blocks, size: int, recipe: Recipe) -> Parameters:
    """A mixture of the rows, nearly converged."""
    problem = _problem(kind, blocks, recipe)
    method = _METHODS[recipe.number % len(_METHODS)]
    start = start_parameters(problem, size, method, recipe.rng, (None,) * 3)
    return run(problem, start, _CONTROL).state.parameters


def number_of(
    kind: Any, samples: Sequence[Sample], most: int, least_mass: float, recipe: Recipe
) -> int:
    """The number of components that the samples together ask for."""
    masses = [sample.blocks.mass for sample in samples if sample.blocks is not None]
    most = max(1, min(most, int(min(masses) / least_mass)))
    blocks = _together(samples, most, recipe)
    problem = _problem(kind, blocks, recipe)
    problem = problem._replace(min_mass=least_mass, n_offered=most)
    search = Search(problem, CRITERIA["bic"], _SEARCH)
    search.begin(most, recipe.rng)
    start = start_parameters(
        search.problem, most, "kmeans", recipe.rng, (None, None, None)
    )
    search.add_start(start)
    return search.finish()


def pooled_mixture(
    kind: Any, samples: Sequence[Sample], back: Coordinates, size: int, recipe: Recipe
) -> Parameters:
    """One mixture of all rows, where they are alike, converged and moved by `back`."""
    blocks = _together(samples, size, recipe)
    problem = _problem(kind, blocks, recipe)
    start = start_parameters(problem, size, "kmeans", recipe.rng, (None,) * 3)
    return _moved(kind, run(problem, start, _SEARCH).state.parameters, back)


def pooled_deviations(samples: Sequence[Sample], recipe: Recipe) -> np.ndarray:
    """Deviation of each feature over all samples, where they are alike; (d,)."""
    return np.sqrt(_together(samples, 1, recipe).mean_and_variances()[1])


def pooled_start(
    kind: Any, samples: Sequence[Sample], size: int, recipe: Recipe
) -> Point:
    """One mixture of all samples, where they are alike, moved back.

    Without that the start splits by sample as soon as the samples are apart.
    """
    some = _together(samples, size, recipe).sample_rows(size, recipe.rng, _START_ROWS)
    blocks = blocks_of(*some, recipe.n_threads)
    together = _nearly_fitted(kind, blocks, size, recipe)
    return tuple(_moved(kind, together, sample.pooled.back) for sample in samples)


def independent_start(
    kind: Any,
    samples: Sequence[Sample],
    sizes: Sequence[int],
    given: Given,
    recipe: Recipe,
) -> Point:
    """A mixture of each sample by itself, or the one that was given."""
    return tuple(
        mixture if mixture is not None else _alone(kind, sample, size, recipe)
        for sample, size, mixture in zip(samples, sizes, given, strict=True)
    )


def _alone(kind: Any, sample: Sample, size: int, recipe: Recipe) -> Parameters:
    if sample.blocks is None:
        raise ValueError("samples: expected rows of a sample without a mixture.")
    rows, weights = sample.blocks.sample_rows(size, recipe.rng, _START_ROWS)
    blocks = blocks_of(sample.alone.of(rows), weights, recipe.n_threads)
    found = _nearly_fitted(kind, blocks, size, recipe)
    return _moved(kind, found, sample.alone.back)


def neighbour_start(
    kind: Any,
    samples: Sequence[Sample],
    sizes: Sequence[int],
    given: Given,
    recipe: Recipe,
    tree: Sequence[Branch],
) -> Point:
    """A mixture of one sample, and each next one fitted from its neighbour's.

    A neighbour of another size, or without rows, is no place to begin.
    """
    found: dict[int, Parameters] = {}
    root = tree[0].parent
    for t, parent in ((root, root), *((branch[0], branch[1]) for branch in tree)):
        sample, former, known = samples[t], found.get(parent), given[t]
        if known is not None:
            found[t] = known
        elif former is None or len(former.weights) != sizes[t]:
            found[t] = _alone(kind, sample, sizes[t], recipe)
        else:
            found[t] = _followed(kind, former, samples[parent], sample, recipe)
    return tuple(found[t] for t in range(len(samples)))


def _followed(
    kind: Any, former: Parameters, home: Sample, sample: Sample, recipe: Recipe
) -> Parameters:
    if sample.blocks is None:
        raise ValueError("samples: expected rows of a sample without a mixture.")
    rows, weights = sample.blocks.sample_rows(
        len(former.weights), recipe.rng, _START_ROWS
    )
    common = _moved(kind, former, home.pooled)
    blocks = blocks_of(sample.pooled.of(rows), weights, recipe.n_threads)
    found = run(_problem(kind, blocks, recipe), common, _CONTROL).state.parameters
    return _moved(kind, found, sample.pooled.back)


def shifted_start(kind: Any, samples: Sequence[Sample], given: Given) -> Point:
    """The first given mixture, moved onto each sample that has none."""
    mixture, home = next(
        (known, sample.pooled)
        for known, sample in zip(given, samples, strict=True)
        if known is not None
    )
    common = _moved(
        kind, mixture, home._replace(centre=mixture.weights @ mixture.means)
    )
    return tuple(
        known if known is not None else _moved(kind, common, sample.pooled.back)
        for sample, known in zip(samples, given, strict=True)
    )


def starts(
    methods: Sequence[str],
    kind: Any,
    samples: Sequence[Sample],
    sizes: Sequence[int],
    given: Given,
    recipe: Recipe,
    tree: Sequence[Branch],
) -> list[Point]:
    """Points to start from, by the names of the methods; `tree` is of the links."""
    points = []
    n_given = sum(mixture is not None for mixture in given)
    for method in methods:
        if method == "pooled" and n_given == 0:
            point = pooled_start(kind, samples, sizes[0], recipe)
        elif method == "pooled":
            point = shifted_start(kind, samples, given)
        elif method == "neighbour":
            point = neighbour_start(kind, samples, sizes, given, recipe, tree)
        else:
            point = independent_start(kind, samples, sizes, given, recipe)
        points.append(point)
    return points


def given_parameters(kind: Any, mixture: Mixture) -> Parameters:
    """A mixture from the user as Parameters of a covariance type."""
    weights, means, covariances = (np.asarray(part, np.float64) for part in mixture)
    if not kind.full_form:
        covariances = np.diagonal(covariances, axis1=1, axis2=2).copy()
    elif kind.shape(*means.shape) != covariances.shape:
        covariances = covariances[0]
    tiny = np.finfo(np.float64).tiny
    weights = np.maximum(weights, tiny)
    return parameters_of(kind, weights / weights.sum(), means, covariances)
