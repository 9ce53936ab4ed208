"""Compiled interior-point steps for the programme of `skgmmot.transport._programme`.

Systems have the size K0 + K1, often below ten: interpreted steps would cost fifty times
their arithmetic. Vectors over components have the source's K0 entries first, then the
target's K1. A side is free (its weights are fitted) or fixed, and its marginal is
penalised or, with an infinite penalty, balanced: all four kinds give the same Newton
system with other numbers in it.
"""

import numpy as np

from skgmmot._jit import exact_allocating_kernel

# Complementarity, in cost times mass, at which the barrier is as good as gone.
BARRIER_END = 1e-13
_MAX_STEPS = 200
_MAX_WARM_STEPS = 5
# Sum of change^2 / plan of a last step: what it leaves is of the order of its square.
_SMALL_STEP = 1e-9
# Share of the way to the boundary that a step may go.
_TO_BOUNDARY = 0.995
# Curvature lent to entries that have none: theirs would drown in the marginals'.
_LEAST_CURVATURE = 1e-8
# Share of the data's curvature that the entropy may not take away.
_KEPT_CURVATURE = 0.1
_TINY = 1e-300
_CLOSED = 2e-15  # what given marginals may lack in the end
_ROUNDING = 2e-16  # of marginals, that a second solve would not mend


@exact_allocating_kernel
def solve_laplacian(links, excess, right):
    """Solve (diag(excess + sum_j links) - links) x = right without cancellation.

    Elimination in which pivots are sums of positive numbers (Grassmann, Taksar and
    Heyman, 1985, doi 10.1287/opre.33.5.1107): links exceed the excess by 15 orders of
    magnitude at the end of the path, where an LU decomposition has no digit left. A
    part without excess has its solution up to a constant: its last entry is 0.

    Parameters
    ----------
    links : ndarray of shape (n, n)
        Symmetric, not negative; only what is right of the diagonal is read.
    excess : ndarray of shape (n,)
        Not negative.
    right : ndarray of shape (n,)

    Returns
    -------
    x : ndarray of shape (n,)
    """
    links, excess, x = links.copy(), excess.copy(), right.copy()
    n = len(x)
    pivots = np.empty(n)
    for k in range(n):
        pivot = excess[k]
        for j in range(k + 1, n):
            pivot += links[k, j]
        pivots[k] = pivot
        if pivot == 0.0:
            x[k] = 0.0
            continue
        for i in range(k + 1, n):
            part = links[k, i] / pivot
            if part == 0.0:
                continue
            for j in range(i + 1, n):
                links[i, j] += part * links[k, j]
            excess[i] += part * excess[k]
            x[i] += part * x[k]
    for k in range(n - 1, -1, -1):
        if pivots[k] > 0.0:
            total = x[k]
            for j in range(k + 1, n):
                total += links[k, j] * x[j]
            x[k] = total / pivots[k]
    return x


@exact_allocating_kernel
def margins(table):
    """Row sums, then column sums."""
    k0, k1 = table.shape
    sums = np.zeros(k0 + k1)
    for i in range(k0):
        for j in range(k1):
            sums[i] += table[i, j]
            sums[k0 + j] += table[i, j]
    return sums


@exact_allocating_kernel
def best_weights(programme, marginals):
    """Weights of both sides for given marginals of the plan.

    Of a free side, balanced: the marginals; penalised: a mean of them and the shares of
    the data.
    """
    weights = programme.fixed.copy()
    counts, penalties, k0 = programme.counts, programme.penalties, programme.k0
    for start, stop in ((0, k0), (k0, len(counts))):
        if programme.free[start] == 0.0:
            continue
        total = 0.0
        for i in range(start, stop):
            weights[i] = marginals[i]
            if penalties[i] < np.inf:
                both = penalties[i] + programme.entropy
                weights[i] = counts[i] + both * marginals[i]
            total += weights[i]
        for i in range(start, stop):
            weights[i] /= total
    return weights


@exact_allocating_kernel
def objective(programme, costs, plan):
    """Weights that belong to a plan, w OT, and w OT - sum n log pi of free sides."""
    entropy, k0 = programme.entropy, programme.k0
    marginals = margins(plan)
    weights = best_weights(programme, marginals)
    value, data = entropy, 0.0
    for i in range(k0):
        for j in range(plan.shape[1]):
            value += plan[i, j] * costs[i, j]
            if entropy > 0.0:
                inner = np.log(max(plan[i, j], _TINY)) - 1.0
                value += entropy * plan[i, j] * inner
    for i in range(len(marginals)):
        log_weight = np.log(max(weights[i], _TINY))
        data += programme.free[i] * programme.counts[i] * log_weight
        value -= entropy * marginals[i] * log_weight
        if programme.penalties[i] < np.inf:
            ratio = np.log(max(marginals[i], _TINY)) - log_weight
            gap = marginals[i] * ratio - marginals[i] + weights[i]
            value += programme.penalties[i] * gap
    return weights, value, value - data


@exact_allocating_kernel
def _mass_is_fixed(programme, kind):
    """Whether a free (1.0) or fixed (0.0) side is balanced, and so has the mass."""
    found = False
    for i in (0, programme.k0):
        if programme.penalties[i] == np.inf and programme.free[i] == kind:
            found = True
    return found


@exact_allocating_kernel
def _unit_mass(programme):
    """Whether only the weights of a free side say what mass the plan has: 1."""
    return _mass_is_fixed(programme, 1.0) and not _mass_is_fixed(programme, 0.0)


@exact_allocating_kernel
def _curves(programme, marginals):
    """Slope and inverse curvature of the objective in the marginals.

    The inverse curvature of a side is diag(c) - c c^T (1 - e) / sum c: c is returned,
    and e, 1 where the components of a side do not hold each other, 0 where the mass of
    the side is fixed. Concave parts, of the entropy, are cut to keep the Newton system
    positive definite.
    """
    entropy, k0 = programme.entropy, programme.k0
    weights = best_weights(programme, marginals)
    slopes, compliance = np.empty(len(weights)), np.zeros(len(weights))
    loose = np.ones(2)
    for side in range(2):
        start, stop = (0, k0) if side == 0 else (k0, len(weights))
        free, penalty = programme.free[start] == 1.0, programme.penalties[start]
        balanced = penalty == np.inf
        total, held = 0.0, 0.0
        for i in range(start, stop):
            m, n = marginals[i], programme.counts[i]
            slopes[i] = -entropy * np.log(weights[i])
            if balanced and free:
                slopes[i] -= n / m
                bend = max(n - entropy * m, _KEPT_CURVATURE * n)
                compliance[i] = m**2 / bend
            elif not balanced:
                slopes[i] += penalty * (np.log(m) - np.log(weights[i]))
                compliance[i] = m / penalty
                if free:
                    both = penalty + entropy
                    bend = penalty * n - both * entropy * m
                    bend = max(bend, _KEPT_CURVATURE * penalty * n)
                    compliance[i] = m * (n + both * m) / bend
                    total += n + both * m
            held += compliance[i]
        if free and not balanced:
            loose[side] = 1.0 / (1.0 + (penalty + entropy) ** 2 / total * held)
    if _unit_mass(programme):
        first = programme.free[0] == 1.0 and programme.penalties[0] == np.inf
        loose[0 if first else 1] = 0.0
    return slopes, compliance, loose


@exact_allocating_kernel
def _graph(programme, mobility, compliance, loose):
    """Links and excess of the Newton system, the target's potentials negated."""
    k0, k = programme.k0, len(compliance)
    links, excess = np.zeros((k, k)), np.empty(k)
    links[:k0, k0:] = mobility
    for start, stop, side in ((0, k0, 0), (k0, k, 1)):
        bound = 0.0
        if loose[side] < 1.0:
            bound = (1.0 - loose[side]) / compliance[start:stop].sum()
        for i in range(start, stop):
            excess[i] = loose[side] * compliance[i]
            for j in range(i + 1, stop):
                links[i, j] = bound * compliance[i] * compliance[j]
    return links, excess


@exact_allocating_kernel
def _lacking(programme, sums):
    """What the marginals of a plan lack on fixed sides that are balanced; else 0."""
    lacking = np.zeros(len(sums))
    for i in range(len(sums)):
        if programme.free[i] == 0.0 and programme.penalties[i] == np.inf:
            lacking[i] = programme.fixed[i] - sums[i]
    return lacking


@exact_allocating_kernel
def _potentials(links, excess, right, k0):
    """Solve the Newton system for the potentials of both sides."""
    signed = right.copy()
    signed[k0:] *= -1.0
    potentials = solve_laplacian(links, excess, signed)
    potentials[k0:] *= -1.0
    return potentials


@exact_allocating_kernel
def _direction(programme, costs, plan, slack, barrier):
    """One Newton step: the plan's curvature is diagonal, that of its sums added.

    Returns the change of the plan and the potentials after the step. On a fixed side
    that is balanced the change also takes back what the marginals lack.
    """
    entropy, k0 = programme.entropy, programme.k0
    marginals = margins(plan)
    slopes, compliance, loose = _curves(programme, marginals)
    mobility, push = np.empty_like(plan), np.empty_like(plan)
    for i in range(k0):
        for j in range(plan.shape[1]):
            slope = costs[i, j] + slopes[i] + slopes[k0 + j] - barrier / plan[i, j]
            if entropy > 0.0:
                slope += entropy * np.log(plan[i, j])
            mobility[i, j] = plan[i, j] / (entropy + slack[i, j] + _LEAST_CURVATURE)
            push[i, j] = mobility[i, j] * slope
    links, excess = _graph(programme, mobility, compliance, loose)
    right = margins(push) + _lacking(programme, marginals)
    potentials = _potentials(links, excess, right, k0)
    change = _held(mobility, potentials) - push
    # Where the plan is stiff, rounding of the slopes is left in the marginals.
    lacking = _lacking(programme, marginals + margins(change))
    if np.abs(lacking).max() > _ROUNDING:
        more = _potentials(links, excess, lacking, k0)
        change += _held(mobility, more)
        potentials = potentials + more
    log_weights = np.log(np.maximum(best_weights(programme, marginals), _TINY))
    return change, potentials - slopes - entropy * log_weights


@exact_allocating_kernel
def _held(mobility, potentials):
    """Change of the plan by the potentials of both sides."""
    held, k0 = np.empty_like(mobility), len(mobility)
    for i in range(k0):
        for j in range(mobility.shape[1]):
            held[i, j] = mobility[i, j] * (potentials[i] + potentials[k0 + j])
    return held


@exact_allocating_kernel
def _reach(ratio):
    """Longest step up to 1 that keeps positive values positive."""
    lowest = ratio.min()
    return min(1.0, -_TO_BOUNDARY / lowest) if lowest < 0.0 else 1.0


@exact_allocating_kernel
def interior_point(programme, costs, plan, slack, warm, barrier_end=BARRIER_END):
    """Newton steps on slope - slack + potentials = 0, plan * slack = barrier.

    A warm start has no barrier and gives up at the first step that is cut short.

    Parameters
    ----------
    programme : TransportProgramme
    costs, plan, slack : ndarray of shape (K0, K1)
    warm : bool
    barrier_end : float
        Complementarity at which the path ends.

    Returns
    -------
    plan, slack : ndarray of shape (K0, K1)
    potentials : ndarray of shape (K0 + K1,)
    done : bool
    """
    scaled = _unit_mass(programme)
    plan = plan / plan.sum() if scaled else plan
    first, first_slack = plan, slack
    potentials = np.zeros(len(programme.counts))
    centring = 0.0 if warm else 0.1
    for _ in range(_MAX_WARM_STEPS if warm else _MAX_STEPS):
        gap = (plan * slack).sum() / plan.size
        barrier = max(centring * gap, barrier_end)
        change, potentials = _direction(programme, costs, plan, slack, barrier)
        ratio = change / plan
        # Relative change of the slack.
        dual_ratio = barrier / (plan * slack) - 1.0 - ratio
        primal, dual = _reach(ratio), _reach(dual_ratio)
        full = min(primal, dual) > 0.9
        if warm and not full:
            return first, first_slack, potentials, False
        plan = plan + primal * change
        if scaled:
            plan = plan / plan.sum()
        slack = slack * (1.0 + dual * dual_ratio)
        last = barrier == barrier_end and full
        if last:
            last = np.abs(_lacking(programme, margins(plan))).max() < _CLOSED
        if last and (change * ratio).sum() < _SMALL_STEP:
            return plan, slack, potentials, True
        centring = 0.0 if warm else (0.02 if full else 0.2)
    return plan, slack, potentials, False
