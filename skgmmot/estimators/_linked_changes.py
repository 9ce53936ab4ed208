"""What becomes of populations along a link: growth, births, deaths."""

from typing import NamedTuple

import numpy as np

# By how much paired mass may grow on either side: the rest is born or dies.
_MAX_GROWTH = 1.5


class Changes(NamedTuple):
    """What becomes of populations along a link."""

    births: np.ndarray  # (K_b,) the part of a component that comes from nowhere
    deaths: np.ndarray  # (K_a,) the part of a component that goes nowhere
    growth: np.ndarray  # (K_a,) mass of what descends from it, per mass that goes


def changes_along(
    coupling: np.ndarray, source: np.ndarray, target: np.ndarray
) -> Changes:
    """Read an unbalanced plan: growth beyond a cap is a birth, or a death."""
    marginals = coupling.sum(axis=1), coupling.sum(axis=0)
    factors, lost = [], []
    for weights, mass in zip((source, target), marginals, strict=True):
        factor = np.full_like(weights, _MAX_GROWTH)
        np.divide(weights, mass, out=factor, where=mass > 0.0)
        factor = np.minimum(factor, _MAX_GROWTH)
        left = np.maximum(weights - mass * factor, 0.0)
        factors.append(factor)
        lost.append(np.divide(left, weights, out=np.zeros_like(left), where=left > 0.0))
    arriving = coupling @ factors[1]
    leaving = marginals[0] * factors[0]
    growth = np.zeros_like(arriving)
    np.divide(arriving, leaving, out=growth, where=leaving > 0.0)
    return Changes(lost[1], lost[0], growth)
