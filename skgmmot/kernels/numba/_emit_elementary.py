"""Emitters of exponentials, of logarithms, and of what a deletion loses.

Arguments are marked IN or OUT as in `_tiles`; r is (K, TILE), what else has one entry
a row (TILE,). Twins have the same arguments and do the same by NumPy.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from skgmmot.kernels.numba._constants import LN2_HIGH, LN2_LOW, TILE, WIDE
from skgmmot.kernels.numba._emitter import (
    Array,
    Emitter,
    Vector,
    operation,
    signature_and_code,
)

_LOG2_E = 1.4426950408889634


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


def _exp_twin(r: np.ndarray, largest: np.ndarray, total: np.ndarray) -> None:
    gaps = r - largest
    lowest = -1022.5 if r.dtype == np.float64 else -126.5
    r[:] = np.where(gaps * _LOG2_E < lowest, 0.0, np.exp(gaps))
    total[:] = r.sum(axis=0, dtype=np.float64)


def _emit_exponential(e: Emitter, x: Vector) -> Vector:
    """Return exp(x): n log 2 + rest, where 2**n is put together from its bits.

    What is very low is cut where the bits of 2**n are all 0.
    """
    how = _EXP_SINGLE if e.single else _EXP_DOUBLE
    x = e.constant(how.lowest).above(x)
    shifted = e.multiply_add(x, e.constant(_LOG2_E), e.constant(how.shift))
    n = shifted - e.constant(how.shift)
    rest = e.multiply_add(n, e.constant(-LN2_HIGH), x)
    rest = e.multiply_add(n, e.constant(-LN2_LOW), rest)
    power = e.numbers(e.builder.shl(shifted.bits(), e.integers(how.mantissa)))
    return e.polynomial(how.polynomial, rest) * power


def _emit_exp_of_gaps(e: Emitter, r: Array, largest: Array, total: Array) -> None:
    wide = e.doubled()
    with e.loop(0, TILE, e.lanes) as t:
        top, sums = e.load(largest, t), wide.variable(wide.constant(0.0))
        with e.loop(0, r.shape[0], 1) as k:
            place = e.at((k, TILE), (t, 1))
            value = _emit_exponential(e, e.load(r, place) - top)
            e.store(value, r, place)
            wide.put(sums, wide.get(sums) + e.doubled(value))
        wide.store(wide.get(sums), total, t)


@operation(_exp_twin)
def exp_of_gaps(typingctx, r, largest, total):
    """r (IN, OUT) = exp(r - largest), total (OUT) = its sums; NaN stays NaN.

    In float32 where r is, the sums always in float64.
    """
    single = r.dtype == types.float32
    return signature_and_code(
        (r, largest, total), _emit_exp_of_gaps, WIDE, single=single
    )


def _log_twin(largest: np.ndarray, total: np.ndarray, out: np.ndarray) -> None:
    out[:] = largest + np.log(total)


def _emit_log_of_sums(e: Emitter, largest: Array, total: Array, out: Array) -> None:
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
        value = e.multiply_add(n, e.constant(LN2_LOW), value)
        value = e.multiply_add(n, e.constant(LN2_HIGH), value)
        e.store(e.load(largest, t) + value, out, t)


@operation(_log_twin)
def log_of_sums(typingctx, largest, total, out):
    """out (OUT) = largest + log(total), for totals of at least 1."""
    return signature_and_code((largest, total, out), _emit_log_of_sums, WIDE)


def _deletion_twin(
    r: np.ndarray,
    k: int,
    best: np.ndarray,
    others: np.ndarray,
    total: np.ndarray,
    weight: np.ndarray,
    sums: np.ndarray,
) -> None:
    shares = np.minimum(r[k] / total, 0.5)
    changes = np.where(best == k, others, np.log1p(-shares))
    sums[k] += weight @ changes


def _emit_deletion(
    e: Emitter,
    r: Array,
    k: ir.Value,
    best: Array,
    others: Array,
    total: Array,
    weight: Array,
    sums: Array,
) -> None:
    """Write log(1 - r / total) = -2 artanh(z), z = r / (2 total - r) <= 1/3."""
    change = e.variable(e.constant(0.0))
    with e.loop(0, TILE, e.lanes) as t:
        all_ = e.load(total, t)
        share = e.load(r, e.at((k, TILE), (t, 1))).below(all_ * e.constant(0.5))
        z = share / (all_ + all_ - share)
        gap = e.constant(-2.0) * z * e.polynomial(_ARTANH_THIRD, z * z)
        gap = e.where_equal(best, t, k, e.load(others, t), gap)
        e.put(change, e.multiply_add(e.load(weight, t), gap, e.get(change)))
    e.add_up([e.get(change)], sums, [k])


@operation(_deletion_twin)
def add_deletion(typingctx, r, k, best, others, total, weight, sums):
    """sums[k] (IN, OUT) += sum of weight * log(1 - r[k] / total).

    Where k is the best of a row, `others` holds the logarithm.
    """
    kinds = (r, k, best, others, total, weight, sums)
    return signature_and_code(kinds, _emit_deletion, WIDE // 2)
