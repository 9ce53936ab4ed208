"""The steps of EM for a penalised mixture, from summed moments alone.

Objective, to be maximised: weighted mean of log p(x_i), less the penalty P(w). Nothing
here knows where sums over rows are made: a problem's `blocks` returns moments.
"""

from typing import NamedTuple

import numpy as np

from skgmmot._blocks import Blocks
from skgmmot.kernels import Gaussians, Moments, plain
from skgmmot.linalg._covariances import CovarianceType
from skgmmot.linalg._forms import move
from skgmmot.linalg._scatters import safe_counts
from skgmmot.mixture._penalty import NoPenalty


class Parameters(NamedTuple):
    """A mixture as EM moves it."""

    weights: np.ndarray  # (K,)
    means: np.ndarray  # (K, d)
    covariances: np.ndarray  # shape of the covariance type
    factors: np.ndarray  # precisions_cholesky, same shape


class State(NamedTuple):
    """Parameters with the moments and the objective at them."""

    parameters: Parameters
    moments: Moments
    objective: float


class Problem(NamedTuple):
    """What stays the same during a fit."""

    blocks: Blocks
    kind: CovarianceType
    penalty: NoPenalty = NoPenalty()
    reg_covar: float | np.ndarray = 0.0  # one for all features, or one for each
    min_mass: float = 0.0  # components with less Σ w r are removed
    prune: bool = False  # whether components may be removed at all
    n_offered: int = 1  # components at the start

    def unpenalised(self) -> "Problem":
        """The same rows by maximum likelihood alone, without removals."""
        return self._replace(penalty=NoPenalty(), prune=False)


def gaussians_of(parameters: Parameters, kind: CovarianceType) -> Gaussians:
    """The mixture as kernels read it."""
    weights, means, _, factors = parameters
    return kind.gaussians(weights, means, factors)


def evaluate(problem: Problem, parameters: Parameters) -> State:
    """E-step: moments and objective at the parameters."""
    gaussians = gaussians_of(parameters, problem.kind)
    with_deletion = problem.prune and len(parameters.weights) > 1
    moments = problem.blocks.moments(gaussians, with_deletion)
    value = moments.log_likelihood / moments.mass
    return State(parameters, moments, value - problem.penalty.value(parameters.weights))


def estimate(
    problem: Problem,
    moments: Moments,
    means: np.ndarray,
    weights: np.ndarray | None = None,
) -> Parameters:
    """Parameters from moments about `means`; `weights` are the present ones."""
    safe = safe_counts(moments.counts)
    shares, moved = np.empty(len(safe)), np.array(means, dtype=np.float64)
    move(safe, plain(moments.sums), shares, moved)
    covariances = problem.kind.estimate(moments, problem.reg_covar)
    return Parameters(
        problem.penalty.update_weights(shares, shares if weights is None else weights),
        moved,
        covariances,
        problem.kind.precisions_cholesky(covariances),
    )


def m_step(problem: Problem, state: State) -> Parameters:
    """The parameters that maximise the expected objective."""
    parameters = state.parameters
    return estimate(problem, state.moments, parameters.means, parameters.weights)


def some(parameters: Parameters, kind: CovarianceType, index: np.ndarray) -> Parameters:
    """The mixture of some components, their weights scaled to sum to 1."""
    weights = parameters.weights[index]
    return Parameters(
        weights / weights.sum(),
        parameters.means[index],
        kind.take(parameters.covariances, index),
        kind.take(parameters.factors, index),
    )


def drop(parameters: Parameters, kind: CovarianceType, component: int) -> Parameters:
    """The mixture without a component."""
    return some(parameters, kind, np.arange(len(parameters.weights)) != component)
