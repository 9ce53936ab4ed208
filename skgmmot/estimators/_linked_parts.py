"""Rows of many domains that are read in parts: which labels there are, and where."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from skgmmot._blocks import Part, Parts, blocks_of
from skgmmot._checks import message
from skgmmot.estimators._graph_fit import Rows
from skgmmot.estimators._linked_graph import Label, labelled_rows, sorted_labels


class Holding(NamedTuple):
    """Where the rows of a domain are."""

    numbers: tuple[int, ...]  # of the parts that have some
    mass: float


def holdings_of(X: Parts) -> dict[Label, Holding]:
    """Where the rows of each domain are, by one pass; X has labels.

    Values are checked in it. Labels come sorted, and count where all weights are 0.
    """
    reading = X.reading._replace(checked=True, weightless=True)
    found = X.changed(reading=reading).reduce(_held_in, _both)
    if found is None:
        blocks_of(X, X.weights).check()  # there are no rows
        return {}
    return {
        label: Holding(tuple(sorted(found[label].numbers)), found[label].mass)
        for label in _sorted(found)
    }


def _sorted(labels: Iterable[Label]) -> list[Label]:
    """Labels of all parts in order, which may be of one kind in each part alone."""
    if len({isinstance(label, str) for label in labels}) > 1:
        expected = "numbers or strings, all of one kind"
        raise ValueError(message("sample_domain", expected, "both, in different parts"))
    return sorted_labels(list(labels), "sample_domain")


def _held_in(part: Part) -> dict[Label, Holding] | None:
    if len(part.x) == 0:
        return None
    found = labelled_rows(part.labels, part.x)
    masses = [
        float(len(rows) if part.weights is None else part.weights[rows].sum())
        for rows in map(found.rows, range(len(found.labels)))
    ]
    return {
        label: Holding((part.number,), mass)
        for label, mass in zip(found.labels, masses, strict=True)
    }


def _both(
    first: dict[Label, Holding], second: dict[Label, Holding]
) -> dict[Label, Holding]:
    merged = dict(first)
    for label, (numbers, mass) in second.items():
        if label in merged:
            numbers = merged[label].numbers + numbers
            mass += merged[label].mass
        merged[label] = Holding(numbers, mass)
    return merged


def rows_in_parts(
    X: Parts, weights: Any, sample_domain: Any, frozen: Sequence[Label]
) -> dict[Label, Rows]:
    """Rows and weights of each domain but frozen ones, by label.

    Raises
    ------
    ValueError
        Where the rows of a domain have no weight, or all domains are frozen.
    """
    parts = X.labelled(sample_domain, named=True).changed(weights=weights)
    holdings = holdings_of(parts)
    free: dict[Label, Rows] = {}
    for label, (numbers, mass) in holdings.items():
        if label in frozen:
            continue
        if not mass > 0.0:
            expected = "a positive weight in each domain"
            got = f"weights of the rows of {label!r} that sum to 0"
            raise ValueError(message("sample_weight", expected, got))
        free[label] = parts.of_domain(label, numbers), weights
    if not free:
        expected = "rows of a domain that is not frozen"
        raise ValueError(message("sample_domain", expected, repr(list(holdings))))
    return free
