"""Arithmetic on pairs of factors: nuclear norms of their products."""

import numpy as np

from skgmmot._jit import exact_allocating_kernel, exact_kernel
from skgmmot.linalg._singular import (
    LANES,
    add_singular_values,
    bidiagonalise,
    product,
)


@exact_kernel
def _load_groups(factors, start, stop, groups):
    """Copy factors start..stop (IN) into groups (OUT, flat); the last one pads."""
    d = factors.shape[1]
    for t in range(LANES):
        index = min(start + t, stop - 1)
        for m in range(d):
            for i in range(d):
                groups[(m * d + i) * LANES + t] = factors[index, m, i]


@exact_allocating_kernel
def _nuclear_norms(factors0, factors1, out):
    """out[k, l] (OUT) = nuclear norm of L1ᵀ L0 of factors (IN) of length about 1.

    NaN where it was not found.
    """
    d, n = factors0.shape[1], len(factors1)
    groups, columns = np.empty(d * d * LANES), np.empty(d * d * LANES)
    squares, edges = np.empty((d, LANES)), np.empty((d, LANES))
    work, norms = np.empty((7, LANES)), np.empty(LANES)
    for start in range(0, n, LANES):
        stop = min(start + LANES, n)
        _load_groups(factors1, start, stop, groups)
        for k in range(len(factors0)):
            product(groups, factors0[k], columns)
            bidiagonalise(columns, squares, edges, work)
            add_singular_values(squares, edges, work, norms)
            for t in range(stop - start):
                out[k, start + t] = norms[t]


def _read_only(array: np.ndarray) -> np.ndarray:
    """A C-ordered view that cannot be written: one compiled signature for all kinds."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def compiled_pair_norms(factors0: np.ndarray, factors1: np.ndarray) -> np.ndarray:
    """(K0, K1) nuclear norms of L1ᵀ L0 for all pairs of (K, d, d) factors.

    On the thread of the caller, who has more than one such call to make.
    """
    sides = []
    for factors in (factors0, factors1):
        lengths = np.linalg.norm(factors, axis=(1, 2))
        lengths[lengths == 0.0] = 1.0  # squares of lengths stay far from overflow
        sides.append((lengths, _read_only(factors / lengths[:, None, None])))
    (lengths0, units0), (lengths1, units1) = sides
    out = np.empty((len(factors0), len(factors1)))
    _nuclear_norms(units0, units1, out)
    rows, columns = np.nonzero(np.isnan(out))
    if rows.size:
        products = np.swapaxes(units1[columns], 1, 2) @ units0[rows]
        out[rows, columns] = np.linalg.svd(products, compute_uv=False).sum(axis=1)
    return out * lengths0[:, None] * lengths1
