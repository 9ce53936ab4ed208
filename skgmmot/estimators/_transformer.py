"""Moving samples from one domain to the other through coupled mixtures."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from skgmmot._blocks import blocks_of
from skgmmot._checks import message
from skgmmot.estimators._coupled import CoupledGaussianMixture
from skgmmot.estimators._domains import DomainAware, source_rows, split_rows
from skgmmot.estimators._sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from skgmmot.estimators._validation import (
    check_rows,
    check_weights,
    unchanged_on_error,
)
from skgmmot.linalg._mixture import as_mixture, narrowed
from skgmmot.transport._arguments import checked_slopes
from skgmmot.transport._map import METHODS, MixtureMap, check_movable
from skgmmot.transport._mw2 import mw2_plan
from skgmmot.transport._plan import TransportPlan

_POSTERIOR_ENTRIES = 2**22  # of a block of rows, 32 MiB


class GMMOTTransformer(
    DomainAware, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    r"""Move samples of one domain to the other, component by component.

    Two mixtures are fitted to the domains, their components coupled, and a row moves
    by the affine optimal maps :math:`T_{kl}` between components:

    .. math::
        T(x) = \sum_k p_k(x) \sum_l \frac{\gamma_{kl}}{\sum_l \gamma_{kl}} T_{kl}(x)

    with posteriors p and coupling γ (Delon and Desolneux, SIAM Journal on Imaging
    Sciences 2020, doi 10.1137/19M1301047). New rows cost K d² operations each.

    Parameters
    ----------
    estimator : estimator, default=None
        A `CoupledGaussianMixture` (None: with its defaults), whose coupling is used; or
        a mixture estimator, which is cloned, fitted to each domain and coupled by
        `mw2_plan`. A FrozenEstimator is used as it is.
    reg : 'coupled' or float, default='coupled'
        Entropic regularisation of the plan, in squared units of the data; 'coupled' is
        what a coupled estimator has fitted, or 0 for a plain mixture.
    reg_m : 'coupled', None, float or tuple of two floats, default='coupled'
        Weight of the Kullback-Leibler penalty on the marginals, in squared units of
        the data; None is balanced.
    method : {'barycentric', 'random', 'most_likely'}, default='barycentric'
        The conditional mean of the plan; a draw from it; or the map of the likeliest
        component to the largest entry of its row.
    map_to : {'target', 'source'}, default='target'
        Where rows are moved to.
    strength : float, default=1.0
        In [0, 1]: a row goes to x + strength (T(x) - x).
    random_state : int, RandomState instance or None, default=None
        For method='random', and for an estimator whose own is None.

    Attributes
    ----------
    source_, target_ : estimators
        The fitted mixtures of the two domains.
    plan_ : TransportPlan
        Coupling, costs, value and potentials.
    coupling_ : ndarray of shape (n_source_components, n_target_components)
        Mass that goes from component to component.
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
        "method": [StrOptions(set(METHODS))],
        "map_to": [StrOptions({"target", "source"})],
        "strength": [Interval(Real, 0.0, 1.0, closed="both")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        reg: float | str = "coupled",
        reg_m: Any = "coupled",
        method: str = "barycentric",
        map_to: str = "target",
        strength: float = 1.0,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.reg = reg
        self.reg_m = reg_m
        self.method = method
        self.map_to = map_to
        self.strength = strength
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
            Where one domain is missing, labels do not fit the rows, or a mixture
            cannot be fitted.
        """
        with unchanged_on_error(self):
            X = check_rows(self, X, reset=True, ensure_min_samples=2)
            weights = check_weights(sample_weight, X)
            if not isinstance(self.reg_m, str):
                checked_slopes(self.reg_m)
            estimator = self._prepared_estimator()
            if _is_coupled(estimator):
                keywords = {"sample_domain": sample_domain}
                coupled = _fit(estimator, X, weights, keywords)
                source, target = coupled.source_, coupled.target_
            else:
                coupled = None
                sides = split_rows(sample_domain, X, weights)
                source, target = (_fit(clone(estimator), *side) for side in sides)
            self._store(source, target, self._plan(source, target, coupled))
        return self

    def _prepared_estimator(self) -> Any:
        """The estimator to fit: cloned, with this random_state where it has none."""
        estimator = self.estimator
        estimator = CoupledGaussianMixture() if estimator is None else clone(estimator)
        parameters = estimator.get_params(deep=False)
        if self.random_state is not None and (
            "random_state" in parameters and parameters["random_state"] is None
        ):
            estimator.set_params(random_state=self.random_state)
        return estimator

    def _plan(self, source: Any, target: Any, coupled: Any) -> TransportPlan:
        """The plan of a coupled fit, or the one that reg and reg_m ask for."""
        asked = {
            name: value
            for name, value in (("reg", self.reg), ("reg_m", self.reg_m))
            if not isinstance(value, str)
        }
        if coupled is None:
            return mw2_plan(source, target, **asked)
        if not asked:
            return coupled._plan()
        return mw2_plan(source, target, **{**coupled._regs(), **asked})

    def _store(self, source: Any, target: Any, plan: Any) -> None:
        self.source_, self.target_, self.plan_ = source, target, plan
        self.coupling_ = plan.coupling
        ends = as_mixture(source, "source"), as_mixture(target, "target")
        self._there = MixtureMap(ends[0], ends[1], plan.coupling)
        self._back = MixtureMap(ends[1], ends[0], plan.coupling.T)

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
        self.fit(X, sample_domain=sample_domain, sample_weight=sample_weight)
        return self.transform(X, sample_domain=sample_domain)

    def transform(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Move the rows of the domain that `map_to` leaves; return others unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, new ones or those of `fit`.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows. Without labels
            every row is moved.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            Moved rows, finite however far a row is from all components.

        Raises
        ------
        ValueError
            Where a row to be moved has a value beyond 1e153, or labels do not fit the
            rows.
        """
        return self._move(X, sample_domain, self.map_to == "target")

    def inverse_transform(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Move rows back, by the transposed plan.

        With one component on each side this inverts `transform`; with more it does
        not, since components that were merged on the way are not told apart.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that `transform` returned.
        sample_domain : array-like of shape (n_samples,), default=None
            The labels that were given to `transform`: the rows that it moved are
            moved back. Without labels every row is.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            Rows moved back.
        """
        return self._move(X, sample_domain, self.map_to == "source")

    def _move(self, X: Any, sample_domain: Any, towards_target: bool) -> np.ndarray:
        check_is_fitted(self)
        X = check_rows(self, X)
        mask = source_rows(sample_domain, len(X))
        maps = self._there if towards_target else self._back
        rng = check_random_state(self.random_state)
        if mask is None:
            return maps.move(check_movable(X), self.method, self.strength, rng)
        leaving = mask if self.map_to == "target" else ~mask
        moved = X.copy()
        if leaving.any():
            rows = check_movable(X[leaving])
            moved[leaving] = maps.move(rows, self.method, self.strength, rng)
        return moved

    def transport_weights(self, X: Any) -> np.ndarray:
        r"""How the weight of a row changes when it moves along an unbalanced plan.

        .. math::
            \sum_k p_k(x) \sum_l \frac{\gamma_{kl}}{\pi_k}
            \frac{\pi'_l}{\sum_m \gamma_{ml}}

        with π the weights of the domain that is left and π' those of the other. Where
        the plan is balanced it is 1 everywhere. Else its mean under the fitted mixture
        of the domain that is left is 1 (less the π' of components that receive
        nothing); over the rows of a sample the mean can be some per cent off.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the domain that `map_to` leaves.

        Returns
        -------
        weights : ndarray of shape (n_samples,)
            Not negative.
        """
        check_is_fitted(self)
        X = check_rows(self, X)
        forward = self.map_to == "target"
        maps = self._there if forward else self._back
        coupling = self.coupling_ if forward else self.coupling_.T
        ends = (self.source_, self.target_) if forward else (self.target_, self.source_)
        left, entered = (as_mixture(end).weights.astype(np.float64) for end in ends)
        arriving = coupling.sum(axis=0)
        # Shares of a column first: the inverse of a tiny mass would be infinite.
        shares = np.divide(
            coupling, arriving, out=np.zeros(coupling.shape), where=arriving > 0.0
        )
        kept = left > 0.0
        factors = (shares[kept] @ entered) / left[kept]
        weights = np.empty(len(X), X.dtype)
        step = max(1, _POSTERIOR_ENTRIES // len(factors))
        for start in range(0, len(X), step):
            rows = slice(start, start + step)
            posteriors = blocks_of(X[rows]).posteriors(maps.gaussians)
            weights[rows] = narrowed(posteriors @ factors, X.dtype)
        return weights


def _is_coupled(estimator: Any) -> bool:
    """Whether an estimator couples two domains itself (frozen ones by what is in)."""
    inner = getattr(estimator, "estimator", estimator)
    return isinstance(inner, CoupledGaussianMixture)


def _fit(
    estimator: Any,
    X: Any,
    weights: np.ndarray | None,
    keywords: dict[str, Any] | None = None,
) -> Any:
    keywords = {} if keywords is None else keywords
    if weights is None:
        return estimator.fit(X, None, **keywords)
    if not has_fit_parameter(estimator, "sample_weight"):
        expected = "an estimator whose fit takes sample_weight"
        mend = "drop sample_weight, or use SparseGaussianMixture"
        raise ValueError(
            message("sample_weight", expected, type(estimator).__name__, mend)
        )
    return estimator.fit(X, None, sample_weight=weights, **keywords)
