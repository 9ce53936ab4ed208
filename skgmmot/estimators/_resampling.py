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
        return self._outcomes(
            [
                None if side is None else (side[0], row_weights(*side, rng))
                for side in self.samples.rows
            ]
        )

    def centre(self) -> Outcome:
        """What the weights that were given lead to without regularisation."""
        with one_blas_thread():
            return self._outcomes(self.samples.rows)[1]

    @property
    def balanced(self) -> bool:
        """Whether plans have the weights of the mixtures for marginals."""
        return self.samples.reg_m is None

    def _outcomes(self, rows: list[Rows | None]) -> tuple[Outcome, Outcome]:
        problem = self.fit._setting(self.samples._replace(rows=rows)).problem
        state = resampled_fit(problem, self.point, self.control)
        plain = _outcome(problem, state.point, state.shifts)
        alone = problem._replace(reg=0.0)
        return plain, _outcome(alone, rows_alone(problem, state), state.shifts)


def _outcome(problem: CoupledProblem, point: Point, shifts: Any) -> Outcome:
    plans = transport_plans(point, problem, False, shifts)
    return Outcome(
        point,
        [found.plan.coupling for found in plans],
        [float(found.plan.value) for found in plans],
    )
