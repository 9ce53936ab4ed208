"""The rows of two domains as one sample."""

from typing import Any

import numpy as np
from array_api_compat import (
    array_namespace,
    is_array_api_obj,
    is_dask_array,
    is_numpy_array,
)

from skgmmot._checks import message, real_array


def stack_domains(X_source: Any, X_target: Any) -> tuple[Any, np.ndarray]:
    """Stack the rows of two domains and label them.

    The form in which the domain-aware estimators take two samples: source rows
    come first.

    Parameters
    ----------
    X_source : array-like or DataFrame of shape (n_source, n_features)
        Rows of the source domain.
    X_target : array-like or DataFrame of shape (n_target, n_features)
        Rows of the target domain, of the same kind as `X_source`: two arrays,
        two pandas DataFrames or two polars DataFrames, with the same columns in the
        same order.

    Returns
    -------
    X : array or DataFrame of shape (n_source + n_target, n_features)
        All rows. Arrays of two dtypes are brought to the wider one; a
        DataFrame keeps its columns and its index.
    sample_domain : ndarray of shape (n_source + n_target,), dtype int64
        1 on source rows, -1 on target rows.

    Raises
    ------
    TypeError
        If only one of the two is a DataFrame, they are of two libraries, or one is a
        sparse matrix.
    ValueError
        If one is not two-dimensional or has no rows, or if the numbers of
        features or the names of the columns differ.

    See Also
    --------
    make_shifted_mixtures : Two samples to try this on.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot.datasets import stack_domains
    >>> X, sample_domain = stack_domains(np.zeros((2, 3)), np.ones((1, 3)))
    >>> X.shape
    (3, 3)
    >>> sample_domain
    array([ 1,  1, -1])
    """
    frames = [_frame_kind(X) for X in (X_source, X_target)]
    if frames[0] != frames[1]:
        got = f"{type(X_source).__name__} and {type(X_target).__name__}"
        mend = "pass X.to_numpy() for the DataFrame"
        raise TypeError(
            message("X_source, X_target", "two arrays or two DataFrames", got, mend)
        )
    X_source = _check_rows("X_source", X_source)
    X_target = _check_rows("X_target", X_target)
    if X_source.shape[1] != X_target.shape[1]:
        got = (
            f"{X_source.shape[1]} columns in X_source, {X_target.shape[1]} in X_target"
        )
        mend = "select the columns that both share"
        raise ValueError(message("X_source, X_target", "the same features", got, mend))
    sample_domain = np.repeat([1, -1], [X_source.shape[0], X_target.shape[0]])
    if frames[0]:
        return _stack_frames(X_source, X_target, frames[0]), sample_domain
    if _is_elsewhere(X_source) or _is_elsewhere(X_target):
        return _stack_arrays(X_source, X_target), sample_domain
    return np.concatenate((X_source, X_target)), sample_domain


def _is_elsewhere(X: Any) -> bool:
    """Whether rows are of a library such as CuPy or torch."""
    return is_array_api_obj(X) and not is_numpy_array(X) and not is_dask_array(X)


def _stack_arrays(X_source: Any, X_target: Any) -> Any:
    """Stack two arrays of one library, where they are."""
    try:
        xp = array_namespace(X_source, X_target)
    except TypeError:
        got = f"{type(X_source).__name__} and {type(X_target).__name__}"
        expected = "two arrays of one library"
        raise TypeError(message("X_source, X_target", expected, got)) from None
    return xp.concat((X_source, X_target), axis=0)


def _frame_kind(X: Any) -> str | None:
    """Which library a DataFrame is of; None of an array."""
    if hasattr(X, "iloc"):
        return "pandas"
    return "polars" if hasattr(X, "vstack") and hasattr(X, "columns") else None


def _stack_frames(X_source: Any, X_target: Any, kind: str) -> Any:
    """Stack two DataFrames, refusing what pandas would silently align."""
    if list(X_source.columns) != list(X_target.columns):
        expected = "the same columns in the same order"
        got = f"{list(X_source.columns)} and {list(X_target.columns)}"
        mend = "pass X_target[X_source.columns]"
        raise ValueError(message("X_source, X_target", expected, got, mend))
    if kind == "polars":
        import polars as pl

        return pl.concat([X_source, X_target], how="vertical_relaxed")
    import pandas as pd

    return pd.concat([X_source, X_target])


def _check_rows(name: str, X: Any) -> Any:
    """Two-dimensional rows; anything that has a shape keeps its kind."""
    if hasattr(X, "tocsr"):
        mend = "pass X.toarray()"
        raise TypeError(message(name, "a dense array", "a sparse matrix", mend))
    if not hasattr(X, "shape"):
        X = real_array(X, name)
    if len(X.shape) != 2 or X.shape[0] == 0:
        expected = "two dimensions and at least one row"
        mend = "X.reshape(-1, 1) is for one feature, X.reshape(1, -1) for one row"
        raise ValueError(message(name, expected, f"shape {tuple(X.shape)}", mend))
    return X
