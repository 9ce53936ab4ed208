"""Arrays of other libraries: their kinds, chunks of them, and the doors to the host.

The kinds are NumPy, CuPy, torch and array-api-strict; more take an entry of `_KINDS`.
What a mixture is goes to the device by `to_device`; sums over rows come back by
`to_host`, and by nothing else, so that what is brought over can be counted.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import (
    array_namespace,
    device,
    is_cupy_array,
    is_numpy_array,
    is_torch_array,
)

Array: TypeAlias = Any

_NEAR_ENTRIES = 2**17  # numbers of a chunk that fit a core's cache: 1 MiB
_FAR_ENTRIES = 2**25  # numbers of a chunk that keep a device busy: 256 MiB
_PART = 32  # of the free memory of a device, for one array of a chunk


def _is_strict_array(array: Any) -> bool:
    return type(array).__module__.startswith("array_api_strict")


_KINDS = (
    ("NumPy", is_numpy_array),
    ("torch", is_torch_array),
    ("CuPy", is_cupy_array),
    ("array-api-strict", _is_strict_array),
)


def kind_of(array: Any) -> str | None:
    """The library that an array is of, None if it is of none that is known here."""
    for name, is_of_kind in _KINDS:
        if is_of_kind(array):
            return name
    return None


def is_device_array(array: Any) -> bool:
    """Whether an array is of a library other than NumPy, wherever it is stored."""
    return kind_of(array) not in (None, "NumPy")


def float_type(x: Array) -> np.dtype:
    """The floating type of an array, float32 or float64, as NumPy has it."""
    single = x.dtype == array_namespace(x).float32
    return np.dtype(np.float32 if single else np.float64)


def to_device(array: Any, like: Array, dtype: Any = None) -> Array:
    """A host array where `like` is, and of its kind."""
    xp = array_namespace(like)
    if isinstance(array, np.ndarray):  # torch takes no others
        array = np.require(array, requirements=["C", "W"])
    return xp.asarray(array, dtype=dtype, device=device(like))


def to_host(array: Array) -> np.ndarray:
    """A NumPy array of what is in an array anywhere. Waits for the device."""
    if is_numpy_array(array):
        return array
    if is_torch_array(array):
        return array.detach().cpu().numpy()
    if is_cupy_array(array):
        return array.get()
    main = array_namespace(array).Device("CPU_DEVICE")
    return np.asarray(array.to_device(main))


def chunks(
    x: Array, entries_per_row: int, most_rows: int | None = None
) -> Iterator[slice]:
    """Slices that cover all rows; one that is empty where there are none."""
    n_rows = x.shape[0]
    step = max(1, _entries(x) // max(1, entries_per_row))
    step = step if most_rows is None else min(step, most_rows)
    for start in range(0, max(n_rows, 1), step):
        yield slice(start, min(start + step, n_rows))


def _entries(x: Array) -> int:
    """How many numbers the largest array of a chunk may have."""
    free = _free_bytes(x)
    if free is None:
        return _NEAR_ENTRIES * _cores(x)
    return max(_NEAR_ENTRIES, min(_FAR_ENTRIES, free // (8 * _PART)))


def _free_bytes(x: Array) -> int | None:
    """Free memory of the device of an array, None on the CPU."""
    if is_cupy_array(x):
        import cupy

        with x.device:
            pool = cupy.get_default_memory_pool()
            return int(cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes())
    if is_torch_array(x) and x.device.type == "cuda":
        import torch

        cached = torch.cuda.memory_reserved(x.device)
        cached -= torch.cuda.memory_allocated(x.device)
        return int(torch.cuda.mem_get_info(x.device)[0] + cached)
    return None


def _cores(x: Array) -> int:
    """Cores that share the work on a chunk: torch has threads of its own."""
    if not is_torch_array(x):
        return 1
    import torch

    return torch.get_num_threads()
