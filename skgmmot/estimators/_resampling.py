"""A fit of linked samples, again and again under other weights of their rows."""

from copy import copy
from typing import Any, NamedTuple

import numpy as np

from skgmmot._threads import one_blas_thread
from skgmmot.estimators._bootstrap import check_n_jobs, row_weights
from skgmmot.estimators._graph_fit import GraphEstimator, Rows, Samples
from skgmmot.estimators._progress import Progress
from skgmmot.mixture._fit import Control
from skgmmot.mixture.coupled._fit import Point
from skgmmot.mixture.coupled._m_step import transport_plans
from skgmmot.mixture.coupled._records import CoupledProblem
from skgmmot.mixture.coupled._resampled import resampled_fit, rows_alone
from skgmmot.transport._debiased import debiased_plan

# Mass at which the dual penalty of a plan acts, by the rows of the smaller side: above
# what chance does to a share, n^(-1/2), and vanishing too.
_STRENGTH_POWER = -1.0 / 3.0
_STRENGTH = 0.4


class Outcome(NamedTuple):
    """Mixtures of all samples, and what goes along each link."""

    point: Point
    couplings: list[np.ndarray]
    costs: list[float]


class Resampling:
    """One fitted estimator, to be fitted again from where it stands.

    Parameters
    ----------
    fitted : GraphEstimator
    samples : Samples
        What it was fitted to, of the numbers of components that were found.
    n_jobs : int or None
    """

    def __init__(
        self, fitted: GraphEstimator, samples: Samples, n_jobs: int | None
    ) -> None:
        self.fit = copy(fitted)
        self.fit.n_jobs = check_n_jobs(n_jobs)
        self.samples = samples
        self.point = fitted._former_point(samples)
        accelerate = fitted.accelerate == "auto" or bool(fitted.accelerate)
        self.control = Control(fitted.tol, fitted.max_iter, accelerate)

    def draws(
        self, number: int, rng: Any, verbose: int
    ) -> list[tuple[Outcome, Outcome]]:
        """So many draws, each also without regularisation."""
        progress = Progress(verbose, 10)
        progress.begin(0)
        found = []
        with one_blas_thread():
            for i in range(number):
                found.append(self.draw(rng))
                progress.step(i + 1, 0.0)
        return found

    def draw(self, rng: Any) -> tuple[Outcome, Outcome]:
        """What one draw of weights leads to, and the same without regularisation."""
        rows: list[Rows | None] = [
            None if side is None else (side[0], row_weights(*side, rng))
            for side in self.samples.rows
        ]
        problem = self.fit._setting(self.samples._replace(rows=rows)).problem
        state = resampled_fit(problem, self.point, self.control)
        plans = transport_plans(state.point, problem, False, state.shifts)
        plain = Outcome(
            state.point,
            [found.plan.coupling for found in plans],
            [float(found.plan.value) for found in plans],
        )
        return plain, _debiased(problem, rows_alone(problem, state), state.shifts)


def _debiased(problem: CoupledProblem, point: Point, shifts: Any) -> Outcome:
    plans = transport_plans(point, problem._replace(reg=0.0), False, shifts)
    couplings = [found.plan.coupling for found in plans]
    if problem.reg_m is None:
        for i, (link, found) in enumerate(zip(problem.links, plans, strict=True)):
            ends = link.first, link.second
            blocks = [problem.blocks[end] for end in ends]
            least = min(side.mass for side in blocks if side is not None)
            weights = point[ends[0]].weights, point[ends[1]].weights
            strength = _STRENGTH * least**_STRENGTH_POWER
            couplings[i] = debiased_plan(found.plan.costs, weights, strength)
    return Outcome(point, couplings, [float(found.plan.value) for found in plans])
