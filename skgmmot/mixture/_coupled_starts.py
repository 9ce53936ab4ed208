"""Starts of the coupled fit: pooled, independent, given."""

import numpy as np

from skgmmot._blocks import blocks_of
from skgmmot.mixture._coupled_fit import parameters_of
from skgmmot.mixture._em import Parameters, Problem
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture._starts import start_parameters

_CONTROL = Control(tol=1e-3, max_iter=50, accelerate=True)


def _alone(kind, x, weights, n_components, reg_covar, rng, n_threads):
    """A mixture of one sample, from k-means, nearly converged."""
    problem = Problem(blocks_of(x, weights, n_threads), kind, reg_covar=reg_covar)
    start = start_parameters(problem, n_components, "kmeans", rng, (None,) * 3)
    return run(problem, start, _CONTROL).state.parameters


def domain_mean(x, weights):
    """Weighted mean of the rows."""
    return np.average(x, axis=0, weights=weights).astype(np.float64)


def _shifted(parameters, by):
    return parameters._replace(means=parameters.means + by)


def pooled_start(kind, sides, sizes, reg_covar, rng, n_threads):
    """One mixture of both domains, each centred at its mean, shifted back.

    Without the centring the start splits by domain as soon as the domains are apart.
    """
    centers = [domain_mean(*side) for side in sides]
    rows = [(x - c).astype(x.dtype) for (x, _), c in zip(sides, centers, strict=True)]
    masses = [np.ones(len(x)) if w is None else w for x, w in sides]
    total = sum(part.sum() for part in masses)
    # Both domains count alike, whatever their masses.
    shares = [part * (0.5 * total / part.sum()) for part in masses]
    together = _alone(
        kind, np.concatenate(rows), np.concatenate(shares), sizes[0], reg_covar, rng,
        n_threads,
    )  # fmt: skip
    return tuple(_shifted(together, center) for center in centers)


def independent_start(kind, sides, sizes, given, reg_covar, rng, n_threads):
    """A mixture of each domain by itself, or the one that was given."""
    return tuple(
        mixture
        if mixture is not None
        else _alone(kind, *side, size, reg_covar, rng, n_threads)
        for side, size, mixture in zip(sides, sizes, given, strict=True)
    )


def shifted_start(sides, given):
    """The given mixture of one side, shifted to the mean of the other side."""
    known = 0 if given[0] is not None else 1
    mixture = given[known]
    x, weights = sides[1 - known]
    by = domain_mean(x, weights) - mixture.weights @ mixture.means
    pair = [mixture, _shifted(mixture, by)]
    return tuple(pair if known == 0 else pair[::-1])


def starts(methods, kind, sides, sizes, given, reg_covar, rng, n_threads):
    """Points to start from, by the names of the methods."""
    points = []
    n_given = sum(mixture is not None for mixture in given)
    for method in methods:
        if method == "pooled" and n_given == 0:
            point = pooled_start(kind, sides, sizes, reg_covar, rng, n_threads)
        elif method == "pooled":
            point = shifted_start(sides, given)
        else:
            point = independent_start(
                kind, sides, sizes, given, reg_covar, rng, n_threads
            )
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
