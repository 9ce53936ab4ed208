"""The network simplex on programmes so small that calling it is the cost.

`ot.emd` spends some twenty times longer on its arguments than on a programme of three
by two components. Flows and distance matrices solve many of these; their weights and
costs are checked already.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

# Below this part of the weights an entry is what is left of cancelled flows.
_EPS = 4.0 * np.finfo(np.float64).eps


def simplex(
    costs: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve a balanced programme without entropy.

    Parameters
    ----------
    costs : ndarray of shape (K0, K1), float64, C-contiguous
        Finite, not negative.
    a, b : ndarray of shape (K0,) and (K1,), float64
        Not negative, of sum 1 to rounding. Weights may be 0.

    Returns
    -------
    coupling : ndarray of shape (K0, K1)
        With what the simplex leaves of cancelled flows: see `cleaned`.
    u, v : ndarray of shape (K0,) and (K1,)
        Potentials, up to a constant; no use where a weight is 0.

    Raises
    ------
    RuntimeError
        If the solver reports that it failed.
    """
    # Units of the largest cost: the simplex compares with absolute constants.
    unit = costs.item(costs.argmax()) or 1.0
    coupling, _, u, v, code = _emd_c()(a, b, costs / unit, 10**9, 1)
    if code != 1:
        raise RuntimeError(
            "the network simplex failed on a valid programme of shape "
            f"{costs.shape} (result code {code})."
        )
    return coupling, u * unit, v * unit


def cleaned(coupling: np.ndarray, smallest: float | np.ndarray = 1.0) -> np.ndarray:
    """Set entries to 0 that are rounding of weights as large as `smallest`."""
    return coupling * (coupling > _EPS * smallest)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Return weights in float64, of sum 1 to its rounding whatever their type."""
    weights = weights.astype(np.float64)
    return weights / weights.sum()


@cache
def _emd_c() -> Callable:
    """The compiled solver, imported where it is first needed."""
    from ot.lp.emd_wrap import emd_c

    return emd_c
