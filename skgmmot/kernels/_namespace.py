"""The primitives in plain formulas, for any array that follows the array API standard.

This is the file to read first. It computes what `skgmmot.kernels.numba` computes, with
the same signatures, by the functions of the array API standard (2023.12) alone, so that
NumPy, torch and others run the same lines. For rows x_i (n, d), weights w_i, and a
mixture of K components with offsets o_k, means m_k and whiteners W_k,

    log p_k(x) = o_k - |W_k (x - m_k)|² / 2       the joint log density of component k
    log p(x)   = log Σ_k exp(log p_k(x))          the log density
    r_k(x)     = p_k(x) / p(x)                    the posterior, or responsibility

Rows are worked through in chunks, so that nothing larger than `_ENTRIES` numbers is
made beside the result. All arithmetic is in float64, whatever the rows are. Arrays of
a chunk have the components first: (K, c) or (K, c, d). Sums of moments are returned as
NumPy arrays, results of n rows as arrays of the kind of X. `n_threads` is there for the
signature: threads are the business of the library whose arrays these are.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array

from skgmmot.kernels import Gaussians, Moments

Array: TypeAlias = Any

_ENTRIES = 2**18  # numbers in the largest array of a chunk: 2 MiB
_LARGEST = 1e300  # squared distances are cut here, so that densities stay finite
_TINY = 1e-300  # what the sum of all other components is cut at


class _Densities(NamedTuple):
    """Densities of a chunk under all components, about the largest of each row."""

    gaps: Array  # (K, c, d) x - m_k
    joint: Array  # (K, c) log p_k(x)
    top: Array  # (c,) max_k log p_k(x)
    ratios: Array  # (K, c) exp(log p_k(x) - top)
    total: Array  # (c,) sum of the ratios, at least 1


def moments(
    x: Array,
    sample_weight: Array | None,
    gaussians: Gaussians,
    deletion: bool = False,
    n_threads: int | None = None,
) -> Moments:
    """Return the `Moments` of the rows under a mixture, about its means.

    Σ w log p(x), Σ w, and for each k, with w r_k for weights, Σ w r_k,
    Σ w r_k (x - m_k), Σ w r_k (x - m_k)(x - m_k)ᵀ or its diagonal. `deletion=True` also
    sums w log(1 - r_k), what the likelihood loses with k.
    """
    xp, gaussians = array_namespace(x), _on_device(gaussians, x)
    means = gaussians.means
    weights = _weights(sample_weight, x)
    sums = _Sums(xp, means, gaussians.whiteners.ndim == 3)
    likelihood, mass, lost = 0.0, 0.0, xp.zeros_like(means[:, 0])

    def add(rows: slice) -> None:
        nonlocal likelihood, mass, lost
        found, w = _densities(_chunk(x, rows), gaussians), weights[rows]
        likelihood += float(xp.sum(w * (found.top + xp.log(found.total))))
        mass += float(xp.sum(w))
        sums.add(found.gaps, w * found.ratios / found.total)
        if deletion:
            lost = lost + xp.sum(w * _log_without(xp, found), axis=1)

    _for_chunks(add, x, means.shape[0] * means.shape[1])
    return sums.finished(likelihood, mass, lost)


def given_moments(
    x: Array,
    responsibilities: Array,
    means: np.ndarray,
    full: bool,
    n_threads: int | None = None,
) -> Moments:
    """Moments about `means` (K, d) under given, weighted responsibilities (n, K)."""
    xp, means = array_namespace(x), _on_device((means,), x)[0]
    sums = _Sums(xp, means, full)

    def add(rows: slice) -> None:
        given = xp.astype(responsibilities[rows, :], xp.float64)
        sums.add(_gaps(_chunk(x, rows), means), xp.matrix_transpose(given))

    _for_chunks(add, x, means.shape[0] * means.shape[1])
    return sums.finished(0.0, float(xp.sum(sums.counts)), xp.zeros_like(means[:, 0]))


def log_density(x: Array, gaussians: Gaussians, n_threads: int | None = None) -> Array:
    """(n,) log p(x) = top + log Σ_k exp(log p_k(x) - top), top the largest of them."""
    xp = array_namespace(x)
    return _by_rows(lambda _, found: found.top + xp.log(found.total), x, gaussians)


def labels(x: Array, gaussians: Gaussians, n_threads: int | None = None) -> Array:
    """(n,) argmax_k log p_k(x), the component with the largest posterior."""
    xp = array_namespace(x)
    return _by_rows(lambda _, found: xp.argmax(found.joint, axis=0), x, gaussians)


def draw_labels(
    x: Array, gaussians: Gaussians, uniforms: Array, n_threads: int | None = None
) -> Array:
    """(n,) the first k with u < Σ_{l ≤ k} r_l(x), drawn by (n,) uniforms u.

    Where rounding leaves none, the component with the largest posterior.
    """
    xp = array_namespace(x)

    def draw(rows: slice, found: _Densities) -> Array:
        cumulated = xp.cumulative_sum(found.ratios, axis=0)
        above = cumulated > uniforms[rows] * found.total
        hits = xp.astype(above & (found.ratios > 0.0), xp.int64)
        best = xp.argmax(found.joint, axis=0)
        return xp.where(xp.any(hits > 0, axis=0), xp.argmax(hits, axis=0), best)

    return _by_rows(draw, x, gaussians)


def posteriors(x: Array, gaussians: Gaussians, n_threads: int | None = None) -> Array:
    """(n, K) r_k(x); rows sum to 1 however far a row is from all components."""
    xp = array_namespace(x)
    return _by_rows(
        lambda _, found: xp.matrix_transpose(found.ratios / found.total), x, gaussians
    )


def nearest(
    x: Array, centers: np.ndarray, n_threads: int | None = None
) -> tuple[Array, Array]:
    """(n,) argmin_k |x - c_k|² and (n,) that smallest squared distance."""
    xp, centers = array_namespace(x), _on_device((centers,), x)[0]
    best, distances = [], []
    with np.errstate(all="ignore"):
        for rows in _chunks(x, centers.shape[0] * centers.shape[1]):
            squares = xp.sum(_gaps(_chunk(x, rows), centers) ** 2, axis=2)
            best.append(xp.argmin(squares, axis=0))
            distances.append(xp.min(squares, axis=0))
    return xp.concat(best), xp.concat(distances)


def apply_maps(
    x: Array,
    gaussians: Gaussians,
    linear: np.ndarray,
    shifts: np.ndarray,
    n_threads: int | None = None,
) -> Array:
    """(n, d) Σ_k r_k(x) (A_k (x - m_k) + b_k).

    linear, the A_k, is (K, d, d) with full whiteners and (K, d) with diagonal ones.
    """
    xp, (linear, shifts) = array_namespace(x), _on_device((linear, shifts), x)

    def apply(_: slice, found: _Densities) -> Array:
        images = _times(xp, linear, found.gaps) + shifts[:, None, :]
        shares = (found.ratios / found.total)[:, :, None]
        # 0 times infinity would be NaN.
        terms = xp.where(shares > 0.0, shares * images, xp.zeros_like(images))
        return xp.sum(terms, axis=0)

    return _by_rows(apply, x, gaussians)


def apply_selected(
    x: Array,
    index: Array,
    centers: np.ndarray,
    linear: np.ndarray,
    shifts: np.ndarray,
    n_threads: int | None = None,
) -> Array:
    """(n, d) A_i (x - c_i) + b_i with i = index[row]."""
    xp = array_namespace(x)
    centers, linear, shifts = _on_device((centers, linear, shifts), x)
    out = []
    with np.errstate(all="ignore"):
        for rows in _chunks(x, math.prod(linear.shape[1:])):
            chosen = index[rows]
            centers_, linear_, shifts_ = (
                xp.take(array, chosen, axis=0) for array in (centers, linear, shifts)
            )
            gaps = (_chunk(x, rows) - centers_)[:, None, :]
            images = _times(xp, linear_, gaps)[:, 0, :]
            out.append(images + shifts_)
    return xp.concat(out)


def fourth_moment(
    x: Array,
    sample_weight: Array | None,
    center: np.ndarray,
    units: np.ndarray,
    n_threads: int | None = None,
) -> float:
    """Σ_i w_i |(x_i - center) / units|⁴; a feature of unit inf adds nothing."""
    xp, (center, units) = array_namespace(x), _on_device((center, units), x)
    weights, total = _weights(sample_weight, x), 0.0

    def add(rows: slice) -> None:
        nonlocal total
        scaled = (_chunk(x, rows) - center) / units
        total += float(xp.sum(weights[rows] * xp.sum(scaled**2, axis=1) ** 2))

    _for_chunks(add, x, x.shape[1])
    return total


class _Sums:
    """Sums over rows, about means (K, d), that chunks are added to."""

    def __init__(self, xp: Any, means: Array, full: bool) -> None:
        d = means.shape[1]
        self.xp, self.full = xp, full
        self.counts = xp.zeros_like(means[:, 0])
        self.firsts = xp.zeros_like(means)
        self.seconds = (
            means[:, :, None] * xp.zeros((1, 1, d), dtype=xp.float64) if full else means
        ) * 0.0

    def add(self, gaps: Array, weights: Array) -> None:
        """Add rows by their gaps (K, c, d) to the means and weights (K, c)."""
        xp, weighted = self.xp, weights[:, :, None] * gaps
        self.counts = self.counts + xp.sum(weights, axis=1)
        self.firsts = self.firsts + xp.sum(weighted, axis=1)
        if self.full:
            more = xp.matmul(xp.matrix_transpose(weighted), gaps)
        else:
            more = xp.sum(weighted * gaps, axis=1)
        self.seconds = self.seconds + more

    def finished(self, likelihood: float, mass: float, lost: Array) -> Moments:
        """The moments on the host, second ones symmetric."""
        seconds = self.seconds
        if self.full:
            seconds = 0.5 * (seconds + self.xp.matrix_transpose(seconds))
        parts = (self.counts, self.firsts, seconds, lost)
        return Moments(likelihood, mass, *(_on_host(part) for part in parts))


def _densities(chunk: Array, gaussians: Gaussians) -> _Densities:
    """Joint log densities of a chunk, and their ratios to the largest of each row."""
    xp = array_namespace(chunk)
    gaps = _gaps(chunk, gaussians.means)
    squares = xp.sum(_times(xp, gaussians.whiteners, gaps) ** 2, axis=2)
    # What is beyond all numbers, or the difference of two such, is cut as well.
    cut = xp.where(squares < _LARGEST, squares, xp.full_like(squares, _LARGEST))
    joint = gaussians.offsets[:, None] - 0.5 * cut
    top = xp.max(joint, axis=0)
    ratios = xp.exp(joint - top)
    return _Densities(gaps, joint, top, ratios, xp.sum(ratios, axis=0))


def _log_without(xp: Any, found: _Densities) -> Array:
    """(K, c) log(1 - r_k).

    Of the largest component it is log(the sum of the others) - log(the sum of
    all), which keeps the digits of 1 - r where r is nearly 1.
    """
    ratios, total = found.ratios, found.total
    components = xp.arange(ratios.shape[0], device=device(ratios))[:, None]
    is_best = components == xp.argmax(found.joint, axis=0)
    others = xp.sum(xp.where(is_best, xp.zeros_like(ratios), ratios), axis=0)
    floor = xp.full_like(others, _TINY)
    log_others = xp.log(xp.maximum(others, floor)) - xp.log(total)
    shares = xp.where(is_best, xp.zeros_like(ratios), ratios / total)
    half = xp.full_like(shares, 0.5)
    return xp.where(is_best, log_others, xp.log1p(-xp.minimum(shares, half)))


def _gaps(chunk: Array, means: Array) -> Array:
    """(K, c, d) x - m_k: about the means, so that nothing is lost far from 0."""
    return chunk[None, :, :] - means[:, None, :]


def _times(xp: Any, matrices: Array, gaps: Array) -> Array:
    """(K, c, d) A_k g for full (K, d, d) or diagonal (K, d) matrices A_k."""
    if matrices.ndim == 3:
        return xp.matmul(gaps, xp.matrix_transpose(matrices))
    return matrices[:, None, :] * gaps


def _chunks(x: Array, entries_per_row: int) -> Iterator[slice]:
    """Slices that cover all rows; one that is empty where there are none."""
    n_rows = x.shape[0]
    step = max(1, _ENTRIES // max(1, entries_per_row))
    for start in range(0, max(n_rows, 1), step):
        yield slice(start, min(start + step, n_rows))


def _for_chunks(add: Callable[[slice], None], x: Array, entries_per_row: int) -> None:
    """Call add(rows) for all chunks; what overflows is cut where it matters."""
    with np.errstate(all="ignore"):
        for rows in _chunks(x, entries_per_row):
            add(rows)


def _by_rows(
    function: Callable[[slice, _Densities], Array], x: Array, gaussians: Gaussians
) -> Array:
    """function(rows, densities) of all chunks, one after the other in one array."""
    gaussians, out = _on_device(gaussians, x), []

    def add(rows: slice) -> None:
        out.append(function(rows, _densities(_chunk(x, rows), gaussians)))

    _for_chunks(add, x, gaussians.means.shape[0] * gaussians.means.shape[1])
    return array_namespace(x).concat(out)


def _chunk(x: Array, rows: slice) -> Array:
    xp = array_namespace(x)
    return xp.astype(x[rows, :], xp.float64)


def _weights(sample_weight: Array | None, x: Array) -> Array:
    """Weights of rows in float64, 1 where none are given."""
    xp = array_namespace(x)
    if sample_weight is None:
        return xp.ones(x.shape[0], dtype=xp.float64, device=device(x))
    return xp.astype(sample_weight, xp.float64)


def _on_device(record: Any, x: Array) -> Any:
    """The arrays of a tuple in float64, of the kind of x and where x is."""
    xp = array_namespace(x)
    arrays = (xp.asarray(array, dtype=xp.float64, device=device(x)) for array in record)
    return type(record)(*arrays) if hasattr(record, "_fields") else tuple(arrays)


def _on_host(array: Array) -> np.ndarray:
    """A K-sized result as a NumPy array."""
    return array if is_numpy_array(array) else np.array(np.from_dlpack(array))
