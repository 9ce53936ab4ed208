"""Checks of rows and weights that are arrays of CuPy, torch and the like.

They say what scikit-learn's checks say of NumPy arrays, by reductions where the arrays
are: only the answers come to the host.
"""

from typing import Any

from array_api_compat import array_namespace, device, is_torch_array

from skgmmot._blocks._parts import LARGEST
from skgmmot._blocks._row_arrays import check_extent, has_all, has_any, largest_size
from skgmmot._checks import message
from skgmmot.kernels import float_type, is_device_array


def is_foreign(x: Any) -> bool:
    """Whether rows are on a device, or of another library of arrays than NumPy.

    Raises
    ------
    TypeError
        For arrays in the memory of a GPU that are neither CuPy's nor torch's.
    """
    if is_device_array(x):
        return True
    if hasattr(x, "__cuda_array_interface__"):
        mend = (
            "wrap them, without a copy, by cupy.asarray(X); CuPy comes with "
            "pip install 'skgmmot[gpu]'"
        )
        expected = "rows of NumPy, CuPy or torch"
        raise TypeError(message("X", expected, type(x).__name__, mend))
    return False


def checked_device_rows(x: Any, fitting: bool, least_rows: int) -> Any:
    """Rows as finite numbers in float64 or float32, where they are."""
    xp = array_namespace(x)
    if x.ndim != 2:  # in scikit-learn's words
        raise ValueError(
            f"Expected 2D array, got {x.ndim}D array instead: shape {tuple(x.shape)}. "
            "Reshape your data either using X.reshape(-1, 1) if it has a single "
            "feature or X.reshape(1, -1) if it contains a single sample."
        )
    _check_storage(x)
    if x.shape[0] < least_rows or x.shape[1] < 1:
        what, least = ("sample", least_rows) if x.shape[1] else ("feature", 1)
        raise ValueError(
            f"Found array with {x.shape[0 if x.shape[1] else 1]} {what}(s) "
            f"(shape={tuple(x.shape)}) while a minimum of {least} is required."
        )
    if x.dtype not in (xp.float32, xp.float64):
        if not xp.isdtype(x.dtype, ("real floating", "integral")):
            raise TypeError(message("X", "rows of real numbers", f"type {x.dtype}"))
        x = xp.astype(x, xp.float64)
    if not largest_size(x) <= float(xp.finfo(x.dtype).max):  # in scikit-learn's words
        raise ValueError(
            "Input X contains NaN, infinity or a value too large for "
            f"dtype('{float_type(x)}')."
        )
    if fitting:
        reason = "whose squares can be summed"
        check_extent(x, LARGEST, reason, "divide the features by their widths")
    return x


def _check_storage(x: Any) -> None:
    """Refuse tensors that ask for gradients, and devices without float64."""
    if is_torch_array(x):
        if x.requires_grad:
            mend = "give X.detach(): no gradient goes through an estimator"
            raise ValueError(
                message("X", "a tensor without gradient", "requires_grad=True", mend)
            )
        if x.layout.__repr__() != "torch.strided":
            mend = "give X.to_dense()"
            raise TypeError(message("X", "a dense tensor", f"{x.layout}", mend))
    xp = array_namespace(x)
    try:
        xp.zeros(1, dtype=xp.float64, device=device(x))
    except (TypeError, ValueError, RuntimeError) as error:
        expected = "rows on a device that computes in float64"
        mend = "bring them to the CPU"
        raise TypeError(message("X", expected, device(x), mend)) from error


def checked_device_weights(weights: Any, x: Any) -> Any:
    """Weights (n,) in float64, finite and not negative; not all of them 0."""
    xp, n_rows = array_namespace(weights), x.shape[0]
    if tuple(weights.shape) != (n_rows,):
        expected = f"{n_rows} numbers that are not negative"
        got = f"shape {tuple(weights.shape)}"
        raise ValueError(message("sample_weight", expected, got))
    if not xp.isdtype(weights.dtype, ("real floating", "integral", "bool")):
        raise TypeError(
            message("sample_weight", "real numbers", f"type {weights.dtype}")
        )
    weights = xp.astype(weights, xp.float64, copy=False)
    if not has_all(xp.isfinite(weights)):  # in scikit-learn's words
        raise ValueError(
            "Input sample_weight contains NaN or infinity; give finite frequencies."
        )
    if has_any(weights < 0.0):
        raise ValueError(
            "Negative values in data passed to `sample_weight`; give frequencies."
        )
    if not has_any(weights > 0.0):
        mend = "drop sample_weight, or give rows that should count a positive one"
        raise ValueError(
            message("sample_weight", "at least one positive weight", "only zeros", mend)
        )
    return weights
