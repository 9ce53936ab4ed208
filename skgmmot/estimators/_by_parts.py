"""Methods for rows, done part by part where rows are not one array in memory.

A method of an estimator is written for arrays. `by_parts` lets it also take what is
read in parts: it is then called on each part when its results are asked for, where the
part lies, and the results come back in the kind of the rows.
"""

from collections.abc import Callable
from copy import copy
from functools import partial, wraps
from inspect import signature
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import Part, in_parts
from skgmmot._checks import message
from skgmmot.estimators._validation import check_rows

# What results are like, (shape of one, dtype), by estimator and type of the rows.
Like = Callable[[Any, np.dtype], tuple[tuple[int, ...], Any]]

# What large or particular attributes of a fitted estimator no method for rows reads.
_LEFT_BEHIND = ("feature_names_in_", "path_", "lower_bounds_")


def like_labels(estimator: Any, dtype: np.dtype) -> tuple[tuple[int, ...], Any]:
    """One integer for each row."""
    return (), np.int64


def like_numbers(estimator: Any, dtype: np.dtype) -> tuple[tuple[int, ...], Any]:
    """One number of the type of the rows for each."""
    return (), dtype


def like_scores(estimator: Any, dtype: np.dtype) -> tuple[tuple[int, ...], Any]:
    """One float64 number for each row."""
    return (), np.float64


def like_rows(estimator: Any, dtype: np.dtype) -> tuple[tuple[int, ...], Any]:
    """A row for each."""
    return (estimator.n_features_in_,), dtype


def by_parts(
    like: Like, check: Callable[[Any, dict[str, Any]], None] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a method ``(X, ..., sample_domain=None)`` take rows read in parts.

    `check`, given the estimator and the other arguments by name, refuses wrong ones at
    once: the method would when results are read.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        parameters = signature(method)

        @wraps(method)
        def called(self: Any, X: Any, *args: Any, **keywords: Any) -> Any:
            if not in_parts(X):
                return method(self, X, *args, **keywords)
            check_is_fitted(self)
            given = dict(parameters.bind(self, X, *args, **keywords).arguments)
            del given["self"], given["X"]
            if check is not None:
                check(self, given)
            return _lazily(self, X, method.__name__, like, given)

        return called

    return decorate


def _lazily(
    estimator: Any,
    X: Any,
    name: str,
    like: Like,
    given: dict[str, Any],
) -> Any:
    y, labels = given.pop("y", None), given.pop("sample_domain", None)
    if y is not None:
        expected = "None, since X is read in parts"
        raise ValueError(message("y", expected, type(y).__name__))
    parts = check_rows(estimator, X)
    if labels is not None:
        parts = parts.labelled(labels, getattr(estimator, "_named_domains", False))
    shape, dtype = like(estimator, parts.dtype)
    bare = copy(estimator)
    for attribute in _LEFT_BEHIND:
        vars(bare).pop(attribute, None)
    state = given.get("random_state", getattr(estimator, "random_state", None))
    seed = check_random_state(state).randint(2**31)
    method = partial(_on_part, bare, name, given, (shape, dtype), seed)
    return parts.map(method, shape, dtype)


def _on_part(
    estimator: Any,
    name: str,
    given: dict[str, Any],
    like: tuple[tuple[int, ...], Any],
    seed: int,
    part: Part,
) -> np.ndarray:
    """What a method returns for the rows of a part."""
    shape, dtype = like
    if len(part.x) == 0:
        return np.empty((0, *shape), dtype)
    rng, given = np.random.RandomState([seed, part.number]), dict(given)
    if "random_state" in given:  # else all parts would draw alike
        given["random_state"] = rng
    elif hasattr(estimator, "random_state"):
        estimator = copy(estimator)
        estimator.random_state = rng
    if part.labels is not None:
        given["sample_domain"] = part.labels
    return getattr(estimator, name)(part.x, **given).astype(dtype, copy=False)
