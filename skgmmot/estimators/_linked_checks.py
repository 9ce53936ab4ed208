"""Checks of what a linked fit is given: numbers, penalties, starts, by label."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skgmmot._checks import is_integer, is_real, message
from skgmmot.estimators._coupled_checks import checked_start
from skgmmot.estimators._linked_graph import Label, is_label, place_of
from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._records import Link
from skgmmot.mixture.coupled._starts import Given
from skgmmot.mixture.coupled._tree import branches


def by_label(values: Any, labels: Sequence[Label], name: str, expected: str) -> list:
    """One value for each domain: of a scalar, a list in order, or a dict by label."""
    if isinstance(values, Mapping):
        for label in values:
            place_of(label, labels, name)
        missing = [label for label in labels if label not in values]
        if missing:
            got = f"none for {missing}"
            raise ValueError(message(name, expected, got))
        return [values[label] for label in labels]
    if isinstance(values, str) or not np.iterable(values):
        return [values] * len(labels)
    found = list(values)
    if len(found) != len(labels):
        got = f"{len(found)} values for the domains {list(labels)}"
        raise ValueError(message(name, expected, got))
    return found


def checked_sizes(
    n_components: Any, labels: Sequence[Label], given: Given, links: Sequence[Link]
) -> tuple[int, ...] | None:
    """Numbers of components of the domains, or None where they are to be found.

    `labels` are those of `given` for which numbers are told: the first ones. 'bic'
    takes the number of a start, that which is nearest along the links.
    """
    if isinstance(n_components, str):
        if all(mixture is None for mixture in given):
            return None
        return tuple(_nearest_size(t, given, links) for t in range(len(given)))
    expected = "'bic', a positive integer, a list or a dict of them, one a domain"
    sizes = by_label(n_components, labels, "n_components", expected)
    if not all(is_integer(size, 1) for size in sizes):
        raise ValueError(message("n_components", expected, repr(n_components)))
    told = [int(size) for size in sizes]
    return tuple(told + [len(m.weights) for m in given[len(told) :] if m is not None])


def _nearest_size(t: int, given: Given, links: Sequence[Link]) -> int:
    order = [t, *(branch.sample for branch in branches(len(given), links, t))]
    known = (given[i] for i in order)
    return next(len(mixture.weights) for mixture in known if mixture is not None)


def check_start_sizes(
    sizes: Sequence[int], given: Given, labels: Sequence[Label], free: Sequence[bool]
) -> None:
    """Refuse starts of other numbers of components than were asked for."""
    for label, size, mixture, moves in zip(labels, sizes, given, free, strict=True):
        if moves and mixture is not None and len(mixture.weights) != size:
            got = f"means of shape {mixture.means.shape}"
            mend = "n_components='bic' takes the number from the start"
            name = f"inits[{label!r}]"
            raise ValueError(message(name, f"{size} components", got, mend))


def checked_penalties_of(
    reg_m: Any, labels: Sequence[Label]
) -> tuple[float, ...] | None:
    """`reg_m` of all domains; None: balanced."""
    if reg_m is None:
        return None
    expected = "None, a positive number, a list or a dict of them, one a domain"
    values = by_label(reg_m, labels, "reg_m", expected)
    if not all(is_real(rho) and rho > 0.0 for rho in values):
        raise ValueError(message("reg_m", expected, repr(reg_m)))
    return tuple(float(rho) for rho in values)


def checked_inits(inits: Any, covariance_type: str, d: int) -> dict[Label, Parameters]:
    """Mixtures by label, in the form of the covariance type."""
    if inits is None:
        return {}
    if not isinstance(inits, Mapping):
        expected = "a dict of mixtures by label, or None"
        raise ValueError(message("inits", expected, repr(inits)))
    return {
        label: checked_mixture(start, f"inits[{label!r}]", covariance_type, d)
        for label, start in inits.items()
    }


def checked_mixture(start: Any, name: str, covariance_type: str, d: int) -> Parameters:
    """A mixture of d features."""
    known = checked_start(start, name, covariance_type)
    if known.means.shape[1] != d:
        got = f"means of shape {known.means.shape}"
        raise ValueError(message(name, f"{d} features", got))
    return known


def checked_frozen(frozen: Any, inits: Mapping[Label, Parameters]) -> list[Label]:
    """Labels of the domains that stay at their given starts."""
    if frozen is None:
        return []
    single = isinstance(frozen, str) or not np.iterable(frozen)
    labels = [frozen] if single else list(frozen)
    for label in labels:
        if not is_label(label) or label not in inits:
            expected = f"a mixture for {label!r}, since it is frozen"
            raise ValueError(message("inits", expected, repr(list(inits))))
    return labels
