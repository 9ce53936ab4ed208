"""Checks at the surface: data, weights, starts. All before any work is done."""

from contextlib import contextmanager
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_sample_weight, check_array, validate_data

from skgmmot._checks import naming
from skgmmot.linalg._covariances import covariance_type_of
from skgmmot.linalg._mixture import as_mixture

FLOATS = (np.float64, np.float32)
_LARGEST = 1e140
# As in joblib: None, a number of threads, or -1 for all cores, -2 for all but one, ...
N_JOBS = [
    Interval(Integral, 1, None, closed="left"),
    Interval(Integral, None, -1, closed="right"),
    None,
]


@contextmanager
def unchanged_on_error(estimator):
    """An estimator whose fit fails, or is interrupted, is what it was before."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def check_rows(estimator, X, *, reset=False, fitting=False, ensure_min_samples=1):
    """X as float64 or float32 in C order, its features checked against the fit.

    Rows to be fitted (`reset` or `fitting`) must have squares that can be summed.
    """
    # NumPy would warn of infinities, which are refused in words.
    with np.errstate(invalid="ignore"), naming("X", "rows of real numbers"):
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=FLOATS,
            order="C",
            ensure_min_samples=ensure_min_samples,
        )
    largest = max(float(X.max()), -float(X.min())) if reset or fitting else 0.0
    if largest > _LARGEST:
        raise ValueError(
            f"X: expected values within {_LARGEST:g}, whose squares can be summed, got "
            f"one of size {largest:.3g}; divide the features by their widths."
        )
    return X


def check_weights(sample_weight, X):
    """Sample weights as float64 (n,), or None. They are frequencies."""
    if sample_weight is None:
        return None
    expected = f"{len(X)} numbers that are not negative"
    with naming("sample_weight", expected), np.errstate(invalid="ignore"):
        weights = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    if not weights.sum() > 0.0:
        raise ValueError(
            "sample_weight: expected at least one positive weight, got only zeros; "
            "drop sample_weight, or give rows that should count a positive one."
        )
    return weights


def drop_weightless(X, weights):
    """Rows that count, and their weights: a weight of 0 is a row that is not there."""
    if weights is None or weights.all():
        return X, weights
    keep = weights > 0.0
    return X[keep], weights[keep]


def check_enough_rows(X, weights, n_components):
    """Refuse fewer rows (or less weight) than components."""
    n_samples = len(X) if weights is None else max(len(X), int(weights.sum()))
    if n_samples < n_components:
        raise ValueError(
            "Expected n_samples >= n_components but got n_components = "
            f"{n_components}, n_samples = {n_samples}; lower n_components or give "
            "more rows"
        )


def _check_shape(array, shape, name):
    if array.shape != shape:
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, "
            f"but got {array.shape}"
        )


def _checked_part(part, name, dtype):
    """Weights, means or the like: finite real numbers, of any shape so far."""
    with np.errstate(invalid="ignore"), naming(name, "an array of real numbers"):
        return check_array(
            part,
            dtype=dtype,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_samples=0,
            input_name=name,
        )


def check_starts(estimator, n_features, kind):
    """The user's weights, means and precisions to start from, each checked or None."""
    n_components = estimator.n_components
    weights, means, precisions = (
        None if given is None else _checked_part(given, name, np.float64)
        for given, name in (
            (estimator.weights_init, "weights_init"),
            (estimator.means_init, "means_init"),
            (estimator.precisions_init, "precisions_init"),
        )
    )
    if weights is not None:
        weights = _check_start_weights(weights, n_components)
    if means is not None:
        _check_shape(means, (n_components, n_features), "means")
    if precisions is not None:
        name = f"{kind.name} precision"
        _check_shape(precisions, kind.shape(n_components, n_features), name)
        kind.check_precisions(precisions)
    return weights, means, precisions


def _check_start_weights(weights, n_components):
    _check_shape(weights, (n_components,), "weights")
    low, high = weights.min(), weights.max()
    if low < 0.0 or high > 1.0:
        # scikit-learn prints the two under each other's names, and tests for it
        raise ValueError(
            "The parameter 'weights' should be in the range [0, 1], but got "
            f"max value {low:.5f}, min value {high:.5f}"
        )
    total = weights.sum()
    if abs(total - 1.0) > 1e-6:
        raise ValueError(
            "The parameter 'weights' should be normalized, "
            f"but got sum(weights) = {total:.5f}"
        )
    return weights / total


def check_parameters(weights, means, covariances, covariance_type):
    """The parts of a mixture that a user gave, checked against each other."""
    kind = covariance_type_of(covariance_type)
    weights, means, covariances = (
        _checked_part(part, name, FLOATS)
        for part, name in (
            (weights, "weights"),
            (means, "means"),
            (covariances, "covariances"),
        )
    )
    if means.ndim != 2:
        raise ValueError(
            f"means: expected shape (n_components, n_features), got {means.shape}."
        )
    expected = kind.shape(*means.shape)
    if covariances.shape != expected:
        raise ValueError(
            f"covariances: expected shape {expected} for "
            f"covariance_type={covariance_type!r}, got {covariances.shape}."
        )
    as_mixture((weights, means, kind.dense(covariances, *means.shape)), "mixture")
    try:
        kind.precisions_cholesky(np.asarray(covariances, dtype=np.float64))
    except ValueError:
        raise ValueError(
            "covariances: expected positive definite ones, got a singular one; add a "
            "small variance to every feature."
        ) from None
    return weights, means, covariances
