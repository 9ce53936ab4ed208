"""Labels of rows as numbers of classes, whatever library rows and labels are of.

Text stays on the host: where rows are on a device, the numbers of their classes are
what goes there. Labels that are on the device stay there; classes alone come back.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from skgmmot._blocks._row_arrays import check_same_kind, has_all, like_rows_of
from skgmmot._checks import message
from skgmmot.estimators._domains import source_rows
from skgmmot.kernels import is_device_array, to_host


def checked_labels(y: Any, X: Any) -> Any:
    """One label for each row, (n,): NumPy's, or of the kind of X."""
    if is_device_array(y):
        check_same_kind(y, "y", X)
    else:
        y = column_or_1d(y, dtype=None, warn=True)
    if tuple(y.shape) != (X.shape[0],):
        expected = f"{X.shape[0]} labels, as X has rows"
        got = y.shape[0] if y.ndim == 1 else f"shape {tuple(y.shape)}"
        raise ValueError(message("y", expected, got))
    return y


def labels_of_source(y: Any, sample_domain: Any) -> Any:
    """Checked labels of the source rows; all of them without `sample_domain`."""
    if is_device_array(sample_domain) and not is_device_array(y):
        mend = "give sample_domain as a NumPy array, or y as an array like X"
        expected = "NumPy labels of domains beside NumPy labels of classes"
        raise TypeError(
            message("sample_domain", expected, type(sample_domain).__name__, mend)
        )
    mask = source_rows(sample_domain, y)
    return y if mask is None else y[mask]


def numbered(y: Any, weights: Any, X: Any) -> tuple[np.ndarray, Any]:
    """Classes of the rows that count, and the number of each such row's, like X."""
    if not is_device_array(weights) and weights is not None:
        y, weights = y[weights > 0.0], None
    if is_device_array(y) and weights is not None:
        y, weights = y[weights > 0.0], None
    classes, index = _numbered(y)
    index = like_rows_of(X, index)
    if weights is None:
        return classes, index
    # Labels are on the host and weights are not: some classes may not count.
    index = index[weights > 0.0]
    xp = array_namespace(index)
    present = xp.unique_values(index)
    return classes[to_host(present)], xp.searchsorted(present, index)


def _numbered(y: Any) -> tuple[np.ndarray, Any]:
    if not is_device_array(y):
        if y.dtype.kind in "fc":
            check_array(y, dtype=None, ensure_2d=False, input_name="y")
        check_classification_targets(y)
        return np.unique(y, return_inverse=True)
    xp = array_namespace(y)
    if xp.isdtype(y.dtype, "real floating") and not has_all(xp.isfinite(y)):
        raise ValueError("Input y contains NaN or infinity.")  # as scikit-learn says
    values, index = xp.unique_inverse(y)
    classes = to_host(values)
    check_classification_targets(classes)
    return classes, index


def known_numbers(y: Any, classes: np.ndarray, X: Any) -> tuple[Any, np.ndarray]:
    """The number of each label in `classes`, like X, and labels that are not there.

    These have the number -1.
    """
    if is_device_array(y):
        xp = array_namespace(y)
        values, index = xp.unique_inverse(y)
        labels = to_host(values)
    else:
        labels, index = np.unique(y, return_inverse=True)
    known = np.isin(labels, classes)
    numbers = np.searchsorted(classes, labels[known])
    table = np.full(len(labels), -1)
    table[known] = numbers
    xp = array_namespace(index)
    return like_rows_of(X, xp.take(like_rows_of(index, table), index)), labels[~known]
