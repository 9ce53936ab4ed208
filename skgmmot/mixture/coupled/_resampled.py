"""A coupled fit under other weights of the rows: the same components, near the fit."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from skgmmot.linalg._bures import squared_distances
from skgmmot.mixture._em import Parameters, Problem, estimate
from skgmmot.mixture._fit import Control
from skgmmot.mixture.coupled._domains import dense_mixture
from skgmmot.mixture.coupled._fit import CoupledState, Point, e_step, run_coupled, taken
from skgmmot.mixture.coupled._records import CoupledProblem


def resampled_fit(
    problem: CoupledProblem, point: Point, control: Control
) -> CoupledState:
    """The fit that is reached from a point, with the point's labels."""
    # Steps that leave the range are recognised by their objective.
    with np.errstate(all="ignore"):
        state = run_coupled(problem, e_step(problem, point), control).state
    orders = [
        _order(problem.kind, now, former)
        for now, former in zip(state.point, point, strict=True)
    ]
    if all(order is None for order in orders):
        return state
    following = tuple(
        side if order is None else taken(problem.kind, side, order)
        for side, order in zip(state.point, orders, strict=True)
    )
    return e_step(problem, following, shifts=state.shifts)


def rows_alone(problem: CoupledProblem, state: CoupledState) -> Point:
    """The mixtures after a step of EM without transport: what the rows alone say."""
    d = state.point[0].means.shape[1]
    found = []
    for i, (side, moments) in enumerate(zip(state.point, state.moments, strict=True)):
        if moments is None or problem.frozen[i]:
            found.append(side)
            continue
        free = Problem(problem.blocks[i], problem.kind, reg_covar=problem.ridge(i, d))
        found.append(estimate(free, moments, side.means))
    return tuple(found)


def _order(kind: Any, now: Parameters, former: Parameters) -> np.ndarray | None:
    """Which component is nearest to each former one; None where none has moved far."""
    units = np.sqrt(np.square(former.means - former.means.mean(axis=0)).mean(axis=0))
    scale = 1.0 / np.where(units > 0.0, units, 1.0)
    parts: list[np.ndarray] = []
    for side in (former, now):
        dense = dense_mixture(kind, side)
        parts += [dense.means * scale, dense.covariances * np.outer(scale, scale)]
    order = linear_sum_assignment(squared_distances(*parts))[1]
    return None if (order == np.arange(len(order))).all() else order
