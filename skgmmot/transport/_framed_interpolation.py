"""The path between two mixtures that are compared in a frame."""

import numpy as np

from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._spd import symmetrise
from skgmmot.transport._frame import (
    Frame,
    inverse_linear,
    moved_covariances,
    moved_means,
)
from skgmmot.transport._interpolation import mw2_interpolation


def framed_interpolation(
    source: Mixture,
    target: Mixture,
    t: float,
    coupling: np.ndarray,
    frame: Frame,
    max_growth: float,
) -> Mixture:
    """Mixture at time t where the domain as a whole moves evenly from A to B.

    The source is moved onto the target by the frame's alignment, pairs go the geodesics
    that are optimal in the frame's units, and all is told where the domain as a whole
    is at that time: at (1 - t) x + t (A x + b). What fades in or out of an unbalanced
    plan goes with it.

    Parameters
    ----------
    source, target : Mixture
    t : float in [0, 1]
    coupling : ndarray of shape (K0, K1)
    frame : Frame
        Its alignment and the units of its costs.
    max_growth : float
        As in `mw2_interpolation`.

    Returns
    -------
    mixture : Mixture
    """
    (linear, shift), scales = frame.alignment, frame.scales
    ends = (
        _scaled(
            moved_means(source.means, frame.alignment),
            moved_covariances(source.covariances, linear),
            source.weights,
            scales,
        ),
        _scaled(target.means, target.covariances, target.weights, scales),
    )
    between = mw2_interpolation(*ends, t, plan=coupling, max_growth=max_growth)
    told = _scaled(between.means, between.covariances, between.weights, 1.0 / scales)
    inverse = inverse_linear(linear)
    rest = t * (np.eye(len(scales)) if inverse.ndim == 2 else np.ones(len(scales)))
    back = (1.0 - t) * inverse + rest
    home = inverse @ shift if inverse.ndim == 2 else inverse * shift
    means = told.means @ back.T if back.ndim == 2 else told.means * back
    moved = Mixture(
        told.weights,
        means - (1.0 - t) * home,
        symmetrise(moved_covariances(told.covariances, back)),
    )
    dtype = np.result_type(source.means, target.means)
    return Mixture(*(array.astype(dtype, copy=False) for array in moved))


def _scaled(
    means: np.ndarray, covariances: np.ndarray, weights: np.ndarray, scales: np.ndarray
) -> Mixture:
    return Mixture(
        weights.astype(np.float64) / weights.sum(dtype=np.float64),
        np.asarray(means, np.float64) * scales,
        moved_covariances(covariances, scales),
    )
