"""The geodesic between two mixtures."""

from typing import Any

import numpy as np

from skgmmot._checks import check_real, message
from skgmmot.linalg._bures import rotations
from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._spd import factor, transpose
from skgmmot.transport._map import checked_coupling
from skgmmot.transport._mw2 import checked_pair, common_dtype, mw2_plan

# Entries below this share of their row are rounding of the plan, not components.
_SMALLEST_SHARE = 1e-15


def mw2_interpolation(
    source: Any, target: Any, t: float, *, plan: Any = None
) -> Mixture:
    r"""Mixture at time t of the MW2 geodesic between two mixtures.

    Each pair of components with mass in the plan is one component of the result, which
    moves along the Wasserstein geodesic of the two Gaussians:

    .. math::
        \mu_t = \sum_{kl} \gamma_{kl}\, \mathcal{N}\left((1 - t) m_k + t m'_l,\;
        M_{kl} \Sigma_k M_{kl}\right), \qquad M_{kl} = (1 - t) I + t T_{kl}

    Parameters
    ----------
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator, with K0
        and K1 components.
    t : float
        Between 0, the source, and 1, the target.
    plan : TransportPlan or array-like of shape (K0, K1), default=None
        Balanced coupling of the components; None: the plan of MW2.

    Returns
    -------
    mixture : Mixture
        At most K0 + K1 - 1 components with the plan of MW2, ordered by source, then
        by target component. At t = 0 and 1 components that are equal are not merged.
        float32 if both mixtures are.

    Raises
    ------
    ValueError
        If t is outside [0, 1], or the marginals of the plan are not the weights; and
        what `mw2_plan` raises.

    See Also
    --------
    mw2_barycenter : Mean of any number of mixtures.
    mw2_flow : Descent towards a mixture that keeps the components of the source.

    Notes
    -----
    With the plan of MW2, :math:`d(\mu_s, \mu_t) = |s - t| d(\mu_0, \mu_1)`. Covariances
    are computed as :math:`F F^T`, :math:`F = (1 - t) L_k + t L'_l Q_{kl}`, for factors
    :math:`\Sigma = L L^T` and a rotation Q, so that singular ones are allowed.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import mw2_interpolation
    >>> source = [1.0], [[0.0]], [[[1.0]]]
    >>> target = [0.5, 0.5], [[-4.0], [4.0]], [[[1.0]], [[9.0]]]
    >>> halfway = mw2_interpolation(source, target, 0.5)
    >>> halfway.means.ravel(), halfway.covariances.ravel()
    (array([-2.,  2.]), array([1., 4.]))
    """
    t = check_real(t, "t", 0.0, 1.0)
    source, target = checked_pair(source, target)
    if plan is None:
        plan = mw2_plan(source, target)
    coupling = _balanced(checked_coupling(plan, source, target), source, target)
    rows, columns = np.nonzero(coupling)
    weights = coupling[rows, columns]
    left, right = source.means.astype(np.float64), target.means.astype(np.float64)
    moved = (
        weights / weights.sum(),
        (1.0 - t) * left[rows] + t * right[columns],
        _covariances(source.covariances, target.covariances, (rows, columns), t),
    )
    dtype = common_dtype(source, target)
    return Mixture(*(array.astype(dtype, copy=False) for array in moved))


def _balanced(coupling: Any, source: Mixture, target: Mixture) -> np.ndarray:
    """Return the coupling without rounding; raise unless its marginals are right."""
    atol = 1e-3 if np.float32 in (source.means.dtype, target.means.dtype) else 1e-6
    sides = (("source", source, 1), ("target", target, 0))
    for name, mixture, axis in sides:
        error = np.abs(coupling.sum(axis=axis) - mixture.weights).max()
        if error > atol:
            expected = f"a balanced plan, with the weights of the {name} as a marginal"
            got, mend = f"differences of up to {error:.3g}", "drop reg_m from the plan"
            raise ValueError(message("plan", expected, got, mend))
    smallest = _SMALLEST_SHARE * np.minimum(source.weights[:, None], target.weights)
    return np.where(coupling > smallest, coupling, 0.0)


def _covariances(
    covariances0: np.ndarray,
    covariances1: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    t: float,
) -> np.ndarray:
    """Covariances of pairs at time t; at the ends those that were given, to the bit."""
    rows, columns = pairs
    if t in (0.0, 1.0):
        return covariances0[rows] if t == 0.0 else covariances1[columns]
    left, right = factor(covariances0)[rows], factor(covariances1)[columns]
    factors = (1.0 - t) * left + t * (right @ rotations(left, right))
    return factors @ transpose(factors)
