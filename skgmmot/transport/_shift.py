"""The common shift of a domain that makes the transport between mixtures cheapest."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skgmmot.transport._arguments import checked_slopes
from skgmmot.transport._plan import TransportPlan, solve_plan

_MOST_STARTS = 100  # pairs of components whose difference is tried
_MOST_STEPS = 500
_STEP = 1e-12  # of a unit of the costs, below which v is where it stays


class ShiftedPlan(NamedTuple):
    """The shift of the source, beyond the frame's, and the plan at it."""

    shift: np.ndarray  # (d,) in the data's units
    plan: TransportPlan


class Gaps(NamedTuple):
    """Costs as a function of a common shift v: Σ_j (gap_klj - v_j)² / D_j + spread."""

    gaps: np.ndarray  # (K0, K1, d) from the source's components to the target's
    spreads: np.ndarray  # (K0, K1)
    metric: np.ndarray  # (d,), D

    def costs(self, shift: np.ndarray) -> np.ndarray:
        """Costs (K0, K1) where the source is moved by `shift`."""
        return (np.square(self.gaps - shift) / self.metric).sum(axis=2) + self.spreads

    def mean(self, coupling: np.ndarray) -> np.ndarray:
        """The shift that is best for a plan, the mean gap of the mass it moves."""
        return np.einsum("kl,kld->d", coupling, self.gaps) / coupling.sum()


def cheapest_shift(
    gaps: Gaps,
    weights: tuple[np.ndarray, np.ndarray],
    *,
    reg: float = 0.0,
    reg_m: Any = None,
    start: np.ndarray | None = None,
) -> ShiftedPlan:
    r"""Minimise the transport over a common shift of the source and the plan.

    .. math::
        \min_v \min_{\gamma \ge 0} \sum_{kl} \gamma_{kl} C_{kl}(v)
        + \mathrm{reg}\, KL(\gamma | \pi \otimes \pi') + \mathrm{penalties}

    For a given plan :math:`v = \sum \gamma_{kl} (m'_l - m_k) / \sum \gamma_{kl}`.
    Balanced, that is the difference of the means whatever the plan is. Else shift and
    plan are improved in turns, which never makes the transport dearer, from the best
    of several starts: the difference of the means, and of any two components (of the
    heaviest pairs, where there are more than a hundred).

    Parameters
    ----------
    gaps : Gaps
    weights : tuple of ndarrays of shape (K0,) and (K1,)
    reg, reg_m
        As in `solve_plan`, in units of the costs.
    start : ndarray of shape (d,), default=None
        A shift that is known to be near the best one: no other is tried.

    Returns
    -------
    shifted : ShiftedPlan
        The costs of the plan are those at the shift.
    """

    balanced = checked_slopes(reg_m) == (0.0, 0.0)
    if start is not None and not balanced:
        best = ShiftedPlan(start, plan_at(start, gaps, weights, reg=reg, reg_m=reg_m))
    else:
        tried = plans_of_starts(gaps, weights, reg=reg, reg_m=reg_m)
        best = min(tried, key=lambda shifted: shifted.plan.value)
    return best if balanced else _descended(best, gaps, weights, reg, reg_m)


def _descended(
    best: ShiftedPlan,
    gaps: Gaps,
    weights: tuple[np.ndarray, np.ndarray],
    reg: float,
    reg_m: Any,
) -> ShiftedPlan:
    # Shift and plan in turns, extrapolated from two turns where that is cheaper
    # (Anderson's mixing): where little mass moves, turns converge slowly.
    former: tuple[np.ndarray, np.ndarray] | None = None
    for _ in range(_MOST_STEPS):
        if not best.plan.coupling.sum() > 0.0:
            break
        shift = gaps.mean(best.plan.coupling)
        gap = (shift - best.shift) / np.sqrt(gaps.metric)
        places = [shift]
        if former is not None:
            change = gap - former[1]
            size = change @ change
            if size > 0.0:
                ahead = (gap @ change) / size * (shift - former[0])
                places.insert(0, shift - ahead)
        for place in places:
            near = best.plan.potentials
            after = plan_at(place, gaps, weights, reg=reg, reg_m=reg_m, near=near)
            if after.value <= best.plan.value:
                break
        else:  # rounding
            break
        former = shift, gap
        best = ShiftedPlan(place, after)
        if np.sqrt(gap @ gap) <= _STEP:
            break
    return best


def plans_of_starts(
    gaps: Gaps,
    weights: tuple[np.ndarray, np.ndarray],
    *,
    reg: float = 0.0,
    reg_m: Any = None,
) -> list[ShiftedPlan]:
    """The plans at all shifts from which `cheapest_shift` starts."""
    balanced = checked_slopes(reg_m) == (0.0, 0.0)
    found: list[ShiftedPlan] = []
    near: tuple[np.ndarray, np.ndarray] | None = None
    for shift in _starts(gaps, weights, balanced):
        plan = plan_at(shift, gaps, weights, reg=reg, reg_m=reg_m, near=near)
        near = plan.potentials
        found.append(ShiftedPlan(shift, plan))
    return found


def plan_at(
    shift: np.ndarray,
    gaps: Gaps,
    weights: tuple[np.ndarray, np.ndarray],
    *,
    reg: float = 0.0,
    reg_m: Any = None,
    near: tuple[np.ndarray, np.ndarray] | None = None,
) -> TransportPlan:
    """The plan where the source is moved by `shift`; `near` are potentials like its."""
    return solve_plan(
        gaps.costs(shift), *weights, reg=reg, reg_m=reg_m, potentials=near, warn=False
    )


def _starts(
    gaps: Gaps, weights: tuple[np.ndarray, np.ndarray], balanced: bool
) -> Iterator[np.ndarray]:
    masses = np.outer(*weights)
    yield gaps.mean(masses)
    if not balanced:
        heaviest = np.argsort(-masses, axis=None, kind="stable")[:_MOST_STARTS]
        for k, j in zip(*np.unravel_index(heaviest, masses.shape), strict=True):
            if masses[k, j] > 0.0:
                yield gaps.gaps[k, j]
