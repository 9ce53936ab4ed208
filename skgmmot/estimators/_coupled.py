"""The coupled mixture: two samples, one correspondence."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

from skgmmot.estimators._coupled_bootstrap import BootstrapsCoupled
from skgmmot.estimators._sklearn_private import Interval, StrOptions
from skgmmot.estimators._validation import N_JOBS


class CoupledGaussianMixture(BootstrapsCoupled):
    r"""Two Gaussian mixtures fitted to two samples so that components correspond.

    Maximises, both domains counting alike whatever their sizes,

    .. math::
        \overline{\log p_0} + \overline{\log p_1} - \text{transport\_weight} \cdot
        \min_{\gamma \ge 0} \Big[ \sum_{kl} \gamma_{kl} C_{kl}
        + \text{reg} \, KL(\gamma | \pi_0 \otimes \pi_1)
        + \text{reg\_m} \, KL(\gamma 1 | \pi_0)
        + \text{reg\_m} \, KL(\gamma^T 1 | \pi_1) \Big]

    with C the squared 2-Wasserstein distances between components, after the source was
    moved by `alignment_` and in units of `cost_scale_`, and
    KL(f | g) = Σ f log(f/g) - f + g. Balanced (reg_m=None): γ has marginals π₀ and π₁.
    See section 6 of Delon and Desolneux, SIAM Journal on Imaging Sciences 2020,
    doi 10.1137/19M1301047.

    Parameters
    ----------
    n_components : int, tuple of two int or 'bic', default='bic'
        Components of both mixtures, or of (source, target). 'bic': the number of a
        start that is given; else, for both, the one with the best Bayesian information
        criterion on the descending path of the rows of both domains, aligned: 10 are
        offered, and at most as many as the smaller domain has rows for.
    transport_weight : float, default=0.1
        Weight of the transport term; 0 fits the two mixtures independently.
    reg : float, default=0.01
        Entropic regularisation of the coupling, in units of the costs; 0 is none.
    reg_m : float, tuple of two floats or None, default=None
        Weight of the Kullback-Leibler penalty on the marginals, of both sides or of
        (source, target), in units of the costs; None is balanced.
    align : {'shift', 'scale', 'linear'} or None, default='shift'
        What moves a domain as a whole and costs nothing. 'shift': the common shift
        v = Σ γ_kl (m_l - m_k) / Σ γ_kl that makes the transport cheapest, found
        together with the coupling; 'scale': mean and standard deviation of each
        feature; 'linear': the optimal map between the two domains as Gaussians, with
        covariances shrunk as Ledoit and Wolf do (not for 'diag'); None: nothing. In
        'linear', moving a feature that tells groups of rows apart counts more than
        moving one of noise.
    cost_scale : 'auto' or float, default='auto'
        Unit of costs. 'auto': a cost is the mean over features of squared differences
        in units of the feature's variance within the domains, after the alignment, so
        that no unit and no number of features matters; a feature without variance
        takes no part. A number: squared Euclidean costs are divided by it.
    covariance_type : {'full', 'tied', 'diag'}, default='full'
        Form of the covariances; 'tied' is one for each domain.
    tol : float, default=1e-6
        Stop when the objective gains less in an iteration, in nats.
    reg_covar : float, default=1e-6
        Added to the variances: in units of the variance of each feature in its domain
        with cost_scale='auto', else in squared units of the data.
    max_iter : int, default=500
        Iterations at most.
    n_init : int, default=1
        How often each way to start is tried; the best objective is kept.
    init_params : {'auto', 'pooled', 'independent'}, default='auto'
        'pooled': both domains aligned, one mixture of both, moved back;
        'independent': a mixture of each domain; 'auto': both where possible.
    source_init, target_init : mixture-like, default=None
        Mixtures to start from: (weights, means, covariances) or a fitted estimator
        (in a `FrozenEstimator` where this estimator will be cloned).
    frozen : {None, 'source', 'target'}, default=None
        The side that stays at its given start. It needs no rows: those that it has
        change nothing, and without labels all rows are of the other side.
    accelerate : bool or 'auto', default='auto'
        Extrapolate EM steps; 'auto' does.
    random_state : int, RandomState instance or None, default=None
        For starts and for `sample`.
    warm_start : bool, default=False
        Start from the last fit.
    n_jobs : int, default=None
        Threads; None: the usable cores, shared with fits that run in other threads.
    verbose : int, default=0
        1 prints objective, components, change and time; 2 with all digits.
    verbose_interval : int, default=10
        Iterations between two messages.

    Attributes
    ----------
    source_, target_ : SparseGaussianMixture
        The fitted mixtures, with sparsity 0.
    coupling_ : ndarray of shape (n_source_components, n_target_components)
        Mass that goes from component to component. Where both sides have as many
        components, label j is the same population on both; a side that was given
        keeps its labels, and with two given ones nothing is reordered.
    costs_ : ndarray of shape (n_source_components, n_target_components)
        Costs C between components.
    transport_cost_ : float
        The minimum above.
    transported_mass_ : float
        Sum of `coupling_`; 1 when balanced.
    source_reweighting_ : ndarray of shape (n_source_components,)
        ``coupling_.sum(axis=1)`` / π₀: what leaving does to the weight of a point.
    target_reweighting_ : ndarray of shape (n_target_components,)
        π₁ / ``coupling_.sum(axis=0)``: what arriving does; 0 for an empty column.
        A point that goes from k to l changes its weight by the product of the two.
    alignment_ : Affine
        (linear, shift): the source as a whole goes to linear x + shift; linear is a
        matrix, or of shape (n_features,) for a diagonal.
    cost_scale_ : ndarray of shape (n_features,)
        C is a sum over features of squares divided by it; infinite for a feature that
        takes no part.
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
        "n_components": [
            StrOptions({"bic"}),
            Interval(Integral, 1, None, closed="left"),
            tuple,
            list,
        ],
        "transport_weight": [Interval(Real, 0.0, None, closed="left")],
        "reg": [Interval(Real, 0.0, None, closed="left")],
        "reg_m": [Interval(Real, 0.0, None, closed="neither"), tuple, list, None],
        "align": [StrOptions({"shift", "scale", "linear"}), None],
        "cost_scale": [
            StrOptions({"auto"}),
            Interval(Real, 0.0, None, closed="neither"),
        ],
        "covariance_type": [StrOptions({"full", "tied", "diag"})],
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
        n_components: int | tuple[int, int] | str = "bic",
        *,
        transport_weight: float = 0.1,
        reg: float = 0.01,
        reg_m: Any = None,
        align: str | None = "shift",
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
        self.align = align
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
        return self._fit(X, sample_domain, sample_weight)
