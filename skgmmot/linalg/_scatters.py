"""What all covariance types need: safe counts, scatters about new means, whiteners."""

import numpy as np

from skgmmot.kernels import Moments
from skgmmot.linalg._spd import diagonals, whiteners

ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined "
    "empirical covariance (for instance caused by singleton or collapsed samples). "
    "Try to decrease the number of components, increase reg_covar, or scale the input "
    "data."
)
_TINY_COUNT = 10.0 * np.finfo(np.float64).eps  # keeps empty components finite


def safe_counts(counts: np.ndarray) -> np.ndarray:
    """Counts that can be divided by, for components without any row."""
    return counts + _TINY_COUNT * min(1.0, counts.sum())


def factor_whiteners(covariances: np.ndarray) -> np.ndarray:
    """Lower triangular W, W Σ Wᵀ = I, or scikit-learn's error if Σ has no inverse."""
    if not np.all(diagonals(covariances) > 0.0):
        raise ValueError(ILL_DEFINED)
    try:
        return whiteners(covariances)[0]
    except np.linalg.LinAlgError:
        raise ValueError(ILL_DEFINED) from None


def positive_roots(variances: np.ndarray) -> np.ndarray:
    """1 / √variance, or scikit-learn's error if one is not positive."""
    if not np.all(variances > 0.0):
        raise ValueError(ILL_DEFINED)
    return 1.0 / np.sqrt(variances)


def centered_seconds(moments: Moments) -> np.ndarray:
    """Second moments about the new means, (K, d, d) or (K, d), not yet divided."""
    shifts = moments.sums / safe_counts(moments.counts)[:, None]
    if moments.seconds.ndim == 3:
        return moments.seconds - moments.sums[:, :, None] * shifts[:, None, :]
    return np.maximum(moments.seconds - moments.sums * shifts, 0.0)
