"""The only door to rows: sums over them, samples of them, and what is asked of each.

Kinds of data are told apart here: arrays in memory, and rows that are read in parts.
`parts_of(X)` says which, by the type of the data, and `blocks_of(X)` returns what fits
and starts need of either.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skgmmot._blocks._dask import dask_parts, is_dask
from skgmmot._blocks._device import DeviceBlocks
from skgmmot._blocks._many import ManyBlocks
from skgmmot._blocks._memory import MemoryBlocks, add_moments
from skgmmot._blocks._parts import FLOATS, LARGEST, Part, Parts
from skgmmot._blocks._posteriors import Posteriors, Tilted, View
from skgmmot._blocks._sequence import in_sequence, sequence_of
from skgmmot.kernels import is_device_array

__all__ = [
    "FLOATS",
    "LARGEST",
    "Blocks",
    "DeviceBlocks",
    "ManyBlocks",
    "MemoryBlocks",
    "Part",
    "Parts",
    "Posteriors",
    "Tilted",
    "View",
    "add_moments",
    "blocks_of",
    "in_memory",
    "in_parts",
    "parts_of",
]

Blocks = MemoryBlocks | ManyBlocks


def in_parts(x: Any) -> bool:
    """Whether rows are read in parts; nothing is read to tell."""
    return isinstance(x, Parts) or is_dask(x) or in_sequence(x)


def parts_of(x: Any) -> tuple[Parts, Any]:
    """The parts of such rows, and what tells the number and names of features."""
    if isinstance(x, Parts):
        return x, np.empty((0, x.shape[1]), x.dtype)
    return dask_parts(x) if is_dask(x) else sequence_of(x)


def in_memory(values: Any) -> Any:
    """One array of rows, labels or the like that may be in parts; others as they are.

    For what needs all of them at once.
    """
    if is_dask(values):
        return values.compute()
    if callable(values) and in_sequence(values):
        values = list(values())
    parts: Any = values if isinstance(values, Sequence) else ()
    if len(parts) > 0 and getattr(parts[0], "ndim", 0) > 0:
        return np.concatenate([np.asarray(part) for part in parts])
    return values


def blocks_of(
    x: np.ndarray | Parts,
    sample_weight: Any = None,
    n_threads: int | None = None,
) -> Any:
    """The door to the rows of a data set, by the type of the data.

    Weights stand beside the rows: an array, or a column of the parts.
    """
    if isinstance(x, Parts):
        return ManyBlocks(x.changed(weights=sample_weight), n_threads)
    if is_device_array(x):
        return DeviceBlocks(x, sample_weight, n_threads)
    return MemoryBlocks(x, sample_weight, n_threads)
