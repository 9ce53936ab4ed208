"""Domain labels: which rows are source and which are target."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from sklearn.utils.validation import column_or_1d

from skgmmot._blocks import Parts
from skgmmot._blocks._row_arrays import (
    check_same_kind,
    has_all,
    has_any,
    like_rows_of,
)
from skgmmot._checks import message, naming, warn_caller
from skgmmot.kernels import is_device_array

_METHODS = (
    "fit",
    "transform",
    "inverse_transform",
    "predict",
    "predict_proba",
    "score",
)


class DomainAware:
    """Requests `sample_domain` wherever metadata is routed, without being asked to.

    scikit-learn reads the requests of a class from attributes of these names.
    """

    _named_domains = False  # whether labels name domains; else their signs tell


for _method in _METHODS:
    setattr(DomainAware, f"__metadata_request__{_method}", {"sample_domain": True})


def source_rows(sample_domain: Any, X: Any) -> Any:
    """Boolean mask of the source rows (labels ≥ 0), or None without labels.

    It is of the kind of X; labels are NumPy's, or of that kind too.

    Raises
    ------
    ValueError
        For labels of the wrong length, NaN or text.
    TypeError
        For labels of another library of arrays.
    """
    if sample_domain is None:
        return None
    if is_device_array(sample_domain):
        check_same_kind(sample_domain, "sample_domain", X)
        return _checked_labels(sample_domain, X) >= 0
    with naming("sample_domain", f"{X.shape[0]} numbers"):
        labels = column_or_1d(np.asarray(sample_domain))
    return like_rows_of(X, _checked_labels(labels, X) >= 0)


def _checked_labels(labels: Any, X: Any) -> Any:
    """Labels of the rows of X: one finite number for each."""
    xp, n_rows = array_namespace(labels), X.shape[0]
    if not xp.isdtype(labels.dtype, ("bool", "integral", "real floating")):
        expected = "numbers, not negative for source rows, negative for target rows"
        raise ValueError(
            message("sample_domain", expected, f"values of type {labels.dtype}")
        )
    if tuple(labels.shape) != (n_rows,):
        expected = f"one label for each of the {n_rows} rows of X"
        mend = "skgmmot.datasets.stack_domains makes both"
        got = labels.shape[0] if labels.ndim == 1 else f"shape {tuple(labels.shape)}"
        raise ValueError(message("sample_domain", expected, got, mend))
    if xp.isdtype(labels.dtype, "bool"):
        return xp.astype(labels, xp.int64)
    if not has_all(xp.isfinite(labels)):
        mend = "label source rows 1 and target rows -1"
        raise ValueError(
            message("sample_domain", "finite labels", "NaN or infinity", mend)
        )
    return labels


def sides_of(sample_domain: Any, X: Any, weights: Any) -> list[tuple[Any, Any] | None]:
    """[(X_source, weights), (X_target, weights)], None for a side without rows.

    Rows without a label are source rows. Of rows in parts nothing is read to tell.
    """
    if sample_domain is None:
        return [(X, weights), None]
    if isinstance(X, Parts):
        parts = X.labelled(sample_domain)
        return [(parts.of_domain(side), weights) for side in (True, False)]
    mask = source_rows(sample_domain, X)
    return [
        (X[rows], None if weights is None else weights[rows]) if has_any(rows) else None
        for rows in (mask, ~mask)
    ]


def split_rows(
    sample_domain: Any, X: Any, weights: np.ndarray | None
) -> tuple[Any, ...]:
    """((X_source, weights), (X_target, weights)); twice the same without labels.

    Raises
    ------
    ValueError
        Where one side has no rows or no weight.
    """
    if sample_domain is None:
        warn_caller(
            "No sample_domain was given: the sample is coupled with itself. Label "
            "source rows by numbers that are not negative and target rows by negative "
            "ones; skgmmot.datasets.stack_domains does."
        )
        return (X, weights), (X, weights)
    if isinstance(X, Parts):
        parts = X.labelled(sample_domain)
        return tuple((parts.of_domain(side), weights) for side in (True, False))
    mask: Any = source_rows(sample_domain, X)
    return tuple(
        _side(name, rows, X, weights)
        for name, rows in (("source", mask), ("target", ~mask))
    )


def free_rows(
    sample_domain: Any, X: Any, weights: np.ndarray | None, frozen: str
) -> tuple[Any, np.ndarray | None]:
    """Rows and weights of the side that is not frozen; all of them without labels.

    Raises
    ------
    ValueError
        Where that side has no rows or no weight.
    """
    if sample_domain is None:
        return X, weights
    if isinstance(X, Parts):
        return X.labelled(sample_domain).of_domain(frozen != "source"), weights
    mask: Any = source_rows(sample_domain, X)
    name, rows = ("target", ~mask) if frozen == "source" else ("source", mask)
    return _side(name, rows, X, weights)


def _side(name: str, rows: Any, X: Any, weights: Any) -> tuple[Any, Any]:
    if not has_any(rows):
        got = f"no {name} row among {X.shape[0]}"
        mend = "label source rows 1 and target rows -1"
        raise ValueError(message("sample_domain", "rows of both domains", got, mend))
    part = None if weights is None else weights[rows]
    if part is not None and not has_any(part > 0.0):
        expected = "a positive weight in each domain"
        got = f"weights of the {name} rows that sum to 0"
        raise ValueError(message("sample_weight", expected, got))
    return X[rows], part
