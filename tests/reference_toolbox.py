"""Slow truth for what is built on MW2: paths, flows, barycentres, lists.

As `reference.py`: plain loops and general solvers, nothing of the package.
"""

from itertools import product

import numpy as np
import reference
from scipy.optimize import linprog


def interpolation(source, target, t, coupling):
    """The geodesic by its formula, pair by pair."""
    weights, means, covariances = [], [], []
    for k in range(len(source[0])):
        for j in range(len(target[0])):
            if coupling[k, j] > 0.0:
                middle = (1.0 - t) * np.eye(source[1].shape[1]) + t * (
                    reference.linear_map(source[2][k], target[2][j])
                )
                weights.append(coupling[k, j])
                means.append((1.0 - t) * source[1][k] + t * target[1][j])
                covariances.append(middle @ source[2][k] @ middle)
    return np.array(weights), np.array(means), np.array(covariances)


def squared_mw2(source, target):
    """MW2² by costs and linear programming."""
    costs = reference.component_costs(source, target)
    if costs.max() <= 0.0:
        return 0.0
    return reference.exact_value(costs, source[0], target[0])


def flow_directions(source, target, coupling, potential):
    """Steepest descent in the metric of the flow, with weights of unit length.

    Returns the velocities of weights and means, the symmetric fields S of the
    covariances, and the three squared lengths of the gradient.
    """
    weights, means, covariances = source
    slopes = potential - weights @ potential
    lengths = [np.sum(weights * slopes**2), 0.0, 0.0]
    velocities, fields = np.zeros_like(means), np.zeros_like(covariances)
    for k in range(len(weights)):
        for j in range(len(target[0])):
            share = 2.0 * coupling[k, j] / weights[k]
            velocities[k] += share * (target[1][j] - means[k])
            linear = reference.linear_map(covariances[k], target[2][j])
            fields[k] += share * (linear - np.eye(means.shape[1]))
        lengths[1] += weights[k] * np.sum(velocities[k] ** 2)
        lengths[2] += weights[k] * np.trace(fields[k] @ covariances[k] @ fields[k])
    return -weights * slopes, velocities, fields, lengths


def gaussian_barycenter(covariances, weights, n_iter=2000):
    """Barycentre of regular covariances by the fixed point with inverse roots."""
    current = np.mean(covariances, axis=0)
    for _ in range(n_iter):
        root = reference.root(current)
        inverse = np.linalg.inv(root)
        total = np.zeros_like(current)
        for weight, covariance in zip(weights, covariances, strict=True):
            total += weight * reference.root(root @ covariance @ root)
        current = inverse @ total @ total @ inverse
    return current


def barycenter_value(mixtures, weights, n_iter=60):
    """Least objective of a barycentre, by a dense multi-marginal programme."""
    tuples = list(product(*(range(len(mixture[0])) for mixture in mixtures)))
    costs, columns = [], []
    for members in tuples:
        means = [mixture[1][k] for mixture, k in zip(mixtures, members, strict=True)]
        spreads = [mixture[2][k] for mixture, k in zip(mixtures, members, strict=True)]
        mean = np.tensordot(weights, means, 1)
        spread = gaussian_barycenter(spreads, weights, n_iter)
        costs.append(
            sum(
                weight * reference.gaussian_cost(mean, spread, m, s)
                for weight, m, s in zip(weights, means, spreads, strict=True)
            )
        )
        column = [np.zeros(len(mixture[0])) for mixture in mixtures]
        for one, k in zip(column, members, strict=True):
            one[k] = 1.0
        columns.append(np.concatenate(column))
    right = np.concatenate([mixture[0] for mixture in mixtures])
    return linprog(costs, A_eq=np.array(columns).T, b_eq=right).fun


def barycenter_objective(barycenter, mixtures, weights):
    """Weighted sum of squared distances."""
    return sum(
        weight * squared_mw2(barycenter, mixture)
        for weight, mixture in zip(weights, mixtures, strict=True)
    )


def unbalanced_interpolation(source, target, t, coupling, largest):
    """Pairs made up for what the plan lacks, up to a bound; the rest fades in place."""
    rows, columns = coupling.sum(axis=1), coupling.sum(axis=0)
    a, b = source[0] / rows, target[0] / columns
    first, last = np.zeros_like(coupling), np.zeros_like(coupling)
    for k, j in np.ndindex(*coupling.shape):
        kept = coupling[k, j] * min(1.0, largest / np.sqrt(a[k] * b[j]))
        first[k, j], last[k, j] = kept * a[k], kept * b[j]
    _, means, covariances = interpolation(source, target, t, coupling)
    masses = (first + last) / (first + last).sum()
    of_targets = of_sources = 0.0
    for k, j in np.argwhere(masses > 0.0):
        of_targets -= masses[k, j] * np.log(masses[k, j] / masses[k].sum())
        of_sources -= masses[k, j] * np.log(masses[k, j] / masses[:, j].sum())
    both = of_targets + of_sources
    branching = of_targets / both if both > 0.0 else 1.0
    weights = [
        branching * last[k, j] * (first[k].sum() / last[k].sum()) ** (1.0 - t)
        + (1.0 - branching) * first[k, j] * (last[:, j].sum() / first[:, j].sum()) ** t
        for k, j in np.ndindex(*coupling.shape)
        if coupling[k, j] > 0.0
    ]
    weights += list((1.0 - t) * (source[0] - first.sum(axis=1)))
    weights += list(t * (target[0] - last.sum(axis=0)))
    return (
        np.array(weights) / np.sum(weights),
        np.concatenate([means, source[1], target[1]]),
        np.concatenate([covariances, source[2], target[2]]),
    )
