"""Work that grows with the number of samples, in two twins with the same signatures.

`_namespace` is the readable one, in formulas on whole arrays; it also is what works on
arrays of CuPy, torch and others. `numba` is the same work compiled for the CPU.
"""

import os
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from skgmmot.kernels._arrays import (
    chunks,
    float_type,
    is_device_array,
    kind_of,
    to_device,
    to_host,
)

__all__ = [
    "Gaussians",
    "Moments",
    "chunks",
    "float_type",
    "is_device_array",
    "kernels_for",
    "kind_of",
    "to_device",
    "to_host",
]

_READABLE = "skgmmot.kernels._namespace"
_MODULES = {"numba": "skgmmot.kernels.numba", "numpy": _READABLE}


class Gaussians(NamedTuple):
    """What a kernel needs to know of a mixture; float64 throughout."""

    offsets: np.ndarray  # (K,) log w_k + log det W_k - d/2 log(2 pi)
    means: np.ndarray  # (K, d)
    whiteners: np.ndarray  # (K, d, d) lower triangular W, W^T W = precision; or (K, d)


class Moments(NamedTuple):
    """Sums over rows, about the current means. Those of two blocks add up."""

    log_likelihood: float  # sum_i w_i log p(x_i)
    mass: float  # sum_i w_i
    counts: np.ndarray  # (K,) sum_i w_i r_ik
    sums: np.ndarray  # (K, d) sum_i w_i r_ik (x_i - m_k)
    seconds: np.ndarray  # (K, d, d) or (K, d) sum_i w_i r_ik (x_i - m_k)^2
    deletion: np.ndarray  # (K,) sum_i w_i log(1 - r_ik), or zeros


def read_only(array: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
    """A C-ordered view that cannot be written: one compiled signature for all kinds."""
    view = np.ascontiguousarray(array, dtype=dtype).view()
    view.flags.writeable = False
    return view


def plain(array: ArrayLike, dtype: DTypeLike = np.float64) -> np.ndarray:
    """A small array in C order whose flags are those of a new one: one signature.

    It is copied where it is not like that; unlike `read_only`, which costs more time.
    """
    array = np.ascontiguousarray(array, dtype=dtype)
    return array if array.flags.writeable else array.copy()


def is_compiled(kernels: ModuleType) -> bool:
    """Whether kernels are the compiled ones."""
    return kernels.__name__ == _MODULES["numba"]


def kernels_for(array: Any) -> ModuleType:
    """The module whose arithmetic fits an array, by its type.

    For NumPy arrays compiled kernels, or their readable twin where the environment
    variable ``SKGMMOT_KERNELS`` is "numpy"; that twin for all other arrays.
    """
    if is_device_array(array):
        return import_module(_READABLE)
    if not isinstance(array, np.ndarray):
        raise TypeError(
            "expected a NumPy array, or one of CuPy, torch or array-api-strict, got "
            f"{type(array).__name__}; convert it with numpy.asarray first"
        )
    wanted = os.environ.get("SKGMMOT_KERNELS", "numba")
    if wanted not in _MODULES:
        raise ValueError(
            f"SKGMMOT_KERNELS: expected 'numba' or 'numpy', got {wanted!r}; "
            "unset it for the compiled kernels"
        )
    return import_module(_MODULES[wanted])
