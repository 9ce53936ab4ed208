"""Batches before and after they were moved onto a reference, in plain numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import wasserstein_distance

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
    gates: Callable[[np.ndarray], Any] | None = None,
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
        or ``mixture.predict``. None: shares are not told.

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
    if stages[0].ndim != 2 or len(stages[0]) == 0:
        got = f"shape {stages[0].shape}"
        raise ValueError(message("before", "two dimensions, and rows", got))
    check_shape(stages[1], "after", stages[0].shape)
    sorted_rows = labelled_rows(sample_domain, len(stages[0]))
    batches = sorted_rows.labels
    rows_of = [sorted_rows.rows(i) for i in range(len(batches))]
    if reference is not None and reference not in batches:
        expected = f"one of {', '.join(map(str, batches))}"
        raise ValueError(message("reference", expected, repr(reference)))
    against: Any = slice(None)
    if reference is not None:
        against = rows_of[batches.index(reference)]
    distances = [
        np.array([_distances(rows[own], rows[against]) for own in rows_of])
        for rows in stages
    ]
    populations: list[Any] = []
    shares = [np.zeros((len(batches), 0))] * 2
    if gates is not None:
        found = [_gated(gates, rows) for rows in stages]
        with naming("gates", "populations of one kind, numbers or strings"):
            populations = np.unique(np.concatenate(found)).tolist()
        shares = [
            np.array([[(f[own] == p).mean() for p in populations] for own in rows_of])
            for f in found
        ]
    return BatchReport(
        batches, distances[0], distances[1], populations, shares[0], shares[1]
    )


def _finite(values: Any, name: str) -> np.ndarray:
    rows = real_array(to_host(values) if is_device_array(values) else values, name)
    if not np.isfinite(rows).all():
        raise ValueError(message(name, "finite numbers", "NaN or infinity"))
    return rows


def _distances(rows: np.ndarray, others: np.ndarray) -> list[float]:
    pairs = zip(rows.T, others.T, strict=True)
    return [wasserstein_distance(one, other) for one, other in pairs]


def _gated(gates: Callable[[np.ndarray], Any], rows: np.ndarray) -> np.ndarray:
    if not callable(gates):
        raise TypeError(message("gates", "a function or None", repr(gates)))
    found = np.asarray(gates(rows))
    return check_shape(found, "gates", (len(rows),), "give one population for each row")
