"""The steps of EM for a penalised mixture, from summed moments alone.

Objective, to be maximised: weighted mean of log p(x_i), less the penalty P(w). Nothing
here knows where sums over rows are made: a problem's `blocks` returns moments.
"""

from typing import NamedTuple

import numpy as np

from skgmmot._blocks import Blocks
from skgmmot.kernels import Gaussians, Moments
from skgmmot.linalg._covariances import CovarianceType
from skgmmot.linalg._scatters import safe_counts
from skgmmot.mixture._penalty import NoPenalty

_LOG_2PI = np.log(2.0 * np.pi)


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
    n_components, d = parameters.means.shape
    with np.errstate(divide="ignore"):  # a weight of 0 is a density of 0
        log_weights = np.log(parameters.weights)
    log_dets = kind.log_determinants(parameters.factors, n_components, d)
    whiteners = kind.kernel_whiteners(parameters.factors, n_components, d)
    offsets = log_weights + log_dets - 0.5 * d * _LOG_2PI
    return Gaussians(offsets, parameters.means, whiteners)


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
    counts = safe_counts(moments.counts)
    shares = counts / counts.sum()
    covariances = problem.kind.estimate(moments, problem.reg_covar)
    return Parameters(
        problem.penalty.update_weights(shares, shares if weights is None else weights),
        means + moments.sums / counts[:, None],
        covariances,
        problem.kind.precisions_cholesky(covariances),
    )


def m_step(problem: Problem, state: State) -> Parameters:
    """The parameters that maximise the expected objective."""
    parameters = state.parameters
    return estimate(problem, state.moments, parameters.means, parameters.weights)


def drop(parameters: Parameters, kind: CovarianceType, component: int) -> Parameters:
    """The mixture without a component, the other weights scaled to sum to 1."""
    keep = np.arange(len(parameters.weights)) != component
    weights = parameters.weights[keep]
    return Parameters(
        weights / weights.sum(),
        parameters.means[keep],
        kind.take(parameters.covariances, keep),
        kind.take(parameters.factors, keep),
    )
