"""Arithmetic on one tile of rows: densities, responsibilities, weighted moments.

A tile is a transposed copy of TILE rows, so that features lie outside and rows inside:
every inner loop runs over rows that are contiguous in memory and is vectorised. Loops
over features are unrolled by four, so that one load of an accumulator serves four
multiply-adds. Where the number of features is not a multiple of four the odd ones come
first, which leaves only blocks of four behind them.

Arguments are marked IN or OUT; nothing here allocates more than a tile.
"""

import math

import numpy as np

from skgmmot.kernels._jit import exp_nonpositive, kernel, log1p_negative

TILE = 128
_NEGLIGIBLE = 1e-20  # a responsibility below this is 0 to the rounding of any sum
_LARGEST = 1e300  # squared distances are cut here, so that densities stay finite


@kernel
def load_tile(x, start, stop, tile):
    """Copy rows start..stop of x (IN) into tile (OUT, (d, TILE)); the last row pads."""
    for t in range(TILE):
        row = min(start + t, stop - 1)
        for j in range(x.shape[1]):
            tile[j, t] = x[row, j]


@kernel
def center_tile(tile, mean, centered):
    """centered (OUT) = tile - mean."""
    for j in range(tile.shape[0]):
        m = mean[j]
        for t in range(TILE):
            centered[j, t] = tile[j, t] - m


@kernel
def _triangle_1(c, i, w, q, acc):
    w00 = w[i, i]
    for t in range(TILE):
        y0 = acc[0, t] + w00 * c[i, t]
        q[t] += y0 * y0


@kernel
def _triangle_2(c, i, w, q, acc):
    w00, w10, w11 = w[i, i], w[i + 1, i], w[i + 1, i + 1]
    for t in range(TILE):
        c0 = c[i, t]
        y0 = acc[0, t] + w00 * c0
        y1 = acc[1, t] + w10 * c0 + w11 * c[i + 1, t]
        q[t] += y0 * y0 + y1 * y1


@kernel
def _triangle_3(c, i, w, q, acc):
    w00, w10, w11 = w[i, i], w[i + 1, i], w[i + 1, i + 1]
    w20, w21, w22 = w[i + 2, i], w[i + 2, i + 1], w[i + 2, i + 2]
    for t in range(TILE):
        c0, c1 = c[i, t], c[i + 1, t]
        y0 = acc[0, t] + w00 * c0
        y1 = acc[1, t] + w10 * c0 + w11 * c1
        y2 = acc[2, t] + w20 * c0 + w21 * c1 + w22 * c[i + 2, t]
        q[t] += y0 * y0 + y1 * y1 + y2 * y2


@kernel
def _triangle_4(c, i, w, q, acc):
    w00, w10, w11 = w[i, i], w[i + 1, i], w[i + 1, i + 1]
    w20, w21, w22 = w[i + 2, i], w[i + 2, i + 1], w[i + 2, i + 2]
    w30, w31, w32, w33 = w[i + 3, i], w[i + 3, i + 1], w[i + 3, i + 2], w[i + 3, i + 3]
    for t in range(TILE):
        c0, c1, c2, c3 = c[i, t], c[i + 1, t], c[i + 2, t], c[i + 3, t]
        y0 = acc[0, t] + w00 * c0
        y1 = acc[1, t] + w10 * c0 + w11 * c1
        y2 = acc[2, t] + w20 * c0 + w21 * c1 + w22 * c2
        y3 = acc[3, t] + w30 * c0 + w31 * c1 + w32 * c2 + w33 * c3
        q[t] += (y0 * y0 + y1 * y1) + (y2 * y2 + y3 * y3)


@kernel
def add_block_4x1(c, j, w, i, acc):
    """acc (OUT, four rows) += w[i:i+4, j] c[j]."""
    w0, w1, w2, w3 = w[i, j], w[i + 1, j], w[i + 2, j], w[i + 3, j]
    for t in range(TILE):
        c0 = c[j, t]
        acc[0, t] += w0 * c0
        acc[1, t] += w1 * c0
        acc[2, t] += w2 * c0
        acc[3, t] += w3 * c0


@kernel
def add_block_4x4(c, j, w, i, acc):
    """acc (OUT, four rows) += w[i:i+4, j:j+4] c[j:j+4]."""
    w00, w01, w02, w03 = w[i, j], w[i, j + 1], w[i, j + 2], w[i, j + 3]
    w10, w11, w12, w13 = w[i + 1, j], w[i + 1, j + 1], w[i + 1, j + 2], w[i + 1, j + 3]
    w20, w21, w22, w23 = w[i + 2, j], w[i + 2, j + 1], w[i + 2, j + 2], w[i + 2, j + 3]
    w30, w31, w32, w33 = w[i + 3, j], w[i + 3, j + 1], w[i + 3, j + 2], w[i + 3, j + 3]
    for t in range(TILE):
        c0, c1, c2, c3 = c[j, t], c[j + 1, t], c[j + 2, t], c[j + 3, t]
        acc[0, t] += w00 * c0 + w01 * c1 + w02 * c2 + w03 * c3
        acc[1, t] += w10 * c0 + w11 * c1 + w12 * c2 + w13 * c3
        acc[2, t] += w20 * c0 + w21 * c1 + w22 * c2 + w23 * c3
        acc[3, t] += w30 * c0 + w31 * c1 + w32 * c2 + w33 * c3


@kernel
def distances_full(tile, mean, w, centered, acc, q):
    """q (OUT) = |W (x - mean)|^2 for the rows of a tile, W lower triangular.

    d (d + 1) / 2 multiply-adds a row. centered and acc are workspace.
    """
    d = tile.shape[0]
    center_tile(tile, mean, centered)
    q[:] = 0.0
    acc[:] = 0.0
    odd = d % 4
    if odd == 1:
        _triangle_1(centered, 0, w, q, acc)
    elif odd == 2:
        _triangle_2(centered, 0, w, q, acc)
    elif odd == 3:
        _triangle_3(centered, 0, w, q, acc)
    for i in range(odd, d, 4):
        if i > 0:
            acc[:] = 0.0
        for j in range(odd if i > 0 else 0):
            add_block_4x1(centered, j, w, i, acc)
        for j in range(odd, i, 4):
            add_block_4x4(centered, j, w, i, acc)
        _triangle_4(centered, i, w, q, acc)


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


@kernel
def store_log_density(q, offset, row, largest):
    """row (OUT) = offset - q / 2; largest (OUT) raised to it where it is smaller."""
    for t in range(TILE):
        value = offset - 0.5 * min(q[t], _LARGEST)
        row[t] = value
        largest[t] = max(largest[t], value)


@kernel
def exponentiate(r, largest, total):
    """r = exp(r - largest) (IN, OUT), total (OUT) = their sum over components."""
    total[:] = 0.0
    for k in range(r.shape[0]):
        for t in range(TILE):
            e = exp_nonpositive(r[k, t] - largest[t])
            r[k, t] = e
            total[t] += e


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
def gather_live(r_k, scale, row_weight, n_rows, index, live):
    """Rows with a responsibility that counts: their index and weight (OUT); how many.

    r_k * scale are the responsibilities of one component times the rows' weights,
    by whose size what counts is told.
    """
    count = 0
    for t in range(n_rows):
        index[count] = t
        live[count] = r_k[t] * scale[t]
        count += 1 if r_k[t] * scale[t] > _NEGLIGIBLE * row_weight[t] else 0
    return count


@kernel
def gather_rows(tile, mean, index, count, gathered):
    """gathered (OUT) = centred live rows of the tile, packed to the front."""
    for j in range(tile.shape[0]):
        m = mean[j]
        if count == TILE:
            for t in range(TILE):
                gathered[j, t] = tile[j, t] - m
        else:
            for t in range(count):
                gathered[j, t] = tile[j, index[t]] - m


@kernel
def weigh_rows(gathered, live, count, weighted, sums):
    """weighted (OUT) = live * gathered; sums (IN, OUT) += their sums."""
    for j in range(gathered.shape[0]):
        s = 0.0
        for t in range(count):
            y = live[t] * gathered[j, t]
            weighted[j, t] = y
            s += y
        sums[j] += s


@kernel
def _outer_triangle(v, c, i, size, count, s):
    for a in range(size):
        for b in range(a + 1):
            total = 0.0
            for t in range(count):
                total += v[i + a, t] * c[i + b, t]
            s[i + a, i + b] += total


@kernel
def _outer_4x1(v, c, i, j, count, s):
    s0 = s1 = s2 = s3 = 0.0
    for t in range(count):
        c0 = c[j, t]
        s0 += v[i, t] * c0
        s1 += v[i + 1, t] * c0
        s2 += v[i + 2, t] * c0
        s3 += v[i + 3, t] * c0
    s[i, j] += s0
    s[i + 1, j] += s1
    s[i + 2, j] += s2
    s[i + 3, j] += s3


@kernel
def _outer_2x4(v, c, i, j, count, s):
    s00 = s01 = s02 = s03 = 0.0
    s10 = s11 = s12 = s13 = 0.0
    for t in range(count):
        v0, v1 = v[i, t], v[i + 1, t]
        c0, c1, c2, c3 = c[j, t], c[j + 1, t], c[j + 2, t], c[j + 3, t]
        s00 += v0 * c0
        s01 += v0 * c1
        s02 += v0 * c2
        s03 += v0 * c3
        s10 += v1 * c0
        s11 += v1 * c1
        s12 += v1 * c2
        s13 += v1 * c3
    s[i, j] += s00
    s[i, j + 1] += s01
    s[i, j + 2] += s02
    s[i, j + 3] += s03
    s[i + 1, j] += s10
    s[i + 1, j + 1] += s11
    s[i + 1, j + 2] += s12
    s[i + 1, j + 3] += s13


@kernel
def add_outers(weighted, gathered, count, s):
    """s (IN, OUT, lower triangle) += sum_t weighted[:, t] gathered[:, t]^T."""
    d = gathered.shape[0]
    odd = d % 4
    _outer_triangle(weighted, gathered, 0, odd, count, s)
    for i in range(odd, d, 4):
        for j in range(odd):
            _outer_4x1(weighted, gathered, i, j, count, s)
        for j in range(odd, i, 4):
            _outer_2x4(weighted, gathered, i, j, count, s)
            _outer_2x4(weighted, gathered, i + 2, j, count, s)
        _outer_triangle(weighted, gathered, i, 4, count, s)


@kernel
def add_squares(weighted, gathered, count, s):
    """s (IN, OUT) += sum_t weighted[:, t] * gathered[:, t] (the diagonal form)."""
    for j in range(gathered.shape[0]):
        total = 0.0
        for t in range(count):
            total += weighted[j, t] * gathered[j, t]
        s[j] += total


@kernel
def log_shares_of_others(others, total, out):
    """out (OUT) = log(1 - r) of each row's largest component, by its other terms."""
    for t in range(TILE):
        out[t] = math.log(max(others[t], 1e-300)) - math.log(total[t])


@kernel
def add_deletion(r_k, k, best, log_others, total, weight, out):
    """out[k] (IN, OUT) += sum over rows of weight * log(1 - r_k / total)."""
    change = 0.0
    for t in range(TILE):
        gap = log1p_negative(min(r_k[t] / total[t], 0.5))
        change += weight[t] * (log_others[t] if best[t] == k else gap)
    out[k] += change


@kernel
def row_weights(weights, start, stop, scale):
    """scale (OUT) = weights of the rows of a tile, 1 where there are none, 0 beyond."""
    for t in range(TILE):
        scale[t] = 0.0
        if start + t < stop:
            scale[t] = weights[start + t] if weights.size > 0 else 1.0


@kernel
def log_of_sums(largest, total, out):
    """out (OUT) = largest + log(total)."""
    for t in range(TILE):
        out[t] = largest[t] + np.log(total[t])
