"""How a coupled mixture is fitted: domains, starts, runs, and what is kept."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import numpy_type
from skgmmot._checks import is_integer, message, warn_caller
from skgmmot._threads import one_blas_thread
from skgmmot.estimators._base import warn_of_no_convergence
from skgmmot.estimators._coupled_base import CoupledPredictions
from skgmmot.estimators._coupled_checks import checked_penalties, checked_start
from skgmmot.estimators._domains import free_rows, split_rows
from skgmmot.estimators._progress import Progress, callbacks_of
from skgmmot.estimators._sklearn_private import (
    CallbackSupportMixin,
    fit_context,
    with_callbacks,
)
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._validation import (
    check_enough_rows,
    check_rows,
    check_weights,
    drop_weightless,
    unchanged_on_error,
)
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._mixture import narrowed
from skgmmot.linalg._scatters import ILL_DEFINED
from skgmmot.linalg._shrinkage import Affine
from skgmmot.mixture._em import Parameters, Problem, evaluate
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture.coupled._domains import Domains, dense_mixture, domains_of
from skgmmot.mixture.coupled._fit import CoupledFit, Point, matched, run_from_best
from skgmmot.mixture.coupled._m_step import transport_plans
from skgmmot.mixture.coupled._records import CoupledProblem
from skgmmot.mixture.coupled._starts import (
    Given,
    Recipe,
    independent_start,
    number_of,
    starts,
)
from skgmmot.transport._plan import TransportPlan

_SIDES = ("source", "target")
_OFFERED = 10  # components that "bic" tries at most
_SATURATED = 0.01  # transported mass below which a warning is due
_GIVEN_UP = 1.0  # nats of a side's likelihood above which a warning is due
# Of the EM that tells what a side would gain by itself.
_LOOSE = Control(tol=1e-2, max_iter=10, accelerate=True)


_Rows = tuple[np.ndarray, np.ndarray | None]  # of a side, and their weights


class _Setting(NamedTuple):
    """What a fit works with."""

    problem: CoupledProblem
    domains: Domains
    sizes: tuple[int, ...]
    given: Given


class _Run(NamedTuple):
    """The best run, and the points that it could start from."""

    fit: CoupledFit
    starts: list[Point]


class CoupledEstimator(CallbackSupportMixin, CoupledPredictions):
    """What `fit` of CoupledGaussianMixture does; its parameters are that class's."""

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, sample_domain: Any, sample_weight: Any) -> Self:
        with unchanged_on_error(self), one_blas_thread():
            X = check_rows(self, X, reset=True, ensure_min_samples=2)
            weights = check_weights(sample_weight, X)
            reg_m = self._checked_reg_m()
            known = self._checked_starts(X.shape[1])
            sides = self._rows(X, weights, sample_domain)
            setting = self._setting(sides, known, reg_m)
            for side, size in zip(setting.problem.blocks, setting.sizes, strict=True):
                if side is not None:
                    check_enough_rows(side, size)
            n_starts = 1 if self._is_warm() else self.n_init
            callbacks = callbacks_of(self, X, n_starts)
            progress = Progress(self.verbose, self.verbose_interval, callbacks)
            with progress.telling():
                best = self._best(setting, progress)
            self._has_domains = sample_domain is not None
            self._store(setting, best, numpy_type(X), progress.stopped)
        return self

    # What the user gave

    def _rows(self, X: Any, weights: Any, sample_domain: Any) -> list[_Rows | None]:
        """Rows and weights of each side; None of a frozen one, which needs none."""
        if self.frozen is None:
            sides = split_rows(sample_domain, X, weights)
            return [drop_weightless(*side) for side in sides]
        free = drop_weightless(*free_rows(sample_domain, X, weights, self.frozen))
        return [None if self.frozen == side else free for side in _SIDES]

    def _checked_sizes(self, given: Given) -> tuple[int, ...] | None:
        """Numbers of both sides, or None where they are to be found."""
        sizes: Any = self.n_components
        if isinstance(sizes, str):
            known = [len(mixture.weights) for mixture in given if mixture is not None]
            return (known[0], known[-1]) if known else None
        sizes = (sizes, sizes) if is_integer(sizes, 1) else tuple(sizes)
        if len(sizes) != 2 or not all(is_integer(size, 1) for size in sizes):
            expected = "'bic', a positive integer or a pair (source, target) of them"
            raise ValueError(message("n_components", expected, repr(self.n_components)))
        for side, size, mixture in zip(_SIDES, sizes, given, strict=True):
            if mixture is not None and len(mixture.weights) != size:
                got = f"means of shape {mixture.means.shape}"
                mend = "n_components='bic' takes the number from the start"
                raise ValueError(
                    message(f"{side}_init", f"{size} components", got, mend)
                )
        return sizes

    def _checked_reg_m(self) -> tuple[float, ...] | None:
        return None if self.reg_m is None else checked_penalties(self.reg_m)

    def _checked_starts(self, n_features: int) -> tuple[Parameters | None, ...]:
        if self.align == "linear" and not TYPES[self.covariance_type].full_form:
            expected = "None, 'shift' or 'scale', since covariance_type is 'diag'"
            mend = "set covariance_type='full' or 'tied'"
            raise ValueError(message("align", expected, "'linear'", mend))
        given = []
        for side in _SIDES:
            name = f"{side}_init"
            start = getattr(self, name)
            if start is None and self.frozen == side:
                expected = f"a mixture for the {side}, since frozen={side!r}"
                raise ValueError(message(name, expected, None))
            known = (
                None
                if start is None
                else checked_start(start, name, self.covariance_type)
            )
            if known is not None and known.means.shape[1] != n_features:
                got = f"means of shape {known.means.shape}"
                raise ValueError(message(name, f"{n_features} features", got))
            given.append(known)
        return tuple(given)

    # The problem

    def _setting(self, sides: list[_Rows | None], given: Given, reg_m: Any) -> _Setting:
        kind = TYPES[self.covariance_type]
        blocks = tuple(
            None if side is None else blocks_of(*side, self.n_jobs).at_hand()
            for side in sides
        )
        known = [
            dense_mixture(kind, mixture) if mixture is not None else None
            for mixture in given
        ]
        domains = domains_of(
            blocks, known, self.align, self.cost_scale, float(self.reg_covar)
        )
        problem = CoupledProblem(
            kind,
            (domains.link,),
            float(self.transport_weight),
            reg=float(self.reg),
            reg_m=reg_m,
            frozen=tuple(self.frozen == side for side in _SIDES),
            reg_covar=domains.ridges,
            blocks=blocks,
        )
        sizes = self._checked_sizes(given)
        if sizes is None and self._is_warm():
            sizes = self.coupling_.shape
        if sizes is None:
            domains, number = self._found_number(problem, domains)
            sizes = number, number
        return _Setting(problem, domains, sizes, given)

    def _is_warm(self) -> bool:
        return self.warm_start and hasattr(self, "converged_")

    def _found_number(
        self, problem: CoupledProblem, domains: Domains
    ) -> tuple[Domains, int]:
        """The number that both domains, aligned, ask for together.

        Where populations may grow the means of the domains do not align them: the
        cheapest shift between mixtures of each does.
        """
        kind, samples = problem.kind, domains.samples
        rng = check_random_state(self.random_state)
        recipe = Recipe(domains.first_ridge, rng, self.n_jobs)
        d = len(domains.frame.metric)
        least = 5.0 * (d + 1) if kind.full_form else 10.0
        if problem.reg_m is not None and problem.links[0].free_shift:
            sizes = [number_of(kind, [x], _OFFERED, least, recipe) for x in samples]
            alone = independent_start(kind, samples, sizes, (None, None), recipe)
            (found,) = transport_plans(alone, problem, warn=False)
            domains = domains.aligned_by(found.shift)
        return domains, number_of(kind, domains.samples, _OFFERED, least, recipe)

    # Runs

    def _points(self, setting: _Setting, rng: Any, number: int) -> list[Point]:
        """Starting points, one for each way to start."""
        methods = [self.init_params]
        if self.init_params == "auto":
            methods = ["pooled", "independent"]
        n_given = sum(mixture is not None for mixture in setting.given)
        if n_given == 2 or setting.sizes[0] != setting.sizes[1]:
            methods = ["independent"]
        recipe = Recipe(setting.domains.first_ridge, rng, self.n_jobs, number)
        kind, samples = setting.problem.kind, setting.domains.samples
        return starts(methods, kind, samples, setting.sizes, setting.given, recipe)

    def _best(self, setting: _Setting, progress: Progress) -> _Run:
        """The run with the best objective over all starts."""
        rng = check_random_state(self.random_state)
        accelerate = self.accelerate == "auto" or bool(self.accelerate)
        control = Control(self.tol, self.max_iter, accelerate, progress.step)
        warm = self._is_warm()
        best: _Run | None = None
        for number in range(1 if warm else self.n_init):
            progress.begin(number)
            if warm:
                points = [self._former_point(setting.given)]
                control = control._replace(previous=self.lower_bounds_[-1])
            else:
                points = self._points(setting, rng, number)
            progress.started()
            try:
                # Steps that leave the range are recognised by their objective.
                with np.errstate(all="ignore"):
                    fit = run_from_best(setting.problem, points, control)
            except ValueError:  # a component collapsed: other starts may do
                continue
            done = progress.end(fit.state.objective, fit.converged)
            # The same optimum from two starts: rounding shall not choose.
            least = -np.inf if best is None else best.fit.state.objective + self.tol
            if fit.state.objective > least:
                best = _Run(fit, points)
            if done:
                break
        if best is None:
            raise ValueError(ILL_DEFINED)
        return best

    def _former_point(self, given: Given) -> Point:
        return tuple(
            known
            if known is not None and self.frozen == name
            else side._get_parameters()
            for name, side, known in zip(
                _SIDES, (self.source_, self.target_), given, strict=True
            )
        )

    # What is kept

    def _store(self, setting: _Setting, best: _Run, dtype: Any, stopped: bool) -> None:
        """Keep what a fit found, components of both sides in corresponding order."""
        problem, fit = setting.problem, best.fit
        point = fit.state.point
        (found,) = transport_plans(point, problem, shifts=fit.state.shifts)
        plan = found.plan
        free = all(mixture is None for mixture in setting.given)
        if free and len(point[0].weights) == len(point[1].weights):
            point, plan = matched(point, plan, problem.kind)
        if not fit.converged and not stopped:
            warn_of_no_convergence()
        frame = setting.domains.frame
        self.cost_scale_ = frame.metric
        self.source_, self.target_ = (
            self._fitted_side(parameters, dtype) for parameters in point
        )
        self.alignment_ = self._alignment(frame.alignment, found.shift)
        self._set_plan(plan, dtype)
        self.lower_bound_ = fit.state.objective
        self.lower_bounds_ = fit.bounds
        self.n_iter_ = len(fit.bounds)
        self.converged_ = fit.converged
        self._warn_if_saturated()
        self._warn_if_given_up(setting, best, point)

    def _alignment(self, alignment: Affine, shift: np.ndarray) -> Affine:
        if self.align != "shift":
            return alignment
        # A feature without variance has no costs, and goes with its domain.
        used = np.isfinite(self.cost_scale_)
        return alignment._replace(shift=np.where(used, shift, alignment.shift))

    def _fitted_side(self, parameters: Any, dtype: Any) -> SparseGaussianMixture:
        kind = self.covariance_type
        side = SparseGaussianMixture._of_parameters(parameters, kind, dtype)
        side.set_params(n_jobs=self.n_jobs, random_state=self.random_state)
        if hasattr(self, "feature_names_in_"):
            side.feature_names_in_ = self.feature_names_in_
        return side

    def _set_plan(self, plan: Any, dtype: Any) -> None:
        coupling = plan.coupling
        leaving, arriving = coupling.sum(axis=1), coupling.sum(axis=0)
        ends = (self.source_.weights_, self.target_.weights_)
        source, target = (weights.astype(np.float64) for weights in ends)
        self.coupling_ = coupling.astype(dtype)
        self.costs_ = narrowed(plan.costs, dtype)
        self.transport_cost_ = float(plan.value)
        self.transported_mass_ = float(coupling.sum())
        self.source_reweighting_ = _ratio(leaving, source, dtype)
        self.target_reweighting_ = _ratio(target, arriving, dtype)
        self._potentials = tuple(plan.potentials)

    def _plan(self) -> TransportPlan:
        """The fitted coupling as a plan, in the units of the objective."""
        return TransportPlan(
            self.coupling_, self.costs_, self.transport_cost_, self._potentials
        )

    def _regs(self) -> dict[str, Any]:
        """`reg` and `reg_m`, in the units of the objective."""
        return {"reg": self.reg, "reg_m": self._checked_reg_m()}

    # Warnings

    def _warn_if_saturated(self) -> None:
        if self.reg_m is None or self.transported_mass_ >= _SATURATED:
            return
        d = self.n_features_in_
        mend = "Raise reg_m, or set it to None."
        if self.cost_scale != "auto":
            mend = (
                f"A cost is a sum over {d} features here: cost_scale='auto' makes it a "
                "mean in units of their variances; or raise reg_m, or set it to None."
            )
        warn_caller(
            f"Only {self.transported_mass_:.2g} of the mass is moved: every cost is "
            f"{float(self.costs_.min()):.3g} or more in units of cost_scale, far above "
            f"reg_m={self.reg_m!r}, so that the coupling means little. {mend}"
        )

    def _warn_if_given_up(self, setting: _Setting, best: _Run, point: Point) -> None:
        """Tell where a mixture by itself would fit its domain much better."""
        problem = setting.problem
        if not problem.is_coupled:
            return
        lost = [
            0.0
            if blocks is None
            else _gain_alone(
                Problem(blocks, problem.kind, reg_covar=ridge), side, others
            )
            for blocks, ridge, side, others in zip(
                problem.blocks,
                setting.domains.ridges,
                point,
                zip(*best.starts, strict=True),
                strict=True,
            )
        ]
        if max(lost) > _GIVEN_UP:
            name = _SIDES[int(np.argmax(lost))]
            warn_caller(
                f"The transport term costs the {name} {max(lost):.3g} nats or more of "
                "its mean log-likelihood: its mixture describes it badly. Lower "
                f"transport_weight={self.transport_weight:g}, set reg_m, or choose an "
                "align that takes more of the difference upon itself."
            )


def _gain_alone(
    problem: Problem, parameters: Parameters, starts: Sequence[Parameters]
) -> float:
    """Mean log-likelihood that a start had, or some EM adds, without transport."""
    reached = [evaluate(problem, start).objective for start in starts]
    with np.errstate(all="ignore"):
        try:
            fit = run(problem, parameters, _LOOSE)
        except ValueError:  # a component collapses as soon as it is free
            return 0.0
    return max(fit.state.objective, *reached) - fit.bounds[0]


def _ratio(above: np.ndarray, below: np.ndarray, dtype: Any) -> np.ndarray:
    """above / below, 0 where below is 0; cut where it leaves the range of the type."""
    with np.errstate(over="ignore"):
        ratio = np.divide(above, below, out=np.zeros_like(below), where=below > 0.0)
    return narrowed(np.nan_to_num(ratio), dtype)
