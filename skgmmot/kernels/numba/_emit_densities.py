"""Emitters of log densities: of a tile under all components, full and diagonal.

Arguments are marked IN or OUT as in `_tiles`; r is (K, TILE), what else has one entry
a row (TILE,). Twins have the same arguments and do the same by NumPy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from skgmmot.kernels.numba._constants import LARGEST, LARGEST_SINGLE, TILE, WIDE
from skgmmot.kernels.numba._emitter import (
    Array,
    Emitter,
    Intrinsic,
    Vector,
    less_all,
    operation,
    signature_and_code,
)

_IN_REGISTERS = 8  # features up to which a whitener is held in registers


def _emit_density(e: Emitter, norms: Vector, offset: ir.Value, where: tuple) -> None:
    """Store offset - norms / 2, and raise the running maximum."""
    r, k, largest, t = where
    # Read before r is written: a read right after a write 4096 bytes apart waits.
    limit = LARGEST_SINGLE if e.single else LARGEST
    cut, top = norms.below(e.constant(limit)), e.load(largest, t)
    value = e.multiply_add(cut, e.constant(-0.5), e.spread(offset))
    e.store(value, r, e.at((k, TILE), (t, 1)))
    e.store(value.above(top), largest, t)


def _densities_twin(
    tile: np.ndarray,
    means: np.ndarray,
    whiteners: np.ndarray,
    offsets: np.ndarray,
    r: np.ndarray,
    largest: np.ndarray,
    centered: np.ndarray | None = None,
) -> None:
    for k, offset in enumerate(offsets):
        gaps = tile - means[k][:, None]
        full = whiteners.ndim == 3
        images = whiteners[k] @ gaps if full else whiteners[k][:, None] * gaps
        limit = LARGEST if r.dtype == np.float64 else LARGEST_SINGLE
        r[k] = offset - 0.5 * np.minimum(np.square(images).sum(axis=0), limit)
        np.maximum(largest, r[k], out=largest)


def _emit_in_registers(
    e: Emitter, operands: Sequence[Array], k: ir.Value, d: int
) -> None:
    """One component with a full whitener of a few features, all held in registers."""
    tile, means, whiteners, offsets, r, largest = operands

    def spread(array: Array, *terms: tuple) -> Vector:
        return e.spread(e.scalar(array, e.at(*terms)))

    offset = e.scalar(offsets, k)
    mean = [e.parts(means, e.at((k, d), (e.integer(j), 1))) for j in range(d)]
    places = [[e.integer(i * d + j) for j in range(i + 1)] for i in range(d)]
    rows = [[spread(whiteners, (k, d * d), (p, 1)) for p in row] for row in places]
    with e.loop(0, TILE, e.lanes) as t:
        entries = [e.load(tile, e.at((t, 1), (e.integer(j), TILE))) for j in range(d)]
        centered = [less_all(*pair) for pair in zip(entries, mean, strict=True)]
        norms: Any = None
        for row in rows:
            image = row[0] * centered[0]
            for factor, value in zip(row[1:], centered[1:], strict=False):
                image = e.multiply_add(factor, value, image)
            norms = e.multiply_add(image, image, norms) if norms else image * image
        _emit_density(e, norms, offset, (r, k, largest, t))


def _emit_densities_diagonal(
    e: Emitter,
    tile: Array,
    means: Array,
    whiteners: Array,
    offsets: Array,
    r: Array,
    largest: Array,
) -> None:
    d, e = means.shape[1], e.of(4 * e.per_register)
    with e.loop(0, offsets.shape[0], 1) as k, e.loop(0, TILE, e.lanes) as t:
        norms = e.variable(e.constant(0.0))
        with e.loop(0, d, 1) as j:
            mean = e.parts(means, e.at((k, d), (j, 1)))
            scale = e.spread(e.scalar(whiteners, e.at((k, d), (j, 1))))
            scaled = less_all(e.load(tile, e.at((j, TILE), (t, 1))), mean) * scale
            e.put(norms, e.multiply_add(scaled, scaled, e.get(norms)))
        _emit_density(e, e.get(norms), e.scalar(offsets, k), (r, k, largest, t))


def _densities_code(kinds: tuple, emit: Callable, r: types.Array) -> Intrinsic:
    """In float32 where r is, with means in two parts, else in float64."""
    single = r.dtype == types.float32
    return signature_and_code(kinds, emit, 2 * WIDE if single else WIDE, single=single)


@operation(_densities_twin)
def densities_diagonal(typingctx, tile, means, whiteners, offsets, r, largest):
    """r (OUT) = log densities for diagonal whiteners; largest (IN, OUT) raised."""
    kinds = (tile, means, whiteners, offsets, r, largest)
    return _densities_code(kinds, _emit_densities_diagonal, r)


def _emit_mean(e: Emitter, means: Array, k: ir.Value, centered: Array) -> None:
    """Write the parts of one mean behind the group in centered."""
    b, d = e.builder, means.shape[1]
    with e.loop(0, d, 1) as j:
        value = b.load(b.gep(means.pointer, [e.at((k, d), (j, 1))]))
        for i, part in enumerate(e.split(value)):
            place = e.at((d, e.lanes), (d, e.integer(i)), (j, 1))
            b.store(part, b.gep(centered.pointer, [place]))


def _emit_centered_group(
    e: Emitter, tile: Array, d: ir.Value, t: ir.Value, centered: Array
) -> None:
    """Centre a group of rows: centered is (d, lanes), then the parts of the mean."""
    with e.loop(0, d, 1) as j:
        value = e.load(tile, e.at((j, TILE), (t, 1)))
        for i in range(2 if e.single else 1):
            place = e.at((d, e.lanes), (d, e.integer(i)), (j, 1))
            value = value.less(e.spread(e.scalar(centered, place)))
        e.store(value, centered, e.at((j, e.lanes)))


def _add_squared_images(
    e: Emitter, norms: ir.Value, operands: tuple, first: ir.Value, n_rows: int
) -> None:
    """Add the squares of n_rows rows of W c, whose diagonal starts at `first`."""
    centered, whiteners, base, d = operands
    images = [e.variable(e.constant(0.0)) for _ in range(n_rows)]
    rows = [e.builder.add(first, e.integer(i)) for i in range(n_rows)]

    def add_column(j: ir.Value, start: int) -> None:
        value = e.load(centered, e.at((j, e.lanes)))
        for row, image in zip(rows[start:], images[start:], strict=True):
            factor = e.spread(e.scalar(whiteners, e.at((base, 1), (row, d), (j, 1))))
            e.put(image, e.multiply_add(factor, value, e.get(image)))

    with e.loop(0, first, 1) as j:
        add_column(j, 0)
    for start, row in enumerate(rows):  # a column ends at the diagonal
        add_column(row, start)
    for image in map(e.get, images):
        e.put(norms, e.multiply_add(image, image, e.get(norms)))


def _emit_in_blocks(
    e: Emitter, operands: Sequence[Array], centered: Array, k: ir.Value, odd: int
) -> None:
    """One component with a full whitener of 4 n + odd features, in blocks of rows."""
    tile, means, whiteners, offsets, r, largest = operands
    d = whiteners.shape[1]
    _emit_mean(e, means, k, centered)
    with e.loop(0, TILE, e.lanes) as t:
        _emit_centered_group(e, tile, d, t, centered)
        norms = e.variable(e.constant(0.0))
        factors = centered, whiteners, e.at((k, e.builder.mul(d, d))), d
        if odd:
            _add_squared_images(e, norms, factors, e.integer(0), odd)
        with e.loop(odd, d, 4) as first:
            _add_squared_images(e, norms, factors, first, 4)
        _emit_density(e, e.get(norms), e.scalar(offsets, k), (r, k, largest, t))


def _emit_densities_full(e: Emitter, *arguments: Array) -> None:
    """Write a loop over components for each kind of d, of which one runs."""
    *operands, centered = arguments
    b, d, n = e.builder, operands[2].shape[1], operands[3].shape[0]
    for few in range(1, _IN_REGISTERS + 1):
        with b.if_then(b.icmp_signed("==", d, e.integer(few))), e.loop(0, n, 1) as k:
            _emit_in_registers(e, operands, k, few)
    above = b.icmp_signed(">", d, e.integer(_IN_REGISTERS))
    for odd in range(4):
        rest = b.icmp_signed("==", b.and_(d, e.integer(3)), e.integer(odd))
        with b.if_then(b.and_(above, rest)), e.loop(0, n, 1) as k:
            _emit_in_blocks(e.of(e.lanes // 2), operands, centered, k, odd)


@operation(_densities_twin)
def densities_full(typingctx, tile, means, whiteners, offsets, r, largest, centered):
    """r (OUT) = log densities for full whiteners; largest (IN, OUT) raised to them.

    centered (OUT, (2 d, GROUP), of the dtype of r) is workspace.
    """
    kinds = (tile, means, whiteners, offsets, r, largest, centered)
    return _densities_code(kinds, _emit_densities_full, r)
