"""Compiled arithmetic on pairs: nuclear norms of factors, costs in two features."""

import math

import numpy as np

from skgmmot._jit import exact_allocating_kernel, exact_kernel
from skgmmot.kernels import plain
from skgmmot.linalg._singular import (
    LANES,
    add_singular_values,
    bidiagonalise,
    product,
)


@exact_kernel
def _load_groups(factors, start, stop, groups):
    """Copy factors start..stop (IN) into groups (OUT, flat); the last one pads."""
    d = factors.shape[1]
    for t in range(LANES):
        index = min(start + t, stop - 1)
        for m in range(d):
            for i in range(d):
                groups[(m * d + i) * LANES + t] = factors[index, m, i]


@exact_allocating_kernel
def _nuclear_norms(factors0, factors1, out):
    """out[k, l] (OUT) = nuclear norm of L1ᵀ L0 of factors (IN) of length about 1.

    NaN where it was not found.
    """
    d, n = factors0.shape[1], len(factors1)
    groups, columns = np.empty(d * d * LANES), np.empty(d * d * LANES)
    squares, edges = np.empty((d, LANES)), np.empty((d, LANES))
    work, norms = np.empty((7, LANES)), np.empty(LANES)
    for start in range(0, n, LANES):
        stop = min(start + LANES, n)
        _load_groups(factors1, start, stop, groups)
        for k in range(len(factors0)):
            product(groups, factors0[k], columns)
            bidiagonalise(columns, squares, edges, work)
            add_singular_values(squares, edges, work, norms)
            for t in range(stop - start):
                out[k, start + t] = norms[t]


def _read_only(array: np.ndarray) -> np.ndarray:
    """A C-ordered view that cannot be written: one compiled signature for all kinds."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def compiled_pair_norms(factors0: np.ndarray, factors1: np.ndarray) -> np.ndarray:
    """(K0, K1) nuclear norms of L1ᵀ L0 for all pairs of (K, d, d) factors.

    On the thread of the caller, who has more than one such call to make.
    """
    sides = []
    for factors in (factors0, factors1):
        lengths = np.linalg.norm(factors, axis=(1, 2))
        lengths[lengths == 0.0] = 1.0  # squares of lengths stay far from overflow
        sides.append((lengths, _read_only(factors / lengths[:, None, None])))
    (lengths0, units0), (lengths1, units1) = sides
    out = np.empty((len(factors0), len(factors1)))
    _nuclear_norms(units0, units1, out)
    rows, columns = np.nonzero(np.isnan(out))
    if rows.size:
        products = np.swapaxes(units1[columns], 1, 2) @ units0[rows]
        out[rows, columns] = np.linalg.svd(products, compute_uv=False).sum(axis=1)
    return out * lengths0[:, None] * lengths1


# Part of the traces below which the trace formula loses more than three digits.
_NEAR = 1e-3
# What 1 less the absolute correlation is at least, unless a matrix is singular.
_SINGULAR = 8.0 * np.finfo(np.float64).eps
# Variances whose squares are far from the ends of the numbers.
_LEAST, _MOST = 1e-140, 1e140
_MOST_PAIRS = 65_536


@exact_kernel
def _planar_factors(covariances, factors):
    """factors (OUT, (K, 3)): entries of L = [[p, 0], [q, r]]; False at odd numbers."""
    for k in range(len(covariances)):
        for j in range(2):
            variance = covariances[k, j, j]
            if not (variance == 0.0 or _LEAST < variance < _MOST):
                return False
        first = math.sqrt(covariances[k, 0, 0])
        second = math.sqrt(covariances[k, 1, 1])
        correlation, rest = 0.0, 1.0
        if first > 0.0 and second > 0.0:
            correlation = covariances[k, 0, 1] / first / second
            rest = (1.0 - abs(correlation)) * (1.0 + abs(correlation))
            if 1.0 - abs(correlation) <= _SINGULAR:
                rest = 0.0
        factors[k, 0] = first
        factors[k, 1] = second * correlation
        factors[k, 2] = second * math.sqrt(rest)
    return True


@exact_kernel
def _planar_gap(p0, q0, r0, p1, q1, r1):
    """Squared distance of two Gaussians about one mean, by their factors.

    A 2 x 2 matrix L1ᵀ L0 is a rotation times a size and a reflection times a size: its
    nuclear norm is twice the larger size, its polar factor the part of that.
    """
    m00, m01 = p1 * p0 + q1 * q0, q1 * r0
    m10, m11 = r1 * q0, r1 * r0
    turn, flip = (m00 + m11, m10 - m01), (m00 - m11, m10 + m01)
    turned = math.sqrt(turn[0] * turn[0] + turn[1] * turn[1])
    flipped = math.sqrt(flip[0] * flip[0] + flip[1] * flip[1])
    size, sign = max(turned, flipped), -1.0 if turned >= flipped else 1.0
    traces = p0 * p0 + q0 * q0 + r0 * r0 + (p1 * p1 + q1 * q1 + r1 * r1)
    gap = traces - 2.0 * size
    if gap >= _NEAR * traces or size == 0.0:
        return gap
    if p0 == p1 and q0 == q1 and r0 == r1:
        return 0.0
    c, s = turn if turned >= flipped else flip
    c, s = c / size, s / size  # Q = [[c, sign s], [s, -sign c]]
    g00, g01 = p0 - p1 * c, -p1 * sign * s
    g10 = q0 - (q1 * c + r1 * s)
    g11 = r0 - (q1 * sign * s - r1 * sign * c)
    return g00 * g00 + g01 * g01 + g10 * g10 + g11 * g11


@exact_kernel
def _planar_costs(means0, means1, factors0, factors1, costs):
    """costs (OUT, (K0, K1)) of Gaussians in two features."""
    for k in range(len(means0)):
        for m in range(len(means1)):
            x, y = means0[k, 0] - means1[m, 0], means0[k, 1] - means1[m, 1]
            p0, q0, r0 = factors0[k, 0], factors0[k, 1], factors0[k, 2]
            p1, q1, r1 = factors1[m, 0], factors1[m, 1], factors1[m, 2]
            costs[k, m] = x * x + y * y + _planar_gap(p0, q0, r0, p1, q1, r1)


@exact_allocating_kernel
def _planar_squared_distances(means0, covariances0, means1, covariances1, costs):
    """costs (OUT); False where numbers ask for more care."""
    factors0, factors1 = np.empty((len(means0), 3)), np.empty((len(means1), 3))
    if not _planar_factors(covariances0, factors0):
        return False
    if not _planar_factors(covariances1, factors1):
        return False
    _planar_costs(means0, means1, factors0, factors1, costs)
    return True


def planar_squared_distances(
    means0: np.ndarray,
    covariances0: np.ndarray,
    means1: np.ndarray,
    covariances1: np.ndarray,
) -> np.ndarray | None:
    """Squared Wasserstein distances of all pairs in two features, in one call.

    None where there are other numbers of features, types or sizes: the general way,
    `skgmmot.linalg._bures.squared_distances`, is then to be gone. Its steps take
    thirty times the arithmetic of a few components.
    """
    arrays = (means0, covariances0, means1, covariances1)
    if means0.shape[1] != 2 or len(means0) * len(means1) > _MOST_PAIRS:
        return None
    if any(array.dtype != np.float64 for array in arrays):
        return None
    costs = np.empty((len(means0), len(means1)))
    found = _planar_squared_distances(*(plain(array) for array in arrays), costs)
    return costs if found else None
