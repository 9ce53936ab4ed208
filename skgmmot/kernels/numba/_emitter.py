"""Vectors in LLVM's own words, for the loops that a compiler does not vectorise well.

An emitter writes the instructions of one operation on a tile, several rows in a
register; `Emitter` has the vocabulary. Where Numba does not compile, the NumPy twin of
an operation stands in for it, and tests hold both together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from skgmmot.kernels.numba import _numba_private as private

# What an intrinsic returns to Numba: its signature, and a generator of its code.
Intrinsic: TypeAlias = tuple[Any, Callable]

_DOUBLE, _SINGLE, _INT = ir.DoubleType(), ir.FloatType(), ir.IntType(64)


class Vector:
    """A value of several lanes, with the arithmetic of formulas."""

    def __init__(self, emitter: Emitter, value: ir.Value) -> None:
        self.emitter, self.value = emitter, value

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fadd(self.value, other.value))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fsub(self.value, other.value))

    def less(self, other: Vector) -> Vector:
        """The difference, kept out of any reordering of sums.

        Flags of its own keep Numba from giving it those of the function it is part of.
        """
        value = self.emitter.builder.fsub(self.value, other.value, flags=("nsz",))
        return Vector(self.emitter, value)

    def __mul__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fmul(self.value, other.value))

    def __truediv__(self, other: Vector) -> Vector:
        return Vector(self.emitter, self.emitter.builder.fdiv(self.value, other.value))

    def below(self, other: Vector) -> Vector:
        """The smaller of the two, `other` where either is NaN."""
        return self._chosen("<", other)

    def above(self, other: Vector) -> Vector:
        """The larger of the two, `other` where either is NaN."""
        return self._chosen(">", other)

    def _chosen(self, sign: str, other: Vector) -> Vector:
        builder = self.emitter.builder
        first = builder.fcmp_ordered(sign, self.value, other.value)
        return Vector(self.emitter, builder.select(first, self.value, other.value))

    def bits(self) -> ir.Value:
        """The lanes as integers, an LLVM value."""
        return self.emitter.builder.bitcast(self.value, self.emitter.bit_kind)


def less_all(vector: Vector, parts: Sequence[Vector]) -> Vector:
    """A vector less all parts of a number."""
    for part in parts:
        vector = vector.less(part)
    return vector


class Array:
    """An array argument: its first entry and its shape."""

    def __init__(
        self, context: Any, builder: ir.IRBuilder, kind: types.Array, value: ir.Value
    ) -> None:
        parts = private.array_parts(context, builder, kind, value)
        self.pointer, self.shape = parts
        self.single = kind.dtype == types.float32


class Emitter:
    """Writes vector instructions; `lanes` is the width.

    Lanes are float64, or float32 where `single`; entries of arrays become that.
    The processor has 32 registers of 64 bytes where `wide`, else 16 of 32.
    """

    def __init__(
        self,
        builder: ir.IRBuilder,
        lanes: int,
        single: bool = False,
        wide: bool = False,
    ) -> None:
        self.builder, self.lanes, self.single = builder, lanes, single
        self.wide = wide
        self.entry = _SINGLE if single else _DOUBLE
        self.kind = ir.VectorType(self.entry, lanes)
        self.bit_kind = ir.VectorType(ir.IntType(32) if single else _INT, lanes)

    def of(self, lanes: int) -> Emitter:
        """The same with another width."""
        return Emitter(self.builder, lanes, self.single, self.wide)

    @property
    def per_register(self) -> int:
        """Lanes of a register."""
        return (64 if self.wide else 32) // (4 if self.single else 8)

    def doubled(self, vector: Vector | None = None) -> Any:
        """The same with lanes of float64, or a vector of such lanes."""
        wide = Emitter(self.builder, self.lanes)
        return wide if vector is None else Vector(wide, wide._as_entries(vector.value))

    def _as_entries(self, value: ir.Value, kind: ir.Type | None = None) -> ir.Value:
        """A scalar or vector of floats as what this emitter's lanes are, or `kind`."""
        kind = kind or (
            self.kind if isinstance(value.type, ir.VectorType) else self.entry
        )
        if value.type == kind:
            return value
        narrow = getattr(kind, "element", kind) == _SINGLE
        change = self.builder.fptrunc if narrow else self.builder.fpext
        return change(value, kind)

    def integer(self, number: int) -> ir.Constant:
        """A constant index."""
        return ir.Constant(_INT, number)

    def at(self, *terms: tuple) -> ir.Value:
        """Sum of products of indices: pairs (index, factor)."""
        total = self.integer(0)
        for index, factor in terms:
            factor = self.integer(factor) if isinstance(factor, int) else factor
            total = self.builder.add(total, self.builder.mul(index, factor))
        return total

    def constant(self, number: float) -> Vector:
        """The same number in all lanes."""
        return Vector(self, ir.Constant(self.kind, [float(number)] * self.lanes))

    def integers(self, number: int) -> ir.Constant:
        """The same integer in all lanes, an LLVM value."""
        return ir.Constant(self.bit_kind, [number] * self.lanes)

    def numbers(self, bits: ir.Value) -> Vector:
        """Integers read as the bits of numbers."""
        return Vector(self, self.builder.bitcast(bits, self.kind))

    def scalar(self, array: Array, index: ir.Value) -> ir.Value:
        """One entry."""
        value = self.builder.load(self.builder.gep(array.pointer, [index]))
        return self._as_entries(value)

    def parts(self, array: Array, index: ir.Value) -> list[Vector]:
        """Entries whose sum is one entry of an array of float64, in all lanes.

        Taken off one by one they leave of a near number what float64 would leave.
        """
        value = self.builder.load(self.builder.gep(array.pointer, [index]))
        return [self.spread(part) for part in self.split(value)]

    def split(self, value: ir.Value) -> list[ir.Value]:
        """A float64 as one such, or as a float32 and what that leaves."""
        if not self.single:
            return [value]
        high = self._as_entries(value)
        rest = self.builder.fsub(value, self.builder.fpext(high, _DOUBLE))
        return [high, self._as_entries(rest)]

    def spread(self, value: ir.Value) -> Vector:
        """A scalar in all lanes."""
        start = ir.Constant(self.kind, ir.Undefined)
        first = self.builder.insert_element(start, value, ir.Constant(_INT, 0))
        order = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return Vector(self, self.builder.shuffle_vector(first, start, order))

    def load(self, array: Array, index: ir.Value) -> Vector:
        """As many entries from index on as there are lanes."""
        entry = _SINGLE if array.single else _DOUBLE
        place = self._place(array, index, entry)
        value = self.builder.load(place, align=4 if array.single else 8)
        return Vector(self, self._as_entries(value))

    def store(self, vector: Vector, array: Array, index: ir.Value) -> None:
        """Write all lanes from index on."""
        entry = _SINGLE if array.single else _DOUBLE
        value = self._as_entries(vector.value, ir.VectorType(entry, self.lanes))
        place = self._place(array, index, entry)
        self.builder.store(value, place, align=4 if array.single else 8)

    def _place(self, array: Array, index: ir.Value, entry: ir.Type) -> ir.Value:
        pointer = self.builder.gep(array.pointer, [index])
        kind = ir.VectorType(entry, self.lanes)
        return self.builder.bitcast(pointer, kind.as_pointer())

    def multiply_add(self, a: Vector, b: Vector, c: Vector) -> Vector:
        """Return a b + c, in one instruction where there is one."""
        name = f"llvm.fmuladd.v{self.lanes}f{32 if self.single else 64}"
        kind = ir.FunctionType(self.kind, [self.kind] * 3)
        function = private.llvm_function(self.builder.module, kind, name)
        return Vector(self, self.builder.call(function, [a.value, b.value, c.value]))

    def where_positive(self, flags: Vector, first: Vector, second: Vector) -> Vector:
        """Lanes of `first` where those of `flags` are positive."""
        zero = self.constant(0.0)
        chosen = self.builder.fcmp_ordered(">", flags.value, zero.value)
        return Vector(self, self.builder.select(chosen, first.value, second.value))

    def where_equal(
        self,
        array: Array,
        index: ir.Value,
        number: ir.Value,
        first: Vector,
        second: Vector,
    ) -> Vector:
        """Lanes of `first` where the integers from index on equal a number."""
        kind = ir.VectorType(_INT, self.lanes)
        place = self._place(array, index, _INT)
        found = self.builder.load(place, align=8)
        start = self.builder.insert_element(
            ir.Constant(kind, ir.Undefined), number, ir.Constant(_INT, 0)
        )
        order = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        wanted = self.builder.shuffle_vector(start, start, order)
        equal = self.builder.icmp_signed("==", found, wanted)
        return Vector(self, self.builder.select(equal, first.value, second.value))

    def add_up(
        self, vectors: Sequence[Vector], array: Array, indices: Sequence[ir.Value]
    ) -> None:
        """Add the sums of all lanes of each vector to one entry of float64."""
        for n in range(0, len(vectors), 4):
            sums = self._sums(vectors[n : n + 4])
            for lane, index in enumerate(indices[n : n + 4]):
                place = self.builder.gep(array.pointer, [index])
                part = self.builder.extract_element(sums, ir.Constant(_INT, lane))
                total = self.builder.load(place)
                self.builder.store(self.builder.fadd(total, part), place)

    def add_up_row(
        self, vectors: Sequence[Vector], array: Array, index: ir.Value
    ) -> None:
        """Add the sums of up to four vectors to four entries of float64, a 0 to others.

        Sums of four vectors at once take as many instructions as of two by themselves.
        """
        wide = Emitter(self.builder, 4)
        total = wide.load(array, index) + Vector(wide, self._sums(vectors))
        wide.store(total, array, index)

    def _sums(self, vectors: Sequence[Vector]) -> ir.Value:
        """Four lanes of float64: the sums of all lanes of up to four vectors."""
        parts = [self._folded(vector.value) for vector in vectors]
        few = self.of(4)
        parts += [few.constant(0.0).value] * (4 - len(parts))
        even, odd = [0, 4, 2, 6], [1, 5, 3, 7]
        first = self._across(parts[0], parts[1], even, odd)
        second = self._across(parts[2], parts[3], even, odd)
        sums = self._across(first, second, [0, 1, 4, 5], [2, 3, 6, 7])
        return self._as_entries(sums, ir.VectorType(_DOUBLE, 4))

    def _folded(self, value: ir.Value) -> ir.Value:
        """Four lanes with the sum of all: halves are added to halves."""
        lanes = value.type.count
        while lanes > 4:
            lanes //= 2
            value = self._across(
                value, value, list(range(lanes)), list(range(lanes, 2 * lanes))
            )
        return value

    def _across(
        self, first: ir.Value, second: ir.Value, left: list[int], right: list[int]
    ) -> ir.Value:
        """The sum of two choices of lanes of two vectors."""
        kind = ir.VectorType(ir.IntType(32), len(left))
        return self.builder.fadd(
            *(
                self.builder.shuffle_vector(first, second, ir.Constant(kind, order))
                for order in (left, right)
            )
        )

    def polynomial(self, coefficients: Sequence[float], x: Vector) -> Vector:
        """Horner's scheme, from the highest coefficient down."""
        value = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.multiply_add(value, x, self.constant(coefficient))
        return value

    def variable(self, vector: Vector) -> ir.Value:
        """A place for a vector that changes in a loop; it ends up in a register."""
        place = private.stack_variable(self.builder, self.kind)
        self.builder.store(vector.value, place)
        return place

    def get(self, place: ir.Value) -> Vector:
        """Value of a variable."""
        return Vector(self, self.builder.load(place))

    def put(self, place: ir.Value, vector: Vector) -> None:
        """Change a variable."""
        self.builder.store(vector.value, place)

    @contextmanager
    def loop(
        self, start: int | ir.Value, stop: int | ir.Value, step: int | ir.Value
    ) -> Iterator[ir.Value]:
        """Count from start to stop."""
        start, stop, step = (
            self.integer(n) if isinstance(n, int) else n for n in (start, stop, step)
        )
        with private.counted_loop(self.builder, start, stop, step) as index:
            yield index


def signature_and_code(
    kinds: Sequence[types.Type],
    emit: Callable,
    lanes: int,
    returns: types.Type = types.void,
    single: bool = False,
) -> Intrinsic:
    """What an intrinsic returns: its signature, and a generator of its code."""

    def generate(
        context: Any, builder: ir.IRBuilder, signature: Any, values: Sequence[ir.Value]
    ) -> Any:
        arguments = [
            Array(context, builder, kind, value)
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, values, strict=True)
        ]
        wide = private.has_wide_registers(context)
        result = emit(Emitter(builder, lanes, single, wide), *arguments)
        return context.get_dummy_value() if result is None else result

    # Indices are int64 whatever integer comes.
    kinds = [types.int64 if isinstance(kind, types.Integer) else kind for kind in kinds]
    return returns(*kinds), generate


def operation(twin: Callable) -> Callable:
    """Decorate an intrinsic: without compilation its NumPy twin is called."""

    def decorate(define: Callable) -> Any:
        if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
            return np.errstate(all="ignore")(twin)  # as compiled code does
        compiled: Any = intrinsic(define)
        compiled.twin = twin
        return compiled

    return decorate
