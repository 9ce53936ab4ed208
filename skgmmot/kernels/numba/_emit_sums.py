"""Emitters of sums over the rows of a tile, and of marks for the rows that count.

Arguments are marked IN or OUT as in `_tiles`; r is (K, TILE), what else has one entry
a row (TILE,). Twins have the same arguments and do the same by NumPy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from skgmmot.kernels.numba._constants import FEW, NEGLIGIBLE, TILE, WIDE
from skgmmot.kernels.numba._emitter import (
    Array,
    Emitter,
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
    return signature_and_code(kinds, _emit_live, WIDE, types.int64)


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


def _emit_few_features(e: Emitter, operands: Sequence[Any], d: int) -> None:
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


def _emit_sums_full(e: Emitter, *operands: Any) -> None:
    """Write a loop for each number of features up to FEW, of which one runs."""
    for few, lanes in zip(range(1, FEW + 1), (16, 8, 4, 4), strict=True):
        wanted = e.builder.icmp_signed("==", operands[0].shape[0], e.integer(few))
        with e.builder.if_then(wanted):
            _emit_few_features(e.of(lanes), operands, few)


def _emit_sums_diagonal(
    e: Emitter,
    rows: Array,
    weights: Array,
    count: ir.Value,
    means: Array,
    k: ir.Value,
    firsts: Array,
    seconds: Array,
) -> None:
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
    return signature_and_code(kinds, emit, WIDE)


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
    e: Emitter,
    rows: Array,
    roots: Array,
    means: Array,
    k: ir.Value,
    scaled: Array,
    firsts: Array,
) -> None:
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


def _emit_block_of_outers(
    e: Emitter,
    scaled: Array,
    count: ir.Value,
    corner: tuple[ir.Value, ir.Value],
    seconds: Array,
    base: ir.Value,
) -> None:
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
    _emit_scaled_rows(e, rows, roots, means, k, scaled, firsts)
    width, count, four = scaled.shape[0], roots.shape[0], e.integer(4)
    base = e.at((k, e.builder.mul(width, width)))
    with (
        e.loop(0, width, 4) as row,
        e.loop(0, e.builder.add(row, four), 2) as column,
    ):
        _emit_block_of_outers(e.of(4), scaled, count, (row, column), seconds, base)


@operation(_outers_twin)
def add_outers(typingctx, rows, roots, means, k, scaled, firsts, seconds):
    """Add (OUT) what rows, by the roots of their weights, bring to the sums of k.

    rows is (d, at least the number of roots), that a multiple of 16. `seconds` is
    (K, D, D) with D a multiple of 4: the lower triangles are right. scaled (OUT) is
    workspace, as rows but with D features, 0 beyond d.
    """
    kinds = (rows, roots, means, k, scaled, firsts, seconds)
    return signature_and_code(kinds, _emit_outers, WIDE)
