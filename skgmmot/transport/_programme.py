"""The one programme between weights of components, fixed or fitted, and its solver.

Over couplings P ≥ 0 of shape (K0, K1), and over the weights of the free sides, it
minimises::

    Σ P_kl C_kl + reg KL(P | a ⊗ b) + rho0 KL(P1 | a) + rho1 KL(Pᵀ1 | b)
    - Σ n log(weights of free sides)

with P1 = a or Pᵀ1 = b where the side is balanced. With both sides fixed it is the
programme of `solve_plan`; with free ones an M-step of coupled mixtures, n the shares of
the data. Free weights have a closed form in the marginals of the plan (balanced: they
are the marginals), so that one programme over P remains: linear costs, entropy where
there is any, and a function of each marginal. A primal-dual interior-point method
solves it. The barrier serves reg = 0 and tiny reg alike, and every step is one linear
system of size K0 + K1.

Vectors over components have the source's K0 entries first, then the target's K1.
"""

from typing import NamedTuple

import numpy as np

from skgmmot.transport._interior import BARRIER_END, interior_point, objective

# Of a start: its slack, of the order of the inverse, has a square.
_SMALLEST_ENTRY = 1e-100


class TransportProgramme(NamedTuple):
    """The programme but for its costs, in any one unit of cost."""

    entropy: float  # reg
    penalties: np.ndarray  # (K0 + K1,) rho of the side; infinite: balanced
    counts: np.ndarray  # (K0 + K1,) shares n of the data, read on free sides
    fixed: np.ndarray  # (K0 + K1,) weights of a fixed side, 0 on a free one
    free: np.ndarray  # (K0 + K1,) 1.0 on a free side, 0.0 on a fixed one
    k0: int


class ProgrammeSolution(NamedTuple):
    """A plan, the slacks of its bounds (for the next start), and what follows."""

    plan: np.ndarray  # (K0, K1)
    slack: np.ndarray  # (K0, K1)
    weights: np.ndarray  # (K0 + K1,)
    transport: float  # Σ P C with entropy and penalties
    loss: float  # transport - Σ n log weights over the free sides


def solve_programme(
    programme: TransportProgramme,
    costs: np.ndarray,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> ProgrammeSolution:
    """Best plan and weights for given costs.

    Parameters
    ----------
    programme : TransportProgramme
    costs : ndarray of shape (K0, K1)
    start : tuple of ndarray of shape (K0, K1), default=None
        Plan and slacks of a similar programme.

    Returns
    -------
    solution : ProgrammeSolution
        Its loss is not above that of `start`.
    """
    found = None
    if start is not None:
        # Where the same entries of the plan stay alive, two or three Newton steps
        # from the old plan do; where they do not, it is left for the interior.
        plan, slack, _, done = interior_point(
            programme, costs, *start, True, BARRIER_END
        )
        found = evaluate(programme, costs, plan, slack)
        if done:
            return found
    plan, slack, _ = from_interior(programme, costs)
    solution = evaluate(programme, costs, plan, slack)
    return found if found is not None and found.loss < solution.loss else solution


def evaluate(
    programme: TransportProgramme,
    costs: np.ndarray,
    plan: np.ndarray,
    slack: np.ndarray,
) -> ProgrammeSolution:
    """Return the solution that belongs to a plan: its best weights, its loss."""
    weights, value, loss = objective(programme, costs, plan)
    return ProgrammeSolution(plan, slack, weights, value, loss)


def from_interior(
    programme: TransportProgramme,
    costs: np.ndarray,
    barrier_end: float = BARRIER_END,
    centred: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve without a start: plan, slacks, potentials of both sides.

    A centred start has one complementarity everywhere: small weights stay small.
    """
    # The product of the weights: marginals are right, every entry alive.
    weights = np.where(programme.free, programme.counts, programme.fixed)
    plan = weights[: programme.k0, None] * weights[programme.k0 :]
    spread = costs.max() - costs.min() + programme.entropy + 1e-3
    slack = np.full_like(plan, spread)
    if centred:
        plan = np.maximum(plan, _SMALLEST_ENTRY)
        slack = spread / (plan * plan.size)
    plan, slack, potentials, _ = interior_point(
        programme, costs, plan, slack, False, barrier_end
    )
    return plan, slack, potentials
