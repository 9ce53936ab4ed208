"""Which features of a mixture are drawn, and what they are called."""

from collections.abc import Iterable
from typing import Any

from skgmmot._checks import is_integer, message


def feature_names(estimator: Any, X: Any, n_features: int) -> list[str]:
    """Names the estimator was fitted with, else those of X, else numbers."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None and hasattr(X, "columns"):
        names = X.columns
    if names is None or len(names) != n_features:
        names = [f"feature {feature}" for feature in range(n_features)]
    return [str(name) for name in names]


def chosen_features(features: Any, names: list[str]) -> list[int]:
    """Columns, given by number or by name; None: the first two."""
    if features is None:
        return list(range(min(2, len(names))))
    is_one = isinstance(features, str) or not isinstance(features, Iterable)
    features = [features] if is_one else list(features)
    known = [
        feature in names
        if isinstance(feature, str)
        else is_integer(feature, -len(names)) and feature < len(names)
        for feature in features
    ]
    columns = [
        names.index(feature) if isinstance(feature, str) else feature % len(names)
        for feature, is_known in zip(features, known, strict=True)
        if is_known
    ]
    if not columns or not all(known) or len(set(columns)) < len(columns):
        expected = (
            f"one or more of the {len(names)} features of the mixture, each once, by "
            f"column number or by name ({', '.join(names[:8])})"
        )
        raise ValueError(message("features", expected, features))
    return columns
