"""Where sums over rows are made. EM sees summed moments and nothing else of the data.

`blocks_of(X)` chooses by the type of the data; what it returns offers the sums that a
fit needs. Arrays in memory are one block, whose rows the kernels share among threads.
"""

import numpy as np

from skgmmot.kernels import Moments, kernels_for

_ONE_HOT_ENTRIES = 2**21  # entries of a block of responsibilities, 16 MiB


def add_moments(first, second):
    """Moments of two blocks together: they add up."""
    return Moments(*(a + b for a, b in zip(first, second, strict=True)))


class MemoryBlocks:
    """Rows in memory, with their weights (None: all 1)."""

    def __init__(self, x, sample_weight=None, n_threads=None):
        self.x = x
        self.sample_weight = sample_weight
        self.n_threads = n_threads
        self._kernels = kernels_for(x)
        self.mass = float(len(x) if sample_weight is None else sample_weight.sum())

    def moments(self, gaussians, deletion=False):
        """Moments under a mixture, about its means."""
        return self._kernels.moments(
            self.x, self.sample_weight, gaussians, deletion, self.n_threads
        )

    def given_moments(self, responsibilities, means, full):
        """Moments under given responsibilities (n, K), unweighted, about `means`."""
        return self._sum_given(lambda rows: responsibilities[rows], means, full)

    def nearest_moments(self, means, full):
        """Moments of the rows, each given to its nearest mean, about the means."""
        columns = np.arange(len(means))

        def one_hot(rows):
            labels, _ = self._kernels.nearest(self.x[rows], means, self.n_threads)
            return (labels[:, None] == columns).astype(np.float64)

        return self._sum_given(one_hot, means, full)

    def _sum_given(self, responsibilities_of, means, full):
        total = None
        step = max(1, _ONE_HOT_ENTRIES // len(means))
        for start in range(0, len(self.x), step):
            rows = slice(start, start + step)
            given = responsibilities_of(rows)
            if self.sample_weight is not None:
                given = given * self.sample_weight[rows, None]
            part = self._kernels.given_moments(
                self.x[rows], given, means, full, self.n_threads
            )
            total = part if total is None else add_moments(total, part)
        return total


def blocks_of(x, sample_weight=None, n_threads=None):
    """The sums of a data set, by the type of the data."""
    return MemoryBlocks(x, sample_weight, n_threads)
