"""The sparse Gaussian mixture: it finds its own number of components."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np

from skgmmot.estimators._covariance_choice import AUTO
from skgmmot.estimators._sklearn_private import Interval, StrOptions, fit_context
from skgmmot.estimators._sparse_bootstrap import BootstrapsNumber
from skgmmot.estimators._validation import N_JOBS, check_parameters, unchanged_on_error
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture._criteria import CRITERIA
from skgmmot.mixture._em import Parameters
from skgmmot.mixture._starts import METHODS


class SparseGaussianMixture(BootstrapsNumber):
    r"""Gaussian mixture that finds its number of components.

    With sparsity "bic", "icl" or "aic" it goes down from all components that are
    offered: EM, then the component is removed whose absence costs least after a refit,
    one at a time; the mixture with the lowest criterion is the fit. With a number it
    maximises, over weights w, means m and covariances Σ,

    .. math::
        \frac{1}{\sum_i \omega_i} \sum_i \omega_i
        \log \sum_j w_j N(x_i; m_j, \Sigma_j)
        - \frac{\text{sparsity}}{\text{n\_components}} \sum_j \sqrt{w_j}

    by EM with a closed-form M-step, and by removals and splits of components. The
    divisor stays the `n_components` asked for, also after components were removed.
    λ = sparsity / n_components is a price: a component of share w must gain λ√w nats a
    sample.

    Parameters
    ----------
    n_components : int, default=10
        Components that are offered; at most as many are kept. Except with sparsity=0,
        no more are offered than rows can carry: one for each `min_component_samples`,
        or with a price for each twice as many. A start that is given is taken whole.
        With a price, offers from 10 on start from 10, 15, 20, 30, 40, … components up
        to the offer, and end no lower than smaller ones of these at the same price.
    sparsity : {'bic', 'icl', 'aic'} or float, default='bic'
        The criterion that chooses the number of components, the lower the better:
        BIC = −2 log L + p max(log Σ_i ω_i, 0) with p free parameters, ICL = BIC +
        2 Σ_i ω_i H(r_i) with H the entropy of the posteriors, AIC = −2 log L + 2 p. Or
        the strength of the penalty; 0 is the ordinary mixture with exactly
        `n_components` components.
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'auto'}, default='full'
        Form of the covariances, as in scikit-learn. 'auto': of fits of all four, the
        one with the lowest criterion; a warm start keeps the form that it has.
    solver : {'em', 'adam'}, default='em'
        'em' removes components exactly; between removals for want of rows, which may
        lower it, the objective rises, up to a slack of the order of `reg_covar` over
        the smallest variance. 'adam' is full-batch gradient ascent on means, factors
        of the precisions and logits; it needs a number for `sparsity`.
    tol : float, default=1e-6
        Stop when the objective gains less in an iteration ('em') or moves less in 20
        steps ('adam'), in nats.
    reg_covar : float, default=1e-6
        Added to the variances, in squared units of the data.
    max_iter : int, default=1000
        Iterations at most, with a criterion those of the chosen number; 0 returns the
        start.
    n_init : int, default=1
        Starts, with a price of each offer, of which the one with the best objective is
        kept, or of every number of components the best.
    init_params : str or callable, default='kmeans'
        How to start: 'kmeans', 'k-means++', 'random' or 'random_from_data'. The first
        two see features divided by their standard deviations.
        A callable ``(X, n_components, random_state)`` returns means
        (n_components, n_features) or responsibilities (n_samples, n_components).
    weights_init : array-like of shape (n_components,), default=None
        Weights to start from.
    means_init : array-like of shape (n_components, n_features), default=None
        Means to start from; what else is missing comes from the rows nearest to each.
    precisions_init : array-like, default=None
        Precisions to start from, of the shape of `precisions_`.
    min_component_samples : float, default=None
        Except with sparsity=0, components with fewer effective rows Σ_i ω_i r_ij are
        removed, the lightest first. None: for full covariances 3 (n_features + 1) with
        a criterion and 5 (n_features + 1) with a price, for others 10; 0: none is.
    refit : bool, default=False
        Continue by EM without penalty on the components that are left: the penalty
        biases small weights. Without effect where a criterion chooses.
    accelerate : bool or 'auto', default='auto'
        Extrapolate EM steps; 'auto' does unless sparsity=0, so that this one
        follows scikit-learn's path.
    learning_rate : float, default=0.1
        Step of 'adam', in units of each feature: the power of ten nearest to its width.
    random_state : int, RandomState instance or None, default=None
        For starts and for `sample`.
    warm_start : bool, default=False
        Start from the last fit; a path begins at its components. With sparsity=0 the
        number stays, and `n_components` has to be that.
    n_jobs : int, default=None
        Threads; None: the usable cores, shared with fits that run in other threads.
    verbose : int, default=0
        1 prints objective, components, change and time; 2 with all digits.
    verbose_interval : int, default=10
        Iterations between two messages.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components_,)
        Weights, which sum to 1.
    means_ : ndarray of shape (n_components_, n_features)
        Means.
    covariances_ : ndarray
        By `covariance_type_`: ``(n_components_, n_features, n_features)`` for full,
        ``(n_features, n_features)`` for tied, ``(n_components_, n_features)`` for diag
        and ``(n_components_,)`` for spherical.
    precisions_ : ndarray
        Inverses, of the same shape.
    precisions_cholesky_ : ndarray
        Factors U with U Uᵀ = precision, of the same shape.
    n_components_ : int
        Components kept.
    covariance_type_ : str
        Form of the covariances; with 'auto' the one that the criterion chose.
    path_ : ComponentPath
        Where a criterion chose, the mixtures it chose among: arrays `n_components`
        (from the largest down), `log_likelihood` and `criterion`, and
        ``path_.mixture(k)``, a fitted SparseGaussianMixture of k components.
    n_starved_ : int
        Components removed for want of rows.
    converged_ : bool
        Whether the best start converged.
    n_iter_ : int
        Its iterations; where a criterion chose, those of the last EM.
    lower_bound_ : float
        The objective at the returned parameters; where a criterion chose, the mean
        log-likelihood.
    lower_bounds_ : list of float
        The objective before each M-step (or deletion move) of these iterations.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X has names.

    See Also
    --------
    skgmmot.transport.mw2_distance : Distance between two mixtures.

    Notes
    -----
    Sample weights are frequencies: a fit with integer weights equals the fit on
    repeated rows. The M-step of the weights majorises √w by its tangent, which gives
    w_j = r_j / (ν + λ / (2√v_j)) with one scalar ν.

    Likelihood is unbounded near subspaces, so that criteria could choose a component on
    a few rows, or on rows in a plane. They choose among mixtures without components
    that have fewer rows than `min_component_samples`, or a variance in some direction
    below 1e-4 of that in another or 1e-6 of the mean over components (directions
    measured by the mean covariance). Where rows are more than 40 000 (or 40 for each
    parameter of the mixture that is offered) the path is searched by a sample of
    them; its mixtures continue with all rows, those near the best one closely.

    BIC: Schwarz, doi 10.1214/aos/1176344136. ICL: Biernacki, Celeux and Govaert,
    doi 10.1109/34.865189. AIC: Akaike, doi 10.1109/TAC.1974.1100705.

    Examples
    --------
    >>> from skgmmot import SparseGaussianMixture
    >>> from skgmmot.datasets import make_spiral
    >>> X = make_spiral(2000, random_state=0)
    >>> mixture = SparseGaussianMixture(20, random_state=0).fit(X)
    >>> mixture.n_components_ < 20
    True
    >>> mixture.path_.mixture(3).n_components_
    3
    >>> mixture.predict(X).shape
    (2000,)
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "sparsity": [
            Interval(Real, 0.0, None, closed="left"),
            StrOptions(set(CRITERIA)),
        ],
        "covariance_type": [StrOptions({*TYPES, AUTO})],
        "solver": [StrOptions({"em", "adam"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(METHODS)), callable],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "min_component_samples": [Interval(Real, 0.0, None, closed="left"), None],
        "refit": ["boolean"],
        "accelerate": ["boolean", StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0.0, None, closed="neither")],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        sparsity: float | str = "bic",
        covariance_type: str = "full",
        solver: str = "em",
        tol: float = 1e-6,
        reg_covar: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: Any = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        min_component_samples: float | None = None,
        refit: bool = False,
        accelerate: bool | str = "auto",
        learning_rate: float = 0.1,
        random_state: Any = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.sparsity = sparsity
        self.covariance_type = covariance_type
        self.solver = solver
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.min_component_samples = min_component_samples
        self.refit = refit
        self.accelerate = accelerate
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; float32 is kept, all else becomes float64. Also rows of Dask, or a
            sequence of arrays or a function that gives some, read one by one.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows, not negative; rows of weight 0 do not count.

        Returns
        -------
        self : SparseGaussianMixture
            The fitted estimator.

        Raises
        ------
        ValueError
            Where X, weights, parameters or starts are not as expected, or where a
            covariance has no inverse (raise `reg_covar`).
        """
        with unchanged_on_error(self):
            self._fit(X, sample_weight)
        return self

    def fit_predict(
        self, X: Any, y: object = None, sample_weight: Any = None
    ) -> np.ndarray:
        """Fit the mixture and label the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            The component with the largest posterior.
        """
        with unchanged_on_error(self):
            return self._fit(X, sample_weight).predict(X)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: object = None, sample_weight: Any = None) -> Self:
        r"""Update the mixture by one step of stepwise EM on a batch of rows.

        .. math:: S \leftarrow (1 - \gamma) S + \gamma s(X), \quad
            \gamma = (t + 2)^{-0.7}

        with S the mean sufficient statistics and t the mass seen before in units of
        this batch's mass (Cappé and Moulines, Journal of the Royal Statistical Society
        B 2009, doi 10.1111/j.1467-9868.2009.00698.x). The first call starts from its
        own rows, by which a criterion also chooses the number of components; later
        ones, also after `fit`, continue. Only sums of the size of the mixture are kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A batch; where `sparsity` is a number, the first has at least n_components
            rows.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        self : SparseGaussianMixture
            The updated one; `lower_bound_` is that of the batch before the step.

        Raises
        ------
        ValueError
            Where the first batch has too few rows, or X is wrong.
        """
        with unchanged_on_error(self):
            self._partial_fit(X, sample_weight)
        return self

    @classmethod
    def from_parameters(
        cls, weights: Any, means: Any, covariances: Any, covariance_type: str = "full"
    ) -> Self:
        """Make a fitted estimator from the parameters of a mixture.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Weights, which sum to 1.
        means : array-like of shape (n_components, n_features)
            Means.
        covariances : array-like
            Covariances, of the shape that `covariance_type` asks for.
        covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
            Form of the covariances.

        Returns
        -------
        estimator : SparseGaussianMixture
            Fitted, with sparsity 0, `n_iter_` 0 and `lower_bound_` nan.

        Raises
        ------
        ValueError
            For shapes that do not fit, weights that do not sum to 1, covariances that
            are not symmetric and positive definite.

        Examples
        --------
        >>> from skgmmot import SparseGaussianMixture
        >>> mixture = SparseGaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[0.0], [3.0]], [1.0, 1.0], covariance_type="spherical")
        >>> mixture.predict([[-1.0], [4.0]])
        array([0, 1])
        """
        weights, means, covariances = check_parameters(
            weights, means, covariances, covariance_type
        )
        dtype = np.result_type(weights, means, covariances)
        weights, means, covariances = (
            np.asarray(values, np.float64) for values in (weights, means, covariances)
        )
        factors = TYPES[covariance_type].precisions_cholesky(covariances)
        parameters = Parameters(weights / weights.sum(), means, covariances, factors)
        return cls._of_parameters(parameters, covariance_type, dtype)

    @classmethod
    def _of_parameters(cls, parameters: Any, covariance_type: str, dtype: Any) -> Self:
        """A fitted estimator; the factors are those of float64, whatever the type."""
        fitted = cls(
            len(parameters.means), sparsity=0.0, covariance_type=covariance_type
        )
        fitted._set_parameters(parameters, dtype)
        fitted._shares, fitted._mass_seen = parameters.weights, 0.0
        fitted.n_starved_, fitted.converged_, fitted.n_iter_ = 0, True, 0
        fitted.lower_bound_, fitted.lower_bounds_ = np.nan, []
        fitted.n_features_in_ = parameters.means.shape[1]
        return fitted
