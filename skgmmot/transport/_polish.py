"""Compiled last steps of the plan between fixed weights, on its dual programme.

The interior point ends where the barrier is as good as gone, which leaves entries wrong
by 1e-13 of the mass. Masses far below that, of components of weight 1e-20 or of costs
hundreds of times above the penalty, are told by the potentials alone. Here potentials
are moved to where the dual programme has its maximum to rounding, in logarithms.

Slopes are 1 / rho of the two sides, 0 on a balanced side.
"""

from typing import NamedTuple

import numpy as np

from skgmmot._jit import exact_allocating_kernel
from skgmmot.transport._interior import eliminate, substitute

_LEAST_LOG = -745.0  # below it the exponential is 0
_RIDGE = 1e-13  # picks a constant where one can be added to the potentials
_ENOUGH = 1e-4  # share of what the slope promises that a step has to bring
_SHORTEST = 1e-12
_ROUNDING = 4.0 * np.finfo(np.float64).eps
_LEAST_ERROR = 1e-12
# Slack, in units of the largest cost, that is 0 to rounding.
_TIGHT = 1e-13


class Polished(NamedTuple):
    """What `entropic_polish` returns; potentials in units of reg."""

    coupling: np.ndarray
    u: np.ndarray
    v: np.ndarray
    error: float
    converged: bool


@exact_allocating_kernel
def _log_sum(weights, potential, gaps, slope):
    """Return log sum w exp(slope * potential - gaps)."""
    top = -np.inf
    for i in range(len(weights)):
        top = max(top, slope * potential[i] - gaps[i])
    total = 0.0
    for i in range(len(weights)):
        total += weights[i] * np.exp(slope * potential[i] - gaps[i] - top)
    return top + np.log(total)


@exact_allocating_kernel
def _soft_minimum(gaps, b, v, slope):
    """Return -log sum_l b_l exp(v_l - gaps_kl) / (1 + slope) for each row k."""
    lowest = np.empty(len(gaps))
    for k in range(len(gaps)):
        lowest[k] = -_log_sum(b, v, gaps[k], 1.0) / (1.0 + slope)
    return lowest


@exact_allocating_kernel
def _gain(weights, potential, slope):
    """Return sum w rho (1 - exp(-f / rho)), sum w f on a balanced side."""
    total = 0.0
    for i in range(len(weights)):
        value = potential[i]
        if slope > 0.0:
            value = -np.expm1(-slope * potential[i]) / slope
        total += weights[i] * value
    return total


@exact_allocating_kernel
def _dual_point(gaps, a, b, slopes, u):
    """Evaluate the dual at u after its maximisation over v, all in units of reg.

    Returns v, the plan, its row sums less those that u asks for, and the dual value.
    """
    n_rows, n_columns = gaps.shape
    v, plan = np.empty(n_columns), np.empty(gaps.shape)
    lacking = np.empty(n_rows)
    mass, wrong = 0.0, 0.0
    for j in range(n_columns):
        top = -np.inf
        for i in range(n_rows):
            top = max(top, u[i] - gaps[i, j])
        total = 0.0
        for i in range(n_rows):
            plan[i, j] = a[i] * np.exp(u[i] - gaps[i, j] - top)
            total += plan[i, j]
        v[j] = -(np.log(total) + top) / (1.0 + slopes[1])
        factor = b[j] * np.exp(v[j] + top)
        for i in range(n_rows):
            plan[i, j] *= factor
    for i in range(n_rows):
        row = 0.0
        for j in range(n_columns):
            row += plan[i, j]
        mass += row
        lacking[i] = a[i] * np.exp(-slopes[0] * u[i]) - row
        wrong += abs(lacking[i])
    value = _gain(a, u, slopes[0]) + _gain(b, v, slopes[1]) - mass
    # No mass at all is left where costs are hundreds of times above the penalty.
    return v, plan, lacking, value, wrong / max(mass, 1e-308)


@exact_allocating_kernel
def _newton_direction(plan, lacking, slopes):
    """Solve the Newton system: minus the Hessian after maximisation over v."""
    n_rows, n_columns = plan.shape
    links, excess = np.zeros((n_rows, n_rows)), np.empty(n_rows)
    shares = np.empty(n_columns)
    for j in range(n_columns):
        column = 0.0
        for i in range(n_rows):
            column += plan[i, j]
        shares[j] = 1.0 / (max(column, 1e-300) * (1.0 + slopes[1]))
    for i in range(n_rows):
        row = 0.0
        for j in range(n_columns):
            row += plan[i, j]
        wanted = max(row + lacking[i], 0.0)
        row = max(row, 1e-300)
        damped = slopes[1] / (1.0 + slopes[1])
        excess[i] = (damped + _RIDGE) * row + slopes[0] * wanted
        for k in range(i + 1, n_rows):
            for j in range(n_columns):
                links[i, k] += plan[i, j] * shares[j] * plan[k, j]
    pivots, direction = eliminate(links, excess), lacking.copy()
    substitute(links, pivots, direction)
    return direction


@exact_allocating_kernel
def _best_constant(gaps, a, b, slopes, u, v):
    """Return what to add to u so that, v too, all masses become equal.

    The maximum of the dual along both constants: in logarithms, as the masses may be
    thousands of powers of 10 apart (Sejourne, Vialard and Peyre, 2022, "Faster
    unbalanced optimal transport", PMLR 151).
    """
    log_plan = _log_sum(a, u, _soft_minimum(gaps, b, v, 0.0), 1.0)
    log_a = _log_sum(a, u, np.zeros(len(u)), -slopes[0])
    log_b = _log_sum(b, v, np.zeros(len(v)), -slopes[1])
    if slopes[0] == 0.0:
        common = log_a
    elif slopes[1] == 0.0:
        common = log_b
    else:
        inverse = 1.0 / slopes[0], 1.0 / slopes[1]
        common = log_plan + inverse[0] * log_a + inverse[1] * log_b
        common /= 1.0 + inverse[0] + inverse[1]
    if slopes[0] > 0.0:
        return (log_a - common) / slopes[0]
    # The first side is balanced: what the other one leaves.
    other = (log_b - common) / slopes[1] if slopes[1] > 0.0 else 0.0
    return common - log_plan - other


@exact_allocating_kernel
def _along(start, step, direction):
    """Return start + step * direction."""
    moved = np.empty(len(start))
    for i in range(len(start)):
        moved[i] = start[i] + step * direction[i]
    return moved


@exact_allocating_kernel
def entropic_polish(gaps, a, b, slopes, u, max_iter):
    """Maximise the dual with entropy: Sinkhorn sweeps and Newton steps in turn.

    Newton converges fast where the plan is connected, the sweep repairs rows that lost
    their mass, where the Hessian means nothing. Either raises the dual.

    Parameters
    ----------
    gaps : ndarray of shape (K0, K1)
        Costs, as slopes and potentials in units of reg.
    a, b : ndarray of shape (K0,) and (K1,)
        Positive weights.
    slopes : tuple of two floats
    u : ndarray of shape (K0,)
        Where to start.
    max_iter : int

    Returns
    -------
    plan : ndarray of shape (K0, K1)
    u, v : ndarray of shape (K0,) and (K1,)
    error : float
        Sum of what the row sums are wrong by, as a part of the mass.
    converged : bool
    """
    largest = 0.0
    for i in range(gaps.shape[0]):
        for j in range(gaps.shape[1]):
            largest = max(largest, abs(gaps[i, j]))
    # The exponents are right to rounding of the largest term, no better.
    tol = max(_LEAST_ERROR, _ROUNDING * largest)
    # A sweep first: tiny weights may have potentials that ask for any mass.
    v = _dual_point(gaps, a, b, slopes, u)[0]
    u = _soft_minimum(gaps, b, v, slopes[0])
    v = _dual_point(gaps, a, b, slopes, u)[0]
    u = _along(u, _best_constant(gaps, a, b, slopes, u, v), np.ones(len(u)))
    v, plan, lacking, value, error = _dual_point(gaps, a, b, slopes, u)
    for _ in range(max_iter):
        u = _soft_minimum(gaps, b, v, slopes[0])
        v, plan, lacking, value, error = _dual_point(gaps, a, b, slopes, u)
        if error <= tol:
            return plan, u, v, error, True
        direction = _newton_direction(plan, lacking, slopes)
        slope = 0.0
        for i in range(len(u)):
            slope += lacking[i] * direction[i]
        if not (np.isfinite(slope) and slope > 0.0):
            continue
        rounding = 4.0 * _ROUNDING * max(1.0, abs(value))
        step = 1.0
        while step > _SHORTEST:
            trial = _along(u, step, direction)
            v1, plan1, lacking1, value1, error1 = _dual_point(gaps, a, b, slopes, trial)
            if value1 >= value + _ENOUGH * step * slope - rounding:
                u, v, plan, lacking = trial, v1, plan1, lacking1
                value, error = value1, error1
                break
            step *= 0.5
    return plan, u, v, error, False


@exact_allocating_kernel
def _parts(costs, f, g):
    """Number the parts of the graph of tight constraints, both sides in a row."""
    n_rows, n = len(f), len(f) + len(g)
    labels = np.arange(n)
    for i in range(n_rows):
        for j in range(n_rows, n):
            if costs[i, j - n_rows] - f[i] - g[j - n_rows] > _TIGHT:
                continue
            old, new = labels[j], labels[i]
            if old != new:
                for k in range(n):
                    if labels[k] == old:
                        labels[k] = new
    return labels


@exact_allocating_kernel
def _shifts(labels, logs_a, logs_b, slopes):
    """Return for each part what to pass from g to f, so that both masses agree."""
    n_rows, n = len(logs_a), len(labels)
    shifts = np.zeros(n)
    for part in range(n):
        tops = np.full(2, -np.inf)
        for k in range(n):
            if labels[k] == part:
                side, log = (0, logs_a[k]) if k < n_rows else (1, logs_b[k - n_rows])
                tops[side] = max(tops[side], log)
        if tops[0] == -np.inf or tops[1] == -np.inf:
            continue
        sums = np.zeros(2)
        for k in range(n):
            if labels[k] == part:
                side, log = (0, logs_a[k]) if k < n_rows else (1, logs_b[k - n_rows])
                sums[side] += np.exp(log - tops[side])
        logs = tops + np.log(sums)
        shifts[part] = (logs[0] - logs[1]) / (slopes[0] + slopes[1])
    return shifts


@exact_allocating_kernel
def _tightened(costs, f):
    """Return potentials as large as the constraints allow, g for f, then f for g."""
    g = np.full(costs.shape[1], np.inf)
    f = f.copy()
    for i in range(len(f)):
        for j in range(len(g)):
            g[j] = min(g[j], costs[i, j] - f[i])
    for i in range(len(f)):
        f[i] = np.inf
        for j in range(len(g)):
            f[i] = min(f[i], costs[i, j] - g[j])
    return f, g


@exact_allocating_kernel
def tight_polish(costs, a, b, slopes, f):
    """Make potentials tight without entropy, and masses of connected parts equal.

    Mass that is left over in one part would have to be sent to another at any cost.
    Along the constant of each part the best step is known in closed form; where a
    constraint stops it, two parts become one. Each step raises the dual.

    Parameters
    ----------
    costs : ndarray of shape (K0, K1)
        In units of the largest.
    a, b : ndarray of shape (K0,) and (K1,)
        Positive weights.
    slopes : tuple of two floats
        Not both 0.
    f : ndarray of shape (K0,)
        Near the optimum.

    Returns
    -------
    f, g : ndarray of shape (K0,) and (K1,)
        Feasible to rounding.
    """
    f, g = _tightened(costs, f)
    n_rows, n_columns = costs.shape
    for _ in range(n_rows + n_columns):
        labels = _parts(costs, f, g)
        logs_a, logs_b = np.log(a) - slopes[0] * f, np.log(b) - slopes[1] * g
        shifts = _shifts(labels, logs_a, logs_b, slopes)
        step = 1.0
        for i in range(n_rows):
            for j in range(n_columns):
                move = shifts[labels[i]] - shifts[labels[n_rows + j]]
                slack = costs[i, j] - f[i] - g[j]
                if move > max(slack, _TIGHT):
                    step = min(step, slack / move)
        for i in range(n_rows):
            f[i] += step * shifts[labels[i]]
        for j in range(n_columns):
            g[j] -= step * shifts[labels[n_rows + j]]
        if step == 1.0:
            break
    return f, g
