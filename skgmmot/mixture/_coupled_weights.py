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

from skgmmot.kernels import _weights as kernels


class WeightProblem(NamedTuple):
    """The programme but for its costs, in nats: times the transport weight."""

    entropy: float  # w reg
    pulls: np.ndarray  # (K0 + K1,) w reg_m of the side; empty: balanced
    counts: np.ndarray  # (K0 + K1,) shares of the data
    fixed: np.ndarray  # (K0 + K1,) weights of a frozen side, 0 on a free one
    free: np.ndarray  # (K0 + K1,) 1.0 on a free side, 0.0 on a frozen one
    k0: int


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
        plan, slack, done = kernels.interior_point(problem, costs, *start, True)
        found = evaluate(problem, costs, plan, slack)
        if done:
            return found
    first = _interior_start(problem, costs)
    plan, slack, _ = kernels.interior_point(problem, costs, *first, False)
    solution = evaluate(problem, costs, plan, slack)
    return found if start is not None and found.loss < solution.loss else solution


def evaluate(problem, costs, plan, slack):
    """Return the solution that belongs to a plan: its best weights, its loss."""
    weights, value, loss = kernels.evaluate(problem, costs, plan)
    return WeightSolution(plan, slack, weights, value, loss)


def _interior_start(problem, costs):
    # The product of the weights: marginals are right, every entry alive.
    weights = np.where(problem.free, problem.counts, problem.fixed)
    plan = weights[: problem.k0, None] * weights[problem.k0 :]
    spread = costs.max() - costs.min() + problem.entropy + 1e-3
    return plan, np.full_like(plan, spread)
