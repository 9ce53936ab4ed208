"""Rows and their nearest rows: what a row is like is told by those about it, too."""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from skgmmot._blocks._row_arrays import (
    Rows,
    as_floats,
    canonical_order,
    everywhere,
    like_rows_of,
)
from skgmmot.kernels import chunks, to_host

_NEIGHBOURHOOD = 6.0  # rows, the row itself included, as weights count them
_OTHERS = 5
_MOST_CANDIDATES = 2000  # among which neighbours are looked for


class NeighbourAverage(NamedTuple):
    """A matrix (n, n) of rows of sum 1, few of whose entries are not 0."""

    index: Any  # (n, m) columns of the entries, each row's own first
    values: Any  # (n, m)

    def __matmul__(self, others: Any) -> Any:
        """The product with a matrix (n, K) of the kind of the rows."""
        xp, total = array_namespace(others), 0.0
        for j in range(self.index.shape[1]):
            part = xp.take(others, self.index[:, j], axis=0)
            total = total + self.values[:, j : j + 1] * part
        return total


def neighbour_average(X: Rows, weights: Any, part: float) -> NeighbourAverage:
    """A matrix that draws what belongs to a row towards the mean about it.

    A neighbourhood has the mass min(6, sqrt(n)), n the mass of all rows. It is filled
    by the row itself and then by the nearest others, the last of them in part: a row
    of weight 2 is as good as two equal rows.

    Parameters
    ----------
    X : array of shape (n, d)
    weights : array of shape (n,) or None
        Frequencies, of the kind of X; None: all 1.
    part : float
        Of the mean over the neighbourhood; 1 - part is that of the row itself.

    Returns
    -------
    average : NeighbourAverage
        Where the rows are.
    """
    xp = array_namespace(X)
    weights = everywhere(X, 1.0) if weights is None else weights
    size = min(_NEIGHBOURHOOD, float(np.sqrt(float(to_host(xp.sum(weights))))))
    itself = xp.arange(X.shape[0], device=device(X))[:, None]
    index = xp.concat([itself, nearest_others(X)], axis=1)
    mass = xp.reshape(xp.take(weights, xp.reshape(index, (-1,))), index.shape)
    before = xp.cumulative_sum(mass, axis=1) - mass
    mass = xp.clip(size - before, 0.0, mass)
    values = part * mass / xp.sum(mass, axis=1, keepdims=True)
    values[:, 0] += 1.0 - part
    return NeighbourAverage(index, values)


def nearest_others(X: Rows) -> Any:
    """The five nearest other rows of each row, the nearest first, (n, at most 5).

    Of many rows an even sample, in the order of their values, is looked through.
    """
    xp, n = array_namespace(X), X.shape[0]
    rows = as_floats(X)
    rows = rows - xp.mean(rows, axis=0)
    largest = float(to_host(xp.max(xp.abs(rows))))
    rows = rows / max(
        largest, float(np.finfo(np.float64).tiny)
    )  # squares stay in range
    candidates = index = xp.arange(n, device=device(X))
    if n > _MOST_CANDIDATES:
        places = np.linspace(0, n - 1, _MOST_CANDIDATES).astype(np.intp)
        candidates = xp.take(canonical_order(X), like_rows_of(X, places))
    others = xp.take(rows, candidates, axis=0)
    squares = 0.5 * xp.sum(others * others, axis=1)
    n_candidates = candidates.shape[0]
    columns = xp.arange(n_candidates, device=device(X))
    found = xp.empty((n, min(_OTHERS, n - 1)), dtype=index.dtype, device=device(X))
    for block in chunks(X, n_candidates):
        gaps = squares - rows[block, :] @ others.T  # half of squares, less one's own
        near = candidates == index[block][:, None]
        for j in range(found.shape[1]):
            gaps[near] = np.inf
            best = xp.argmin(gaps, axis=1)
            found[block, j] = xp.take(candidates, best)
            near = columns == best[:, None]
    return found
