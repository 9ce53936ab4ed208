"""Arithmetic on pairs of factors: nuclear norms of their products.

One-sided Jacobi rotations make the columns of a matrix orthogonal; the sum of their
lengths is then the nuclear norm. See Hestenes, *Inversion of matrices by
biorthogonalization and related results*, Journal of the SIAM 6 (1958), doi
10.1137/0106005. As with tiles of rows, LANES pairs lie inside, features outside, so
that every inner loop is vectorised.

Arguments are marked IN or OUT.
"""

import numpy as np

from skgmmot.kernels._jit import exact_allocating_kernel, exact_kernel

LANES = 32
_MAX_SWEEPS = 40
# Square of what orthogonal columns may still miss of the norm, before a last rotation.
_TOL = 1e-26
_TINY = 1e-300


@exact_kernel
def _load_lanes(factors, start, stop, lanes):
    """Copy factors start..stop (IN) into lanes (OUT, (d, d, LANES)); the last pads."""
    d = factors.shape[1]
    for t in range(LANES):
        index = min(start + t, stop - 1)
        for m in range(d):
            for i in range(d):
                lanes[m, i, t] = factors[index, m, i]


@exact_kernel
def _cross(lanes, factor, columns):
    """columns[j, i] (OUT) = entry (i, j) of the product of lanesᵀ and factor (IN)."""
    d = len(factor)
    for j in range(d):
        for i in range(d):
            for t in range(LANES):
                columns[j, i, t] = 0.0
        for m in range(d):
            scale = factor[m, j]
            for i in range(d):
                for t in range(LANES):
                    columns[j, i, t] += lanes[m, i, t] * scale


@exact_kernel
def _add_squares(column, sums):
    """Add to sums (OUT) the squared lengths of a column (IN)."""
    for i in range(len(column)):
        for t in range(LANES):
            sums[t] += column[i, t] * column[i, t]


@exact_kernel
def _rotate(x, y, lengths, active, wrong, sums):
    """Make the columns x and y (OUT) orthogonal; count in wrong (OUT) if they were not.

    The norm is too long by at most g² / (2 max(|x|, |y|) |x| |y|) of its length. Lanes
    that are not active stay, so that no lane depends on its neighbours.
    """
    for t in range(LANES):
        sums[0, t] = sums[1, t] = sums[2, t] = 0.0
    for i in range(len(x)):
        for t in range(LANES):
            sums[0, t] += x[i, t] * x[i, t]
            sums[1, t] += y[i, t] * y[i, t]
            sums[2, t] += x[i, t] * y[i, t]
    for t in range(LANES):
        a, b, g = sums[0, t], sums[1, t], sums[2, t]
        error, largest = g * g, a if a > b else b
        far = error * error > _TOL * a * b * largest * lengths[t]
        wrong[t] += 1.0 if far else 0.0
        gap = b - a
        tangent = 2.0 * g / (abs(gap) + np.sqrt(gap * gap + 4.0 * error) + _TINY)
        tangent = active[t] * (tangent if gap >= 0.0 else -tangent)
        sums[0, t] = 1.0 / np.sqrt(1.0 + tangent * tangent)
        sums[1, t] = tangent * sums[0, t]
    for i in range(len(x)):
        for t in range(LANES):
            c, s = sums[0, t], sums[1, t]
            x0, y0 = x[i, t], y[i, t]
            x[i, t] = c * x0 - s * y0
            y[i, t] = s * x0 + c * y0


@exact_kernel
def _sweep(columns, lengths, active, wrong, sums):
    """Rotate all pairs of columns (OUT); return whether some lane is still active."""
    d = len(columns)
    for t in range(LANES):
        wrong[t] = 0.0
    for p in range(d - 1):
        for q in range(p + 1, d):
            _rotate(columns[p], columns[q], lengths, active, wrong, sums)
    left = 0.0
    for t in range(LANES):
        active[t] = active[t] if wrong[t] > 0.0 else 0.0
        left += active[t]
    return left > 0.0


@exact_kernel
def _norms(columns, sums, norms):
    """norms (OUT): nuclear norms of matrices of which columns (OUT) are changed."""
    lengths, active, wrong = sums[3], sums[4], sums[5]
    for t in range(LANES):
        norms[t] = lengths[t] = 0.0
        active[t] = 1.0
    for column in columns:
        _add_squares(column, lengths)
    for _ in range(_MAX_SWEEPS):
        if not _sweep(columns, lengths, active, wrong, sums):
            break
    for column in columns:
        for t in range(LANES):
            wrong[t] = 0.0
        _add_squares(column, wrong)
        for t in range(LANES):
            norms[t] += np.sqrt(wrong[t])


@exact_allocating_kernel
def nuclear_norms(factors0, factors1, out):
    """out[k, l] (OUT) = nuclear norm of L1ᵀ L0 of factors (IN) of length about 1."""
    d, n = factors0.shape[1], len(factors1)
    lanes, columns = np.empty((d, d, LANES)), np.empty((d, d, LANES))
    sums, norms = np.empty((6, LANES)), np.empty(LANES)
    for start in range(0, n, LANES):
        stop = min(start + LANES, n)
        _load_lanes(factors1, start, stop, lanes)
        for k in range(len(factors0)):
            _cross(lanes, factors0[k], columns)
            _norms(columns, sums, norms)
            for t in range(stop - start):
                out[k, start + t] = norms[t]
