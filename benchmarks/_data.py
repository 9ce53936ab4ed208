"""Data made from seeds with NumPy alone, the same in the process of every library."""

from typing import NamedTuple

import numpy as np

_SEPARATED, _OVERLAPPING = 14.0, 3.0  # usual distance of two means, in deviations


class Mixed(NamedTuple):
    """Rows drawn from a mixture, and the parameters that a fit starts from."""

    X: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @property
    def precisions(self):
        return np.linalg.inv(self.covariances)

    @property
    def factors(self):
        """Upper triangular P with P Pᵀ = precision, scikit-learn's convention."""
        lower = np.linalg.cholesky(self.covariances)
        return np.linalg.inv(lower).transpose(0, 2, 1)


def random_covariances(rng, n_components, d):
    """Full matrices with eigenvalues around 1, less apart where d is large."""
    spread = 0.5 * min(1.0, np.sqrt(8.0 / d))
    axes = np.linalg.qr(rng.standard_normal((n_components, d, d)))[0]
    values = np.exp(rng.uniform(-spread, spread, (n_components, 1, d)))
    return (axes * values) @ axes.transpose(0, 2, 1)


def draw(rng, n, means, covariances):
    """Rows from components of equal weight."""
    factors = np.linalg.cholesky(covariances)
    labels = rng.integers(len(means), size=n)
    X = rng.standard_normal((n, means.shape[1]))
    for k in range(len(means)):
        rows = labels == k
        X[rows] = X[rows] @ factors[k].T + means[k]
    return X


def mixed(n, d, n_components, overlapping=False, seed=0):
    """A sample and a start a little beside the truth."""
    rng = np.random.default_rng(seed)
    apart = _OVERLAPPING if overlapping else _SEPARATED
    means = rng.standard_normal((n_components, d)) * apart / np.sqrt(2 * d)
    covariances = random_covariances(rng, n_components, d)
    X = draw(rng, n, means, covariances)
    start = means + 0.1 * rng.standard_normal(means.shape)
    return Mixed(X, np.full(n_components, 1 / n_components), start, covariances)


def live_components(data, rows=2000):
    """Median number of responsibilities above 1e-8 at the start."""
    X = data.X[:rows]
    logs = np.empty((len(X), len(data.weights)))
    for k, (mean, factor) in enumerate(zip(data.means, data.factors, strict=True)):
        distances = (((X - mean) @ factor) ** 2).sum(axis=1)
        logs[:, k] = np.log(np.diag(factor)).sum() - 0.5 * distances
    logs -= logs.max(axis=1, keepdims=True)
    shares = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    return float(np.median((shares > 1e-8).sum(axis=1)))


def random_mixture(n_components, d, seed):
    """(weights, means, covariances), with weights that differ."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_components, 5.0))
    means = rng.standard_normal((n_components, d))
    return weights, means, 0.3 * random_covariances(rng, n_components, d)
