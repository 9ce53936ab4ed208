"""Slow truth for the classifier: loops over rows and components, general solvers."""

import numpy as np
from reference import divergence, linear_map
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf


def powers(n_rounds):
    """Powers of the likelihoods in the rounds, the last of them 1."""
    found = [min(1.0, 0.3 + 0.07 * t) for t in range(n_rounds)]
    return [*found[:-1], 1.0]


def log_likelihoods(X, means, covariances):
    """log N(x_i; m_k, Σ_k)."""
    return np.array(
        [
            multivariate_normal(mean, covariance).logpdf(X)
            for mean, covariance in zip(means, covariances, strict=True)
        ]
    ).T


def posteriors(logs, weights):
    """Rows of sum 1."""
    joint = logs + np.log(weights)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def relaxed_weights(logs, weights, reg_m):
    """Weights c^(1-ρ) π^ρ by many small steps; for ρ = None those with c = π."""
    found = weights.copy()
    for _ in range(5000):
        shares = posteriors(logs, found).mean(axis=0)
        if reg_m is None:
            wanted = found * weights / shares
        else:
            wanted = shares ** (1.0 - reg_m) * weights**reg_m
        before, found = found, found**0.5 * wanted**0.5
        found = found / found.sum()
        if np.abs(found - before).max() < 1e-13:
            break
    return found


def share_objective(logits, logs, weights, reg_m):
    """Minus mean log-likelihood at free weights c plus ρ KL(c | π), over R by c."""
    R = np.exp(logits.reshape(logs.shape))
    R /= R.sum(axis=1, keepdims=True)
    shares = R.mean(axis=0)
    free = np.sum(R * (np.log(R) - np.log(shares) - logs)) / len(R)
    return free + reg_m * divergence(shares, weights)


def best_posteriors(logs, weights, reg_m):
    """Responsibilities that minimise `share_objective`, by a general solver."""
    result = minimize(
        share_objective,
        posteriors(logs, weights).ravel() * 0.0,
        args=(logs, weights, reg_m),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    R = np.exp(result.x.reshape(logs.shape))
    return R / R.sum(axis=1, keepdims=True)


def aligned(X_source, X_target, weights=None):
    """Source rows under the linear map between Ledoit-Wolf covariances."""
    if weights is None:
        mean, covariance = X_source.mean(axis=0), ledoit_wolf(X_source)[0]
    else:
        mean = weights @ X_source / weights.sum()
        covariance = weighted_ledoit_wolf(X_source - mean, weights)
    linear = linear_map(covariance, ledoit_wolf(X_target)[0])
    return (X_source - mean) @ linear.T + X_target.mean(axis=0)


def weighted_ledoit_wolf(centred, weights):
    """Ledoit and Wolf's estimate for rows that count `weights` times."""
    n, d = weights.sum(), centred.shape[1]
    S, noise = np.zeros((d, d)), 0.0
    for w, x in zip(weights, centred, strict=True):
        S += w * np.outer(x, x) / n
    for w, x in zip(weights, centred, strict=True):
        noise += w * np.sum((np.outer(x, x) - S) ** 2) / n**2
    target = np.trace(S) / d * np.eye(d)
    spread = np.sum((S - target) ** 2)
    share = min(noise, spread) / spread
    return (1.0 - share) * S + share * target


def neighbour_average(X, weights, part, size=6.0, n_others=5):
    """Rows (1 - part) e_i + part (mean over the neighbourhood of row i)."""
    n = len(X)
    size = min(size, np.sqrt(weights.sum()))
    average = np.zeros((n, n))
    for i in range(n):
        gaps = np.sum((X - X[i]) ** 2, axis=1)
        gaps[i] = -1.0  # itself first
        left, held = size, {}
        for j in np.argsort(gaps, kind="stable")[: n_others + 1]:
            held[j] = min(weights[j], left)
            left -= held[j]
        for j, mass in held.items():
            average[i, j] = part * mass / sum(held.values())
        average[i, i] += 1.0 - part
    return average


def own_scatters(X, R, means):
    """Σ_i r_ik (x_i - m_k)(x_i - m_k)ᵀ for each k."""
    scatters = np.zeros((len(means), X.shape[1], X.shape[1]))
    for i in range(len(X)):
        for k in range(len(means)):
            gap = X[i] - means[k]
            scatters[k] += R[i, k] * np.outer(gap, gap)
    return scatters


def pinned_em(X, anchors, f, w, reg_m, n_rounds, average=None):
    """Components after so many rounds: weights, means, covariances, R.

    Anchors with one covariance give components with one, those with one each likewise.
    """
    weights, anchor_means, anchor_covariances = anchors
    n, n_components, d = len(X), len(weights), X.shape[1]
    tied = np.ndim(anchor_covariances) == 2
    means, covariances = anchor_means.copy(), anchor_covariances.copy()
    for round_number, power in enumerate(powers(n_rounds)):
        dense = [covariances] * n_components if tied else covariances
        logs = power * log_likelihoods(X, means, dense)
        last = round_number == n_rounds - 1
        v = relaxed_weights(logs, weights, min(reg_m, 1.0) if last else reg_m)
        R = posteriors(logs, v)
        if last:
            return v, means, covariances, R
        R = R if average is None else average @ R
        counts = R.sum(axis=0)
        means = np.array(
            [
                (R[:, k] @ X + f * n * weights[k] * anchor_means[k])
                / (counts[k] + f * n * weights[k])
                for k in range(n_components)
            ]
        )
        scatters = own_scatters(X, R, means)
        if tied:
            covariances = scatters.sum(axis=0) + w * n * anchor_covariances
            covariances = covariances / (n + w * n)
            continue
        for k in range(n_components):
            scatters[k] += w * n * weights[k] * anchor_covariances[k]
        pool = scatters.sum(axis=0) / (n + w * n)
        covariances = np.array(
            [
                (scatters[k] + 10.0 * d * pool)
                / (counts[k] + w * n * weights[k] + 10.0 * d)
                for k in range(n_components)
            ]
        )
    raise ValueError("n_rounds: expected at least 1")


def class_anchors(Z, y, tied):
    """Shares, means, and the shrunk pooled covariance of classes or one each."""
    n_classes, d = y.max() + 1, Z.shape[1]
    means = np.array([Z[y == k].mean(axis=0) for k in range(n_classes)])
    counts = np.bincount(y)
    pooled = ledoit_wolf(Z - means[y], assume_centered=True)[0]
    if tied:
        return counts / len(y), means, pooled
    one_hot = np.eye(n_classes)[y]
    scatters = own_scatters(Z, one_hot, means) + 10.0 * d * pooled
    return counts / len(y), means, scatters / (counts + 10.0 * d)[:, None, None]


def classifier(X_source, y, X_target, *, f, w, reg_m, part, n_rounds, tied):
    """Posteriors of the target rows, with the alignment made twice."""
    average = neighbour_average(X_target, np.ones(len(X_target)), part)
    anchors = class_anchors(aligned(X_source, X_target), y, True)
    first = min(12, n_rounds)
    R = pinned_em(X_target, anchors, f, w, min(reg_m, 1.0), first, average)[3]
    ratios = np.maximum(R.mean(axis=0) / anchors[0], 0.1)
    anchors = class_anchors(aligned(X_source, X_target, ratios[y]), y, tied)
    return pinned_em(X_target, anchors, f, w, reg_m, n_rounds, average)[3]


def gain_of_alignment(X_source, y, X_target, linear, shift, free=True):
    """Mean log-likelihood of moved classes less that of the classes as they are.

    Both in the discriminant plane of the source, by SciPy's densities; shares by many
    steps of EM.
    """
    weights, means, within = class_anchors(X_source, y, True)
    between = np.zeros_like(within)
    for w, m in zip(weights, means - weights @ means, strict=True):
        between += w * np.outer(m, m)
    vectors = eigh(between, within)[1]  # of unit variance within
    axes = vectors[:, ::-1][:, : min(len(weights) - 1, X_source.shape[1])]

    def likelihood(means, within):
        densities = np.column_stack(
            [
                multivariate_normal(axes.T @ m, axes.T @ within @ axes).pdf(
                    X_target @ axes
                )
                for m in means
            ]
        )
        shares = weights
        for _ in range(2000 if free else 0):
            parts = shares * densities
            shares = (parts / parts.sum(axis=1, keepdims=True)).mean(axis=0)
        return np.log(densities @ shares).mean()

    moved = likelihood(means @ linear.T + shift, linear @ within @ linear.T)
    return moved - likelihood(means, within)


def kernel_probabilities(X_source, y, X_target):
    """Roots of sums of kernels of each class, row by row."""
    classes = np.unique(y)
    means = np.array([X_source[y == c].mean(axis=0) for c in classes])
    within = ledoit_wolf(X_source - means[y], assume_centered=True)[0]
    n, d = X_source.shape
    factor = (n / len(classes)) ** (-1.0 / (d + 4))
    kernel = multivariate_normal(np.zeros(d), factor**2 * within)
    found = []
    for x in X_target:
        near = kernel.logpdf(x - X_source)
        near = np.exp(near - near.max())
        sums = np.array([near[y == c].sum() for c in classes])
        found.append(np.sqrt(sums) / np.sqrt(sums).sum())
    return np.array(found)


def blended(parts, probabilities):
    """Means of probabilities of classes, by their parts."""
    total = sum(parts)
    return sum(
        part / total * values for part, values in zip(parts, probabilities, strict=True)
    )
