"""The operations on tiles that are written as vectors: see `_lanes`.

Arguments are marked IN or OUT as in `_tiles`; r is (K, TILE), what else has one entry
a row (TILE,). Twins have the same arguments and do the same by NumPy.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from skgmmot.kernels._lanes import operation, written

TILE = 128
LARGEST = 1e300  # squared distances are cut here, so that densities stay finite
_LARGEST_SINGLE = 1e37
NEGLIGIBLE = 1e-20  # a responsibility below this is 0 to the rounding of any sum

FEW = 4  # features up to which sums of outer products are held in registers
_IN_REGISTERS = 8  # features up to which a whitener is held in registers
_WIDE = 16  # lanes where constants are many and values few
GROUP = _WIDE  # rows of a group in float32; half as many in float64
MASKED = _WIDE  # rows of a mask of live rows
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93145751953125e-1  # 15 bits: its multiples are exact, also in float32
_LN2_LOW = 1.42860682030941723212e-6


class _Exp(NamedTuple):
    """How exp(n log 2 + rest) is put together from 2**n and a polynomial."""

    mantissa: int  # bits
    shift: float  # 1.5 * 2**mantissa plus the exponent's bias
    lowest: float  # exp of less has the exponent's bits 0 or below, and is 0
    polynomial: tuple  # 1 + r + r^2 q(r) for |r| <= log(2) / 2, by Remez's exchange


_EXP_DOUBLE = _Exp(52, 6755399441055744.0 + 1023.0, -709.2, (
    2.7476720534702785e-07, 2.7635068255858228e-06, 2.4801932395498126e-05,
    0.00019841185067495505, 0.0013888888515119174, 0.008333333370982353,
    0.04166666666814233, 0.16666666666611335, 0.4999999999999832, 1.0, 1.0,
))  # fmt: skip
_EXP_SINGLE = _Exp(23, 12582912.0 + 127.0, -88.0, (
    0.0013814598549694215, 0.008368716879854006, 0.04166838804725345,
    0.16666520631707774, 0.4999999344778712, 1.0, 1.0,
))  # fmt: skip
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
    limit = _LARGEST_SINGLE if e.single else LARGEST
    cut, top = norms.below(e.constant(limit)), e.load(largest, t)
    value = e.multiply_add(cut, e.constant(-0.5), e.spread(offset))
    e.store(value, r, e.at((k, TILE), (t, 1)))
    e.store(value.above(top), largest, t)


def without(vector, parts):
    """A vector less all parts of a number."""
    for part in parts:
        vector = vector.less(part)
    return vector


def _densities_twin(tile, means, whiteners, offsets, r, largest, centered=None):
    for k, offset in enumerate(offsets):
        gaps = tile - means[k][:, None]
        full = whiteners.ndim == 3
        images = whiteners[k] @ gaps if full else whiteners[k][:, None] * gaps
        limit = LARGEST if r.dtype == np.float64 else _LARGEST_SINGLE
        r[k] = offset - 0.5 * np.minimum(np.square(images).sum(axis=0), limit)
        np.maximum(largest, r[k], out=largest)


def _emit_few(e, operands, k, d):
    """One component with a full whitener of a few features, all held in registers."""
    tile, means, whiteners, offsets, r, largest = operands

    def spread(array, *terms):
        return e.spread(e.scalar(array, e.at(*terms)))

    offset = e.scalar(offsets, k)
    mean = [e.parts(means, e.at((k, d), (e.integer(j), 1))) for j in range(d)]
    places = [[e.integer(i * d + j) for j in range(i + 1)] for i in range(d)]
    rows = [[spread(whiteners, (k, d * d), (p, 1)) for p in row] for row in places]
    with e.loop(0, TILE, e.lanes) as t:
        entries = [e.load(tile, e.at((t, 1), (e.integer(j), TILE))) for j in range(d)]
        centered = [without(*pair) for pair in zip(entries, mean, strict=True)]
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
            mean = e.parts(means, e.at((k, d), (j, 1)))
            scale = e.spread(e.scalar(whiteners, e.at((k, d), (j, 1))))
            scaled = without(e.load(tile, e.at((j, TILE), (t, 1))), mean) * scale
            e.put(norms, e.multiply_add(scaled, scaled, e.get(norms)))
        _finish_density(e, e.get(norms), e.scalar(offsets, k), (r, k, largest, t))


def _densities_written(kinds, emit, r):
    """In float32 where r is, with means in two parts, else in float64."""
    single = r.dtype == types.float32
    return written(kinds, emit, 2 * _WIDE if single else _WIDE, single=single)


@operation(_densities_twin)
def densities_diagonal(typingctx, tile, means, whiteners, offsets, r, largest):
    """r (OUT) = log densities for diagonal whiteners; largest (IN, OUT) raised."""
    kinds = (tile, means, whiteners, offsets, r, largest)
    return _densities_written(kinds, _emit_diagonal, r)


def _keep_means(e, means, k, centered):
    """Write the parts of one mean behind the group in centered."""
    b, d = e.builder, means.shape[1]
    with e.loop(0, d, 1) as j:
        value = b.load(b.gep(means.pointer, [e.at((k, d), (j, 1))]))
        for i, part in enumerate(e.split(value)):
            place = e.at((d, e.lanes), (d, e.integer(i)), (j, 1))
            b.store(part, b.gep(centered.pointer, [place]))


def _center_group(e, tile, d, t, centered):
    """Centre a group of rows: centered is (d, lanes), then the parts of the mean."""
    with e.loop(0, d, 1) as j:
        value = e.load(tile, e.at((j, TILE), (t, 1)))
        for i in range(2 if e.single else 1):
            place = e.at((d, e.lanes), (d, e.integer(i)), (j, 1))
            value = value.less(e.spread(e.scalar(centered, place)))
        e.store(value, centered, e.at((j, e.lanes)))


def _add_block(e, norms, operands, first, n_rows):
    """Add the squares of n_rows rows of W c, whose diagonal starts at `first`."""
    centered, whiteners, base, d = operands
    images = [e.variable(e.constant(0.0)) for _ in range(n_rows)]
    with e.loop(0, e.builder.add(first, e.integer(n_rows)), 1) as j:
        value = e.load(centered, e.at((j, e.lanes)))
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
    _keep_means(e, means, k, centered)
    with e.loop(0, TILE, e.lanes) as t:
        _center_group(e, tile, d, t, centered)
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
    for few in range(1, _IN_REGISTERS + 1):
        with b.if_then(b.icmp_signed("==", d, e.integer(few))), e.loop(0, n, 1) as k:
            _emit_few(e, operands, k, few)
    above = b.icmp_signed(">", d, e.integer(_IN_REGISTERS))
    for odd in range(4):
        rest = b.icmp_signed("==", b.and_(d, e.integer(3)), e.integer(odd))
        with b.if_then(b.and_(above, rest)), e.loop(0, n, 1) as k:
            _emit_many(e.of(e.lanes // 2), operands, centered, k, odd)


@operation(_densities_twin)
def densities_full(typingctx, tile, means, whiteners, offsets, r, largest, centered):
    """r (OUT) = log densities for full whiteners; largest (IN, OUT) raised to them.

    centered (OUT, (2 d, GROUP), of the dtype of r) is workspace.
    """
    kinds = (tile, means, whiteners, offsets, r, largest, centered)
    return _densities_written(kinds, _emit_full, r)


def _exp_twin(r, largest, total):
    gaps = r - largest
    lowest = -1022.5 if r.dtype == np.float64 else -126.5
    r[:] = np.where(gaps * _LOG2_E < lowest, 0.0, np.exp(gaps))
    total[:] = r.sum(axis=0, dtype=np.float64)


def _exp(e, x):
    """Return exp(x): n log 2 + rest, where 2**n is put together from its bits.

    What is very low is cut where the bits of 2**n are all 0.
    """
    how = _EXP_SINGLE if e.single else _EXP_DOUBLE
    x = e.constant(how.lowest).above(x)
    shifted = e.multiply_add(x, e.constant(_LOG2_E), e.constant(how.shift))
    n = shifted - e.constant(how.shift)
    rest = e.multiply_add(n, e.constant(-_LN2_HIGH), x)
    rest = e.multiply_add(n, e.constant(-_LN2_LOW), rest)
    power = e.numbers(e.builder.shl(shifted.bits(), e.integers(how.mantissa)))
    return e.polynomial(how.polynomial, rest) * power


def _emit_exp(e, r, largest, total):
    wide = e.doubled()
    with e.loop(0, TILE, e.lanes) as t:
        top, sums = e.load(largest, t), wide.variable(wide.constant(0.0))
        with e.loop(0, r.shape[0], 1) as k:
            place = e.at((k, TILE), (t, 1))
            value = _exp(e, e.load(r, place) - top)
            e.store(value, r, place)
            wide.put(sums, wide.get(sums) + e.doubled(value))
        wide.store(wide.get(sums), total, t)


@operation(_exp_twin)
def exp_of_gaps(typingctx, r, largest, total):
    """r (IN, OUT) = exp(r - largest), total (OUT) = its sums; NaN stays NaN.

    In float32 where r is, the sums always in float64.
    """
    single = r.dtype == types.float32
    return written((r, largest, total), _emit_exp, _WIDE, single=single)


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
    return written(kinds, _emit_deletion, _WIDE // 2)


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


def _sums_twin(rows, weights, count, means, k, firsts, seconds):
    gaps = rows[:, :count] - means[k][:, None]
    weighted = weights[:count] * gaps
    firsts[k] += weighted.sum(axis=1)
    diagonal = seconds.ndim == 2
    seconds[k] += (weighted * gaps).sum(axis=1) if diagonal else weighted @ gaps.T


def _sum_few(e, operands, d):
    """Sums for a few features: one accumulator for each, all in registers."""
    rows, weights, count, means, k, firsts, seconds = operands
    pairs = [(i, j) for i in range(d) for j in range(i + 1)]
    places = [e.at((k, d), (e.integer(j), 1)) for j in range(d)]
    pair_places = [e.at((k, d * d), (e.integer(i * d + j), 1)) for i, j in pairs]
    mean = [e.spread(e.scalar(means, place)) for place in places]
    sums, pair_sums = (
        [e.variable(e.constant(0.0)) for _ in each] for each in (places, pairs)
    )
    with e.loop(0, count, e.lanes) as t:
        where = [e.at((e.integer(j), rows.shape[1]), (t, 1)) for j in range(d)]
        gaps = [e.load(rows, where[j]) - mean[j] for j in range(d)]
        weight = e.load(weights, t)
        weighted = [weight * gap for gap in gaps]
        for total, value in zip(sums, weighted, strict=True):
            e.put(total, e.get(total) + value)
        for total, (i, j) in zip(pair_sums, pairs, strict=True):
            e.put(total, e.multiply_add(weighted[i], gaps[j], e.get(total)))
    for total, place in zip(sums, places, strict=True):
        e.add_up(e.get(total), firsts, place)
    for total, place in zip(pair_sums, pair_places, strict=True):
        e.add_up(e.get(total), seconds, place)


def _emit_sums_full(e, *operands):
    """Write a loop for each number of features up to FEW, of which one runs."""
    for few, lanes in zip(range(1, FEW + 1), (16, 8, 4, 4), strict=True):
        wanted = e.builder.icmp_signed("==", operands[0].shape[0], e.integer(few))
        with e.builder.if_then(wanted):
            _sum_few(e.of(lanes), operands, few)


def _emit_sums_diagonal(e, rows, weights, count, means, k, firsts, seconds):
    d, length = rows.shape
    with e.loop(0, d, 1) as j:
        place = e.at((k, d), (j, 1))
        mean = e.spread(e.scalar(means, place))
        first, second = (e.variable(e.constant(0.0)) for _ in range(2))
        with e.loop(0, count, e.lanes) as t:
            gap = e.load(rows, e.at((j, length), (t, 1))) - mean
            weighted = e.load(weights, t) * gap
            e.put(first, e.get(first) + weighted)
            e.put(second, e.multiply_add(weighted, gap, e.get(second)))
        e.add_up(e.get(first), firsts, place)
        e.add_up(e.get(second), seconds, place)


@operation(_sums_twin)
def add_sums(typingctx, rows, weights, count, means, k, firsts, seconds):
    """Add (OUT) what `count` weighted rows bring to the sums of component k.

    rows is (d, at least count), count a multiple of 16; with full `seconds`, whose
    lower triangles are right, d is at most FEW.
    """
    kinds = (rows, weights, count, means, k, firsts, seconds)
    emit = _emit_sums_full if seconds.ndim == 3 else _emit_sums_diagonal
    return written(kinds, emit, _WIDE)


def _outers_twin(rows, roots, means, k, scaled, firsts, seconds):
    d, count = len(rows), len(roots)
    gaps = roots * (rows[:, :count] - means[k][:, None])
    firsts[k] += gaps @ roots
    seconds[k, :d, :d] += gaps @ gaps.T


def _scale_rows(e, rows, roots, means, k, scaled, firsts):
    """Write scaled (OUT), the centred rows times their roots, and add up."""
    (d, length), count = rows.shape, roots.shape[0]
    with e.loop(0, d, 1) as j:
        place = e.at((k, d), (j, 1))
        mean, total = e.spread(e.scalar(means, place)), e.variable(e.constant(0.0))
        with e.loop(0, count, e.lanes) as t:
            root, where = e.load(roots, t), e.at((j, length), (t, 1))
            value = (e.load(rows, where) - mean) * root
            e.store(value, scaled, where)
            e.put(total, e.multiply_add(root, value, e.get(total)))
        e.add_up(e.get(total), firsts, place)


def _sum_block(e, scaled, count, corner, seconds, base):
    """Add four rows by two columns of the sum of outer products."""
    width, length = scaled.shape
    starts = [
        [e.at((e.builder.add(start, e.integer(i)), length)) for i in range(n)]
        for start, n in zip(corner, (4, 2), strict=True)
    ]
    pairs = [(i, j) for i in range(4) for j in range(2)]
    block = [e.variable(e.constant(0.0)) for _ in pairs]
    with e.loop(0, count, e.lanes) as t:
        left, right = (
            [e.load(scaled, e.at((start, 1), (t, 1))) for start in side]
            for side in starts
        )
        for total, (i, j) in zip(block, pairs, strict=True):
            e.put(total, e.multiply_add(left[i], right[j], e.get(total)))
    first = e.at((base, 1), (corner[0], width), (corner[1], 1))
    for total, (i, j) in zip(block, pairs, strict=True):
        place = e.at((first, 1), (e.integer(i), width), (e.integer(j), 1))
        e.add_up(e.get(total), seconds, place)


def _emit_outers(e, rows, roots, means, k, scaled, firsts, seconds):
    _scale_rows(e, rows, roots, means, k, scaled, firsts)
    width, count, four = scaled.shape[0], roots.shape[0], e.integer(4)
    base = e.at((k, e.builder.mul(width, width)))
    with (
        e.loop(0, width, 4) as row,
        e.loop(0, e.builder.add(row, four), 2) as column,
    ):
        _sum_block(e.of(4), scaled, count, (row, column), seconds, base)


@operation(_outers_twin)
def add_outers(typingctx, rows, roots, means, k, scaled, firsts, seconds):
    """Add (OUT) what rows, by the roots of their weights, bring to the sums of k.

    rows is (d, at least the number of roots), that a multiple of 16. `seconds` is
    (K, D, D) with D a multiple of 4: the lower triangles are right. scaled (OUT) is
    workspace, as rows but with D features, 0 beyond d.
    """
    kinds = (rows, roots, means, k, scaled, firsts, seconds)
    return written(kinds, _emit_outers, _WIDE)
