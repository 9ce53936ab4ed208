"""A descent on the points of a barycentre, for problems too large for the exact one."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from skgmmot.linalg._spd import factor, is_singular, symmetrise
from skgmmot.transport._alignment import align, as_gaussians, mean_images
from skgmmot.transport._simplex import cleaned, normalised, simplex

# A vertex of the programme has no entries between 0 and this, but for rounding.
_SMALLEST_MASS = 1e-12
# Singular sides are approached slowly: the last points move on to this part of tol.
_POLISH, _POLISH_STEPS = 1e-3, 300


class Sides(NamedTuple):
    """Components of all mixtures as points, and which of them belong together."""

    points: np.ndarray
    masses: np.ndarray
    stops: np.ndarray
    weights: np.ndarray

    def slices(self) -> list[slice]:
        """Slices of the mixtures."""
        return [slice(*ends) for ends in pairwise(self.stops)]


class Start(NamedTuple):
    """Where a descent starts; masses are those of a given start, or None."""

    masses: np.ndarray | None
    points: np.ndarray


class _Descent(NamedTuple):
    """Where a descent ended, and its objective."""

    masses: np.ndarray
    points: np.ndarray
    loss: float


def least_cost(costs: np.ndarray, matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
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


def seeds(sides: Sides, n_components: int, rng: Any, n_trials: int = 8) -> np.ndarray:
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


def best_descent(
    sides: Sides, start: Start, tol: float, max_iter: int
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
    sides: Sides,
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


def _widened(sides: Sides, points: np.ndarray) -> np.ndarray:
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


def _nearest_masses(sides: Sides, costs: np.ndarray) -> np.ndarray:
    """Return the mass of the components that are nearest to each point, never 0."""
    masses = sides.masses * np.repeat(sides.weights, np.diff(sides.stops))
    nearest = np.bincount(costs.argmin(axis=0), masses, minlength=len(costs))
    masses = np.maximum(nearest, 1e-3 / len(costs))
    return masses / masses.sum()


def _move(
    sides: Sides,
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
    sides: Sides, masses: np.ndarray, costs: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the objective and the plans to all mixtures, times their weights."""
    coefficients = np.empty_like(costs)
    for part, share in zip(sides.slices(), sides.weights, strict=True):
        block = np.ascontiguousarray(costs[:, part])
        coupling = cleaned(simplex(block, masses, sides.masses[part])[0])
        coefficients[:, part] = share * coupling
    return float(np.vdot(coefficients, costs)), coefficients


def _free_masses(sides: Sides, costs: np.ndarray) -> tuple[np.ndarray, float]:
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
    solution = least_cost(prices, matrix, right)
    return solution[costs.size :], float(prices @ solution)
