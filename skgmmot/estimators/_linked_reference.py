"""A mixture of all samples, as the reference of a star."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._blocks import blocks_of
from skgmmot._checks import is_integer
from skgmmot.estimators._graph_fit import OFFERED, Rows, least_mass
from skgmmot.estimators._linked_graph import star
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._domains import domains_of
from skgmmot.mixture.coupled._starts import (
    Coordinates,
    Recipe,
    number_of,
    pooled_deviations,
    pooled_mixture,
)


def pooled_reference(estimator: Any, rows: Sequence[Rows]) -> Parameters:
    """A mixture of the rows of all samples, each moved by `align` to their mean.

    Without an alignment the rows are taken as they are.
    """
    kind, align = TYPES[estimator.covariance_type], estimator.align
    blocks = [blocks_of(*part, estimator.n_jobs) for part in rows]
    links = star(len(blocks), 0)
    settings = align, estimator.cost_scale, float(estimator.reg_covar)
    found = domains_of(blocks, [None] * len(blocks), links, *settings)
    rng = check_random_state(estimator.random_state)
    recipe = Recipe(found.first_ridge, rng, estimator.n_jobs)
    measured = [side.mean_and_variances() for side in blocks]
    centre = np.mean([mean for mean, _ in measured], axis=0)
    samples, matrix = found.samples, found.samples[0].pooled.matrix
    if align is None:
        common = Coordinates(matrix, centre)
        samples = tuple(sample._replace(pooled=common) for sample in samples)
    elif align != "shift":
        deviations = np.sqrt(np.mean([part for _, part in measured], axis=0))
        pooled = pooled_deviations(samples, recipe)
        used = (deviations > 0.0) & (pooled > 0.0)
        matrix = np.where(used, pooled, 1.0) / np.where(used, deviations, 1.0)
    size = _size(estimator.n_components, kind, samples, recipe)
    back = Coordinates(matrix, centre).back
    return pooled_mixture(kind, samples, back, size, recipe)


def _size(sizes: Any, kind: Any, samples: Any, recipe: Recipe) -> int:
    """Its number of components: that of all samples, or the largest of them."""
    if isinstance(sizes, str):
        d = len(samples[0].pooled.centre)
        return number_of(kind, samples, OFFERED, least_mass(kind, d), recipe)
    if is_integer(sizes, 1):
        return sizes
    return max(sizes.values() if isinstance(sizes, Mapping) else sizes)
