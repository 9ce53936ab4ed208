"""How much of the variance of each feature lies between the groups of a sample.

Groups are cells that halve the sample along its longest directions, each feature in
units of its deviation. No number is drawn, and neither units nor the order of rows or
features says which cells there are.
"""

import numpy as np
from scipy.linalg import eigh

from skgmmot._blocks import Blocks
from skgmmot.kernels import Moments

_MOST = 16
_LEAST_MASS = 5.0  # rows a cell, on average
_ROUNDING = 8.0 * np.finfo(np.float64).eps
_ALIKE = 1e-6  # of the largest variance: no direction is longest


def between_shares(blocks: Blocks) -> np.ndarray:
    """Return the share of each feature's variance that lies between cells.

    Cells begin as the whole sample, are halved along their longest directions as long
    as there are rows for twice as many, up to 16, and move to their means after each
    round. A cell whose directions are equally long stays whole.

    Parameters
    ----------
    blocks : Blocks

    Returns
    -------
    shares : ndarray of shape (d,)
        From 0 to 1; 0 for a feature without variance.
    """
    mean, variances = blocks.mean_and_variances()
    used = variances > np.square(_ROUNDING * np.abs(mean))
    units = np.where(used, np.sqrt(np.where(used, variances, 1.0)), 1.0)
    means = mean[None]
    while 2 * len(means) <= min(_MOST, blocks.mass / _LEAST_MASS):
        found = blocks.nearest_moments(means, True, units)
        halves = _halved(means, found, units * used)
        if len(halves) == len(means):
            break
        found = blocks.nearest_moments(halves, False, units)
        means = _centres(halves, found)[found.counts > 0.0]
    found = blocks.nearest_moments(means, False, units)
    offsets = (_centres(means, found) - mean) / units
    shares = np.minimum(found.counts @ np.square(offsets) / found.mass, 1.0)
    return np.where(used, shares, 0.0)


def _centres(means: np.ndarray, found: Moments) -> np.ndarray:
    """Means of the rows of cells; an empty cell stays where it is."""
    counts = np.where(found.counts > 0.0, found.counts, 1.0)
    return means + found.sums / counts[:, None]


def _halved(means: np.ndarray, found: Moments, units: np.ndarray) -> np.ndarray:
    """Two means a cell, a deviation to either side along its longest direction."""
    inverse = np.divide(1.0, units, out=np.zeros(len(units)), where=units > 0.0)
    halves = []
    for centre, count, sums, second in zip(
        _centres(means, found), found.counts, found.sums, found.seconds, strict=True
    ):
        if not count > 0.0:
            continue
        shift = sums / count
        covariance = second / count - np.outer(shift, shift)
        lengths, directions = _longest(covariance * np.outer(inverse, inverse))
        longest = lengths[-1]
        if not longest > 0.0 or (lengths[:-1] > (1.0 - _ALIKE) * longest).any():
            halves.append(centre)
            continue
        step = np.sqrt(longest) * directions[:, -1] * units
        halves += [centre - step, centre + step]
    return np.array(halves)


def _longest(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two longest axes, ascending, or the one of one feature; all take longer."""
    d = len(covariance)
    most = (max(d - 2, 0), d - 1)
    return eigh(covariance, subset_by_index=most, check_finite=False)
