"""What is done with rows, and with results for rows, whatever library they are of.

Estimators and maps hold rows of NumPy, CuPy or torch, and masks of the same kind. What
these libraries do alike, such as ``x[mask]``, is written as such; the rest is here.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array

from skgmmot import _rows
from skgmmot._checks import check_size, message
from skgmmot.kernels import (
    chunks,
    float_type,
    is_device_array,
    kind_of,
    to_device,
    to_host,
)
from skgmmot.linalg._mixture import narrowed

Rows = Any  # (n, d) float64 or float32, of any kind


def like_rows_of(x: Rows, values: Any) -> Any:
    """Host values where the rows are, and of their kind; NumPy's as they are."""
    return values if is_numpy_array(x) else to_device(values, x)


def numpy_type(x: Any) -> np.dtype:
    """The floating type of rows as NumPy has it; of rows in parts too."""
    return float_type(x) if is_device_array(x) else x.dtype


def widened(values: Any, width: int) -> Any:
    """Values (n, k) with columns of 0 up to a width."""
    missing = width - values.shape[1]
    if missing == 0:
        return values
    xp, shape = array_namespace(values), (values.shape[0], missing)
    zeros = xp.zeros(shape, dtype=values.dtype, device=device(values))
    return xp.concat([values, zeros], axis=1)


def everywhere(x: Rows, value: Any) -> Any:
    """One value for each row, (n,)."""
    return like_rows_of(x, np.broadcast_to(value, x.shape[:1]).copy())


def as_floats(values: Any) -> Any:
    """Numbers in float64: of the library that they are of, else of NumPy."""
    if is_device_array(values):
        xp = array_namespace(values)
        return xp.astype(values, xp.float64, copy=False)
    return np.asarray(values, dtype=np.float64)


def has_any(mask: Any) -> bool:
    """Whether a mask is true anywhere."""
    return bool(array_namespace(mask).any(mask))


def has_all(mask: Any) -> bool:
    """Whether a mask is true everywhere."""
    return bool(array_namespace(mask).all(mask))


def merged(mask: Any, inside: Any, outside: Any) -> Any:
    """Rows of `inside` where the mask is true, of `outside` elsewhere, in order."""
    xp = array_namespace(inside)
    shape = (mask.shape[0], *inside.shape[1:])
    out = xp.empty(shape, dtype=inside.dtype, device=device(inside))
    out[mask] = inside
    out[~mask] = outside
    return out


def copied(values: Any) -> Any:
    """A copy, where the values are."""
    return array_namespace(values).asarray(values, copy=True)


def canonical_order(x: Rows) -> Any:
    """An order of the rows by the first feature, ties by the next and so on."""
    if is_numpy_array(x):
        return _rows.canonical_order(x)
    xp = array_namespace(x)
    order = xp.argsort(x[:, 0], stable=True)
    column = xp.take(x[:, 0], order)
    if not has_any(column[1:] == column[:-1]):
        return order
    order = xp.argsort(x[:, -1], stable=True)
    for j in range(x.shape[1] - 2, -1, -1):
        again = xp.argsort(xp.take(x[:, j], order), stable=True)
        order = xp.take(order, again)
    return order


def total(values: Any) -> float:
    """The sum of numbers, wherever they are."""
    return float(to_host(array_namespace(values).sum(values)))


def drawn(weights: Any, levels: Any) -> Any:
    """Indices at which the CDF of the weights passes levels in [0, 1), as `draw`."""
    if is_numpy_array(weights):
        return _rows.draw(weights, levels)
    xp = array_namespace(weights)
    cdf = xp.cumulative_sum(weights)
    levels = levels if is_device_array(levels) else like_rows_of(weights, levels)
    last = xp.searchsorted(cdf, cdf[-1:], side="left")
    return xp.minimum(xp.searchsorted(cdf, levels * cdf[-1], side="right"), last)


def slices(x: Rows, n_rows: int) -> Iterator[slice]:
    """Slices of at most so many rows that cover all."""
    step = max(1, n_rows)
    for start in range(0, x.shape[0], step):
        yield slice(start, min(start + step, x.shape[0]))


def replaced(values: Any, mask: Any, others: Any) -> Any:
    """Values, but others (of their rows alone, or one number) where a mask is true."""
    out = copied(values)
    out[mask] = others
    return out


def narrowed_like(values: Any, x: Rows) -> Any:
    """Values in the floating type of the rows, cut at its range."""
    if is_numpy_array(values):
        return narrowed(values, x.dtype)
    if values.dtype == x.dtype:
        return values
    xp = array_namespace(values)
    largest = float(xp.finfo(x.dtype).max)
    return xp.astype(xp.clip(values, -largest, largest), x.dtype)


def in_type_of(values: Any, x: Rows) -> Any:
    """Values in the floating type of the rows."""
    return array_namespace(values).astype(values, x.dtype, copy=False)


def largest_size(x: Rows) -> float:
    """The largest value without its sign; NaN or infinity where one is not finite."""
    xp, most = array_namespace(x), like_rows_of(x, np.zeros(()))
    for rows in chunks(x, x.shape[1]):
        size = xp.astype(xp.max(xp.abs(x[rows, :])), xp.float64)
        most = xp.maximum(most, size)
    return float(to_host(most))


def check_extent(x: Rows, largest: float, reason: str, mend: str) -> Rows:
    """Return rows without values beyond what computations can bear."""
    sizes = np.array([largest_size(x)]) if is_device_array(x) else x
    check_size(sizes, "X", largest, reason, mend)
    return x


def check_same_kind(values: Any, name: str, x: Rows) -> None:
    """Refuse values beside rows that are of another library, or elsewhere."""
    if is_device_array(values) or is_device_array(x):
        kinds = [kind_of(array) or type(array).__name__ for array in (x, values)]
        places = [
            f"{kind} on {device(array)}" if is_device_array(array) else kind
            for kind, array in zip(kinds, (x, values), strict=True)
        ]
        if places[0] != places[1]:
            mend = f"give both of the same kind, or X and {name} as NumPy arrays"
            raise TypeError(
                message(name, f"an array like X ({places[0]})", places[1], mend)
            )
