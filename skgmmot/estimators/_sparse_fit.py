"""How a sparse mixture is fitted: the problem, its starts, runs, and what is kept."""

from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._blocks import MemoryBlocks, blocks_of
from skgmmot._checks import warn_caller
from skgmmot._threads import one_blas_thread
from skgmmot.estimators._base import FittedMixture, Progress, warn_of_no_convergence
from skgmmot.estimators._sklearn_private import fit_context
from skgmmot.estimators._validation import (
    check_enough_rows,
    check_rows,
    check_starts,
    check_weights,
    drop_weightless,
)
from skgmmot.mixture._adam import run_adam, units_of
from skgmmot.mixture._em import Parameters, Problem, evaluate
from skgmmot.mixture._fit import Control, run, run_with_moves
from skgmmot.mixture._penalty import Setting, penalty_of
from skgmmot.mixture._starts import start_parameters
from skgmmot.mixture._stepwise import step

_WARM_UP = Control(tol=1e-4, max_iter=50, accelerate=True)  # of random starts


class SparseFit(FittedMixture):
    """What `fit` and `partial_fit` of SparseGaussianMixture do.

    Its parameters are those of SparseGaussianMixture.
    """

    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, sample_weight: Any) -> Self:
        with one_blas_thread():
            return self._fit_rows(X, sample_weight)

    def _fit_rows(self, X: Any, sample_weight: Any) -> Self:
        X = check_rows(self, X, reset=True, ensure_min_samples=2)
        weights = check_weights(sample_weight, X)
        X, weights = drop_weightless(X, weights)
        check_enough_rows(X, weights, self.n_components)
        given = check_starts(self, X.shape[1], self._kind)
        problem = self._problem(blocks_of(X, weights, self.n_jobs))
        self._warn_of_small_mass(problem, sample_weight)
        best, units = None, None
        rng = check_random_state(self.random_state)
        if self.solver == "adam":
            units = units_of(problem.blocks, self.reg_covar)
        warm = self.warm_start and hasattr(self, "converged_")
        progress = Progress(self.verbose, self.verbose_interval)
        for number in range(1 if warm else self.n_init):
            progress.begin(number)
            parameters, previous = self._start(problem, warm, rng, given)
            fit = self._run(problem, parameters, previous, progress, units)
            progress.end(fit.state.objective, fit.converged)
            if best is None or fit.state.objective > best.state.objective:
                best = fit
        self._store(problem, best, X.dtype)
        return self

    def _problem(self, blocks: MemoryBlocks) -> Problem:
        """The penalised problem that the parameters describe."""
        minimum = self.min_component_samples
        if minimum is None:
            minimum = 5 * (blocks.n_features + 1) if self._kind.full_form else 10
        d, mass = blocks.n_features, blocks.mass
        setting = Setting(self.sparsity, self.n_components, d, mass, self._kind)
        return Problem(
            blocks,
            self._kind,
            penalty_of(self.sparsity, setting),
            reg_covar=self.reg_covar,
            min_mass=float(minimum),
            prune=self.sparsity > 0.0 and self.solver == "em",
            n_offered=self.n_components,
        )

    def _warn_of_small_mass(self, problem: Any, sample_weight: Any) -> None:
        mass, least = problem.blocks.mass, problem.min_mass
        if sample_weight is not None and problem.prune and mass < 2.0 * least:
            warn_caller(
                "sample_weight is read as frequencies and sums to "
                f"{mass:.3g}, so that min_component_samples={least:.3g} leaves a "
                "single component; scale the weights to sum to the number of rows, or "
                "set min_component_samples."
            )

    def _start(
        self, problem: Any, warm: bool, rng: Any, given: Any
    ) -> tuple[Parameters, float]:
        """Parameters to start from, and the objective before their last M-step."""
        if warm:
            previous = self.lower_bounds_[-1] if self.lower_bounds_ else -np.inf
            return self._get_parameters(), previous
        start = start_parameters(
            problem, self.n_components, self.init_params, rng, given
        )
        drawn = isinstance(self.init_params, str) and self.init_params == "random"
        if problem.prune and drawn and self.max_iter > 0:
            # Equal responsibilities make equal components, of which the objective
            # would keep one: they differ after some EM without penalty.
            free = problem.unpenalised()
            start = run(free, start, _WARM_UP).state.parameters
        return start, -np.inf

    def _run(
        self, problem: Any, parameters: Any, previous: float, progress: Any, units: Any
    ) -> Any:
        automatic = self.accelerate == "auto"
        accelerate = self.sparsity > 0.0 if automatic else bool(self.accelerate)
        control = Control(self.tol, self.max_iter, accelerate, progress.step, previous)
        if self.solver == "adam":
            rate = self.learning_rate
            return run_adam(problem, parameters, control, rate, units)
        if problem.prune:
            return run_with_moves(problem, parameters, control)
        return run(problem, parameters, control)

    def _store(self, problem: Any, fit: Any, dtype: Any) -> None:
        """Keep what a fit found; with `refit`, after EM without the penalty."""
        state = fit.state
        if self.refit and self.sparsity > 0.0:
            free = problem.unpenalised()
            control = Control(self.tol, self.max_iter, accelerate=True)
            state = run(free, state.parameters, control).state
            state = evaluate(problem, state.parameters)
        if not fit.converged and self.max_iter > 0:
            warn_of_no_convergence()
        self._set_parameters(state.parameters, dtype)
        self._shares = state.moments.counts / state.moments.mass
        self._mass_seen = problem.blocks.mass
        self.n_starved_ = fit.n_starved
        self.converged_ = fit.converged
        self.n_iter_ = len(fit.bounds)
        self.lower_bound_ = state.objective
        self.lower_bounds_ = fit.bounds

    def _partial_fit(self, X: Any, sample_weight: Any) -> None:
        self._validate_params()  # the context of fits does so only at the first
        first = not hasattr(self, "weights_")
        X = check_rows(self, X, reset=first, fitting=True)
        weights = check_weights(sample_weight, X)
        X, weights = drop_weightless(X, weights)
        if first:
            check_enough_rows(X, weights, self.n_components)
        problem = self._problem(blocks_of(X, weights, self.n_jobs))
        if first:
            given = check_starts(self, X.shape[1], self._kind)
            rng = check_random_state(self.random_state)
            parameters = start_parameters(
                problem, self.n_components, self.init_params, rng, given
            )
            shares, seen, n_iter, n_starved = parameters.weights, 0.0, 0, 0
        else:
            parameters = self._get_parameters()
            shares, seen = self._shares, self._mass_seen
            n_iter, n_starved = self.n_iter_, self.n_starved_
        taken = step(problem, parameters, shares, seen)
        self._set_parameters(taken.parameters, X.dtype if first else self.means_.dtype)
        self._shares, self._mass_seen = taken.shares, taken.mass_seen
        self.n_iter_, self.n_starved_ = n_iter + 1, n_starved + taken.n_starved
        self.converged_ = False
        self.lower_bound_, self.lower_bounds_ = taken.objective, [taken.objective]
