"""The operations on tiles that are written as vectors: see `_lanes`.

Arguments are marked IN or OUT as in `_tiles`; r is (K, TILE), what else has one entry
a row (TILE,). Twins have the same arguments and do the same by NumPy.
"""

import numpy as np
from llvmlite import ir
from numba import types

from skgmmot.kernels._lanes import operation, written

TILE = 128
GROUP = 8  # rows of a group: two registers of 256 bits, or one of 512
LARGEST = 1e300  # squared distances are cut here, so that densities stay finite
NEGLIGIBLE = 1e-20  # a responsibility below this is 0 to the rounding of any sum

_FEW = 8  # features up to which a whitener is held in registers
_WIDE = 16  # lanes where constants are many and values few
MASKED = _WIDE  # rows of a mask of live rows
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93145751953125e-1  # 20 bits: its multiples below 2**31 are exact
_LN2_LOW = 1.42860682030941723212e-6
_SHIFT = 6755399441055744.0 + 1023.0  # 1.5 * 2**52 plus the exponent's bias
_LOWEST = -709.2  # exp of less has the exponent's bits 0 below, and is 0
# exp(r) = 1 + r + r^2 q(r) for |r| <= log(2) / 2: q by Remez's exchange, to 3e-16.
_EXP = (
    2.7476720534702785e-07, 2.7635068255858228e-06, 2.4801932395498126e-05,
    0.00019841185067495505, 0.0013888888515119174, 0.008333333370982353,
    0.04166666666814233, 0.16666666666611335, 0.4999999999999832, 1.0, 1.0,
)  # fmt: skip
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
_EXPONENT_BITS = 0xFFF0000000000000
_TWO_52_BITS = 0x4330000000000000
# artanh(z) / z = 1 + s q(s) with s = z^2 <= 1/9: by Remez's exchange, to 5e-17.
_ARTANH_THIRD = (
    0.08870343636505042, 0.04951192628419308, 0.06793199500554103,
    0.07682143348216333, 0.09091407301712198, 0.1111109644308081,
    0.14285714529175278, 0.1999999999802324, 0.33333333333338855, 1.0,
)  # fmt: skip
# 2 artanh(s) = 2 s (1 + s^2 / 3 + ...) with s^2 <= 0.0295: ten terms leave 2e-17.
_ARTANH = tuple(1.0 / odd for odd in range(19, 0, -2))


def _finish_density(e, norms, offset, where):
    """Store offset - norms / 2, and raise the running maximum."""
    r, k, largest, t = where
    # Read before r is written: a read right after a write 4096 bytes apart waits.
    cut, top = norms.below(e.constant(LARGEST)), e.load(largest, t)
    value = e.multiply_add(cut, e.constant(-0.5), e.spread(offset))
    e.store(value, r, e.at((k, TILE), (t, 1)))
    e.store(value.above(top), largest, t)


def _densities_twin(tile, means, whiteners, offsets, r, largest, centered=None):
    for k, offset in enumerate(offsets):
        gaps = tile - means[k][:, None]
        full = whiteners.ndim == 3
        images = whiteners[k] @ gaps if full else whiteners[k][:, None] * gaps
        r[k] = offset - 0.5 * np.minimum(np.square(images).sum(axis=0), LARGEST)
        np.maximum(largest, r[k], out=largest)


def _emit_few(e, operands, k, d):
    """One component with a full whitener of a few features, all held in registers."""
    tile, means, whiteners, offsets, r, largest = operands

    def spread(array, *terms):
        return e.spread(e.scalar(array, e.at(*terms)))

    offset = e.scalar(offsets, k)
    mean = [spread(means, (k, d), (e.integer(j), 1)) for j in range(d)]
    places = [[e.integer(i * d + j) for j in range(i + 1)] for i in range(d)]
    rows = [[spread(whiteners, (k, d * d), (p, 1)) for p in row] for row in places]
    with e.loop(0, TILE, e.lanes) as t:
        centered = [
            e.load(tile, e.at((t, 1), (e.integer(j), TILE))) - mean[j] for j in range(d)
        ]
        norms = None
        for row in rows:
            image = row[0] * centered[0]
            for factor, value in zip(row[1:], centered[1:], strict=False):
                image = e.multiply_add(factor, value, image)
            norms = e.multiply_add(image, image, norms) if norms else image * image
        _finish_density(e, norms, offset, (r, k, largest, t))


def _emit_diagonal(e, tile, means, whiteners, offsets, r, largest):
    d = means.shape[1]
    with e.loop(0, offsets.shape[0], 1) as k, e.loop(0, TILE, e.lanes) as t:
        norms = e.variable(e.constant(0.0))
        with e.loop(0, d, 1) as j:
            mean = e.spread(e.scalar(means, e.at((k, d), (j, 1))))
            scale = e.spread(e.scalar(whiteners, e.at((k, d), (j, 1))))
            scaled = (e.load(tile, e.at((j, TILE), (t, 1))) - mean) * scale
            e.put(norms, e.multiply_add(scaled, scaled, e.get(norms)))
        _finish_density(e, e.get(norms), e.scalar(offsets, k), (r, k, largest, t))


@operation(_densities_twin)
def densities_diagonal(typingctx, tile, means, whiteners, offsets, r, largest):
    """r (OUT) = log densities for diagonal whiteners; largest (IN, OUT) raised."""
    kinds = (tile, means, whiteners, offsets, r, largest)
    return written(kinds, _emit_diagonal, _WIDE)


def _center_group(e, tile, means, k, t, centered):
    """Centre a group of rows: centered is (d, GROUP)."""
    d = means.shape[1]
    with e.loop(0, d, 1) as j:
        mean = e.spread(e.scalar(means, e.at((k, d), (j, 1))))
        value = e.load(tile, e.at((j, TILE), (t, 1))) - mean
        e.store(value, centered, e.at((j, GROUP)))


def _add_block(e, norms, operands, first, n_rows):
    """Add the squares of n_rows rows of W c, whose diagonal starts at `first`."""
    centered, whiteners, base, d = operands
    images = [e.variable(e.constant(0.0)) for _ in range(n_rows)]
    with e.loop(0, e.builder.add(first, e.integer(n_rows)), 1) as j:
        value = e.load(centered, e.at((j, GROUP)))
        for i, image in enumerate(images):
            row = e.builder.add(first, e.integer(i))
            factor = e.spread(e.scalar(whiteners, e.at((base, 1), (row, d), (j, 1))))
            e.put(image, e.multiply_add(factor, value, e.get(image)))
    for image in map(e.get, images):
        e.put(norms, e.multiply_add(image, image, e.get(norms)))


def _emit_many(e, operands, centered, k, odd):
    """One component with a full whitener of 4 n + odd features, in blocks of rows."""
    tile, means, whiteners, offsets, r, largest = operands
    d = whiteners.shape[1]
    with e.loop(0, TILE, GROUP) as t:
        _center_group(e, tile, means, k, t, centered)
        norms = e.variable(e.constant(0.0))
        factors = centered, whiteners, e.at((k, e.builder.mul(d, d))), d
        if odd:
            _add_block(e, norms, factors, e.integer(0), odd)
        with e.loop(odd, d, 4) as first:
            _add_block(e, norms, factors, first, 4)
        _finish_density(e, e.get(norms), e.scalar(offsets, k), (r, k, largest, t))


def _emit_full(e, *arguments):
    """Write a loop over components for each kind of d, of which one runs."""
    *operands, centered = arguments
    b, d, n = e.builder, operands[2].shape[1], operands[3].shape[0]
    for few in range(1, _FEW + 1):
        with b.if_then(b.icmp_signed("==", d, e.integer(few))), e.loop(0, n, 1) as k:
            _emit_few(e, operands, k, few)
    above = b.icmp_signed(">", d, e.integer(_FEW))
    for odd in range(4):
        rest = b.icmp_signed("==", b.and_(d, e.integer(3)), e.integer(odd))
        with b.if_then(b.and_(above, rest)), e.loop(0, n, 1) as k:
            _emit_many(e.of(GROUP), operands, centered, k, odd)


@operation(_densities_twin)
def densities_full(typingctx, tile, means, whiteners, offsets, r, largest, centered):
    """r (OUT) = log densities for full whiteners; largest (IN, OUT) raised to them.

    centered (OUT, (d, GROUP)) is workspace.
    """
    kinds = (tile, means, whiteners, offsets, r, largest, centered)
    return written(kinds, _emit_full, _WIDE)


def _exp_twin(r, largest, total):
    gaps = r - largest
    r[:] = np.where(gaps * _LOG2_E < -1022.5, 0.0, np.exp(gaps))
    total[:] = r.sum(axis=0)


def _exp(e, x):
    """Return exp(x): n log 2 + rest, where 2**n is put together from its bits.

    What is below -709.2 is cut there, where the bits of 2**n are all 0.
    """
    x = e.constant(_LOWEST).above(x)
    shifted = e.multiply_add(x, e.constant(_LOG2_E), e.constant(_SHIFT))
    n = shifted - e.constant(_SHIFT)
    rest = e.multiply_add(n, e.constant(-_LN2_HIGH), x)
    rest = e.multiply_add(n, e.constant(-_LN2_LOW), rest)
    power = e.numbers(e.builder.shl(shifted.bits(), e.integers(52)))
    return e.polynomial(_EXP, rest) * power


def _emit_exp(e, r, largest, total):
    with e.loop(0, TILE, e.lanes) as t:
        top, sums = e.load(largest, t), e.variable(e.constant(0.0))
        with e.loop(0, r.shape[0], 1) as k:
            place = e.at((k, TILE), (t, 1))
            value = _exp(e, e.load(r, place) - top)
            e.store(value, r, place)
            e.put(sums, e.get(sums) + value)
        e.store(e.get(sums), total, t)


@operation(_exp_twin)
def exp_of_gaps(typingctx, r, largest, total):
    """r (IN, OUT) = exp(r - largest), total (OUT) = its sums; NaN stays NaN."""
    return written((r, largest, total), _emit_exp, _WIDE)


def _log_twin(largest, total, out):
    out[:] = largest + np.log(total)


def _emit_log(e, largest, total, out):
    """Write largest + log(total): exponent and mantissa in [sqrt(1/2), sqrt(2))."""
    b = e.builder
    with e.loop(0, TILE, e.lanes) as t:
        bits = e.load(total, t).bits()
        above = b.sub(bits, e.integers(_ROOT_HALF_BITS))
        mantissa = e.numbers(b.sub(bits, b.and_(above, e.integers(_EXPONENT_BITS))))
        count = b.or_(b.lshr(above, e.integers(52)), e.integers(_TWO_52_BITS))
        n = e.numbers(count) - e.constant(2.0**52)
        excess = mantissa - e.constant(1.0)
        s = excess / (excess + e.constant(2.0))
        twice = s + s
        value = twice * e.polynomial(_ARTANH, s * s)
        value = e.multiply_add(n, e.constant(_LN2_LOW), value)
        value = e.multiply_add(n, e.constant(_LN2_HIGH), value)
        e.store(e.load(largest, t) + value, out, t)


@operation(_log_twin)
def log_of_sums(typingctx, largest, total, out):
    """out (OUT) = largest + log(total), for totals of at least 1."""
    return written((largest, total, out), _emit_log, _WIDE)


def _deletion_twin(r, k, best, others, total, weight, sums):
    shares = np.minimum(r[k] / total, 0.5)
    changes = np.where(best == k, others, np.log1p(-shares))
    sums[k] += weight @ changes


def _emit_deletion(e, r, k, best, others, total, weight, sums):
    """Write log(1 - r / total) = -2 artanh(z), z = r / (2 total - r) <= 1/3."""
    change = e.variable(e.constant(0.0))
    with e.loop(0, TILE, e.lanes) as t:
        all_ = e.load(total, t)
        share = e.load(r, e.at((k, TILE), (t, 1))).below(all_ * e.constant(0.5))
        z = share / (all_ + all_ - share)
        gap = e.constant(-2.0) * z * e.polynomial(_ARTANH_THIRD, z * z)
        gap = e.where_equal(best, t, k, e.load(others, t), gap)
        e.put(change, e.multiply_add(e.load(weight, t), gap, e.get(change)))
    e.add_up(e.get(change), sums, k)


@operation(_deletion_twin)
def add_deletion(typingctx, r, k, best, others, total, weight, sums):
    """sums[k] (IN, OUT) += sum of weight * log(1 - r[k] / total).

    Where k is the best of a row, `others` holds the logarithm.
    """
    kinds = (r, k, best, others, total, weight, sums)
    return written(kinds, _emit_deletion, GROUP)


def _live_twin(r, k, scale, row_weight, masks):
    live = r[k] * scale > NEGLIGIBLE * row_weight
    powers = 1 << np.arange(_WIDE)
    masks[:] = (live.reshape(-1, _WIDE) * powers).sum(axis=1)
    return int(live.sum())


def _emit_live(e, r, k, scale, row_weight, masks):
    b, count = e.builder, e.integer(0)
    for group in range(TILE // e.lanes):
        t = e.integer(group * e.lanes)
        share = e.load(r, e.at((k, TILE), (t, 1))) * e.load(scale, t)
        least = e.load(row_weight, t) * e.constant(NEGLIGIBLE)
        flags = b.fcmp_ordered(">", share.value, least.value)
        mask = b.zext(b.bitcast(flags, ir.IntType(e.lanes)), ir.IntType(64))
        b.store(mask, b.gep(masks.pointer, [e.integer(group)]))
        count = b.add(count, b.ctpop(mask))
    return count


@operation(_live_twin)
def mark_live(typingctx, r, k, scale, row_weight, masks):
    """Count the rows with a responsibility that counts; masks (OUT) has their bits.

    r[k] * scale are the responsibilities of one component times the rows' weights.
    """
    kinds = (r, k, scale, row_weight, masks)
    return written(kinds, _emit_live, _WIDE, types.int64)


def _lowest_twin(mask):
    return int(mask & -mask).bit_length() - 1


@operation(_lowest_twin)
def lowest_bit(typingctx, mask):
    """Position of the lowest bit that is set in a mask."""

    def emit(e, mask):
        return e.builder.cttz(mask, ir.Constant(ir.IntType(1), 1))

    return written((mask,), emit, 1, types.int64)


def _pack_twin(x, rows, roots, means, k, packed, sums):
    gaps = roots[:, None] * (x[rows] - means[k])
    packed[: len(rows), : x.shape[1]] = gaps
    sums[k] += roots @ gaps


def _emit_pack(e, x, rows, roots, means, k, packed, sums):
    d = x.shape[1]
    eights, fours = (e.builder.and_(d, e.integer(-n)) for n in (8, 4))
    operands = x, rows, roots, packed
    for lanes, start, stop in ((8, 0, eights), (4, eights, fours), (1, fours, d)):
        with e.loop(start, stop, lanes) as j:
            columns = e.of(lanes)
            place = e.at((k, d), (j, 1))
            _pack_columns(columns, operands, j, columns.load(means, place), sums, place)


def _pack_columns(e, operands, j, mean, sums, place):
    x, rows, roots, packed = operands
    total = e.variable(e.load(sums, place))
    with e.loop(0, rows.shape[0], 1) as t:
        root = e.spread(e.scalar(roots, t))
        row = e.builder.load(e.builder.gep(rows.pointer, [t]))
        value = (e.load(x, e.at((row, x.shape[1]), (j, 1))) - mean) * root
        e.store(value, packed, e.at((t, packed.shape[1]), (j, 1)))
        e.put(total, e.multiply_add(root, value, e.get(total)))
    e.store(e.get(total), sums, place)


@operation(_pack_twin)
def pack_rows(typingctx, x, rows, roots, means, k, packed, sums):
    """packed (OUT) = roots (x[rows] - means[k]), sums[k] (IN, OUT) += roots of that."""
    kinds = (x, rows, roots, means, k, packed, sums)
    return written(kinds, _emit_pack, 8)


def _outer_twin(packed, count, seconds, k):
    seconds[k] += packed[:count].T @ packed[:count]


def _emit_outer(e, packed, count, seconds, k):
    width = packed.shape[1]
    base = e.at((k, e.builder.mul(width, width)))
    with e.loop(0, width, 4) as row:
        after = e.builder.add(row, e.integer(4))
        pairs = e.builder.and_(after, e.integer(-8))
        with e.loop(0, pairs, 8) as column:
            _outer_block(e, (packed, count, seconds, base), row, column, 2)
        with e.loop(pairs, after, 4) as column:
            _outer_block(e, (packed, count, seconds, base), row, column, 1)


def _outer_block(e, operands, row, column, n_columns):
    """Add four rows by 4 n_columns columns of the sum of outer products."""
    packed, count, seconds, base = operands
    width = packed.shape[1]
    block = [[e.variable(e.constant(0.0)) for _ in range(n_columns)] for _ in range(4)]
    with e.loop(0, count, 1) as t:
        start = e.at((t, width))
        values = [
            e.load(packed, e.at((start, 1), (column, 1), (e.integer(4 * c), 1)))
            for c in range(n_columns)
        ]
        for i, sums in enumerate(block):
            place = e.at((start, 1), (row, 1), (e.integer(i), 1))
            factor = e.spread(e.scalar(packed, place))
            for total, value in zip(sums, values, strict=True):
                e.put(total, e.multiply_add(factor, value, e.get(total)))
    for i, sums in enumerate(block):
        line = e.builder.add(row, e.integer(i))
        for c, total in enumerate(sums):
            place = e.at((base, 1), (line, width), (column, 1), (e.integer(4 * c), 1))
            e.store(e.load(seconds, place) + e.get(total), seconds, place)


@operation(_outer_twin)
def add_outers(typingctx, packed, count, seconds, k):
    """seconds[k] (IN, OUT) += sum of y y^T over the first rows of packed.

    packed is (TILE, D) with D a multiple of 4; the lower triangle is right.
    """
    return written((packed, count, seconds, k), _emit_outer, 4)
