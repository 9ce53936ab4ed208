"""Weights of mixtures by compiled iterations: coupled ones, and penalised ones.

The programmes are told in `skgmmot.mixture._coupled_weights` and `_penalty`. Systems
have the size of K0 + K1 or K, often below ten: interpreted steps would cost fifty times
their arithmetic. Vectors over the components of a coupled mixture have the source's K0
entries first, then the target's K1.
"""

import numpy as np

from skgmmot._jit import exact_allocating_kernel

# Complementarity (in nats) at which the barrier is as good as gone.
_BARRIER_END = 1e-13
_MAX_STEPS = 60
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
# The penalty's bound is moved at most so often: more gain nothing over an E-step.
_MAX_SWEEPS = 3
_MAX_NEWTON = 50
_SETTLED = 1e-4  # relative change of a weight after which sweeps stop


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
def best_weights(problem, marginals):
    """Weights of both sides for given marginals of the plan.

    Balanced (no pulls): the marginals. Else a mean of them and the shares of the data.
    """
    entropy, pulls, counts, fixed, free, k0 = problem
    weights = fixed.copy()
    for start, stop in ((0, k0), (k0, len(counts))):
        if free[start] == 0.0:
            continue
        for i in range(start, stop):
            weights[i] = marginals[i]
            if pulls.size > 0:
                weights[i] = counts[i] + (pulls[i] + entropy) * marginals[i]
        weights[start:stop] /= weights[start:stop].sum()
    return weights


@exact_allocating_kernel
def evaluate(problem, costs, plan):
    """Weights that belong to a plan, w OT, and w OT - sum n log pi of free sides."""
    entropy, pulls, counts, _, free, k0 = problem
    marginals = margins(plan)
    weights = best_weights(problem, marginals)
    value, data = 0.0, 0.0
    for i in range(k0):
        for j in range(plan.shape[1]):
            value += plan[i, j] * costs[i, j]
            if entropy > 0.0:
                inner = np.log(max(plan[i, j], _TINY)) - 1.0
                value += entropy * plan[i, j] * inner
    value += entropy
    for i in range(len(counts)):
        log_weight = np.log(max(weights[i], _TINY))
        data += free[i] * counts[i] * log_weight
        value -= entropy * marginals[i] * log_weight
        if pulls.size > 0:
            ratio = np.log(max(marginals[i], _TINY)) - log_weight
            value += pulls[i] * (marginals[i] * ratio - marginals[i] + weights[i])
    return weights, value, value - data


@exact_allocating_kernel
def _feasible(problem, plan):
    """A plan with the marginals that its constraints ask for, lost to rounding."""
    _, pulls, _, fixed, free, k0 = problem
    if pulls.size > 0:
        return plan
    if free[0] == 1.0 and free[k0] == 1.0:
        return plan / plan.sum()
    sums, scaled = margins(plan), plan.copy()
    for i in range(k0):
        for j in range(plan.shape[1]):
            held = k0 + j if free[0] == 1.0 else i
            scaled[i, j] *= fixed[held] / sums[held]
    return scaled


@exact_allocating_kernel
def _balanced_curves(problem, marginals):
    """Slope and compliance of -n log a - w reg a log a; the source keeps the mass."""
    entropy, _, counts, fixed, free, k0 = problem
    slopes, compliance = np.empty_like(counts), np.zeros_like(counts)
    for i in range(len(counts)):
        slopes[i] = -entropy * np.log(fixed[i] if free[i] == 0.0 else marginals[i])
        if free[i] == 1.0:
            slopes[i] -= counts[i] / marginals[i]
            bend = max(counts[i] - entropy * marginals[i], _KEPT_CURVATURE * counts[i])
            compliance[i] = marginals[i] ** 2 / bend
    hold = 1.0 / compliance[:k0].sum() if free[0] == 1.0 and free[k0] == 1.0 else 0.0
    return slopes, compliance, (hold, 0.0)


@exact_allocating_kernel
def _penalised_curves(problem, marginals):
    """The same where the marginals may leave the weights."""
    entropy, pulls, counts, _, free, k0 = problem
    weights = best_weights(problem, marginals)
    slopes, compliance = np.empty_like(counts), np.empty_like(counts)
    for i in range(len(counts)):
        both = pulls[i] + entropy
        slopes[i] = pulls[i] * np.log(marginals[i]) - both * np.log(weights[i])
        bend = pulls[i] * counts[i] - both * entropy * marginals[i]
        bend = max(bend, _KEPT_CURVATURE * pulls[i] * counts[i])
        total = counts[i] + both * marginals[i]
        compliance[i] = marginals[i] / pulls[i]
        if free[i] == 1.0:
            compliance[i] = marginals[i] * total / bend
    first = _cross(problem, marginals, compliance, 0, k0)
    return slopes, compliance, (first, _cross(problem, marginals, compliance, k0, -1))


@exact_allocating_kernel
def _cross(problem, marginals, compliance, start, stop):
    """How much the weights of one side, which sum to 1, hold each other."""
    entropy, pulls, counts, _, free, _ = problem
    if free[start] == 0.0:
        return 0.0
    stop = len(counts) if stop < 0 else stop
    total = 0.0
    for i in range(start, stop):
        total += counts[i] + (pulls[i] + entropy) * marginals[i]
    cross = (pulls[start] + entropy) ** 2 / total
    return cross / (1.0 + cross * compliance[start:stop].sum())


@exact_allocating_kernel
def _curves(problem, marginals):
    """Slope and inverse curvature of the objective in the marginals.

    The inverse curvature of a side is diag(c) - q c c^T: c is returned, and both q.
    Concave parts, of the entropy, are cut to keep the Newton system positive definite.
    """
    if problem[1].size == 0:
        return _balanced_curves(problem, marginals)
    return _penalised_curves(problem, marginals)


@exact_allocating_kernel
def _direction(problem, costs, plan, slack, barrier):
    """One Newton step: the plan's curvature is diagonal, that of its sums added."""
    entropy, k0 = problem[0], problem[5]
    slopes, compliance, couplings = _curves(problem, margins(plan))
    k = len(slopes)
    mobility, push = np.empty_like(plan), np.empty_like(plan)
    for i in range(k0):
        for j in range(k - k0):
            slope = costs[i, j] + slopes[i] + slopes[k0 + j] - barrier / plan[i, j]
            if entropy > 0.0:
                slope += entropy * np.log(plan[i, j])
            mobility[i, j] = plan[i, j] / (entropy + slack[i, j] + _LEAST_CURVATURE)
            push[i, j] = mobility[i, j] * slope
    system = np.zeros((k, k))
    system[:k0, k0:] = mobility
    system[k0:, :k0] = mobility.T
    stiffness = margins(mobility)
    for i in range(k):
        start, stop = (0, k0) if i < k0 else (k0, k)
        q = couplings[0] if i < k0 else couplings[1]
        for j in range(start, stop):
            system[i, j] = -q * compliance[i] * compliance[j]
        system[i, i] += compliance[i] + stiffness[i]
    potentials = np.linalg.solve(system, margins(push))
    for i in range(k0):
        for j in range(k - k0):
            held = mobility[i, j] * (potentials[i] + potentials[k0 + j])
            push[i, j] = held - push[i, j]
    return push


@exact_allocating_kernel
def _reach(ratio):
    """Longest step up to 1 that keeps positive values positive."""
    lowest = ratio.min()
    return min(1.0, -_TO_BOUNDARY / lowest) if lowest < 0.0 else 1.0


@exact_allocating_kernel
def interior_point(problem, costs, plan, slack, warm):
    """Newton steps on slope - slack + potentials = 0, plan * slack = barrier.

    A warm start has no barrier and gives up at the first step that is cut short.

    Returns
    -------
    plan, slack : ndarray of shape (K0, K1)
    done : bool
    """
    plan = _feasible(problem, plan)
    first, first_slack = plan, slack
    centring = 0.0 if warm else 0.1
    for _ in range(_MAX_WARM_STEPS if warm else _MAX_STEPS):
        gap = (plan * slack).sum() / plan.size
        barrier = max(centring * gap, _BARRIER_END)
        change = _direction(problem, costs, plan, slack, barrier)
        ratio = change / plan
        # Relative change of the slack.
        dual_ratio = barrier / (plan * slack) - 1.0 - ratio
        primal, dual = _reach(ratio), _reach(dual_ratio)
        full = min(primal, dual) > 0.9
        if warm and not full:
            return first, first_slack, False
        plan = _feasible(problem, plan + primal * change)
        slack = slack * (1.0 + dual * dual_ratio)
        last = barrier == _BARRIER_END and full
        if last and (change * ratio).sum() < _SMALL_STEP:
            return plan, slack, True
        centring = 0.0 if warm else (0.02 if full else 0.2)
    return plan, slack, False


@exact_allocating_kernel
def penalised_weights(shares, weights, price):
    """Raise sum r log w - price sum sqrt(w) from the present weights."""
    for _ in range(_MAX_SWEEPS):
        slopes = price / (2.0 * np.sqrt(weights))  # a weight of 0 stays 0
        # From the lowest pole on: beside a high price, x + slope would cancel.
        gaps = np.maximum(slopes - slopes[shares > 0.0].min(), 0.0)
        updated = shares / (_multiplier(shares, gaps) + gaps)
        updated /= updated.sum()
        settled = (np.abs(updated - weights) <= _SETTLED * weights).all()
        weights = updated
        if settled:
            break
    return weights


@exact_allocating_kernel
def _multiplier(shares, slopes):
    """The root x of sum r / (x + c) = 1 by Newton steps from the left.

    The lowest c is 0. The sum falls and is convex right of its last pole; at
    x = max(r - c) it is at least 1, and from there Newton's steps never pass the root.
    """
    root = (shares - slopes).max()
    for _ in range(_MAX_NEWTON):
        excess, steepness = -1.0, 0.0
        for i in range(len(shares)):
            term = shares[i] / (root + slopes[i])
            excess += term
            steepness += term / (root + slopes[i])
        step = excess / steepness
        if not step > 1e-15 * max(1.0, abs(root)):
            break
        root += step
    return root
