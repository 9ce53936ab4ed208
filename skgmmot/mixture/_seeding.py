"""Starts: k-means, k-means++, random. Weighted, and blind to the order of rows.

They are given rows in canonical order and draw by the inverse CDF of their weights: a
row of weight 2 is drawn like two equal rows, and shuffled rows start alike.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import Rows, everywhere, like_rows_of
from skgmmot._rows import draw, mean_and_variances

_MAX_LLOYD = 30
_LLOYD_TOL = 1e-4
_ROUNDS = 3  # of k-means at most, each in units of the cells before
_NARROWER = 1e-2  # of the logarithm of a volume; the same cells again gain nothing
_LEAST_WITHIN = 1e-8  # variance within the cells, relative to that of the feature


def draw_from_data(
    x: np.ndarray,
    weights: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Means drawn from the rows by weight, distinct as long as rows are."""
    left = np.array(weights, dtype=np.float64)
    chosen = []
    for _ in range(n_components):
        if not left.any():
            left = np.array(weights, dtype=np.float64)
        row = draw(left, random_state.uniform(size=1))[0]
        chosen.append(row)
        left[np.all(x == x[row], axis=1)] = 0.0
    return np.asarray(x[chosen], dtype=np.float64)


def kmeans_plusplus(
    x: np.ndarray,
    weights: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Greedy k-means++: of some draws by squared distance, the best is taken.

    Arthur and Vassilvitskii, SODA 2007.
    """
    points = np.asarray(x, dtype=np.float64) - mean_and_variances(x, weights)[0]
    norms = np.einsum("ij,ij->i", points, points)
    n_trials = 2 + int(np.log(n_components))
    first = draw(weights, random_state.uniform(size=1))[0]
    chosen = [first]
    closest = _squared_distances(points, norms, [first])[:, 0]
    for _ in range(1, n_components):
        mass = closest * weights
        if not mass.any():
            mass = weights
        trials = draw(mass, random_state.uniform(size=n_trials))
        distances = _squared_distances(points, norms, trials)
        np.minimum(distances, closest[:, None], out=distances)
        best = int(np.argmin(weights @ distances))
        closest = distances[:, best]
        chosen.append(trials[best])
    return np.asarray(x[chosen], dtype=np.float64)


def _squared_distances(
    points: np.ndarray, norms: np.ndarray, chosen: np.ndarray | list[int]
) -> np.ndarray:
    """Squared distances to some of the points, 0 where rounding would hide a tie."""
    cross = points @ points[chosen].T
    distances = norms[:, None] - 2.0 * cross + norms[chosen]
    distances[distances <= 1e-14 * (norms[:, None] + norms[chosen])] = 0.0
    return distances


def kmeans(
    x: np.ndarray,
    weights: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
    n_threads: int | None = None,
) -> np.ndarray:
    """Lloyd's iterations from k-means++; a center without rows stays where it is."""
    centers = kmeans_plusplus(x, weights, n_components, random_state)
    blocks = blocks_of(x, n_threads=n_threads)
    scale = mean_and_variances(x, weights)[1].mean()
    for _ in range(_MAX_LLOYD):
        labels, _ = blocks.nearest(centers)
        counts = np.bincount(labels, weights, n_components)
        moved = centers.copy()
        full = counts > 0.0
        for j in range(x.shape[1]):
            sums = np.bincount(labels, weights * x[:, j], n_components)
            moved[full, j] = sums[full] / counts[full]
        shift = ((moved - centers) ** 2).sum()
        centers = moved
        if shift <= _LLOYD_TOL * scale:
            break
    return centers


def rescaled_kmeans(
    x: np.ndarray,
    weights: np.ndarray,
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
        scaled = (x / units).astype(x.dtype, copy=False)
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
    x: np.ndarray, weights: np.ndarray, centers: np.ndarray, n_threads: int | None
) -> np.ndarray:
    """Variances of the features about the nearest center, (d,)."""
    labels, _ = blocks_of(x, n_threads=n_threads).nearest(centers)
    return weights @ (x - centers[labels]) ** 2 / weights.sum()


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
