"""Compiled maps, nearest centers and distances on one range of rows: see `_ranges`."""

import numpy as np

from skgmmot._jit import allocating_kernel, kernel
from skgmmot.kernels.numba import _tiles as tiles
from skgmmot.kernels.numba._constants import GROUP, TILE
from skgmmot.kernels.numba._emit_maps import add_map
from skgmmot.kernels.numba._ranges import densities, tile_room
from skgmmot.kernels.numba._records import Components, MapRoom


@kernel
def _map_tile(room, means, linear, shifts, work, mapped):
    """mapped (OUT) = the maps of all components, weighted by the posteriors."""
    r, scale, share = room.r, work.scale, work.share
    mapped[:] = 0.0
    for t in range(TILE):
        scale[t] = 1.0 / room.total[t]
    for k in range(r.shape[0]):
        peak = 0.0
        for t in range(TILE):
            share[t] = r[k, t] * scale[t]
            peak = max(peak, share[t])
        if peak > 0.0:
            add_map(room.tile, share, means, k, linear, shifts, work.scaled, mapped)


@allocating_kernel
def maps(x, bounds, fields, linear, shifts, out):
    """out (OUT) = sum_k p_k(x) (linear_k (x - mean_k) + shift_k) of a range."""
    mixture = Components(*fields)
    means = mixture.means
    d = means.shape[1]
    room = tile_room(mixture)
    work = MapRoom(np.empty((d, GROUP)), np.empty(TILE), np.empty(TILE))
    mapped = np.empty((d, TILE))
    start, stop = bounds
    for first in range(start, stop, TILE):
        tiles.load_tile(x, first, stop, room.tile)
        if not densities(room, mixture):
            return False
        tiles.exponentiate(room.r, room.largest, room.total)
        _map_tile(room, means, linear, shifts, work, mapped)
        for t in range(min(TILE, stop - first)):
            for j in range(d):
                out[first + t, j] = mapped[j, t]
    return True


@allocating_kernel
def selected_maps(x, bounds, index, centers, linear, shifts, out):
    """out (OUT) = linear_i (x - center_i) + shift_i with i = index of the row."""
    d = x.shape[1]
    centered = np.empty(d)
    start, stop = bounds
    for row in range(start, stop):
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
        tiles.distances_diagonal(tile, centers[k], ones, q)
        for t in range(TILE):
            closer = q[t] < smallest[t]
            best[t] = k if closer else best[t]
            smallest[t] = q[t] if closer else smallest[t]


@allocating_kernel
def nearest(x, bounds, centers, labels, distances):
    """labels, distances (OUT): nearest center of each row and |x - center|^2."""
    d = x.shape[1]
    tile, q = np.empty((d, TILE)), np.empty(TILE)
    smallest, best = np.empty(TILE), np.empty(TILE, np.int64)
    ones = np.ones(d)
    start, stop = bounds
    for first in range(start, stop, TILE):
        tiles.load_tile(x, first, stop, tile)
        _nearest_of_tile(tile, centers, ones, q, smallest, best)
        for t in range(min(TILE, stop - first)):
            labels[first + t] = best[t]
            distances[first + t] = smallest[t]


@kernel
def fourth_moment(x, weights, bounds, center, scales, total):
    """total (IN, OUT, (1,)) += sum of w |(x - center) * scales|^4 of a range."""
    start, stop = bounds
    for row in range(start, stop):
        square = 0.0
        for j in range(x.shape[1]):
            gap = (x[row, j] - center[j]) * scales[j]
            square += gap * gap
        weight = weights[row] if weights.size > 0 else 1.0
        total[0] += weight * (square * square)


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
