"""Slow truth for fitting mixtures: loops over rows and components, SciPy's densities.

Nothing here is taken from the package, and nothing is clever. Mixtures are tuples
(weights, means, covariances) with dense covariances (K, d, d).
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import multivariate_normal


def dense(covariances, covariance_type, n_components, d):
    """Covariances (K, d, d) from those that estimators store."""
    matrices = []
    for k in range(n_components):
        if covariance_type == "full":
            matrices.append(covariances[k])
        elif covariance_type == "tied":
            matrices.append(covariances)
        elif covariance_type == "diag":
            matrices.append(np.diag(covariances[k]))
        else:
            matrices.append(covariances[k] * np.eye(d))
    return np.array(matrices, dtype=np.float64)


def joint_logs(X, mixture):
    """(n, K) log of w_k N(x_i; m_k, C_k)."""
    weights, means, covariances = mixture
    logs = np.empty((len(X), len(weights)))
    for k in range(len(weights)):
        density = multivariate_normal(means[k], covariances[k])
        log_weight = np.log(weights[k]) if weights[k] > 0.0 else -np.inf
        logs[:, k] = log_weight + density.logpdf(X)
    return logs


def log_densities(X, mixture):
    """(n,) log p(x_i)."""
    return logsumexp(joint_logs(X, mixture), axis=1)


def posteriors(X, mixture):
    """(n, K) posterior probabilities."""
    logs = joint_logs(X, mixture)
    return np.exp(logs - logsumexp(logs, axis=1, keepdims=True))


def given_moments(X, responsibilities, means):
    """Counts, sums and outer products about given means."""
    n_components, d = means.shape
    counts, sums = np.zeros(n_components), np.zeros((n_components, d))
    outers = np.zeros((n_components, d, d))
    for i in range(len(X)):
        for k in range(n_components):
            shifted = X[i] - means[k]
            counts[k] += responsibilities[i, k]
            sums[k] += responsibilities[i, k] * shifted
            outers[k] += responsibilities[i, k] * np.outer(shifted, shifted)
    return counts, sums, outers


def moments(X, sample_weight, mixture):
    """Log-likelihood, mass, counts, sums and outer products about the means."""
    rows = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
    likelihood = 0.0
    for weight, value in zip(rows, log_densities(X, mixture), strict=True):
        likelihood += weight * value
    shares = posteriors(X, mixture) * rows[:, None]
    return likelihood, rows.sum(), *given_moments(X, shares, mixture[1])


def deletion_sums(X, sample_weight, mixture):
    """(K,) sum_i w_i log(1 - r_ik), from the densities of the other components."""
    rows = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
    logs = joint_logs(X, mixture)
    sums = np.zeros(logs.shape[1])
    for k in range(logs.shape[1]):
        others = np.delete(logs, k, axis=1)
        for i in range(len(X)):
            sums[k] += rows[i] * (logsumexp(others[i]) - logsumexp(logs[i]))
    return sums


def objective(X, mixture, price=0.0, sample_weight=None):
    """Weighted mean log-likelihood - price sum_j sqrt(w_j)."""
    mean = np.average(log_densities(X, mixture), weights=sample_weight)
    return mean - price * sum(np.sqrt(weight) for weight in mixture[0])


def without(mixture, k):
    """The mixture without component k, the other weights scaled to sum to 1."""
    weights, means, covariances = (np.delete(part, k, axis=0) for part in mixture)
    return weights / weights.sum(), means, covariances


def finish_covariances(outers, counts, covariance_type, reg_covar):
    """Dense covariances of a type from outer products about the new means."""
    n_components, d, _ = outers.shape
    if covariance_type == "tied":
        pooled = sum(outers) / sum(counts) + reg_covar * np.eye(d)
        return np.array([pooled] * n_components)
    matrices = []
    for k in range(n_components):
        matrix = outers[k] / counts[k]
        if covariance_type == "diag":
            matrix = np.diag(np.diag(matrix))
        elif covariance_type == "spherical":
            matrix = np.mean(np.diag(matrix)) * np.eye(d)
        matrices.append(matrix + reg_covar * np.eye(d))
    return np.array(matrices)


def em_step(X, mixture, covariance_type, reg_covar=0.0, price=0.0, sample_weight=None):
    """One step of EM; with a price the weights solve the majorised M-step."""
    rows = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
    shares = posteriors(X, mixture) * rows[:, None]
    counts = shares.sum(axis=0)
    means = np.array([shares[:, k] @ X / counts[k] for k in range(len(counts))])
    outers = given_moments(X, shares, means)[2]
    covariances = finish_covariances(outers, counts, covariance_type, reg_covar)
    weights = counts / counts.sum()
    if price > 0.0:
        weights = stationary_weights(weights, mixture[0], price)
    return weights, means, covariances


def stationary_weights(shares, weights, price, n_sweeps=2000):
    """Where v <- argmax_w sum r_j log w_j - price sum w_j / (2 sqrt(v_j)) settles."""
    for _ in range(n_sweeps):
        slopes = price / (2.0 * np.sqrt(weights))

        def excess(level, slopes=slopes):
            return np.sum(shares / (level + slopes)) - 1.0

        low = np.max(shares - slopes)
        high = low + 1.0
        while excess(high) > 0.0:
            high += 1.0
        level = low if excess(low) <= 0.0 else brentq(excess, low, high, xtol=1e-15)
        updated = shares / (level + slopes)
        if np.abs(updated - weights).max() < 1e-14:
            break
        weights = updated
    return updated


def expected_objective(shares, weights, price):
    """sum_j r_j log w_j - price sum_j sqrt(w_j), which the M-step raises."""
    total = 0.0
    for share, weight in zip(shares, weights, strict=True):
        if share > 0.0:
            total += share * np.log(weight)
        total -= price * np.sqrt(weight)
    return total


def apply_maps(X, mixture, linear, shifts):
    """(n, d) sum_k p_k(x) (A_k (x - m_k) + b_k)."""
    shares = posteriors(X, mixture)
    images = np.zeros(X.shape)
    for i in range(len(X)):
        for k in range(len(mixture[0])):
            image = linear[k] @ (X[i] - mixture[1][k]) + shifts[k]
            images[i] += shares[i, k] * image
    return images


def nearest(X, centers):
    """(n,) index of the nearest center and (n,) squared distance to it."""
    labels, distances = [], []
    for x in X:
        squares = [np.sum((x - center) ** 2) for center in centers]
        labels.append(int(np.argmin(squares)))
        distances.append(min(squares))
    return np.array(labels), np.array(distances)


def entropies(X, mixture):
    """(n,) entropy of the posteriors of each row, in nats."""
    values = []
    for row in posteriors(X, mixture):
        values.append(-sum(share * np.log(share) for share in row if share > 0.0))
    return np.array(values)


def n_free(covariance_type, n_components, d):
    """Free parameters, counted one by one."""
    per_matrix = {"full": d * (d + 1) // 2, "tied": d * (d + 1) // 2, "diag": d}
    matrices = 1 if covariance_type == "tied" else n_components
    covariances = matrices * per_matrix.get(covariance_type, 1)
    return (n_components - 1) + n_components * d + covariances


def criterion(name, X, mixture, covariance_type, sample_weight=None):
    """BIC, AIC or ICL of a mixture, with a sum over the rows."""
    rows = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
    likelihood = rows @ log_densities(X, mixture)
    free = n_free(covariance_type, *mixture[1].shape)
    if name == "aic":
        return -2.0 * likelihood + 2.0 * free
    value = -2.0 * likelihood + max(np.log(rows.sum()), 0.0) * free
    return value + (2.0 * rows @ entropies(X, mixture) if name == "icl" else 0.0)


def partitions(n, n_groups):
    """All ways to put n rows, in their order, into contiguous groups."""
    if n_groups == 1:
        return [[n]]
    found = []
    for last in range(1, n - n_groups + 2):
        found += [[*sizes, last] for sizes in partitions(n - last, n_groups - 1)]
    return found


def best_mixture_on_a_line(x, n_components, least, reg_covar, n_steps=100):
    """The best optimum of EM on sorted numbers, from every contiguous partition.

    Only ends where every component has at least `least` rows count.
    """
    X, best = np.sort(x)[:, None], None
    for sizes in partitions(len(X), n_components):
        if min(sizes) < least:
            continue
        labels = np.repeat(range(n_components), sizes)
        shares = np.eye(n_components)[labels]
        counts = shares.sum(axis=0)
        means = (shares.T @ X) / counts[:, None]
        outers = given_moments(X, shares, means)[2]
        covariances = finish_covariances(outers, counts, "full", reg_covar)
        mixture = counts / counts.sum(), means, covariances
        for _ in range(n_steps):
            mixture = em_step(X, mixture, "full", reg_covar)
        value = log_densities(X, mixture).sum()
        enough = posteriors(X, mixture).sum(axis=0).min() >= least
        if enough and (best is None or value > best[0]):
            best = value, mixture
    return best


def fourth_moment(X, sample_weight, center, units):
    """sum_i w_i |(x_i - center) / units|^4, row by row."""
    total = 0.0
    for i, x in enumerate(X.astype(np.float64)):
        square = sum(
            ((a - c) / u) ** 2 for a, c, u in zip(x, center, units, strict=True)
        )
        total += (1.0 if sample_weight is None else sample_weight[i]) * square**2
    return total


def squared_length(weights, covariances, logs, means, roots):
    """Squared length of a step of log weights, means (K, d) and roots of covariances.

    `covariances` are dense. Roots (K, d, d) are measured by the deviations of their
    components; (d, d), (K, d) and (K,) by the mean ones.
    """
    variances = np.array([np.diag(matrix) for matrix in covariances])
    total = sum(w * log**2 for w, log in zip(weights, logs, strict=True))
    for w, mean, variance in zip(weights, means, variances, strict=True):
        total += w * (mean**2 / variance).sum()
    if roots.ndim == 3:
        for w, root, variance in zip(weights, roots, variances, strict=True):
            total += w * (root**2 / variance[:, None]).sum()
        return total
    average = weights @ variances
    if roots.ndim == 1:  # spherical: the same in all features
        return total + (roots**2 / average[0]).mean()
    if covariances.shape[0] > 1 and (covariances == covariances[0]).all():  # tied
        return total + (roots**2 / average[:, None]).mean()
    return total + (roots**2 / average).mean()
