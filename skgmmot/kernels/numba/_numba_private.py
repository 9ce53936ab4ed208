"""The parts of Numba that its documentation does not promise, all in one place.

Tried with Numba 0.61.2 and 0.68.1. Where a new version breaks one of them, its test in
tests/test_private_apis.py says which.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils


def array_parts(
    context: Any, builder: ir.IRBuilder, kind: types.Array, value: ir.Value
) -> tuple[ir.Value, list[ir.Value]]:
    """Return the pointer to the first entry of an array argument, and its shape."""
    array = context.make_array(kind)(context, builder, value)
    return array.data, cgutils.unpack_tuple(builder, array.shape, kind.ndim)


def has_wide_registers(context: Any) -> bool:
    """Whether code is made for processors with 32 registers of 64 bytes: AVX-512."""
    _, processor, features = context.codegen().magic_tuple()
    return processor == "x86-64-v4" or "+avx512vl" in features.split(",")


def llvm_function(module: ir.Module, kind: ir.FunctionType, name: str) -> ir.Function:
    """A function of LLVM's own, declared where the module does not know it yet."""
    return cgutils.get_or_insert_function(module, kind, name)


def stack_variable(builder: ir.IRBuilder, kind: ir.Type) -> ir.Value:
    """A place on the stack, made once at the entry of a function."""
    return cgutils.alloca_once(builder, kind)


@contextmanager
def counted_loop(
    builder: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: ir.Value
) -> Iterator[ir.Value]:
    """A loop whose index goes from start to below stop."""
    with cgutils.for_range_slice(builder, start, stop, step) as (index, _):
        yield index
