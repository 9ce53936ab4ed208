"""How many components a sample asks for, by the Bayesian information criterion."""

import numpy as np

from skgmmot.mixture._em import Parameters, Problem
from skgmmot.mixture._fit import Control, run
from skgmmot.mixture._starts import start_parameters

_CONTROL = Control(tol=1e-5, max_iter=300, accelerate=True)
_PATIENCE = 3  # larger numbers that are tried after the best one


def number_of_components(
    problem: Problem, most: int, random_state: np.random.RandomState
) -> int:
    r"""Return the number from 1 to `most` of the lowest criterion.

    .. math:: -2 \log L + p \log \sum_i w_i

    Parameters
    ----------
    problem : Problem
    most : int
    random_state : RandomState
        For the starts.
    """
    lowest, best = np.inf, 1
    for number in range(1, most + 1):
        if number > best + _PATIENCE:
            break
        value = _criterion(problem, number, random_state)
        if value < lowest:
            lowest, best = value, number
    return best


def _criterion(
    problem: Problem, number: int, random_state: np.random.RandomState
) -> float:
    start = start_parameters(problem, number, "kmeans", random_state, (None,) * 3)
    try:
        fit = run(problem, start, _CONTROL)
    except ValueError:  # a component collapsed
        return np.inf
    mass = problem.blocks.mass
    n_parameters = count_parameters(problem, fit.state.parameters)
    return -2.0 * mass * fit.state.objective + n_parameters * np.log(mass)


def count_parameters(problem: Problem, parameters: Parameters) -> int:
    """Free parameters of a mixture."""
    n_components, d = parameters.means.shape
    of_covariances = problem.kind.n_parameters(n_components, d)
    return n_components - 1 + n_components * d + of_covariances
