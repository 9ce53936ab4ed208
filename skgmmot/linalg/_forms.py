"""Compiled algebra of K components, which runs in every iteration of a fit.

Two forms are known, by the number of axes: stacks of matrices (S, d, d), and variances
(S, d) with their roots. A stack of one matrix (1, d, d) is shared by all components, as
is a column of one variance (K, 1) by all features: tied and spherical covariances need
nothing else. Interpreted steps would cost thirty times their arithmetic where
components and features are few.

Arguments are marked IN or OUT; nothing is allocated. What a matrix cannot be factorised
for is told by False.
"""

import math

import numpy as np

from skgmmot._jit import exact_kernel, kernel

_TINY_COUNT = 10.0 * np.finfo(np.float64).eps  # keeps empty components finite
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@exact_kernel
def add_least(counts, safe):
    """safe (OUT) = counts that can be divided by, for components without any row."""
    total = 0.0
    for k in range(len(counts)):
        total += counts[k]
    for k in range(len(counts)):
        safe[k] = counts[k] + _TINY_COUNT * min(1.0, total)


@exact_kernel
def move(safe, sums, weights, means):
    """weights (OUT) = shares of the rows; means (IN, OUT) go to those of the rows."""
    mass = 0.0
    for k in range(len(safe)):
        mass += safe[k]
    for k in range(len(safe)):
        weights[k] = safe[k] / mass
        for j in range(sums.shape[1]):
            means[k, j] += sums[k, j] / safe[k]


@exact_kernel
def covariances_of(safe, sums, seconds, reg_covar, covariances):
    """covariances (OUT) about the new means, with reg_covar (d,) on their diagonals."""
    covariances[:] = 0.0
    if covariances.ndim == 2:
        _add_variances(safe, sums, seconds, reg_covar, covariances)
        return
    _add_matrices(safe, sums, seconds, covariances)
    for s in range(covariances.shape[0]):
        for i in range(covariances.shape[1]):
            covariances[s, i, i] += reg_covar[i]
            for j in range(i):
                covariances[s, j, i] = covariances[s, i, j]


@exact_kernel
def _add_matrices(safe, sums, seconds, covariances):
    """Lower triangles of covariances (IN, OUT); one for all is pooled."""
    n_components = len(safe)
    shared = covariances.shape[0] < n_components
    mass = 0.0
    for k in range(n_components):
        mass += safe[k]
    for k in range(n_components):
        divisor, s = (mass, 0) if shared else (safe[k], k)
        for i in range(sums.shape[1]):
            shift = sums[k, i] / safe[k]
            for j in range(i + 1):
                centered = seconds[k, i, j] - shift * sums[k, j]
                covariances[s, i, j] += centered / divisor


@exact_kernel
def _add_variances(safe, sums, seconds, reg_covar, variances):
    """variances (IN, OUT); one for all features is their mean."""
    d = sums.shape[1]
    shared = variances.shape[1] < d
    for k in range(len(safe)):
        for j in range(d):
            centered = seconds[k, j] - sums[k, j] * (sums[k, j] / safe[k])
            variance = max(centered, 0.0) / safe[k] + reg_covar[j]
            if shared:
                variances[k, 0] += variance / d
            else:
                variances[k, j] = variance


@kernel
def _cholesky(matrix, root):
    """root (OUT) L, lower triangular, L Lᵀ = matrix; it may be the matrix itself."""
    d = matrix.shape[0]
    for i in range(d):
        for j in range(i):
            dot = 0.0
            for m in range(j):
                dot += root[i, m] * root[j, m]
            root[i, j] = (matrix[i, j] - dot) / root[j, j]
        dot = 0.0
        for m in range(i):
            dot += root[i, m] * root[i, m]
        pivot = matrix[i, i] - dot
        if not pivot > 0.0:
            return False
        root[i, i] = math.sqrt(pivot)
        for j in range(i + 1, d):
            root[i, j] = 0.0
    return True


@kernel
def factorise(covariances, factors, room):
    """factors (OUT) U, upper triangular, Σ⁻¹ = U Uᵀ, or 1 / σ of variances.

    room is (d + 1, d). What is singular is decided on correlations.
    """
    factors[:] = 0.0
    if covariances.ndim == 3:
        for s in range(covariances.shape[0]):
            if not _factorise(covariances[s], factors[s], room[:-1], room[-1]):
                return False
        return True
    for s in range(covariances.shape[0]):
        for j in range(covariances.shape[1]):
            if not covariances[s, j] > 0.0:
                return False
            factors[s, j] = 1.0 / math.sqrt(covariances[s, j])
    return True


@kernel
def _factorise(covariance, factor, root, scales):
    """One factor (OUT, zeros before)."""
    if not _correlate(covariance, scales, root) or not _cholesky(root, root):
        return False
    d = len(scales)
    for i in range(d):  # the inverse of the root, a row of it a column of the factor
        scale = 1.0 / root[i, i]
        for j in range(i):
            dot = 0.0
            for m in range(j, i):
                dot += root[i, m] * factor[j, m]
            factor[j, i] = -scale * dot
        factor[i, i] = scale
    for j in range(d):
        for i in range(j, d):
            factor[j, i] /= scales[j]
    return True


@exact_kernel
def _correlate(covariance, scales, correlations):
    """Deviations (OUT) and the lower triangle of the correlations (OUT)."""
    for i in range(len(scales)):
        if not covariance[i, i] > 0.0:
            return False
        scales[i] = math.sqrt(covariance[i, i])
        for j in range(i + 1):
            # Two divisions: the product of two small scales could underflow.
            correlations[i, j] = covariance[i, j] / scales[i] / scales[j]
    return True


@kernel
def densities_of(weights, factors, offsets, whiteners):
    """offsets and whiteners (OUT) of all components, as kernels read them.

    A weight of 0 is a density of 0.
    """
    n_components, d = len(weights), whiteners.shape[1]
    for k in range(n_components):
        s = min(k, factors.shape[0] - 1)
        log_det = 0.0
        for i in range(d):
            if whiteners.ndim == 3:
                log_det += math.log(factors[s, i, i])
                for j in range(d):
                    whiteners[k, i, j] = factors[s, j, i]
            else:
                scale = factors[s, min(i, factors.shape[1] - 1)]
                log_det += math.log(scale)
                whiteners[k, i] = scale
        log_weight = math.log(weights[k]) if weights[k] > 0.0 else -math.inf
        offsets[k] = log_weight + log_det - d * _HALF_LOG_2PI


@kernel
def roots_of(covariances, roots):
    """roots (OUT): Cholesky factors, or deviations."""
    if covariances.ndim == 2:
        for s in range(roots.shape[0]):
            for j in range(roots.shape[1]):
                roots[s, j] = math.sqrt(covariances[s, j])
        return True
    found = True
    for s in range(covariances.shape[0]):
        found = found and _cholesky(covariances[s], roots[s])
    return found


@kernel
def squared_length(weights, covariances, logs, means, roots):
    """Squared length of a step of log weights, means and roots.

    In the metric of the components: their weights and deviations. Roots that are not
    one matrix for each component are measured by the mean deviations.
    """
    n_components, d = means.shape
    total = 0.0
    for k in range(n_components):
        part = logs[k] * logs[k]
        for i in range(d):
            step = means[k, i]
            part += step * step / _variance(covariances, k, i)
        total += weights[k] * part
    if roots.ndim == 3 and roots.shape[0] == n_components:
        for k in range(n_components):
            for i in range(d):
                part = 0.0
                for j in range(i + 1):
                    part += roots[k, i, j] * roots[k, i, j]
                total += weights[k] * part / covariances[k, i, i]
        return total
    part = 0.0
    for i in range(roots.shape[1]):
        mean = 0.0
        for k in range(n_components):
            mean += weights[k] * _variance(covariances, k, i)
        part += _squares_of_column(roots, i) / mean
    return total + part / roots.size


@kernel
def _variance(covariances, k, i):
    """Variance of feature i in component k."""
    if covariances.ndim == 3:
        return covariances[min(k, covariances.shape[0] - 1), i, i]
    return covariances[k, min(i, covariances.shape[1] - 1)]


@kernel
def _squares_of_column(roots, i):
    """Summed squares of the roots that a feature's variance measures."""
    total = 0.0
    if roots.ndim == 3:
        for j in range(i + 1):
            total += roots[0, i, j] * roots[0, i, j]
    else:
        for k in range(roots.shape[0]):
            total += roots[k, i] * roots[k, i]
    return total


@exact_kernel
def is_mixture(weights, means, covariances, tolerance, root, scales):
    """Whether weights, means and covariances are beyond doubt those of a mixture.

    Finite, weights of sum 1, covariances symmetric to the tolerance and positive
    definite. Where this is False, slower checks decide, or say what is wrong. root is
    room (d, d), scales (d,).
    """
    total = 0.0
    for k in range(len(weights)):
        if not weights[k] >= 0.0:
            return False
        total += weights[k]
        for j in range(means.shape[1]):
            if not abs(means[k, j]) < math.inf:
                return False
    if not abs(total - 1.0) <= tolerance:
        return False
    for k in range(len(weights)):
        if not _correlate(covariances[k], scales, root):
            return False
        for i in range(len(scales)):
            if not scales[i] < math.inf:
                return False
            for j in range(i):
                skew = abs(covariances[k, i, j] - covariances[k, j, i])
                if not skew <= tolerance * scales[i] * scales[j]:
                    return False
        if not _cholesky(root, root):
            return False
    return True
