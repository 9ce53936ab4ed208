"""Starts: k-means, k-means++, random. Weighted, and blind to the order of rows.

Random draws go by the inverse CDF of the weights over the rows in a canonical order.
So a row of weight 2 is drawn like two equal rows, and shuffled rows start alike.
"""

import numpy as np

from skgmmot.kernels import kernels_for

_SAMPLE_ROWS = 20_000  # rows on which k-means runs, at least
_ROWS_PER_COMPONENT = 400
_BLOCK_ROWS = 2**14  # that are in float64 at once
_MAX_LLOYD = 30
_LLOYD_TOL = 1e-4


def canonical_order(x):
    """An order of the rows that depends on their values alone.

    Rows are sorted by the first feature, ties by the next and so on; among equal rows
    the order cannot matter.
    """
    order = np.argsort(x[:, 0])
    column = x[order, 0]
    new = np.ones(len(x) + 1, dtype=bool)  # where another value begins, or the end
    np.not_equal(column[1:], column[:-1], out=new[1:-1])
    del column  # as large as the order
    tied = np.flatnonzero(~(new[:-1] & new[1:]))  # places that are not settled
    ranks = np.cumsum(new[tied])  # of these places, by the features so far
    for j in range(1, x.shape[1]):
        if len(tied) == 0:
            break
        rows = order[tied]
        rows = rows[np.lexsort((x[rows, j], ranks))]
        order[tied] = rows
        column = x[rows, j]
        new = np.ones(len(tied) + 1, dtype=bool)
        new[1:-1] = (column[1:] != column[:-1]) | (ranks[1:] != ranks[:-1])
        left = ~(new[:-1] & new[1:])
        ranks, tied = np.cumsum(new[:-1])[left], tied[left]
    return order


def _draw(weights, levels):
    """Indices at which the CDF of the weights passes the levels in [0, 1)."""
    cdf = np.cumsum(weights)
    last = np.flatnonzero(weights)[-1]
    return np.minimum(np.searchsorted(cdf, levels * cdf[-1], side="right"), last)


def mean_and_variances(x, weights=None):
    """Mean and variances of the features, (d,) each, in float64 whatever the type."""
    mass = len(x) if weights is None else weights.sum()
    mean = _sum_of(lambda block: block, x, weights) / mass
    return mean, _sum_of(lambda block: (block - mean) ** 2, x, weights) / mass


def _sum_of(function, x, weights):
    """Weighted sum over the rows of function(row), a block of rows at a time."""
    total = np.zeros(x.shape[1])
    for start in range(0, len(x), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = function(x[rows].astype(np.float64))
        total += block.sum(axis=0) if weights is None else weights[rows] @ block
    return total


def sample_rows(x, weights, n_components, random_state, least=None):
    """Rows in canonical order with their weights; a systematic sample of many rows."""
    order = canonical_order(x)
    least = _SAMPLE_ROWS if least is None else least
    size = max(least, _ROWS_PER_COMPONENT * n_components)
    if max(len(x), 0.0 if weights is None else weights.sum()) <= size:
        return x[order], np.ones(len(x)) if weights is None else weights[order]
    levels = (random_state.uniform() + np.arange(size)) / size
    if weights is None:  # as for weights of 1, without arrays of all rows
        drawn = np.minimum((levels * len(x)).astype(np.int64), len(x) - 1)
    else:
        drawn = _draw(weights[order], levels)
    rows, repeats = np.unique(drawn, return_counts=True)
    return x[order[rows]], repeats.astype(np.float64)


def draw_from_data(x, weights, n_components, random_state):
    """Means drawn from the rows by weight, distinct as long as rows are."""
    left = np.array(weights, dtype=np.float64)
    chosen = []
    for _ in range(n_components):
        if not left.any():
            left = np.array(weights, dtype=np.float64)
        row = _draw(left, random_state.uniform(size=1))[0]
        chosen.append(row)
        left[np.all(x == x[row], axis=1)] = 0.0
    return np.asarray(x[chosen], dtype=np.float64)


def kmeans_plusplus(x, weights, n_components, random_state):
    """Greedy k-means++: of some draws by squared distance, the best is taken.

    Arthur and Vassilvitskii, SODA 2007.
    """
    points = np.asarray(x, dtype=np.float64) - mean_and_variances(x, weights)[0]
    norms = np.einsum("ij,ij->i", points, points)
    n_trials = 2 + int(np.log(n_components))
    first = _draw(weights, random_state.uniform(size=1))[0]
    chosen = [first]
    closest = _squared_distances(points, norms, [first])[:, 0]
    for _ in range(1, n_components):
        mass = closest * weights
        if not mass.any():
            mass = weights
        trials = _draw(mass, random_state.uniform(size=n_trials))
        distances = _squared_distances(points, norms, trials)
        np.minimum(distances, closest[:, None], out=distances)
        best = int(np.argmin(weights @ distances))
        closest = distances[:, best]
        chosen.append(trials[best])
    return np.asarray(x[chosen], dtype=np.float64)


def _squared_distances(points, norms, chosen):
    """Squared distances to some of the points, 0 where rounding would hide a tie."""
    cross = points @ points[chosen].T
    distances = norms[:, None] - 2.0 * cross + norms[chosen]
    distances[distances <= 1e-14 * (norms[:, None] + norms[chosen])] = 0.0
    return distances


def kmeans(x, weights, n_components, random_state, n_threads=None):
    """Lloyd's iterations from k-means++; a center without rows stays where it is."""
    centers = kmeans_plusplus(x, weights, n_components, random_state)
    nearest = kernels_for(x).nearest
    scale = mean_and_variances(x, weights)[1].mean()
    for _ in range(_MAX_LLOYD):
        labels, _ = nearest(x, centers, n_threads)
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


class RandomResponsibilities:
    """Uniform responsibilities (n, K) that sum to 1, equal for equal rows.

    They are drawn as slices are read, which has to be once and in order, so that they
    never are in memory as a whole.
    """

    def __init__(self, ordered, n_components, random_state):
        self.x = ordered  # rows in canonical order
        self.shape = (len(ordered), n_components)
        self._random_state = random_state
        self._last = np.empty((0, n_components))

    def __getitem__(self, rows):
        start, stop, _ = rows.indices(len(self.x))
        first = max(start - 1, 0)  # the row before may equal the first one
        new = np.any(self.x[first + 1 : stop] != self.x[first : stop - 1], axis=1)
        new = np.concatenate(([True], new)) if start == 0 else new
        draws = self._random_state.uniform(size=(int(new.sum()), self.shape[1]))
        draws /= draws.sum(axis=1, keepdims=True)
        index = np.cumsum(new) - (start == 0)
        draws = np.concatenate([self._last, draws])
        self._last = draws[-1:]
        return draws[index]
