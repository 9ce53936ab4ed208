"""Moving samples from one domain to the other through coupled mixtures."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn import get_config
from sklearn.base import clone

from skgmmot._checks import message, warn_caller
from skgmmot.estimators._domains import split_rows
from skgmmot.estimators._row_mover import RowMover
from skgmmot.estimators._sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._transfer import (
    Coupling,
    Transfer,
    default_estimator,
    domain_masses,
    fit_mixture,
    fitted_pair,
    is_coupled,
    maps_of,
    transfer_of_coupled,
    transfer_of_pair,
)
from skgmmot.estimators._validation import (
    check_rows,
    check_weights,
    unchanged_on_error,
)
from skgmmot.transport._arguments import checked_slopes
from skgmmot.transport._frame import ALIGNMENTS, mixture_moments
from skgmmot.transport._map import METHODS
from skgmmot.transport._mw2 import checked_pair
from skgmmot.transport._support import OUT_OF_SUPPORT


class GMMOTTransformer(RowMover):
    r"""Move samples of one domain to the other, component by component.

    Two mixtures are fitted to the domains, the source is aligned with the target as a
    whole, and components are coupled. A row moves by the alignment and from there by
    the affine optimal maps between components, :math:`T_{kl}` in all:

    .. math::
        T(x) = \sum_k p_k(x) \sum_l \frac{\gamma_{kl}}{\sum_l \gamma_{kl}} T_{kl}(x)

    with posteriors p and coupling γ (Delon and Desolneux, SIAM Journal on Imaging
    Sciences 2020, doi 10.1137/19M1301047). The alignment costs nothing: a shift of a
    whole domain is carried however far it is, and rows whose component has no
    counterpart go by the alignment only. New rows cost K d² operations each.

    Parameters
    ----------
    estimator : estimator, default=None
        A `CoupledGaussianMixture`, whose coupling, alignment and units are used (None:
        with its defaults, and with `align` and `cost_scale` below); or a mixture
        estimator, which is cloned and fitted to each domain. A FrozenEstimator of a
        coupled fit is used as it is.
    reg : 'coupled' or float, default='coupled'
        Entropic regularisation of the plan, in units of the costs; 'coupled' is what a
        coupled estimator has fitted, or 0 for a plain mixture.
    reg_m : 'coupled', None, float or tuple of two floats, default='coupled'
        Weight of the Kullback-Leibler penalty on the marginals, in units of the costs;
        None is balanced. 'coupled' is None for a plain mixture.
    align : {'shift', 'scale', 'linear', None}, default='shift'
        How the source is brought onto the target as a whole: by the common shift that
        makes the transport cheapest; by mean and standard deviation of each feature; by
        the linear map that is optimal between two Gaussians with the shrunk covariances
        of Ledoit and Wolf; or not at all. In 'linear', moving a feature that tells
        groups of rows apart counts more than moving one of noise. A coupled estimator
        that is given has its own.
    cost_scale : 'auto' or float, default='auto'
        Units of costs: 'auto' takes the mean over features of squared differences in
        units of the standard deviation within the domains; a number divides squared
        Euclidean costs. A coupled estimator that is given has its own.
    method : {'barycentric', 'random', 'most_likely'}, default='barycentric'
        The conditional mean of the plan; a draw from it; or the map of the likeliest
        component to the largest entry of its row.
    map_to : {'target', 'source'}, default='target'
        Where rows are moved to.
    strength : float, default=1.0
        In [0, 1]: a row goes to x + strength (T(x) - x).
    out_of_support : str, default='extrapolate'
        What is done with rows outside the mixture of their domain, see `support_score`:
        they move like others ('extrapolate'); by the map at the edge of the nearest
        component, and beyond the edge by the alignment ('shrink'); by the alignment
        only ('identity'); they become NaN ('nan'); or they are refused ('raise').
    support_level : float, default=0.999
        Score above which a row is outside.
    max_slope : float, default=None
        Bound on how much the map of a pair of components may stretch any direction, in
        the units of the costs and after the alignment. None: as much as it has to.
    random_state : int, RandomState instance or None, default=None
        For method='random', and for an estimator whose own is None.

    Attributes
    ----------
    source_, target_ : estimators
        The fitted mixtures of the two domains.
    plan_ : TransportPlan
        Coupling, costs, value and potentials, in the units of the costs.
    coupling_ : ndarray of shape (n_source_components, n_target_components)
        Mass that goes from component to component.
    alignment_ : Affine
        `linear`, of shape (n_features, n_features) or a diagonal (n_features,), and
        `shift`: the map of the source as a whole to the target.
    cost_scale_ : ndarray of shape (n_features,)
        What the square of a difference is divided by, feature by feature; infinite for
        a feature that varies in neither domain.
    max_slope_ : float
        The most that a map of a pair stretches any direction, in the units of the costs
        and after the alignment, among pairs that take a hundredth of the mass of the
        component that rows leave.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has names.

    See Also
    --------
    skgmmot.transport.mw2_map : The same for two mixtures that are known.

    Notes
    -----
    The barycentric map is a conditional mean and loses variance; 'random' does not.
    The map of a pair is a ratio of two covariances. Those that few rows stand behind
    are drawn to one that both domains share, by as much as their difference from it may
    be the noise of a sample: components of many rows are taken as they are, and one
    that collapsed onto a handful does not stretch rows. With ``align='linear'``, which
    matches the domains to their second moments, what pairs of components do beyond the
    alignment is also drawn to what they have in common, by as much as it may be noise
    (Efron and Morris, Journal of the American Statistical Association 1973, doi
    10.1080/01621459.1973.10481350). `from_mixtures` takes all as it is.

    In a plain Pipeline ``map_to='source'`` is the right choice: new target rows are
    brought to where the classifier was trained.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot import GMMOTTransformer, SparseGaussianMixture
    >>> from skgmmot.datasets import stack_domains
    >>> rng = np.random.default_rng(0)
    >>> source, target = rng.normal(size=(200, 2)), rng.normal(5.0, 2.0, (200, 2))
    >>> X, sample_domain = stack_domains(source, target)
    >>> mover = GMMOTTransformer(SparseGaussianMixture(1))
    >>> mover.fit(X, sample_domain=sample_domain).transform(source).mean(axis=0).round()
    array([5., 5.])
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit"), None],
        "reg": [Interval(Real, 0.0, None, closed="left"), StrOptions({"coupled"})],
        "reg_m": [
            Interval(Real, 0.0, None, closed="neither"),
            StrOptions({"coupled"}),
            tuple,
            list,
            None,
        ],
        "align": [StrOptions(set(ALIGNMENTS)), None],
        "cost_scale": [
            StrOptions({"auto"}),
            Interval(Real, 0.0, None, closed="neither"),
        ],
        "method": [StrOptions(set(METHODS))],
        "map_to": [StrOptions({"target", "source"})],
        "strength": [Interval(Real, 0.0, 1.0, closed="both")],
        "out_of_support": [StrOptions(set(OUT_OF_SUPPORT))],
        "support_level": [Interval(Real, 0.0, 1.0, closed="neither")],
        "max_slope": [Interval(Real, 0.0, None, closed="neither"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        reg: float | str = "coupled",
        reg_m: Any = "coupled",
        align: str | None = "shift",
        cost_scale: float | str = "auto",
        method: str = "barycentric",
        map_to: str = "target",
        strength: float = 1.0,
        out_of_support: str = "extrapolate",
        support_level: float = 0.999,
        max_slope: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.reg = reg
        self.reg_m = reg_m
        self.align = align
        self.cost_scale = cost_scale
        self.method = method
        self.map_to = map_to
        self.strength = strength
        self.out_of_support = out_of_support
        self.support_level = support_level
        self.max_slope = max_slope
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fit a mixture to each domain and couple their components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of both domains.
        y : Ignored
            Never read.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows. None couples the
            sample with itself, and warns.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        self : GMMOTTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            Where one domain is missing, labels do not fit the rows, a mixture cannot be
            fitted, or the estimator is a frozen mixture, the same for both sides.
        """
        with unchanged_on_error(self):
            X = check_rows(self, X, reset=True, ensure_min_samples=2)
            weights = check_weights(sample_weight, X)
            regs = self._asked_regs()
            estimator = self._prepared_estimator()
            if is_coupled(estimator):
                keywords = {"sample_domain": sample_domain}
                coupled = fit_mixture(estimator, X, weights, keywords)
                masses = domain_masses(sample_domain, weights, X, coupled.frozen)
                self._store(transfer_of_coupled(coupled, masses, regs))
            else:
                sides = split_rows(sample_domain, X, weights)
                pair, moments = fitted_pair(estimator, sides, self.align)
                self._name_features(*pair)
                coupling = Coupling(self.align, self.cost_scale, regs)
                self._store(transfer_of_pair(pair[0], pair[1], moments, coupling))
        return self

    @classmethod
    def from_mixtures(cls, source: Any, target: Any, **parameters: Any) -> Self:
        """Make a fitted transformer of two mixtures that are known.

        Alignment and units are those of the mixtures, whose covariances are taken as
        they are.

        Parameters
        ----------
        source, target : mixture-like
            Fitted estimators, or (weights, means, covariances) with covariances that
            are not singular.
        **parameters : dict
            As of the constructor, without `estimator`.

        Returns
        -------
        mover : GMMOTTransformer
            Fitted.

        Raises
        ------
        ValueError
            For parameters that are not as expected, an estimator among them, or
            mixtures of different numbers of features.

        Examples
        --------
        >>> from skgmmot import GMMOTTransformer
        >>> source = [1.0], [[0.0]], [[[1.0]]]
        >>> target = [1.0], [[100.0]], [[[4.0]]]
        >>> mover = GMMOTTransformer.from_mixtures(source, target, map_to="source")
        >>> mover.transform([[98.0], [102.0]])
        array([[-1.],
               [ 1.]])
        """
        mover = cls(**parameters)
        mover._validate_params()
        if mover.estimator is not None:
            expected = "None, since nothing is fitted"
            raise ValueError(message("estimator", expected, repr(mover.estimator)))
        ends = checked_pair(source, target)
        sides = [
            side
            if hasattr(side, "weights_")
            else SparseGaussianMixture.from_parameters(*end)
            for side, end in zip((source, target), ends, strict=True)
        ]
        mover.n_features_in_ = ends[0].means.shape[1]
        for side in sides:
            if hasattr(side, "feature_names_in_"):
                mover.feature_names_in_ = side.feature_names_in_
        coupling = Coupling(mover.align, mover.cost_scale, mover._asked_regs())
        moments = [mixture_moments(end) for end in ends]
        mover._store(transfer_of_pair(sides[0], sides[1], moments, coupling))
        return mover

    def _asked_regs(self) -> dict[str, Any]:
        """`reg` and `reg_m`, where they are numbers."""
        if not isinstance(self.reg_m, str):
            checked_slopes(self.reg_m)
        pairs = ("reg", self.reg), ("reg_m", self.reg_m)
        return {name: value for name, value in pairs if not isinstance(value, str)}

    def _prepared_estimator(self) -> Any:
        """The estimator to fit: cloned, with this random_state where it has none."""
        estimator = self.estimator
        if estimator is None:
            estimator = default_estimator(self.align, self.cost_scale)
        else:
            estimator = clone(estimator)
        parameters = estimator.get_params(deep=False)
        if self.random_state is not None and (
            "random_state" in parameters and parameters["random_state"] is None
        ):
            estimator.set_params(random_state=self.random_state)
        return estimator

    def _name_features(self, *sides: Any) -> None:
        for side in sides:
            if hasattr(self, "feature_names_in_"):
                side.feature_names_in_ = self.feature_names_in_

    def _store(self, transfer: Transfer) -> None:
        self.source_, self.target_, self.plan_, frame, _ = transfer
        self.coupling_ = self.plan_.coupling
        self.alignment_, self.cost_scale_ = frame
        self._there, self._back = maps_of(transfer, self.max_slope)
        self.max_slope_ = self._maps(self.map_to == "target").steepest

    def fit_transform(
        self,
        X: Any,
        y: object = None,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
    ) -> np.ndarray:
        """Fit, then transform the same rows with their labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of both domains.
        y : Ignored
            Never read.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            The rows, those of one domain moved to the other.
        """
        if y is not None and self.map_to == "target" and not _routing():
            warn_caller(
                "fit_transform was given y, as in a Pipeline, but metadata routing is "
                "off: what is fitted next sees moved source rows, and new rows without "
                "labels would be moved too, though they are target rows. Set "
                "map_to='source', or switch on metadata routing."
            )
        self.fit(X, sample_domain=sample_domain, sample_weight=sample_weight)
        return self.transform(X, sample_domain=sample_domain)


def _routing() -> bool:
    return bool(get_config()["enable_metadata_routing"])
