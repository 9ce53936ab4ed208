"""The sparsity penalty on the weights: λ Σ_j √w_j, and its closed-form M-step.

√w is concave, so √w ≤ √v + (w - v) / (2√v) for every v > 0, with equality at w = v.
Under that bound the M-step has the solution w_j = r_j / (ν + λ / (2√v_j)) with one
scalar ν, the root of Σ_j w_j = 1; iterating v ← w never lowers the objective.
"""

import numpy as np

_MAX_SWEEPS = 3  # more than these gain nothing over an E-step
_MAX_NEWTON = 50
_SETTLED = 1e-4  # relative change of a weight after which sweeps stop


def penalty(weights, price):
    """λ Σ_j √w_j."""
    return price * np.sqrt(weights).sum() if price > 0.0 else 0.0


def update_weights(shares, weights, price):
    """Weights that raise Σ_j r_j log w_j - λ Σ_j √w_j, from the present ones.

    Parameters
    ----------
    shares : ndarray of shape (K,)
        Mean responsibilities r, which sum to 1.
    weights : ndarray of shape (K,)
        The present weights v > 0.
    price : float
        λ ≥ 0.

    Returns
    -------
    weights : ndarray of shape (K,)
    """
    if price == 0.0:
        return shares
    for _ in range(_MAX_SWEEPS):
        with np.errstate(divide="ignore"):  # a weight of 0 stays 0
            slopes = price / (2.0 * np.sqrt(weights))
        # From the lowest pole on: beside a high price, ν + slope would cancel.
        gaps = np.maximum(slopes - slopes[shares > 0.0].min(), 0.0)
        updated = shares / (_multiplier(shares, gaps) + gaps)
        updated /= updated.sum()
        settled = np.all(np.abs(updated - weights) <= _SETTLED * weights)
        weights = updated
        if settled:
            break
    return weights


def _multiplier(shares, slopes):
    """The root ν of Σ_j r_j / (ν + c_j) = 1 by Newton steps from the left.

    The lowest c_j is 0. The sum falls and is convex right of its last pole; at
    ν = max(r - c) it is at least 1, and from there Newton's steps never pass the root.
    """
    root = np.max(shares - slopes)
    for _ in range(_MAX_NEWTON):
        terms = shares / (root + slopes)
        excess = terms.sum() - 1.0
        step = excess / (terms / (root + slopes)).sum()
        if not step > 1e-15 * max(1.0, abs(root)):
            break
        root += step
    return root


def deletion_gains(moments, weights, price):
    """What the objective gains when component j is dropped without a refit.

    mean_i log(1 - r_ij) - log(1 - w_j), and the penalty that is set free when the
    others are scaled to sum to 1.

    Returns
    -------
    gains : ndarray of shape (K,)
    """
    others = np.maximum(1.0 - weights, np.finfo(np.float64).tiny)
    roots = np.sqrt(weights)
    kept = (roots.sum() - roots) / np.sqrt(others)
    freed = price * (roots.sum() - kept)
    return moments.deletion / moments.mass - np.log(others) + freed
