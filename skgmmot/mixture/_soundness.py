"""Which components a criterion may count on: likelihood is unbounded near a subspace.

A component on few rows, or one whose rows all but lie in a subspace or a point, gains
any likelihood and describes nothing.
"""

import numpy as np

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
    least, largest = extent(problem, state)
    narrow = np.minimum(least / (_FLAT * largest), least / _SMALL)
    component = int(np.argmin(narrow))
    return component if narrow[component] < 1.0 else None


def extent(problem: Problem, state: State) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest variance of each component over directions, (K,) each.

    In units of the mean over components, by weight, of the covariances.
    """
    parameters, kind = state.parameters, problem.kind
    dense = kind.dense(parameters.covariances, *parameters.means.shape)
    within = np.einsum("k,kij->ij", parameters.weights, dense)
    inverse = whiteners(within)[0]
    variances = np.linalg.eigvalsh(inverse @ dense @ inverse.T)
    return variances[:, 0], variances[:, -1]
