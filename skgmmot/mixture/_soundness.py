"""Which components a criterion may count on: likelihood is unbounded near a subspace.

A component on few rows, or one whose rows all but lie in a subspace, gains any
likelihood and describes nothing.
"""

import numpy as np

from skgmmot.mixture._em import Problem, State

_NARROW = 1e-4  # least variance, in units of the mean covariance within components


def unsound(problem: Problem, state: State) -> int | None:
    """The component to remove first, or None where all can stand."""
    counts = state.moments.counts
    if len(counts) == 1:
        return None
    lightest = int(np.argmin(counts))
    if counts[lightest] < problem.min_mass:
        return lightest
    narrowest = narrowness(problem, state)
    component = int(np.argmin(narrowest))
    return component if narrowest[component] < _NARROW else None


def narrowness(problem: Problem, state: State) -> np.ndarray:
    """Least variance of each component in any direction, relative to the mean's, (K,)."""
    parameters, kind = state.parameters, problem.kind
    dense = kind.dense(parameters.covariances, *parameters.means.shape)
    within = np.einsum("k,kij->ij", parameters.weights, dense)
    root = np.linalg.cholesky(within)
    inverse = np.linalg.inv(root)
    relative = inverse @ dense @ inverse.T
    return np.linalg.eigvalsh(relative)[:, 0]
