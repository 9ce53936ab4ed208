"""The geodesic between two mixtures."""

from typing import Any, NamedTuple

import numpy as np

from skgmmot._checks import check_real
from skgmmot.linalg._bures import rotations
from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._spd import factor, transpose
from skgmmot.transport._map import checked_coupling
from skgmmot.transport._mw2 import checked_pair, common_dtype, mw2_plan

# Entries below this share of their row are rounding of the plan, not components.
_SMALLEST_SHARE = 1e-15


def mw2_interpolation(
    source: Any,
    target: Any,
    t: float,
    *,
    plan: Any = None,
    max_growth: float = 1.5,
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
        Coupling of the components; None: the plan of MW2. One whose marginals are not
        the weights lets mass grow and fade, see the notes.
    max_growth : float, default=1.5
        At least 1: by how much the mass of a pair is made up for on the two sides, in
        the geometric mean, where the plan is unbalanced. What exceeds it fades in or
        out in its place.

    Returns
    -------
    mixture : Mixture
        At most K0 + K1 - 1 components with the plan of MW2, ordered by source, then
        by target component. At t = 0 and 1 components that are equal are not merged.
        float32 if both mixtures are.

    Raises
    ------
    ValueError
        If t is outside [0, 1] or max_growth is below 1; and what `mw2_plan` raises.

    See Also
    --------
    mw2_barycenter : Mean of any number of mixtures.
    mw2_flow : Descent towards a mixture that keeps the components of the source.

    Notes
    -----
    With the plan of MW2, :math:`d(\mu_s, \mu_t) = |s - t| d(\mu_0, \mu_1)`. Covariances
    are computed as :math:`F F^T`, :math:`F = (1 - t) L_k + t L'_l Q_{kl}`, for factors
    :math:`\Sigma = L L^T` and a rotation Q, so that singular ones are allowed.

    An unbalanced plan lacks mass for two reasons: shares change, and long ways cost
    more than they are worth. With marginals r and c, made up for mass a pair has

    .. math::
        p_{kl} = s_{kl}\, \gamma_{kl}\, \pi_k / r_k, \qquad
        q_{kl} = s_{kl}\, \gamma_{kl}\, \pi'_l / c_l, \qquad
        s_{kl} = \min\left(1,\; A \sqrt{\frac{r_k c_l}{\pi_k \pi'_l}}\right)

    at the source and at the target, A = `max_growth`. In a plan of `mw2_plan` with
    little entropy the root is exp(-C / (2 reg_m)), so that the cost of a pair decides
    whether it is one population, whatever became of its share. At time t the mass is

    .. math::
        \lambda\, q_{kl} \left(\frac{\sum_m p_{km}}{\sum_m q_{km}}\right)^{1 - t}
        + (1 - \lambda)\, p_{kl} \left(\frac{\sum_m q_{ml}}{\sum_m p_{ml}}\right)^t

    The first term holds where populations branch: what comes from one component grows
    alike, so that its branches keep their shares. The second holds where they merge.
    With H(l|k) the conditional entropy of targets given sources under the masses (p +
    q) / 2, :math:`\lambda = H(l|k) / (H(l|k) + H(k|l))`. What pairs
    leave of the source, :math:`(\pi_k - \sum_l p_{kl}) (1 - t)`, stays in its place
    and fades out, and what they leave of the target,
    :math:`(\pi'_l - \sum_k q_{kl})\, t`, fades in; then the weights are divided by
    their sum. Both ends are the mixtures themselves, whatever A is. Pairs come first,
    then what is left of the source, then of the target.

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
    max_growth = check_real(max_growth, "max_growth", 1.0)
    if plan is None:
        plan = mw2_plan(source, target)
    coupling = _cleaned(checked_coupling(plan, source, target), source, target)
    rows, columns = np.nonzero(coupling)
    left, right = source.means.astype(np.float64), target.means.astype(np.float64)
    weights = coupling[rows, columns]
    means = (1.0 - t) * left[rows] + t * right[columns]
    covariances = _covariances(
        source.covariances, target.covariances, (rows, columns), t
    )
    if not _is_balanced(coupling, source, target):
        masses = _growing_masses(coupling, (source, target), t, max_growth)
        weights, (stays, comes) = masses.pairs[rows, columns], masses.kept()
        weights = np.concatenate([weights, masses.source[stays], masses.target[comes]])
        means = np.concatenate([means, left[stays], right[comes]])
        rest = source.covariances[stays], target.covariances[comes]
        covariances = np.concatenate([covariances, *rest])
    moved = weights / weights.sum(), means, covariances
    dtype = common_dtype(source, target)
    return Mixture(*(array.astype(dtype, copy=False) for array in moved))


class _Masses(NamedTuple):
    """Masses at one time: of pairs, and of what stays in its place."""

    pairs: np.ndarray  # (K0, K1)
    source: np.ndarray  # (K0,)
    target: np.ndarray  # (K1,)

    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Components of either side of which some is left, rounding apart."""
        stays = np.flatnonzero(self.source > _SMALLEST_SHARE)
        return stays, np.flatnonzero(self.target > _SMALLEST_SHARE)


def _growing_masses(
    coupling: np.ndarray, ends: tuple[Mixture, Mixture], t: float, largest: float
) -> _Masses:
    """Masses along an unbalanced plan, before they are divided by their sum."""
    left, right = (end.weights.astype(np.float64) for end in ends)
    rows, columns = coupling.sum(axis=1), coupling.sum(axis=0)
    lacking = np.sqrt(_ratio(rows, left))[:, None] * np.sqrt(_ratio(columns, right))
    kept = coupling * np.minimum(1.0, largest * lacking)
    first = kept * _ratio(left, rows)[:, None]
    last = kept * _ratio(right, columns)
    starting, ending = first.sum(axis=1), last.sum(axis=0)
    growth = _ratio(starting, last.sum(axis=1)) ** (1.0 - t)
    arrived = _ratio(ending, first.sum(axis=0)) ** t
    branching = _branching(0.5 * (first + last))
    return _Masses(
        branching * last * growth[:, None] + (1.0 - branching) * first * arrived,
        (1.0 - t) * np.maximum(left - starting, 0.0),
        t * np.maximum(right - ending, 0.0),
    )


def _branching(masses: np.ndarray) -> float:
    """How far pairs branch rather than merge: 1 where each target has one source."""
    sides = masses.sum(axis=1, keepdims=True), masses.sum(axis=0, keepdims=True)
    of_targets, of_sources = (_uncertainty(masses, side) for side in sides)
    both = of_targets + of_sources
    return of_targets / both if both > 0.0 else 1.0


def _uncertainty(masses: np.ndarray, side: np.ndarray) -> float:
    """Conditional entropy of one side given the other, times the mass of all."""
    shares = _ratio(masses, np.broadcast_to(side, masses.shape))
    return -float((masses * np.log(np.where(shares > 0.0, shares, 1.0))).sum())


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Their quotient; 0 where nothing is below."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)


def _is_balanced(coupling: np.ndarray, source: Mixture, target: Mixture) -> bool:
    """Tell whether the marginals are the weights, to the rounding of the types."""
    atol = 1e-3 if np.float32 in (source.means.dtype, target.means.dtype) else 1e-6
    sides = (source, 1), (target, 0)
    errors = [np.abs(coupling.sum(axis=i) - side.weights).max() for side, i in sides]
    return max(errors) <= atol


def _cleaned(coupling: np.ndarray, source: Mixture, target: Mixture) -> np.ndarray:
    """Return the coupling without entries that are rounding."""
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
