"""Compiled work on one range of rows. Pure: arrays in, arrays out, no checks.

Full and diagonal forms are told apart by the number of axes of an argument, which is
known when a kernel is compiled: the branch of the other form costs nothing. A mixture
comes as the fields of `Components`, what is summed as those of `Sums`: plain tuples,
as a record costs a microsecond more to take from Python.

Responsibilities are computed in the dtype of the whiteners. Where that is float32 a
kernel can find rows that are too far from all components for it: it returns False, and
is to be called again with whiteners in float64.
"""

import numpy as np

from skgmmot._jit import allocating_kernel, kernel
from skgmmot.kernels.numba import _tiles as tiles
from skgmmot.kernels.numba._constants import FEW, GROUP, ROWS_PER_MASK, TILE
from skgmmot.kernels.numba._emit_sums import mark_live
from skgmmot.kernels.numba._records import (
    Components,
    DeletionRoom,
    HeldRows,
    Parts,
    RowScales,
    SumRoom,
    Sums,
    TileRoom,
)

DENSITY, LABELS, POSTERIORS, DRAWS = range(4)
_FAR = -1e3  # log density, less the top, below which responsibilities need float64
_N_MASKS = TILE // ROWS_PER_MASK
# Live rows of a tile from which on to pick them costs more than it saves.
_DENSE_FEW, _DENSE = 16, 64
_ENOUGH = 64  # held rows of a component from which on they are added
_HELD = _ENOUGH + TILE


@kernel
def densities(room, mixture):
    """r (OUT) of a room = log densities with weights; largest (OUT) = their maximum.

    Return False where rows are too far for float32; float64 is to be tried then.
    """
    largest = room.largest
    largest[:] = -np.inf
    tiles.log_densities(room.tile, mixture, room.centered, room.r, largest)
    if mixture.whiteners.itemsize == 8:
        return True
    lowest = 0.0
    for t in range(TILE):
        lowest = min(lowest, largest[t])
    return lowest > _FAR


@allocating_kernel
def _lines(n_lines, length, like):
    """Zeros (n_lines, length) of the dtype of an array, from a line of the cache on.

    A register of 64 bytes that crosses the border of two lines is two reads.
    """
    step = 64 // like.itemsize
    room = np.zeros(n_lines * length + step, like.dtype)
    start = (-room.ctypes.data % 64) // like.itemsize
    return room[start : start + n_lines * length].reshape(n_lines, length)


@allocating_kernel
def tile_room(mixture):
    """Room for the densities of one tile."""
    (n_components, d), like = mixture.means.shape, mixture.whiteners
    tile, centered = _lines(d, TILE, like), _lines(2 * d, GROUP, like)
    r, largest = _lines(n_components, TILE, like), _lines(1, TILE, like)[0]
    return TileRoom(tile, centered, r, largest, _lines(1, TILE, mixture.means)[0])


@allocating_kernel
def _held_rows(n_components, like):
    """No rows yet.

    They are held until there are enough of them to be worth adding up: the matrices
    of sums, too many for a near cache where features are many, are then read rarely.
    """
    index = np.empty((n_components, _HELD), np.int64)
    weights = _lines(n_components, _HELD, like)
    return HeldRows(index, weights, np.zeros(n_components, np.int64))


@allocating_kernel
def _sum_room(n_components, d, seconds, like):
    """Room for the sums of tiles, which are computed in the dtype of an array."""
    masks, n_live = np.empty(_N_MASKS, np.int64), np.empty(n_components)
    width = seconds.shape[1] if seconds.ndim == 3 and d > FEW else 0
    rows, gathered = _lines(width, TILE, like), _lines(d, _HELD, like)
    held, scaled = _held_rows(n_components, like), _lines(width, _HELD, like)
    weights = _lines(1, TILE, like)[0]
    return SumRoom(held, masks, n_live, weights, rows, gathered, scaled)


@kernel
def _add_held(x, k, means, room, sums):
    """Add count, sums and second moments of the rows held for component k."""
    held, gathered = room.held, room.gathered
    index, weights, count = held.numbers[k], held.weights[k], held.counts[k]
    held.counts[k] = 0
    n_rows = tiles.gather_rows(x, index, weights, count, gathered)
    tiles.add_rows(gathered, weights, n_rows, means, k, room.scaled_rows, sums)


@kernel
def _add_tile(x, first, tile, r, scales, means, room, sums):
    """Add what the rows of a tile bring. Some rows are held back, see `_add_rest`."""
    held, weights, scale = room.held, room.weights, scales.of_r
    dense = _DENSE_FEW if room.scaled_tile.size == 0 else _DENSE
    for k in range(r.shape[0]):
        count = mark_live(r, k, scale, scales.weights, room.masks)
        room.n_live[k] = count
        if count >= dense:
            for t in range(TILE):
                weights[t] = r[k, t] * scale[t]
            tiles.add_rows(tile, weights, TILE, means, k, room.scaled_tile, sums)
        elif count > 0:
            tiles.hold_rows(r, k, scale, first, room.masks, held)
            if held.counts[k] >= _ENOUGH:
                _add_held(x, k, means, room, sums)


@kernel
def _add_rest(x, means, room, sums):
    """Add the rows that are still held."""
    for k in range(means.shape[0]):
        if room.held.counts[k] > 0:
            _add_held(x, k, means, room, sums)


@kernel
def _add_deletions(r, total, weights, n_live, room, deletions):
    """deletions (IN, OUT) += weighted sums of log(1 - r) of a tile."""
    best, others, log_others = room.best, room.others, room.log_others
    tiles.sum_of_others(r, total, best, others)
    tiles.log_shares_of_others(others, total, room.gaps, log_others)
    for k in range(r.shape[0]):
        if n_live[k] > 0:
            tiles.add_deletion(r, k, best, log_others, total, weights, deletions)


@allocating_kernel
def _deletion_room():
    best, others = np.empty(TILE, np.int64), np.empty(TILE)
    return DeletionRoom(best, others, np.empty(TILE), np.empty(TILE))


@kernel
def _reset(sums, deletions):
    """Sums of a range (OUT) = 0."""
    sums.counts[:] = 0.0
    sums.firsts[:] = 0.0
    sums.seconds[:] = 0.0
    deletions[:] = 0.0


@kernel
def add_up(parts, total):
    """total (OUT, fields of `Parts`, likelihood (1,)) = sums of all ranges, in order.

    Matrices are whole, where ranges leave the upper triangle at 0 or partly summed.
    """
    parts, total = Parts(*parts), Parts(*total)
    n_ranges, n_components, d = parts.firsts.shape
    total.likelihood[0] = 0.0
    total.counts[:] = 0.0
    total.firsts[:] = 0.0
    total.deletions[:] = 0.0
    for i in range(n_ranges):
        total.likelihood[0] += parts.likelihood[i]
        for k in range(n_components):
            total.counts[k] += parts.counts[i, k]
            total.deletions[k] += parts.deletions[i, k]
            for a in range(d):
                total.firsts[k, a] += parts.firsts[i, k, a]
    _add_up_seconds(parts.seconds, total.seconds)


@kernel
def _add_up_seconds(parts, total):
    """total (OUT, (K, d) or (K, d, d)) = second moments of all ranges."""
    total[:] = 0.0
    if total.ndim == 2:
        for i in range(parts.shape[0]):
            for k in range(total.shape[0]):
                for a in range(total.shape[1]):
                    total[k, a] += parts[i, k, a]
        return
    d = total.shape[1]
    for i in range(parts.shape[0]):
        for k in range(total.shape[0]):
            for a in range(d):
                for b in range(a + 1):
                    total[k, a, b] += parts[i, k, a, b]
    for k in range(total.shape[0]):
        for a in range(d):
            for b in range(a):
                total[k, b, a] = total[k, a, b]


@allocating_kernel
def moments(x, weights, bounds, fields, deletion, i, parts):
    """Moments of the rows in bounds about the means, in range i of the parts (OUT)."""
    mixture, parts = Components(*fields), Parts(*parts)
    sums = Sums(parts.counts[i], parts.firsts[i], parts.seconds[i])
    deletions = parts.deletions[i]
    _reset(sums, deletions)
    means, likelihood = mixture.means, 0.0
    n_components, d = means.shape
    room = tile_room(mixture)
    tile, r, largest, total = room.tile, room.r, room.largest, room.total
    scales = RowScales(_lines(1, TILE, r)[0], np.empty(TILE))
    log_density, deleting = np.empty(TILE), _deletion_room()
    work = _sum_room(n_components, d, sums.seconds, r)
    start, stop = bounds
    for first in range(start, stop, TILE):
        tiles.load_tile(x, first, stop, tile)
        tiles.row_weights(weights, first, stop, scales.weights)
        if not densities(room, mixture):
            return False
        if deletion:
            tiles.gaps_to_second(r, largest, deleting.gaps)
        tiles.exponentiate(r, largest, total)
        tiles.log_of_sums(largest, total, log_density)
        _scale_rows(scales.weights, total, scales.of_r)
        likelihood += _weighted_sum(log_density, scales.weights, mixture.top)
        _add_tile(x, first, tile, r, scales, means, work, sums)
        if deletion:
            weighted = scales.weights
            _add_deletions(r, total, weighted, work.n_live, deleting, deletions)
    _add_rest(x, means, work, sums)
    parts.likelihood[i] = likelihood
    return True


@kernel
def _weighted_sum(log_density, row_weight, top):
    total = 0.0
    for t in range(TILE):
        total += row_weight[t] * (log_density[t] + top)
    return total


@kernel
def _scale_rows(row_weight, total, scale):
    """scale (OUT) = what makes r weighted responsibilities."""
    for t in range(TILE):
        scale[t] = row_weight[t] / total[t]


@kernel
def _load_responsibilities(given, first, stop, r):
    """r (OUT) = a tile of given responsibilities, 0 beyond the rows."""
    n_rows = min(TILE, stop - first)
    r[:, n_rows:] = 0.0
    for t in range(n_rows):
        for k in range(r.shape[0]):
            r[k, t] = given[first + t, k]


@allocating_kernel
def given_moments(x, responsibilities, bounds, means, i, parts):
    """Moments of a range under given (weighted) responsibilities (n, K)."""
    parts = Parts(*parts)
    sums = Sums(parts.counts[i], parts.firsts[i], parts.seconds[i])
    _reset(sums, parts.deletions[i])
    parts.likelihood[i] = 0.0
    n_components, d = means.shape
    tile, r = _lines(d, TILE, means), _lines(n_components, TILE, means)
    scales = RowScales(np.ones(TILE), np.zeros(TILE))  # what is positive counts
    work = _sum_room(n_components, d, sums.seconds, r)
    start, stop = bounds
    for first in range(start, stop, TILE):
        tiles.load_tile(x, first, stop, tile)
        _load_responsibilities(responsibilities, first, stop, r)
        _add_tile(x, first, tile, r, scales, means, work, sums)
    _add_rest(x, means, work, sums)


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


@allocating_kernel
def density(x, bounds, fields, what, uniforms, out, labels, posteriors):
    """One of: log density (out), labels, drawn labels, posteriors of a range."""
    mixture = Components(*fields)
    n_components = len(mixture.offsets)
    room = tile_room(mixture)
    tile, r, largest, total = room.tile, room.r, room.largest, room.total
    log_density = np.empty(TILE)
    start, stop = bounds
    for first in range(start, stop, TILE):
        n_rows = min(TILE, stop - first)
        tiles.load_tile(x, first, stop, tile)
        if not densities(room, mixture):
            return False
        if what == LABELS:
            for t in range(n_rows):
                labels[first + t] = _arg_largest(r, t)
            continue
        tiles.exponentiate(r, largest, total)
        if what == DENSITY:
            tiles.log_of_sums(largest, total, log_density)
            for t in range(n_rows):
                out[first + t] = log_density[t] + mixture.top
        elif what == DRAWS:
            for t in range(n_rows):
                labels[first + t] = _draw(r, t, uniforms[first + t] * total[t])
        else:
            for t in range(n_rows):
                for k in range(n_components):
                    posteriors[first + t, k] = r[k, t] / total[t]
    return True
