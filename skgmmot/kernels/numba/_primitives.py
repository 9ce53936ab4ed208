"""The primitives on the CPU: ranges of rows on threads, sums added in a fixed order.

Every function takes X as (n, d) float32 or float64 in C order; sums and results are
float64. Responsibilities of float32 rows are computed in float32 where that will do.
The cut of the rows into ranges depends on the size of the problem alone, so that
results have the same bits for every number of threads.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from skgmmot._threads import run_ranges
from skgmmot.kernels import Gaussians, Moments, plain, read_only
from skgmmot.kernels.numba import _maps, _ranges
from skgmmot.kernels.numba._constants import FEW, TILE
from skgmmot.kernels.numba._records import Components

_MAX_RANGES = 64
_OPERATIONS_PER_RANGE = 2_000_000.0  # some 80 us; to start a range costs 6
_MAX_PARTIAL_BYTES = 32 * 2**20
_ROWS_PER_SUM = 2048  # rows beside whose work setting up and adding a sum is little
_FEW_RANGES = 16  # enough to share among cores
_EXP_COST = 30  # operations that one exponential stands for
_WORTH_SINGLE = 5_000_000.0  # operations below which to ask for float32 costs more
_MOST_CANCELLED = 200.0  # standard deviations that terms of a whitened row may reach
_SINGLE_RANGE = (1e-12, 1e12)
_SINGLE_WEIGHTS = (1e-9, 1e9)
_NO_WEIGHTS = read_only(np.empty(0))
_ROWS_PER_FEATURE = 8  # to ask for float32 is K d^3 / 6 operations


def _frozen(gaussians: Gaussians) -> tuple[np.ndarray, ...]:
    return tuple(plain(field) for field in gaussians)


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
        whiteners=plain(exact.whiteners, np.float32),
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


def _are_tame(weights: np.ndarray) -> bool:
    """Whether float32 holds weighted responsibilities that count."""
    if len(weights) == 0:
        return True
    low, high = _SINGLE_WEIGHTS
    least = weights.min(where=weights > 0.0, initial=np.inf)
    return bool(least > low and weights.max() < high)


@lru_cache(maxsize=64)
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


def _operations_of_moments(n_rows: int, shape: tuple[int, ...], full: bool) -> float:
    """Rough operations of the moments of a mixture with means of a shape."""
    n_components, d = shape
    return 2.0 * n_rows * n_components * (d * (d if full else 1) + _EXP_COST)


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
    x, weights = read_only(x), weights_of(sample_weight)
    full, shape = gaussians.whiteners.ndim == 3, gaussians.means.shape
    operations = _operations_of_moments(len(x), shape, full)
    parts = _parts(len(x), shape, full, operations)
    bounds = _bounds(len(x), len(parts[0]))
    mixtures = _mixtures(x, gaussians, operations)
    if len(mixtures) > 1 and not _are_tame(weights):
        mixtures = mixtures[-1:]

    def work(i: int) -> None:
        ends = bounds[i], bounds[i + 1]
        for fields in mixtures:
            if _ranges.moments(x, weights, ends, fields, deletion, i, parts):
                return

    run_ranges(work, len(parts[0]), n_threads, operations)
    mass = float(len(x)) if sample_weight is None else float(weights.sum())
    return _added_up(parts, shape[1], mass)


def given_moments(
    x: np.ndarray,
    responsibilities: np.ndarray,
    means: np.ndarray,
    full: bool,
    n_threads: int | None = None,
) -> Moments:
    """Moments about `means` (K, d) under given, weighted responsibilities (n, K)."""
    x, means = read_only(x), plain(means)
    responsibilities = read_only(responsibilities, np.float64)
    operations = float(len(x)) * means.size * (means.shape[1] if full else 1)
    parts = _parts(len(x), means.shape, full, operations)
    bounds = _bounds(len(x), len(parts[0]))

    def work(i: int) -> None:
        ends = bounds[i], bounds[i + 1]
        _ranges.given_moments(x, responsibilities, ends, means, i, parts)

    run_ranges(work, len(parts[0]), n_threads, operations)
    found = _added_up(parts, means.shape[1])
    return found._replace(mass=float(found.counts.sum()))


def weights_of(sample_weight: np.ndarray | None) -> np.ndarray:
    """Weights of rows as kernels read them, none for all 1."""
    if sample_weight is None:
        return _NO_WEIGHTS
    return read_only(sample_weight, np.float64)


def in_one_range(n_rows: int, shape: tuple[int, ...], full: bool) -> bool:
    """Whether all rows are one range, for moments about means of a shape."""
    operations = _operations_of_moments(n_rows, shape, full)
    return _count_ranges(n_rows, operations) == 1


def room_of_sums(
    n_ranges: int, shape: tuple[int, ...], full: bool
) -> tuple[np.ndarray, ...]:
    """Room for the sums of each range: fields of `Parts`."""
    n_components, d = shape
    squares = _padded(d) if full else (d,)
    shapes = (), (n_components,), shape, (n_components, *squares), (n_components,)
    return tuple(np.empty((n_ranges, *s)) for s in shapes)


def _padded(d: int) -> tuple[int, int]:
    """Shape of matrices of second moments: of more than a few features in fours."""
    width = d if d <= FEW else -(-d // 4) * 4
    return width, width


def _parts(
    n_rows: int, shape: tuple[int, ...], full: bool, operations: float
) -> tuple[np.ndarray, ...]:
    """Room for the sums of as many ranges as pay."""
    size = shape[0] * math.prod(_padded(shape[1]) if full else shape[1:])
    n_ranges = _count_ranges(n_rows, operations, 8 * size)
    return room_of_sums(n_ranges, shape, full)


def _added_up(parts: tuple[np.ndarray, ...], d: int, mass: float = 0.0) -> Moments:
    """The sums of all ranges, in their order."""
    _, counts, sums, seconds, deletions = parts
    squares = (seconds.shape[1], d, d) if seconds.ndim == 4 else seconds.shape[1:]
    shapes = (1,), counts.shape[1:], sums.shape[1:], squares, deletions.shape[1:]
    likelihood, *found = total = tuple(np.empty(s) for s in shapes)
    _ranges.add_up(parts, total)
    return Moments(float(likelihood[0]), mass, *found)


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
    weights = weights_of(sample_weight)
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
