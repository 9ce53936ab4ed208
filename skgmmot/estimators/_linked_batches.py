"""Batches around a reference: rows moved onto it, a new batch without a new fit."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from array_api_compat import array_namespace
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import Part, in_parts
from skgmmot._blocks._row_arrays import as_floats, replaced
from skgmmot._checks import check_real, message
from skgmmot.estimators._by_parts import by_parts, like_rows
from skgmmot.estimators._linked_base import Step
from skgmmot.estimators._linked_graph import Label, is_label, labelled_rows
from skgmmot.estimators._linked_paths import LinkedPaths
from skgmmot.estimators._validation import (
    check_rows,
    check_weights,
    unchanged_on_error,
)
from skgmmot.kernels import to_host
from skgmmot.linalg._mixture import as_mixture
from skgmmot.mixture.coupled._records import Link
from skgmmot.transport._map import check_movable

# One entry a link.
_OF_LINKS = (
    "couplings_", "costs_", "alignments_", "cost_scales_", "transport_costs_",
    "transported_masses_", "source_reweightings_", "target_reweightings_", "births_",
    "deaths_", "growths_", "_potentials",
)  # fmt: skip


Counts = dict[Label, list[np.ndarray]]  # of each link of a way, (K,)


class Return(NamedTuple):
    """How rows come to the reference."""

    centre: int
    least: float  # rows of a population that has a map of its own
    method: str
    counts: Counts  # where rows are in parts; else they are counted on the way


class LinkedBatches(LinkedPaths):
    """Methods for batches of an estimator of linked samples."""

    links: Any
    reference: Any
    reg_m: Any
    _order: list[int]

    def _reference_place(self, reference: Any) -> int:
        """The sample that others go to: the one that was given, or the star's."""
        if reference is not None:
            return self._place(reference, "reference")
        if self.links != "star":
            expected = f"one of {self.domains_}, since links={self.links!r}"
            raise ValueError(message("reference", expected, None))
        return self._links[0].second  # later ones may be of samples added elsewhere

    def to_reference(
        self,
        X: Any,
        sample_domain: Any,
        *,
        reference: Any = None,
        min_events: float = 50.0,
        method: str = "barycentric",
    ) -> np.ndarray:
        """Bring the rows of all samples to the reference.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, those of the fit or others of the same samples: where links were
            fitted to control samples, the rows of patients that were measured along
            with them.
        sample_domain : array-like of shape (n_samples,)
            Their labels; rows of the reference stay as they are.
        reference : label, default=None
            None: the reference of a star. Samples that no link joins with it go along
            several links, as through a control that two of them share.
        min_events : float, default=50
            A population of which X holds fewer rows of a sample than this, by
            posterior probability, is not trusted with a map of its own: its rows keep
            the map of the sample as a whole. Rows in parts are counted when this is
            called, by a pass for each link of the longest way; with 0 none are.
        method : {'barycentric', 'most_likely'}, default='barycentric'
            As in `mw2_map`.

        Returns
        -------
        moved : ndarray of shape (n_samples, n_features)
            Of the floating type of X.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where a label is unknown or no links join it with the reference.
        """
        check_is_fitted(self)
        if method not in ("barycentric", "most_likely"):
            expected = "'barycentric' or 'most_likely'"
            raise ValueError(message("method", expected, repr(method)))
        least = check_real(min_events, "min_events")
        centre = self._reference_place(reference)
        if in_parts(X):
            counts = self._counts_in_parts(X, sample_domain, centre, (least, method))
            plan = Return(centre, least, method, counts)
            return self._brought_by_parts(X, plan, sample_domain=sample_domain)
        plan = Return(centre, least, method, {})
        return self._brought(check_rows(self, X), plan, sample_domain)

    @by_parts(like_rows)
    def _brought_by_parts(
        self, X: Any, plan: Return, *, sample_domain: Any
    ) -> np.ndarray:
        return self._brought(check_rows(self, X), plan, sample_domain)

    def _counts_in_parts(
        self, X: Any, sample_domain: Any, centre: int, how: tuple[float, str]
    ) -> Counts:
        """Rows by population along the ways to the reference, a pass for each link."""
        parts = check_rows(self, X).labelled(sample_domain, named=True)
        parts = parts.changed(reading=parts.reading._replace(checked=True))
        counts: Counts = {}
        complete = how[0] == 0.0
        while not complete:
            work = partial(_count_next, self, Return(centre, *how, counts))
            found = parts.reduce(work, _add_counts) or {}
            for label, values in found.items():
                counts[label] = [*counts.get(label, []), values]
            complete = all(
                len(known) == len(self._way_back(label, centre))
                for label, known in counts.items()
            )
        return counts

    def _brought(self, X: Any, plan: Return, sample_domain: Any) -> np.ndarray:
        """Rows of all samples at the reference."""
        X = check_movable(X)
        found = labelled_rows(sample_domain, X)
        moved = X
        for i, label in enumerate(found.labels):
            rows = found.codes == i
            way = self._way_back(label, plan.centre)
            brought = self._along(X[rows], way, plan, plan.counts.get(label, []))
            moved = replaced(moved, rows, brought)
        return moved

    def _way_back(self, label: Label, centre: int) -> list[Step]:
        return self._way(self._place(label, "sample_domain"), centre)

    def _along(
        self, X: Any, way: Sequence[Step], plan: Return, known: Sequence[np.ndarray]
    ) -> Any:
        """Rows of one sample moved along; populations are counted where not known."""
        for i, step in enumerate(way):
            counts = known[i] if i < len(known) else None
            if counts is None and plan.least > 0.0:
                counts = self._populations(X, step)
            coupling = self.couplings_[step.link].copy()
            leaving = coupling if step.forward else coupling.T
            if counts is not None:
                leaving[counts < plan.least] = 0.0
            maps = self._link_map(step.link, step.forward, coupling)
            X = maps.move(X, plan.method)
        return X

    def _populations(self, X: Any, step: Step) -> np.ndarray:
        """How many rows are of each component that a link leaves."""
        posteriors = as_floats(self.mixtures_[step.source]._posteriors(X))
        return to_host(array_namespace(posteriors).sum(posteriors, axis=0))

    def add_sample(
        self, X: Any, label: Label, *, reference: Any = None, sample_weight: Any = None
    ) -> Self:
        """Link a new sample to the reference; nothing that was fitted changes.

        The new sample's mixture is fitted as `fit` would, with the reference frozen: a
        new batch on a new day, without the rows of the old ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the new sample.
        label : label
            Its label, a new one.
        reference : label, default=None
            The sample that it is linked with; None: the reference of a star.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        self : LinkedGaussianMixture
            With the new sample last in `domains_` and its link last in `links_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where the label is taken, or X is not as expected.
        """
        check_is_fitted(self)
        centre = self._reference_place(reference)
        X = check_rows(self, X, fitting=True, ensure_min_samples=2)
        weights = check_weights(sample_weight, X)
        self._check_new_label(label)
        pair = clone(self).set_params(
            n_components="bic",  # the number of the reference
            links=[(0, 1)],
            reference=None,
            reg_m=self._pair_penalty(),
            inits={1: as_mixture(self.mixtures_[centre])},
            frozen=[1],
            warm_start=False,
        )
        pair.fit(X, sample_weight=weights)
        with unchanged_on_error(self):
            self._append(pair, label, centre)
        return self

    def _check_new_label(self, label: Any) -> None:
        """Refuse what is no label, or one of another kind, or one that is taken."""
        words = isinstance(self.domains_[0], str)
        kind = "a string" if words else "a number"
        if not is_label(label) or isinstance(label, str) != words:
            expected = f"{kind}, as the labels {self.domains_} are"
            raise ValueError(message("label", expected, repr(label)))
        if label in self.domains_:
            expected = f"a label other than {self.domains_}"
            raise ValueError(message("label", expected, repr(label)))

    def _pair_penalty(self) -> float | None:
        """`reg_m` of a new link: the mean of those that there are."""
        if self.reg_m is None:
            return None
        given = self.reg_m.values() if isinstance(self.reg_m, Mapping) else self.reg_m
        return float(np.mean(list(given) if np.iterable(given) else given))

    def _append(self, pair: Any, label: Label, centre: int) -> None:
        """Take over the sample and the link of a fit of one link."""
        new = len(self.domains_)
        side = pair.mixtures_[0]
        if hasattr(self, "feature_names_in_"):
            side.feature_names_in_ = self.feature_names_in_
        self.mixtures_ = [*self.mixtures_, side]
        self.links_ = [*self.links_, (label, self.domains_[centre])]
        self.domains_ = [*self.domains_, label]
        self._links = [*self._links, Link(new, centre)]
        self._order, self._frozen = [*self._order, new], [*self._frozen, False]
        self._masses = [*self._masses, pair._masses[0]]
        for name in _OF_LINKS:
            former, added = getattr(self, name), getattr(pair, name)
            if isinstance(former, np.ndarray):
                setattr(self, name, np.concatenate([former, added]))
            else:
                setattr(self, name, [*former, *added])


def _count_next(estimator: Any, plan: Return, part: Part) -> dict[Label, np.ndarray]:
    """Populations of a part's rows at the first link whose counts are not known."""
    if len(part.x) == 0:
        return {}
    X = check_movable(part.x)
    labelled, found = labelled_rows(part.labels, X), {}
    for i, label in enumerate(labelled.labels):
        way, known = estimator._way_back(label, plan.centre), plan.counts.get(label, [])
        if len(known) < len(way):
            rows = X[labelled.rows(i)]
            rows = estimator._along(rows, way[: len(known)], plan, known)
            found[label] = estimator._populations(rows, way[len(known)])
    return found


def _add_counts(
    first: dict[Label, np.ndarray], second: dict[Label, np.ndarray]
) -> dict[Label, np.ndarray]:
    total = dict(first)
    for label, counts in second.items():
        total[label] = total[label] + counts if label in total else counts
    return total
