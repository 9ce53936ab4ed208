"""MW2, the Wasserstein-type distance between Gaussian mixtures.

A transport plan between two mixtures that is itself a mixture is a coupling of their
components; its cost is the sum of coupling times squared W2 between the components. See
Delon and Desolneux, *A Wasserstein-type distance in the space of Gaussian mixture
models*, SIAM Journal on Imaging Sciences 13 (2020), doi 10.1137/19M1301047.
"""

from typing import Any

import numpy as np

from skgmmot._checks import message
from skgmmot.linalg._bures import mean_maps, squared_distances
from skgmmot.linalg._mixture import Mixture, as_mixture, narrowed
from skgmmot.linalg._pairs import planar_squared_distances
from skgmmot.linalg._spd import is_singular, symmetrise
from skgmmot.transport._plan import TransportPlan, solve_plan, weight_derivative


def checked_pair(source: Any, target: Any) -> tuple[Mixture, Mixture]:
    """Return both arguments as mixtures of the same number of features.

    Raises
    ------
    ValueError
        If the numbers of features differ; and what `as_mixture` raises.
    """
    source, target = as_mixture(source, "source"), as_mixture(target, "target")
    d0, d1 = source.means.shape[1], target.means.shape[1]
    if d0 != d1:
        expected = "the same number of features on both sides"
        raise ValueError(message("source, target", expected, f"{d0} and {d1}"))
    return source, target


def common_dtype(source: Mixture, target: Mixture) -> np.dtype:
    """Return float32 if both mixtures are in float32, float64 otherwise."""
    return np.result_type(source.means.dtype, target.means.dtype)


def pair_costs(source: Mixture, target: Mixture) -> np.ndarray:
    """Return the costs between two checked mixtures, always in float64."""
    sides = source.means, source.covariances, target.means, target.covariances
    costs = planar_squared_distances(*sides)
    return squared_distances(*sides) if costs is None else costs


def component_costs(source: Any, target: Any) -> np.ndarray:
    r"""Squared Wasserstein distances between the components of two mixtures.

    .. math::
        C_{kl} = |m_k - m'_l|^2 + \mathrm{tr}\left(\Sigma_k + \Sigma'_l
        - 2 (\Sigma_k^{1/2} \Sigma'_l \Sigma_k^{1/2})^{1/2}\right)

    Parameters
    ----------
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator, with K0
        and K1 components.

    Returns
    -------
    costs : ndarray of shape (K0, K1)
        Exactly 0 between equal components. float32 if both mixtures are.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        If an argument is not a mixture, or the numbers of features differ.

    Notes
    -----
    The trace is computed as a sum of squares, :math:`\|L_k - L'_l Q\|^2` with factors
    :math:`\Sigma = L L^T` and the rotation Q that makes it smallest; see Bhatia, Jain
    and Lim (2019), doi 10.1016/j.exmath.2018.01.002.

    Examples
    --------
    >>> from skgmmot.transport import component_costs
    >>> source = [1.0], [[0.0]], [[[1.0]]]
    >>> target = [0.5, 0.5], [[0.0], [3.0]], [[[4.0]], [[1.0]]]
    >>> component_costs(source, target)
    array([[1., 9.]])
    """
    source, target = checked_pair(source, target)
    return narrowed(pair_costs(source, target), common_dtype(source, target))


def mw2_plan(
    source: Any, target: Any, *, reg: float = 0.0, reg_m: Any = None
) -> TransportPlan:
    r"""Optimal coupling of the components of two mixtures.

    .. math::
        \min_{\gamma \ge 0} \sum_{kl} \gamma_{kl} C_{kl}
        + \mathrm{reg}\, KL(\gamma | \pi \otimes \pi')
        + \mathrm{reg_m}\, KL(\gamma 1 | \pi) + \mathrm{reg_m}\, KL(\gamma^T 1 | \pi')

    with :math:`KL(f | g) = \sum f \log(f / g) - f + g`.

    Parameters
    ----------
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator, with K0
        and K1 components.
    reg : float, default=0.0
        Entropic regularisation, in the units of the costs. Below 1e-6 of the largest
        cost the plan is computed without entropy, with a warning.
    reg_m : float or pair of float or None, default=None
        Penalty on the marginals, for both sides or one each. None: the coupling has
        the weights as its marginals.

    Returns
    -------
    plan : TransportPlan
        Coupling and costs of shape (K0, K1), value, potentials. float32 if both
        mixtures are; the value is a float.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        If an argument is not a mixture, the numbers of features differ, reg is
        negative or reg_m is not positive.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import mw2_plan
    >>> source = [0.3, 0.7], [[0.2], [0.4]], [[[0.0009]], [[0.0016]]]
    >>> target = [0.6, 0.4], [[0.6], [0.8]], [[[0.0036]], [[0.0049]]]
    >>> mw2_plan(source, target).coupling.round(6)
    array([[0.3, 0. ],
           [0.3, 0.4]])
    """
    source, target = checked_pair(source, target)
    plan = _float64_plan(source, target, reg, reg_m)
    return narrowed_plan(plan, common_dtype(source, target))


def narrowed_plan(plan: TransportPlan, dtype: np.dtype) -> TransportPlan:
    """Return a plan in the type of the mixtures; its value is a float."""
    f, g = plan.potentials
    return TransportPlan(
        narrowed(plan.coupling, dtype),
        narrowed(plan.costs, dtype),
        plan.value,
        (narrowed(f, dtype), narrowed(g, dtype)),
    )


def _float64_plan(
    source: Mixture, target: Mixture, reg: float, reg_m: Any
) -> TransportPlan:
    """Solve in float64 whatever the type of the mixtures."""
    weights = source.weights, target.weights
    return solve_plan(pair_costs(source, target), *weights, reg=reg, reg_m=reg_m)


def mw2_distance(
    source: Any,
    target: Any,
    *,
    reg: float = 0.0,
    reg_m: Any = None,
    squared: bool = False,
) -> float:
    """MW2 distance between two mixtures.

    The square root of the value of `mw2_plan`. A metric for the defaults; with `reg`
    or `reg_m` a cost, which is not 0 between a mixture and itself.

    Parameters
    ----------
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator.
    reg : float, default=0.0
        Entropic regularisation.
    reg_m : float or pair of float or None, default=None
        Penalty on the marginals; None for balanced plans.
    squared : bool, default=False
        Return the value itself.

    Returns
    -------
    distance : float
        In the units of the data, squared units with `squared`.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        As `mw2_plan`.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import mw2_distance
    >>> source = [1.0], [[0.0]], [[[1.0]]]
    >>> target = [1.0], [[4.0]], [[[16.0]]]
    >>> mw2_distance(source, target)
    5.0
    """
    source, target = checked_pair(source, target)
    value = _float64_plan(source, target, reg, reg_m).value
    return value if squared else float(np.sqrt(max(value, 0.0)))


def mw2_gradient(
    source: Any, target: Any, *, reg: float = 0.0, reg_m: Any = None
) -> tuple[float, Mixture]:
    r"""Value of MW2² and its derivatives with respect to the source.

    With the coupling and the potentials at their optimum, the derivative is that of
    the objective for a fixed coupling:

    .. math::
        \partial m_k = 2 \sum_l \gamma_{kl} (m_k - m'_l), \qquad
        \partial \Sigma_k = \sum_l \gamma_{kl} (I - T_{kl})

    with :math:`T_{kl}` the linear part of the optimal map between the components. The
    derivative with respect to the weights is the first potential.

    Parameters
    ----------
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator.
    reg : float, default=0.0
        Entropic regularisation. Without it the value is not smooth in the weights, and
        in all parameters where the plan changes; one subgradient is returned.
    reg_m : float or pair of float or None, default=None
        Penalty on the marginals; None for balanced plans.

    Returns
    -------
    value : float
        The value of `mw2_plan`.
    derivatives : Mixture
        Derivatives with respect to the weights (centred to sum 0: for changes that
        keep the sum of the weights), the means, and the covariances (symmetric G with
        d value = ⟨G, dΣ⟩). float32 if both mixtures are.

    Raises
    ------
    ValueError
        If a covariance of the source is singular, where there is no derivative; and as
        `mw2_plan`.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import mw2_gradient
    >>> source = [1.0], [[0.0]], [[[1.0]]]
    >>> target = [1.0], [[4.0]], [[[16.0]]]
    >>> value, derivatives = mw2_gradient(source, target)
    >>> value, derivatives.means.item(), derivatives.covariances.item()
    (25.0, -8.0, -3.0)
    """
    source, target = checked_pair(source, target)
    singular = np.flatnonzero(is_singular(source.covariances))
    if len(singular):
        expected = "regular covariances, where MW2 has a derivative"
        got, mend = f"a singular covariance {singular[0]}", "add a multiple of I"
        raise ValueError(message("source", expected, got, mend))
    plan = _float64_plan(source, target, reg, reg_m)
    rows = plan.coupling.sum(axis=1)
    # About a common centre: far from 0 the difference would cancel.
    centre = target.means.mean(axis=0, dtype=np.float64)
    means = rows[:, None] * (source.means - centre)
    means = 2.0 * (means - plan.coupling @ (target.means - centre))
    maps = mean_maps(source.covariances, target.covariances, plan.coupling)
    covariances = rows[:, None, None] * np.eye(source.means.shape[1]) - maps
    weights = weight_derivative(plan, target.weights.sum(), reg=reg, reg_m=reg_m)
    dtype = common_dtype(source, target)
    derivatives = (weights - weights.mean(), means, symmetrise(covariances))
    return plan.value, Mixture(*(narrowed(x, dtype) for x in derivatives))
