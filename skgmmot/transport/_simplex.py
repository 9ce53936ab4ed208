"""The network simplex on programmes so small that calling it is the cost.

`ot.emd` spends some twenty times longer on its arguments than on a programme of three
by two components. Flows and distance matrices solve many of these; their weights and
costs are checked already.
"""

import numpy as np

_EPS = np.finfo(np.float64).eps


def simplex(costs, a, b):
    """Solve a balanced programme without entropy.

    Parameters
    ----------
    costs : ndarray of shape (K0, K1), float64
        Finite, not negative.
    a, b : ndarray of shape (K0,) and (K1,), float64
        Not negative, of sum 1 to rounding of their type. Weights may be 0.

    Returns
    -------
    coupling : ndarray of shape (K0, K1)
        Without what the simplex leaves of cancelled flows.
    u : ndarray of shape (K0,)
        First potential, up to a constant; no use where a is 0.
    """
    from ot.lp.emd_wrap import emd_c

    a, b = a / a.sum(), b / b.sum()
    # Units of the largest cost: the simplex compares with absolute constants.
    unit = costs.max() or 1.0
    costs = np.ascontiguousarray(costs / unit)
    coupling, _, u, _, code = emd_c(a, b, costs, 10**9, 1)
    if code != 1:
        raise RuntimeError(
            "the network simplex failed on a valid programme of shape "
            f"{costs.shape} (result code {code})."
        )
    coupling[coupling <= 4.0 * _EPS * np.minimum(a[:, None], b)] = 0.0
    return coupling, u * unit
