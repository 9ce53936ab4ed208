"""Emitters of sums over the rows of a tile, and of marks for the rows that count.

Arguments are marked IN or OUT as in `_tiles`; r is (K, TILE), what else has one entry
a row (TILE,). Twins have the same arguments and do the same by NumPy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from skgmmot.kernels.numba._constants import NEGLIGIBLE, TILE, WIDE
from skgmmot.kernels.numba._emitter import (
    Array,
    Emitter,
    Intrinsic,
    Vector,
    less_all,
    operation,
    signature_and_code,
)


def _live_twin(
    r: np.ndarray, k: int, scale: np.ndarray, row_weight: np.ndarray, masks: np.ndarray
) -> int:
    live = r[k] * scale > NEGLIGIBLE * row_weight
    powers = 1 << np.arange(WIDE)
    masks[:] = (live.reshape(-1, WIDE) * powers).sum(axis=1)
    return int(live.sum())


def _emit_live(
    e: Emitter, r: Array, k: ir.Value, scale: Array, row_weight: Array, masks: Array
) -> ir.Value:
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
    single = r.dtype == types.float32
    return signature_and_code(kinds, _emit_live, WIDE, types.int64, single)


def _lowest_twin(mask: int) -> int:
    return int(mask & -mask).bit_length() - 1


@operation(_lowest_twin)
def lowest_bit(typingctx, mask):
    """Position of the lowest bit that is set in a mask."""

    def emit(e: Emitter, mask: ir.Value) -> ir.Value:
        return e.builder.cttz(mask, ir.Constant(ir.IntType(1), 1))

    return signature_and_code((mask,), emit, 1, types.int64)


def _sums_twin(
    rows: np.ndarray,
    weights: np.ndarray,
    count: int,
    means: np.ndarray,
    k: int,
    firsts: np.ndarray,
    seconds: np.ndarray,
) -> None:
    gaps = rows[:, :count] - means[k][:, None]
    weighted = weights[:count] * gaps
    firsts[k] += weighted.sum(axis=1)
    diagonal = seconds.ndim == 2
    seconds[k] += (weighted * gaps).sum(axis=1) if diagonal else weighted @ gaps.T


def _gaps(
    e: Emitter, rows: Array, t: ir.Value, features: Sequence[Any], means: Sequence
) -> list[Vector]:
    """Features of some rows less their means, which come in parts."""
    places = [e.at((j, rows.shape[1]), (t, 1)) for j in features]
    return [
        less_all(e.load(rows, place), parts)
        for place, parts in zip(places, means, strict=True)
    ]


def _accumulators(e: Emitter, n: int) -> list[ir.Value]:
    return [e.variable(e.constant(0.0)) for _ in range(n)]


def _emit_triangle(
    e: Emitter, operands: Sequence[Any], first: ir.Value, n: int
) -> None:
    """Sums, and second moments of n features from the first on, all in registers."""
    rows, weights, count, means, k, firsts, seconds = operands
    d = rows.shape[0]
    pairs = [(i, j) for i in range(n) for j in range(i + 1)]
    features = [e.builder.add(first, e.integer(j)) for j in range(n)]
    places = [e.at((k, d), (j, 1)) for j in features]
    pair_places = [e.at((places[i], d), (features[j], 1)) for i, j in pairs]
    mean = [e.parts(means, place) for place in places]
    sums, pair_sums = _accumulators(e, n), _accumulators(e, len(pairs))
    with e.loop(0, count, e.lanes) as t:
        gaps = _gaps(e, rows, t, features, mean)
        weight = e.load(weights, t)
        weighted = [weight * gap for gap in gaps]
        for total, value in zip(sums, weighted, strict=True):
            e.put(total, e.get(total) + value)
        for total, (i, j) in zip(pair_sums, pairs, strict=True):
            e.put(total, e.multiply_add(weighted[i], gaps[j], e.get(total)))
    e.add_up([e.get(total) for total in sums], firsts, places)
    e.add_up([e.get(total) for total in pair_sums], seconds, pair_places)


def _emit_rectangle(
    e: Emitter, operands: Sequence[Any], n: int, start: int, n_columns: int
) -> None:
    """Second moments of n features from the fifth on with some before them."""
    rows, weights, count, means, k, _, seconds = operands
    d = rows.shape[0]
    sides = [
        [e.integer(first + j) for j in range(length)]
        for first, length in ((4, n), (start, n_columns))
    ]
    mean = [[e.parts(means, e.at((k, d), (j, 1))) for j in side] for side in sides]
    pairs = [(i, j) for i in range(n) for j in range(n_columns)]
    sums = _accumulators(e, len(pairs))
    with e.loop(0, count, e.lanes) as t:
        gaps = [_gaps(e, rows, t, *both) for both in zip(sides, mean, strict=True)]
        weight = e.load(weights, t)
        weighted = [weight * gap for gap in gaps[0]]
        for total, (i, j) in zip(sums, pairs, strict=True):
            e.put(total, e.multiply_add(weighted[i], gaps[1][j], e.get(total)))
    below = [e.at((k, d), (i, 1)) for i in sides[0]]
    places = [e.at((below[i], d), (sides[1][j], 1)) for i, j in pairs]
    e.add_up([e.get(total) for total in sums], seconds, places)


def _emit_sums_full(e: Emitter, *operands: Any) -> None:
    """Write blocks of up to four features, whose accumulators fill the registers.

    Each is written once for each of its sizes, whatever d: to compile takes long.
    """
    d, b, step = operands[0].shape[0], e.builder, 4 if e.wide else 2
    registers = (2, 2, 1, 1) if e.wide else (4, 2, 1, 1)
    for n in range(1, 5):
        block = e.of(min(registers[n - 1] * e.per_register, WIDE))
        with e.loop(0, d, 4) as first:
            rest = b.sub(d, first)
            wanted = b.icmp_signed("==" if n < 4 else ">=", rest, e.integer(n))
            with b.if_then(wanted):
                _emit_triangle(block, operands, first, n)
        with b.if_then(b.icmp_signed("==", d, e.integer(4 + n))):
            for start in range(0, 4, step):
                _emit_rectangle(e.of(e.per_register), operands, n, start, step)


def _emit_squares(
    e: Emitter, operands: Sequence[Any], first: ir.Value, n_features: int
) -> None:
    """Add sums and sums of squares of some features."""
    rows, weights, count, means, k, firsts, seconds = operands
    features = [e.builder.add(first, e.integer(j)) for j in range(n_features)]
    places = [e.at((k, rows.shape[0]), (j, 1)) for j in features]
    mean = [e.parts(means, place) for place in places]
    sums, squares = (_accumulators(e, n_features) for _ in range(2))
    with e.loop(0, count, e.lanes) as t:
        weight = e.load(weights, t)
        for i, gap in enumerate(_gaps(e, rows, t, features, mean)):
            weighted = weight * gap
            e.put(sums[i], e.get(sums[i]) + weighted)
            e.put(squares[i], e.multiply_add(weighted, gap, e.get(squares[i])))
    for totals, array in ((sums, firsts), (squares, seconds)):
        vectors = [e.get(total) for total in totals]
        if n_features == 4:
            e.add_up_row(vectors, array, places[0])
        else:
            e.add_up(vectors, array, places)


def _emit_sums_diagonal(e: Emitter, *operands: Any) -> None:
    d = operands[0].shape[0]
    fours = e.builder.and_(d, e.integer(-4))
    with e.loop(0, fours, 4) as first:
        _emit_squares(e.of(e.per_register), operands, first, 4)
    with e.loop(fours, d, 1) as first:
        _emit_squares(e.of(min(2 * e.per_register, WIDE)), operands, first, 1)


def _sums_code(kinds: tuple, emit: Callable, weights: types.Array) -> Intrinsic:
    """In float32 where the weights are, with means in two parts, else in float64."""
    single = weights.dtype == types.float32
    return signature_and_code(kinds, emit, WIDE, single=single)


@operation(_sums_twin)
def add_sums(typingctx, rows, weights, count, means, k, firsts, seconds):
    """Add (OUT) what `count` weighted rows bring to the sums of component k.

    rows is (d, at least count), count a multiple of 16; with full `seconds`, whose
    lower triangles are right, d is at most FEW. In float32 where the weights are,
    added to totals in float64.
    """
    kinds = (rows, weights, count, means, k, firsts, seconds)
    emit = _emit_sums_full if seconds.ndim == 3 else _emit_sums_diagonal
    return _sums_code(kinds, emit, weights)


def _outers_twin(
    rows: np.ndarray,
    roots: np.ndarray,
    means: np.ndarray,
    k: int,
    scaled: np.ndarray,
    firsts: np.ndarray,
    seconds: np.ndarray,
) -> None:
    d, count = len(rows), len(roots)
    gaps = roots * (rows[:, :count] - means[k][:, None])
    firsts[k] += gaps @ roots
    seconds[k, :d, :d] += gaps @ gaps.T


def _emit_scaled_rows(
    e: Emitter, operands: Sequence[Any], first: ir.Value, n: int
) -> None:
    """Write n features of the centred rows times their roots, and add them up."""
    rows, roots, means, k, scaled, firsts = operands
    (d, length), count = rows.shape, roots.shape[0]
    features = [e.builder.add(first, e.integer(i)) for i in range(n)]
    places = [e.at((k, d), (j, 1)) for j in features]
    mean = [e.parts(means, place) for place in places]
    sums = _accumulators(e, n)
    with e.loop(0, count, e.lanes) as t:
        root = e.load(roots, t)
        for j, total, gap in zip(
            features, sums, _gaps(e, rows, t, features, mean), strict=True
        ):
            value = gap * root
            e.store(value, scaled, e.at((j, length), (t, 1)))
            e.put(total, e.multiply_add(root, value, e.get(total)))
    e.add_up([e.get(total) for total in sums], firsts, places)


def _emit_scaled_four(e: Emitter, operands: Sequence[Any], first: ir.Value) -> None:
    """Four features, or those that there are, at once or one by one."""
    d, b = operands[0].shape[0], e.builder
    after = b.add(first, e.integer(4))
    with b.if_else(b.icmp_signed("<=", after, d)) as (four, fewer):
        with four:
            _emit_scaled_rows(e, operands, first, 4)
        with fewer, e.loop(first, d, 1) as feature:
            _emit_scaled_rows(e, operands, feature, 1)


def _emit_block_of_outers(
    e: Emitter,
    scaled: Array,
    count: ir.Value,
    corner: tuple[ir.Value, ir.Value],
    pairs: Sequence[tuple[int, int]],
    seconds: Array,
    base: ir.Value,
) -> None:
    """Add entries (i, j) from a corner on, row by row, of the sum of outer products."""
    width, length = scaled.shape
    sides: list[dict[int, ir.Value]] = [
        {i: e.at((e.builder.add(start, e.integer(i)), length)) for i in sorted(set(x))}
        for start, x in zip(corner, zip(*pairs, strict=True), strict=True)
    ]
    block = _accumulators(e, len(pairs))
    with e.loop(0, count, e.lanes) as t:
        left, right = (
            {i: e.load(scaled, e.at((start, 1), (t, 1))) for i, start in side.items()}
            for side in sides
        )
        for total, (i, j) in zip(block, pairs, strict=True):
            e.put(total, e.multiply_add(left[i], right[j], e.get(total)))
    first = e.at((base, 1), (corner[0], width), (corner[1], 1))
    places = [
        e.at((first, 1), (e.integer(i), width), (e.integer(j), 1)) for i, j in pairs
    ]
    totals = [e.get(total) for total in block]
    if not e.wide:
        e.add_up(totals, seconds, places)
        return
    starts = [n for n, (_, j) in enumerate(pairs) if j == 0]
    for n, stop in zip(starts, [*starts[1:], len(pairs)], strict=True):
        e.add_up_row(totals[n:stop], seconds, places[n])


def _emit_outers(
    e: Emitter,
    rows: Array,
    roots: Array,
    means: Array,
    k: ir.Value,
    scaled: Array,
    firsts: Array,
    seconds: Array,
) -> None:
    width, count, block = scaled.shape[0], roots.shape[0], e.of(e.per_register)
    base, step = e.at((k, e.builder.mul(width, width))), 4 if e.wide else 2
    pairs = [(i, j) for i in range(4) for j in range(step)]
    with e.loop(0, width, 4) as row:
        _emit_scaled_four(block, (rows, roots, means, k, scaled, firsts), row)
        with e.loop(0, row, step) as column:
            corner = row, column
            _emit_block_of_outers(block, scaled, count, corner, pairs, seconds, base)
        for start in range(0, 4, step):  # on the diagonal a triangle is enough
            below = [(i, j) for i, j in pairs if i >= start + j]
            corner = row, e.builder.add(row, e.integer(start))
            _emit_block_of_outers(block, scaled, count, corner, below, seconds, base)


@operation(_outers_twin)
def add_outers(typingctx, rows, roots, means, k, scaled, firsts, seconds):
    """Add (OUT) what rows, by the roots of their weights, bring to the sums of k.

    rows is (d, at least the number of roots), that a multiple of 16. `seconds` is
    (K, D, D) with D a multiple of 4: the lower triangles are right. scaled (OUT) is
    workspace, as rows but with D features, 0 beyond d. In float32 where the roots are,
    added to totals in float64.
    """
    kinds = (rows, roots, means, k, scaled, firsts, seconds)
    return _sums_code(kinds, _emit_outers, roots)
