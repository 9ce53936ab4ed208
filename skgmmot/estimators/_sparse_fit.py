"""How a sparse mixture is fitted: the problem, its starts, runs, and what is kept."""

from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._blocks import Blocks, blocks_of
from skgmmot._checks import message, warn_caller
from skgmmot._threads import one_blas_thread
from skgmmot.estimators._base import FittedMixture, warn_of_no_convergence
from skgmmot.estimators._component_path import ComponentPath
from skgmmot.estimators._covariance_choice import (
    AUTO,
    adopt_best_type,
    chooses_type,
)
from skgmmot.estimators._progress import Progress, callbacks_of
from skgmmot.estimators._sklearn_private import (
    CallbackSupportMixin,
    fit_context,
    with_callbacks,
)
from skgmmot.estimators._validation import (
    check_enough_rows,
    check_rows,
    check_starts,
    check_warm_number,
    check_weights,
    drop_weightless,
)
from skgmmot.mixture._adam import run_adam, units_of
from skgmmot.mixture._both_ways import run_both_ways
from skgmmot.mixture._criteria import CRITERIA, Criterion, n_parameters
from skgmmot.mixture._em import Parameters, Problem, State, evaluate
from skgmmot.mixture._fit import Control, Fit, Stopped, run
from skgmmot.mixture._offers import carried, rungs
from skgmmot.mixture._path import Search
from skgmmot.mixture._penalty import Setting, penalty_of
from skgmmot.mixture._starts import Given, start_parameters
from skgmmot.mixture._stepwise import step

# Rows for each feature, and one, that a full covariance needs. A criterion charges
# for its parameters; a price does not, and must be kept from spikes.
_ROWS_IF_CHOSEN = 3
_ROWS_IF_PRICED = 5
_WARM_UP = Control(tol=1e-4, max_iter=50, accelerate=True)  # of random starts


class SparseFit(CallbackSupportMixin, FittedMixture):
    """What `fit` and `partial_fit` of SparseGaussianMixture do.

    Its parameters are those of SparseGaussianMixture.
    """

    path_: ComponentPath

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, sample_weight: Any) -> Self:
        with one_blas_thread():
            if chooses_type(self):
                adopt_best_type(self, "_fit", X, sample_weight)
                return self
            return self._fit_rows(X, sample_weight)

    def _fit_rows(self, X: Any, sample_weight: Any) -> Self:
        X = check_rows(self, X, reset=True, ensure_min_samples=2)
        weights = check_weights(sample_weight, X)
        X, weights = drop_weightless(X, weights)
        blocks = blocks_of(X, weights, self.n_jobs).at_hand()
        if self.sparsity == 0.0:
            check_enough_rows(blocks, self.n_components)
        given = check_starts(self, X.shape[1], self._kind)
        problem = self._problem(blocks)
        rng = check_random_state(self.random_state)
        if hasattr(self, "path_"):
            del self.path_
        problem = problem._replace(n_offered=self._offer(problem, given))
        offers = self._offers(problem, given)
        progress = self._progress(X, len(offers))
        with progress.telling():
            best = self._found(problem, sample_weight, rng, given, offers, progress)
        self._store(problem, best, problem.blocks.dtype, progress.stopped)
        return self

    def _found(
        self,
        problem: Problem,
        sample_weight: Any,
        rng: np.random.RandomState,
        given: Given,
        offers: list[int],
        progress: Progress,
    ) -> Fit:
        """The best fit by price or by criterion."""
        criterion = self._criterion
        if criterion is None:
            self._warn_of_small_mass(problem, sample_weight, 0)
            return self._best_fit(problem, rng, given, offers, progress)
        search = self._search(problem, criterion, rng, given, progress)
        best = search.found[search.best()]
        self.path_ = self._path_of(search, problem.blocks.dtype)
        free = n_parameters(problem.kind, *best.state.parameters.means.shape)
        self._warn_of_small_mass(problem, sample_weight, free)
        return best._replace(n_starved=search.n_removed)

    def _progress(self, X: Any, n_offers: int) -> Progress:
        """Messages and callbacks of a fit."""
        n_starts = 1 if self._is_warm() else self.n_init * n_offers
        callbacks = callbacks_of(self, X, n_starts, self._fitted_attributes)
        return Progress(self.verbose, self.verbose_interval, callbacks)

    def _fitted_attributes(self, state: State) -> dict[str, Any]:
        """What an estimator has whose fit had stopped at a state."""
        of = type(self)._of_parameters
        fitted = of(state.parameters, self.covariance_type, np.float64)
        fitted.lower_bound_, fitted.converged_ = state.objective, False
        settings = fitted.get_params()
        return {k: value for k, value in vars(fitted).items() if k not in settings}

    @property
    def _criterion(self) -> Criterion | None:
        """The criterion that chooses the number, None where a price does."""
        name = self.sparsity
        if not isinstance(name, str):
            return None
        if self.solver == "adam":
            mend = "give sparsity as a number, such as 1.0"
            expected = f"'em' with sparsity={name!r}"
            raise ValueError(message("solver", expected, "'adam'", mend))
        return CRITERIA[name]

    @property
    def _price(self) -> float:
        """The sparsity where that is a number, else 0."""
        return 0.0 if isinstance(self.sparsity, str) else self.sparsity

    def _offer(self, problem: Problem, given: Given) -> int:
        """How many components are at most kept: no more than the rows can carry.

        Starts that were given are taken as they are.
        """
        if self.sparsity == 0.0 or self._is_given(given):
            return self.n_components
        return min(self.n_components, carried(problem))

    def _offers(self, problem: Problem, given: Given) -> list[int]:
        """Numbers of components to start with: with a price, rungs up to the offer."""
        offer = problem.n_offered
        is_fixed = self._is_given(given) or self._is_warm() or self.max_iter == 0
        if is_fixed or not problem.prune:
            return [offer]
        return rungs(offer, carried(problem))

    def _is_given(self, given: Given) -> bool:
        """Whether the start, or a part of it, is the user's."""
        return callable(self.init_params) or any(part is not None for part in given)

    def _problem(self, blocks: Blocks) -> Problem:
        """The penalised problem that the parameters describe."""
        minimum = self.min_component_samples
        if minimum is None:
            factor = _ROWS_IF_PRICED if self._price > 0.0 else _ROWS_IF_CHOSEN
            minimum = self._kind.least_rows(blocks.n_features, factor)
        d, mass = blocks.n_features, blocks.mass
        setting = Setting(self._price, self.n_components, d, mass, self._kind)
        return Problem(
            blocks,
            self._kind,
            penalty_of(self._price, setting),
            reg_covar=self.reg_covar,
            min_mass=float(minimum),
            prune=self._price > 0.0 and self.solver == "em",
            n_offered=self.n_components,
        )

    def _warn_of_small_mass(
        self, problem: Problem, sample_weight: Any, n_free: int
    ) -> None:
        mass, least = problem.blocks.mass, problem.min_mass
        chooses = problem.prune or isinstance(self.sparsity, str)
        if sample_weight is None or not chooses:
            return
        mend = "scale the weights to sum to the number of rows"
        if mass < 2.0 * least:
            text = (
                f"so that min_component_samples={least:.3g} leaves a single component; "
                f"{mend}, or set min_component_samples."
            )
        elif mass < n_free:
            text = (
                f"less than the {n_free} parameters of the mixture, so that "
                f"sparsity={self.sparsity!r} means little; {mend}, or give a number."
            )
        else:
            return
        warn_caller(
            f"sample_weight is read as frequencies and sums to {mass:.3g}, {text}"
        )

    def _best_fit(
        self,
        problem: Problem,
        rng: np.random.RandomState,
        given: Given,
        offers: list[int],
        progress: Progress,
    ) -> Fit:
        """The best of `n_init` starts of each offer by the penalised objective."""
        fits, adam, most = [], self.solver == "adam", problem.n_offered
        units = units_of(problem.blocks, self.reg_covar) if adam else None
        warm = self._is_warm()
        n_init = 1 if warm else self.n_init
        draws = rng.get_state() if len(offers) > 1 else None
        for number in range(n_init * len(offers)):
            progress.begin(number)
            offer = offers[number // n_init]
            # No start depends on the offers before its own.
            if draws is not None and number % n_init == 0:
                rng.set_state(draws)
            offered = problem._replace(n_offered=offer)
            parameters, previous = self._start(offered, warm, rng, given)
            progress.started()
            fit = self._run(offered, parameters, previous, progress, units, most)
            fits.append(fit)
            if progress.end(fit.state.objective, fit.converged):
                break
        return max(fits, key=lambda fit: fit.state.objective)

    def _search(
        self,
        problem: Problem,
        criterion: Criterion,
        rng: np.random.RandomState,
        given: Given,
        progress: Progress,
    ) -> Search:
        """The descending paths from `n_init` starts."""
        warm, offer = self._is_warm(), problem.n_offered
        accelerate = self.accelerate in ("auto", True)
        control = Control(self.tol, self.max_iter, accelerate, progress.step)
        search = Search(problem, criterion, control, progress.size)
        search.begin(offer, rng)
        try:
            for number in range(1 if warm else self.n_init):
                progress.begin(number)
                rows = problem if callable(self.init_params) else search.problem
                rows = rows._replace(n_offered=offer)
                start = self._start(rows, warm, rng, given)[0]
                progress.started()
                search.add_start(start)
                fit = search.found[search.best()]
                if progress.end(fit.state.objective, fit.converged):
                    raise Stopped
            if search.finish() == offer:
                progress.limit(offer)
        except Stopped:
            search.stop()
        return search

    def _path_of(self, search: Search, dtype: Any) -> ComponentPath:
        """What the search found, as users read it."""
        sizes = sorted(search.found, reverse=True)
        mass, kind = search.mass, search.problem.kind.name
        fits = [search.found[size] for size in sizes]
        mixtures = [
            type(self)._of_parameters(fit.state.parameters, kind, dtype) for fit in fits
        ]
        for mixture in mixtures:
            if hasattr(self, "feature_names_in_"):
                mixture.feature_names_in_ = self.feature_names_in_
        return ComponentPath(
            np.array(sizes),
            np.array([mass * fit.state.objective for fit in fits]),
            np.array([search.score(size) for size in sizes]),
            tuple(mixtures),
        )

    def _is_warm(self) -> bool:
        return self.warm_start and hasattr(self, "converged_")

    def _start(
        self,
        problem: Problem,
        warm: bool,
        rng: np.random.RandomState,
        given: Given,
    ) -> tuple[Parameters, float]:
        """Parameters to start from, and the objective before their last M-step."""
        if warm:
            fixed = self.sparsity == 0.0
            check_warm_number(self.n_components, self.n_components_, fixed)
            previous = self.lower_bounds_[-1] if self.lower_bounds_ else -np.inf
            return self._get_parameters(), previous
        start = start_parameters(
            problem, problem.n_offered, self.init_params, rng, given
        )
        drawn = isinstance(self.init_params, str) and self.init_params == "random"
        chooses = problem.prune or isinstance(self.sparsity, str)
        if chooses and drawn and self.max_iter > 0:
            # Equal responsibilities make equal components, of which the objective
            # would keep one: they differ after some EM without penalty.
            free = problem.unpenalised()
            start = run(free, start, _WARM_UP).state.parameters
        return start, -np.inf

    def _run(
        self,
        problem: Any,
        parameters: Any,
        previous: float,
        progress: Any,
        units: Any,
        most: int,
    ) -> Any:
        automatic = self.accelerate == "auto"
        accelerate = self._price > 0.0 if automatic else bool(self.accelerate)
        report = progress.step if progress.is_watched else None
        control = Control(self.tol, self.max_iter, accelerate, report, previous)
        if self.solver == "adam":
            rate = self.learning_rate
            return run_adam(problem, parameters, control, rate, units)
        if problem.prune:
            return run_both_ways(problem, parameters, control, most)
        return run(problem, parameters, control)

    def _store(self, problem: Any, fit: Any, dtype: Any, stopped: bool = False) -> None:
        """Keep what a fit found; with `refit`, after EM without the penalty."""
        state = fit.state
        if self.refit and self._price > 0.0:
            free = problem.unpenalised()
            control = Control(self.tol, self.max_iter, accelerate=True)
            state = run(free, state.parameters, control).state
            state = evaluate(problem, state.parameters)
        if not fit.converged and self.max_iter > 0 and not stopped:
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
        if first and self.covariance_type == AUTO:
            adopt_best_type(self, "_partial_fit", X, sample_weight)
            return
        X = check_rows(self, X, reset=first, fitting=True)
        weights = check_weights(sample_weight, X)
        X, weights = drop_weightless(X, weights)
        problem = self._problem(blocks_of(X, weights, self.n_jobs))
        if first:
            parameters, n_starved = self._first_parameters(problem)
            shares, seen, n_iter = parameters.weights, 0.0, 0
        else:
            parameters = self._get_parameters()
            shares, seen = self._shares, self._mass_seen
            n_iter, n_starved = self.n_iter_, self.n_starved_
        taken = step(problem, parameters, shares, seen)
        dtype = problem.blocks.dtype if first else self.means_.dtype
        self._set_parameters(taken.parameters, dtype)
        self._shares, self._mass_seen = taken.shares, taken.mass_seen
        self.n_iter_, self.n_starved_ = n_iter + 1, n_starved + taken.n_starved
        self.converged_ = False
        self.lower_bound_, self.lower_bounds_ = taken.objective, [taken.objective]

    def _first_parameters(self, problem: Problem) -> tuple[Parameters, int]:
        """What the first batch starts from, and how many components starved before."""
        blocks = problem.blocks
        given = check_starts(self, blocks.n_features, self._kind)
        rng = check_random_state(self.random_state)
        criterion = self._criterion
        if criterion is None:
            check_enough_rows(blocks, self.n_components)
            # All that are offered: later batches bring the rows that they need.
            start = start_parameters(
                problem, self.n_components, self.init_params, rng, given
            )
            return start, 0
        progress = Progress(self.verbose, self.verbose_interval)
        search = self._search(problem, criterion, rng, given, progress)
        self.path_ = self._path_of(search, blocks.dtype)
        return search.found[search.best()].state.parameters, search.n_removed
