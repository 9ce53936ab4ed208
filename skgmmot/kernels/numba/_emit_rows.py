"""Emitter of the copy of some rows that tiles hold: features outside, rows inside."""

from collections.abc import Sequence

import numpy as np
from llvmlite import ir
from numba import types

from skgmmot.kernels.numba._constants import TILE
from skgmmot.kernels.numba._emitter import (
    Array,
    Emitter,
    Vector,
    operation,
    signature_and_code,
)

_ROWS, _FEATURES = 8, 4  # of a block that is turned in registers
_AHEAD = 16  # rows; eight short streams at once are not foreseen by the processor


def _turned_twin(x: np.ndarray, start: int, stop: int, tile: np.ndarray) -> None:
    rows = np.minimum(start + np.arange(TILE), stop - 1)
    tile[:] = x[rows].T


def _shuffled(
    e: Emitter, first: ir.Value, second: ir.Value, order: Sequence[int]
) -> ir.Value:
    kind = ir.VectorType(ir.IntType(32), len(order))
    return e.builder.shuffle_vector(first, second, ir.Constant(kind, list(order)))


def _turned(e: Emitter, rows: Sequence[ir.Value]) -> list[ir.Value]:
    """Four features of eight rows, from eight rows of four features."""
    whole = [_shuffled(e, rows[i], rows[i + 4], range(8)) for i in range(4)]
    even, odd = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
    low = [
        [_shuffled(e, whole[i], whole[i + 1], order) for i in (0, 2)]
        for order in (even, odd)
    ]
    left, right = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
    return [
        _shuffled(e, first, second, order)
        for order in (left, right)
        for first, second in low
    ]


def _emit_fetch(e: Emitter, array: Array, place: ir.Value) -> None:
    """Ask for entries that will be read soon; places beyond the array do no harm."""
    b, number = e.builder, ir.IntType(32)
    pointer = b.bitcast(b.gep(array.pointer, [place]), ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
    fetch = b.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
    b.call(fetch, [pointer, *(ir.Constant(number, n) for n in (0, 3, 1))])


def _emit_turned(
    e: Emitter, x: Array, start: ir.Value, stop: ir.Value, tile: Array
) -> None:
    b, d, row_kind = e.builder, x.shape[1], e.of(_FEATURES)
    last = b.sub(stop, e.integer(1))
    fours = b.and_(d, e.integer(-_FEATURES))
    with e.loop(0, TILE, _ROWS) as t:
        rows = [e.at((start, 1), (t, 1), (e.integer(i), 1)) for i in range(_ROWS)]
        rows = [b.select(b.icmp_signed("<", row, last), row, last) for row in rows]
        places = [b.mul(row, d) for row in rows]
        ahead = b.mul(e.at((start, 1), (t, 1), (e.integer(_AHEAD), 1)), d)
        with e.loop(0, fours, _FEATURES) as j:
            for i in range(_FEATURES):  # the rows ahead, line by line
                _emit_fetch(e, x, e.at((ahead, 1), (j, _ROWS), (e.integer(8 * i), 1)))
            loaded = [row_kind.load(x, e.at((place, 1), (j, 1))) for place in places]
            turned = _turned(e, [vector.value for vector in loaded])
            for i, vector in enumerate(turned):
                where = e.at((j, TILE), (e.integer(i * TILE), 1), (t, 1))
                e.store(Vector(e, vector), tile, where)
        with e.loop(fours, d, 1) as j:
            for i, place in enumerate(places):
                value = e.scalar(x, e.at((place, 1), (j, 1)))
                where = e.at((j, TILE), (t, 1), (e.integer(i), 1))
                b.store(value, b.gep(tile.pointer, [where]))


@operation(_turned_twin)
def load_turned(typingctx, x, start, stop, tile):
    """Copy rows start..stop of x into tile (OUT, (d, TILE)); the last row pads."""
    single = tile.dtype == types.float32
    kinds = (x, start, stop, tile)
    return signature_and_code(kinds, _emit_turned, _ROWS, single=single)
