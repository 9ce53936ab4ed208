"""Labelled source rows and target rows, checked and told apart."""

from typing import Any, NamedTuple

import numpy as np

from skgmmot._blocks._row_arrays import Rows
from skgmmot.estimators._class_labels import checked_labels, labels_of_source, numbered
from skgmmot.estimators._domains import split_rows
from skgmmot.estimators._validation import drop_weightless


class LabelledDomains(NamedTuple):
    """Both domains; y is the class index of the source rows."""

    X_source: Rows
    y: Any
    source_weight: Any
    X_target: Rows
    target_weight: Any


def labelled_domains(
    name: str,
    X: Rows,
    y: Any,
    sample_domain: Any,
    weights: Any,
) -> tuple[np.ndarray, LabelledDomains]:
    """The classes of the source, and both domains without rows of no weight.

    Labels of target rows are never read. `name` is that of the estimator, for errors.
    """
    if y is None:  # in scikit-learn's words, which its tests match
        raise ValueError(
            f"{name} requires y to be passed, but the target y is None; give labels of "
            "the source rows"
        )
    y = checked_labels(y, X)
    (X_source, w_source), (X_target, w_target) = split_rows(sample_domain, X, weights)
    y = labels_of_source(y, sample_domain)
    classes, y = numbered(y, w_source, X)
    X_source, w_source = drop_weightless(X_source, w_source)
    X_target, w_target = drop_weightless(X_target, w_target)
    return classes, LabelledDomains(X_source, y, w_source, X_target, w_target)
