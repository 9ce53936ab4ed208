"""How well a mixture describes rows that no fit has seen."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._blocks import Blocks, blocks_of
from skgmmot.estimators._validation import check_at_hand
from skgmmot.kernels import to_host
from skgmmot.linalg._mixture import Mixture
from skgmmot.transport._component_maps import mixture_gaussians

METRICS = ("likelihood", "sliced")
_DIRECTIONS = 200
_QUANTILES = 1000
_DRAWS = 20_000


def mean_log_likelihood(blocks: Blocks, mixture: Mixture) -> float:
    """Mean log density of rows under a mixture, in nats."""
    total, mass = blocks.log_likelihood(mixture_gaussians(mixture))
    return total / mass


def sliced_distance(first: np.ndarray, second: np.ndarray, rng: Any) -> float:
    r"""Sliced 2-Wasserstein distance of two samples.

    The root of the mean over random directions of the squared distance between the
    quantiles of the projections, times the number of features: that of two points is
    the length between them (Bonneel and others, doi 10.1007/s10851-014-0506-3, but for
    that factor).
    """
    d = first.shape[1]
    directions = rng.standard_normal((d, _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    quantiles = [
        np.quantile(rows @ directions, levels, axis=0) for rows in (first, second)
    ]
    return float(np.sqrt(d * np.square(quantiles[0] - quantiles[1]).mean()))


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
    X, rng = to_host(X), check_random_state(random_state)
    drawn = mixture.sample(max(len(X), _DRAWS), random_state=rng)[0]
    deviations = X.std(axis=0, dtype=np.float64)
    units = np.where(deviations > 0.0, deviations, 1.0)
    return -sliced_distance(X / units, drawn / units, rng)
