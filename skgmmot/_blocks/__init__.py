"""The only door to rows: sums over them, samples of them, and what is asked of each.

`blocks_of(X)` chooses by the type of the data; what it returns offers all that fits,
starts and predictions need.
"""

import numpy as np

from skgmmot._blocks._memory import MemoryBlocks, add_moments

__all__ = ["MemoryBlocks", "add_moments", "blocks_of"]


def blocks_of(
    x: np.ndarray,
    sample_weight: np.ndarray | None = None,
    n_threads: int | None = None,
) -> MemoryBlocks:
    """The door to the rows of a data set, by the type of the data."""
    return MemoryBlocks(x, sample_weight, n_threads)
