"""What all covariance types need: safe counts and the error of what has no inverse."""

import numpy as np

from skgmmot.kernels import plain
from skgmmot.linalg._forms import add_least

ILL_DEFINED = (
    "Fitting the mixture model failed because some components have ill-defined "
    "empirical covariance (for instance caused by singleton or collapsed samples). "
    "Try to decrease the number of components, increase reg_covar, or scale the input "
    "data."
)


def safe_counts(counts: np.ndarray) -> np.ndarray:
    """Counts that can be divided by, for components without any row."""
    safe = np.empty(len(counts))
    add_least(plain(counts), safe)
    return safe
