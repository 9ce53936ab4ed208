"""Arrays in memory: one block, whose rows the kernels share among threads."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from skgmmot import _rows
from skgmmot._blocks._row_arrays import Rows, like_rows_of, slices, total
from skgmmot.kernels import (
    Gaussians,
    Moments,
    float_type,
    is_compiled,
    is_device_array,
    kernels_for,
)
from skgmmot.linalg._mixture import narrowed

_SLICE_ENTRIES = 2**19  # of the responsibilities that are at hand at once, 4 MiB
_DEVICE_ENTRIES = 2**21  # the same on a device, where each call costs more


def limited_slices(x: Rows, n_columns: int) -> Iterator[slice]:
    """Slices of the rows, for which so many columns have a limited size."""
    entries = _DEVICE_ENTRIES if is_device_array(x) else _SLICE_ENTRIES
    return slices(x, entries // n_columns)


def add_moments(first: Moments, second: Moments) -> Moments:
    """Moments of two blocks together: they add up."""
    pairs: Any = zip(first, second, strict=True)
    return Moments(*(a + b for a, b in pairs))


class MemoryBlocks:
    """Rows in memory, (n, d) in float64 or float32, with their weights.

    Parameters
    ----------
    x : ndarray of shape (n_rows, n_features)
    sample_weight : ndarray of shape (n_rows,), default=None
        None: all 1. They count in sums, not in what is returned for each row.
    n_threads : int, default=None
        None: the usable cores.
    """

    def __init__(
        self,
        x: np.ndarray,
        sample_weight: np.ndarray | None = None,
        n_threads: int | None = None,
    ) -> None:
        self._x = x
        self._sample_weight = sample_weight
        self.n_threads = n_threads
        self._kernels = kernels_for(x)

    @cached_property
    def mass(self) -> float:
        """Sum of the weights."""
        weights = self._sample_weight
        return float(self.n_rows) if weights is None else total(weights)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._x.shape[0]

    @property
    def n_features(self) -> int:
        """How many features a row has."""
        return self._x.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Floating type of the rows."""
        return float_type(self._x)

    def at_hand(
        self, most_rows: int | None = None, n_samples: int = 1
    ) -> "MemoryBlocks":
        """These blocks: their rows are in memory."""
        return self

    def compiled_rows(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Rows and weights, for compiled loops; None where kernels are not compiled."""
        return (self._x, self._sample_weight) if is_compiled(self._kernels) else None

    # Sums over the rows

    def moments(self, gaussians: Gaussians, deletion: bool = False) -> Moments:
        """Moments under a mixture, about its means."""
        return self._kernels.moments(
            self._x, self._sample_weight, gaussians, deletion, self.n_threads
        )

    def given_moments(
        self, responsibilities: Any, means: np.ndarray, full: bool
    ) -> Moments:
        """Moments about `means` under given responsibilities, unweighted.

        `responsibilities` is (n_rows, K), what gives slices of that when indexed, or a
        function of a slice that does.
        """
        if callable(responsibilities):
            return self._sum_given(responsibilities, means, full)
        on_device = is_device_array(responsibilities)

        def given(rows: slice) -> Any:
            return responsibilities[(rows, slice(None)) if on_device else rows]

        return self._sum_given(given, means, full)

    def nearest_moments(
        self, means: np.ndarray, full: bool, units: np.ndarray
    ) -> Moments:
        """Moments of the rows, each given to its nearest mean, about the means.

        Distances are those of features divided by `units`, (d,).
        """
        x, xp = self._x, array_namespace(self._x)
        columns = like_rows_of(x, np.arange(len(means)))
        centers = (means - means.mean(axis=0)) / units
        center, scales = (like_rows_of(x, a) for a in (means.mean(axis=0), units))

        def one_hot(rows: slice) -> Any:
            scaled = x[rows, :] - center
            scaled /= scales
            scaled = xp.astype(scaled, x.dtype, copy=False)
            labels, _ = self._kernels.nearest(scaled, centers, self.n_threads)
            return xp.astype(labels[:, None] == columns, xp.float64)

        return self._sum_given(one_hot, means, full)

    def _sum_given(
        self,
        responsibilities_of: Callable[[slice], np.ndarray],
        means: np.ndarray,
        full: bool,
    ) -> Moments:
        sums = None
        for rows in limited_slices(self._x, max(means.shape)):
            given = like_rows_of(self._x, responsibilities_of(rows))
            if self._sample_weight is not None:
                given = given * self._sample_weight[rows][:, None]
            part = self._kernels.given_moments(
                self._x[rows, :], given, means, full, self.n_threads
            )
            sums = part if sums is None else add_moments(sums, part)
        if sums is None:
            raise ValueError("X: expected at least one row, got none.")
        return sums

    def cell_sums(self, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Σ w and Σ w x of the rows nearest to each center, (K,) and (K, d)."""
        labels, weights = self.nearest(centers)[0], self._sample_weight
        sums = np.empty(centers.shape)
        for j in range(self.n_features):
            column = self._x[:, j]
            column = column if weights is None else weights * column
            sums[:, j] = np.bincount(labels, column, len(centers))
        return np.bincount(labels, weights, len(centers)), sums

    def scatter(self, center: np.ndarray) -> np.ndarray:
        """Σ w (x - center)(x - center)ᵀ, (d, d)."""
        ones = np.broadcast_to(1.0, (self.n_rows, 1))
        return self.given_moments(ones, center[None], full=True).seconds[0]

    def mean_and_variances(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean and variances of the features, (d,) each, in float64."""
        return _rows.mean_and_variances(self._x, self._sample_weight)

    def fourth_moment(self, center: np.ndarray, units: np.ndarray) -> float:
        """Σ_i w_i |(x_i - center) / units|⁴, the units one for each feature."""
        return self._kernels.fourth_moment(
            self._x, self._sample_weight, center, units, self.n_threads
        )

    def log_likelihood(self, gaussians: Gaussians) -> tuple[float, float]:
        """Σ w log p(x), and Σ w."""
        found = narrowed(self.log_density(gaussians), self.dtype).astype(np.float64)
        weights = self._sample_weight
        return float(found.sum() if weights is None else weights @ found), self.mass

    # Rows themselves

    def sample_rows(
        self,
        n_components: int,
        random_state: np.random.RandomState,
        least: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows in canonical order with their weights; of many, a systematic sample.

        Parameters
        ----------
        n_components : int
            More components need more rows.
        random_state : RandomState
            Gives one uniform where rows are drawn.
        least : int, default=None
            Rows up to which all are taken; None: 20 000.

        Returns
        -------
        rows : ndarray of shape (n, n_features)
        weights : ndarray of shape (n,)
            Weights of all rows, or how often each was drawn.
        """
        return _rows.sample_rows(
            self._x, self._sample_weight, n_components, random_state, least
        )

    def rows(self) -> np.ndarray:
        """All rows as one array; blocks that are not in memory refuse."""
        return self._x

    def in_canonical_order(self) -> "MemoryBlocks":
        """The same rows in the order of their values; needs all rows at once."""
        order = _rows.canonical_order(self._x)
        weights = self._sample_weight
        weights = None if weights is None else weights[order]
        return MemoryBlocks(self._x[order], weights, self.n_threads)

    def weights(self) -> np.ndarray | None:
        """The weights of all rows, None where they are 1."""
        return self._sample_weight

    def part(self, rows: Any) -> "MemoryBlocks":
        """Some of the rows, by a slice or by their numbers, with their weights."""
        x, weights = self._x, self._sample_weight
        if isinstance(rows, slice):
            x, weights = x[rows, :], None if weights is None else weights[rows]
        else:
            xp = array_namespace(x)
            x = xp.take(x, rows, axis=0)
            weights = None if weights is None else xp.take(weights, rows)
        return type(self)(x, weights, self.n_threads)

    def weighted(self, shares: np.ndarray, least: float = 0.0) -> "MemoryBlocks":
        """The rows with a share above `least`, their weights times these, (n,)."""
        kept = shares > least
        weights = shares[kept]
        if self._sample_weight is not None:
            weights = weights * self._sample_weight[kept]
        return type(self)(self._x[kept], weights, self.n_threads)

    def whitened(self, center: np.ndarray, factor: np.ndarray) -> "MemoryBlocks":
        """The rows (x - center) U, U = factor, in float64, with the same weights."""
        center, factor = (like_rows_of(self._x, a) for a in (center, factor))
        rows = (self._x - center) @ factor
        return type(self)(rows, self._sample_weight, self.n_threads)

    # What is asked of each row

    def log_density(self, gaussians: Gaussians) -> np.ndarray:
        """Log density of each row, (n_rows,)."""
        return self._kernels.log_density(self._x, gaussians, self.n_threads)

    def labels(self, gaussians: Gaussians) -> np.ndarray:
        """The component with the largest posterior, (n_rows,)."""
        return self._kernels.labels(self._x, gaussians, self.n_threads)

    def draw_labels(self, gaussians: Gaussians, uniforms: np.ndarray) -> np.ndarray:
        """A component drawn from each posterior by uniforms (n_rows,), (n_rows,)."""
        return self._kernels.draw_labels(self._x, gaussians, uniforms, self.n_threads)

    def posteriors(self, gaussians: Gaussians) -> np.ndarray:
        """Posterior probabilities of the components, (n_rows, K)."""
        return self._kernels.posteriors(self._x, gaussians, self.n_threads)

    def nearest(self, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Index of the nearest center, (n_rows,), and squared distance, (n_rows,)."""
        return self._kernels.nearest(self._x, centers, self.n_threads)

    def apply_maps(
        self, gaussians: Gaussians, linear: np.ndarray, shifts: np.ndarray
    ) -> np.ndarray:
        """Σ_k p_k(x) (A_k (x - m_k) + b_k), p the posteriors, (n_rows, n_features)."""
        return self._kernels.apply_maps(
            self._x, gaussians, linear, shifts, self.n_threads
        )

    def apply_selected(
        self,
        index: np.ndarray,
        centers: np.ndarray,
        linear: np.ndarray,
        shifts: np.ndarray,
    ) -> np.ndarray:
        """A_i (x - c_i) + b_i with i = index[row], (n_rows, n_features)."""
        return self._kernels.apply_selected(
            self._x, index, centers, linear, shifts, self.n_threads
        )
