"""Domain labels: which rows are source and which are target."""

from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from skgmmot._blocks import Parts
from skgmmot._checks import message, naming, warn_caller

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


for _method in _METHODS:
    setattr(DomainAware, f"__metadata_request__{_method}", {"sample_domain": True})


def source_rows(sample_domain: Any, n_rows: int) -> np.ndarray | None:
    """Boolean mask of the source rows (labels ≥ 0), or None without labels.

    Raises
    ------
    ValueError
        For labels of the wrong length, NaN or text.
    """
    if sample_domain is None:
        return None
    with naming("sample_domain", f"{n_rows} numbers"):
        labels = column_or_1d(np.asarray(sample_domain))
    if labels.dtype.kind not in "iufb":
        expected = "numbers, not negative for source rows, negative for target rows"
        raise ValueError(
            message("sample_domain", expected, f"values of type {labels.dtype}")
        )
    if len(labels) != n_rows:
        expected = f"one label for each of the {n_rows} rows of X"
        mend = "skgmmot.datasets.stack_domains makes both"
        raise ValueError(message("sample_domain", expected, len(labels), mend))
    if not np.isfinite(labels).all():
        mend = "label source rows 1 and target rows -1"
        raise ValueError(
            message("sample_domain", "finite labels", "NaN or infinity", mend)
        )
    return labels >= 0


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
        labels = X.column(sample_domain, "sample_domain")
        return tuple((X.of_domain(labels, side), weights) for side in (True, False))
    mask: Any = source_rows(sample_domain, len(X))
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
        labels = X.column(sample_domain, "sample_domain")
        return X.of_domain(labels, frozen != "source"), weights
    mask: Any = source_rows(sample_domain, len(X))
    name, rows = ("target", ~mask) if frozen == "source" else ("source", mask)
    return _side(name, rows, X, weights)


def _side(
    name: str, rows: np.ndarray, X: Any, weights: np.ndarray | None
) -> tuple[Any, np.ndarray | None]:
    if not rows.any():
        got = f"no {name} row among {len(X)}"
        mend = "label source rows 1 and target rows -1"
        raise ValueError(message("sample_domain", "rows of both domains", got, mend))
    part = None if weights is None else weights[rows]
    if part is not None and not part.sum() > 0.0:
        expected = "a positive weight in each domain"
        got = f"weights of the {name} rows that sum to 0"
        raise ValueError(message("sample_weight", expected, got))
    return X[rows], part
