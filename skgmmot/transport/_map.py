"""Maps that move samples from one mixture to another along a coupling."""

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state

from skgmmot._blocks._device_checks import checked_device_rows, is_foreign
from skgmmot._blocks._row_arrays import Rows, check_extent, numpy_type
from skgmmot._checks import (
    check_choice,
    check_real,
    check_shape,
    message,
    naming,
    real_array,
)
from skgmmot.linalg._mixture import Mixture
from skgmmot.transport._component_maps import MixtureMap
from skgmmot.transport._mw2 import checked_pair, mw2_plan
from skgmmot.transport._plan import TransportPlan

METHODS = ("barycentric", "random", "most_likely")
_LARGEST = 1e153  # beyond it rows have no squares


def check_movable(X: Rows) -> Rows:
    """Return the rows; raise if one is so far that its distances overflow."""
    if numpy_type(X) == np.float32:
        return X
    reason = "whose distances from the components can be squared"
    mend = "drop these rows, or divide all features by their widths before the fit"
    return check_extent(X, _LARGEST, reason, mend)


def checked_strength(strength: float) -> float:
    """Return the strength; raise unless it lies in [0, 1]."""
    return check_real(strength, "strength", 0.0, 1.0)


def checked_method(method: str) -> str:
    """Return the method; raise if there is none of that name."""
    return check_choice(method, "method", METHODS)


def checked_coupling(plan: Any, source: Mixture, target: Mixture) -> np.ndarray:
    """Return the coupling of a plan or an array, checked against two mixtures."""
    coupling = plan.coupling if isinstance(plan, TransportPlan) else plan
    coupling = real_array(coupling, "plan")
    shape = len(source.weights), len(target.weights)
    mend = "give a row per source and a column per target component"
    check_shape(coupling, "plan", shape, mend)
    if not (np.isfinite(coupling).all() and (coupling >= 0.0).all()):
        wrong = coupling[~(np.isfinite(coupling) & (coupling >= 0.0))][0]
        expected = "masses that are finite and not negative"
        raise ValueError(message("plan", expected, f"{wrong:.6g}"))
    return coupling


def _checked_rows(X: Any) -> Rows:
    if is_foreign(X):
        return checked_device_rows(X, fitting=False, least_rows=1)
    # NumPy would warn of infinities, which are refused in words.
    with np.errstate(invalid="ignore"), naming("X", "rows of real numbers"):
        return check_array(X, dtype=[np.float64, np.float32], order="C", input_name="X")


def mw2_map(
    X: Any,
    source: Any,
    target: Any,
    *,
    plan: Any = None,
    method: str = "barycentric",
    strength: float = 1.0,
    random_state: Any = None,
) -> np.ndarray:
    r"""Move samples of the source mixture to the target mixture.

    With posteriors :math:`p_k(x)`, a coupling :math:`\gamma` and the optimal affine
    maps :math:`T_{kl}` between components,

    .. math::
        T_{mean}(x) = \sum_k p_k(x) \sum_l \frac{\gamma_{kl}}{\sum_l \gamma_{kl}}
        T_{kl}(x)

    while :math:`T_{rand}(x)` is :math:`T_{kl}(x)` for a pair drawn with probability
    :math:`p_k(x) \gamma_{kl} / \sum_l \gamma_{kl}`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows to be moved.
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator, with K0
        and K1 components.
    plan : TransportPlan or array-like of shape (K0, K1), default=None
        Coupling of the components; None: the plan of MW2. Points of a component whose
        row has no mass stay in place.
    method : {"barycentric", "random", "most_likely"}, default="barycentric"
        T_mean; T_rand; or the map of the component with the largest posterior to the
        largest entry of its row.
    strength : float, default=1.0
        Between 0 and 1: the result is x + strength (T(x) - x).
    random_state : int, RandomState instance or None, default=None
        For method="random".

    Returns
    -------
    moved : array of shape (n_samples, n_features)
        Of type float32 if X is, float64 otherwise; of CuPy or torch if X is.

    Raises
    ------
    ValueError
        If the numbers of features differ, X holds NaN, infinity or values beyond
        1e153, or method, strength or plan is not valid; and what `mw2_plan` raises.

    Notes
    -----
    T_mean is a conditional mean: it is continuous, but the moved points have less
    variance than the target. T_rand pushes the source forward to the target exactly.
    The maps of singular covariances use the pseudo-inverse, hence reach only what the
    source spans; posteriors then use a ridge of 1e-6 of the mean variance.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import mw2_map
    >>> source = [1.0], [[0.0]], [[[1.0]]]
    >>> target = [1.0], [[1.0]], [[[4.0]]]
    >>> mw2_map([[-1.0], [0.0], [2.0]], source, target)
    array([[-1.],
           [ 1.],
           [ 5.]])
    """
    method, strength = checked_method(method), checked_strength(strength)
    source, target = checked_pair(source, target)
    X = _checked_rows(X)
    if X.shape[1] != source.means.shape[1]:
        expected = f"{source.means.shape[1]} features, as source and target have"
        raise ValueError(message("X", expected, X.shape[1]))
    check_movable(X)
    if plan is None:
        plan = mw2_plan(source, target)
    coupling = checked_coupling(plan, source, target)
    rng = check_random_state(random_state)
    return MixtureMap(source, target, coupling).move(X, method, strength, rng)
