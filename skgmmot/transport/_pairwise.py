"""Distances between all mixtures of one or two lists."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skgmmot._checks import message
from skgmmot._threads import run_ranges
from skgmmot.linalg._bures import (
    add_bures_rows,
    norms_for,
    squared_euclidean,
    standard_deviations,
)
from skgmmot.linalg._mixture import Mixture, as_mixture, narrowed
from skgmmot.linalg._spd import factor, is_diagonal
from skgmmot.transport._simplex import normalised, simplex


def checked_mixtures(mixtures: Any, name: str = "mixtures") -> list[Mixture]:
    """Return a list of mixtures of one number of features.

    Raises
    ------
    ValueError
        If the list is empty, or the numbers of features differ; and what `as_mixture`
        raises, naming the element.
    """
    if not isinstance(mixtures, Iterable):
        raise TypeError(message(name, "a list of mixtures", repr(mixtures)))
    checked = [as_mixture(obj, f"{name}[{i}]") for i, obj in enumerate(mixtures)]
    if not checked:
        raise ValueError(message(name, "at least one mixture", "an empty list"))
    features = [mixture.means.shape[1] for mixture in checked]
    for i, d in enumerate(features):
        if d != features[0]:
            expected = f"{features[0]} features in every mixture, as in {name}[0]"
            raise ValueError(message(name, expected, f"{d} in {name}[{i}]"))
    return checked


class _Stack(NamedTuple):
    """Components of a list of mixtures; mixture i begins at stops[i].

    `spreads` are factors, or standard deviations where everything is diagonal.
    """

    weights: list[np.ndarray]
    stops: np.ndarray
    means: np.ndarray
    spreads: np.ndarray

    def part(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and spreads of mixtures first to last - 1."""
        rows = slice(self.stops[first], self.stops[last])
        return self.means[rows], self.spreads[rows]


def pairwise_mw2(
    mixtures: Any,
    others: Any = None,
    *,
    squared: bool = False,
    n_jobs: int | None = None,
) -> np.ndarray:
    """MW2 distances between all mixtures of a list, or of two lists.

    Factors of covariances are computed once for each component, costs in batches, and
    each pair of one list once.

    Parameters
    ----------
    mixtures : sequence of mixture-like
        Each a Mixture, a tuple (weights, means, covariances) or a fitted estimator;
        the numbers of components may differ.
    others : sequence of mixture-like, default=None
        The second list; None: the first one again.
    squared : bool, default=False
        Return squared distances.
    n_jobs : int, default=None
        Number of threads; None and -1: all usable cores.

    Returns
    -------
    distances : ndarray of shape (n_mixtures, n_others)
        Symmetric with zeros on the diagonal if there is one list, as
        ``metric="precomputed"`` of scikit-learn expects it. float32 if all mixtures
        are.

    Raises
    ------
    TypeError, ValueError, sklearn.exceptions.NotFittedError
        If an element is not a mixture, a list is empty, or the numbers of features
        differ.

    See Also
    --------
    mw2_distance : One pair, also with entropy or free marginals.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import pairwise_mw2
    >>> mixtures = [([1.0], [[0.0]], [[[1.0]]]), ([1.0], [[4.0]], [[[16.0]]])]
    >>> pairwise_mw2(mixtures)
    array([[0., 5.],
           [5., 0.]])
    """
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise ValueError(message("n_jobs", "None or an integer but 0", repr(n_jobs)))
    lists = [checked_mixtures(mixtures)]
    if others is not None:
        lists.append(checked_mixtures(others, "others"))
    first, last = _stacks(lists)
    distances = np.zeros((len(first.weights), len(last.weights)))
    d, n_pairs = first.means.shape[1], len(first.means) * len(last.means)
    nuclear = norms_for(d, n_pairs)

    def work(i: int) -> None:
        start = i + 1 if others is None else 0
        distances[i, start:] = _row(first, i, last, start, nuclear)

    operations = 50.0 * n_pairs * d**3
    run_ranges(work, len(distances), n_jobs, operations)
    if others is None:
        distances += distances.T
    if not squared:
        np.sqrt(distances, out=distances)
    single = all(m.means.dtype == np.float32 for one in lists for m in one)
    return narrowed(distances, np.float32) if single else distances


def _stacks(lists: list[list[Mixture]]) -> tuple[_Stack, _Stack]:
    """Return the stacks of both lists, the same one twice if there is one."""
    features = {mixture.means.shape[1] for one in lists for mixture in one}
    if len(features) > 1:
        d0, d1 = (one[0].means.shape[1] for one in lists)
        expected = "the same number of features in both lists"
        raise ValueError(message("mixtures, others", expected, f"{d0} and {d1}"))
    diagonal = all(is_diagonal(m.covariances) for one in lists for m in one)
    spread = standard_deviations if diagonal else factor
    stacks = [
        _Stack(
            [normalised(mixture.weights) for mixture in one],
            np.cumsum([0] + [len(mixture.weights) for mixture in one]),
            np.concatenate([m.means for m in one]).astype(np.float64),
            np.concatenate([spread(m.covariances) for m in one]),
        )
        for one in lists
    ]
    return stacks[0], stacks[-1]


def _row(
    first: _Stack, i: int, last: _Stack, start: int, nuclear: Callable[..., np.ndarray]
) -> np.ndarray:
    """Return squared distances from one mixture to the mixtures from start on."""
    n = len(last.weights)
    if start == n:
        return np.empty(0)
    (means, spreads), (others, widths) = first.part(i, i + 1), last.part(start, n)
    costs = squared_euclidean(means, others)
    if spreads.ndim == 2:
        costs += squared_euclidean(spreads, widths)
    else:
        add_bures_rows(costs, spreads, widths, nuclear)
    stops = last.stops[start:] - last.stops[start]
    values = np.empty(n - start)
    for j, (begin, end) in enumerate(pairwise(stops)):
        block = np.ascontiguousarray(costs[:, begin:end])
        coupling = simplex(block, first.weights[i], last.weights[start + j])[0]
        values[j] = np.vdot(coupling, block)
    return values
