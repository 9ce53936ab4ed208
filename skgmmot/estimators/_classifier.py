"""A classifier that learns from labelled source rows for unlabelled target rows."""

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from array_api_compat import array_namespace
from sklearn.utils import check_random_state

from skgmmot._blocks import blocks_of, in_memory, in_parts
from skgmmot._blocks._row_arrays import Rows, like_rows_of, numpy_type
from skgmmot.estimators._class_labels import checked_labels, labels_of_source, numbered
from skgmmot.estimators._class_predictions import ClassPredictions, as_parameters
from skgmmot.estimators._classes import (
    Labelled,
    Subclasses,
    alignment_of,
    anchors_of,
    components_of,
    domain_moments,
    moved,
)
from skgmmot.estimators._domains import split_rows
from skgmmot.estimators._progress import Progress
from skgmmot.estimators._sklearn_private import Interval, StrOptions, fit_context
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._validation import (
    N_JOBS,
    check_rows,
    check_weights,
    drop_weightless,
    unchanged_on_error,
)
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._mixture import narrowed
from skgmmot.linalg._shrinkage import Affine
from skgmmot.mixture._pinned import Anchors, PinnedFit, Pins, Rounds, run_pinned

_LEAST_RATIO = 0.1  # of a component's shares, by which source rows count
_FIRST_ROUNDS = 12  # of the fit that only has to tell shares


class _Domains(NamedTuple):
    """Both domains, checked; y is the class index of the source rows."""

    X_source: Rows
    y: Any
    source_weight: Any
    X_target: Rows
    target_weight: Any


class _Found(NamedTuple):
    """A fit at one alignment."""

    alignment: Affine
    labels: Any  # (n_source,) component of each source row
    class_of: np.ndarray  # (K,)
    anchors: Anchors
    fit: PinnedFit


class GMMOTClassifier(ClassPredictions):
    r"""Classify target rows by components of the source that follow them.

    Components of the labelled source rows are moved by an alignment of the two domains
    to anchors :math:`a_k`. Then EM on the unlabelled target rows moves them on, while a
    transport term holds each at its counterpart:

    .. math::
        m_k = \frac{\sum_i r_{ik} x_i + f n \pi_k a_k}{\sum_i r_{ik} + f n \pi_k},
        \qquad
        r_{ik} \propto c_k^{1 - \rho} \pi_k^{\rho} N(x_i; m_k, \Sigma_k)

    with n target rows, weights :math:`\pi_k` of the source, f = `transport_weight`,
    :math:`\rho` = `reg_m` and :math:`c_k` the mean of :math:`r_{ik}`. Covariances
    are shrunk to those of the moved source by `shrinkage`.

    Parameters
    ----------
    n_components_per_class : int or 'bic', default=1
        Components of each class; 'bic' chooses up to 10 for each class by the
        Bayesian information criterion.
    covariance_type : {'tied', 'full', 'diag'}, default='tied'
        One matrix for all components; one for each, shrunk towards their mean; or
        variances for each, likewise, taken after the alignment.
    align : {'linear', 'scale', 'shift'} or None, default='linear'
        How the source as a whole is moved first: by the optimal map between Gaussians
        with shrunk covariances, in the units of the data; feature by feature; by the
        difference of the means; or not.
    transport_weight : float, default=0.5
        An anchor counts as f times the target rows that its component expects.
    reg_m : float or None, default=3.0
        Weight ρ, for each target row, of the Kullback-Leibler divergence of the
        components' shares in the target from those in the source. 0: shares are free;
        1: as in a prior; None: they are kept.
    shrinkage : float, default=0.5
        The anchors' covariances count as that many times the target rows expected.
    max_iter : int, default=30
        Rounds of EM. Early rounds are soft.
    tol : float, default=1e-4
        Stop where shares, and means in deviations, change by less.
    reg_covar : float, default=1e-6
        Added to the variances, in squared units of the data.
    random_state : int, RandomState instance or None, default=None
        For the starts of several components in a class; None is 0. One component
        draws nothing.
    n_jobs : int or None, default=None
        Threads; None: all cores that the process may use.
    verbose : int, default=0
        Whether rounds are printed.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the source rows.
    source_, target_ : SparseGaussianMixture
        Components in the source and in the target, in the same order.
    component_classes_ : ndarray of shape (n_components,)
        Index in `classes_` of each component's class.
    class_shares_ : ndarray of shape (n_classes,)
        Shares of the classes among the target rows of `fit`: means of posteriors.
    coupling_ : ndarray of shape (n_components, n_components)
        Mass that the transport term holds between components: diagonal.
    alignment_ : tuple (linear, shift)
        The map x → linear x + shift of the source as a whole.
    n_iter_ : int
        Rounds at the last alignment.
    converged_ : bool
        Whether these changed less than `tol` in the end.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has names.

    See Also
    --------
    GMMOTTransformer : Moves rows without looking at labels.

    Notes
    -----
    The alignment is made twice, unless shares are kept: a short first fit with ρ at
    most 1 says how often each component is met in the target, and source rows count by
    that in the second one, so that changed shares do not pass for a shift.

    The linear alignment is optimal in the units of the data: scale the features first.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot import GMMOTClassifier
    >>> from skgmmot.datasets import stack_domains
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 100)
    >>> source = rng.normal(size=(200, 2)) + 4.0 * y[:, None]
    >>> target = 3.0 * (rng.normal(size=(200, 2)) + 4.0 * y[:, None]) - 20.0
    >>> X, sample_domain = stack_domains(source, target)
    >>> labels = np.concatenate([y, np.full(200, -1)])  # of the target: never read
    >>> model = GMMOTClassifier().fit(X, labels, sample_domain=sample_domain)
    >>> bool(model.score(target, y) > 0.98)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components_per_class": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"bic"}),
        ],
        "covariance_type": [StrOptions({"tied", "full", "diag"})],
        "align": [StrOptions({"linear", "scale", "shift"}), None],
        "transport_weight": [Interval(Real, 0.0, None, closed="left")],
        "reg_m": [Interval(Real, 0.0, None, closed="left"), None],
        "shrinkage": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components_per_class: int | str = 1,
        *,
        covariance_type: str = "tied",
        align: str | None = "linear",
        transport_weight: float = 0.5,
        reg_m: float | None = 3.0,
        shrinkage: float = 0.5,
        max_iter: int = 30,
        tol: float = 1e-4,
        reg_covar: float = 1e-6,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components_per_class = n_components_per_class
        self.covariance_type = covariance_type
        self.align = align
        self.transport_weight = transport_weight
        self.reg_m = reg_m
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.tol = tol
        self.reg_covar = reg_covar
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, *, sample_domain: Any = None, sample_weight: Any = None
    ) -> Self:
        """Learn classes from the source rows and let them follow the target rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of both domains.
        y : array-like of shape (n_samples,)
            Labels of the source rows. Those of target rows are never read: NaN or
            anything else may stand there.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows. None: all rows are
            both, and a warning says so.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        self : GMMOTClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            Where one domain is missing, or X, y, labels or weights are not as expected.
        """
        with unchanged_on_error(self):
            if in_parts(X):  # labelled rows are few: they are learnt from in memory
                X, y, sample_domain, sample_weight = map(
                    in_memory, (X, y, sample_domain, sample_weight)
                )
            X = check_rows(self, X, reset=True)
            domains = self._domains(X, y, sample_domain, sample_weight)
            self._fit(domains, numpy_type(X))
        return self

    def _domains(
        self, X: Rows, y: Any, sample_domain: Any, sample_weight: Any
    ) -> _Domains:
        """Split the rows, and number the classes of the source."""
        if y is None:  # in scikit-learn's words, which its tests match
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None; give labels of the source rows"
            )
        y = checked_labels(y, X)
        weights = check_weights(sample_weight, X)
        (X_source, w_source), (X_target, w_target) = split_rows(
            sample_domain, X, weights
        )
        y = labels_of_source(y, sample_domain)
        self.classes_, y = numbered(y, w_source, X)
        X_source, w_source = drop_weightless(X_source, w_source)
        X_target, w_target = drop_weightless(X_target, w_target)
        return _Domains(X_source, y, w_source, X_target, w_target)

    def _fit(self, domains: _Domains, dtype: Any) -> None:
        source = domain_moments(domains.X_source, domains.source_weight, self.n_jobs)
        target = domain_moments(domains.X_target, domains.target_weight, self.n_jobs)
        pins = Pins(self.transport_weight, self.shrinkage, self.reg_m, self.reg_covar)
        alignment = alignment_of(self.align, source, target)
        if self.align is not None and self.reg_m is not None:
            # Shares as the rows tell them; source rows then count by these.
            free = pins._replace(reg_m=min(self.reg_m, 1.0))
            most = min(_FIRST_ROUNDS, self.max_iter)
            first = self._found(domains, alignment, free, most)
            weights = self._reweighted(domains, first)
            source = domain_moments(domains.X_source, weights, self.n_jobs)
            alignment = alignment_of(self.align, source, target)
        found = self._found(domains, alignment, pins, self.max_iter)
        self._store(domains, found, dtype)

    def _found(
        self, domains: _Domains, alignment: Affine, pins: Pins, max_iter: int
    ) -> _Found:
        """Components of the moved source, and where the target rows bring them."""
        kind, weights = TYPES[self.covariance_type], domains.source_weight
        Z = domains.X_source
        if self.align is not None:
            Z = moved(Z, alignment, self.n_jobs)
        state = 0 if self.random_state is None else self.random_state
        subclasses = Subclasses(
            self.n_components_per_class,
            self.covariance_type,
            self.reg_covar,
            check_random_state(state),
            self.n_jobs,
        )
        labels, class_of = components_of(Z, domains.y, weights, subclasses)
        rows = Labelled(Z, weights, labels, len(class_of), self.n_jobs)
        anchors = anchors_of(rows, kind, self.reg_covar)
        blocks = blocks_of(domains.X_target, domains.target_weight, self.n_jobs)
        progress = Progress(self.verbose, 1)
        progress.begin(0)
        rounds = Rounds(max_iter, self.tol, progress.step)
        fit = run_pinned(blocks, kind, anchors, pins, rounds)
        return _Found(alignment, labels, class_of, anchors, fit)

    def _reweighted(self, domains: _Domains, found: _Found) -> Any:
        """Weights of the source rows whose components have the target's shares."""
        ratios = found.fit.shares / found.anchors.weights
        ratios = like_rows_of(found.labels, np.maximum(ratios, _LEAST_RATIO))
        ratios = array_namespace(ratios).take(ratios, found.labels)
        weights = domains.source_weight
        return ratios if weights is None else weights * ratios

    def _store(self, domains: _Domains, found: _Found, dtype: Any) -> None:
        kind = TYPES[self.covariance_type]
        rows = Labelled(
            domains.X_source,
            domains.source_weight,
            found.labels,
            len(found.class_of),
            self.n_jobs,
        )
        source = as_parameters(anchors_of(rows, kind, self.reg_covar), kind)
        self.source_, self.target_ = (
            SparseGaussianMixture._of_parameters(side, self.covariance_type, dtype)
            for side in (source, found.fit.parameters)
        )
        if hasattr(self, "feature_names_in_"):
            self.source_.feature_names_in_ = self.feature_names_in_
            self.target_.feature_names_in_ = self.feature_names_in_
        self.component_classes_ = found.class_of
        shares = np.bincount(found.class_of, found.fit.shares)
        self.class_shares_ = (shares / shares.sum()).astype(dtype)
        self.coupling_ = np.diag(found.anchors.weights).astype(dtype)
        self.alignment_ = Affine(*(narrowed(part, dtype) for part in found.alignment))
        self.n_iter_, self.converged_ = found.fit.n_iter, found.fit.converged
        self._anchors = found.anchors
