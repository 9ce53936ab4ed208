"""Compiled work on one range of rows. Pure: arrays in, arrays out, no checks.

Full and diagonal forms are told apart by the number of axes of an argument, which is
known when a kernel is compiled: the branch of the other form costs nothing. A mixture
travels as the tuple (offsets, means, whiteners, top), where `top` is to be added to
log densities; what is summed travels as a tuple of arrays.

Responsibilities are computed in the dtype of the whiteners. Where that is float32 a
kernel can find rows that are too far from all components for it: it returns False, and
is to be called again with whiteners in float64.
"""

import numpy as np

from skgmmot._jit import allocating_kernel, kernel
from skgmmot.kernels import _tiles as tiles

DENSITY, LABELS, POSTERIORS, DRAWS = range(4)
TILE = _TILE = tiles.TILE
_GROUP = tiles.vectors.GROUP
_FAR = -1e3  # log density, less the top, below which responsibilities need float64
FEW = _FEW = tiles.FEW
_N_MASKS = TILE // tiles.vectors.MASKED
# Live rows of a tile from which on to pick them costs more than it saves.
_DENSE_FEW, _DENSE = 16, 64
_ENOUGH = 64  # held rows of a component from which on they are added
_HELD = _ENOUGH + TILE
_load_tile = tiles.load_tile
_densities_of = tiles.densities_of
_distances_diagonal = tiles.distances_diagonal
_exponentiate = tiles.exponentiate
_sum_of_others = tiles.sum_of_others
_log_shares_of_others = tiles.log_shares_of_others
_gaps_to_second = tiles.gaps_to_second
_mark_live = tiles.mark_live
_hold_rows = tiles.hold_rows
_gather_rows = tiles.gather_rows
_add_rows = tiles.add_rows
_add_deletion = tiles.add_deletion
_row_weights = tiles.row_weights
_log_of_sums = tiles.log_of_sums
_add_block_4x4 = tiles.add_block_4x4
_add_block_4x1 = tiles.add_block_4x1
_center_tile = tiles.center_tile


@kernel
def _densities(tile, mixture, centered, r, largest):
    """r (OUT) = log densities (K, TILE) with weights; largest (OUT) = their maximum.

    Return False where rows are too far for float32; float64 is to be tried then.
    """
    largest[:] = -np.inf
    _densities_of(tile, mixture, centered, r, largest)
    if mixture[2].itemsize == 8:
        return True
    lowest = 0.0
    for t in range(_TILE):
        lowest = min(lowest, largest[t])
    return lowest > _FAR


@allocating_kernel
def _workspace(mixture):
    """A tile, a group of centred rows, log densities, their maximum, and their sum.

    All but the sum are of the whiteners' dtype.
    """
    n_components, d = mixture[1].shape
    dtype = mixture[2].dtype
    tile, centered = np.empty((d, _TILE), dtype), np.empty((2 * d, _GROUP), dtype)
    r, largest = np.empty((n_components, _TILE), dtype), np.empty(_TILE, dtype)
    return tile, centered, r, largest, np.empty(_TILE)


@allocating_kernel
def _places(n_components):
    """Room for the live rows of all components, by row number and weight.

    They are held until there are enough of them to be worth adding up: the matrices
    of sums, too many for a near cache where features are many, are then read rarely.
    """
    index = np.empty((n_components, _HELD), np.int64)
    weights = np.empty((n_components, _HELD))
    return index, weights, np.zeros(n_components, np.int64)


@allocating_kernel
def _work(n_components, d, seconds):
    """Held rows, live rows of a tile, and room for the rows of one component."""
    live = np.empty(_N_MASKS, np.int64), np.empty(n_components), np.empty(_TILE)
    width = seconds.shape[1] if seconds.ndim == 3 and d > _FEW else 0
    rooms = np.zeros((width, _TILE)), np.empty((d, _HELD)), np.zeros((width, _HELD))
    return _places(n_components), live, rooms


@kernel
def _add_held(x, k, means, held, rooms, sums):
    """Add count, sums and second moments of the rows held for component k."""
    index, weights, count = held[0][k], held[1][k], held[2][k]
    _, gathered, scaled = rooms
    held[2][k] = 0
    n_rows = _gather_rows(x, index, weights, count, gathered)
    _add_rows(gathered, weights, n_rows, means, k, scaled, sums)


@kernel
def _add_tile(x, first, tile, r, scales, means, work, sums):
    """Add what the rows of a tile bring; scales: of r, and the rows' weights.

    work is what `_work` returns. Some rows are held back, see `_add_rest`.
    """
    held, (masks, n_live, weights), rooms = work
    scale, row_weight = scales
    dense = _DENSE_FEW if rooms[0].size == 0 else _DENSE
    for k in range(r.shape[0]):
        count = _mark_live(r, k, scale, row_weight, masks)
        n_live[k] = count
        if count >= dense:
            for t in range(_TILE):
                weights[t] = r[k, t] * scale[t]
            _add_rows(tile, weights, _TILE, means, k, rooms[0], sums)
        elif count > 0:
            _hold_rows(r, k, scale, first, masks, held)
            if held[2][k] >= _ENOUGH:
                _add_held(x, k, means, held, rooms, sums)


@kernel
def _add_rest(x, means, work, sums):
    """Add the rows that are still held."""
    held, _, rooms = work
    for k in range(means.shape[0]):
        if held[2][k] > 0:
            _add_held(x, k, means, held, rooms, sums)


@kernel
def _add_deletions(r, total, row_weight, n_live, work, deletions):
    """deletions (IN, OUT) += weighted sums of log(1 - r) of a tile."""
    best, others, log_others, gaps = work
    _sum_of_others(r, total, best, others)
    _log_shares_of_others(others, total, gaps, log_others)
    for k in range(r.shape[0]):
        if n_live[k] > 0:
            _add_deletion(r, k, best, log_others, total, row_weight, deletions)


@allocating_kernel
def moments(x, weights, bounds, mixture, deletion, likelihood, sums, deletions):
    """Add the moments of the rows in bounds about the means to the OUT arrays."""
    means = mixture[1]
    n_components, d = means.shape
    tile, centered, r, largest, total = _workspace(mixture)
    scale, row_weight = np.empty(_TILE), np.empty(_TILE)
    log_density = np.empty(_TILE)
    best, others = np.empty(_TILE, np.int64), np.empty(_TILE)
    deleting = (best, others, np.empty(_TILE), np.empty(_TILE))
    work = _work(n_components, d, sums[2])
    start, stop = bounds
    for first in range(start, stop, _TILE):
        _load_tile(x, first, stop, tile)
        _row_weights(weights, first, stop, row_weight)
        if not _densities(tile, mixture, centered, r, largest):
            return False
        if deletion:
            _gaps_to_second(r, largest, deleting[3])
        _exponentiate(r, largest, total)
        _log_of_sums(largest, total, log_density)
        _scale_rows(row_weight, total, scale)
        likelihood[0] += _weighted_sum(log_density, row_weight, mixture[3])
        _add_tile(x, first, tile, r, (scale, row_weight), means, work, sums)
        if deletion:
            _add_deletions(r, total, row_weight, work[1][1], deleting, deletions)
    _add_rest(x, means, work, sums)
    return True


@kernel
def _weighted_sum(log_density, row_weight, top):
    total = 0.0
    for t in range(_TILE):
        total += row_weight[t] * (log_density[t] + top)
    return total


@kernel
def _scale_rows(row_weight, total, scale):
    """scale (OUT) = what makes r weighted responsibilities."""
    for t in range(_TILE):
        scale[t] = row_weight[t] / total[t]


@kernel
def _load_responsibilities(given, first, stop, r):
    """r (OUT) = a tile of given responsibilities, 0 beyond the rows."""
    n_rows = min(_TILE, stop - first)
    r[:, n_rows:] = 0.0
    for t in range(n_rows):
        for k in range(r.shape[0]):
            r[k, t] = given[first + t, k]


@allocating_kernel
def given_moments(x, responsibilities, bounds, means, sums):
    """Moments of a range under given (weighted) responsibilities (n, K)."""
    n_components, d = means.shape
    tile, r = np.empty((d, _TILE)), np.zeros((n_components, _TILE))
    scales = (np.ones(_TILE), np.zeros(_TILE))  # what is positive counts
    work = _work(n_components, d, sums[2])
    start, stop = bounds
    for first in range(start, stop, _TILE):
        _load_tile(x, first, stop, tile)
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
def density(x, bounds, mixture, what, uniforms, out, labels, posteriors):
    """One of: log density (out), labels, drawn labels, posteriors of a range."""
    n_components = len(mixture[0])
    tile, centered, r, largest, total = _workspace(mixture)
    log_density = np.empty(_TILE)
    start, stop = bounds
    for first in range(start, stop, _TILE):
        n_rows = min(_TILE, stop - first)
        _load_tile(x, first, stop, tile)
        if not _densities(tile, mixture, centered, r, largest):
            return False
        if what == LABELS:
            for t in range(n_rows):
                labels[first + t] = _arg_largest(r, t)
            continue
        _exponentiate(r, largest, total)
        if what == DENSITY:
            _log_of_sums(largest, total, log_density)
            for t in range(n_rows):
                out[first + t] = log_density[t] + mixture[3]
        elif what == DRAWS:
            for t in range(n_rows):
                labels[first + t] = _draw(r, t, uniforms[first + t] * total[t])
        else:
            for t in range(n_rows):
                for k in range(n_components):
                    posteriors[first + t, k] = r[k, t] / total[t]
    return True


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
def _map_tile(tile, r, total, means, linear, shifts, work, mapped):
    """mapped (OUT) = the maps of all components, weighted by the posteriors."""
    centered, acc, share = work
    mapped[:] = 0.0
    for k in range(r.shape[0]):
        peak = 0.0
        for t in range(_TILE):
            share[t] = r[k, t] / total[t]
            peak = max(peak, share[t])
        if peak > 0.0:
            _center_tile(tile, means[k], centered)
            if linear.ndim == 3:
                _add_map_full(centered, linear[k], shifts[k], share, acc, mapped)
            else:
                _add_map_diagonal(centered, linear[k], shifts[k], share, mapped)


@allocating_kernel
def maps(x, bounds, mixture, linear, shifts, out):
    """out (OUT) = sum_k p_k(x) (linear_k (x - mean_k) + shift_k) of a range."""
    means = mixture[1]
    d = means.shape[1]
    tile, groups, r, largest, total = _workspace(mixture)
    work = (np.empty((d, _TILE)), np.zeros((4, _TILE)), np.empty(_TILE))
    mapped = np.empty((d, _TILE))
    start, stop = bounds
    for first in range(start, stop, _TILE):
        _load_tile(x, first, stop, tile)
        if not _densities(tile, mixture, groups, r, largest):
            return False
        _exponentiate(r, largest, total)
        _map_tile(tile, r, total, means, linear, shifts, work, mapped)
        for t in range(min(_TILE, stop - first)):
            for j in range(d):
                out[first + t, j] = mapped[j, t]
    return True


@allocating_kernel
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
def _nearest_of_tile(tile, centers, ones, q, smallest, best):
    """smallest, best (OUT): squared distance to the nearest center, and which."""
    smallest[:] = np.inf
    best[:] = 0
    for k in range(centers.shape[0]):
        _distances_diagonal(tile, centers[k], ones, q)
        for t in range(_TILE):
            closer = q[t] < smallest[t]
            best[t] = k if closer else best[t]
            smallest[t] = q[t] if closer else smallest[t]


@allocating_kernel
def nearest(x, bounds, centers, labels, distances):
    """labels, distances (OUT): nearest center of each row and |x - center|^2."""
    d = x.shape[1]
    tile, q = np.empty((d, _TILE)), np.empty(_TILE)
    smallest, best = np.empty(_TILE), np.empty(_TILE, np.int64)
    ones = np.ones(d)
    start, stop = bounds
    for first in range(start, stop, _TILE):
        _load_tile(x, first, stop, tile)
        _nearest_of_tile(tile, centers, ones, q, smallest, best)
        for t in range(min(_TILE, stop - first)):
            labels[first + t] = best[t]
            distances[first + t] = smallest[t]


@allocating_kernel
def largest_terms(whiteners):
    """Standard deviations that terms of a whitened row reach, at most, for all means.

    A row is y = W c. Its terms W_ij c_j have standard deviations |W_ij| s_j, where s_j
    is the length of row j of W^-1, which is built row by row.
    """
    n_components, d, _ = whiteners.shape
    inverse, deviations = np.empty((d, d)), np.empty(d)
    largest = 0.0
    for k in range(n_components):
        for i in range(d):
            inverse[i, : i + 1] = 0.0
            terms = 0.0
            for j in range(i):
                factor = whiteners[k, i, j]
                terms += abs(factor) * deviations[j]
                for a in range(j + 1):
                    inverse[i, a] -= factor * inverse[j, a]
            inverse[i, i] = 1.0
            length = 0.0
            for a in range(i + 1):
                inverse[i, a] /= whiteners[k, i, i]
                length += inverse[i, a] * inverse[i, a]
            deviations[i] = np.sqrt(length)
            terms += abs(whiteners[k, i, i]) * deviations[i]
            largest = max(largest, terms)
    return largest
