"""Singular values of many small matrices at once, one matrix a lane.

Reflections leave two diagonals of each matrix (Golub and Kahan, *Calculating the
singular values and pseudo-inverse of a matrix*, SIAM Journal on Numerical Analysis 2
(1965), doi 10.1137/0702016), and the differential quotient-difference algorithm finds
the squares of their singular values (Fernando and Parlett, *Accurate singular values
and differential qd algorithms*, Numerische Mathematik 67 (1994), doi
10.1007/s002110050024). Its shift is Laguerre's lower bound of the smallest square, from
the sums of 1 / λ and 1 / λ² that derivatives of the recurrence give: only positive
numbers are added up in these sums.

Arguments are marked IN or OUT. An array of groups holds LANES numbers of as many
matrices next to each other; `first` and `stride` count groups.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from llvmlite import ir

from skgmmot._jit import exact_kernel
from skgmmot.kernels.numba._emitter import (
    Array,
    Emitter,
    Vector,
    operation,
    signature_and_code,
)

LANES = 8
_MAX_PASSES = 40
_TINY = 1e-100  # in place of squares that are 0: nothing beside a matrix of norm 1
_EPS = 2.0**-53


def _strided(groups: np.ndarray, first: int, stride: int, count: int) -> np.ndarray:
    """View of chosen groups of a flat array, (count, LANES)."""
    stop = first + stride * (count - 1) + 1
    return groups.reshape(-1, LANES)[first:stop:stride]


def _length_twin(
    groups: np.ndarray, first: int, stride: int, count: int, out: np.ndarray
) -> None:
    out[:] = np.square(_strided(groups, first, stride, count)).sum(axis=0)


def _emit_length(
    e: Emitter,
    groups: Array,
    first: ir.Value,
    stride: ir.Value,
    count: ir.Value,
    out: Array,
) -> None:
    total = e.variable(e.constant(0.0))
    with e.loop(0, count, 1) as i:
        step = e.builder.mul(i, stride)
        value = e.load(groups, e.at((first, LANES), (step, LANES)))
        e.put(total, e.multiply_add(value, value, e.get(total)))
    e.store(e.get(total), out, e.integer(0))


@operation(_length_twin)
def squared_lengths(typingctx, groups, first, stride, count, out):
    """out (OUT, (LANES,)) = squared lengths of vectors of `count` groups (IN)."""
    return signature_and_code((groups, first, stride, count, out), _emit_length, LANES)


def _reflect_twin(
    groups: np.ndarray,
    mirror: int,
    first: int,
    stride: int,
    count: int,
    factor: np.ndarray,
) -> None:
    v, x = (_strided(groups, at, stride, count) for at in (mirror, first))
    x -= factor * (v * x).sum(axis=0) * v


def _emit_reflect(
    e: Emitter,
    groups: Array,
    mirror: ir.Value,
    first: ir.Value,
    stride: ir.Value,
    count: ir.Value,
    factor: Array,
) -> None:
    def places(i: ir.Value) -> Iterator[ir.Value]:
        step = e.builder.mul(i, stride)
        return (e.at((at, LANES), (step, LANES)) for at in (mirror, first))

    total = e.variable(e.constant(0.0))
    with e.loop(0, count, 1) as i:
        v, x = (e.load(groups, place) for place in places(i))
        e.put(total, e.multiply_add(v, x, e.get(total)))
    scale = e.get(total) * e.load(factor, e.integer(0))
    with e.loop(0, count, 1) as i:
        at_mirror, at = places(i)
        change = scale * e.load(groups, at_mirror)
        e.store(e.load(groups, at) - change, groups, at)


@operation(_reflect_twin)
def reflect(typingctx, groups, mirror, first, stride, count, factor):
    """x (IN, OUT) -= factor (v·x) v for v at `mirror` and x at `first` of groups.

    The factors (IN, (LANES,)) are 2 / v·v, or 0.
    """
    kinds = (groups, mirror, first, stride, count, factor)
    return signature_and_code(kinds, _emit_reflect, LANES)


def _product_twin(groups: np.ndarray, factor: np.ndarray, out: np.ndarray) -> None:
    d = len(factor)
    stack = groups.reshape(d, d, LANES)
    out.reshape(d, d, LANES)[:] = np.einsum("mit,mj->jit", stack, factor)


def _emit_product(e: Emitter, groups: Array, factor: Array, out: Array) -> None:
    b, d = e.builder, factor.shape[0]
    even = b.and_(d, e.integer(-2))
    for width, start, stop in ((2, e.integer(0), even), (1, even, d)):
        with e.loop(start, stop, width) as j, e.loop(0, d, 1) as i:
            _product_entries(e, (groups, factor, out), i, j, width)


def _product_entries(
    e: Emitter, operands: Sequence[Array], i: ir.Value, j: ir.Value, width: int
) -> None:
    """Entries (i, j), … (i, j + width - 1) of a product."""
    groups, factor, out = operands
    b, d = e.builder, factor.shape[0]
    columns = [b.add(j, e.integer(n)) for n in range(width)]
    totals = [e.variable(e.constant(0.0)) for _ in columns]
    with e.loop(0, d, 1) as m:
        row = b.mul(m, d)
        value = e.load(groups, e.at((row, LANES), (i, LANES)))
        for column, total in zip(columns, totals, strict=True):
            scale = e.spread(e.scalar(factor, e.at((row, 1), (column, 1))))
            e.put(total, e.multiply_add(value, scale, e.get(total)))
    for column, total in zip(columns, totals, strict=True):
        e.store(e.get(total), out, e.at((b.mul(column, d), LANES), (i, LANES)))


@operation(_product_twin)
def product(typingctx, groups, factor, out):
    """out (OUT) = columns of Lᵀ factor (IN), for L in rows in groups (IN), flat."""
    return signature_and_code((groups, factor, out), _emit_product, LANES)


def _pass_twin(
    squares: np.ndarray,
    edges: np.ndarray,
    last: int,
    active: np.ndarray,
    shift: np.ndarray,
    sums: np.ndarray,
) -> None:
    moving = active > 0.0
    d, x, y = np.maximum(squares[0] - shift, _TINY), np.ones(LANES), np.zeros(LANES)
    found = np.zeros((4, LANES))
    for i in range(last + 1):
        edge = edges[i].copy() if i < last else np.zeros(LANES)
        total = d + edge
        inverse = 1.0 / total
        squares[i] = np.where(moving, total, squares[i])
        if i == last:
            found[2:] = found[:2]
        share = x * inverse
        found[0] += share
        found[1] += y * inverse + share**2
        if i < last:
            ratio = squares[i + 1] * inverse
            edges[i] = np.where(moving, edge * ratio, edges[i])
            step = edge * ratio * inverse
            x, y = 1.0 + x * step, step * (y + 2.0 * x * share)
            d = np.maximum(d * ratio - shift, _TINY)
    sums[:] = np.where(moving, found, sums)


class _Recurrence:
    """The sums of 1 / λ and 1 / λ² while a pass goes along the diagonals.

    x and y are minus the first and second derivatives of d by the shift.
    """

    def __init__(self, e: Emitter) -> None:
        zero = e.constant(0.0)
        self.e = e
        self.x, self.y = e.variable(e.constant(1.0)), e.variable(zero)
        self.sums = e.variable(zero), e.variable(zero)

    def add(self, inverse: Vector) -> Vector:
        """Add the terms of a square, given as 1 / square; return x / square."""
        e, (first, second) = self.e, self.sums
        share = e.get(self.x) * inverse
        e.put(first, e.get(first) + share)
        e.put(second, e.multiply_add(share, share, e.get(second)))
        e.put(second, e.multiply_add(e.get(self.y), inverse, e.get(second)))
        return share

    def step(self, factor: Vector, share: Vector) -> None:
        """Go on to the next place."""
        e, x = self.e, self.e.get(self.x)
        change = e.multiply_add(e.constant(2.0) * x, share, e.get(self.y))
        e.put(self.y, factor * change)
        e.put(self.x, e.multiply_add(x, factor, e.constant(1.0)))


def _emit_pass(
    e: Emitter,
    squares: Array,
    edges: Array,
    last: ir.Value,
    active: Array,
    shift: Array,
    sums: Array,
) -> None:
    one, tiny = e.constant(1.0), e.constant(_TINY)
    moving, moved = (e.load(array, e.integer(0)) for array in (active, shift))

    def keep(value: Vector, array: Array, place: ir.Value) -> None:
        e.store(e.where_positive(moving, value, e.load(array, place)), array, place)

    recurrence = _Recurrence(e)
    d = e.variable((e.load(squares, e.integer(0)) - moved).above(tiny))
    with e.loop(0, last, 1) as i:
        here, after = e.at((i, LANES)), e.at((i, LANES), (e.integer(1), LANES))
        edge = e.load(edges, here)
        total = e.get(d) + edge
        inverse = one / total
        ratio = e.load(squares, after) * inverse
        recurrence.step(edge * ratio * inverse, recurrence.add(inverse))
        e.put(d, (e.get(d) * ratio - moved).above(tiny))
        keep(total, squares, here)
        keep(edge * ratio, edges, here)
    for row, total in enumerate(recurrence.sums):
        keep(e.get(total), sums, e.integer((2 + row) * LANES))
    recurrence.add(one / e.get(d))
    keep(e.get(d), squares, e.at((last, LANES)))
    for row, total in enumerate(recurrence.sums):
        keep(e.get(total), sums, e.integer(row * LANES))


@operation(_pass_twin)
def qd_pass(typingctx, squares, edges, last, active, shift, sums):
    """Take one shifted step of the qd algorithm on the first last + 1 places.

    squares and edges (IN, OUT) are squares of the two diagonals. sums (OUT, (4, LANES))
    gets the sums of 1 / λ and 1 / λ² of the result, then those without its last place.
    Lanes that are not active (IN) keep everything.
    """
    kinds = (squares, edges, last, active, shift, sums)
    return signature_and_code(kinds, _emit_pass, LANES)


@exact_kernel
def _mirror(groups, at, lengths, factor, out):
    """Make a vector its own mirror, by its first group; out = its squared lengths."""
    for t in range(LANES):
        x, length = groups[at * LANES + t], np.sqrt(lengths[t])
        out[t] = lengths[t]
        groups[at * LANES + t] = x + (length if x >= 0.0 else -length)
        half = lengths[t] + length * abs(x)
        factor[t] = 1.0 / half if half > 0.0 else 0.0


@exact_kernel
def bidiagonalise(groups, squares, edges, work):
    """Squares of the two diagonals (OUT, (d, LANES)) of d x d matrices (IN, OUT)."""
    d, lengths, factor = len(squares), work[0], work[1]
    for k in range(d):
        corner = k * d + k
        squared_lengths(groups, corner, 1, d - k, lengths)
        _mirror(groups, corner, lengths, factor, squares[k])
        for j in range(k + 1, d):
            reflect(groups, corner, j * d + k, 1, d - k, factor)
        if k < d - 1:
            beside = corner + d
            squared_lengths(groups, beside, d, d - 1 - k, lengths)
            _mirror(groups, beside, lengths, factor, edges[k])
            for i in range(k + 1, d):
                reflect(groups, beside, (k + 1) * d + i, d, d - 1 - k, factor)


@exact_kernel
def _settle(square, edge, moved, active):
    """Make lanes inactive (OUT) whose last edge may go; return how many are active.

    Without it squares change by at most edge + sqrt(edge * square).
    """
    left = 0.0
    for t in range(LANES):
        most = _EPS * (moved[t] + square[t])
        far = edge[t] > most + _TINY or edge[t] * square[t] > most * most
        active[t] = active[t] if far else 0.0
        left += active[t]
    return left


@exact_kernel
def _choose_shift(sums, count, active, moved, shift):
    """Shift (OUT) = lower bound of the smallest of `count` squares, added to moved."""
    for t in range(LANES):
        first, second = sums[0, t], sums[1, t]
        # A little more than the second sum, lest rounding make the bound too large.
        spread = count * second * (1.0 + 1e-15 * count) - first * first
        root = np.sqrt((count - 1.0) * spread) if spread > 0.0 else 0.0
        bound = count / (first + root)
        shift[t] = bound if active[t] > 0.0 and bound > 0.0 else 0.0
        moved[t] += shift[t]


@exact_kernel
def add_singular_values(squares, edges, work, norms):
    """norms (OUT, (LANES,)) = sums of the singular values of two diagonals (IN, OUT).

    NaN where an edge did not vanish. work (OUT) is (7, LANES).
    """
    sums, active, moved, shift = work[:4], work[4], work[5], work[6]
    norms[:] = moved[:] = 0.0
    sums[:] = np.inf  # no bound is known: no shift
    for last in range(len(squares) - 1, -1, -1):
        active[:] = 1.0 if last > 0 else 0.0
        for _ in range(_MAX_PASSES):
            if last == 0 or not _settle(squares[last], edges[last - 1], moved, active):
                break
            _choose_shift(sums, last + 1.0, active, moved, shift)
            qd_pass(squares, edges, last, active, shift, sums)
        for t in range(LANES):
            root = np.sqrt(moved[t] + squares[last, t])
            norms[t] += np.nan if active[t] > 0.0 else root
            for row in range(2):
                sums[row, t] = sums[2 + row, t]
                sums[2 + row, t] = np.inf
