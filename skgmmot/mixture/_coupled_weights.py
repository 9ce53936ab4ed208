"""Weights and plan of a coupled mixture, for given transport costs.

One M-step of the coupled mixture maximises, over the plan and both weights at once,

    sum_k n_k log pi_k + sum_l n_l log pi_l - w OT(pi_0, pi_1).

The weights have a closed form in the marginals of the plan (balanced: they are the
marginals), so that one programme over the non-negative plan remains: linear costs,
entropy where there is any, and a function of each marginal.  It is solved by a
primal-dual interior-point method.  The barrier serves reg = 0 and tiny reg alike, no
Sinkhorn sweep is made, and every step is one linear system of size K0 + K1.

Vectors over components have the source's K0 entries first, then the target's K1.
"""

from typing import NamedTuple

import numpy as np

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


class WeightProblem(NamedTuple):
    """The programme but for its costs, in nats: times the transport weight."""

    entropy: float  # w reg
    pulls: np.ndarray | None  # (K0 + K1,) w reg_m of the side; None: balanced
    counts: np.ndarray  # (K0 + K1,) shares of the data
    fixed: np.ndarray  # (K0 + K1,) weights of a frozen side, 0 on a free one
    free: np.ndarray  # (K0 + K1,) 1.0 on a free side, 0.0 on a frozen one
    k0: int

    @property
    def free_mass(self):
        """Whether only the sum of the plan is given: balanced, no side frozen."""
        return self.pulls is None and bool(self.free.all())


class WeightSolution(NamedTuple):
    """A plan, the slacks of its bounds (for the next start), and what follows."""

    plan: np.ndarray  # (K0, K1)
    slack: np.ndarray  # (K0, K1)
    weights: np.ndarray  # (K0 + K1,)
    transport: float  # w OT
    loss: float  # w OT - sum n log pi over the free sides


def solve_weights(problem, costs, start=None):
    """Best plan and weights for given costs.

    Parameters
    ----------
    problem : WeightProblem
    costs : ndarray of shape (K0, K1)
        In nats: times the transport weight.
    start : tuple of ndarray of shape (K0, K1), default=None
        Plan and slacks of a similar problem.

    Returns
    -------
    solution : WeightSolution
        Its loss is not above that of `start`.
    """
    if start is not None:
        # Where the same entries of the plan stay alive, two or three Newton steps
        # from the old plan do; where they do not, it is left for the interior.
        plan, slack, done = _interior_point(problem, costs, *start, warm=True)
        found = evaluate(problem, costs, plan, slack)
        if done:
            return found
    interior = _interior_point(problem, costs, *_interior_start(problem, costs))
    solution = evaluate(problem, costs, *interior[:2])
    return found if start is not None and found.loss < solution.loss else solution


def evaluate(problem, costs, plan, slack):
    """Return the solution that belongs to a plan: its best weights, its loss."""
    entropy, pulls, counts, _, free, k0 = problem
    marginals = _margins(plan)
    weights = _weights(problem, marginals)
    logs = np.log(np.maximum(weights, _TINY))
    value = np.vdot(plan, costs)
    if entropy > 0:
        inner = np.vdot(plan, np.log(np.maximum(plan, _TINY))) - marginals @ logs
        value += entropy * (inner - marginals[:k0].sum() + 1)
    if pulls is not None:
        ratios = np.log(np.maximum(marginals, _TINY)) - logs
        value += pulls @ (marginals * ratios - marginals + weights)
    loss = value - (free * counts) @ logs
    return WeightSolution(plan, slack, weights, float(value), float(loss))


def _margins(table):
    k0, k1 = table.shape
    return np.concatenate([table @ np.ones(k1), np.ones(k0) @ table])


def _weights(problem, marginals):
    # Balanced: the marginals.  Else a mean of them and the shares of the data.
    sums = marginals
    if problem.pulls is not None:
        sums = problem.counts + (problem.pulls + problem.entropy) * marginals
    k0 = problem.k0
    weights = np.concatenate([sums[:k0] / sums[:k0].sum(), sums[k0:] / sums[k0:].sum()])
    return np.where(problem.free, weights, problem.fixed)


def _interior_start(problem, costs):
    # The product of the weights: marginals are right, every entry alive.
    weights = np.where(problem.free, problem.counts, problem.fixed)
    plan = weights[: problem.k0, None] * weights[problem.k0 :]
    spread = costs.max() - costs.min() + problem.entropy + 1e-3
    return plan, np.full_like(plan, spread)


def _feasible(problem, plan):
    # A plan with the marginals that its constraints ask for, lost to rounding.
    if problem.pulls is not None:
        return plan
    k0 = problem.k0
    if problem.free_mass:
        return plan / plan.sum()
    if problem.free[0]:
        return plan * (problem.fixed[k0:] / plan.sum(0))
    return plan * (problem.fixed[:k0] / plan.sum(1))[:, None]


def _interior_point(problem, costs, plan, slack, warm=False):
    # Newton steps on slope - slack + potentials = 0, plan * slack = barrier.  A warm
    # start has no barrier and gives up at the first step that is cut short.
    first = plan = _feasible(problem, plan)
    first_slack, centring = slack, 0.0 if warm else 0.1
    for _ in range(_MAX_WARM_STEPS if warm else _MAX_STEPS):
        barrier = max(centring * np.vdot(plan, slack) / plan.size, _BARRIER_END)
        change = _direction(problem, costs, plan, slack, barrier)
        ratio = change / plan
        # Relative change of the slack.
        dual_ratio = barrier / (plan * slack) - 1 - ratio
        primal, dual = _reach(ratio), _reach(dual_ratio)
        full = min(primal, dual) > 0.9
        if warm and not full:
            return first, first_slack, False
        plan = _feasible(problem, plan + primal * change)
        slack = slack * (1 + dual * dual_ratio)
        if barrier == _BARRIER_END and full and np.vdot(change, ratio) < _SMALL_STEP:
            return plan, slack, True
        centring = 0.0 if warm else (0.02 if full else 0.2)
    return plan, slack, False


def _reach(ratio):
    # Longest step up to 1 that keeps positive values positive.
    lowest = ratio.min()
    return min(1.0, -_TO_BOUNDARY / lowest) if lowest < 0 else 1.0


def _direction(problem, costs, plan, slack, barrier):
    # The plan's own curvature is diagonal; that of the marginals comes in by their
    # compliance, the inverse Hessian c - q c c^T of either side.
    k0 = problem.k0
    slopes, compliance, couplings = _curves(problem, _margins(plan))
    slope = costs + slopes[:k0, None] + slopes[k0:] - barrier / plan
    if problem.entropy > 0:
        slope += problem.entropy * np.log(plan)
    mobility = plan / (problem.entropy + slack + _LEAST_CURVATURE)
    push = mobility * slope
    k = len(compliance)
    system = np.zeros((k, k))
    system[:k0, k0:], system[k0:, :k0] = mobility, mobility.T
    for part, q in zip((slice(None, k0), slice(k0, None)), couplings, strict=True):
        if q > 0:
            system[part, part] = -q * compliance[part, None] * compliance[part]
    system.flat[:: k + 1] += compliance + _margins(mobility)
    potentials = np.linalg.solve(system, _margins(push))
    return mobility * (potentials[:k0, None] + potentials[k0:]) - push


def _curves(problem, marginals):
    # Slope and inverse curvature of the objective in the marginals, weights at their
    # best: the diagonal c, and q for either side.  Concave parts, of the entropy, are
    # cut to keep the Newton system positive definite.
    entropy, pulls, counts, fixed, free, k0 = problem
    if pulls is None:
        # -n log a - w reg a log a; the source keeps the sum of the plan.
        logs = np.log(np.where(free, marginals, fixed))
        slopes = -free * counts / marginals - entropy * logs
        bend = np.maximum(counts - entropy * marginals, _KEPT_CURVATURE * counts)
        compliance = free * marginals**2 / bend
        hold = 1 / compliance[:k0].sum() if problem.free_mass else 0.0
        return slopes, compliance, (hold, 0.0)
    both = pulls + entropy
    slopes = pulls * np.log(marginals) - both * np.log(_weights(problem, marginals))
    sums = counts + both * marginals
    bend = pulls * counts - both * entropy * marginals
    bend = np.maximum(bend, _KEPT_CURVATURE * pulls * counts)
    compliance = np.where(free, marginals * sums / bend, marginals / pulls)
    couplings = []
    for part in slice(None, k0), slice(k0, None):
        cross = free[part][0] * both[part][0] ** 2 / sums[part].sum()
        couplings.append(cross / (1 + cross * compliance[part].sum()))
    return slopes, compliance, couplings
