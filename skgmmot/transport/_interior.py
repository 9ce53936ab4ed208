"""Interior-point method for transport with penalised marginals and no entropy.

It maximises the dual Σ a φ0(f) + Σ b φ1(g) subject to f_k + g_l ≤ C_kl, a smooth
concave function of K0 + K1 numbers; the multipliers of the constraints are the
coupling. A path-following method needs some 25 steps, whatever the costs.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

# Slack, in units of the largest cost, that is 0 to rounding.
_TIGHT = 1e-13
_LARGEST_LOG = 230.0  # of 1e100, whose square is finite too


def concave(potential, slope):
    """Return φ(f) = rho (1 - exp(-f / rho)), slope = 1 / rho; f itself if it is 0."""
    if slope == 0.0:
        return potential
    return -np.expm1(np.minimum(-slope * potential, _LARGEST_LOG)) / slope


def growth(potential, slope):
    """Return exp(-f / rho), what a marginal is of its weight; cut at 1e100."""
    return np.exp(np.minimum(-slope * potential, _LARGEST_LOG))


def divergence(logs):
    """KL(p | q) / q for log(p / q): x eˣ - eˣ + 1, right near 0 and far below."""
    logs = np.maximum(logs, -745.0)
    return logs * np.exp(logs) - np.expm1(logs)


def interior_point(costs, a, b, slopes, max_iter=200):
    """Return the potentials (f, g) of the programme without entropy.

    Primal-dual path following: P s = μ for slacks s = C - f - g, and μ falls by 10 a
    step. All iterates are dual feasible, so the largest dual value is the best one.

    Parameters
    ----------
    costs : ndarray of shape (K0, K1)
        With largest absolute value about 1.
    a, b : ndarray of shape (K0,) and (K1,)
        Positive weights.
    slopes : tuple of two floats
        1 / rho for each side; 0 on a balanced side, but not on both.
    max_iter : int, default=200
        Bound on the steps.

    Returns
    -------
    f, g : ndarray of shape (K0,) and (K1,)
    """
    weights = a, b
    f, g = _feasible_start(costs, slopes)
    slacks = costs - f[:, None] - g
    rows, columns = _marginals((f, g), weights, slopes)
    coupling = min(rows.sum(), columns.sum()) / np.sum(1.0 / slacks) / slacks
    best, best_f, best_g, idle = -np.inf, f, g, 0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(max_iter):
            value = a @ concave(f, slopes[0]) + b @ concave(g, slopes[1])
            gap = np.sum(coupling * slacks)
            if not np.isfinite(value + gap):
                break
            late = gap < 1e-9 * abs(best)
            idle = idle + 1 if late and value <= best else 0
            if value > best:
                best, best_f, best_g = value, f, g
            if idle >= 3 or gap < 1e-16 * abs(value):
                break
            f, g, coupling, slacks = _path_step(
                (f, g), coupling, slacks, weights, slopes
            )
    return best_f, best_g


def polish(costs, a, b, slopes, f, g):
    """Make potentials near the optimum tight, and the masses of connected parts equal.

    What is left of the path in a small weight no longer shows in the dual value, but
    mass that is left over in one part has to be sent to another at any cost. Along the
    constant of each part the best step is known in closed form; where a constraint
    stops it, two parts become one. Each step raises the dual.

    Parameters
    ----------
    costs, a, b, slopes
        As in `interior_point`.
    f, g : ndarray of shape (K0,) and (K1,)
        Feasible potentials.

    Returns
    -------
    f, g : ndarray of shape (K0,) and (K1,)
        Feasible to rounding.
    """
    g = (costs - f[:, None]).min(axis=0)
    f = (costs - g).min(axis=1)
    for _ in range(sum(costs.shape)):
        slacks = costs - f[:, None] - g
        left, right = _parts(slacks <= _TIGHT)
        shifts = _log_masses(left, a, slopes[0], f) - _log_masses(
            right, b, slopes[1], g
        )
        shifts /= sum(slopes)
        moves = shifts[left][:, None] - shifts[right]
        stops = moves > np.maximum(slacks, _TIGHT)
        step = np.min(slacks[stops] / moves[stops], initial=1.0)
        f, g = f + step * shifts[left], g - step * shifts[right]
        if step == 1.0:
            break
    return f, g


def _parts(links):
    """Number the connected parts of a bipartite graph; return those of both sides."""
    n_rows, n_columns = links.shape
    rows, columns = np.nonzero(links)
    n_nodes = n_rows + n_columns
    graph = csr_array((np.ones(len(rows)), (rows, n_rows + columns)), (n_nodes,) * 2)
    labels = connected_components(graph, directed=False)[1]
    return labels[:n_rows], labels[n_rows:]


def _log_masses(parts, weights, slope, potential):
    """Return the logarithm of Σ w exp(-f / rho) over each part."""
    masses = np.full(parts.max() + 1, -np.inf)
    np.logaddexp.at(masses, parts, np.log(weights) - slope * potential)
    return masses


def _marginals(potentials, weights, slopes):
    """Return the marginals that the potentials ask for, a exp(-f / rho)."""
    return tuple(
        w * np.exp(-s * p) for p, w, s in zip(potentials, weights, slopes, strict=True)
    )


def _feasible_start(costs, slopes):
    """Return f + g < C that leaves at least 1e-6 of its weight to every component."""
    share = slopes[1] / (slopes[0] + slopes[1])
    starts = []
    for part, low, slope in (
        (share, costs.min(axis=1), slopes[0]),
        (1.0 - share, costs.min(axis=0), slopes[1]),
    ):
        margin, limit = 0.1 / max(1.0, slope), 14.0 / max(slope, 1e-300)
        starts.append(np.minimum(part * low - margin, limit))
    return starts


def _path_step(potentials, coupling, slacks, weights, slopes):
    """One Newton step towards a tenth of the present μ."""
    f, g = potentials
    rows, columns = _marginals(potentials, weights, slopes)
    target = 0.1 * np.sum(coupling * slacks) / coupling.size / slacks
    ratios = coupling / slacks
    # Elimination of dg leaves a graph Laplacian plus a positive diagonal.
    pivots = slopes[1] * columns + ratios.sum(axis=0)
    shares = ratios / pivots
    excess = slopes[0] * rows + shares @ (slopes[1] * columns)
    right = columns - target.sum(axis=0)
    df = solve_laplacian(
        shares @ ratios.T, excess, rows - target.sum(axis=1) - shares @ right
    )
    dg = (right - ratios.T @ df) / pivots
    dslacks = -(df[:, None] + dg)
    dcoupling = target - coupling - ratios * dslacks
    # exp(-f / rho) is far from its tangent where f falls by more than 2 rho.
    fall = max(-slopes[0] * df.min(), -slopes[1] * dg.min(), 1e-300)
    step = min(_to_border(slacks, dslacks), 2.0 / fall)
    coupling = coupling + _to_border(coupling, dcoupling) * dcoupling
    return f + step * df, g + step * dg, coupling, slacks + step * dslacks


def _to_border(values, changes):
    """Return the step, at most 1, that stops just short of a value of 0."""
    return min(1.0, 0.995 / max(-np.min(changes / values), 1e-300))


def solve_laplacian(links, excess, right):
    """Solve (diag(excess + Σ_j links) - links) x = right without cancellation.

    Elimination in which pivots are sums of positive numbers (Grassmann, Taksar and
    Heyman, 1985, doi 10.1287/opre.33.5.1107): links exceed the excess by 15 orders of
    magnitude at the end of the path, where an LU decomposition has no digit left.
    """
    links, excess, x = links.copy(), excess.copy(), right.copy()
    n = len(x)
    pivots = np.empty(n)
    for k in range(n):
        row = links[k, k + 1 :]
        pivots[k] = excess[k] + row.sum()
        parts = row / pivots[k]
        links[k + 1 :, k + 1 :] += parts[:, None] * row
        excess[k + 1 :] += parts * excess[k]
        x[k + 1 :] += parts * x[k]
    for k in range(n - 1, -1, -1):
        x[k] = (x[k] + links[k, k + 1 :] @ x[k + 1 :]) / pivots[k]
    return x
