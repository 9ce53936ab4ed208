"""Labelled source rows and target rows, checked and told apart."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from skgmmot._checks import message
from skgmmot.estimators._domains import source_rows, split_rows
from skgmmot.estimators._validation import drop_weightless


class LabelledDomains(NamedTuple):
    """Both domains; y is the class index of the source rows."""

    X_source: np.ndarray
    y: np.ndarray
    source_weight: np.ndarray | None
    X_target: np.ndarray
    target_weight: np.ndarray | None


def labelled_domains(
    name: str,
    X: np.ndarray,
    y: Any,
    sample_domain: Any,
    weights: np.ndarray | None,
) -> tuple[np.ndarray, LabelledDomains]:
    """The classes of the source, and both domains without rows of no weight.

    Labels of target rows are never read. `name` is that of the estimator, for errors.
    """
    if y is None:  # in scikit-learn's words, which its tests match
        raise ValueError(
            f"{name} requires y to be passed, but the target y is None; give labels of "
            "the source rows"
        )
    y = column_or_1d(y, dtype=None, warn=True)
    if len(y) != len(X):
        raise ValueError(message("y", f"{len(X)} labels, as X has rows", len(y)))
    (X_source, w_source), (X_target, w_target) = split_rows(sample_domain, X, weights)
    mask = source_rows(sample_domain, len(X))
    y = y if mask is None else y[mask]
    if w_source is not None:
        y = y[w_source > 0.0]
    X_source, w_source = drop_weightless(X_source, w_source)
    X_target, w_target = drop_weightless(X_target, w_target)
    classes, y = _numbered(y)
    return classes, LabelledDomains(X_source, y, w_source, X_target, w_target)


def _numbered(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes of checked labels, and the index of each row's."""
    if y.dtype.kind in "fc":
        check_array(y, dtype=None, ensure_2d=False, input_name="y")
    check_classification_targets(y)
    return np.unique(y, return_inverse=True)
