"""Two ways to whiten rows and to sum their second moments, for the readable twin.

`Gaps` does what the formulas say: it subtracts each mean, in float64. `Products` writes
the squared distance of a row to a component as a linear function of the products of
pairs of its features,

    |W (x - m)|² = Σ_ij Q_ij z_i z_j,   z = ((x - c) / u, 1),   Q = Hᵀ H,
    H = (W diag(u), -W (m - c)),

so that the distances of a chunk to all components, and all their second moments,
are one matrix product each: half the operations, and no array of (K, rows, d). The
price is cancellation where a component is narrow beside its distance from the common
centre c, or in one direction beside another. `forms_for` tells from the mixture
whether `Products` will do, in float32 for rows of float32 where even that will; what
only the rows can tell, how far they are from all components, is found on the way.
"""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from skgmmot.kernels import Gaussians
from skgmmot.kernels._arrays import Array, to_device

_LARGEST = 1e300  # squared distances are cut here, so that densities stay finite
_MOST_CANCELLED = {"float64": 3e5, "float32": 3e3}  # terms of a square, beside 1
_FARTHEST = {"float64": -1e50, "float32": -1e3}  # log densities, less the top offset
_WORTH_SINGLE = 5_000_000  # operations below which float32 saves nothing
_ROWS_SINGLE = 2**16  # whose sums float32 may hold


class Gaps:
    """Rows about each mean (K, c, d), in float64: right for any mixture and any row."""

    farthest = -np.inf
    most_rows = None

    def __init__(
        self, x: Array, means: np.ndarray, whiteners: np.ndarray | None, full: bool
    ) -> None:
        self.xp = array_namespace(x)
        self.full, self.dtype = full, self.xp.float64
        self.means = to_device(means, x, self.dtype)
        if whiteners is not None:
            self.whiteners = to_device(whiteners, x, self.dtype)
        self.width = means.size

    def rows(self, chunk: Array) -> Array:
        """(K, c, d) x - m_k: about the means, so that nothing is lost far from 0."""
        chunk = self.xp.astype(chunk, self.dtype, copy=False)
        return chunk[None, :, :] - self.means[:, None, :]

    def exponents(self, rows: Array) -> Array:
        """(K, c) -|W_k (x - m_k)|² / 2."""
        squares = self.xp.sum(times(self.xp, self.whiteners, rows) ** 2, axis=2)
        # What is beyond all numbers, or the difference of two such, is cut.
        largest = to_device(_LARGEST, rows, self.dtype)
        return -0.5 * self.xp.where(squares < largest, squares, largest)

    def sums(self, rows: Array, shares: Array) -> Array:
        """Σ r (x - m)(x - m)ᵀ or its diagonal, Σ r (x - m), and Σ r, side by side."""
        xp, weighted = self.xp, shares[:, :, None] * rows
        if self.full:
            seconds = xp.matmul(xp.matrix_transpose(weighted), rows)
            seconds = xp.reshape(seconds, (rows.shape[0], -1))
        else:
            seconds = xp.sum(weighted * rows, axis=1)
        firsts, counts = xp.sum(weighted, axis=1), xp.sum(shares, axis=1)
        return xp.concat([seconds, firsts, counts[:, None]], axis=1)

    @property
    def n_sums(self) -> int:
        """How many sums there are for each component."""
        d = self.means.shape[1]
        return (d * d if self.full else d) + d + 1

    def finished(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts, first and second moments, these symmetric, of sums (K, n_sums)."""
        n_components, d = self.means.shape
        seconds, firsts, counts = sums[:, : -d - 1], sums[:, -d - 1 : -1], sums[:, -1]
        if self.full:
            seconds = seconds.reshape(n_components, d, d)
            seconds = 0.5 * (seconds + seconds.transpose(0, 2, 1))
        return counts, firsts, seconds


class Frame(NamedTuple):
    """A mixture about a common centre, in units that are powers of two."""

    center: np.ndarray  # (d,) c
    units: np.ndarray  # (d,) u
    means: np.ndarray  # (K, d) (m - c) / u
    whiteners: np.ndarray  # (K, d, d) or (K, d) W diag(u)
    cancelled: float  # terms of a square, beside the largest of the square and 1


class Products:
    """Products of pairs of features (D, c): one matrix product for all components."""

    def __init__(self, x: Array, frame: Frame, dtype: Any) -> None:
        self.xp = array_namespace(x)
        self.frame, self.dtype = frame, dtype
        self.full = frame.whiteners.ndim == 3
        name = "float32" if dtype == self.xp.float32 else "float64"
        self.farthest = _FARTHEST[name]
        self.most_rows = _ROWS_SINGLE if name == "float32" else None
        self.first, self.second = pairs(frame.means.shape[1], self.full)
        self.coefficients = to_device(-0.5 * _coefficients(frame), x, dtype)
        self.center = to_device(frame.center, x, dtype)
        self.scales = to_device(1.0 / frame.units, x, dtype)
        self.one = to_device(np.ones((1, 1)), x, dtype)
        self.index = [to_device(i, x) for i in (self.first, self.second)]
        self.width = max(self.coefficients.shape)

    def rows(self, chunk: Array) -> Array:
        """(D, c) z_i z_j of all pairs, z the row in its frame with a 1 at its end."""
        xp = self.xp
        scaled = (xp.astype(chunk, self.dtype, copy=False) - self.center) * self.scales
        ones = xp.broadcast_to(self.one, (1, chunk.shape[0]))
        z = xp.concat([xp.matrix_transpose(scaled), ones])
        products = xp.take(z, self.index[0], axis=0)
        products *= xp.take(z, self.index[1], axis=0)  # in place: it is large
        return products

    def exponents(self, rows: Array) -> Array:
        """(K, c) -|W_k (x - m_k)|² / 2."""
        return self.xp.matmul(self.coefficients, rows)

    def sums(self, rows: Array, shares: Array) -> Array:
        """(K, D) Σ r z_i z_j, in float64."""
        found = self.xp.matmul(shares, self.xp.matrix_transpose(rows))
        return self.xp.astype(found, self.xp.float64, copy=False)

    @property
    def n_sums(self) -> int:
        """How many sums there are for each component."""
        return len(self.first)

    def finished(self, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts, first and second moments about the means, of sums (K, n_sums)."""
        means, units, d = self.frame.means, self.frame.units, len(self.frame.units)
        counts = sums[:, -1]
        if self.full:
            square = np.empty((len(sums), d + 1, d + 1))
            square[:, self.first, self.second] = sums
            square[:, self.second, self.first] = sums
            totals, seconds = square[:, d, :d], square[:, :d, :d]
            outer, inner = means[:, :, None], means[:, None, :]
            crossed = outer * totals[:, None, :]
            seconds = seconds - (crossed + crossed.transpose(0, 2, 1))
            seconds = seconds + counts[:, None, None] * (outer * inner)
            seconds = seconds * units * units[:, None]
        else:
            seconds, totals = sums[:, :d], sums[:, d : 2 * d]
            seconds = seconds - means * (2.0 * totals - counts[:, None] * means)
            seconds = np.maximum(seconds, 0.0) * units**2
        return counts, (totals - counts[:, None] * means) * units, seconds


def forms_for(
    x: Array, gaussians: Gaussians, single: bool = True
) -> list[Gaps | Products]:
    """Forms that will do, the cheapest first; the last does for all rows."""
    means, whiteners = gaussians.means, gaussians.whiteners
    forms: list[Gaps | Products] = []
    if _pays(whiteners):
        xp = array_namespace(x)
        frame = _frame(gaussians, "float32" if x.dtype == xp.float32 else "float64")
        operations = x.shape[0] * whiteners.size
        for name, dtype in (("float32", xp.float32), ("float64", xp.float64)):
            wanted = x.dtype == dtype and single and operations > _WORTH_SINGLE
            if (wanted or name == "float64") and (
                frame.cancelled < _MOST_CANCELLED[name]
            ):
                forms.append(Products(x, frame, dtype))
    return [*forms, Gaps(x, means, whiteners, whiteners.ndim == 3)]


def _pays(whiteners: np.ndarray) -> bool:
    """Whether making d (d + 1) / 2 pairs, or 2 d, costs less than K d differences."""
    n_components, d = whiteners.shape[:2]
    return n_components > max(2, d // 3 if whiteners.ndim == 3 else 0)


def _frame(gaussians: Gaussians, dtype: str) -> Frame:
    """The mixture in a frame of its own, and what cancels there.

    Terms of the square of a row near the common centre are of the size of |W|² |m|²;
    of one far from it, |W|² |W⁻¹|² times the square itself.
    """
    means, whiteners = gaussians.means, gaussians.whiteners
    full = whiteners.ndim == 3
    with np.errstate(all="ignore"):
        # In the type of the rows, so that x - c loses nothing.
        center = means.mean(axis=0).astype(dtype).astype(np.float64)
        inverses = _inverses(whiteners)
        variances = (inverses**2).sum(axis=2) if full else inverses**2
        widths = np.sqrt((variances + (means - center) ** 2).mean(axis=0))
        units = np.exp2(np.round(np.log2(widths)))
        scaled, means = whiteners * units, (means - center) / units
        backward = inverses / units[:, None] if full else inverses / units
        sizes = np.maximum((means**2).sum(axis=1), _squared_norms(backward))
        cancelled = (_squared_norms(scaled) * sizes).max()
    if not np.isfinite(cancelled):
        cancelled = np.inf
    return Frame(center, units, means, scaled, float(cancelled))


def _inverses(whiteners: np.ndarray) -> np.ndarray:
    """Inverse whiteners, NaN where one has none."""
    if whiteners.ndim == 2:
        return 1.0 / whiteners
    try:
        return np.linalg.inv(whiteners)
    except np.linalg.LinAlgError:
        return np.full_like(whiteners, np.nan)


def _squared_norms(matrices: np.ndarray) -> np.ndarray:
    """(K,) bounds of the squared norms of matrices (K, d, d) or diagonals (K, d)."""
    sizes = np.abs(matrices)
    if matrices.ndim == 2:
        return sizes.max(axis=1) ** 2
    return sizes.sum(axis=1).max(axis=1) * sizes.sum(axis=2).max(axis=1)


def pairs(d: int, full: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of features, the feature d the constant 1; its pair with itself is last.

    With diagonal whiteners, those that a diagonal form has.
    """
    if full:
        return np.tril_indices(d + 1)
    features, constant = np.arange(d), np.full(d + 1, d)
    return np.r_[features, constant], np.r_[features, features, d]


def _coefficients(frame: Frame) -> np.ndarray:
    """(K, D) coefficients of |W (x - m)|² of the products of pairs."""
    means, whiteners = frame.means, frame.whiteners
    if whiteners.ndim == 2:
        linear = whiteners**2 * means
        constant = (linear * means).sum(axis=1, keepdims=True)
        return np.concatenate([whiteners**2, -2.0 * linear, constant], axis=1)
    shifts = whiteners @ means[:, :, None]
    extended = np.concatenate([whiteners, -shifts], axis=2)
    first, second = pairs(means.shape[1], True)
    form = extended.transpose(0, 2, 1) @ extended
    return form[:, first, second] * np.where(first == second, 1.0, 2.0)


def times(xp: Any, matrices: Array, rows: Array) -> Array:
    """(K, c, d) A_k g for full (K, d, d) or diagonal (K, d) matrices A_k."""
    if matrices.ndim == 3:
        return xp.matmul(rows, xp.matrix_transpose(matrices))
    return matrices[:, None, :] * rows
