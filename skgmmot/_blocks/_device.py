"""Rows of CuPy, torch and other libraries of arrays, on a GPU or in memory.

Rows stay where they are. Sums of the size of the mixture come to the host, and of the
rows themselves a sample of limited size, from which starts are made.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from skgmmot import _rows
from skgmmot._blocks._memory import MemoryBlocks
from skgmmot._blocks._row_arrays import canonical_order, narrowed_like
from skgmmot.kernels import Gaussians, to_device, to_host


class DeviceBlocks(MemoryBlocks):
    """Rows in one array of another library than NumPy, with their weights.

    Parameters
    ----------
    x : array of shape (n_rows, n_features), float64 or float32
    sample_weight : array of shape (n_rows,), default=None
        In float64, of the kind of x and where x is.
    n_threads : int, default=None
        Of work on the host.
    """

    _x: Any
    _sample_weight: Any

    @property
    def _xp(self) -> Any:
        return array_namespace(self._x)

    # Sums over the rows

    def _ones(self) -> Any:
        """Responsibilities of a single component, (n_rows, 1)."""
        one = to_device(np.ones((1, 1)), self._x)
        return self._xp.broadcast_to(one, (self.n_rows, 1))

    def mean_and_variances(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean and variances of the features, (d,) each, in float64."""
        center = np.zeros((1, self.n_features))
        for _ in range(3):  # about zero, whose rounding the next sum takes back
            found = self.given_moments(self._ones(), center, full=False)
            center = center + found.sums / found.mass
        return center[0], found.seconds[0] / found.mass

    def scatter(self, center: np.ndarray) -> np.ndarray:
        """Σ w (x - center)(x - center)ᵀ, (d, d)."""
        return self.given_moments(self._ones(), center[None], full=True).seconds[0]

    def log_likelihood(self, gaussians: Gaussians) -> tuple[float, float]:
        """Σ w log p(x), and Σ w."""
        xp, found = self._xp, narrowed_like(self.log_density(gaussians), self._x)
        found = xp.astype(found, xp.float64, copy=False)
        if self._sample_weight is not None:
            found = self._sample_weight * found
        return float(to_host(xp.sum(found))), self.mass

    # Rows themselves

    def sample_rows(
        self,
        n_components: int,
        random_state: np.random.RandomState,
        least: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As of rows in memory; the sample alone comes to the host."""
        size, n_rows = _rows.sample_size(n_components, least), self.n_rows
        order = canonical_order(self._x)
        weights = self._sample_weight
        if max(n_rows, self.mass) <= size:
            rows = to_host(self._xp.take(self._x, order, axis=0))
            if weights is None:
                return rows, np.ones(n_rows)
            return rows, to_host(self._xp.take(weights, order))
        levels = (random_state.uniform() + np.arange(size)) / size
        if weights is None:
            drawn = np.minimum((levels * n_rows).astype(np.int64), n_rows - 1)
        else:
            cdf = self._xp.cumulative_sum(self._xp.take(weights, order))
            levels = to_device(levels, self._x) * cdf[-1]
            drawn = to_host(self._xp.searchsorted(cdf, levels, side="right"))
            drawn = np.minimum(drawn, n_rows - 1)
        chosen, repeats = np.unique(drawn, return_counts=True)
        rows = self._xp.take(order, to_device(chosen, self._x))
        rows = self._xp.take(self._x, rows, axis=0)
        return to_host(rows), repeats.astype(np.float64)

    def in_canonical_order(self) -> "DeviceBlocks":
        """The same rows in the order of their values, where they are."""
        order, weights = canonical_order(self._x), self._sample_weight
        if weights is not None:
            weights = self._xp.take(weights, order)
        return DeviceBlocks(
            self._xp.take(self._x, order, axis=0), weights, self.n_threads
        )
