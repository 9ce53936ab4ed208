"""Acceleration of EM by squared extrapolation, with the plain step as fall-back.

Varadhan and Roland, Scandinavian Journal of Statistics 2008,
doi 10.1111/j.1467-9469.2007.00585.x: from three successive points a, b, c of EM, with
r = b - a and v = (c - b) - r, the proposal is a + 2 α r + α² v, α = |r| / |v|. It is
kept where the objective is not below that at b, so that the bound never falls.
"""

import numpy as np

from skgmmot.mixture._em import Parameters, evaluate

_FIRST_LIMIT = 4.0  # of α; raised while proposals at the limit succeed


class Extrapolation:
    """SQUAREM on (log weights, means, roots of the covariances)."""

    def __init__(self, problem):
        self.problem = problem
        self.longest = _FIRST_LIMIT
        self.wanted = 1.0  # the step length that the last proposal asked for
        self.start = None  # parameters one step back, None where a cycle starts anew

    def _coordinates(self, parameters):
        kind = self.problem.kind
        roots = kind.roots(parameters.covariances)
        return np.log(parameters.weights), parameters.means, roots

    def _length(self, first, second, parameters):
        """|first| / |second| in the metric of the components: weight, deviations."""
        weights = parameters.weights
        d = parameters.means.shape[1]
        deviations = np.sqrt(
            np.diagonal(
                self.problem.kind.dense(parameters.covariances, len(weights), d),
                axis1=1, axis2=2,
            )
        )  # fmt: skip
        squares = []
        for steps in (first, second):
            total = (weights * steps[0] ** 2).sum()
            total += (weights[:, None] * (steps[1] / deviations) ** 2).sum()
            if steps[2].ndim == 3:
                scaled = steps[2] / deviations[:, :, None]
                total += (weights[:, None, None] * scaled**2).sum()
            else:  # tied, diag, spherical: relative to the mean deviation
                total += ((steps[2] / deviations.mean()) ** 2).mean()
            squares.append(total)
        return np.sqrt(squares[0] / squares[1]) if squares[1] > 0.0 else 1.0

    def propose(self, present, following):
        """Extrapolated parameters, or None where the step would be the plain one."""
        with np.errstate(all="ignore"):
            return self._propose(present, following)

    def _propose(self, present, following):
        try:
            points = [self._coordinates(p) for p in (self.start, present, following)]
            first = [b - a for a, b in zip(points[0], points[1], strict=True)]
            second = [
                (c - b) - step
                for step, b, c in zip(first, points[1], points[2], strict=True)
            ]
            self.wanted = self._length(first, second, present)
            alpha = min(self.wanted, self.longest)
            if not alpha > 1.01:
                return None
            log_weights, means, roots = (
                a + 2.0 * alpha * r + alpha**2 * v
                for a, r, v in zip(points[0], first, second, strict=True)
            )
            weights = np.exp(log_weights - log_weights.max())
            kind = self.problem.kind
            covariances = kind.from_roots(roots)
            factors = kind.precisions_cholesky(covariances)
        except (np.linalg.LinAlgError, ValueError):  # left the domain
            return None
        return Parameters(weights / weights.sum(), means, covariances, factors)

    def advance(self, state, following):
        """The state after a step: extrapolated where that does not lower the bound."""
        problem = self.problem
        if self.start is None:
            self.start = state.parameters
            return evaluate(problem, following), False
        proposal = self.propose(state.parameters, following)
        self.start = None
        if proposal is None:
            return evaluate(problem, following), False
        trial = evaluate(problem, proposal)
        if trial.objective >= state.objective:  # False for NaN
            if self.wanted >= self.longest:
                self.longest *= 4.0
            return trial, True
        self.longest = max(_FIRST_LIMIT, self.longest / 2.0)
        return evaluate(problem, following), False
