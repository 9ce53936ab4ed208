"""How well a mixture describes rows that no fit has seen."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from sklearn.utils import check_random_state

from skgmmot._blocks import Blocks, blocks_of
from skgmmot._blocks._row_arrays import as_floats, like_rows_of, slices
from skgmmot.estimators._validation import check_at_hand
from skgmmot.kernels import chunks, to_host
from skgmmot.linalg._mixture import Mixture
from skgmmot.transport._component_maps import mixture_gaussians

METRICS = ("likelihood", "sliced")
_DIRECTIONS = 200
_AT_ONCE = 8  # directions, so that projections take the place of eight features
_QUANTILES = 1000
_DRAWS = 20_000


def mean_log_likelihood(blocks: Blocks, mixture: Mixture) -> float:
    """Mean log density of rows under a mixture, in nats."""
    total, mass = blocks.log_likelihood(mixture_gaussians(mixture))
    return total / mass


def sliced_distance(
    first: Any, second: np.ndarray, rng: Any, units: Any = 1.0
) -> float:
    r"""Sliced 2-Wasserstein distance of two samples.

    The root of the mean over random directions of the squared distance between the
    quantiles of the projections, times the number of features: that of two points is
    the length between them (Bonneel and others, doi 10.1007/s10851-014-0506-3, but for
    that factor). Features are divided by their units. Rows of the first sample stay
    where they are; of the second, quantiles are brought there.
    """
    d = first.shape[1]
    directions = rng.standard_normal((d, _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    directions = directions.T / units
    xp = array_namespace(first)
    squares = []
    for few in slices(directions, _AT_ONCE):
        others = like_rows_of(first, _quantiles(second, directions[few]))
        squares.append(xp.sum((_quantiles(first, directions[few]) - others) ** 2))
    mean = to_host(xp.stack(squares)).sum() / (_DIRECTIONS * _QUANTILES)
    return float(np.sqrt(d * mean))


def _quantiles(rows: Any, directions: np.ndarray) -> Any:
    """Quantiles of the projections of rows, (_QUANTILES, number of directions)."""
    xp, n = array_namespace(rows), rows.shape[0]
    across = like_rows_of(rows, np.ascontiguousarray(directions.T))
    parts = [
        xp.matmul(as_floats(rows[part, :]), across)
        for part in chunks(rows, sum(across.shape))
    ]
    ordered = xp.sort(xp.concat(parts), axis=0)
    places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES * (n - 1)
    below = np.floor(places).astype(np.int64)
    low, high = (
        xp.take(ordered, like_rows_of(rows, index), axis=0)
        for index in (below, np.minimum(below + 1, n - 1))
    )
    return low + like_rows_of(rows, (places - below)[:, None]) * (high - low)


def holdout_score(
    X: np.ndarray, mixture: Mixture, metric: str, random_state: Any
) -> float:
    """The larger the better: mean log-likelihood, or minus the sliced distance.

    Distances are taken between the rows and rows drawn from the mixture, each feature
    divided by its standard deviation in X.
    """
    if metric == "likelihood":
        return mean_log_likelihood(blocks_of(X), mixture)
    check_at_hand(X)
    rng = check_random_state(random_state)
    drawn = mixture.sample(max(X.shape[0], _DRAWS), random_state=rng)[0]
    deviations = np.sqrt(blocks_of(X).mean_and_variances()[1])
    units = np.where(deviations > 0.0, deviations, 1.0)
    return -sliced_distance(X, drawn, rng, units)
