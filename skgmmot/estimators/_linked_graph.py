"""Labels of many domains, and the links between them."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from sklearn.utils.validation import column_or_1d

from skgmmot._blocks._row_arrays import check_same_kind, has_all, like_rows_of
from skgmmot._checks import is_real, message, naming
from skgmmot.kernels import is_device_array, to_host
from skgmmot.mixture.coupled._records import Link

Label = Hashable

_MOST_WEIGHT = 100.0  # of a link of a chain; that of the median length has 1


class Labelled(NamedTuple):
    """Which domain each row is of."""

    labels: list[Label]  # sorted
    codes: Any  # (n,) the number of each row's domain
    order: Any  # indices of rows, domain after domain, in order within each
    starts: list[int]  # where each domain begins in `order`, and the end

    def rows(self, number: int) -> Any:
        """Indices of the rows of a domain."""
        return self.order[self.starts[number] : self.starts[number + 1]]


def labelled_rows(sample_domain: Any, X: Any) -> Labelled:
    """Sort rows by their labels, numbers or strings; arrays are like X.

    Raises
    ------
    ValueError
        For labels of the wrong number, missing ones, or of types that do not compare.
    """
    labels = _one_for_each(sample_domain, X)
    xp = array_namespace(X)
    if is_device_array(labels):
        found, codes = xp.unique_inverse(labels)
        found, codes = to_host(found), like_rows_of(X, codes)
    else:
        try:
            found, codes = np.unique(labels, return_inverse=True)
        except TypeError:
            expected = "numbers or strings, all of one kind"
            got = f"types {sorted({type(x).__name__ for x in labels.tolist()})}"
            raise ValueError(message("sample_domain", expected, got)) from None
        codes = like_rows_of(X, codes)
    names = found.tolist()
    if not all(is_label(name) for name in names):
        expected = "numbers or strings"
        got = f"types {sorted({type(x).__name__ for x in names})}"
        raise ValueError(message("sample_domain", expected, got))
    order = xp.argsort(codes, stable=True)
    numbers = like_rows_of(X, np.arange(len(names) + 1))
    starts = to_host(xp.searchsorted(xp.take(codes, order), numbers))
    return Labelled(names, codes, order, starts.tolist())


def _one_for_each(sample_domain: Any, X: Any) -> Any:
    """Finite labels (n,): on the host, or of the kind of X."""
    expected = f"one label for each of the {X.shape[0]} rows of X"
    if is_device_array(sample_domain):
        check_same_kind(sample_domain, "sample_domain", X)
        labels, xp = sample_domain, array_namespace(sample_domain)
        if labels.ndim != 1:
            raise ValueError(message("sample_domain", expected, f"{labels.ndim} axes"))
        floats = xp.isdtype(labels.dtype, "real floating")
    else:
        with naming("sample_domain", f"{X.shape[0]} labels"):
            labels = column_or_1d(np.asarray(sample_domain))
        xp, floats = np, labels.dtype.kind == "f"
    if labels.shape[0] != X.shape[0]:
        raise ValueError(message("sample_domain", expected, labels.shape[0]))
    if floats and not has_all(xp.isfinite(labels)):
        got = "NaN or infinity"
        raise ValueError(message("sample_domain", "finite labels", got))
    return labels


def is_label(name: object) -> bool:
    if isinstance(name, str | bool):
        return True
    return is_real(name) and name == name


def sorted_labels(labels: Sequence[Label], name: str) -> list[Label]:
    """Labels in order; those of the argument `name` may not compare with the others."""
    try:
        return sorted(set(labels))  # type: ignore[type-var]
    except TypeError:
        expected = "labels of the kind of sample_domain"
        raise ValueError(message(name, expected, repr(list(labels)))) from None


def chain(labels: Sequence[Label]) -> list[Link]:
    """Links between neighbours; of numbers a longer link weighs less.

    Without a limit, times that all but coincide would have a transport term thousands
    of times their likelihood, whose entropy alone empties components.
    """
    links = [Link(i, i + 1) for i in range(len(labels) - 1)]
    if not all(is_real(label) for label in labels):
        return links
    times = np.array(labels, dtype=np.float64)
    lengths = np.diff(times)
    weights = np.median(lengths) / lengths
    weights = np.minimum(weights, _MOST_WEIGHT)
    return [
        link._replace(weight=float(weight))
        for link, weight in zip(links, weights, strict=True)
    ]


def star(n_domains: int, centre: int) -> list[Link]:
    """A link from each domain to the centre."""
    return [Link(i, centre) for i in range(n_domains) if i != centre]


def pairs(labels: Sequence[Label], links: Any) -> list[Link]:
    """Links that a user gave as pairs of labels.

    Raises
    ------
    ValueError
        Where they are no pairs, name no domain, or one twice.
    """
    expected = "'chain', 'star' or a list of pairs of labels"
    if isinstance(links, str) or not np.iterable(links):
        raise ValueError(message("links", expected, repr(links)))
    found: list[Link] = []
    seen: set[frozenset] = set()
    for link in links:
        ends = () if isinstance(link, str) or not np.iterable(link) else tuple(link)
        if len(ends) != 2:
            raise ValueError(message("links", expected, repr(link)))
        places = [place_of(end, labels, "links") for end in ends]
        if places[0] == places[1] or frozenset(places) in seen:
            got = f"{tuple(ends)!r} " + ("twice" if places[0] != places[1] else "")
            expected = "each pair of two different domains once"
            raise ValueError(message("links", expected, got.strip()))
        seen.add(frozenset(places))
        found.append(Link(places[0], places[1]))
    if not found:
        raise ValueError(message("links", expected, "an empty list"))
    return found


def place_of(label: Any, labels: Sequence[Label], name: str) -> int:
    """Where a label stands among the domains."""
    try:
        return list(labels).index(label)
    except ValueError:
        expected = f"labels of domains, {list(labels)}"
        raise ValueError(message(name, expected, repr(label))) from None


def in_order_of_links(n_samples: int, links: Sequence[Link]) -> list[int]:
    """Samples as links name them, so that no label matters; then those without."""
    named = [end for link in links for end in (link.first, link.second)]
    return list(dict.fromkeys([*named, *range(n_samples)]))
