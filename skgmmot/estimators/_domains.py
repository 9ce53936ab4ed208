"""Domain labels: which rows are source and which are target."""

import warnings

import numpy as np
from sklearn.utils.validation import column_or_1d

from skgmmot._checks import naming

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


def source_rows(sample_domain, n_rows):
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
        raise ValueError(
            "sample_domain: expected numbers, not negative for source rows and "
            f"negative for target rows, got values of type {labels.dtype}."
        )
    if len(labels) != n_rows:
        raise ValueError(
            f"sample_domain: expected one label for each of the {n_rows} rows of X, "
            f"got {len(labels)}; skgmmot.datasets.stack_domains makes both."
        )
    if not np.isfinite(labels).all():
        raise ValueError(
            "sample_domain: expected finite labels, got NaN or infinity; give every "
            "row a label that is not negative (source) or negative (target)."
        )
    return labels >= 0


def split_rows(sample_domain, X, weights):
    """((X_source, weights), (X_target, weights)); twice the same without labels.

    Raises
    ------
    ValueError
        Where one side has no rows or no weight.
    """
    mask = source_rows(sample_domain, len(X))
    if mask is None:
        warnings.warn(
            "No sample_domain was given: the sample is coupled with itself. Label "
            "source rows by numbers that are not negative and target rows by negative "
            "ones; skgmmot.datasets.stack_domains does.",
            UserWarning,
            stacklevel=4,
        )
        return (X, weights), (X, weights)
    sides = []
    for name, rows in (("source", mask), ("target", ~mask)):
        if not rows.any():
            raise ValueError(
                f"sample_domain: expected rows of both domains, got no {name} row "
                f"among {len(X)}; source labels are not negative, target labels are "
                "negative."
            )
        part = None if weights is None else weights[rows]
        if part is not None and not part.sum() > 0.0:
            raise ValueError(
                f"sample_weight: expected a positive weight in each domain, but the "
                f"weights of the {name} rows sum to 0."
            )
        sides.append((X[rows], part))
    return tuple(sides)
