"""How kernels are compiled: one place for Numba's settings, and the exponential."""

import hashlib
import math
import os
import struct
from contextlib import suppress
from pathlib import Path

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

# The flags that leave NaN and infinity true, as log-sum-exp needs (no nnan, no ninf).
_SUMS = {"nsz", "arcp", "contract", "afn", "reassoc"}
# No reassociation: the exponential splits numbers by adding and subtracting a
# constant, which an optimiser that is free to reassociate would fold away.
_EXACT = {"contract"}


def _stamp():
    """A digest of the kernels' sources.

    Numba's cache looks at the file of a function alone, not at the files of what it
    calls: the digest in its name makes it look at all of them.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class _Cache(FunctionCache):
    """Numba's cache on disk, for which a damaged or full folder is no error."""

    def load_overload(self, sig, target_context):
        """The compiled function, or None where there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            with suppress(Exception):
                self.flush()  # an empty index in place of the damaged one
            return None

    def save_overload(self, sig, data):
        """Save, or let the next process compile again."""
        with suppress(Exception):
            super().save_overload(sig, data)


def _compiled(fastmath):
    cache = os.environ.get("SKGMMOT_CACHE", "1") != "0"
    stamp = _stamp()

    def decorate(function):
        settings = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
        function.__qualname__ += f"_{stamp}"
        compiled = numba.njit(**settings)(function)
        if cache and not numba.config.DISABLE_JIT:
            # RuntimeError: there is no folder where a cache can be written
            with suppress(RuntimeError):
                compiled._cache = _Cache(function)
        return compiled

    return decorate


kernel = _compiled(_SUMS)
exact_kernel = _compiled(_EXACT)


@intrinsic
def _float_bits(typingctx, value):
    """Reinterpret the bits of a float64 as int64 (a register move, no conversion)."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def _bits_float(typingctx, bits):
    """Reinterpret the bits of an int64 as float64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


if numba.config.DISABLE_JIT:  # the same two functions for the interpreter

    def _float_bits(value):
        return struct.unpack("<q", struct.pack("<d", value))[0]

    def _bits_float(bits):
        bits &= 0xFFFFFFFFFFFFFFFF
        return struct.unpack("<d", struct.pack("<Q", bits))[0]


_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93145751953125e-1  # 20 bits: its multiples below 2**31 are exact
_LN2_LOW = 1.42860682030941723212e-6
_SHIFT = 6755399441055744.0 + 1023.0  # 1.5 * 2**52 plus the exponent's bias
_LOWEST = -708.0  # exp of less is below the smallest normal number: taken as 0

_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12 = (
    1.0 / math.factorial(i) for i in range(2, 13)
)


@exact_kernel
def exp_nonpositive(x):
    """exp(x) for x <= 0 as straight-line arithmetic, which compilers vectorise.

    x = n log 2 + r with |r| <= log(2) / 2; the Taylor polynomial of degree 12 leaves
    1.7e-16 relative; 2**n is put together from its bits. NaN stays NaN.
    """
    inside = x if x > _LOWEST else _LOWEST
    n = np.rint(inside * _LOG2_E)
    r = (inside - n * _LN2_HIGH) - n * _LN2_LOW
    p = _C11 + r * _C12
    p = _C10 + r * p
    p = _C9 + r * p
    p = _C8 + r * p
    p = _C7 + r * p
    p = _C6 + r * p
    p = _C5 + r * p
    p = _C4 + r * p
    p = _C3 + r * p
    p = _C2 + r * p
    p = 1.0 + r * (1.0 + r * p)
    power = _bits_float(_float_bits(n + _SHIFT) << 52)
    value = p * power if x >= _LOWEST else 0.0
    return value if x == x else x


@exact_kernel
def log1p_negative(r):
    """log(1 - r) for 0 <= r <= 1/2 as straight-line arithmetic.

    log(1 - r) = -2 artanh(z) with z = r / (2 - r) <= 1/3; sixteen terms of the series
    leave 2e-17 relative.
    """
    z = r / (2.0 - r)
    s = z * z
    p = 1.0 / 31.0
    for odd in (29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1):
        p = 1.0 / odd + s * p
    return -2.0 * z * p
