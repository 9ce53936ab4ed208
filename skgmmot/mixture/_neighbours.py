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
    """A matrix (n, n) of rows of sum 1, few of whose entries are not 0.

    Beside its own column a row has entries in those of a few rows, the candidates.
    """

    candidates: Any  # (c,) numbers of rows
    places: Any  # (n, m) which candidates are neighbours of a row
    values: Any  # (n, m + 1) entries, each row's own first

    def of(self, rows: slice, own: Any, others: Any) -> Any:
        """Rows of the product with a matrix (n, K), like its rows.

        `own` are rows of that matrix, `others` those of the candidates.
        """
        xp, values, places = array_namespace(own), self.values, self.places
        found = values[rows, :1] * own
        for j in range(places.shape[1]):
            part = xp.take(others, places[rows, j], axis=0)
            part *= values[rows, j + 1 : j + 2]
            found += part
        return found


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
    candidates, places = nearest_others(X)
    others = xp.take(weights, xp.take(candidates, xp.reshape(places, (-1,))))
    mass = [weights[:, None], xp.reshape(others, places.shape)]
    mass = xp.concat(mass, axis=1)
    before = xp.cumulative_sum(mass, axis=1) - mass
    mass = xp.clip(size - before, 0.0, mass)
    values = part * mass / xp.sum(mass, axis=1, keepdims=True)
    values[:, 0] += 1.0 - part
    return NeighbourAverage(candidates, places, values)


def nearest_others(X: Rows) -> tuple[Any, Any]:
    """Candidates (c,), and which are the five nearest others of each row.

    These, (n, at most 5), are numbers of candidates, the nearest first. All rows are
    candidates; of many an even sample, in the order of their values.
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
            found[block, j] = best
            near = columns == best[:, None]
    return candidates, found
