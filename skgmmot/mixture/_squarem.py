"""Acceleration of EM by squared extrapolation, with the plain step as fall-back.

Varadhan and Roland, Scandinavian Journal of Statistics 2008,
doi 10.1111/j.1467-9469.2007.00585.x: from three successive points a, b, c of EM, with
r = b - a and v = (c - b) - r, the proposal is a + 2 α r + α² v, α = |r| / |v|. It is
kept where the objective is not below that at b, so that the bound never falls.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from skgmmot.kernels import plain
from skgmmot.linalg._covariances import CovarianceType
from skgmmot.linalg._forms import squared_length
from skgmmot.mixture._em import Parameters

_FIRST_LIMIT = 4.0  # of α; raised while proposals at the limit succeed

Point = tuple[Parameters, ...]


class Extrapolation:
    """SQUAREM on (log weights, means, roots of the covariances) of some mixtures.

    A point is a tuple of Parameters: one for a mixture, two for a coupled pair.
    """

    def __init__(self, kind: CovarianceType) -> None:
        self.kind = kind
        self.longest = _FIRST_LIMIT
        self.wanted = 1.0  # the step length that the last proposal asked for
        # The point one step back, None where a cycle starts anew.
        self.start: Point | None = None

    def advance(
        self,
        point: Point,
        objective: float,
        following: Point,
        evaluate: Callable[[Point], Any],
    ) -> tuple[Any, bool]:
        """The state after a step from `point` to `following`; whether it leapt.

        `evaluate` makes a state with an objective of a point.
        """
        if self.start is None:
            self.start = point
            return evaluate(following), False
        with np.errstate(all="ignore"):
            proposal = self._propose(self.start, point, following)
        self.start = None
        if proposal is None:
            return evaluate(following), False
        trial = evaluate(proposal)
        if trial.objective >= objective:  # False for NaN
            if self.wanted >= self.longest:
                self.longest *= 4.0
            return trial, True
        self.longest = max(_FIRST_LIMIT, self.longest / 2.0)
        return evaluate(following), False

    def _propose(self, *points: Point) -> Point | None:
        """The extrapolated point, or None where the step would be the plain one."""
        try:
            paths = [
                _Path(self.kind, *mixtures) for mixtures in zip(*points, strict=True)
            ]
            first, second = (
                sum(lengths)
                for lengths in zip(*(path.lengths for path in paths), strict=True)
            )
            self.wanted = np.sqrt(first / second) if second > 0.0 else 1.0
            alpha = min(self.wanted, self.longest)
            if not alpha > 1.01:
                return None
            return tuple(path.at(alpha) for path in paths)
        except ValueError:  # left the domain
            return None


class _Path:
    """The parabola through three successive values of one mixture."""

    def __init__(self, kind: CovarianceType, *points: Parameters) -> None:
        self.kind = kind
        coordinates = [
            (np.log(p.weights), p.means, kind.roots(p.covariances)) for p in points
        ]
        self.origin = coordinates[0]
        self.first = [b - a for a, b in zip(*coordinates[:2], strict=True)]
        self.second = [
            (c - b) - r for r, b, c in zip(self.first, *coordinates[1:], strict=True)
        ]
        self.lengths = [
            self._square(step, points[1]) for step in (self.first, self.second)
        ]

    def _square(self, step: list[np.ndarray], parameters: Parameters) -> float:
        """Squared length in the metric of the components: weights and deviations."""
        weights, _, covariances, _ = parameters
        logs, means, roots = step
        return squared_length(
            plain(weights),
            self.kind.stack(plain(covariances)),
            logs,
            means,
            self.kind.stack(roots),
        )

    def at(self, alpha: float) -> Parameters:
        """The mixture at a step length."""
        log_weights, means, roots = (
            a + 2.0 * alpha * r + alpha**2 * v
            for a, r, v in zip(self.origin, self.first, self.second, strict=True)
        )
        weights = np.exp(log_weights - log_weights.max())
        covariances = self.kind.from_roots(roots)
        factors = self.kind.precisions_cholesky(covariances)
        return Parameters(weights / weights.sum(), means, covariances, factors)
