"""The coupled mixture: two samples, one correspondence."""

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state

from skgmmot._blocks import blocks_of
from skgmmot._checks import is_integer, is_real, message
from skgmmot.estimators._base import Progress, warn_of_no_convergence
from skgmmot.estimators._coupled_base import CoupledPredictions
from skgmmot.estimators._domains import split_rows
from skgmmot.estimators._sklearn_private import Interval, StrOptions, fit_context
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._validation import (
    N_JOBS,
    check_enough_rows,
    check_rows,
    check_weights,
    drop_weightless,
    unchanged_on_error,
)
from skgmmot.linalg._covariances import ILL_DEFINED, TYPES
from skgmmot.linalg._mixture import as_mixture, narrowed
from skgmmot.linalg._spd import is_diagonal
from skgmmot.mixture._fit import Control
from skgmmot.mixture.coupled._fit import matched, run_from_best
from skgmmot.mixture.coupled._m_step import transport_plans
from skgmmot.mixture.coupled._records import CoupledProblem, Link
from skgmmot.mixture.coupled._starts import Recipe, given_parameters, starts
from skgmmot.transport._plan import TransportPlan

_SATURATED = 0.01  # transported mass below which a warning is due


class CoupledGaussianMixture(CoupledPredictions):
    r"""Two Gaussian mixtures fitted to two samples so that components correspond.

    Maximises, both domains counting alike whatever their sizes,

    .. math::
        \overline{\log p_0} + \overline{\log p_1} - \text{transport\_weight} \cdot
        \min_{\gamma \ge 0} \Big[ \sum_{kl} \gamma_{kl} C_{kl}
        + \text{reg} \, KL(\gamma | \pi_0 \otimes \pi_1)
        + \text{reg\_m} \, KL(\gamma 1 | \pi_0)
        + \text{reg\_m} \, KL(\gamma^T 1 | \pi_1) \Big]

    with C the squared 2-Wasserstein distances between components in units of
    `cost_scale_`, and KL(f | g) = Σ f log(f/g) - f + g. Balanced (reg_m=None): γ has
    marginals π₀ and π₁. See section 6 of Delon and Desolneux, SIAM Journal on Imaging
    Sciences 2020, doi 10.1137/19M1301047.

    Parameters
    ----------
    n_components : int or tuple of two int, default=3
        Components of both mixtures, or of (source, target).
    transport_weight : float, default=0.1
        Weight of the transport term; 0 fits the two mixtures independently.
    reg : float, default=0.01
        Entropic regularisation of the coupling, in units of `cost_scale_`; 0 is none.
    reg_m : float, tuple of two floats or None, default=None
        Weight of the Kullback-Leibler penalty on the marginals, of both sides or of
        (source, target), in units of `cost_scale_`; None is balanced.
    cost_scale : 'auto' or float, default='auto'
        Unit of costs: 'auto' is the mean over features of the variance within the
        domains (at least `reg_covar`), so that the defaults work in any unit; 1.0
        leaves costs as they are.
    covariance_type : {'full', 'diag'}, default='full'
        Form of the covariances.
    tol : float, default=1e-6
        Stop when the objective gains less in an iteration, in nats.
    reg_covar : float, default=1e-6
        Added to the variances, in squared units of the data.
    max_iter : int, default=500
        Iterations at most.
    n_init : int, default=1
        How often each way to start is tried; the best objective is kept.
    init_params : {'auto', 'pooled', 'independent'}, default='auto'
        'pooled': each domain centred at its mean, one mixture of both, shifted back;
        'independent': a mixture of each domain; 'auto': both where possible.
    source_init, target_init : mixture-like, default=None
        Mixtures to start from: (weights, means, covariances) or a fitted estimator.
    frozen : {None, 'source', 'target'}, default=None
        The side that stays at its given start.
    accelerate : bool or 'auto', default='auto'
        Extrapolate EM steps; 'auto' does.
    random_state : int, RandomState instance or None, default=None
        For starts and for `sample`.
    warm_start : bool, default=False
        Start from the last fit.
    n_jobs : int, default=None
        Threads; None: the usable cores, shared with fits that run in other threads.
    verbose : int, default=0
        1 prints iterations, 2 also times and changes.
    verbose_interval : int, default=10
        Iterations between two messages.

    Attributes
    ----------
    source_, target_ : SparseGaussianMixture
        The fitted mixtures, with sparsity 0.
    coupling_ : ndarray of shape (n_source_components, n_target_components)
        Mass that goes from component to component. Where both sides have as many
        components and none was given, label j is the same population on both.
    costs_ : ndarray of shape (n_source_components, n_target_components)
        Squared distances between components, in squared units of the data.
    transport_cost_ : float
        The minimum above, in squared units of the data.
    transported_mass_ : float
        Sum of `coupling_`; 1 when balanced.
    source_reweighting_ : ndarray of shape (n_source_components,)
        coupling_.sum(axis=1) / π₀: what leaving does to the weight of a point.
    target_reweighting_ : ndarray of shape (n_target_components,)
        π₁ / coupling_.sum(axis=0): what arriving does; 0 for an empty column. A point
        that goes from k to l changes its weight by the product of the two.
    cost_scale_ : float
        The unit of costs, in squared units of the data.
    lower_bound_ : float
        The objective at the returned parameters.
    lower_bounds_ : list of float
        The objective before each M-step.
    n_iter_ : int
        Iterations of the best start.
    converged_ : bool
        Whether it converged.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has names.

    See Also
    --------
    GMMOTTransformer : Moves rows along the coupling.
    skgmmot.transport.mw2_plan : Couples two mixtures that are known.

    Notes
    -----
    Held-out likelihood alone does not choose `transport_weight`: it falls with it.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot import CoupledGaussianMixture
    >>> from skgmmot.datasets import make_shifted_mixtures, stack_domains
    >>> data = make_shifted_mixtures(500, n_components=2, random_state=0)
    >>> X, sample_domain = stack_domains(data.X_source, data.X_target)
    >>> coupled = CoupledGaussianMixture(2, random_state=0)
    >>> coupled.fit(X, sample_domain=sample_domain).coupling_.round(1)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "transport_weight": [Interval(Real, 0.0, None, closed="left")],
        "reg": [Interval(Real, 0.0, None, closed="left")],
        "reg_m": [Interval(Real, 0.0, None, closed="neither"), tuple, list, None],
        "cost_scale": [
            StrOptions({"auto"}),
            Interval(Real, 0.0, None, closed="neither"),
        ],
        "covariance_type": [StrOptions({"full", "diag"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"auto", "pooled", "independent"})],
        "source_init": "no_validation",
        "target_init": "no_validation",
        "frozen": [StrOptions({"source", "target"}), None],
        "accelerate": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int | tuple[int, int] = 3,
        *,
        transport_weight: float = 0.1,
        reg: float = 0.01,
        reg_m: Any = None,
        cost_scale: float | str = "auto",
        covariance_type: str = "full",
        tol: float = 1e-6,
        reg_covar: float = 1e-6,
        max_iter: int = 500,
        n_init: int = 1,
        init_params: Any = "auto",
        source_init: Any = None,
        target_init: Any = None,
        frozen: str | None = None,
        accelerate: bool | str = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.transport_weight = transport_weight
        self.reg = reg
        self.reg_m = reg_m
        self.cost_scale = cost_scale
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.source_init = source_init
        self.target_init = target_init
        self.frozen = frozen
        self.accelerate = accelerate
        self.random_state = random_state
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fit both mixtures and their coupling.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of both domains; float32 is kept, all else becomes float64.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows; several numbers on
            a side are pooled. None couples the sample with itself, and warns.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        self : CoupledGaussianMixture
            The fitted estimator.

        Raises
        ------
        ValueError
            Where a domain is missing or has too few rows, a frozen side has no start,
            or parameters are not as expected.
        """
        with unchanged_on_error(self):
            X = check_rows(self, X, reset=True, ensure_min_samples=2)
            weights = check_weights(sample_weight, X)
            sizes, reg_m = self._checked_sizes(), self._checked_reg_m()
            given = self._checked_starts(sizes, X.shape[1])
            sides = [
                drop_weightless(*side) for side in split_rows(sample_domain, X, weights)
            ]
            for side, size in zip(sides, sizes, strict=True):
                check_enough_rows(*side, size)
            scale: Any = self.cost_scale
            if scale == "auto":
                # No component is narrower than reg_covar, and no cost is measured so.
                scale = max(_within_variance(sides), self.reg_covar) or 1.0
            problem = self._problem(sides, scale, reg_m)
            best = self._best(problem, sides, sizes, given)
            self._store(problem, best, given, X.dtype)
        return self

    def _checked_sizes(self) -> tuple[int, ...]:
        sizes: Any = self.n_components
        sizes = (sizes, sizes) if isinstance(sizes, Integral) else tuple(sizes)
        if len(sizes) != 2 or not all(is_integer(size, 1) for size in sizes):
            expected = "a positive integer or a pair (source, target) of them"
            raise ValueError(message("n_components", expected, repr(self.n_components)))
        return sizes

    def _checked_reg_m(self) -> tuple[float, ...] | None:
        if self.reg_m is None:
            return None
        pair: Any = self.reg_m
        pair = (pair, pair) if isinstance(pair, Real) else tuple(pair)
        if len(pair) != 2 or not all(is_real(rho) and rho > 0.0 for rho in pair):
            expected = "None, a positive number or a pair (source, target) of them"
            raise ValueError(message("reg_m", expected, repr(self.reg_m)))
        return tuple(float(rho) for rho in pair)

    def _checked_starts(self, sizes: Any, n_features: int) -> tuple[Any, ...]:
        kind = TYPES[self.covariance_type]
        given: list[Any] = []
        for side, size in zip(("source", "target"), sizes, strict=True):
            name = f"{side}_init"
            start = getattr(self, name)
            if start is None:
                if self.frozen == side:
                    expected = f"a mixture for the {side}, since frozen={side!r}"
                    raise ValueError(message(name, expected, None))
                given.append(None)
                continue
            mixture = as_mixture(start, name)
            if mixture.means.shape != (size, n_features):
                expected = f"{size} components with {n_features} features"
                got = f"means of shape {mixture.means.shape}"
                raise ValueError(message(name, expected, got))
            if not kind.full_form and not is_diagonal(mixture.covariances):
                expected = "diagonal covariances, since covariance_type is 'diag'"
                mend = "give such, or set covariance_type='full'"
                raise ValueError(message(name, expected, "others", mend))
            given.append(given_parameters(kind, mixture))
        return tuple(given)

    def _problem(self, sides: Any, scale: float, reg_m: Any) -> CoupledProblem:
        return CoupledProblem(
            TYPES[self.covariance_type],
            (Link(0, 1, metric=float(scale)),),
            float(self.transport_weight),
            reg=float(self.reg),
            reg_m=reg_m,
            frozen=(self.frozen == "source", self.frozen == "target"),
            reg_covar=float(self.reg_covar),
            blocks=tuple(blocks_of(x, weights, self.n_jobs) for x, weights in sides),
        )

    def _points(self, sides: Any, sizes: Any, given: Any, rng: Any, number: int) -> Any:
        """Starting points, one for each way to start."""
        methods = [self.init_params]
        if self.init_params == "auto":
            methods = ["pooled", "independent"]
        n_given = sum(mixture is not None for mixture in given)
        if n_given == 2 or sizes[0] != sizes[1]:
            methods = ["independent"]
        kind = TYPES[self.covariance_type]
        recipe = Recipe(self.reg_covar, rng, self.n_jobs, number)
        return starts(methods, kind, sides, sizes, given, recipe)

    def _best(self, problem: Any, sides: Any, sizes: Any, given: Any) -> Any:
        """The run with the best objective over all starts."""
        rng = check_random_state(self.random_state)
        accelerate = self.accelerate == "auto" or bool(self.accelerate)
        progress = Progress(self.verbose, self.verbose_interval)
        control = Control(self.tol, self.max_iter, accelerate, progress.step)
        warm = self.warm_start and hasattr(self, "converged_")
        best: Any = None
        for number in range(1 if warm else self.n_init):
            if warm:
                points = [self._former_point(given)]
                control = control._replace(previous=self.lower_bounds_[-1])
            else:
                points = self._points(sides, sizes, given, rng, number)
            progress.begin(number)
            try:
                # Steps that leave the range are recognised by their objective.
                with np.errstate(all="ignore"):
                    fit = run_from_best(problem, points, control)
            except ValueError:  # a component collapsed: other starts may do
                continue
            progress.end(fit.state.objective, fit.converged)
            # The same optimum from two starts: rounding shall not choose.
            least = -np.inf if best is None else best.state.objective + self.tol
            if fit.state.objective > least:
                best = fit
        if best is None:
            raise ValueError(ILL_DEFINED)
        return best

    def _former_point(self, given: Any) -> tuple[Any, ...]:
        point = [side._get_parameters() for side in (self.source_, self.target_)]
        if self.frozen is not None:
            index = ("source", "target").index(self.frozen)
            point[index] = given[index]
        return tuple(point)

    def _store(self, problem: Any, fit: Any, given: Any, dtype: Any) -> None:
        """Keep what a fit found, components of both sides in corresponding order."""
        point = fit.state.point
        ((_, plan),) = transport_plans(point, problem)
        free = all(mixture is None for mixture in given)
        if free and len(point[0].weights) == len(point[1].weights):
            point, plan = matched(point, plan, problem.kind)
        if not fit.converged:
            warn_of_no_convergence(stacklevel=5)
        self.cost_scale_ = problem.links[0].unit
        self.source_, self.target_ = (
            self._fitted_side(parameters, dtype) for parameters in point
        )
        self._set_plan(plan, dtype)
        self.lower_bound_ = fit.state.objective
        self.lower_bounds_ = fit.bounds
        self.n_iter_ = len(fit.bounds)
        self.converged_ = fit.converged
        self._warn_if_saturated()

    def _fitted_side(self, parameters: Any, dtype: Any) -> SparseGaussianMixture:
        kind = self.covariance_type
        side = SparseGaussianMixture._of_parameters(parameters, kind, dtype)
        side.set_params(n_jobs=self.n_jobs, random_state=self.random_state)
        if hasattr(self, "feature_names_in_"):
            side.feature_names_in_ = self.feature_names_in_
        return side

    def _set_plan(self, plan: Any, dtype: Any) -> None:
        coupling, scale = plan.coupling, self.cost_scale_
        leaving, arriving = coupling.sum(axis=1), coupling.sum(axis=0)
        ends = (self.source_.weights_, self.target_.weights_)
        source, target = (weights.astype(np.float64) for weights in ends)
        self.coupling_ = coupling.astype(dtype)
        self.costs_ = narrowed(scale * plan.costs, dtype)
        self.transport_cost_ = float(scale * plan.value)
        self.transported_mass_ = float(coupling.sum())
        self.source_reweighting_ = _ratio(leaving, source, dtype)
        self.target_reweighting_ = _ratio(target, arriving, dtype)
        self._potentials = tuple(scale * part for part in plan.potentials)

    def _plan(self) -> TransportPlan:
        """The fitted coupling as a plan, in squared units of the data."""
        return TransportPlan(
            self.coupling_, self.costs_, self.transport_cost_, self._potentials
        )

    def _absolute_regs(self) -> dict[str, Any]:
        """`reg` and `reg_m` in squared units of the data."""
        scale, reg_m = self.cost_scale_, self._checked_reg_m()
        if reg_m is not None:
            reg_m = tuple(scale * rho for rho in reg_m)
        return {"reg": scale * self.reg, "reg_m": reg_m}

    def _warn_if_saturated(self) -> None:
        if self.reg_m is not None and self.transported_mass_ < _SATURATED:
            least = float(self.costs_.min()) / self.cost_scale_
            warnings.warn(
                f"Only {self.transported_mass_:.2g} of the mass is moved: every cost "
                f"is {least:.3g} or more in units of cost_scale, far above "
                f"reg_m={self.reg_m!r}, so that the coupling means little. Raise "
                "reg_m, or set it to None.",
                UserWarning,
                stacklevel=5,
            )


def _within_variance(sides: Any) -> float:
    """Mean over features of the variance within the domains."""
    variances = [blocks_of(*side).mean_and_variances()[1].mean() for side in sides]
    return float(np.mean(variances))


def _ratio(above: np.ndarray, below: np.ndarray, dtype: Any) -> np.ndarray:
    """above / below, 0 where below is 0; cut where it leaves the range of the type."""
    with np.errstate(over="ignore"):
        ratio = np.divide(above, below, out=np.zeros_like(below), where=below > 0.0)
    return narrowed(np.nan_to_num(ratio), dtype)
