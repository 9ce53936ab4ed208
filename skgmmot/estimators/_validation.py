"""Checks at the surface: data, weights, starts. All before any work is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from skgmmot._blocks import FLOATS, LARGEST, Blocks, Parts, in_parts, parts_of
from skgmmot._blocks._device_checks import (
    checked_device_rows,
    checked_device_weights,
    is_foreign,
)
from skgmmot._blocks._row_arrays import check_same_kind, has_all
from skgmmot._checks import check_shape, check_size, message, naming
from skgmmot.estimators._sklearn_private import Interval, check_sample_weight
from skgmmot.kernels import is_device_array
from skgmmot.linalg._covariances import covariance_type_of
from skgmmot.linalg._mixture import as_mixture

# As in joblib: None, a number of threads, or -1 for all cores, -2 for all but one, ...
N_JOBS = [
    Interval(Integral, 1, None, closed="left"),
    Interval(Integral, None, -1, closed="right"),
    None,
]


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """An estimator whose fit fails, or is interrupted, is what it was before."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def check_rows(
    estimator: Any,
    X: Any,
    *,
    reset: bool = False,
    fitting: bool = False,
    ensure_min_samples: int = 1,
) -> Any:
    """X as float64 or float32 in C order, its features checked against the fit.

    Rows to be fitted (`reset` or `fitting`) must have squares that can be summed. Rows
    that are read in parts are returned as `Parts`, whose values are looked at in the
    first pass over them.
    """
    fitting = reset or fitting
    if in_parts(X):
        return _checked_parts(estimator, X, reset, fitting, ensure_min_samples)
    if is_foreign(X):
        X = checked_device_rows(X, fitting, ensure_min_samples)
        return validate_data(estimator, X, reset=reset, skip_check_array=True)
    if _is_sound(X) and len(X) >= ensure_min_samples and _fits(estimator, X, reset):
        if reset:
            estimator.n_features_in_ = X.shape[1]
    else:
        X = _validated(estimator, X, reset, ensure_min_samples)
    if fitting:
        reason = "whose squares can be summed"
        check_size(X, "X", LARGEST, reason, "divide the features by their widths")
    return X


def _is_sound(array: Any, ndim: int = 2) -> bool:
    """Whether an array is what checks would return, told without their cost.

    They take longer than to label a thousand rows. Where they could have something to
    say, they are asked: for infinities, and for sums that are none of finite numbers.
    """
    if type(array) is not np.ndarray or array.ndim != ndim or array.dtype not in FLOATS:
        return False
    if array.size == 0 or not array.flags.c_contiguous:
        return False
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum()))


def _fits(estimator: Any, X: np.ndarray, reset: bool) -> bool:
    """Whether rows without names of features are what an estimator expects."""
    if hasattr(estimator, "feature_names_in_"):
        return False
    return reset or X.shape[1] == getattr(estimator, "n_features_in_", None)


def _validated(
    estimator: Any, X: Any, reset: bool, ensure_min_samples: int
) -> np.ndarray:
    """The same by scikit-learn's checks, with their errors."""
    # NumPy would warn of infinities, which are refused in words.
    with np.errstate(invalid="ignore"), naming("X", "rows of real numbers"):
        return validate_data(
            estimator,
            X,
            reset=reset,
            dtype=FLOATS,
            order="C",
            ensure_min_samples=ensure_min_samples,
        )


def check_rows_at_hand(estimator: Any, X: Any, **keywords: Any) -> Any:
    """`check_rows` for what needs all rows at once: those read in parts are refused."""
    check_at_hand(X)
    return check_rows(estimator, X, **keywords)


def check_at_hand(X: Any) -> None:
    """Refuse rows that are read in parts."""
    if in_parts(X):
        mend = "bring them into memory, as X.compute() or numpy.concatenate do"
        got = "rows that are read in parts"
        raise ValueError(message("X", "rows in memory", got, mend))


def _checked_parts(
    estimator: Any, X: Any, reset: bool, fitting: bool, least_rows: int
) -> Parts:
    parts, told = parts_of(X)
    validate_data(estimator, told, reset=reset, skip_check_array=True)
    reading = parts.reading._replace(least_rows=least_rows, fitting=fitting)
    return parts.changed(reading=reading)


def check_weights(sample_weight: Any, X: Any) -> Any:
    """Sample weights as float64 (n,), or None. They are frequencies.

    Of rows read in parts a column of these, looked at together with the rows.
    """
    if sample_weight is None:
        return None
    if isinstance(X, Parts):
        return X.column(sample_weight, "sample_weight")
    check_same_kind(sample_weight, "sample_weight", X)
    if is_device_array(X):
        return checked_device_weights(sample_weight, X)
    expected = f"{len(X)} numbers that are not negative"
    with naming("sample_weight", expected), np.errstate(invalid="ignore"):
        weights = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
    if not weights.sum() > 0.0:
        mend = "drop sample_weight, or give rows that should count a positive one"
        raise ValueError(
            message("sample_weight", "at least one positive weight", "only zeros", mend)
        )
    return weights


def drop_weightless(X: Any, weights: Any) -> tuple[Any, Any]:
    """Rows that count, and their weights: a weight of 0 is a row that is not there.

    Parts leave such rows out when they are read.
    """
    if weights is None or isinstance(X, Parts) or has_all(weights > 0.0):
        return X, weights
    keep = weights > 0.0
    return X[keep], weights[keep]


def check_enough_rows(blocks: Blocks, n_components: int) -> None:
    """Refuse fewer rows (or less weight) than components."""
    n_samples = max(blocks.n_rows, int(blocks.mass))
    if n_samples < n_components:
        raise ValueError(
            "Expected n_samples >= n_components but got n_components = "
            f"{n_components}, n_samples = {n_samples}; lower n_components or give "
            "more rows"
        )


def _check_start_shape(array: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    if array.shape != shape:  # in scikit-learn's words, which its tests match
        raise ValueError(
            f"The parameter '{name}' should have the shape of {shape}, "
            f"but got {array.shape}"
        )


def _checked_array(values: Any, name: str, dtype: Any) -> np.ndarray:
    """Weights, means or the like: finite real numbers, of any shape so far."""
    accepted = FLOATS if dtype is FLOATS else (dtype,)
    if _is_sound(values, getattr(values, "ndim", 0)) and values.dtype in accepted:
        return values
    with np.errstate(invalid="ignore"), naming(name, "an array of real numbers"):
        return check_array(
            values,
            dtype=dtype,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_samples=0,
            input_name=name,
        )


def check_starts(estimator: Any, n_features: int, kind: Any) -> tuple[Any, Any, Any]:
    """The user's weights, means and precisions to start from, each checked or None."""
    n_components = estimator.n_components
    weights, means, precisions = (
        None if given is None else _checked_array(given, name, np.float64)
        for given, name in (
            (estimator.weights_init, "weights_init"),
            (estimator.means_init, "means_init"),
            (estimator.precisions_init, "precisions_init"),
        )
    )
    if weights is not None:
        weights = _check_start_weights(weights, n_components)
    if means is not None:
        _check_start_shape(means, (n_components, n_features), "means")
    if precisions is not None:
        name = f"{kind.name} precision"
        _check_start_shape(precisions, kind.shape(n_components, n_features), name)
        kind.check_precisions(precisions)
    return weights, means, precisions


def _check_start_weights(weights: np.ndarray, n_components: int) -> np.ndarray:
    _check_start_shape(weights, (n_components,), "weights")
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


def check_parameters(
    weights: np.ndarray | None, means: Any, covariances: Any, covariance_type: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parameters of a mixture that a user gave, checked against each other."""
    kind = covariance_type_of(covariance_type)
    weights, means, covariances = (
        _checked_array(values, name, FLOATS)
        for values, name in (
            (weights, "weights"),
            (means, "means"),
            (covariances, "covariances"),
        )
    )
    if means.ndim != 2:
        expected = "shape (n_components, n_features)"
        raise ValueError(message("means", expected, means.shape))
    mend = f"that is the shape for covariance_type={covariance_type!r}"
    check_shape(covariances, "covariances", kind.shape(*means.shape), mend)
    as_mixture((weights, means, kind.dense(covariances, *means.shape)), "mixture")
    try:
        kind.precisions_cholesky(np.asarray(covariances, dtype=np.float64))
    except ValueError:
        mend = "add a small variance to every feature"
        raise ValueError(
            message("covariances", "positive definite ones", "a singular one", mend)
        ) from None
    return weights, means, covariances


def check_warm_number(n_components: int, former: int, fixed: bool) -> None:
    """Refuse a warm start with fewer components than it would start from.

    If the number is fixed, with more too: a start has no more than there were.
    """
    if n_components < former or (fixed and n_components > former):
        least = "" if fixed else "at least "
        expected = f"{least}the {former} components of the last fit, to start from"
        mend = "set warm_start=False"
        raise ValueError(message("n_components", expected, n_components, mend))
