"""Whether target rows tell of a shift, or of other shares of the classes alone."""

from typing import Any, NamedTuple

import numpy as np

from skgmmot._blocks import Posteriors, View, blocks_of
from skgmmot._blocks._row_arrays import Rows
from skgmmot.estimators._classes import Labelled, anchors_of
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._shrinkage import Affine
from skgmmot.mixture._pinned import Anchors, relaxed_tilts

_SMALLEST = 1e-9  # part of the source's variance that moved components keep


class _Seen(NamedTuple):
    """Target rows and components where these differ."""

    rows: View
    weights: np.ndarray  # (K,) shares in the source
    shares_are_free: bool


def gain_of_alignment(
    source: Labelled,
    X_target: Rows,
    target_weight: Any,
    alignment: Affine,
    reg_covar: float,
    shares_are_free: bool,
) -> float:
    r"""How much better the moved components explain the target.

    With the discriminant directions V of the source, in which its components have the
    means :math:`V^T \mu_k` and the common covariance I,

    .. math::
        \max_c \frac1n \sum_i \log \sum_k c_k N(V^T x_i; V^T T(\mu_k), V^T A W A^T V)
        - \max_c \frac1n \sum_i \log \sum_k c_k N(V^T x_i; V^T \mu_k, I)

    for the map T(x) = A x + b and the covariance W within components. What differs in
    other directions may be a shift too, but tells nothing about classes; and in these
    ones changed shares explain themselves without any map. Not above 0: the map has
    to be told by something else.

    Parameters
    ----------
    source : Labelled
    X_target : array of shape (n, d)
    target_weight : array of shape (n,) or None
    alignment : Affine
        T.
    reg_covar : float
    shares_are_free : bool
        Otherwise c are the shares in the source.

    Returns
    -------
    gain : float
        Infinite where the source has one component.
    """
    anchors = anchors_of(source, TYPES["tied"], reg_covar)
    if source.n_components == 1:
        return np.inf
    axes = discriminant_directions(anchors)
    mean = anchors.weights @ anchors.means
    blocks = blocks_of(X_target, target_weight, source.n_threads)
    seen = _Seen(
        View(blocks, mean, axes),
        anchors.weights,
        shares_are_free,
    )
    linear = alignment.linear
    linear = linear if linear.ndim == 2 else np.diag(linear)
    turned = axes.T @ linear
    moved_means = anchors.means @ linear.T + alignment.shift
    moved_within = turned @ anchors.covariances @ turned.T
    moved_within += _SMALLEST * np.eye(len(moved_within))
    moved = _likelihood(seen, (moved_means - mean) @ axes, moved_within)
    stayed = _likelihood(seen, (anchors.means - mean) @ axes, np.eye(axes.shape[1]))
    return moved - stayed


def discriminant_directions(anchors: Anchors) -> np.ndarray:
    """Directions (d, q) in which tied components differ, whitened within them."""
    values, vectors = np.linalg.eigh(anchors.covariances)
    whitening = vectors / np.sqrt(values)
    offsets = (anchors.means - anchors.weights @ anchors.means) @ whitening
    offsets = np.sqrt(anchors.weights)[:, None] * offsets
    most = min(len(anchors.weights) - 1, anchors.means.shape[1])
    return whitening @ np.linalg.svd(offsets, full_matrices=False)[2][:most].T


def _likelihood(seen: _Seen, means: np.ndarray, within: np.ndarray) -> float:
    """Mean log-likelihood of the rows, shares at their maximum."""
    kind = TYPES["tied"]
    factors = kind.precisions_cholesky(within)
    rows, weights = seen.rows, seen.weights
    gaussians = kind.gaussians(weights, means, factors)
    if seen.shares_are_free:
        shares = relaxed_tilts(
            Posteriors(rows, gaussians).tilted_shares,
            weights,
            0.0,
            np.ones(len(weights)),
        )[1]
        shares = np.maximum(shares, np.finfo(float).tiny)
        offsets = gaussians.offsets + np.log(shares / weights)
        gaussians = gaussians._replace(offsets=offsets)
    total, mass = rows.log_likelihood(gaussians)
    return total / mass
