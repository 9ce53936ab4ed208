"""Barycentres of mixtures: the exact one, and a descent for large problems."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
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
from skgmmot.linalg._spd import factor, is_singular, symmetrise
from skgmmot.transport._alignment import align, as_gaussians, as_points, mean_images
from skgmmot.transport._gaussian_barycenter import gaussian_barycenters
from skgmmot.transport._pairwise import checked_mixtures
from skgmmot.transport._simplex import cleaned, normalised, simplex

# The linear programme has a column for each tuple of components.
_MAX_TUPLES = 200_000
# A vertex of the programme has no entries between 0 and this, but for rounding.
_SMALLEST_MASS = 1e-12
# Singular sides are approached slowly: the last points move on to this part of tol.
_POLISH, _POLISH_STEPS = 1e-3, 300
# The cost of a tuple is right to the square of this.
_COST_TOL = 1e-7


class _Sides(NamedTuple):
    """Components of all mixtures as points, and which of them belong together."""

    points: np.ndarray
    masses: np.ndarray
    stops: np.ndarray
    weights: np.ndarray

    def slices(self) -> list[slice]:
        """Slices of the mixtures."""
        return [slice(*ends) for ends in pairwise(self.stops)]


class _Start(NamedTuple):
    """Where a descent starts; masses are those of a given start, or None."""

    masses: np.ndarray | None
    points: np.ndarray


class _Descent(NamedTuple):
    """Where a descent ended, and its objective."""

    masses: np.ndarray
    points: np.ndarray
    loss: float


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
        masses, points = _best_descent(sides, start, tol, max_iter)
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


def _sides(mixtures: list[Mixture], shares: np.ndarray) -> _Sides:
    """Stack what has mass: mixtures and components of weight 0 change nothing."""
    used = [m for m, share in zip(mixtures, shares, strict=True) if share]
    kept = [mixture.weights > 0.0 for mixture in used]
    pairs = list(zip(used, kept, strict=True))
    stacks = [as_points(m.means[k], m.covariances[k]) for m, k in pairs]
    return _Sides(
        np.concatenate(stacks),
        np.concatenate([normalised(m.weights[k]) for m, k in pairs]),
        np.cumsum([0] + [len(stack) for stack in stacks]),
        shares[shares > 0.0],
    )


def _exact(sides: _Sides) -> tuple[np.ndarray, np.ndarray]:
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
    masses = _solve(costs, marginals, sides.masses)
    support = masses > _SMALLEST_MASS
    points, _ = gaussian_barycenters(sides.points, index[support], sides.weights)
    return masses[support], points


def _solve(costs: np.ndarray, matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve min cᵀx for A x = b, x ≥ 0 at a vertex, by the dual simplex of HiGHS."""
    options = {
        "primal_feasibility_tolerance": 1e-10,
        "dual_feasibility_tolerance": 1e-10,
    }
    # Masses near the tolerance may seem infeasible to the presolver.
    for presolve in (True, False):
        result = linprog(
            costs / (costs.max() or 1.0),
            A_eq=matrix,
            b_eq=right,
            method="highs-ds",
            options={"presolve": presolve, **options},
        )
        if result.status == 0:
            break
    if result.status != 0:
        raise RuntimeError(f"the linear programme was not solved: {result.message}")
    return result.x


def _checked_start(
    sides: _Sides, n_components: int | None, init: Any, random_state: Any
) -> _Start:
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
        return _Start(normalised(init.weights), points)
    if n_components is None:
        n_components = int(np.diff(sides.stops).max())
    return _Start(None, _seeds(sides, n_components, check_random_state(random_state)))


def _seeds(sides: _Sides, n_components: int, rng: Any, n_trials: int = 8) -> np.ndarray:
    """Choose components far from each other: greedy k-means++ with Bures distances."""
    masses = sides.masses * np.repeat(sides.weights, np.diff(sides.stops))
    chosen: list[np.intp] = []
    nearest = np.ones(len(masses))
    for _ in range(n_components):
        chances = np.cumsum(masses * nearest)
        if chances[-1] == 0.0:
            break
        draws = rng.random_sample(n_trials) * chances[-1]
        trials = np.minimum(np.searchsorted(chances, draws), len(masses) - 1)
        costs = align(sides.points[trials, None], sides.points)[1]
        if chosen:
            costs = np.minimum(costs, nearest)
        best = np.argmin(costs @ masses)
        chosen.append(trials[best])
        nearest = costs[best]
    return sides.points[chosen]


def _best_descent(
    sides: _Sides, start: _Start, tol: float, max_iter: int
) -> tuple[np.ndarray, np.ndarray]:
    """Descend; again from wider components while that lowers the objective."""
    best = _descend(sides, _widened(sides, start.points), None, tol, max_iter)
    if start.masses is not None:
        used = start.masses > 0.0
        masses, points = normalised(start.masses[used]), start.points[used]
        costs = align(points[:, None], sides.points)[1]
        if best.loss > _plans(sides, masses, costs)[0]:
            best = _descend(sides, points, masses, tol, max_iter)
    for _ in range(max_iter):
        wider = _widened(sides, best.points)
        if wider is best.points:
            break
        following = _descend(sides, wider, None, tol, max_iter)
        if following.loss >= (1.0 - tol) * best.loss:
            break
        best = following
    images, costs = align(best.points[:, None], sides.points)
    placed = best.points, images, costs
    points = _move(sides, best.masses, placed, _POLISH * tol, _POLISH_STEPS)[0]
    return best.masses, points


def _descend(
    sides: _Sides,
    points: np.ndarray,
    masses: np.ndarray | None,
    tol: float,
    max_iter: int,
) -> _Descent:
    """Alternate between plans, points and weights; the objective never rises.

    The points are moved before the weights are freed: at the start the best weights
    would be 0 for most points.
    """
    images, costs = align(points[:, None], sides.points)
    if masses is None:
        masses = _nearest_masses(sides, costs)
    loss = np.inf
    for _ in range(max_iter):
        points, images, costs = _move(sides, masses, (points, images, costs), tol)
        start = loss
        masses, loss = _free_masses(sides, costs)
        kept = masses > _SMALLEST_MASS
        masses, points, images, costs = (
            array[kept] for array in (masses, points, images, costs)
        )
        masses = masses / masses.sum()
        if start - loss <= tol * loss:
            break
    return _Descent(masses, points, loss)


def _widened(sides: _Sides, points: np.ndarray) -> np.ndarray:
    """Give singular components the mean covariance of what goes to them.

    It is of full rank on all that these components span; the images of a factor never
    leave what the factor spans. The points themselves where none is singular.
    """
    singular = is_singular(as_gaussians(points)[1])
    if not singular.any():
        return points
    costs = align(points[:, None], sides.points)[1]
    masses = _nearest_masses(sides, costs)
    shares = _plans(sides, masses, costs)[1] / masses[:, None]
    covariances = as_gaussians(sides.points)[1]
    mean = symmetrise(np.einsum("kl,lpq->kpq", shares[singular], covariances))
    points = points.copy()
    points[singular, 1:] = factor(mean)
    return points


def _nearest_masses(sides: _Sides, costs: np.ndarray) -> np.ndarray:
    """Return the mass of the components that are nearest to each point, never 0."""
    masses = sides.masses * np.repeat(sides.weights, np.diff(sides.stops))
    nearest = np.bincount(costs.argmin(axis=0), masses, minlength=len(costs))
    masses = np.maximum(nearest, 1e-3 / len(costs))
    return masses / masses.sum()


def _move(
    sides: _Sides,
    masses: np.ndarray,
    placed: tuple[np.ndarray, ...],
    tol: float,
    max_iter: int = 10,
) -> tuple[np.ndarray, ...]:
    """Move points some times for given masses; return them with images and costs."""
    points, images, costs = placed
    loss, coefficients = _plans(sides, masses, costs)
    for _ in range(max_iter):
        points = mean_images(coefficients / masses[:, None], images)
        images, costs = align(points[:, None], sides.points)
        old, (loss, coefficients) = loss, _plans(sides, masses, costs)
        if old - loss <= tol * old:
            break
    return points, images, costs


def _plans(
    sides: _Sides, masses: np.ndarray, costs: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the objective and the plans to all mixtures, times their weights."""
    coefficients = np.empty_like(costs)
    for part, share in zip(sides.slices(), sides.weights, strict=True):
        block = np.ascontiguousarray(costs[:, part])
        coupling = cleaned(simplex(block, masses, sides.masses[part])[0])
        coefficients[:, part] = share * coupling
    return float(np.vdot(coefficients, costs)), coefficients


def _free_masses(sides: _Sides, costs: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the masses of given points that are best, and the objective.

    Variables are the entries of all plans, then the masses: columns of a plan sum to
    the weights of its mixture, rows of every plan to the masses.
    """
    n_points, n_sides = costs.shape[0], len(sides.weights)
    counts = np.diff(sides.stops)
    side = np.repeat(np.arange(n_sides), counts)
    rows, columns = np.divmod(np.arange(costs.size), costs.shape[1])
    equal = len(side) + side[columns] * n_points + rows
    owners = len(side) + np.arange(n_sides * n_points)
    entries = np.arange(costs.size)
    masses = costs.size + np.tile(np.arange(n_points), n_sides)
    matrix = sparse.csc_array(
        (
            np.repeat([1.0, 1.0, -1.0], [costs.size, costs.size, len(owners)]),
            (
                np.concatenate([columns, equal, owners]),
                np.concatenate([entries, entries, masses]),
            ),
        )
    )
    prices = np.concatenate([(costs * sides.weights[side]).ravel(), np.zeros(n_points)])
    right = np.concatenate([sides.masses, np.zeros(len(owners))])
    solution = _solve(prices, matrix, right)
    return solution[costs.size :], float(prices @ solution)
