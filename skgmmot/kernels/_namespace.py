"""The primitives in plain formulas, for any array that follows the array API standard.

This is the file to read first. It computes what `skgmmot.kernels.numba` computes, with
the same signatures, by the functions of the array API standard (2023.12) alone, so that
NumPy, CuPy, torch and others run the same lines. For rows x_i (n, d), weights w_i, and
a mixture of K components with offsets o_k, means m_k and whiteners W_k,

    log p_k(x) = o_k - |W_k (x - m_k)|² / 2       the joint log density of component k
    log p(x)   = log Σ_k exp(log p_k(x))          the log density
    r_k(x)     = p_k(x) / p(x)                    the posterior, or responsibility

How the squares and the sums of moments are computed is in `_forms`. Rows are worked
through in chunks, whose size `_arrays` chooses by the memory: nothing larger is made
beside the result. Arrays of a chunk have the components first, (K, c). Sums over chunks
stay on the device, in float64 whatever the rows are, and come to the host once, as
NumPy arrays; results of n rows are arrays of the kind of X, where X is. `n_threads` is
there for the signature: threads are the business of the library whose arrays these are.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from array_api_compat import array_namespace, device

from skgmmot.kernels import Gaussians, Moments
from skgmmot.kernels._arrays import Array, chunks, to_device, to_host
from skgmmot.kernels._forms import Gaps, Products, forms_for, times

_TINY = 1e-300  # what the sum of all other components is cut at
_FADED = {"float64": -700.0, "float32": -80.0}  # logs of ratios that count as 0
_FADED_IN_SUMS = {"float64": -300.0, "float32": -50.0}  # so that products are normal
_Result = TypeVar("_Result")


class _Densities(NamedTuple):
    """Densities of a chunk under all components, about the largest of each row."""

    rows: Array  # the rows as the form has them
    joint: Array  # (K, c) log p_k(x) - highest
    top: Array  # (c,) max_k of these
    ratios: Array  # (K, c) exp(joint - top)
    total: Array  # (c,) sum of the ratios, at least 1
    highest: float  # the largest offset


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
    xp, n_components = array_namespace(x), len(gaussians.means)

    def attempt(form: Gaps | Products) -> tuple[Moments, bool]:
        faded = _FADED if deletion else _FADED_IN_SUMS
        density_of = _densities_under(gaussians, form, x, faded)
        totals = _Totals(x, n_components, form.n_sums)
        for rows in chunks(x, form.width, form.most_rows):
            found, w = density_of(rows), None
            if sample_weight is not None:
                w = xp.astype(sample_weight[rows], xp.float64, copy=False)
            logs, lost = _log_densities(xp, found), None
            if deletion:
                lost = xp.sum(_times(_log_without(xp, found), w), axis=1)
            totals.add(
                form.sums(found.rows, _weighted(xp, found, w)),
                xp.sum(_times(logs, w)),
                logs.shape[0] if w is None else xp.sum(w),
                _lowest(xp, found),
                lost,
            )
        sums, likelihood, mass, lowest, lost = totals.on_host()
        parts = form.finished(sums.reshape(n_components, -1))
        result = Moments(float(likelihood[0]), float(mass[0]), *parts, lost)
        return result, bool(lowest[0] > form.farthest)

    return _first_sound(attempt, forms_for(x, gaussians, single=not deletion))


def given_moments(
    x: Array,
    responsibilities: Array,
    means: np.ndarray,
    full: bool,
    n_threads: int | None = None,
) -> Moments:
    """Moments about `means` (K, d) under given, weighted responsibilities (n, K)."""
    xp, form = array_namespace(x), Gaps(x, means, None, full)
    sums = _zeros(x, len(means), form.n_sums)
    with np.errstate(all="ignore"):
        for rows in chunks(x, form.width):
            given = xp.astype(responsibilities[rows, :], xp.float64, copy=False)
            gaps = form.rows(x[rows, :])
            sums = sums + form.sums(gaps, xp.matrix_transpose(given))
    counts, firsts, seconds = form.finished(to_host(sums))
    return Moments(
        0.0, float(counts.sum()), counts, firsts, seconds, np.zeros(len(means))
    )


def log_density(x: Array, gaussians: Gaussians, n_threads: int | None = None) -> Array:
    """(n,) log p(x) = top + log Σ_k exp(log p_k(x) - top), top the largest of them."""
    xp = array_namespace(x)
    return _by_rows(lambda _, found: _log_densities(xp, found), x, gaussians)


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

    def shares(_: slice, found: _Densities) -> Array:
        ratios = xp.astype(found.ratios, xp.float64, copy=False)
        return xp.matrix_transpose(ratios / xp.sum(ratios, axis=0))

    return _by_rows(shares, x, gaussians)


def nearest(
    x: Array, centers: np.ndarray, n_threads: int | None = None
) -> tuple[Array, Array]:
    """(n,) argmin_k |x - c_k|² and (n,) that smallest squared distance."""
    xp, form = array_namespace(x), Gaps(x, centers, None, full=True)
    best, distances = [], []
    with np.errstate(all="ignore"):
        for rows in chunks(x, form.width):
            squares = xp.sum(form.rows(x[rows, :]) ** 2, axis=2)
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
    xp, gaps = array_namespace(x), Gaps(x, gaussians.means, None, full=True)
    linear, shifts, zero = (to_device(a, x, xp.float64) for a in (linear, shifts, 0.0))

    def apply(rows: slice, found: _Densities) -> Array:
        images = times(xp, linear, gaps.rows(x[rows, :])) + shifts[:, None, :]
        shares = (found.ratios / found.total)[:, :, None]
        # 0 times infinity would be NaN.
        terms = xp.where(shares > 0.0, shares * images, zero)
        return xp.sum(terms, axis=0)

    return _by_rows(apply, x, gaussians, gaps.width)


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
    tables = [to_device(array, x, xp.float64) for array in (centers, linear, shifts)]
    out = []
    with np.errstate(all="ignore"):
        for rows in chunks(x, math.prod(linear.shape[1:])):
            chosen = index[rows]
            center, matrix, shift = (xp.take(a, chosen, axis=0) for a in tables)
            gaps = xp.astype(x[rows, :], xp.float64, copy=False) - center
            out.append(times(xp, matrix, gaps[:, None, :])[:, 0, :] + shift)
    return xp.concat(out)


def fourth_moment(
    x: Array,
    sample_weight: Array | None,
    center: np.ndarray,
    units: np.ndarray,
    n_threads: int | None = None,
) -> float:
    """Σ_i w_i |(x_i - center) / units|⁴; a feature of unit inf adds nothing."""
    xp = array_namespace(x)
    shift, scale = (to_device(a, x, xp.float64) for a in (center, 1.0 / units))
    total = _zeros(x)
    with np.errstate(all="ignore"):
        for rows in chunks(x, x.shape[1]):
            gaps = xp.astype(x[rows, :], xp.float64, copy=False) - shift
            squares = xp.sum((gaps * scale) ** 2, axis=1)
            total = total + xp.sum(_weights(sample_weight, x, rows) * squares**2)
    return float(to_host(total))


class _Totals:
    """Sums over chunks, which stay on the device until all are there."""

    def __init__(self, x: Array, n_components: int, n_sums: int) -> None:
        self.xp = array_namespace(x)
        self.sums = _zeros(x, n_components, n_sums)
        self.likelihood, self.mass, self.lowest = (_zeros(x, 1) for _ in range(3))
        self.lost = _zeros(x, n_components)

    def add(
        self,
        sums: Array,
        likelihood: Array,
        mass: Array | float,
        lowest: Array,
        lost: Array | None,
    ) -> None:
        """Add those of a chunk; of the lowest log densities the least is kept."""
        self.sums += sums
        self.likelihood += likelihood
        self.mass += mass
        self.lowest = self.xp.minimum(self.lowest, lowest)
        if lost is not None:
            self.lost += lost

    def on_host(self) -> list[np.ndarray]:
        """All of them at once: this is where the host waits for the device."""
        flat = self.xp.reshape(self.sums, (-1,))
        parts = (flat, self.likelihood, self.mass, self.lowest, self.lost)
        ends = np.cumsum([part.shape[0] for part in parts])[:-1]
        return np.split(to_host(self.xp.concat(parts)), ends)


def _times(values: Array, w: Array | None) -> Array:
    return values if w is None else w * values


def _densities_under(
    gaussians: Gaussians,
    form: Gaps | Products,
    x: Array,
    faded: dict[str, float] = _FADED,
) -> Callable[[slice], _Densities]:
    """What gives the densities of a chunk of rows under a mixture."""
    xp, highest = array_namespace(x), float(gaussians.offsets.max())
    offsets = to_device((gaussians.offsets - highest)[:, None], x, form.dtype)
    log = faded["float32" if form.dtype == xp.float32 else "float64"]
    # A little more than the ratio of what faded, whose difference is below 0.
    cut = (1.0 + 1e-5) * math.exp(log)
    lowest, ratio, zero = (to_device(value, x, form.dtype) for value in (log, cut, 0.0))

    def density_of(chunk: slice) -> _Densities:
        rows = form.rows(x[chunk, :])
        joint = form.exponents(rows)
        joint += offsets
        top = xp.max(joint, axis=0)
        # Exponentials of what is lower are too small to matter, and slow.
        ratios = xp.exp(xp.maximum(joint - top, lowest))
        ratios -= ratio
        ratios = xp.maximum(ratios, zero)
        return _Densities(rows, joint, top, ratios, xp.sum(ratios, axis=0), highest)

    return density_of


def _log_densities(xp: Any, found: _Densities) -> Array:
    """(c,) log p(x), in float64."""
    above = found.top + xp.log(found.total)
    return xp.astype(above, xp.float64, copy=False) + found.highest


def _weighted(xp: Any, found: _Densities, w: Array | None) -> Array:
    """(K, c) w r_k, in the floating type of the densities, in place of their ratios."""
    shares = 1.0 / xp.astype(found.total, xp.float64, copy=False)
    ratios = found.ratios
    ratios *= xp.astype(_times(shares, w), ratios.dtype, copy=False)
    return ratios


def _lowest(xp: Any, found: _Densities) -> Array:
    """(1,) the lowest of the largest log densities of the rows; NaN stays NaN."""
    if found.top.shape[0] == 0:
        return xp.zeros((1,), dtype=xp.float64, device=device(found.top))
    return xp.reshape(xp.astype(xp.min(found.top), xp.float64), (1,))


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


def _first_sound(
    attempt: Callable[[Any], tuple[_Result, bool]], forms: list[Gaps | Products]
) -> _Result:
    """attempt(form) of the first form that says it was right for these rows."""
    with np.errstate(all="ignore"):  # what overflows is cut where it matters
        for form in forms[:-1]:
            found, sound = attempt(form)
            if sound:
                return found
        return attempt(forms[-1])[0]


def _by_rows(
    function: Callable[[slice, _Densities], Array],
    x: Array,
    gaussians: Gaussians,
    width: int = 1,
) -> Array:
    """function(rows, densities) of all chunks, one after the other in one array."""
    xp = array_namespace(x)

    def attempt(form: Gaps | Products) -> tuple[Array, bool]:
        density_of, out, lowest = _densities_under(gaussians, form, x), [], _zeros(x, 1)
        for rows in chunks(x, max(form.width, width)):
            found = density_of(rows)
            out.append(function(rows, found))
            lowest = xp.minimum(lowest, _lowest(xp, found))
        sound = form.farthest == -np.inf or to_host(lowest)[0] > form.farthest
        return xp.concat(out), bool(sound)

    return _first_sound(attempt, forms_for(x, gaussians))


def _weights(sample_weight: Array | None, x: Array, rows: slice) -> Array:
    """Weights of rows in float64, 1 where none are given."""
    xp = array_namespace(x)
    if sample_weight is None:
        n_rows = x[rows, :].shape[0]
        return xp.ones(n_rows, dtype=xp.float64, device=device(x))
    return xp.astype(sample_weight[rows], xp.float64, copy=False)


def _zeros(x: Array, *shape: int) -> Array:
    """Zeros in float64, of the kind of x and where x is."""
    xp = array_namespace(x)
    return xp.zeros(shape, dtype=xp.float64, device=device(x))
