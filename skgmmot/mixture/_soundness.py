"""Which components a criterion may count on: likelihood is unbounded near a subspace.

A component on few rows, or one whose rows all but lie in a subspace or a point, gains
any likelihood and describes nothing.
"""

import numpy as np

from skgmmot.linalg._covariances import Full, Tied
from skgmmot.linalg._spd import whiteners
from skgmmot.mixture._em import Problem, State

# Least variance of a component in any direction, all in units of the mean covariance
# within components:
_FLAT = 1e-4  # relative to its largest one
_SMALL = 1e-6


def unsound(problem: Problem, state: State) -> int | None:
    """The component to remove first, or None where all can stand."""
    counts = state.moments.counts
    if len(counts) == 1:
        return None
    lightest = int(np.argmin(counts))
    if counts[lightest] < problem.min_mass:
        return lightest
    if problem.kind is Tied:  # all are as wide as their mean
        return None
    if problem.kind is Full and _narrow(*bounds(state)).min() >= 1.0:
        return None
    narrow = _narrow(*extent(problem, state))
    component = int(np.argmin(narrow))
    return component if narrow[component] < 1.0 else None


def _narrow(least: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Least variances over what they have to be at least, (K,)."""
    return np.minimum(least / (_FLAT * largest), least / _SMALL)


def extent(problem: Problem, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest variance of each component over directions, (K,) each.

    In units of the mean over components, by weight, of the covariances.
    """
    parameters, kind = state.parameters, problem.kind
    dense = kind.dense(parameters.covariances, *parameters.means.shape)
    within = np.einsum("k,kij->ij", parameters.weights, dense)
    if not kind.full_form:
        variances = np.einsum("kii->ki", dense) / np.diag(within)
        return variances.min(axis=1), variances.max(axis=1)
    inverse = whiteners(within)[0]
    variances = np.linalg.eigvalsh(inverse @ dense @ inverse.T)
    return variances[:, 0], variances[:, -1]


def bounds(state: State) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of `extent` where covariances are full, from below and above.

    Traces bound eigenvalues: with W the mean covariance, 1 / tr(W Σ⁻¹) and tr(W⁻¹ Σ).
    They cost little, and most mixtures need no more.
    """
    weights, _, covariances, factors = state.parameters
    within = np.tensordot(weights, covariances, axes=1)
    precisions = factors @ factors.transpose(0, 2, 1)
    inverse = np.linalg.inv(within)
    inverse = 0.5 * (inverse + inverse.T)
    axes = ([1, 2], [0, 1])
    least = 1.0 / np.tensordot(precisions, within, axes)
    return least, np.tensordot(covariances, inverse, axes)
