"""Checks of arguments, and the one form of the errors that refuse them.

Every error says which argument it is about, what was expected and what was given, and
where that is not plain what to do: "name: expected ..., got ...; do ...". Errors that
scikit-learn's public tests match keep scikit-learn's wording.
"""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np


def message(name: str, expected: str, got: object, mend: str = "") -> str:
    """Return the words of an error: "name: expected ..., got ...; mend"."""
    return f"{name}: expected {expected}, got {got}" + (f"; {mend}" if mend else "")


# Modules through which a call goes on its way from the user's line to a warning.
_ON_THE_WAY = {"skgmmot", "sklearn", "skada", "contextlib", "joblib"}


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called the package, however deep the fault was found."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").split(".")[0] not in _ON_THE_WAY:
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


@contextmanager
def naming(name: str, expected: str) -> Iterator[None]:
    """Let errors of a conversion say which argument it was, and what was expected."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if name in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(message(name, expected, "something else", str(error))) from error


def is_real(value: object, low: float = -np.inf, high: float = np.inf) -> bool:
    """Whether a value is a finite number from low to high, both included."""
    if not isinstance(value, Real):
        return False
    number = float(value)
    return bool(low <= number <= high and np.isfinite(number))


def is_integer(value: object, low: int) -> bool:
    """Whether a value is an integer, at least low; True and False are none."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        return False
    return int(value) >= low


def check_real(
    value: Any, name: str, low: float = 0.0, high: float = np.inf, mend: str = ""
) -> float:
    """Return a finite number from low to high as a float."""
    if not is_real(value, low, high):
        expected = f"a finite number, at least {low:g}"
        if high < np.inf:
            expected = f"a number between {low:g} and {high:g}"
        raise ValueError(message(name, expected, repr(value), mend))
    return float(value)


def check_integer(value: Any, name: str, low: int = 0) -> int:
    """Return an integer from low on."""
    if not is_integer(value, low):
        expected = f"an integer, at least {low}"
        raise ValueError(message(name, expected, repr(value)))
    return int(value)


def check_choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return one of the words that are allowed."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        words = ", ".join(map(repr, choices))
        raise ValueError(message(name, f"one of {words}", repr(value)))
    return value


def check_shape(
    array: np.ndarray, name: str, shape: tuple[int, ...], mend: str = ""
) -> np.ndarray:
    """Return an array of the given shape."""
    if array.shape != shape:
        raise ValueError(message(name, f"shape {shape}", array.shape, mend))
    return array


def check_size(
    array: np.ndarray, name: str, largest: float, reason: str, mend: str
) -> np.ndarray:
    """Return an array without values beyond what computations can bear."""
    size = max(float(array.max()), -float(array.min())) if array.size else 0.0
    if size > largest:
        expected = f"values within {largest:g}, {reason}"
        raise ValueError(message(name, expected, f"one of size {size:.3g}", mend))
    return array


def real_array(values: Any, name: str) -> np.ndarray:
    """Return real numbers as a float64 array; NaN and infinity are left to callers."""
    expected = "an array of real numbers"
    with naming(name, expected):
        array = np.asarray(values)
        if array.dtype.kind not in "fiub":
            raise TypeError(message(name, expected, f"type {array.dtype}"))
        return array.astype(np.float64)
