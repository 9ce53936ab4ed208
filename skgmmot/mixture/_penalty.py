"""The sparsity penalty on the weights: λ Σ_j √w_j, and its closed-form M-step.

√w is concave, so √w ≤ √v + (w - v) / (2√v) for every v > 0, with equality at w = v.
Under that bound the M-step has the solution w_j = r_j / (ν + λ / (2√v_j)) with one
scalar ν, the root of Σ_j w_j = 1; iterating v ← w never lowers the objective.
"""

import numpy as np

from skgmmot.mixture._root_weights import penalised_weights


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
    return penalised_weights(shares, weights, price)


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
