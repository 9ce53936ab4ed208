"""How sure a coupled fit is: the same fit under other weights of the rows."""

from copy import copy
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._checks import message
from skgmmot._threads import one_blas_thread
from skgmmot.estimators._base import Progress
from skgmmot.estimators._bootstrap import (
    CoupledBootstrap,
    Draw,
    checked_draws,
    gathered,
    row_weights,
)
from skgmmot.estimators._coupled_fit import CoupledEstimator
from skgmmot.estimators._validation import check_rows, check_weights
from skgmmot.mixture._fit import Control
from skgmmot.mixture.coupled._domains import dense_mixture
from skgmmot.mixture.coupled._fit import CoupledState, Point
from skgmmot.mixture.coupled._m_step import transport_plans
from skgmmot.mixture.coupled._records import CoupledProblem
from skgmmot.mixture.coupled._resampled import resampled_fit, rows_alone
from skgmmot.transport._debiased import debiased_plan
from skgmmot.transport._mw2 import mw2_distance

# Mass at which the dual penalty of a plan acts, by the rows of the smaller side: above
# what chance does to a share, n^(-1/2), and vanishing too.
_STRENGTH_POWER = -1.0 / 3.0
_STRENGTH = 0.4


class BootstrapsCoupled(CoupledEstimator):
    """The method `bootstrap` of CoupledGaussianMixture."""

    def bootstrap(
        self,
        X: Any,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
        n_bootstraps: int = 200,
        confidence_level: float = 0.95,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> CoupledBootstrap:
        """How sure the fit is, by a Bayesian bootstrap of its rows.

        Each draw gives the rows of both domains random weights (exponential ones, of
        the same sum as before), and fits again from the fitted mixtures, whose labels
        the draws keep; alignment and units are measured anew.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of `fit`.
        sample_domain : array-like of shape (n_samples,), default=None
            Their labels. None only where one side is frozen: all rows are of the other.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.
        n_bootstraps : int, default=200
            Draws, at least 2.
        confidence_level : float, default=0.95
            Part of the draws that lies within an interval.
        random_state : int, RandomState instance or None, default=None
            For the weights.
        n_jobs : int, default=None
            Threads that share the rows of a draw; None: the usable cores.
        verbose : int, default=0
            1 tells after every tenth draw how many are done.

        Returns
        -------
        bootstrap : CoupledBootstrap
            Draws along the first axis of `source_weights`, `target_weights`,
            `coupling`, `source_reweighting`, `target_reweighting`, `source_means`,
            `target_means`, `transport_cost` and `mw2`; `intervals`, a dict by these
            names of lower and upper ends; `debiased`, the same of what the rows say
            without the transport term.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where X, labels, weights or numbers are not as expected.

        Notes
        -----
        The draws vary as the fit does, about what the fit would find in very many rows.
        That is not the truth where the transport term pulls on shares and means:
        `debiased` takes the mixtures after a step of EM without it, and couples them
        without entropy; balanced, by plans that are Gaussian about the true one (arXiv
        2505.04312), of which an entry may be a little below 0.
        """
        check_is_fitted(self)
        number, level = checked_draws(n_bootstraps, confidence_level)
        X = check_rows(self, X)
        weights = check_weights(sample_weight, X)
        if sample_domain is None and self.frozen is None:
            expected = "the labels that fit was given"
            mend = "a sample that is coupled with itself has no second one to vary"
            raise ValueError(message("sample_domain", expected, None, mend))
        rng = check_random_state(random_state)
        sides = self._rows(X, weights, sample_domain)
        progress = Progress(verbose, 10)
        draws: list[tuple[Draw, Draw]] = []
        progress.begin(0)
        with one_blas_thread():
            fit = _Resampling(self, n_jobs)
            for i in range(number):
                draws.append(fit.draw(sides, rng, X.dtype))
                progress.step(i + 1, 0.0)
        plain, debiased = zip(*draws, strict=True)
        return gathered(plain, level, gathered(debiased, level))


class _Resampling:
    """One fitted estimator, to be fitted again with other weights."""

    def __init__(self, fitted: CoupledEstimator, n_jobs: int | None) -> None:
        self.fit = copy(fitted)  # the numbers of components are those that were found
        self.fit.n_components = fitted.coupling_.shape
        self.fit.n_jobs = n_jobs
        self.reg_m = fitted._checked_reg_m()
        self.given = fitted._checked_starts(fitted.n_features_in_)
        self.point = fitted._former_point(self.given)
        accelerate = fitted.accelerate == "auto" or bool(fitted.accelerate)
        self.control = Control(fitted.tol, fitted.max_iter, accelerate)

    def draw(self, sides: Any, rng: Any, dtype: Any) -> tuple[Draw, Draw]:
        """What one draw of weights leads to, and the same without regularisation."""
        drawn = [
            None if side is None else (side[0], row_weights(len(side[0]), side[1], rng))
            for side in sides
        ]
        problem = self.fit._setting(drawn, self.given, self.reg_m).problem
        state = resampled_fit(problem, self.point, self.control)
        return (
            _draw(problem, state.point, state, dtype),
            _debiased(problem, rows_alone(problem, state), state, dtype),
        )


def _draw(
    problem: CoupledProblem, point: Point, state: CoupledState, dtype: Any
) -> Draw:
    (found,) = transport_plans(point, problem, warn=False, shifts=state.shifts)
    plan = found.plan
    return _told(problem, point, plan.coupling, plan.value, dtype)


def _debiased(
    problem: CoupledProblem, point: Point, state: CoupledState, dtype: Any
) -> Draw:
    exact = problem._replace(reg=0.0)
    (found,) = transport_plans(point, exact, warn=False, shifts=state.shifts)
    coupling = found.plan.coupling
    if problem.reg_m is None:
        masses = [blocks.mass for blocks in problem.blocks if blocks is not None]
        strength = _STRENGTH * min(masses) ** _STRENGTH_POWER
        weights = point[0].weights, point[1].weights
        coupling = debiased_plan(found.plan.costs, weights, strength)
    return _told(problem, point, coupling, found.plan.value, dtype)


def _told(
    problem: CoupledProblem, point: Point, coupling: np.ndarray, cost: float, dtype: Any
) -> Draw:
    source, target = point
    leaving, arriving = coupling.sum(axis=1), coupling.sum(axis=0)
    reweighting = np.divide(
        target.weights, arriving, out=np.zeros_like(arriving), where=arriving > 0.0
    )
    distance = mw2_distance(*(dense_mixture(problem.kind, side) for side in point))
    arrays = (
        source.weights,
        target.weights,
        coupling,
        leaving / source.weights,
        reweighting,
        source.means,
        target.means,
    )
    return Draw(*(array.astype(dtype) for array in arrays), float(cost), distance)
