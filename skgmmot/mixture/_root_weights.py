"""The compiled M-step of weights under a penalty λ Σ_j √w_j.

It runs in every iteration of a fit on vectors of often below ten entries, for which
interpreted steps would cost fifty times their arithmetic. `_penalty` has the algebra.
"""

import numpy as np

from skgmmot._jit import exact_allocating_kernel

# The penalty's bound is moved at most so often: more gain nothing over an E-step.
_MAX_SWEEPS = 3
_MAX_NEWTON = 50
_SETTLED = 1e-4  # relative change of a weight after which sweeps stop


@exact_allocating_kernel
def penalised_weights(shares, weights, price):
    """Raise sum r log w - price sum sqrt(w) from the present weights."""
    for _ in range(_MAX_SWEEPS):
        slopes = price / (2.0 * np.sqrt(weights))  # a weight of 0 stays 0
        # From the lowest pole on: beside a high price, x + slope would cancel.
        gaps = np.maximum(slopes - slopes[shares > 0.0].min(), 0.0)
        updated = shares / (_multiplier(shares, gaps) + gaps)
        updated /= updated.sum()
        settled = (np.abs(updated - weights) <= _SETTLED * weights).all()
        weights = updated
        if settled:
            break
    return weights


@exact_allocating_kernel
def _multiplier(shares, slopes):
    """The root x of sum r / (x + c) = 1 by Newton steps from the left.

    The lowest c is 0. The sum falls and is convex right of its last pole; at
    x = max(r - c) it is at least 1, and from there Newton's steps never pass the root.
    """
    root = (shares - slopes).max()
    for _ in range(_MAX_NEWTON):
        excess, steepness = -1.0, 0.0
        for i in range(len(shares)):
            term = shares[i] / (root + slopes[i])
            excess += term
            steepness += term / (root + slopes[i])
        step = excess / steepness
        if not step > 1e-15 * max(1.0, abs(root)):
            break
        root += step
    return root
