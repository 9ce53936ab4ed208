"""Emitters of maps: what one component adds to the images of the rows of a tile.

Arguments are marked IN or OUT as in `_tiles`. A component adds share * (A c + s), with
c the centred row. It is summed as A (share c) + share s: sums go on from component to
component, and nothing is kept beside them.
"""

import numpy as np
from llvmlite import ir

from skgmmot.kernels.numba._constants import GROUP, TILE
from skgmmot.kernels.numba._emitter import (
    Array,
    Emitter,
    Intrinsic,
    Vector,
    operation,
    signature_and_code,
)

_IN_REGISTERS = 4  # features up to which a matrix is spread over registers
_LANES = GROUP // 2  # four sums of as many rows and what they need fill 16 registers


def _map_twin(
    tile: np.ndarray,
    share: np.ndarray,
    means: np.ndarray,
    k: int,
    linear: np.ndarray,
    shifts: np.ndarray,
    scaled: np.ndarray,
    mapped: np.ndarray,
) -> None:
    gaps = tile - means[k][:, None]
    full = linear.ndim == 3
    images = linear[k] @ gaps if full else linear[k][:, None] * gaps
    mapped += share * (images + shifts[k][:, None])


def _scaled_gap(
    e: Emitter, tile: Array, share: Vector, mean: Vector, place: ir.Value
) -> Vector:
    """One centred feature of some rows times their shares."""
    return (e.load(tile, place) - mean) * share


def _emit_few_features(e: Emitter, operands: tuple, d: int) -> None:
    """A full map of a few features, all held in registers."""
    tile, share, means, k, linear, shifts, _, mapped = operands
    one_each = [e.at((k, d), (e.integer(j), 1)) for j in range(d)]
    mean = [e.spread(e.scalar(means, place)) for place in one_each]
    shift = [e.spread(e.scalar(shifts, place)) for place in one_each]
    rows = [
        [
            e.spread(e.scalar(linear, e.at((k, d * d), (e.integer(i * d + j), 1))))
            for j in range(d)
        ]
        for i in range(d)
    ]
    with e.loop(0, TILE, e.lanes) as t:
        weight = e.load(share, t)
        where = [e.at((e.integer(j), TILE), (t, 1)) for j in range(d)]
        gaps = [
            _scaled_gap(e, tile, weight, *pair)
            for pair in zip(mean, where, strict=True)
        ]
        for row, start, place in zip(rows, shift, where, strict=True):
            total = e.multiply_add(weight, start, e.load(mapped, place))
            for factor, gap in zip(row, gaps, strict=True):
                total = e.multiply_add(factor, gap, total)
            e.store(total, mapped, place)


def _emit_rows(
    e: Emitter, operands: tuple, t: ir.Value, first: ir.Value, n_rows: int
) -> None:
    """Some features of the images of a group of rows, whose gaps are in scaled."""
    _, share, _, k, linear, shifts, scaled, mapped = operands
    d = linear.shape[1]
    rows = [e.builder.add(first, e.integer(i)) for i in range(n_rows)]
    where = [e.at((row, TILE), (t, 1)) for row in rows]
    sums = []
    for row, place in zip(rows, where, strict=True):
        shift = e.spread(e.scalar(shifts, e.at((k, d), (row, 1))))
        start = e.multiply_add(e.load(share, t), shift, e.load(mapped, place))
        sums.append(e.variable(start))
    base = e.at((k, e.builder.mul(d, d)))
    with e.loop(0, d, 1) as j:
        gap = e.load(scaled, e.at((j, e.lanes)))
        for row, total in zip(rows, sums, strict=True):
            factor = e.spread(e.scalar(linear, e.at((base, 1), (row, d), (j, 1))))
            e.put(total, e.multiply_add(factor, gap, e.get(total)))
    for total, place in zip(sums, where, strict=True):
        e.store(e.get(total), mapped, place)


def _emit_in_blocks(e: Emitter, operands: tuple, odd: int) -> None:
    """A full map of 4 n + odd features, in blocks of features."""
    tile, share, means, k, linear, _, scaled, _ = operands
    d = linear.shape[1]
    with e.loop(0, TILE, e.lanes) as t:
        weight = e.load(share, t)
        with e.loop(0, d, 1) as j:
            mean = e.spread(e.scalar(means, e.at((k, d), (j, 1))))
            gap = _scaled_gap(e, tile, weight, mean, e.at((j, TILE), (t, 1)))
            e.store(gap, scaled, e.at((j, e.lanes)))
        if odd:
            _emit_rows(e, operands, t, e.integer(0), odd)
        with e.loop(odd, d, 4) as first:
            _emit_rows(e, operands, t, first, 4)


def _emit_map_full(e: Emitter, *operands: Array) -> None:
    """Write a loop for each kind of d, of which one runs."""
    b, d = e.builder, operands[4].shape[1]
    for few in range(1, _IN_REGISTERS + 1):
        with b.if_then(b.icmp_signed("==", d, e.integer(few))):
            _emit_few_features(e, operands, few)
    above = b.icmp_signed(">", d, e.integer(_IN_REGISTERS))
    for odd in range(4):
        rest = b.icmp_signed("==", b.and_(d, e.integer(3)), e.integer(odd))
        with b.if_then(b.and_(above, rest)):
            _emit_in_blocks(e, operands, odd)


def _emit_map_diagonal(e: Emitter, *operands: Array) -> None:
    tile, share, means, k, linear, shifts, _, mapped = operands
    d = linear.shape[1]
    with e.loop(0, d, 1) as j:
        place = e.at((k, d), (j, 1))
        mean, factor, shift = (
            e.spread(e.scalar(array, place)) for array in (means, linear, shifts)
        )
        with e.loop(0, TILE, e.lanes) as t:
            weight, where = e.load(share, t), e.at((j, TILE), (t, 1))
            total = e.multiply_add(weight, shift, e.load(mapped, where))
            gap = _scaled_gap(e, tile, weight, mean, where)
            e.store(e.multiply_add(factor, gap, total), mapped, where)


@operation(_map_twin)
def add_map(
    typingctx, tile, share, means, k, linear, shifts, scaled, mapped
) -> Intrinsic:
    """mapped (IN, OUT, (d, TILE)) += share * (linear_k (row - mean_k) + shift_k).

    tile is (d, TILE) of either precision, share (TILE,), linear (K, d, d) or (K, d).
    scaled (OUT, (d, GROUP)) is workspace. All but the tile is float64.
    """
    kinds = (tile, share, means, k, linear, shifts, scaled, mapped)
    emit = _emit_map_full if linear.ndim == 3 else _emit_map_diagonal
    return signature_and_code(kinds, emit, _LANES)
