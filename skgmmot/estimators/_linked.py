"""Linked mixtures: one for each of many samples, pulled along the links."""

from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from skgmmot.estimators._linked_batches import LinkedBatches
from skgmmot.estimators._linked_bootstrap import BootstrapsLinked
from skgmmot.estimators._sklearn_private import Interval, StrOptions
from skgmmot.estimators._validation import N_JOBS


class LinkedGaussianMixture(BootstrapsLinked, LinkedBatches):
    r"""A Gaussian mixture for each of several samples, coupled along links.

    Time points, batches around a reference, or samples linked in any way. Maximises,
    all samples counting alike whatever their sizes,

    .. math::
        \sum_t \overline{\log p_t} - \text{transport\_weight} \cdot
        \sum_{(a, b)} w_{ab} \min_{\gamma \ge 0} \Big[
        \sum_{kl} \gamma_{kl} C_{kl}
        + \text{reg} \, KL(\gamma | \pi_a \otimes \pi_b)
        + \text{reg\_m} \, KL(\gamma 1 | \pi_a)
        + \text{reg\_m} \, KL(\gamma^T 1 | \pi_b) \Big]

    over the samples t and the links (a, b). Costs C, alignment and units are those of
    `CoupledGaussianMixture`, one for each link; with one link it is that fit. See
    section 6 of Delon and Desolneux, SIAM Journal on Imaging Sciences 2020,
    doi 10.1137/19M1301047.

    Parameters
    ----------
    n_components : int, list of int, dict of int or 'bic', default='bic'
        Components of all mixtures, of each in the order of `domains_`, or by label.
        'bic': the number of the nearest start that is given; else, for all, the one
        with the best Bayesian information criterion on the descending path of the rows
        of all samples, aligned along the links: 10 are offered, and at most as many as
        the smallest sample has rows for.
    links : {'chain', 'star'} or list of pairs of labels, default='chain'
        'chain': neighbours in sorted order; of labels that are numbers, times, a link
        weighs the median length over its length, 100 at most. 'star': every sample with
        the `reference`. Pairs (a, b) weigh 1.
    reference : label, mixture-like, 'pooled' or None, default=None
        Centre of a star. A mixture stays as it is, under the label 'reference';
        'pooled' is a mixture of the rows of all samples, each moved by `align` to
        their mean, which stays as it is, under that label.
    transport_weight : float, default=0.1
        Weight of the transport terms; 0 fits the mixtures independently.
    reg : float, default=0.01
        Entropic regularisation of the couplings, in units of the costs; 0 is none.
    reg_m : float, list of float, dict of float or None, default=None
        Weight of the Kullback-Leibler penalty on the marginals, in units of the costs:
        of all samples, of each in the order of `domains_`, or by label; None is
        balanced.
    align : {'shift', 'scale', 'linear'} or None, default='shift'
        What moves a sample as a whole and costs nothing, for each link. 'shift': the
        common shift that makes the transport cheapest, found together with the
        coupling; 'scale': mean and standard deviation of each feature; 'linear': the
        optimal map between the two samples as Gaussians, with covariances shrunk as
        Ledoit and Wolf do (not for 'diag'); None: nothing. In 'linear', moving a
        feature that tells groups of rows apart counts more than moving one of noise.
    cost_scale : 'auto' or float, default='auto'
        Unit of costs. 'auto': a cost is the mean over features of squared differences
        in units of the feature's variance within the two samples of the link, after
        the alignment; a feature without variance takes no part. A number: squared
        Euclidean costs are divided by it.
    covariance_type : {'full', 'tied', 'diag'}, default='full'
        Form of the covariances; 'tied' is one for each sample.
    tol : float, default=1e-6
        Stop when the objective gains less in an iteration, in nats.
    reg_covar : float, default=1e-6
        Added to the variances: in units of the variance of each feature in its sample
        with cost_scale='auto', else in squared units of the data.
    max_iter : int, default=500
        Iterations at most.
    n_init : int, default=1
        How often each way to start is tried; the best objective is kept.
    init_params : {'auto', 'pooled', 'independent', 'neighbour'}, default='auto'
        'pooled': all samples aligned, one mixture of all, moved back; 'independent': a
        mixture of each sample; 'neighbour': a mixture of one sample, and along the
        links each next one fitted from its neighbour's; 'auto': all that are possible
        (with one link the first two).
    inits : dict of mixture-like or None, default=None
        Mixtures to start from, by label: (weights, means, covariances) or a fitted
        estimator (in a `FrozenEstimator` where this estimator will be cloned).
    frozen : list of labels or None, default=None
        Samples that stay at their given starts. They need no rows: those that they
        have change nothing.
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
    domains_ : list of labels
        Sorted; a reference from outside comes last.
    mixtures_ : list of SparseGaussianMixture
        The fitted mixtures in the order of `domains_`, with sparsity 0.
    links_ : list of tuple of two labels
        The links (a, b), from a to b.
    couplings_ : list of ndarray of shape (n_components_a, n_components_b)
        Mass that goes from component to component, one array for each link. Label j is
        the same population along links whose ends have equal numbers of components,
        unless both were given.
    costs_ : list of ndarray of shape (n_components_a, n_components_b)
        Costs C between components.
    transport_costs_ : ndarray of shape (n_links,)
        The minima above.
    transported_masses_ : ndarray of shape (n_links,)
        Sums of the couplings; 1 when balanced.
    source_reweightings_ : list of ndarray of shape (n_components_a,)
        Row sums of the coupling / π_a: what leaving does to the weight of a point.
    target_reweightings_ : list of ndarray of shape (n_components_b,)
        π_b / column sums of the coupling: what arriving does; 0 for an empty column.
    births_ : list of ndarray of shape (n_components_b,)
        The part of a component of b that comes from nowhere: what of its weight is
        left where the mass that arrives has grown by half.
    deaths_ : list of ndarray of shape (n_components_a,)
        The part of a component of a that goes nowhere: what of its weight is left where
        the mass that leaves has grown by half.
    growths_ : list of ndarray of shape (n_components_a,)
        Weight in b of what comes from a component of a, per weight of it that goes: 2
        for a population whose share doubles, 0 where nothing goes.
    alignments_ : list of Affine
        (linear, shift): the sample a as a whole goes to linear x + shift; linear is a
        matrix, or of shape (n_features,) for a diagonal.
    cost_scales_ : list of ndarray of shape (n_features,)
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
    CoupledGaussianMixture : Two samples, with the names source and target.

    Notes
    -----
    Held-out likelihood alone does not choose `transport_weight`: it falls with it.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot import LinkedGaussianMixture
    >>> rng = np.random.RandomState(0)
    >>> day = np.repeat([0, 1, 3], 300)
    >>> group = rng.randint(2, size=900)
    >>> X = rng.randn(900, 2) + 6 * group[:, None] + day[:, None]
    >>> linked = LinkedGaussianMixture(2, random_state=0).fit(X, sample_domain=day)
    >>> linked.links_
    [(0, 1), (1, 3)]
    >>> linked.coupling(0, 3).round(1)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [
            StrOptions({"bic"}),
            Interval(Integral, 1, None, closed="left"),
            tuple,
            list,
            dict,
        ],
        "links": [StrOptions({"chain", "star"}), list, tuple],
        "reference": "no_validation",
        "transport_weight": [Interval(Real, 0.0, None, closed="left")],
        "reg": [Interval(Real, 0.0, None, closed="left")],
        "reg_m": [Interval(Real, 0.0, None, closed="neither"), tuple, list, dict, None],
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
        "init_params": [StrOptions({"auto", "pooled", "independent", "neighbour"})],
        "inits": [dict, None],
        "frozen": "no_validation",
        "accelerate": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int | Sequence[int] | Mapping[Hashable, int] | str = "bic",
        *,
        links: Any = "chain",
        reference: Any = None,
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
        inits: Mapping[Hashable, Any] | None = None,
        frozen: Sequence[Hashable] | None = None,
        accelerate: bool | str = "auto",
        random_state: Any = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.links = links
        self.reference = reference
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
        self.inits = inits
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
        """Fit all mixtures and their couplings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of all samples; float32 is kept, all else becomes float64.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_domain : array-like of shape (n_samples,), default=None
            Label of the sample that each row is of: numbers or strings. None links
            the sample with itself, and warns.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        self : LinkedGaussianMixture
            The fitted estimator.

        Raises
        ------
        ValueError
            Where there are fewer than two samples, one has too few rows, a frozen one
            has no start, or parameters are not as expected.
        """
        return self._fit(X, sample_domain, sample_weight)
