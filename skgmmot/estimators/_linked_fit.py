"""How linked mixtures are fitted: what the user gave, and what is kept."""

from collections.abc import Sequence
from numbers import Number
from typing import Any, NamedTuple, Self

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks import Parts
from skgmmot._blocks._row_arrays import has_any, numpy_type
from skgmmot._checks import message, warn_caller
from skgmmot._threads import one_blas_thread
from skgmmot.estimators._coupled_checks import check_linear_form
from skgmmot.estimators._graph_fit import (
    FittedLinks,
    GraphEstimator,
    Rows,
    Samples,
    ratio,
)
from skgmmot.estimators._linked_base import LinkedPredictions
from skgmmot.estimators._linked_changes import changes_along
from skgmmot.estimators._linked_checks import (
    check_start_sizes,
    checked_frozen,
    checked_inits,
    checked_mixture,
    checked_penalties_of,
    checked_sizes,
)
from skgmmot.estimators._linked_graph import (
    Label,
    Labelled,
    chain,
    in_order_of_links,
    labelled_rows,
    pairs,
    place_of,
    sorted_labels,
    star,
)
from skgmmot.estimators._linked_parts import rows_in_parts
from skgmmot.estimators._linked_reference import pooled_reference
from skgmmot.estimators._sklearn_private import fit_context, with_callbacks
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._validation import (
    check_rows,
    check_weights,
    drop_weightless,
    unchanged_on_error,
)
from skgmmot.linalg._mixture import narrowed
from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._records import Link
from skgmmot.transport._plan import TransportPlan

_POOLED, _REFERENCE = "pooled", "reference"


class Domain(NamedTuple):
    """What is known of a domain before the fit."""

    label: Label
    rows: Rows | None  # None of a frozen one
    given: Parameters | None
    frozen: bool


class LinkedEstimator(GraphEstimator, LinkedPredictions):
    """What `fit` of LinkedGaussianMixture does; its parameters are that class's."""

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, sample_domain: Any, sample_weight: Any) -> Self:
        with unchanged_on_error(self), one_blas_thread():
            X = check_rows(self, X, reset=True, ensure_min_samples=2)
            weights = check_weights(sample_weight, X)
            check_linear_form(self.align, self.covariance_type)
            domains, n_told = self._known_domains(X, weights, sample_domain)
            labels = [domain.label for domain in domains]
            links = self._checked_links(labels, n_told)
            samples = self._samples(domains, n_told, links)
            order = in_order_of_links(len(domains), links)
            former = getattr(self, "domains_", labels)
            if self._is_warm() and former != labels:
                mend = "set warm_start=False"
                raise ValueError(
                    message("sample_domain", f"the labels {former}", labels, mend)
                )
            found = self._fitted(in_order(samples, order), X)
            self._has_domains = sample_domain is not None
            self.domains_ = labels
            self.links_ = [(labels[link.first], labels[link.second]) for link in links]
            self._links, self._order = list(links), order
            self._frozen = [domain.frozen for domain in domains]
            self._store(found, numpy_type(X))
        return self

    # What the user gave

    def _known_domains(
        self, X: np.ndarray, weights: Any, sample_domain: Any
    ) -> tuple[list[Domain], int]:
        """All domains, and how many of them are no reference from outside."""
        d = X.shape[1]
        inits = checked_inits(self.inits, self.covariance_type, d)
        frozen = checked_frozen(self.frozen, inits)
        outside = self._outside_reference(d)
        if sample_domain is None:
            rows = drop_weightless(X, weights)
            alone = bool(frozen) or outside is not None
            if not alone:
                warn_caller(
                    "No sample_domain was given: the sample is linked with itself. "
                    "Give a label for each row."
                )
            free: dict[Label, Rows] = {0: rows} if alone else {0: rows, 1: rows}
        elif isinstance(X, Parts):
            free = rows_in_parts(X, weights, sample_domain, frozen)
        else:
            found = labelled_rows(sample_domain, X)
            free = _rows_of(found, X, weights, frozen)
        labels = sorted_labels([*free, *frozen], "frozen")
        for label in inits:
            place_of(label, labels, "inits")
        domains = [
            Domain(
                label,
                None if label in frozen else free[label],
                inits.get(label),
                label in frozen,
            )
            for label in labels
        ]
        if self._is_pooled() and _POOLED not in labels:
            parts = [domain.rows for domain in domains if domain.rows is not None]
            outside = _POOLED, pooled_reference(self, parts)
        if outside is not None:
            name, mixture = outside
            if name in labels:
                expected = f"no domain of that label, {name!r}"
                raise ValueError(message("sample_domain", expected, labels))
            domains.append(Domain(name, None, mixture, True))
        if len(domains) < 2:
            got = f"the one label {labels[0]!r}"
            raise ValueError(message("sample_domain", "at least two domains", got))
        return domains, len(labels)

    def _outside_reference(self, d: int) -> tuple[Label, Parameters] | None:
        """A mixture as the reference of a star, with its label."""
        kind = self.links if isinstance(self.links, str) else "pairs"
        if kind != "star":
            if self.reference is not None:
                expected = f"None, since links={self.links!r}"
                raise ValueError(message("reference", expected, repr(self.reference)))
            return None
        if self.reference is None:
            expected = "a label, a mixture or 'pooled', since links='star'"
            raise ValueError(message("reference", expected, None))
        if isinstance(self.reference, str | Number | np.generic):
            return None
        mixture = checked_mixture(self.reference, "reference", self.covariance_type, d)
        return _REFERENCE, mixture

    def _is_pooled(self) -> bool:
        named = isinstance(self.reference, str) and self.reference == _POOLED
        return named and isinstance(self.links, str) and self.links == "star"

    def _checked_links(self, labels: Sequence[Label], n_told: int) -> list[Link]:
        if not isinstance(self.links, str):
            return pairs(labels, self.links)
        if self.links == "chain":
            return chain(labels)
        if n_told < len(labels):
            return star(len(labels), n_told)
        return star(len(labels), place_of(self.reference, labels, "reference"))

    def _samples(
        self, domains: Sequence[Domain], n_told: int, links: Sequence[Link]
    ) -> Samples:
        """The domains as samples, in the order of their labels."""
        labels = [domain.label for domain in domains]
        given = tuple(domain.given for domain in domains)
        frozen = tuple(domain.frozen for domain in domains)
        sizes = checked_sizes(self.n_components, labels[:n_told], given, links)
        if sizes is not None:
            check_start_sizes(sizes, given, labels, [not fixed for fixed in frozen])
            sizes = tuple(
                len(mixture.weights) if mixture is not None else size
                for mixture, size in zip(given, sizes, strict=True)
            )
        reg_m = checked_penalties_of(self.reg_m, labels[:n_told])
        if reg_m is not None and n_told < len(labels):
            reg_m = (*reg_m, _mean(reg_m))
        return Samples(
            tuple(f"domain {label!r}" for label in labels),
            [domain.rows for domain in domains],
            given,
            frozen,
            tuple(links),
            sizes,
            reg_m,
        )

    # What is kept

    def _former_mixtures(self, samples: Samples) -> list[SparseGaussianMixture]:
        return [self.mixtures_[i] for i in self._order]

    def _store(self, found: FittedLinks, dtype: Any) -> None:
        """Keep what a fit found, samples in the order of their labels."""
        point = dict(zip(self._order, found.point, strict=True))
        masses = dict(zip(self._order, found.masses, strict=True))
        self._masses = [masses[i] for i in range(len(masses))]
        self.mixtures_ = [self._fitted_side(point[i], dtype) for i in range(len(point))]
        self.alignments_, self.cost_scales_ = found.alignments, found.metrics
        plans = found.plans
        self.couplings_ = [plan.coupling.astype(dtype) for plan in plans]
        self.costs_ = [narrowed(plan.costs, dtype) for plan in plans]
        self.transport_costs_ = np.array([float(plan.value) for plan in plans])
        self.transported_masses_ = np.array([plan.coupling.sum() for plan in plans])
        self._potentials = [plan.potentials for plan in plans]
        self.source_reweightings_, self.target_reweightings_ = [], []
        self.births_, self.deaths_, self.growths_ = [], [], []
        for link, plan in zip(self._links, plans, strict=True):
            ends = (self.mixtures_[link.first], self.mixtures_[link.second])
            source, target = (side.weights_.astype(np.float64) for side in ends)
            leaving, arriving = plan.coupling.sum(axis=1), plan.coupling.sum(axis=0)
            self.source_reweightings_.append(ratio(leaving, source, dtype))
            self.target_reweightings_.append(ratio(target, arriving, dtype))
            change = changes_along(plan.coupling, source, target)
            self.births_.append(change.births.astype(dtype))
            self.deaths_.append(change.deaths.astype(dtype))
            self.growths_.append(narrowed(change.growth, dtype))

    def _plan(self, number: int) -> TransportPlan:
        """A fitted coupling as a plan, in the units of the objective."""
        return TransportPlan(
            self.couplings_[number],
            self.costs_[number],
            float(self.transport_costs_[number]),
            self._potentials[number],
        )


def in_order(samples: Samples, order: Sequence[int]) -> Samples:
    """Samples in another order, the links with them."""
    place = {t: i for i, t in enumerate(order)}

    def sorted_by(values: Any) -> Any:
        return None if values is None else tuple(values[t] for t in order)

    return Samples(
        sorted_by(samples.names),
        [samples.rows[t] for t in order],
        sorted_by(samples.given),
        sorted_by(samples.frozen),
        tuple(
            link._replace(first=place[link.first], second=place[link.second])
            for link in samples.links
        ),
        sorted_by(samples.sizes),
        sorted_by(samples.reg_m),
    )


def _rows_of(
    found: Labelled, X: Any, weights: Any, frozen: Sequence[Label]
) -> dict[Label, Rows]:
    """Rows and weights of each domain, but of frozen ones, whose rows are not read."""
    parts = {}
    for i, label in enumerate(found.labels):
        if label in frozen:
            continue
        rows, xp = found.rows(i), array_namespace(X)
        part = None if weights is None else xp.take(weights, rows)
        if part is not None and not has_any(part > 0.0):
            expected = "a positive weight in each domain"
            got = f"weights of the rows of {label!r} that sum to 0"
            raise ValueError(message("sample_weight", expected, got))
        parts[label] = drop_weightless(xp.take(X, rows, axis=0), part)
    if not parts:
        expected = "rows of a domain that is not frozen"
        raise ValueError(message("sample_domain", expected, repr(found.labels)))
    return parts


def _mean(values: Sequence[float]) -> float:
    """Of what an outside reference is given the mean of all."""
    return sum(values) / len(values)
