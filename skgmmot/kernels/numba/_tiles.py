"""Arithmetic on one tile of rows: densities, responsibilities, weighted moments.

A tile is a transposed copy of TILE rows, so that features lie outside and rows inside:
every inner loop runs over rows that are contiguous in memory and is vectorised, here by
the compiler, in the emitters by hand.

Arguments are marked IN or OUT; nothing here allocates more than a tile.
"""

import math

from skgmmot._jit import exact_kernel, kernel
from skgmmot.kernels.numba import _emit_elementary as emitters
from skgmmot.kernels.numba._constants import ROWS_PER_MASK, TILE
from skgmmot.kernels.numba._emit_densities import densities_diagonal, densities_full
from skgmmot.kernels.numba._emit_rows import load_turned
from skgmmot.kernels.numba._emit_sums import add_outers, add_sums, lowest_bit

_LEAST_LOG = math.log(1e-300)  # what the logarithm of a share is cut at


@kernel
def load_tile(x, start, stop, tile):
    """Copy rows start..stop of x (IN) into tile (OUT, (d, TILE)); the last row pads."""
    load_turned(x, start, stop, tile)


@kernel
def log_densities(tile, mixture, centered, r, largest):
    """r (OUT, (K, TILE)) = log densities; largest (IN, OUT) raised to them.

    d (d + 1) / 2 multiply-adds a row with full whiteners. centered is workspace.
    """
    offsets, means, whiteners = mixture.offsets, mixture.means, mixture.whiteners
    if whiteners.ndim == 2:
        densities_diagonal(tile, means, whiteners, offsets, r, largest)
    else:
        densities_full(tile, means, whiteners, offsets, r, largest, centered)


@kernel
def distances_diagonal(tile, mean, w, q):
    """q (OUT) = sum_j (w_j (x_j - mean_j))^2 for the rows of a tile."""
    q[:] = 0.0
    d = tile.shape[0]
    odd = d % 4
    for j in range(odd):
        m, s = mean[j], w[j]
        for t in range(TILE):
            y = (tile[j, t] - m) * s
            q[t] += y * y
    for j in range(odd, d, 4):
        m0, m1, m2, m3 = mean[j], mean[j + 1], mean[j + 2], mean[j + 3]
        s0, s1, s2, s3 = w[j], w[j + 1], w[j + 2], w[j + 3]
        for t in range(TILE):
            y0 = (tile[j, t] - m0) * s0
            y1 = (tile[j + 1, t] - m1) * s1
            y2 = (tile[j + 2, t] - m2) * s2
            y3 = (tile[j + 3, t] - m3) * s3
            q[t] += (y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3)


@exact_kernel
def exponentiate(r, largest, total):
    """r = exp(r - largest) (IN, OUT), total (OUT) = their sum over components."""
    emitters.exp_of_gaps(r, largest, total)


@exact_kernel
def log_of_sums(largest, total, out):
    """out (OUT) = largest + log(total)."""
    emitters.log_of_sums(largest, total, out)


@kernel
def sum_of_others(r, total, best, others):
    """best (OUT) = the largest component of each row, others (OUT) = sum without it.

    Adding up without the largest keeps the digits of 1 - r where r is nearly 1.
    """
    best[:] = 0
    for k in range(r.shape[0]):
        for t in range(TILE):
            if r[k, t] == 1.0:
                best[t] = k
    others[:] = 0.0
    for k in range(r.shape[0]):
        for t in range(TILE):
            others[t] += r[k, t] if best[t] != k else 0.0
    for t in range(TILE):
        total[t] = 1.0 + others[t]


@kernel
def hold_rows(r, k, scale, first, masks, held):
    """Append the live rows of a tile, told by masks, to those held for component k.

    held (IN, OUT) is `HeldRows`; the weights are r[k] * scale.
    """
    index, weights = held.numbers, held.weights
    count = held.counts[k]
    for group in range(TILE // ROWS_PER_MASK):
        mask = masks[group]
        while mask != 0:
            t = group * ROWS_PER_MASK + lowest_bit(mask)
            index[k, count] = first + t
            weights[k, count] = r[k, t] * scale[t]
            count += 1
            mask &= mask - 1
    held.counts[k] = count


@kernel
def gather_rows(x, index, weights, count, gathered):
    """gathered (OUT, (d, rows)) = rows of x by their numbers; return how many.

    There are filled up to a number that `add_sums` takes, with weights (OUT) 0.
    """
    stop = -(-count // ROWS_PER_MASK) * ROWS_PER_MASK
    for t in range(count, stop):
        index[t] = index[0]
        weights[t] = 0.0
    for j in range(x.shape[1]):
        for t in range(stop):
            gathered[j, t] = x[index[t], j]
    return stop


@kernel
def add_rows(rows, weights, count, means, k, scaled, sums):
    """Add (OUT) count, sums and second moments of weighted rows (d, count or more).

    weights (IN, OUT) are lost; scaled is empty, or workspace of `add_outers`.
    """
    firsts, seconds = sums.firsts, sums.seconds
    total = 0.0
    for t in range(count):
        total += weights[t]
    sums.counts[k] += total
    if scaled.size == 0:
        add_sums(rows, weights, count, means, k, firsts, seconds)
        return
    for t in range(count):
        weights[t] = math.sqrt(weights[t])
    add_outers(rows, weights[:count], means, k, scaled, firsts, seconds)


@kernel
def gaps_to_second(r, largest, gaps):
    """gaps (OUT) = the second largest log density of each row less the largest.

    Only in float32, where the exponential of the gap is 0 below -88; else the least.
    The logarithm of the sum of all others is at most log(K - 1) above it.
    """
    gaps[:] = _LEAST_LOG
    if r.itemsize == 8:
        return
    for k in range(r.shape[0]):
        for t in range(TILE):
            gap = r[k, t] - largest[t]
            gaps[t] = max(gaps[t], gap if gap < 0.0 else _LEAST_LOG)


@kernel
def log_shares_of_others(others, total, gaps, out):
    """out (OUT) = log(1 - r) of each row's largest component, by its other terms."""
    for t in range(TILE):
        log_others = math.log(max(others[t], 1e-300))
        out[t] = (log_others if others[t] > 0.0 else gaps[t]) - math.log(total[t])


@exact_kernel
def add_deletion(r, k, best, log_others, total, weight, out):
    """out[k] (IN, OUT) += sum over rows of weight * log(1 - r[k] / total)."""
    emitters.add_deletion(r, k, best, log_others, total, weight, out)


@kernel
def row_weights(weights, start, stop, scale):
    """scale (OUT) = weights of the rows of a tile, 1 where there are none, 0 beyond."""
    for t in range(TILE):
        scale[t] = 0.0
        if start + t < stop:
            scale[t] = weights[start + t] if weights.size > 0 else 1.0
