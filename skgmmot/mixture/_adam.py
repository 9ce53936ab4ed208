"""Full-batch gradient ascent by Adam on means, factors of the precisions, and logits.

Kingma and Ba, ICLR 2015 (arXiv 1412.6980). Gradients are closed forms of the moments
that EM uses. Steps are taken in units of the sample's widths.
"""

import numpy as np

from skgmmot._blocks import Blocks
from skgmmot.mixture._em import Parameters, Problem, State, evaluate
from skgmmot.mixture._fit import Control, Fit

_DECAY_MEAN, _DECAY_SQUARE, _TINY = 0.9, 0.999, 1e-8
_FAR = 1e145  # parameters beyond it have no squares
_WINDOW = 20  # steps over which the objective must stay within tol


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def gradients(
    problem: Problem, state: State, roots: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of the objective in logits, means and roots of the precisions.

    roots A have A Aᵀ = precision ((K, d, d) or (d, d)), or are 1 / standard deviation.
    """
    moments, parameters = state.moments, state.parameters
    weights = parameters.weights
    logits = moments.counts / moments.mass - weights
    slopes = problem.penalty.gradient(weights)
    logits -= slopes - weights * slopes.sum()
    n_components, d = parameters.means.shape
    precisions = problem.kind.dense(
        problem.kind.precisions(parameters.factors), n_components, d
    )
    means = np.einsum("kij,kj->ki", precisions, moments.sums) / moments.mass
    return logits, means, problem.kind.root_gradient(roots, moments) / moments.mass


def _floored(problem: Problem, roots: np.ndarray) -> np.ndarray:
    """Roots whose variances are at least reg_covar."""
    if problem.reg_covar == 0.0:
        return roots
    largest = 1.0 / np.sqrt(problem.reg_covar)
    if not problem.kind.full_form:
        return np.clip(roots, -largest, largest)
    if np.sum(roots**2, axis=(-2, -1)).max() <= largest**2:
        return roots
    u, s, v = np.linalg.svd(roots, full_matrices=False)
    return (u * np.minimum(s, largest)[..., None, :]) @ v


class _Ascent:
    """The point in logits, means and roots, and the moments of its gradients."""

    def __init__(
        self,
        problem: Problem,
        parameters: Parameters,
        learning_rate: float,
        scales: np.ndarray,
    ) -> None:
        self.problem, self.learning_rate = problem, learning_rate
        with np.errstate(divide="ignore"):
            logits = np.maximum(np.log(parameters.weights), -700.0)
        self.point = [logits, parameters.means, parameters.factors]
        self.units = [1.0, scales, 1.0 / problem.kind.root_scales(scales)]
        self.first = [np.zeros_like(values) for values in self.point]
        self.second = [np.zeros_like(values) for values in self.point]

    def advance(self, step: int, state: State) -> Parameters | None:
        """The mixture after a step, or None where it left the domain for good."""
        try:
            with np.errstate(all="ignore"):
                self._move(step, gradients(self.problem, state, self.point[2]))
                found = self._parameters()
        except np.linalg.LinAlgError:
            return None
        sizes = [np.abs(values).max() for values in found]
        return found if np.max(sizes) < _FAR else None  # False for NaN

    def _move(self, step: int, slopes: tuple[np.ndarray, ...]) -> None:
        for i, slope in enumerate(slopes):
            scaled = slope * self.units[i]
            self.first[i] += (1.0 - _DECAY_MEAN) * (scaled - self.first[i])
            self.second[i] += (1.0 - _DECAY_SQUARE) * (scaled**2 - self.second[i])
            mean = self.first[i] / (1.0 - _DECAY_MEAN**step)
            square = self.second[i] / (1.0 - _DECAY_SQUARE**step)
            move = self.learning_rate * mean / (np.sqrt(square) + _TINY)
            self.point[i] = self.point[i] + self.units[i] * move
        self.point[2] = _floored(self.problem, self.point[2])

    def _parameters(self) -> Parameters:
        logits, means, roots = self.point
        kind = self.problem.kind
        factors = kind.factor_precisions(kind.precisions(roots))
        return Parameters(_softmax(logits), means, kind.covariances(factors), factors)


def run_adam(
    problem: Problem,
    parameters: Parameters,
    control: Control,
    learning_rate: float,
    scales: np.ndarray,
) -> Fit:
    """Ascend from the parameters; `scales` (d,) are the units of the features.

    The best point on the way is returned: steps of a fixed length may overshoot, by
    far where a row lies far from the others or a covariance is nearly singular.
    """
    ascent = _Ascent(problem, parameters, learning_rate, scales)
    state, converged = evaluate(problem, parameters), False
    bounds: list[float] = []
    best = state
    for step in range(1, control.max_iter + 1):
        change = state.objective - (bounds[-1] if bounds else control.previous)
        bounds.append(state.objective)
        if control.report is not None and control.report(step, change, state):
            break
        following = ascent.advance(step, state)
        if following is None:
            break
        state = evaluate(problem, following)
        if state.objective > best.objective:
            best = state
        recent = bounds[-_WINDOW:]
        if len(recent) == _WINDOW and np.ptp([*recent, state.objective]) < control.tol:
            converged = True
            break
    return Fit(best, bounds, converged)


def units_of(blocks: Blocks, reg_covar: float) -> np.ndarray:
    """Units of the features for 'adam': powers of ten near the widths of the sample.

    A width is four standard deviations. A sample that fills the unit square has unit
    1, where KeOps' tutorial takes its steps of 0.1; other samples are like it. No
    component is narrower than reg_covar allows, and no width is taken to be.
    """
    _, variances = blocks.mean_and_variances()
    widths = 4.0 * np.sqrt(np.maximum(variances, reg_covar))
    return 10.0 ** np.round(np.log10(np.where(widths > 0.0, widths, 1.0)))
