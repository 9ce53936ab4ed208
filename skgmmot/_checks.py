"""Checks of single arguments, whose errors name the argument and what it was."""

from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np


@contextmanager
def naming(name, expected):
    """Let errors of a conversion say which argument it was, and what was expected."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if name in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: expected {expected}. {error}") from error


def is_real(value, low=-np.inf, high=np.inf):
    """Whether a value is a number from low to high, both finite or not included."""
    if not isinstance(value, Real):
        return False
    return bool(low <= value <= high and np.isfinite(value))


def is_integer(value, low):
    """Whether a value is an integer, at least low."""
    return isinstance(value, Integral) and value >= low


def check_real(value, name, low=0.0):
    """A finite number from low on, as a float."""
    if not is_real(value, low):
        raise ValueError(
            f"{name} must be a finite number, at least {low:g}; got {value!r}."
        )
    return float(value)


def check_integer(value, name, low=0):
    """An integer from low on."""
    if not is_integer(value, low):
        raise ValueError(f"{name} must be an integer, at least {low}; got {value!r}.")
    return int(value)


def real_array(values, name):
    """Real numbers as a float64 array; NaN and infinity are left to the caller."""
    with naming(name, "an array of real numbers"):
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} must be real numbers; got type {array.dtype}.")
        return array.astype(np.float64)
