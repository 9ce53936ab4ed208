"""What fitted linked mixtures can do, by domain and along the links."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import Parts
from skgmmot._blocks._row_arrays import everywhere, has_any
from skgmmot._checks import message
from skgmmot.estimators._domain_predictions import DomainMixture, DomainPredictions
from skgmmot.estimators._linked_graph import Label, labelled_rows, place_of
from skgmmot.estimators._linked_parts import holdings_of
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.mixture.coupled._records import Link
from skgmmot.mixture.coupled._tree import branches


class Step(NamedTuple):
    """A link on a way from domain to domain."""

    link: int
    forward: bool  # whether it is taken from its first side to its second
    source: int
    target: int


class LinkedPredictions(DomainPredictions):
    """Methods of an estimator with mixtures_ and couplings_ of domains_ and links_."""

    domains_: list[Label]
    mixtures_: list[SparseGaussianMixture]
    couplings_: list[np.ndarray]
    _links: list[Link]  # indices of domains
    _frozen: list[bool]
    _named_domains = True

    def _domain_mixtures(self) -> list[DomainMixture]:
        return [
            DomainMixture(mixture, not frozen)
            for mixture, frozen in zip(self.mixtures_, self._frozen, strict=True)
        ]

    def _domain_masks(self, sample_domain: Any, X: Any) -> list[Any]:
        masks = [everywhere(X, False) for _ in self.mixtures_]
        if sample_domain is None:
            self._check_labelled(None)
            masks[self._frozen.index(False)] = everywhere(X, True)
            return masks
        found = labelled_rows(sample_domain, X)
        for i, label in enumerate(found.labels):
            masks[self._place(label, "sample_domain")] = found.codes == i
        return masks

    def _domain_sides(
        self, sample_domain: Any, X: Any, weights: Any
    ) -> list[tuple[Any, Any] | None]:
        if isinstance(X, Parts):
            return self._sides_in_parts(sample_domain, X, weights)
        return [
            (X[mask], None if weights is None else weights[mask])
            if has_any(mask)
            else None
            for mask in self._domain_masks(sample_domain, X)
        ]

    def _sides_in_parts(
        self, sample_domain: Any, X: Parts, weights: Any
    ) -> list[tuple[Any, Any] | None]:
        sides: list[tuple[Any, Any] | None] = [None] * len(self.mixtures_)
        if sample_domain is None:
            self._check_labelled(None)
            sides[self._frozen.index(False)] = X, weights
            return sides
        parts = X.labelled(sample_domain, named=True).changed(weights=weights)
        for label, holding in holdings_of(parts).items():
            rows = parts.of_domain(label, holding.numbers)
            place = self._place(label, "sample_domain")
            if holding.mass > 0.0:
                sides[place] = rows, weights
        return sides

    def _check_labelled(self, sample_domain: Any) -> None:
        """Refuse rows without labels after a fit of several domains."""
        if sample_domain is None and self._has_domains:
            expected = f"a label for each row, of {self.domains_}"
            raise ValueError(message("sample_domain", expected, None))

    def _place(self, label: Any, name: str) -> int:
        return place_of(label, self.domains_, name)

    def _way(self, source: int, target: int) -> list[Step]:
        """Links from one domain to another, in order; the shortest way."""
        tree = {b.sample: b for b in branches(len(self.domains_), self._links, target)}
        way: list[Step] = []
        while source != target:
            branch = tree[source]
            if branch.link is None:
                a, b = self.domains_[source], self.domains_[target]
                expected = "domains that links join"
                raise ValueError(message("domains", expected, f"{a!r} and {b!r}"))
            way.append(Step(branch.link, branch.forward, source, branch.parent))
            source = branch.parent
        return way

    def coupling(self, source: Label, target: Label) -> np.ndarray:
        r"""Mass that goes from component to component between two domains.

        Of linked domains the fitted coupling; of others composed along the shortest way
        of links,

        .. math:: \gamma_{ac} = \gamma_{ab} \, \mathrm{diag}(1 / \pi_b) \, \gamma_{bc}.

        Parameters
        ----------
        source, target : label
            Labels of two domains.

        Returns
        -------
        coupling : ndarray of shape (n_source_components, n_target_components)
            For twice the same domain its weights on the diagonal.

        Raises
        ------
        ValueError
            Where no links join them.
        """
        check_is_fitted(self)
        a, b = self._place(source, "source"), self._place(target, "target")
        if a == b:
            return np.diag(self.mixtures_[a].weights_)
        first, *others = self._way(a, b)
        total = self._directed(first).copy()
        for step in others:
            plan = self._directed(step)
            weights = self.mixtures_[step.source].weights_
            shares = np.zeros_like(plan)
            np.divide(plan, weights[:, None], out=shares, where=plan > 0.0)
            total = total @ shares
        return total

    def _directed(self, step: Step) -> np.ndarray:
        plan = self.couplings_[step.link]
        return plan if step.forward else plan.T

    def sample(
        self, n_samples: int = 1, sample_domain: Label | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from one of the mixtures.

        Parameters
        ----------
        n_samples : int, default=1
            How many, at least 1.
        sample_domain : label, default=None
            Which domain's; after a fit without labels the first one's.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, ordered by component.
        labels : ndarray of shape (n_samples,), int64
            The component that each row comes from.
        """
        check_is_fitted(self)
        if sample_domain is None and not self._has_domains:
            return self.mixtures_[self._frozen.index(False)].sample(n_samples)
        place = self._place(sample_domain, "sample_domain")
        return self.mixtures_[place].sample(n_samples)
