"""The primitives on the CPU: ranges of rows on threads, sums added in a fixed order.

Every function takes X as (n, d) float32 or float64 in C order; sums and results are
float64. Responsibilities of float32 rows are computed in float32 where that will do.
The cut of the rows into ranges depends on the size of the problem alone, so that
results have the same bits for every number of threads.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from skgmmot._threads import run_ranges
from skgmmot.kernels import Gaussians, Moments, read_only
from skgmmot.kernels.numba import _maps, _ranges
from skgmmot.kernels.numba._constants import FEW, TILE
from skgmmot.kernels.numba._records import Components

_MAX_RANGES = 64
_OPERATIONS_PER_RANGE = 500_000.0  # some 20 us, as to call a kernel costs
_MAX_PARTIAL_BYTES = 32 * 2**20
_ROWS_PER_SUM = 2048  # rows beside whose work setting up and adding a sum is little
_FEW_RANGES = 16  # enough to share among cores
_EXP_COST = 30  # operations that one exponential stands for
_WORTH_SINGLE = 5_000_000.0  # operations below which to ask for float32 costs more
_MOST_CANCELLED = 200.0  # standard deviations that terms of a whitened row may reach
_SINGLE_RANGE = (1e-12, 1e12)
_ROWS_PER_FEATURE = 8  # to ask for float32 is K d^3 / 6 operations


def _frozen(gaussians: Gaussians) -> tuple[np.ndarray, ...]:
    return tuple(read_only(field, np.float64) for field in gaussians)


def _mixtures(
    x: np.ndarray, gaussians: Gaussians, operations: float
) -> tuple[tuple, ...]:
    """Fields of `Components`: in float32 where that may do, and in float64."""
    offsets, means, whiteners = _frozen(gaussians)
    exact = Components(offsets, means, whiteners, 0.0)
    few = operations < _WORTH_SINGLE or len(x) < _ROWS_PER_FEATURE * x.shape[1]
    if x.dtype == np.float64 or few or not _is_tame(exact):
        return (tuple(exact),)
    top = float(exact.offsets.max())
    single = exact._replace(
        offsets=exact.offsets - top,
        whiteners=read_only(exact.whiteners, np.float32),
        top=top,
    )
    return tuple(single), tuple(exact)


def _is_tame(exact: Components) -> bool:
    """Whether float32 computes whitened rows to some 1e-5 standard deviations."""
    whiteners, sizes = exact.whiteners, (exact.means, exact.whiteners)
    full = whiteners.ndim == 3
    scales = np.diagonal(whiteners, axis1=1, axis2=2) if full else whiteners
    low, high = _SINGLE_RANGE
    within = [scales.min() > low, *(np.abs(array).max() < high for array in sizes)]
    if not (all(within) and np.isfinite(exact.offsets.max())):
        return False
    return not full or bool(_maps.largest_terms(whiteners) < _MOST_CANCELLED)


def _bounds(n_rows: int, n_ranges: int) -> list[int]:
    """Where ranges begin and end: after whole tiles, as part of one costs as much."""
    n_tiles = -(-n_rows // TILE)
    ends = (TILE * (n_tiles * i // n_ranges) for i in range(n_ranges + 1))
    return [min(end, n_rows) for end in ends]


def _count_ranges(n_rows: int, operations: float, partial_bytes: int = 0) -> int:
    limit: float = _MAX_RANGES
    if partial_bytes:
        limit = min(limit, max(_FEW_RANGES, n_rows // _ROWS_PER_SUM))
        limit = max(4, min(limit, _MAX_PARTIAL_BYTES // partial_bytes))
    limit = min(limit, operations // _OPERATIONS_PER_RANGE, n_rows // TILE)
    return int(max(1, limit))


def _operations(n_rows: int, whiteners: np.ndarray) -> float:
    """Rough operations of one pass, by which the use of threads is decided."""
    per_row = whiteners.size + _EXP_COST * whiteners.shape[0]
    return float(n_rows) * per_row


def _over_rows(
    function: Callable[[int, int], None],
    n_rows: int,
    operations: float,
    n_threads: int | None,
) -> None:
    """Call function(start, stop) on ranges that cover all rows."""
    n_ranges = _count_ranges(n_rows, operations)
    bounds = _bounds(n_rows, n_ranges)

    def work(i: int) -> None:
        function(bounds[i], bounds[i + 1])

    run_ranges(work, n_ranges, n_threads, operations)


def moments(
    x: np.ndarray,
    sample_weight: np.ndarray | None,
    gaussians: Gaussians,
    deletion: bool = False,
    n_threads: int | None = None,
) -> Moments:
    """Return the `Moments` of the rows under a mixture, about its means.

    2 n K (d (d + 1) / 2) multiply-adds where all responsibilities count; no (n, K)
    array. `deletion=True` also sums log(1 - r), what the likelihood loses with k.
    """
    offsets, means, whiteners = gaussians
    x = read_only(x)
    weights = read_only(() if sample_weight is None else sample_weight, np.float64)
    operations = 2 * _operations(len(x), whiteners)
    squares = _padded(whiteners.shape)
    n_ranges = _count_ranges(len(x), operations, 8 * math.prod(squares))
    bounds = _bounds(len(x), n_ranges)
    mixtures = _mixtures(x, gaussians, operations)
    parts = likelihood, counts, sums, seconds, deletions = [
        np.empty((n_ranges, *shape))
        for shape in ((1,), offsets.shape, means.shape, squares, offsets.shape)
    ]

    def work(i: int) -> None:
        for fields in mixtures:
            for part in parts:
                part[i] = 0.0
            if _ranges.moments(
                x, weights, (bounds[i], bounds[i + 1]), fields, deletion,
                likelihood[i], (counts[i], sums[i], seconds[i]), deletions[i],
            ):  # fmt: skip
                return

    run_ranges(work, n_ranges, n_threads, operations)
    mass = float(len(x)) if sample_weight is None else float(weights.sum())
    return Moments(
        float(_total(likelihood)[0]),
        mass,
        _total(counts),
        _total(sums),
        _mirrored(_total(seconds), means.shape[1]),
        _total(deletions),
    )


def given_moments(
    x: np.ndarray,
    responsibilities: np.ndarray,
    means: np.ndarray,
    full: bool,
    n_threads: int | None = None,
) -> Moments:
    """Moments about `means` (K, d) under given, weighted responsibilities (n, K)."""
    x, means = read_only(x), read_only(means, np.float64)
    responsibilities = read_only(responsibilities, np.float64)
    squares = _padded((*means.shape, means.shape[1]) if full else means.shape)
    operations = float(len(x)) * math.prod(squares)
    n_ranges = _count_ranges(len(x), operations, 8 * math.prod(squares))
    bounds = _bounds(len(x), n_ranges)
    counts, sums, seconds = (
        np.zeros((n_ranges, *s)) for s in (means.shape[:1], means.shape, squares)
    )

    def work(i: int) -> None:
        parts = (counts[i], sums[i], seconds[i])
        _ranges.given_moments(
            x, responsibilities, (bounds[i], bounds[i + 1]), means, parts
        )

    run_ranges(work, n_ranges, n_threads, operations)
    return Moments(
        0.0,
        float(counts.sum()),
        _total(counts),
        _total(sums),
        _mirrored(_total(seconds), means.shape[1]),
        np.zeros(len(means)),
    )


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of second moments: matrices of more than a few features in fours."""
    if len(shape) == 2 or shape[1] <= FEW:
        return shape
    width = -(-shape[1] // 4) * 4
    return (shape[0], width, width)


def _mirrored(seconds: np.ndarray, d: int) -> np.ndarray:
    """Fill the upper triangles, which kernels leave at 0 or partly summed."""
    if seconds.ndim == 2:
        return seconds
    seconds = seconds[:, :d, :d]
    return np.where(_lower(d), seconds, seconds.transpose(0, 2, 1))


@cache
def _lower(d: int) -> np.ndarray:
    """Which entries of a matrix are in its lower triangle."""
    return np.tri(d, dtype=bool)


def _total(parts: np.ndarray) -> np.ndarray:
    """The sum over ranges, in their order."""
    return parts[0] if len(parts) == 1 else parts.sum(axis=0)


def _density(
    x: np.ndarray,
    gaussians: Gaussians,
    what: int,
    n_threads: int | None,
    uniforms: ArrayLike = (),
    n_columns: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, uniforms = read_only(x), read_only(uniforms, np.float64)
    operations = _operations(len(x), gaussians.whiteners)
    mixtures = _mixtures(x, gaussians, operations)
    out = np.empty(len(x) if what == _ranges.DENSITY else 0)
    labelled = what in (_ranges.LABELS, _ranges.DRAWS)
    labels = np.empty(len(x) if labelled else 0, np.int64)
    posterior = np.empty((len(x) if n_columns else 0, n_columns))

    def work(*bounds: int) -> None:
        for fields in mixtures:
            if _ranges.density(
                x, bounds, fields, what, uniforms, out, labels, posterior
            ):
                return

    _over_rows(work, len(x), operations, n_threads)
    return out, labels, posterior


def log_density(
    x: np.ndarray, gaussians: Gaussians, n_threads: int | None = None
) -> np.ndarray:
    """(n,) log sum_k exp(offset_k - |W_k (x - m_k)|^2 / 2), by a running maximum."""
    return _density(x, gaussians, _ranges.DENSITY, n_threads)[0]


def labels(
    x: np.ndarray, gaussians: Gaussians, n_threads: int | None = None
) -> np.ndarray:
    """(n,) index of the component with the largest posterior."""
    return _density(x, gaussians, _ranges.LABELS, n_threads)[1]


def draw_labels(
    x: np.ndarray,
    gaussians: Gaussians,
    uniforms: np.ndarray,
    n_threads: int | None = None,
) -> np.ndarray:
    """(n,) component drawn from each posterior, by inverse CDF of (n,) uniforms."""
    return _density(x, gaussians, _ranges.DRAWS, n_threads, uniforms)[1]


def posteriors(
    x: np.ndarray, gaussians: Gaussians, n_threads: int | None = None
) -> np.ndarray:
    """(n, K) posterior probabilities; rows sum to 1 however far a row is from all."""
    n_columns = len(gaussians.offsets)
    return _density(x, gaussians, _ranges.POSTERIORS, n_threads, (), n_columns)[2]


def nearest(
    x: np.ndarray, centers: np.ndarray, n_threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) index of the nearest center and (n,) squared distance to it."""
    x, centers = read_only(x), read_only(centers, np.float64)
    best, distances = np.empty(len(x), np.int64), np.empty(len(x))

    def work(*bounds: int) -> None:
        _maps.nearest(x, bounds, centers, best, distances)

    _over_rows(work, len(x), float(len(x)) * centers.size, n_threads)
    return best, distances


def apply_maps(
    x: np.ndarray,
    gaussians: Gaussians,
    linear: np.ndarray,
    shifts: np.ndarray,
    n_threads: int | None = None,
) -> np.ndarray:
    """(n, d) sum_k p_k(x) (linear_k (x - m_k) + shifts_k), p the posteriors.

    linear is (K, d, d) with full whiteners and (K, d) with diagonal ones.
    """
    linear, shifts = read_only(linear, np.float64), read_only(shifts, np.float64)
    x, out = read_only(x), np.empty(np.shape(x))
    operations = 2 * _operations(len(x), gaussians.whiteners)
    mixtures = _mixtures(x, gaussians, operations)

    def work(*bounds: int) -> None:
        for fields in mixtures:
            if _maps.maps(x, bounds, fields, linear, shifts, out):
                return

    _over_rows(work, len(x), operations, n_threads)
    return out


def apply_selected(
    x: np.ndarray,
    index: np.ndarray,
    centers: np.ndarray,
    linear: np.ndarray,
    shifts: np.ndarray,
    n_threads: int | None = None,
) -> np.ndarray:
    """(n, d) linear_i (x - centers_i) + shifts_i with i = index[row]."""
    linear, shifts = read_only(linear, np.float64), read_only(shifts, np.float64)
    centers, index = read_only(centers, np.float64), read_only(index, np.int64)
    x, out = read_only(x), np.empty(np.shape(x))

    def work(*bounds: int) -> None:
        _maps.selected_maps(x, bounds, index, centers, linear, shifts, out)

    _over_rows(work, len(x), float(len(x)) * x.shape[1] ** 2, n_threads)
    return out


def fourth_moment(
    x: np.ndarray,
    sample_weight: np.ndarray | None,
    center: np.ndarray,
    units: np.ndarray,
    n_threads: int | None = None,
) -> float:
    """Sum of w_i |(x_i - center) / units|^4; a feature of unit inf adds nothing."""
    x = read_only(x)
    weights = read_only(() if sample_weight is None else sample_weight, np.float64)
    center = read_only(center, np.float64)
    scales = 1.0 / read_only(units, np.float64)
    operations = 4.0 * x.size
    n_ranges = _count_ranges(len(x), operations)
    bounds, totals = _bounds(len(x), n_ranges), np.zeros((n_ranges, 1))

    def work(i: int) -> None:
        ends = bounds[i], bounds[i + 1]
        _maps.fourth_moment(x, weights, ends, center, scales, totals[i])

    run_ranges(work, n_ranges, n_threads, operations)
    return float(totals.sum())
