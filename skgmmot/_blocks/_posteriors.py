"""Posteriors that are asked for again and again, in slices: few are kept, many are not.

Shares of components are solved for in every round of a classifier's fit, by some passes
over the posteriors of all rows. Where (n, K) of them would take much memory, each pass
computes them anew.
"""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from skgmmot._blocks._memory import MemoryBlocks, limited_slices
from skgmmot._blocks._row_arrays import like_rows_of
from skgmmot.kernels import Gaussians, to_host

_MOST_ENTRIES = 2**22  # of posteriors that are kept, 32 MiB


class View(NamedTuple):
    """Rows x seen as (x - center) U, U = factor, in float64; None: as they are."""

    blocks: MemoryBlocks
    center: np.ndarray | None = None  # (d,)
    factor: np.ndarray | None = None  # (d, q)

    def of(self, rows: Any) -> MemoryBlocks:
        """What is seen of a slice of the rows, or of those with some numbers."""
        part = self.blocks.part(rows)
        if self.center is None or self.factor is None:
            return part
        return part.whitened(self.center, self.factor)

    def slices(self, n_components: int) -> Any:
        """Slices whose posteriors are few enough to be at hand at once."""
        width = max(n_components, self.blocks.n_features)
        return limited_slices(self.blocks.rows(), width)

    def log_likelihood(self, gaussians: Gaussians) -> tuple[float, float]:
        """Σ w log p, and Σ w."""
        parts = [
            self.of(rows).log_likelihood(gaussians)
            for rows in self.slices(len(gaussians.means))
        ]
        return sum(value for value, _ in parts), self.blocks.mass


class Posteriors:
    """Posteriors of the components for what is seen of rows, (n_rows, K).

    Indexed by a slice, or by numbers of rows.
    """

    def __init__(self, view: View, gaussians: Gaussians) -> None:
        self._view, self._gaussians, self._kept = view, gaussians, None
        n_rows, n_components = view.blocks.n_rows, len(gaussians.means)
        if n_rows * n_components > _MOST_ENTRIES:
            return
        x = view.blocks.rows()
        xp = array_namespace(x)
        kept = xp.empty((n_rows, n_components), dtype=xp.float64, device=device(x))
        for rows in view.slices(n_components):
            kept[rows, :] = self[rows]
        self._kept = kept

    def __getitem__(self, rows: Any) -> Any:
        if self._kept is None:
            return self._view.of(rows).posteriors(self._gaussians)
        if isinstance(rows, slice):
            return self._kept[rows, :]
        return array_namespace(rows).take(self._kept, rows, axis=0)

    def tilted_shares(self, tilts: np.ndarray) -> np.ndarray:
        """Weighted mean of p_ik u_k / Σ_l p_il u_l for tilts u (K,)."""
        blocks = self._view.blocks
        factors, total = (like_rows_of(blocks.rows(), a) for a in (tilts, 0.0 * tilts))
        for rows in self._view.slices(len(tilts)):
            found, weights = self[rows], blocks.weights()
            shares = 1.0 / (found @ factors)
            if weights is not None:
                shares = shares * weights[rows]
            total = total + shares @ found
        return tilts * to_host(total) / blocks.mass

    def tilted(self, tilts: np.ndarray, average: Any = None) -> "Tilted":
        """p_ik u_k / Σ_l p_il u_l, drawn towards those of neighbours by `average`."""
        factors = like_rows_of(self._view.blocks.rows(), tilts)
        if average is None:
            return Tilted(self, factors)
        others = _tilted(self[average.candidates], factors)
        return Tilted(self, factors, average, others)


class Tilted(NamedTuple):
    """Tilted posteriors, which slices are made of."""

    posteriors: Posteriors
    tilts: Any  # (K,)
    average: Any = None
    others: Any = None  # those of the rows among which neighbours are

    def of(self, rows: slice) -> Any:
        """Those of a slice of the rows, (c, K)."""
        found = _tilted(self.posteriors[rows], self.tilts)
        if self.average is None:
            return found
        return self.average.of(rows, found, self.others)


def _tilted(posteriors: Any, tilts: Any) -> Any:
    found = posteriors * tilts
    found /= array_namespace(found).sum(found, axis=1, keepdims=True)
    return found
