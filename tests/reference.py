"""Slow truth for what MW2 is: double loops and general solvers of SciPy.

Nothing here is taken from the package, and nothing is clever. Mixtures are tuples
(weights, means, covariances).
"""

from decimal import Decimal, localcontext

import numpy as np
from scipy.linalg import pinv, sqrtm
from scipy.optimize import linprog, minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal


def root(matrix):
    """Symmetric root of a positive semi-definite matrix."""
    return np.real(sqrtm(matrix))


def gaussian_cost(mean0, covariance0, mean1, covariance1):
    """Squared W2 between two Gaussians by the trace formula."""
    middle = root(covariance0)
    cross = root(middle @ covariance1 @ middle)
    spread = np.trace(covariance0) + np.trace(covariance1) - 2.0 * np.trace(cross)
    return np.sum((mean0 - mean1) ** 2) + spread


def component_costs(source, target):
    """Squared W2 between all components."""
    costs = np.empty((len(source[0]), len(target[0])))
    for k in range(len(source[0])):
        for j in range(len(target[0])):
            costs[k, j] = gaussian_cost(
                source[1][k], source[2][k], target[1][j], target[2][j]
            )
    return costs


def exact_value(costs, a, b):
    """Value of the balanced programme without entropy, by linear programming."""
    k0, k1 = costs.shape
    constraints = np.zeros((k0 + k1, k0 * k1))
    for k in range(k0):
        for j in range(k1):
            constraints[k, k * k1 + j] = 1.0
            constraints[k0 + j, k * k1 + j] = 1.0
    result = linprog(
        costs.ravel() / costs.max(), A_eq=constraints, b_eq=np.concatenate([a, b])
    )
    return result.fun * costs.max()


def divergence(f, g):
    """KL(f | g), the generalised one."""
    total = 0.0
    for x, y in zip(np.ravel(f), np.ravel(g), strict=True):
        total += (x * np.log(x / y) if x > 0.0 else 0.0) - x + y
    return total


def sides(reg_m):
    """The penalties of both sides, infinity on a balanced one."""
    pair = reg_m if isinstance(reg_m, tuple) else (reg_m, reg_m)
    return tuple(np.inf if side is None else side for side in pair)


def plan_value(coupling, costs, a, b, reg=0.0, reg_m=None):
    """The objective at a coupling; balanced marginals are not checked."""
    value = np.sum(coupling * costs)
    if reg > 0.0:
        value += reg * divergence(coupling, np.outer(a, b))
    rho0, rho1 = sides(reg_m)
    if np.isfinite(rho0):
        value += rho0 * divergence(coupling.sum(axis=1), a)
    if np.isfinite(rho1):
        value += rho1 * divergence(coupling.sum(axis=0), b)
    return value


def sinkhorn(costs, a, b, reg, reg_m=None, max_sweeps=20_000):
    """Coupling of the entropic programme by plain sweeps until nothing moves.

    Half a sweep contracts by tanh(`cross(costs)` / (4 reg)) or better, but for one
    constant, which contracts by 1 / (1 + reg / rho): neither must be far above reg.
    """
    rho0, rho1 = sides(reg_m)
    damp0, damp1 = 1.0 / (1.0 + reg / rho0), 1.0 / (1.0 + reg / rho1)
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(max_sweeps):
        old = f
        f = -damp0 * reg * logsumexp((g - costs) / reg, axis=1, b=b)
        g = -damp1 * reg * logsumexp((f[:, None] - costs) / reg, axis=0, b=a[:, None])
        if np.max(np.abs(f - old)) < 1e-14 * (np.max(costs) + reg):
            return np.outer(a, b) * np.exp((f[:, None] + g - costs) / reg)
    raise RuntimeError(f"no convergence within {max_sweeps} sweeps")


def single_plan(costs, a, b, reg, reg_m):
    """Plan of shape (K,) to one component, and its value, in 50 digits."""

    def gap(p, q):
        return sum(
            (x * (x / y).ln() - x + y for x, y in zip(p, q, strict=True)), Decimal(0)
        )

    with localcontext(prec=50):
        costs, a = ([Decimal(float(x)) for x in values] for values in (costs, a))
        reg, b = Decimal(reg), Decimal(b)
        rho0, rho1 = (None if r is None else Decimal(r) for r in reg_m)
        plan = a
        if rho0 is not None:
            both = reg + rho0
            pairs = zip(a, costs, strict=True)
            shares = [x * (-c / both).exp() for x, c in pairs]
            total, growth = sum(shares), Decimal(0)
            if rho1 is not None:
                growth = total.ln() - rho0 / both * b.ln()
                growth *= both / (both + rho1)
            plan = [b * growth.exp() * x / total for x in shares]
        value = sum(x * c for x, c in zip(plan, costs, strict=True))
        value += reg * gap(plan, [x * b for x in a])
        if rho0 is not None:
            value += rho0 * gap(plan, a)
        if rho1 is not None:
            value += rho1 * gap([sum(plan)], [b])
        return np.array([float(x) for x in plan]), float(value)


def cross(costs):
    """The most that exchanging the targets of two sources can change their cost."""
    return np.ptp(costs[:, None] - costs, axis=2).max()


def penalised_value(costs, a, b, reg_m):
    """Value of the programme without entropy, by a general solver for its dual."""
    k0 = len(a)
    rho0, rho1 = sides(reg_m)

    def gain(potential, rho):
        if np.isfinite(rho):
            return rho * (1.0 - np.exp(-potential / rho)), np.exp(-potential / rho)
        return potential, np.ones_like(potential)

    def negative(x):
        (up0, slope0), (up1, slope1) = gain(x[:k0], rho0), gain(x[k0:], rho1)
        return -(a @ up0 + b @ up1), -np.concatenate([a * slope0, b * slope1])

    rows = [
        np.concatenate([np.eye(k0)[k], np.eye(len(b))[j]])
        for k in range(k0)
        for j in range(len(b))
    ]
    rows = -np.array(rows)
    constraint = {
        "type": "ineq",
        "fun": lambda x: costs.ravel() + rows @ x,
        "jac": lambda x: rows,
    }
    result = minimize(
        negative,
        np.zeros(k0 + len(b)),
        jac=True,
        constraints=constraint,
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    return -result.fun


def linear_map(covariance0, covariance1):
    """Linear part of the optimal map, by roots and the pseudo-inverse."""
    middle = root(covariance0)
    inverse = pinv(middle, rtol=1e-6)
    return inverse @ root(middle @ covariance1 @ middle) @ inverse


def posteriors(X, mixture):
    """Posterior probabilities, from densities."""
    logs = np.empty((len(X), len(mixture[0])))
    for k, (weight, mean, covariance) in enumerate(zip(*mixture, strict=True)):
        density = multivariate_normal(mean, covariance)
        for i, x in enumerate(X):
            logs[i, k] = np.log(weight) + density.logpdf(x)
    return np.exp(logs - logsumexp(logs, axis=1, keepdims=True))


def pair_image(x, source, target, k, j):
    """Image of one point under the optimal map from component k to component j."""
    return target[1][j] + linear_map(source[2][k], target[2][j]) @ (x - source[1][k])


def barycentric_map(X, source, target, coupling):
    """T_mean, by its formula."""
    shares = posteriors(X, source)
    moved = np.zeros(X.shape)
    for i, x in enumerate(X):
        for k in range(len(source[0])):
            mass = coupling[k].sum()
            if mass == 0.0:
                moved[i] += shares[i, k] * x
                continue
            for j in range(len(target[0])):
                image = pair_image(x, source, target, k, j)
                moved[i] += shares[i, k] * coupling[k, j] / mass * image
    return moved


def likeliest_map(X, source, target, coupling):
    """The map of the likeliest component to the largest entry of its row."""
    shares = posteriors(X, source)
    moved = np.empty(X.shape)
    for i, x in enumerate(X):
        k = np.argmax(shares[i])
        moved[i] = pair_image(x, source, target, k, np.argmax(coupling[k]))
    return moved


def framed_map(move, X, source, target, coupling, matrix, shift, metric):
    """A map of this file where costs compare D^-1/2 (A x + b) with D^-1/2 y."""
    scales = 1.0 / np.sqrt(metric)

    def seen(mixture, linear, offset):
        weights, means, covariances = mixture
        covariances = np.array([linear @ c @ linear.T for c in covariances])
        return weights, means @ linear.T + offset, covariances

    aligned = scales[:, None] * matrix
    ends = (
        seen(source, aligned, scales * shift),
        seen(target, np.diag(scales), np.zeros(len(scales))),
    )
    return move(X @ aligned.T + scales * shift, *ends, coupling) / scales


def shrunk_covariances(covariances, common, counts):
    """Each covariance drawn to `common` by as much as its difference may be noise."""
    d = len(common)
    whitener = np.linalg.inv(root(common))
    drawn = []
    for covariance, n in zip(covariances, counts, strict=True):
        seen = whitener @ covariance @ whitener
        noise = max(np.trace(seen), d) ** 2 + max(np.trace(seen @ seen), d)
        gap = np.square(seen - np.eye(d)).sum()
        share = min(1.0, noise / (max(n, 1.0) * gap))
        drawn.append((1.0 - share) * covariance + share * common)
    return np.array(drawn)


def common_shares(covariances0, covariances1, weights, pair, gap, counts):
    """The map that pairs share, and its shares in that of a pair: of means, slopes."""
    within = [
        np.einsum("k,kij->ij", w, c)
        for w, c in zip(weights, (covariances0, covariances1), strict=True)
    ]
    common = linear_map(*within)
    moved, other = common @ covariances0[pair[0]] @ common, covariances1[pair[1]]
    inverse, d = np.linalg.inv((moved + other) / 2.0), len(gap)
    seen = inverse @ (other - moved)
    noise = 1.0 / counts[0] + 1.0 / counts[1]
    shares = []
    for p, statistic in (
        (d, gap @ inverse @ gap),
        (d * (d + 1) // 2, np.trace(seen @ seen) / 2.0),
    ):
        factor = max(0, min(p, 2 * (p - 2)))
        shares.append(min(1.0, factor * noise / statistic))
    return common, *shares
