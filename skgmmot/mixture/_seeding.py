"""Starts: k-means, k-means++, random. Weighted, and blind to the order of rows.

They are given rows in canonical order and draw by the inverse CDF of their weights: a
row of weight 2 is drawn like two equal rows, and shuffled rows start alike. Rows stay
where they are; only centers come to the host.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import (
    Rows,
    as_floats,
    drawn,
    everywhere,
    in_type_of,
    like_rows_of,
)
from skgmmot.kernels import to_host

_MAX_LLOYD = 30
_LLOYD_TOL = 1e-4
_ROUNDS = 3  # of k-means at most, each in units of the cells before
_NARROWER = 1e-2  # of the logarithm of a volume; the same cells again gain nothing
_LEAST_WITHIN = 1e-8  # variance within the cells, relative to that of the feature


def draw_from_data(
    x: Rows,
    weights: Any,
    n_components: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Means drawn from the rows by weight, distinct as long as rows are."""
    xp, left = array_namespace(x), weights
    chosen = []
    for _ in range(n_components):
        left = xp.where(xp.any(left > 0.0), left, weights)
        row = drawn(left, random_state.uniform(size=1))
        chosen.append(row)
        others = xp.any(x != xp.take(x, row, axis=0), axis=1)
        left = left * xp.astype(others, xp.float64)
    return _rows_at(x, chosen)


def _rows_at(x: Rows, chosen: list[Any]) -> np.ndarray:
    """Rows of some numbers, on the host and in float64."""
    xp = array_namespace(x)
    rows = to_host(xp.take(x, xp.concat(chosen), axis=0))
    return np.asarray(rows, dtype=np.float64)


def kmeans_plusplus(
    x: Rows,
    weights: Any,
    n_components: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Greedy k-means++: of some draws by squared distance, the best is taken.

    Arthur and Vassilvitskii, SODA 2007.
    """
    xp, center = array_namespace(x), blocks_of(x, weights).mean_and_variances()[0]
    points = as_floats(x) - like_rows_of(x, center)
    norms = xp.sum(points * points, axis=1)
    n_trials = 2 + int(np.log(n_components))
    first = drawn(weights, random_state.uniform(size=1))
    chosen = [first]
    closest = _squared_distances(points, norms, first)[:, 0]
    for _ in range(1, n_components):
        mass = closest * weights
        mass = xp.where(xp.any(mass > 0.0), mass, weights)
        trials = drawn(mass, random_state.uniform(size=n_trials))
        distances = _squared_distances(points, norms, trials)
        distances = xp.minimum(distances, closest[:, None])
        best = xp.reshape(xp.argmin(weights @ distances), (1,))
        closest = xp.take(distances, best, axis=1)[:, 0]
        chosen.append(xp.take(trials, best))
    return _rows_at(x, chosen)


def _squared_distances(points: Any, norms: Any, chosen: Any) -> Any:
    """Squared distances to some of the points, 0 where rounding would hide a tie."""
    xp = array_namespace(points)
    ends, others = xp.take(points, chosen, axis=0), xp.take(norms, chosen)
    distances = norms[:, None] - 2.0 * (points @ ends.T) + others
    apart = distances > 1e-14 * (norms[:, None] + others)
    return xp.where(apart, distances, xp.zeros_like(distances))


def kmeans(
    x: Rows,
    weights: Any,
    n_components: int,
    random_state: np.random.RandomState,
    n_threads: int | None = None,
) -> np.ndarray:
    """Lloyd's iterations from k-means++; a center without rows stays where it is."""
    centers = kmeans_plusplus(x, weights, n_components, random_state)
    blocks = blocks_of(x, weights, n_threads)
    scale = blocks.mean_and_variances()[1].mean()
    for _ in range(_MAX_LLOYD):
        counts, sums = blocks.cell_sums(centers)
        full = counts > 0.0
        moved = centers.copy()
        moved[full] = sums[full] / counts[full][:, None]
        shift = ((moved - centers) ** 2).sum()
        centers = moved
        if shift <= _LLOYD_TOL * scale:
            break
    return centers


def rescaled_kmeans(
    x: Rows,
    weights: Any,
    n_components: int,
    random_state: np.random.RandomState,
    n_threads: int | None = None,
) -> np.ndarray:
    """k-means, and anew with features divided by their deviations within the cells.

    Features that do not tell the cells apart lose their say. A round is kept where it
    lowers the product of the variances within, as the likelihood of components of one
    diagonal covariance asks.
    """
    best, least = np.empty(0), np.inf
    units = np.ones(x.shape[1])
    for _ in range(_ROUNDS):
        scaled = in_type_of(x / like_rows_of(x, units), x)
        centers = kmeans(scaled, weights, n_components, random_state, n_threads)
        within = _within(scaled, weights, centers, n_threads) * units**2
        within = np.maximum(within, _LEAST_WITHIN)
        logs = float(np.log(within).sum())
        if logs > least - _NARROWER:
            break
        # Coarse units: rounding of the sums shall not decide between equal draws.
        best, least = centers * units, logs
        units = np.exp2(np.round(4.0 * np.log2(within)) / 8.0)
    return best


def _within(
    x: Rows, weights: Any, centers: np.ndarray, n_threads: int | None
) -> np.ndarray:
    """Variances of the features about the nearest center, (d,)."""
    xp, blocks = array_namespace(x), blocks_of(x, weights, n_threads)
    labels, _ = blocks.nearest(centers)
    gaps = x - xp.take(like_rows_of(x, centers), labels, axis=0)
    return to_host(weights @ gaps**2) / blocks.mass


class RandomResponsibilities:
    """Uniform responsibilities (n, K) that sum to 1, equal for equal rows.

    They are drawn as slices are read, which has to be once and in order, so that they
    never are in memory as a whole.
    """

    def __init__(
        self,
        ordered: Rows,
        n_components: int,
        random_state: np.random.RandomState,
    ) -> None:
        self.x = ordered  # rows in canonical order
        self.shape = (ordered.shape[0], n_components)
        self._random_state = random_state
        self._last = np.empty((0, n_components))

    def __getitem__(self, rows: slice) -> Any:
        x, xp = self.x, array_namespace(self.x)
        start, stop, _ = rows.indices(self.shape[0])
        first = max(start - 1, 0)  # the row before may equal the first one
        new = xp.any(x[first + 1 : stop, :] != x[first : stop - 1, :], axis=1)
        if start == 0:
            new = xp.concat([everywhere(x[:1, :], True), new])
        n_new = int(xp.sum(xp.astype(new, xp.int64)))
        draws = self._random_state.uniform(size=(n_new, self.shape[1]))
        draws /= draws.sum(axis=1, keepdims=True)
        index = xp.cumulative_sum(xp.astype(new, xp.int64)) - int(start == 0)
        draws = np.concatenate([self._last, draws])
        self._last = draws[-1:]
        return xp.take(like_rows_of(x, draws), index, axis=0)
