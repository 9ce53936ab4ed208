"""How sure a fit of linked samples is: the same fit under other weights of rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks._row_arrays import numpy_type
from skgmmot._checks import message
from skgmmot.estimators._bootstrap import (
    checked_draws,
    interval,
    mirrored_interval,
)
from skgmmot.estimators._graph_fit import Samples
from skgmmot.estimators._linked_fit import LinkedEstimator, in_order
from skgmmot.estimators._resampling import Outcome, Resampling
from skgmmot.estimators._validation import check_rows_at_hand, check_weights
from skgmmot.linalg._mixture import narrowed


class LinkedBootstrap(NamedTuple):
    """What a fit of linked samples finds under other weights of the rows.

    Parameters
    ----------
    weights : list of ndarray of shape (n_bootstraps, n_components)
        Shares, one array for each of `domains_`.
    means : list of ndarray of shape (n_bootstraps, n_components, n_features)
        Means, one array for each of `domains_`.
    couplings : list of ndarray of shape (n_bootstraps, n_components_a, n_components_b)
        Masses, one array for each of `links_`.
    transport_costs : list of ndarray of shape (n_bootstraps,)
        The transport term of each of `links_`.
    intervals : dict of str to list of ndarray of shape (2, ...)
        Lower and upper ends for each name above.
    debiased : LinkedBootstrap or None
        The same draws without what regularises the fit, as in `CoupledBootstrap`.
    """

    weights: list[np.ndarray]
    means: list[np.ndarray]
    couplings: list[np.ndarray]
    transport_costs: list[np.ndarray]
    intervals: dict[str, list[np.ndarray]]
    debiased: Any = None


class BootstrapsLinked(LinkedEstimator):
    """The method `bootstrap` of LinkedGaussianMixture."""

    def bootstrap(
        self,
        X: Any,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
        n_bootstraps: int = 200,
        confidence_level: float = 0.95,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> LinkedBootstrap:
        """How sure the fit is, by a Bayesian bootstrap of its rows.

        As that of `CoupledGaussianMixture`, for all samples and links at once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of `fit`.
        sample_domain : array-like of shape (n_samples,), default=None
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.
        n_bootstraps : int, default=200
            Draws, at least 2.
        confidence_level : float, default=0.95
            Part of the draws that lies within an interval.
        random_state : int, RandomState instance or None, default=None
            For the weights.
        n_jobs : int, default=None
            Threads that share the rows of a draw; None: the usable cores.
        verbose : int, default=0
            1 tells after every tenth draw how many are done.

        Returns
        -------
        bootstrap : LinkedBootstrap
            Draws of `weights` and `means` of all samples and of `couplings` and
            `transport_costs` of all links, in lists; `intervals` by these names;
            `debiased`, the same of what the rows say without the transport terms.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where X, weights or numbers are not as expected, or labels are not those of
            the fit: a sample that `add_sample` added was not fitted with the others.
        """
        check_is_fitted(self)
        number, level = checked_draws(n_bootstraps, confidence_level)
        X = check_rows_at_hand(self, X)
        weights = check_weights(sample_weight, X)
        rng = check_random_state(random_state)
        samples = self._bootstrapped(X, weights, sample_domain)
        resampling = Resampling(self, samples, n_jobs)
        draws = resampling.draws(number, rng, verbose)
        plain, debiased = (
            self._gathered(outcomes, level, numpy_type(X))
            for outcomes in zip(*draws, strict=True)
        )
        if resampling.balanced:
            pairs = zip(debiased.couplings, resampling.centre().couplings, strict=True)
            debiased.intervals["couplings"] = [
                mirrored_interval(plans, exact, level) for plans, exact in pairs
            ]
        return plain._replace(debiased=debiased)

    def _bootstrapped(self, X: Any, weights: Any, sample_domain: Any) -> Samples:
        """What the fit was fitted to, in the order of the links."""
        if sample_domain is None and (self._has_domains or not any(self._frozen)):
            expected = "the labels that fit was given"
            mend = "a sample that is linked with itself has no second one to vary"
            raise ValueError(message("sample_domain", expected, None, mend))
        domains, n_told = self._known_domains(X, weights, sample_domain)
        labels = [domain.label for domain in domains]
        if labels != self.domains_:
            expected = f"the labels of the fit, {self.domains_}"
            raise ValueError(message("sample_domain", expected, labels))
        # A frozen mixture is what it was in the fit, also where that made it.
        kept = [
            domain._replace(given=side._get_parameters()) if domain.frozen else domain
            for domain, side in zip(domains, self.mixtures_, strict=True)
        ]
        samples = self._samples(kept, n_told, self._links)
        sizes = tuple(len(side.weights_) for side in self.mixtures_)
        return in_order(samples._replace(sizes=sizes), self._order)

    def _gathered(
        self, draws: Sequence[Outcome], level: float, dtype: Any
    ) -> LinkedBootstrap:
        """Draws one above the other, samples in the order of their labels."""
        places = [self._order.index(t) for t in range(len(self._order))]
        stacked = {
            "weights": [
                np.stack([draw.point[i].weights for draw in draws]) for i in places
            ],
            "means": [
                np.stack([draw.point[i].means for draw in draws]) for i in places
            ],
            "couplings": [
                np.stack([draw.couplings[i] for draw in draws])
                for i in range(len(self._links))
            ],
            "transport_costs": list(np.array([draw.costs for draw in draws]).T),
        }
        told = {
            name: [narrowed(values, dtype) for values in lists]
            for name, lists in stacked.items()
        }
        intervals = {
            name: [interval(values, level) for values in lists]
            for name, lists in told.items()
        }
        return LinkedBootstrap(**told, intervals=intervals)
