"""Batches before and after they were moved onto a reference, in plain numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks._row_arrays import (
    as_floats,
    check_same_kind,
    has_all,
    like_rows_of,
)
from skgmmot._checks import check_shape, message, naming, real_array
from skgmmot.estimators._linked_graph import labelled_rows
from skgmmot.estimators._validation import check_at_hand
from skgmmot.kernels import is_device_array, to_host


class BatchReport(NamedTuple):
    """How far batches are from the reference, before and after.

    Parameters
    ----------
    batches : list
        The labels, sorted; one row of the arrays below each.
    distance_before : ndarray of shape (n_batches, n_features)
        Earth mover's distance of each feature from the rows of the reference.
    distance_after : ndarray of shape (n_batches, n_features)
        The same after the batches were moved.
    populations : list
        The values that the gates gave; empty without gates.
    share_before : ndarray of shape (n_batches, n_populations)
        Part of a batch's rows in each population.
    share_after : ndarray of shape (n_batches, n_populations)
        The same after.
    """

    batches: list[Any]
    distance_before: np.ndarray
    distance_after: np.ndarray
    populations: list[Any]
    share_before: np.ndarray
    share_after: np.ndarray


def batch_report(
    before: Any,
    after: Any,
    sample_domain: Any,
    *,
    reference: Any = None,
    gates: Callable[[Any], Any] | None = None,
) -> BatchReport:
    r"""Compare batches with a reference, before and after they were moved.

    .. math:: \int |F_b(x) - F_r(x)|\, dx

    for each feature, with F the distribution functions of a batch and of the reference.

    Parameters
    ----------
    before, after : array-like of shape (n_samples, n_features)
        The same rows, as measured and as moved.
    sample_domain : array-like of shape (n_samples,)
        The batch of each row.
    reference : label, default=None
        The batch that the others are compared with; None: the rows of all batches
        together, each as it is at that stage.
    gates : callable, default=None
        Gives the population of each row of an array, such as a function with thresholds
        or ``mixture.predict``; it is given rows of the kind that they are of here.
        None: shares are not told.

    Returns
    -------
    report : BatchReport
        Distances and shares of each batch.

    Raises
    ------
    ValueError
        Where shapes do not agree, rows are not finite, or the reference is no label.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot import batch_report
    >>> before = np.array([[0.0], [1.0], [3.0], [4.0]])
    >>> after = np.array([[0.0], [1.0], [0.0], [1.0]])
    >>> report = batch_report(before, after, ["a", "a", "b", "b"], reference="a")
    >>> report.distance_before[1], report.distance_after[1]
    (array([3.]), array([0.]))
    """
    check_at_hand(before)
    check_at_hand(after)
    stages = [_finite(before, "before"), _finite(after, "after")]
    check_same_kind(stages[1], "after", stages[0])
    if stages[0].ndim != 2 or stages[0].shape[0] == 0:
        got = f"shape {stages[0].shape}"
        raise ValueError(message("before", "two dimensions, and rows", got))
    check_shape(stages[1], "after", stages[0].shape)
    sorted_rows = labelled_rows(sample_domain, stages[0])
    batches = sorted_rows.labels
    rows_of = [sorted_rows.rows(i) for i in range(len(batches))]
    if reference is not None and reference not in batches:
        expected = f"one of {', '.join(map(str, batches))}"
        raise ValueError(message("reference", expected, repr(reference)))
    against = None if reference is None else rows_of[batches.index(reference)]
    distances = [_all_distances(rows, rows_of, against) for rows in stages]
    populations: list[Any] = []
    shares = [np.zeros((len(batches), 0))] * 2
    if gates is not None:
        found = [_gated(gates, rows) for rows in stages]
        with naming("gates", "populations of one kind, numbers or strings"):
            populations = np.unique(np.concatenate([f.names for f in found])).tolist()
        shares = [_shares(f, rows_of, populations) for f in found]
    return BatchReport(
        batches, distances[0], distances[1], populations, shares[0], shares[1]
    )


class _Gated(NamedTuple):
    """Populations of rows."""

    names: np.ndarray
    codes: Any  # (n,) the place in `names` of each row's, where the rows are


def _finite(values: Any, name: str) -> Any:
    rows = values if is_device_array(values) else real_array(values, name)
    xp = array_namespace(rows)
    if not xp.isdtype(rows.dtype, ("bool", "integral", "real floating")):
        raise TypeError(message(name, "real numbers", f"type {rows.dtype}"))
    rows = as_floats(rows)
    if not has_all(xp.isfinite(rows)):
        raise ValueError(message(name, "finite numbers", "NaN or infinity"))
    return rows


def _all_distances(rows: Any, rows_of: list[Any], against: Any) -> np.ndarray:
    """Distances of all batches from a reference, or from all rows."""
    xp = array_namespace(rows)
    others = rows if against is None else xp.take(rows, against, axis=0)
    found = [_distances(xp.take(rows, own, axis=0), others) for own in rows_of]
    return to_host(xp.stack(found))


def _distances(rows: Any, others: Any) -> Any:
    """Earth mover's distance of each feature, where the rows are."""
    xp = array_namespace(rows)
    found = []
    for j in range(rows.shape[1]):
        samples = [xp.sort(sample[:, j]) for sample in (rows, others)]
        both = xp.sort(xp.concat(samples))
        shares = [
            as_floats(xp.searchsorted(sample, both[:-1], side="right"))
            / sample.shape[0]
            for sample in samples
        ]
        found.append(xp.sum(xp.abs(shares[0] - shares[1]) * (both[1:] - both[:-1])))
    return xp.stack(found)


def _gated(gates: Callable[[Any], Any], rows: Any) -> _Gated:
    if not callable(gates):
        raise TypeError(message("gates", "a function or None", repr(gates)))
    found = gates(rows)
    found = found if is_device_array(found) else np.asarray(found)
    mend = "give one population for each row"
    check_shape(found, "gates", (rows.shape[0],), mend)
    if is_device_array(found):
        names, codes = array_namespace(found).unique_inverse(found)
        return _Gated(to_host(names), codes)
    with naming("gates", "populations of one kind, numbers or strings"):
        names, codes = np.unique(found, return_inverse=True)
    return _Gated(names, like_rows_of(rows, codes))


def _shares(found: _Gated, rows_of: list[Any], populations: list[Any]) -> np.ndarray:
    """Part of the rows of each batch in each population."""
    xp = array_namespace(found.codes)
    out = np.zeros((len(rows_of), len(populations)))
    places = [populations.index(name) for name in found.names.tolist()]
    for batch, own in enumerate(rows_of):
        codes = xp.take(found.codes, own)
        parts = [xp.mean(as_floats(codes == i)) for i in range(len(places))]
        out[batch, places] = to_host(xp.stack(parts))
    return out
