"""Compiled work on one range of rows. Pure: arrays in, arrays out, no checks.

Full and diagonal forms are told apart by the number of axes of an argument, which is
known when a kernel is compiled: the branch of the other form costs nothing. A mixture
travels as the tuple (offsets, means, whiteners), what is summed as a tuple of arrays.
"""

import numpy as np

from skgmmot.kernels import _tiles as tiles
from skgmmot.kernels._jit import kernel

DENSITY, LABELS, POSTERIORS, DRAWS = range(4)
TILE = _TILE = tiles.TILE
_load_tile = tiles.load_tile
_distances_full = tiles.distances_full
_distances_diagonal = tiles.distances_diagonal
_store_log_density = tiles.store_log_density
_exponentiate = tiles.exponentiate
_sum_of_others = tiles.sum_of_others
_log_shares_of_others = tiles.log_shares_of_others
_gather_live = tiles.gather_live
_gather_rows = tiles.gather_rows
_weigh_rows = tiles.weigh_rows
_add_outers = tiles.add_outers
_add_squares = tiles.add_squares
_add_deletion = tiles.add_deletion
_row_weights = tiles.row_weights
_log_of_sums = tiles.log_of_sums
_add_block_4x4 = tiles.add_block_4x4
_add_block_4x1 = tiles.add_block_4x1
_center_tile = tiles.center_tile


@kernel
def _distances(tile, k, means, whiteners, work, acc, q):
    """q (OUT) = squared distances of the rows from component k, in its metric."""
    if whiteners.ndim == 3:
        _distances_full(tile, means[k], whiteners[k], work, acc, q)
    else:
        _distances_diagonal(tile, means[k], whiteners[k], q)


@kernel
def _densities(tile, mixture, work, acc, q, r, largest):
    """r (OUT) = log densities (K, TILE) with weights; largest (OUT) = their maximum."""
    largest[:] = -np.inf
    for k in range(r.shape[0]):
        _distances(tile, k, mixture[1], mixture[2], work, acc, q)
        _store_log_density(q, mixture[0][k], r[k], largest)


@kernel
def _add_seconds(buffers, count, k, seconds):
    if seconds.ndim == 3:
        _add_outers(buffers[1], buffers[0], count, seconds[k])
    else:
        _add_squares(buffers[1], buffers[0], count, seconds[k])


@kernel
def _add_component(tile, k, mean, count, live, buffers, sums):
    """Add count, sums and second moments of the live rows of component k.

    live holds the indices and the weights of the rows, buffers (OUT) the centred rows
    and their weighted copies.
    """
    index, weights = live
    counts, firsts, seconds = sums
    total = 0.0
    for t in range(count):
        total += weights[t]
    counts[k] += total
    _gather_rows(tile, mean, index, count, buffers[0])
    _weigh_rows(buffers[0], weights, count, buffers[1], firsts[k])
    _add_seconds(buffers, count, k, seconds)


@kernel
def moments(x, weights, bounds, mixture, deletion, likelihood, sums, deletions):
    """Add the moments of the rows in bounds about the means to the OUT arrays."""
    n_components, d = mixture[1].shape
    tile, buffers = np.empty((d, _TILE)), np.empty((2, d, _TILE))
    acc, r = np.zeros((4, _TILE)), np.empty((n_components, _TILE))
    q, largest, total = np.empty(_TILE), np.empty(_TILE), np.empty(_TILE)
    scale, row_weight = np.empty(_TILE), np.empty(_TILE)
    log_density, others = np.empty(_TILE), np.empty(_TILE)
    log_others, best = np.empty(_TILE), np.empty(_TILE, np.int64)
    live = (np.empty(_TILE, np.int64), np.empty(_TILE))
    start, stop = bounds
    for first in range(start, stop, _TILE):
        n_rows = min(_TILE, stop - first)
        _load_tile(x, first, stop, tile)
        _row_weights(weights, first, stop, row_weight)
        _densities(tile, mixture, buffers[0], acc, q, r, largest)
        _exponentiate(r, largest, total)
        if deletion:
            _sum_of_others(r, total, best, others)
            _log_shares_of_others(others, total, log_others)
        _log_of_sums(largest, total, log_density)
        for t in range(_TILE):
            likelihood[0] += row_weight[t] * log_density[t]
            scale[t] = row_weight[t] / total[t]
        for k in range(n_components):
            count = _gather_live(r[k], scale, row_weight, n_rows, live[0], live[1])
            if count > 0:
                _add_component(tile, k, mixture[1][k], count, live, buffers, sums)
                if deletion:
                    _add_deletion(
                        r[k], k, best, log_others, total, row_weight, deletions
                    )


@kernel
def given_moments(x, responsibilities, bounds, means, sums):
    """Moments of a range under given (weighted) responsibilities (n, K)."""
    n_components, d = means.shape
    tile, buffers = np.empty((d, _TILE)), np.empty((2, d, _TILE))
    r, scale = np.zeros((n_components, _TILE)), np.ones(_TILE)
    row_weight = np.zeros(_TILE)  # given responsibilities count where positive
    live = (np.empty(_TILE, np.int64), np.empty(_TILE))
    start, stop = bounds
    for first in range(start, stop, _TILE):
        n_rows = min(_TILE, stop - first)
        _load_tile(x, first, stop, tile)
        for t in range(n_rows):
            for k in range(n_components):
                r[k, t] = responsibilities[first + t, k]
        for k in range(n_components):
            count = _gather_live(r[k], scale, row_weight, n_rows, live[0], live[1])
            if count > 0:
                _add_component(tile, k, means[k], count, live, buffers, sums)


@kernel
def _arg_largest(r, t):
    best = 0
    for k in range(1, r.shape[0]):
        if r[k, t] > r[best, t]:
            best = k
    return best


@kernel
def _draw(r, t, level):
    """The component in whose slice of the posterior's CDF `level` (0..sum) lies."""
    last = _arg_largest(r, t)
    cumulated = 0.0
    for k in range(r.shape[0]):
        cumulated += r[k, t]
        if r[k, t] > 0.0 and level < cumulated:
            return k
    return last


@kernel
def density(x, bounds, mixture, what, uniforms, out, labels, posteriors):
    """One of: log density (out), labels, drawn labels, posteriors of a range."""
    n_components, d = mixture[1].shape
    tile, work = np.empty((d, _TILE)), np.empty((d, _TILE))
    acc, r = np.zeros((4, _TILE)), np.empty((n_components, _TILE))
    q, largest, total = np.empty(_TILE), np.empty(_TILE), np.empty(_TILE)
    log_density = np.empty(_TILE)
    start, stop = bounds
    for first in range(start, stop, _TILE):
        n_rows = min(_TILE, stop - first)
        _load_tile(x, first, stop, tile)
        _densities(tile, mixture, work, acc, q, r, largest)
        if what == LABELS:
            for t in range(n_rows):
                labels[first + t] = _arg_largest(r, t)
            continue
        _exponentiate(r, largest, total)
        if what == DENSITY:
            _log_of_sums(largest, total, log_density)
            for t in range(n_rows):
                out[first + t] = log_density[t]
        elif what == DRAWS:
            for t in range(n_rows):
                labels[first + t] = _draw(r, t, uniforms[first + t] * total[t])
        else:
            for t in range(n_rows):
                for k in range(n_components):
                    posteriors[first + t, k] = r[k, t] / total[t]


@kernel
def _affine_full(centered, linear, acc, i):
    """acc (OUT, 4 rows) = rows i.. of linear @ centered."""
    d = centered.shape[0]
    acc[:] = 0.0
    if i + 4 <= d:
        for j in range(d % 4):
            _add_block_4x1(centered, j, linear, i, acc)
        for j in range(d % 4, d, 4):
            _add_block_4x4(centered, j, linear, i, acc)
        return
    for a in range(d - i):
        for j in range(d):
            factor = linear[i + a, j]
            for t in range(_TILE):
                acc[a, t] += factor * centered[j, t]


@kernel
def _add_map_full(centered, linear, shift, share, acc, mapped):
    """mapped (IN, OUT) += share * (linear @ centered + shift)."""
    d = centered.shape[0]
    for i in range(0, d, 4):
        _affine_full(centered, linear, acc, i)
        for a in range(min(4, d - i)):
            s = shift[i + a]
            for t in range(_TILE):
                mapped[i + a, t] += share[t] * (acc[a, t] + s)


@kernel
def _add_map_diagonal(centered, linear, shift, share, mapped):
    for i in range(centered.shape[0]):
        factor, s = linear[i], shift[i]
        for t in range(_TILE):
            mapped[i, t] += share[t] * (factor * centered[i, t] + s)


@kernel
def maps(x, bounds, mixture, linear, shifts, out):
    """out (OUT) = sum_k p_k(x) (linear_k (x - mean_k) + shift_k) of a range."""
    n_components, d = mixture[1].shape
    tile, work = np.empty((d, _TILE)), np.empty((d, _TILE))
    mapped, share = np.empty((d, _TILE)), np.empty(_TILE)
    acc, r = np.zeros((4, _TILE)), np.empty((n_components, _TILE))
    q, largest, total = np.empty(_TILE), np.empty(_TILE), np.empty(_TILE)
    start, stop = bounds
    for first in range(start, stop, _TILE):
        _load_tile(x, first, stop, tile)
        _densities(tile, mixture, work, acc, q, r, largest)
        _exponentiate(r, largest, total)
        mapped[:] = 0.0
        for k in range(n_components):
            peak = 0.0
            for t in range(_TILE):
                share[t] = r[k, t] / total[t]
                peak = max(peak, share[t])
            if peak > 0.0:
                _center_tile(tile, mixture[1][k], work)
                if linear.ndim == 3:
                    _add_map_full(work, linear[k], shifts[k], share, acc, mapped)
                else:
                    _add_map_diagonal(work, linear[k], shifts[k], share, mapped)
        for t in range(min(_TILE, stop - first)):
            for j in range(d):
                out[first + t, j] = mapped[j, t]


@kernel
def selected_maps(x, bounds, index, centers, linear, shifts, out):
    """out (OUT) = linear_i (x - center_i) + shift_i with i = index of the row."""
    d = x.shape[1]
    centered = np.empty(d)
    for row in range(bounds[0], bounds[1]):
        i = index[row]
        for j in range(d):
            centered[j] = x[row, j] - centers[i, j]
        for a in range(d):
            if linear.ndim == 3:
                total = shifts[i, a]
                for j in range(d):
                    total += linear[i, a, j] * centered[j]
                out[row, a] = total
            else:
                out[row, a] = linear[i, a] * centered[a] + shifts[i, a]


@kernel
def nearest(x, bounds, centers, labels, distances):
    """labels, distances (OUT): nearest center of each row and |x - center|^2."""
    d = x.shape[1]
    tile, q = np.empty((d, _TILE)), np.empty(_TILE)
    smallest, best = np.empty(_TILE), np.empty(_TILE, np.int64)
    ones = np.ones(d)
    start, stop = bounds
    for first in range(start, stop, _TILE):
        _load_tile(x, first, stop, tile)
        smallest[:] = np.inf
        best[:] = 0
        for k in range(centers.shape[0]):
            _distances_diagonal(tile, centers[k], ones, q)
            for t in range(_TILE):
                closer = q[t] < smallest[t]
                best[t] = k if closer else best[t]
                smallest[t] = q[t] if closer else smallest[t]
        for t in range(min(_TILE, stop - first)):
            labels[first + t] = best[t]
            distances[first + t] = smallest[t]
