"""Rows of CuPy, torch and other libraries of arrays, on a GPU or in memory.

Rows stay where they are, and so do the samples of them from which starts are made. Sums
of the size of the mixture come to the host.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from skgmmot import _rows
from skgmmot._blocks._memory import MemoryBlocks
from skgmmot._blocks._row_arrays import (
    canonical_order,
    drawn,
    everywhere,
    narrowed_like,
)
from skgmmot.kernels import Gaussians, chunks, to_device, to_host


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

    def cell_sums(self, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As of rows in memory; distances are one matrix product for all centers."""
        xp, x, weights = self._xp, self._x, self._sample_weight
        ends = to_device(centers, x)
        halves = 0.5 * xp.sum(ends * ends, axis=1)
        columns = xp.arange(len(centers), device=device(x))
        sums = to_device(np.zeros((len(centers), self.n_features + 1)), x)
        for rows in chunks(x, max(centers.shape)):
            block = xp.astype(x[rows, :], xp.float64, copy=False)
            nearest = xp.argmin(halves - block @ ends.T, axis=1)
            shares = xp.astype(columns[:, None] == nearest, xp.float64)
            if weights is not None:
                shares = shares * weights[rows]
            counts = xp.sum(shares, axis=1, keepdims=True)
            sums = sums + xp.concat([counts, shares @ block], axis=1)
        found = to_host(sums)
        return found[:, 0], found[:, 1:]

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
    ) -> tuple[Any, Any]:
        """As of rows in memory; rows and weights stay where they are."""
        size, xp = _rows.sample_size(n_components, least), self._xp
        order, weights = canonical_order(self._x), self._sample_weight
        if weights is not None:
            weights = xp.take(weights, order)
        if max(self.n_rows, self.mass) <= size:
            ones = everywhere(self._x, 1.0) if weights is None else weights
            return xp.take(self._x, order, axis=0), ones
        places = xp.arange(size, dtype=xp.float64, device=device(order))
        levels = (random_state.uniform() + places) / size
        if weights is None:
            places = xp.astype(levels * self.n_rows, xp.int64)
            places = xp.clip(places, 0, self.n_rows - 1)
        else:
            places = drawn(weights, levels)
        chosen, repeats = xp.unique_counts(places)
        rows = xp.take(self._x, xp.take(order, chosen), axis=0)
        return rows, xp.astype(repeats, xp.float64)

    def in_canonical_order(self) -> "DeviceBlocks":
        """The same rows in the order of their values, where they are."""
        order, weights = canonical_order(self._x), self._sample_weight
        if weights is not None:
            weights = self._xp.take(weights, order)
        return DeviceBlocks(
            self._xp.take(self._x, order, axis=0), weights, self.n_threads
        )
