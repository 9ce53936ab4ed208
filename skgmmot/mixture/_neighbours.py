"""Rows and their nearest rows: what a row is like is told by those about it, too."""

import numpy as np
from scipy.sparse import csr_array

from skgmmot._rows import canonical_order

_NEIGHBOURHOOD = 6.0  # rows, the row itself included, as weights count them
_OTHERS = 5
_MOST_CANDIDATES = 2000  # among which neighbours are looked for
_ENTRIES = 2**21  # of a block of distances, 16 MiB


def neighbour_average(
    X: np.ndarray, weights: np.ndarray | None, part: float
) -> csr_array:
    """A matrix that draws what belongs to a row towards the mean about it.

    A neighbourhood has the mass min(6, sqrt(n)), n the mass of all rows. It is filled
    by the row itself and then by the nearest others, the last of them in part: a row
    of weight 2 is as good as two equal rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (n,) or None
        Frequencies; None: all 1.
    part : float
        Of the mean over the neighbourhood; 1 - part is that of the row itself.

    Returns
    -------
    average : csr_array of shape (n, n)
        Rows sum to 1.
    """
    n = len(X)
    weights = np.ones(n) if weights is None else weights
    size = min(_NEIGHBOURHOOD, float(np.sqrt(weights.sum())))
    index = np.column_stack([np.arange(n), nearest_others(X)])
    mass = weights[index]
    before = np.cumsum(mass, axis=1) - mass
    mass = np.clip(size - before, 0.0, mass)
    values = part * mass / mass.sum(axis=1, keepdims=True)
    values[:, 0] += 1.0 - part
    starts = np.arange(n + 1) * index.shape[1]
    return csr_array((values.ravel(), index.ravel(), starts), shape=(n, n))


def nearest_others(X: np.ndarray) -> np.ndarray:
    """The five nearest other rows of each row, the nearest first, (n, at most 5).

    Of many rows an even sample, in the order of their values, is looked through.
    """
    n = len(X)
    rows = X - X.mean(axis=0, dtype=np.float64)
    rows /= max(np.abs(rows).max(), np.finfo(np.float64).tiny)  # squares stay in range
    candidates = np.arange(n)
    if n > _MOST_CANDIDATES:
        places = np.linspace(0, n - 1, _MOST_CANDIDATES).astype(np.intp)
        candidates = np.sort(canonical_order(X)[places])
    others = rows[candidates]
    squares = 0.5 * np.square(others).sum(axis=1)
    n_others = min(_OTHERS, n - 1)
    found = np.empty((n, n_others), dtype=np.intp)
    step = max(1, _ENTRIES // len(candidates))
    for start in range(0, n, step):
        block = slice(start, min(start + step, n))
        gaps = squares - rows[block] @ others.T  # half of the squares, less one's own
        own = np.arange(block.start, block.stop)
        place = np.searchsorted(candidates, own)
        place[place == len(candidates)] = 0
        itself = np.flatnonzero(candidates[place] == own)
        gaps[itself, place[itself]] = np.inf
        near = np.argpartition(gaps, max(n_others - 1, 0), axis=1)[:, :n_others]
        order = np.argsort(
            np.take_along_axis(gaps, near, axis=1), axis=1, kind="stable"
        )
        found[block] = candidates[np.take_along_axis(near, order, axis=1)]
    return found
