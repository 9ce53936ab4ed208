"""How linked mixtures are fitted: domains, starts, runs; two samples or many."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._blocks import blocks_of
from skgmmot._checks import warn_caller
from skgmmot.estimators._base import warn_of_no_convergence
from skgmmot.estimators._coupled_checks import warm_sizes
from skgmmot.estimators._domain_predictions import DomainPredictions
from skgmmot.estimators._progress import Progress, callbacks_of
from skgmmot.estimators._sklearn_private import CallbackSupportMixin
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._validation import check_enough_rows
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._mixture import narrowed
from skgmmot.linalg._scatters import ILL_DEFINED
from skgmmot.linalg._shrinkage import Affine
from skgmmot.mixture._em import Parameters, Problem, evaluate
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture.coupled._domains import Domains, dense_mixture, domains_of
from skgmmot.mixture.coupled._fit import (
    CoupledFit,
    Point,
    matching_orders,
    run_from_best,
    taken,
)
from skgmmot.mixture.coupled._m_step import transport_plans
from skgmmot.mixture.coupled._records import CoupledProblem, Link
from skgmmot.mixture.coupled._starts import (
    Given,
    Recipe,
    independent_start,
    number_of,
    starts,
)
from skgmmot.mixture.coupled._tree import branches
from skgmmot.transport._plan import TransportPlan
from skgmmot.transport._shift import ShiftedPlan

OFFERED = 10  # components that "bic" tries at most
_SATURATED = 0.01  # transported mass below which a warning is due
_GIVEN_UP = 1.0  # nats of a sample's likelihood above which a warning is due
# Of the EM that tells what a sample would gain by itself.
_LOOSE = Control(tol=1e-2, max_iter=10, accelerate=True)

Rows = tuple[Any, Any]  # of a sample, in memory or parts, and their weights


class Samples(NamedTuple):
    """What is to be fitted."""

    names: tuple[str, ...]  # for messages
    rows: list[Rows | None]  # None of a frozen one, which needs none
    given: Given
    frozen: tuple[bool, ...]
    links: tuple[Link, ...]  # who is linked, and how strongly
    sizes: tuple[int, ...] | None  # None: to be found
    reg_m: tuple[float, ...] | None


class Setting(NamedTuple):
    """What a fit works with."""

    problem: CoupledProblem
    domains: Domains
    sizes: tuple[int, ...]
    samples: Samples


class Run(NamedTuple):
    """The best run, and the points that it could start from."""

    fit: CoupledFit
    starts: list[Point]


class FittedLinks(NamedTuple):
    """Mixtures and plans as they are kept, components in corresponding order."""

    point: Point
    plans: list[TransportPlan]
    alignments: list[Affine]
    metrics: list[np.ndarray]  # what squared differences of features are divided by
    masses: list[float]  # of the samples; infinite where mixtures are known


class GraphEstimator(CallbackSupportMixin, DomainPredictions):
    """What CoupledGaussianMixture and LinkedGaussianMixture have in common."""

    def _fitted(self, samples: Samples, X: Any) -> FittedLinks:
        """Fit the samples of X, and keep what is told of the fit as a whole."""
        setting = self._setting(samples)
        for blocks, size in zip(setting.problem.blocks, setting.sizes, strict=True):
            if blocks is not None:
                check_enough_rows(blocks, size)
        n_starts = 1 if self._is_warm() else self.n_init
        callbacks = callbacks_of(self, X, n_starts)
        progress = Progress(self.verbose, self.verbose_interval, callbacks)
        with progress.telling():
            best = self._best(setting, progress)
        found = self._matched(setting, best.fit)
        if not best.fit.converged and not progress.stopped:
            warn_of_no_convergence()
        self.lower_bound_ = best.fit.state.objective
        self.lower_bounds_ = best.fit.bounds
        self.n_iter_ = len(best.fit.bounds)
        self.converged_ = best.fit.converged
        self._warn_if_saturated(setting, found)
        self._warn_if_given_up(setting, best, found.point)
        return found

    # The problem

    def _setting(self, samples: Samples) -> Setting:
        kind = TYPES[self.covariance_type]
        n_read = sum(rows is not None for rows in samples.rows)
        blocks = tuple(
            None
            if rows is None
            else blocks_of(*rows, self.n_jobs).at_hand(n_samples=n_read)
            for rows in samples.rows
        )
        known = [
            dense_mixture(kind, mixture) if mixture is not None else None
            for mixture in samples.given
        ]
        domains = domains_of(
            blocks,
            known,
            samples.links,
            self.align,
            self.cost_scale,
            float(self.reg_covar),
        )
        problem = CoupledProblem(
            kind,
            domains.links,
            float(self.transport_weight),
            reg=float(self.reg),
            reg_m=samples.reg_m,
            frozen=samples.frozen,
            reg_covar=domains.ridges,
            blocks=blocks,
        )
        sizes = samples.sizes
        if self._is_warm():
            former = tuple(len(side.weights) for side in self._former_point(samples))
            sizes = warm_sizes(sizes, former, samples.names)
        if sizes is None:
            domains, number = self._found_number(problem, domains)
            sizes = (number,) * len(samples.names)
        return Setting(problem, domains, sizes, samples)

    def _is_warm(self) -> bool:
        return self.warm_start and hasattr(self, "converged_")

    def _found_number(
        self, problem: CoupledProblem, domains: Domains
    ) -> tuple[Domains, int]:
        """The number that all domains, aligned, ask for together.

        Where populations may grow the means of the domains do not align them: the
        cheapest shifts between mixtures of each do.
        """
        kind, samples = problem.kind, domains.samples
        rng = check_random_state(self.random_state)
        recipe = Recipe(domains.first_ridge, rng, self.n_jobs)
        least = least_mass(kind, len(domains.ridges[0]))
        if problem.reg_m is not None and problem.links[0].free_shift:
            sizes = [number_of(kind, [x], OFFERED, least, recipe) for x in samples]
            given = (None,) * len(samples)
            alone = independent_start(kind, samples, sizes, given, recipe)
            plans = transport_plans(alone, problem, warn=False)
            domains = domains.aligned_by([found.shift for found in plans])
        return domains, number_of(kind, domains.samples, OFFERED, least, recipe)

    # Runs

    def _points(self, setting: Setting, rng: Any, number: int) -> list[Point]:
        """Starting points, one for each way to start."""
        methods = [self.init_params]
        given, sizes = setting.samples.given, setting.sizes
        if self.init_params == "auto":
            methods = ["pooled", "independent"]
            if len(setting.problem.links) > 1:
                methods = ["pooled", "independent", "neighbour"]
        if len(set(sizes)) > 1 and "pooled" in methods:
            methods = [method for method in methods if method != "pooled"]
        if not methods or all(mixture is not None for mixture in given):
            methods = ["independent"]
        domains = setting.domains
        recipe = Recipe(domains.first_ridge, rng, self.n_jobs, number)
        return starts(
            methods,
            setting.problem.kind,
            domains.samples,
            sizes,
            given,
            recipe,
            domains.tree,
        )

    def _best(self, setting: Setting, progress: Progress) -> Run:
        """The run with the best objective over all starts."""
        rng = check_random_state(self.random_state)
        accelerate = self.accelerate == "auto" or bool(self.accelerate)
        control = Control(self.tol, self.max_iter, accelerate, progress.step)
        warm = self._is_warm()
        best: Run | None = None
        for number in range(1 if warm else self.n_init):
            progress.begin(number)
            if warm:
                points = [self._former_point(setting.samples)]
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
                best = Run(fit, points)
            if done:
                break
        if best is None:
            raise ValueError(ILL_DEFINED)
        return best

    def _former_mixtures(self, samples: Samples) -> Sequence[SparseGaussianMixture]:
        """Those of the last fit, in the order of the samples."""
        raise NotImplementedError

    def _former_point(self, samples: Samples) -> Point:
        return tuple(
            known if known is not None and frozen else side._get_parameters()
            for side, known, frozen in zip(
                self._former_mixtures(samples),
                samples.given,
                samples.frozen,
                strict=True,
            )
        )

    # What is kept

    def _matched(self, setting: Setting, fit: CoupledFit) -> FittedLinks:
        """Mixtures and plans of a fit, labels matched along the links."""
        problem, given = setting.problem, setting.samples.given
        point = list(fit.state.point)
        found = transport_plans(point, problem, shifts=fit.state.shifts)
        plans = [shifted.plan for shifted in found]
        tree = branches(len(point), problem.links, _first_of(problem.links, given))
        free = [mixture is None for mixture in given]
        orders = matching_orders([plan.coupling for plan in plans], free, tree)
        for t, order in orders.items():
            point[t] = taken(problem.kind, point[t], order)
        return FittedLinks(
            tuple(point),
            [
                _reordered(plan, orders.get(link.first), orders.get(link.second))
                for plan, link in zip(plans, problem.links, strict=True)
            ],
            [
                self._alignment(*pair)
                for pair in zip(setting.domains.frames, found, strict=True)
            ],
            [frame.metric for frame in setting.domains.frames],
            [np.inf if rows is None else rows.mass for rows in problem.blocks],
        )

    def _alignment(self, frame: Any, found: ShiftedPlan) -> Affine:
        alignment = frame.alignment
        if self.align != "shift":
            return alignment
        # A feature without variance has no costs, and goes with its domain.
        used = np.isfinite(frame.metric)
        return alignment._replace(shift=np.where(used, found.shift, alignment.shift))

    def _fitted_side(self, parameters: Any, dtype: Any) -> SparseGaussianMixture:
        kind = self.covariance_type
        side = SparseGaussianMixture._of_parameters(parameters, kind, dtype)
        side.set_params(n_jobs=self.n_jobs, random_state=self.random_state)
        if hasattr(self, "feature_names_in_"):
            side.feature_names_in_ = self.feature_names_in_
        return side

    # Warnings

    def _link_name(self, setting: Setting, link: Link) -> str:
        """How a message speaks of a link; empty where there is but one."""
        if len(setting.problem.links) == 1:
            return ""
        names = setting.samples.names
        return f" from {names[link.first]} to {names[link.second]}"

    def _warn_if_saturated(self, setting: Setting, found: FittedLinks) -> None:
        if self.reg_m is None:
            return
        for link, plan in zip(setting.problem.links, found.plans, strict=True):
            mass = plan.coupling.sum()
            if mass >= _SATURATED:
                continue
            d = len(setting.domains.ridges[0])
            mend = "Raise reg_m, or set it to None."
            if self.cost_scale != "auto":
                mend = (
                    f"A cost is a sum over {d} features here: cost_scale='auto' makes "
                    "it a mean in units of their variances; or raise reg_m, or set it "
                    "to None."
                )
            warn_caller(
                f"Only {mass:.2g} of the mass is moved"
                f"{self._link_name(setting, link)}: every cost is "
                f"{float(plan.costs.min()):.3g} or more in units of cost_scale, far "
                f"above reg_m={self.reg_m!r}, so that the coupling means little. {mend}"
            )

    def _warn_if_given_up(self, setting: Setting, best: Run, point: Point) -> None:
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
            name = setting.samples.names[int(np.argmax(lost))]
            warn_caller(
                f"The transport term costs the {name} {max(lost):.3g} nats or more of "
                "its mean log-likelihood: its mixture describes it badly. Lower "
                f"transport_weight={self.transport_weight:g}, set reg_m, or choose an "
                "align that takes more of the difference upon itself."
            )


def least_mass(kind: Any, d: int) -> float:
    """Of the rows that a component must have, where their number is to be found."""
    return 5.0 * (d + 1) if kind.full_form else 10.0


def _first_of(links: Sequence[Link], given: Given) -> int:
    """Whose labels the others follow: a mixture that was given, else the first."""
    known = [t for t, mixture in enumerate(given) if mixture is not None]
    return known[0] if known else links[0].first


def _reordered(
    plan: TransportPlan, first: np.ndarray | None, second: np.ndarray | None
) -> TransportPlan:
    """A plan between components in other orders; None: as they are."""
    rows = slice(None) if first is None else first
    columns = slice(None) if second is None else second
    return plan._replace(
        coupling=plan.coupling[rows][:, columns],
        costs=plan.costs[rows][:, columns],
        potentials=(plan.potentials[0][rows], plan.potentials[1][columns]),
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


def ratio(above: np.ndarray, below: np.ndarray, dtype: Any) -> np.ndarray:
    """above / below, 0 where below is 0; cut where it leaves the range of the type."""
    with np.errstate(over="ignore"):
        quotient = np.divide(above, below, out=np.zeros_like(below), where=below > 0.0)
    return narrowed(np.nan_to_num(quotient), dtype)
