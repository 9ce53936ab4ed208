"""Barycentres of mixtures: the exact one, and a descent for large problems."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skgmmot._checks import (
    check_choice,
    check_integer,
    check_real,
    check_shape,
    message,
    real_array,
)
from skgmmot.linalg._mixture import Mixture, as_mixture
from skgmmot.transport._alignment import as_gaussians, as_points
from skgmmot.transport._barycenter_descent import (
    Sides,
    Start,
    best_descent,
    least_cost,
    seeds,
)
from skgmmot.transport._gaussian_barycenter import gaussian_barycenters
from skgmmot.transport._pairwise import checked_mixtures
from skgmmot.transport._simplex import normalised

# The linear programme has a column for each tuple of components.
_MAX_TUPLES = 200_000
# A vertex of the programme has no entries between 0 and this, but for rounding.
_SMALLEST_MASS = 1e-12
# The cost of a tuple is right to the square of this.
_COST_TOL = 1e-7


def mw2_barycenter(
    mixtures: Any,
    weights: Any = None,
    *,
    n_components: int | None = None,
    method: str = "exact",
    init: Any = None,
    tol: float = 1e-6,
    max_iter: int = 200,
    random_state: Any = None,
) -> Mixture:
    r"""Mixture of least weighted sum of squared MW2 distances to given mixtures.

    .. math::
        \min_\nu \sum_j \lambda_j MW_2^2(\nu, \mu_j)

    Parameters
    ----------
    mixtures : sequence of J mixture-like
        Each a Mixture, a tuple (weights, means, covariances) or a fitted estimator;
        the numbers of components may differ.
    weights : array-like of shape (J,), default=None
        :math:`\lambda`, not negative, divided by their sum. None: equal weights.
    n_components : int, default=None
        Largest number of components for ``method="fixed_point"``. None: that of the
        largest mixture.
    method : {"exact", "fixed_point"}, default="exact"
        A linear programme over all tuples of components, one of each mixture; or a
        descent from a start, which finds a local minimum.
    init : mixture-like, default=None
        Start of the descent, in place of `n_components`; the result does not cost more.
        None: components of the given mixtures, drawn far from each other.
    tol : float, default=1e-6
        The descent stops where a round lowers the objective by less than this part.
    max_iter : int, default=200
        Bound on the rounds of the descent.
    random_state : int, RandomState instance or None, default=None
        For the start of the descent.

    Returns
    -------
    barycenter : Mixture
        With at most :math:`\sum_j K_j - J + 1` components if exact. float32 if all
        mixtures are.

    Raises
    ------
    ValueError
        If the tuples are too many for the exact method, n_components is given to it,
        weights are negative or of the wrong shape, or a parameter is not valid; and
        what `pairwise_mw2` raises for lists.

    See Also
    --------
    mw2_interpolation : The barycentre of two mixtures, without a linear programme.

    Notes
    -----
    The exact method computes the barycentre of the Gaussians of each tuple, the
    cost of which is the coefficient of the tuple in a multi-marginal programme; see
    Delon and Desolneux (2020), section 5.1. The descent alternates between plans,
    barycentres of Gaussians along them, and the weights, which are free too: a linear
    programme over plans and weights at once. Neither step raises the objective. A
    singular covariance stays within what it spans: such components are widened to the
    mean of the covariances that they stand for, and the descent goes on from there.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import mw2_barycenter
    >>> first = [0.5, 0.5], [[0.0], [8.0]], [[[1.0]], [[1.0]]]
    >>> second = [0.5, 0.5], [[4.0], [8.0]], [[[9.0]], [[1.0]]]
    >>> barycenter = mw2_barycenter([first, second], [0.25, 0.75])
    >>> barycenter.means.ravel(), barycenter.covariances.ravel()
    (array([3., 8.]), array([6.25, 1.  ]))
    """
    mixtures = checked_mixtures(mixtures)
    shares = _checked_weights(weights, len(mixtures))
    check_real(tol, "tol")
    check_integer(max_iter, "max_iter")
    if n_components is not None:
        check_integer(n_components, "n_components", 1)
    check_choice(method, "method", ("exact", "fixed_point"))
    dtype = np.result_type(*(mixture.means.dtype for mixture in mixtures))
    if method == "exact":
        if n_components is not None or init is not None:
            name = "init" if n_components is None else "n_components"
            expected = "None, since the exact barycentre has its own components"
            mend = "set method='fixed_point'"
            raise ValueError(message(name, expected, "a value", mend))
        masses, points = _exact(_sides(mixtures, shares))
    else:
        sides = _sides(mixtures, shares)
        start = _checked_start(sides, n_components, init, random_state)
        masses, points = best_descent(sides, start, tol, max_iter)
    means, covariances = as_gaussians(points)
    parameters = masses / masses.sum(), means, covariances
    return Mixture(*(array.astype(dtype) for array in parameters))


def _checked_weights(weights: Any, n_mixtures: int) -> np.ndarray:
    """Return weights of sum 1."""
    if weights is None:
        return np.full(n_mixtures, 1.0 / n_mixtures)
    weights = real_array(weights, "weights")
    check_shape(weights, "weights", (n_mixtures,), "give each mixture one")
    if not (np.isfinite(weights).all() and (weights >= 0.0).all() and weights.any()):
        expected = "finite numbers, none negative and one above 0"
        raise ValueError(message("weights", expected, weights))
    return weights / weights.sum()


def _sides(mixtures: list[Mixture], shares: np.ndarray) -> Sides:
    """Stack what has mass: mixtures and components of weight 0 change nothing."""
    used = [m for m, share in zip(mixtures, shares, strict=True) if share]
    kept = [mixture.weights > 0.0 for mixture in used]
    pairs = list(zip(used, kept, strict=True))
    stacks = [as_points(m.means[k], m.covariances[k]) for m, k in pairs]
    return Sides(
        np.concatenate(stacks),
        np.concatenate([normalised(m.weights[k]) for m, k in pairs]),
        np.cumsum([0] + [len(stack) for stack in stacks]),
        shares[shares > 0.0],
    )


def _exact(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """Solve the multi-marginal programme; return masses and points."""
    counts = np.diff(sides.stops)
    n_tuples = int(np.prod(counts, dtype=object))
    if n_tuples > _MAX_TUPLES:
        expected = f"at most {_MAX_TUPLES} tuples of components for method='exact'"
        got = f"{' x '.join(map(str, counts))} = {n_tuples} tuples"
        raise ValueError(message("mixtures", expected, got, "set method='fixed_point'"))
    index = np.indices(tuple(counts)).reshape(len(counts), -1).T + sides.stops[:-1]
    if len(counts) == 1:
        return sides.masses, sides.points
    _, costs = gaussian_barycenters(sides.points, index, sides.weights, _COST_TOL)
    ones = np.ones(index.size)
    columns = np.repeat(np.arange(n_tuples), len(counts))
    marginals = sparse.csc_array((ones, (index.ravel(), columns)))
    masses = least_cost(costs, marginals, sides.masses)
    support = masses > _SMALLEST_MASS
    points, _ = gaussian_barycenters(sides.points, index[support], sides.weights)
    return masses[support], points


def _checked_start(
    sides: Sides, n_components: int | None, init: Any, random_state: Any
) -> Start:
    """Return masses (None: free) and points from which the descent starts."""
    if init is not None:
        if n_components is not None:
            expected = "None where init is given"
            raise ValueError(message("n_components", expected, n_components))
        init = as_mixture(init, "init")
        points = as_points(init.means, init.covariances)
        if points.shape[1:] != sides.points.shape[1:]:
            expected = f"{sides.points.shape[2]} features, as the mixtures have"
            raise ValueError(message("init", expected, points.shape[2]))
        return Start(normalised(init.weights), points)
    if n_components is None:
        n_components = int(np.diff(sides.stops).max())
    return Start(None, seeds(sides, n_components, check_random_state(random_state)))
