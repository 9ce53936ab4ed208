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
def eliminate(links, excess):
    """Eliminate in diag(excess + sum_j links) - links without cancellation.

    Pivots are sums of positive numbers (Grassmann, Taksar and Heyman, 1985, doi
    10.1287/opre.33.5.1107): links exceed the excess by 15 orders of magnitude at the
    end of the path, where an LU decomposition has no digit left.

    Parameters
    ----------
    links : ndarray of shape (n, n)
        Symmetric, not negative; only what is right of the diagonal is read. It is
        overwritten with what `substitute` needs.
    excess : ndarray of shape (n,)
        Not negative; overwritten.

    Returns
    -------
    pivots : ndarray of shape (n,)
    """
    n = len(excess)
    pivots = np.empty(n)
    for k in range(n):
        pivot = excess[k]
        for j in range(k + 1, n):
            pivot += links[k, j]
        pivots[k] = pivot
        if pivot == 0.0:
            continue
        for i in range(k + 1, n):
            part = links[k, i] / pivot
            if part == 0.0:
                continue
            for j in range(i + 1, n):
                links[i, j] += part * links[k, j]
            excess[i] += part * excess[k]
    return pivots


@exact_allocating_kernel
def substitute(links, pivots, x):
    """Solve the eliminated system in place, the right-hand side in x.

    A part without excess has its solution up to a constant: its last entry is 0.
    """
    n = len(x)
    for k in range(n):
        if pivots[k] == 0.0:
            x[k] = 0.0
            continue
        for i in range(k + 1, n):
            x[i] += links[k, i] / pivots[k] * x[k]
    for k in range(n - 1, -1, -1):
        if pivots[k] > 0.0:
            total = x[k]
            for j in range(k + 1, n):
                total += links[k, j] * x[j]
            x[k] = total / pivots[k]


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
def _unit_mass(programme):
    """Whether only the weights of a free side say what mass the plan has: 1."""
    free, fixed = False, False
    for i in (0, programme.k0):
        if programme.penalties[i] == np.inf:
            free = free or programme.free[i] == 1.0
            fixed = fixed or programme.free[i] == 0.0
    return free and not fixed


@exact_allocating_kernel
def _given(programme, i):
    """Whether a marginal is given: on a fixed side that is balanced."""
    return programme.free[i] == 0.0 and programme.penalties[i] == np.inf


@exact_allocating_kernel
def _curves(programme, marginals, weights):
    """Slope and inverse curvature of the objective in the marginals.

    The inverse curvature of a side is diag(c) - c c^T (1 - e) / sum c: c is returned,
    and e, 1 where the components of a side do not hold each other, 0 where the mass of
    the side is fixed. Concave parts, of the entropy, are cut to keep the Newton system
    positive definite.
    """
    entropy, k0 = programme.entropy, programme.k0
    slopes, compliance = np.empty(len(weights)), np.zeros(len(weights))
    loose = np.ones(2)
    for side in range(2):
        start, stop = (0, k0) if side == 0 else (k0, len(weights))
        free, penalty = programme.free[start] == 1.0, programme.penalties[start]
        balanced = penalty == np.inf
        total, held = 0.0, 0.0
        for i in range(start, stop):
            m, n = marginals[i], programme.counts[i]
            log_weight = np.log(weights[i])
            slopes[i] = -entropy * log_weight
            if balanced and free:
                slopes[i] -= n / m
                bend = max(n - entropy * m, _KEPT_CURVATURE * n)
                compliance[i] = m**2 / bend
            elif not balanced:
                slopes[i] += penalty * (np.log(m) - log_weight)
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
def _graph(k0, mobility, compliance, loose):
    """Links and excess of the Newton system, the target's potentials negated."""
    k = len(compliance)
    links, excess = np.zeros((k, k)), np.empty(k)
    for side in range(2):
        start, stop = (0, k0) if side == 0 else (k0, k)
        total = 0.0
        for i in range(start, stop):
            total += compliance[i]
        bound = (1.0 - loose[side]) / total if loose[side] < 1.0 else 0.0
        for i in range(start, stop):
            excess[i] = loose[side] * compliance[i]
            for j in range(i + 1, stop):
                links[i, j] = bound * compliance[i] * compliance[j]
            if side == 0:
                for j in range(k0, k):
                    links[i, j] = mobility[i, j - k0]
    return links, excess


@exact_allocating_kernel
def _direction(programme, costs, plan, slack, barrier):
    """One Newton step: the plan's curvature is diagonal, that of its sums added.

    Returns the change of the plan and the potentials after the step. On a fixed side
    that is balanced the change also takes back what the marginals lack.
    """
    entropy, k0 = programme.entropy, programme.k0
    marginals = margins(plan)
    weights = best_weights(programme, marginals)
    slopes, compliance, loose = _curves(programme, marginals, weights)
    mobility, change = np.empty(plan.shape), np.empty(plan.shape)
    for i in range(k0):
        for j in range(plan.shape[1]):
            slope = costs[i, j] + slopes[i] + slopes[k0 + j] - barrier / plan[i, j]
            if entropy > 0.0:
                slope += entropy * np.log(plan[i, j])
            mobility[i, j] = plan[i, j] / (entropy + slack[i, j] + _LEAST_CURVATURE)
            change[i, j] = -mobility[i, j] * slope
    links, excess = _graph(k0, mobility, compliance, loose)
    pivots = eliminate(links, excess)
    potentials, part = np.zeros(len(weights)), np.empty(len(weights))
    for attempt in range(2):
        sums, largest = margins(change), 0.0
        for i in range(len(part)):
            part[i] = 0.0
            if _given(programme, i):
                part[i] = programme.fixed[i] - marginals[i] - sums[i]
                largest = max(largest, abs(part[i]))
            elif attempt == 0:
                part[i] = -sums[i]
            if i >= k0:
                part[i] = -part[i]
        # Where the plan is stiff, rounding of the slopes is left in the marginals.
        if attempt == 1 and largest <= _ROUNDING:
            break
        substitute(links, pivots, part)
        for i in range(k0):
            for j in range(plan.shape[1]):
                change[i, j] += mobility[i, j] * (part[i] - part[k0 + j])
        for i in range(len(part)):
            potentials[i] += part[i] if i < k0 else -part[i]
    for i in range(len(part)):
        log_weight = np.log(max(weights[i], _TINY))
        potentials[i] -= slopes[i] + entropy * log_weight
    return change, potentials


@exact_allocating_kernel
def _reach(lowest):
    """Longest step up to 1 that keeps positive values positive: their least ratio."""
    return min(1.0, -_TO_BOUNDARY / lowest) if lowest < 0.0 else 1.0


@exact_allocating_kernel
def _move(plan, slack, change, barrier):
    """Go along the change as far as plan and slack stay positive.

    Returns whether that was nearly the whole way, and the sum of change^2 / plan.
    """
    k0, k1 = plan.shape
    lowest, lowest_dual, size = 0.0, 0.0, 0.0
    for i in range(k0):
        for j in range(k1):
            ratio = change[i, j] / plan[i, j]
            size += change[i, j] * ratio
            lowest = min(lowest, ratio)
            # Relative change of the slack.
            dual_ratio = barrier / (plan[i, j] * slack[i, j]) - 1.0 - ratio
            lowest_dual = min(lowest_dual, dual_ratio)
    primal, dual = _reach(lowest), _reach(lowest_dual)
    for i in range(k0):
        for j in range(k1):
            ratio = change[i, j] / plan[i, j]
            dual_ratio = barrier / (plan[i, j] * slack[i, j]) - 1.0 - ratio
            plan[i, j] += primal * change[i, j]
            slack[i, j] *= 1.0 + dual * dual_ratio
    return min(primal, dual) > 0.9, size


@exact_allocating_kernel
def _scale(table, scaled):
    """Bring a table to the sum 1, in place, if it is to be scaled."""
    total = 0.0
    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            total += table[i, j]
    for i in range(table.shape[0] if scaled else 0):
        for j in range(table.shape[1]):
            table[i, j] /= total


@exact_allocating_kernel
def _largest_lack(programme, sums):
    """What the given marginals lack at most."""
    largest = 0.0
    for i in range(len(sums)):
        if _given(programme, i):
            largest = max(largest, abs(programme.fixed[i] - sums[i]))
    return largest


@exact_allocating_kernel
def _mean_product(plan, slack):
    """Mean complementarity."""
    total = 0.0
    for i in range(plan.shape[0]):
        for j in range(plan.shape[1]):
            total += plan[i, j] * slack[i, j]
    return total / plan.size


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
        The start (scaled) where a warm start gave up.
    potentials : ndarray of shape (K0 + K1,)
    done : bool
    """
    scaled = _unit_mass(programme)
    first, first_slack = plan.copy(), slack
    _scale(first, scaled)
    plan, slack = first.copy(), slack.copy()
    potentials = np.zeros(len(programme.counts))
    centring = 0.0 if warm else 0.1
    for _ in range(_MAX_WARM_STEPS if warm else _MAX_STEPS):
        barrier = max(centring * _mean_product(plan, slack), barrier_end)
        change, potentials = _direction(programme, costs, plan, slack, barrier)
        full, size = _move(plan, slack, change, barrier)
        if warm and not full:
            return first, first_slack, potentials, False
        _scale(plan, scaled)
        last = barrier == barrier_end and full and size < _SMALL_STEP
        if last and _largest_lack(programme, margins(plan)) < _CLOSED:
            return plan, slack, potentials, True
        centring = 0.0 if warm else (0.02 if full else 0.2)
    return plan, slack, potentials, False
