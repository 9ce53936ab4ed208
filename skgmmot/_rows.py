"""Rows in memory: their canonical order, samples of them, means and variances.

Draws go by the inverse CDF of the weights over the rows in canonical order. So a row
of weight 2 is drawn like two equal rows, and shuffled rows are drawn alike.
"""

from collections.abc import Callable

import numpy as np

_SAMPLE_ROWS = 20_000  # rows of a sample, at least
_ROWS_PER_COMPONENT = 400
_BLOCK_ENTRIES = 2**17  # that are in float64 at once, 1 MiB


def canonical_order(x: np.ndarray) -> np.ndarray:
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


def draw(weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Indices at which the CDF of the weights passes the levels in [0, 1)."""
    cdf = np.cumsum(weights)
    last = np.flatnonzero(weights)[-1]
    return np.minimum(np.searchsorted(cdf, levels * cdf[-1], side="right"), last)


def mean_and_variances(
    x: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variances of the features, (d,) each, in float64 whatever the type.

    Rounding of a long sum is taken back: a feature without variance has none.
    """
    mass = len(x) if weights is None else weights.sum()
    rough = _sum_of(lambda block: block, x, weights) / mass
    rest = _sum_of(lambda block: block - rough, x, weights) / mass
    mean = rough + rest
    return mean, _sum_of(lambda block: (block - mean) ** 2, x, weights) / mass


def _sum_of(
    function: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    weights: np.ndarray | None,
) -> np.ndarray:
    """Weighted sum over the rows of function(rows), a block of rows at a time."""
    total: np.ndarray | float = 0.0
    step = max(1, _BLOCK_ENTRIES // max(1, x.shape[1]))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        block = function(x[rows].astype(np.float64))
        total = total + (
            block.sum(axis=0) if weights is None else weights[rows] @ block
        )
    return np.asarray(total)


def sample_size(n_components: int, least: int | None = None) -> int:
    """How many rows a sample has, at least, for a number of components."""
    least = _SAMPLE_ROWS if least is None else least
    return max(least, _ROWS_PER_COMPONENT * n_components)


def sample_rows(
    x: np.ndarray,
    weights: np.ndarray | None,
    n_components: int,
    random_state: np.random.RandomState,
    least: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows in canonical order with their weights; a systematic sample of many rows."""
    size = sample_size(n_components, least)
    if max(len(x), 0.0 if weights is None else weights.sum()) <= size:
        order = canonical_order(x)
        return x[order], np.ones(len(x)) if weights is None else weights[order]
    return systematic(x, weights, size, random_state.uniform())


def systematic(
    x: np.ndarray, weights: np.ndarray | None, size: int, start: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that `size` equidistant levels draw, and how often; start in [0, 1)."""
    return draw_at(x, weights, (start + np.arange(size)) / size)


def draw_at(
    x: np.ndarray, weights: np.ndarray | None, levels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows in canonical order at levels of the weights' CDF, and how often each."""
    order = canonical_order(x)
    if weights is None:  # as for weights of 1, without arrays of all rows
        drawn = np.minimum((levels * len(x)).astype(np.int64), len(x) - 1)
    else:
        drawn = draw(weights[order], levels)
    rows, repeats = np.unique(drawn, return_counts=True)
    return x[order[rows]], repeats.astype(np.float64)
