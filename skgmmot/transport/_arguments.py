"""Checks of what the transport programmes are given."""

from collections.abc import Iterable
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from skgmmot._checks import check_real, message, warn_caller

# Below this part of the largest cost the entropy changes no plan that rounding leaves.
_SMALLEST_REG = 1e-6

Penalty = float | Iterable[float | None] | None


def checked_arrays(
    costs: ArrayLike, a: ArrayLike, b: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, type]:
    """Return costs and weights in float64, and the type of the result."""
    costs = np.asarray(costs)
    dtype = np.float32 if costs.dtype == np.float32 else np.float64
    costs, a, b = (np.asarray(x, dtype=np.float64) for x in (costs, a, b))
    if costs.ndim != 2 or a.shape != costs.shape[:1] or b.shape != costs.shape[1:]:
        got = f"{costs.shape}, {a.shape} and {b.shape}"
        expected = "shapes (K0, K1), (K0,) and (K1,)"
        raise ValueError(message("costs, a and b", expected, got))
    if not np.isfinite(costs).all():
        raise ValueError(message("costs", "finite numbers", "NaN or infinity"))
    for side, weights in (("a", a), ("b", b)):
        if not (weights.min(initial=0.0) >= 0.0 and 0.0 < weights.sum() < np.inf):
            _refuse_weights(side, weights)
    return costs, a, b, dtype


def _refuse_weights(side: str, weights: np.ndarray) -> None:
    """Say what is wrong with weights; those whose sum overflows pass."""
    if not (np.isfinite(weights).all() and (weights >= 0.0).all()):
        expected = "weights that are finite and not negative"
        raise ValueError(message(side, expected, weights))
    if not weights.any():
        raise ValueError(message(side, "a weight above 0", "only zeros"))


def checked_slopes(reg_m: Penalty) -> tuple[float, float]:
    """Return 1 / reg_m for both sides, 0 for a balanced one."""
    pair = tuple(reg_m) if isinstance(reg_m, Iterable) else (reg_m, reg_m)
    if len(pair) != 2:
        raise ValueError(message("reg_m", "None, a number or a pair", repr(reg_m)))
    if not all(rho is None or (isinstance(rho, Real) and rho > 0.0) for rho in pair):
        expected = "positive numbers, or None for balanced marginals"
        raise ValueError(message("reg_m", expected, repr(reg_m)))
    first, last = (0.0 if side is None else 1.0 / float(side) for side in pair)
    return first, last


def checked_reg(reg: float, costs: np.ndarray, warn: bool) -> float:
    """Return reg, or 0 with a warning where it is too small to be resolved."""
    reg = check_real(reg, "reg")
    if reg == 0.0:
        return reg
    largest = np.abs(costs).max()
    if 0.0 < reg < _SMALLEST_REG * largest:
        if warn:
            warn_caller(
                f"reg={reg:.3g} is below 1e-6 of the largest cost ({largest:.3g}): the "
                "plan is computed without entropy. Pass reg=0 to do so silently."
            )
        return 0.0
    return reg


def same_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scale b to the sum of a; refuse sums that differ by more than rounding."""
    total_a, total_b = a.sum(), b.sum()
    if abs(total_a - total_b) > 2e-3 * total_a:
        got = f"{total_a:.9g} and {total_b:.9g}"
        mend = "normalise them, or pass reg_m for unequal masses"
        raise ValueError(message("a and b", "weights of the same sum", got, mend))
    return b * (total_a / total_b)
