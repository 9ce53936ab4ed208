"""A classifier that learns from labelled source rows for unlabelled target rows."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

from skgmmot._blocks import in_memory, in_parts
from skgmmot._blocks._row_arrays import check_extent, numpy_type
from skgmmot._threads import one_blas_thread
from skgmmot.estimators._class_domains import labelled_domains
from skgmmot.estimators._class_fit import ClassFit
from skgmmot.estimators._sklearn_private import (
    Interval,
    StrOptions,
    fit_context,
    with_callbacks,
)
from skgmmot.estimators._validation import (
    N_JOBS,
    check_rows,
    check_weights,
    unchanged_on_error,
)

_LARGEST = 1e70
_MEND_SIZE = "scale the features"


class GMMOTClassifier(ClassFit):
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
    are shrunk to those of the moved source by `shrinkage`, and :math:`r_{ik}` is
    drawn towards the mean over neighbouring rows by `neighbor_weight`.

    Parameters
    ----------
    n_components_per_class : int or 'bic', default=1
        Components of each class; 'bic' chooses up to 10 for each class by the
        Bayesian information criterion.
    covariance_type : {'full', 'tied', 'diag'}, default='full'
        One matrix for each component, shrunk towards their mean, which counts as 10
        rows for each feature; one for all; or variances for each, taken after the
        alignment and shrunk likewise.
    align : {'auto', 'linear', 'scale', 'shift'} or None, default='auto'
        How the source as a whole is moved first: by the optimal map between Gaussians
        with shrunk covariances, in the units of the data; feature by feature; by the
        difference of the means; or not. 'auto' is 'linear' where that explains the
        target rows better than other shares of the components do, in the directions
        in which these differ in the source; else nothing is moved, and components
        stay where they are in the source. Where it explains little more, the source
        has a say in predictions; see the notes.
    transport_weight : float, default=1.0
        An anchor counts as f times the target rows that its component expects.
    reg_m : float or None, default=3.0
        Weight ρ, for each target row, of the Kullback-Leibler divergence of the
        components' shares in the target from those in the source. 0: shares are free;
        1: as in a prior; None: they are kept. A ρ above 1 holds shares while EM runs,
        so that no class takes all rows; the last round and predictions have ρ = 1.
    shrinkage : float, default=0.5
        The anchors' covariances count as that many times the target rows expected.
    neighbor_weight : float, default=0.36
        Part that the mean over a row's neighbourhood has in its :math:`r_{ik}` while
        EM runs, in [0, 1]. The neighbourhood is the row and the five nearest target
        rows (less where there are fewer than 36; of more than 2000 rows, those out of
        an even sample of 2000). Predictions do not look at neighbours.
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
        Shares of the classes among the target rows of `fit`: means of posteriors of
        `target_`.
    coupling_ : ndarray of shape (n_components, n_components)
        Mass that the transport term holds between components: diagonal.
    alignment_ : tuple (linear, shift)
        The map x → linear x + shift of the source as a whole.
    n_iter_ : int
        Rounds at the last alignment; 1 where components stay.
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
    What 'auto' compares are likelihoods of the target rows under source components with
    a common covariance, moved or not, with free shares (kept ones for ``reg_m=None``),
    seen along the discriminant directions of the source. No parameter is charged for.

    Components follow the rows into mistakes where classes overlap and the domains
    hardly differ. With 'auto' and one component in each class, probabilities are
    therefore means over several voices: the components that followed (`target_`) have
    the weight g + .3 with the gain g of the map, in nats a row; components of one
    covariance where the map put them .3; the moved source rows under a Gaussian kernel,
    for classes of any form, .3; components (`source_`) and kernel in place
    :math:`.3 e^{-2 g}` each. What has less than .02 of the sum is left out. Where
    nothing is moved, components and kernel in place have one half each. A kernel looks
    at 2000 rows at most.

    Other alignments are made twice, unless shares are kept: a short first fit with ρ at
    most 1, and one covariance in place of full ones, says how often each component is
    met in the target, and source rows count by that in the second one, so that changed
    shares do not pass for a shift. Components of a class are found once, in the rows of
    the source as they are.

    The linear alignment is optimal in the units of the data: scale the features first.

    A fit looks at the posteriors of the target rows, (n, K), several times a round, as
    shares are solved for. Up to 2²² of them are kept; more are computed anew each time,
    a slice of the rows at a time. Five neighbours a row are kept; which these are takes
    n² d work, for more than 2000 rows 2000 n d.

    Where "bic" is asked for, the components of each class are those of
    :class:`SparseGaussianMixture` with ``sparsity="bic"``, which offers up to 10.

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
        "align": [StrOptions({"auto", "linear", "scale", "shift"}), None],
        "transport_weight": [Interval(Real, 0.0, None, closed="left")],
        "reg_m": [Interval(Real, 0.0, None, closed="left"), None],
        "shrinkage": [Interval(Real, 0.0, None, closed="left")],
        "neighbor_weight": [Interval(Real, 0.0, 1.0, closed="both")],
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
        covariance_type: str = "full",
        align: str | None = "auto",
        transport_weight: float = 1.0,
        reg_m: float | None = 3.0,
        shrinkage: float = 0.5,
        neighbor_weight: float = 0.36,
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
        self.neighbor_weight = neighbor_weight
        self.max_iter = max_iter
        self.tol = tol
        self.reg_covar = reg_covar
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, *, sample_domain: Any = None, sample_weight: Any = None
    ) -> Self:
        """Learn classes from the source rows and let them follow the target rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of both domains. Those that are read in parts are brought into memory,
            all of them: a target as large as that is better given as a sample.
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
        with unchanged_on_error(self), one_blas_thread():
            if in_parts(X):  # labelled rows are few: they are learnt from in memory
                X, y, sample_domain, sample_weight = map(
                    in_memory, (X, y, sample_domain, sample_weight)
                )
            X = check_rows(self, X, reset=True)
            reason = "whose fourth powers are summed"
            X = check_extent(X, _LARGEST, reason, _MEND_SIZE)
            name = type(self).__name__
            self.classes_, domains = labelled_domains(
                name, X, y, sample_domain, check_weights(sample_weight, X)
            )
            self._fit(X, domains, numpy_type(X))
        return self
