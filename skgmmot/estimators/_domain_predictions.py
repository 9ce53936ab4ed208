"""What fitted mixtures of several domains can do: densities, labels, criteria."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device
from sklearn.base import DensityMixin
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import has_all, has_any, widened
from skgmmot._checks import message
from skgmmot.estimators._by_parts import by_parts, like_labels, like_numbers
from skgmmot.estimators._documented import DocumentedEstimator
from skgmmot.estimators._domains import DomainAware
from skgmmot.estimators._validation import check_rows, check_weights


class DomainMixture(NamedTuple):
    """A domain's mixture."""

    mixture: Any
    free: bool  # whether it was fitted


class DomainSum(NamedTuple):
    """What the rows of a domain add up to."""

    domain: DomainMixture
    log_likelihood: float
    mass: float


def _width(estimator: Any) -> int:
    """The largest number of components of a domain."""
    known = estimator._domain_mixtures()
    return max(len(domain.mixture.weights_) for domain in known)


def _posteriors_of(estimator: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """What posteriors are like."""
    return (_width(estimator),), dtype


def _check_labels(estimator: Any, given: dict[str, Any]) -> None:
    estimator._check_labelled(given.get("sample_domain"))


class DomainPredictions(DomainAware, DensityMixin, DocumentedEstimator):
    """Methods of an estimator with a mixture for each domain."""

    _has_domains: bool  # whether fit was given labels

    def _domain_mixtures(self) -> Sequence[DomainMixture]:
        """The domains in order."""
        raise NotImplementedError

    def _domain_masks(self, sample_domain: Any, X: Any) -> Sequence[Any]:
        """Which rows are of each domain, in order; every row is in one of them."""
        raise NotImplementedError

    def _domain_sides(
        self, sample_domain: Any, X: Any, weights: Any
    ) -> Sequence[tuple[Any, Any] | None]:
        """Rows of each domain with their weights, in order; None where it has none."""
        raise NotImplementedError

    def _check_labelled(self, sample_domain: Any) -> None:
        """Refuse rows without labels where there is no domain that they are of."""

    def _predicted(self, X: Any, sample_domain: Any, method: str) -> Any:
        """Apply a method of the mixtures to the rows of their domains."""
        check_is_fitted(self)
        X = check_rows(self, X)
        out: Any = None
        for domain, mask in zip(
            self._domain_mixtures(), self._domain_masks(sample_domain, X), strict=True
        ):
            if not has_any(mask):
                continue
            alone = has_all(mask)
            values = getattr(domain.mixture, method)(X if alone else X[mask])
            if values.ndim > 1:
                values = widened(values, _width(self))
            if alone:
                return values
            if out is None:
                xp, shape = array_namespace(values), (X.shape[0], *values.shape[1:])
                out = xp.empty(shape, dtype=values.dtype, device=device(values))
            out[mask] = values
        return out

    @by_parts(like_labels, _check_labels)
    def predict(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Label rows by the component with the largest posterior in their domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to label.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains. Without them rows are of the source; of several
            linked domains that had labels in `fit`, they are needed.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Index of a component.
        """
        return self._predicted(X, sample_domain, "_labels")

    def fit_predict(
        self,
        X: Any,
        y: object = None,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
    ) -> np.ndarray:
        """Fit, then label the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of all domains.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains, as in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Index of a component.
        """
        self.fit(X, sample_domain=sample_domain, sample_weight=sample_weight)
        return self.predict(X, sample_domain=sample_domain)

    @by_parts(_posteriors_of, _check_labels)
    def predict_proba(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Posterior probabilities of the components of each row's domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains. Without them rows are of the source; of several
            linked domains that had labels in `fit`, they are needed.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, max(n_components))
            Rows sum to 1; columns that a domain does not have are 0.
        """
        return self._predicted(X, sample_domain, "_posteriors")

    @by_parts(like_numbers, _check_labels)
    def score_samples(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Log density of each row under the mixture of its domain, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to evaluate.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains. Without them rows are of the source; of several
            linked domains that had labels in `fit`, they are needed.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Of the floating type of X.
        """
        return self._predicted(X, sample_domain, "_log_density")

    def score(
        self,
        X: Any,
        y: object = None,
        *,
        sample_domain: Any = None,
        sample_weight: Any = None,
    ) -> float:
        """Mean over the domains present of the domain's mean log-likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to evaluate.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains. Without them rows are of the source; of several
            linked domains that had labels in `fit`, they are needed.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        score : float
            In nats a sample, without the transport term.

        Raises
        ------
        ValueError
            Without labels after a fit that had them: rows of all domains would be
            scored under one mixture.
        """
        sums = self._log_likelihoods(X, sample_domain, sample_weight, "score")
        return float(np.mean([total / mass for _, total, mass in sums]))

    def _log_likelihoods(
        self, X: Any, sample_domain: Any, sample_weight: Any, method: str
    ) -> list[DomainSum]:
        """Of the domains that have rows."""
        check_is_fitted(self)
        X = check_rows(self, X)
        if sample_domain is None and self._has_domains:
            expected = f"labels in {method}, since fit was given some"
            mend = (
                "pass them; in a grid search or a cross-validation enable metadata "
                "routing, sklearn.set_config(enable_metadata_routing=True), which "
                "hands them on"
            )
            raise ValueError(message("sample_domain", expected, None, mend))
        sides = self._domain_sides(sample_domain, X, check_weights(sample_weight, X))
        sums = [
            DomainSum(
                domain,
                *blocks_of(*side, domain.mixture.n_jobs).log_likelihood(
                    domain.mixture._gaussians()
                ),
            )
            for domain, side in zip(self._domain_mixtures(), sides, strict=True)
            if side is not None
        ]
        return [found for found in sums if found.mass > 0.0]

    def _information(
        self, X: Any, sample_domain: Any, sample_weight: Any, criterion: str
    ) -> float:
        """Sum over the domains, but frozen ones, of their criteria."""
        total = 0.0
        for domain, value, mass in self._log_likelihoods(
            X, sample_domain, sample_weight, criterion
        ):
            if domain.free:
                price = np.log(mass) if criterion == "bic" else 2.0
                total += domain.mixture._n_parameters() * price - 2.0 * value
        return float(total)

    def bic(
        self, X: Any, *, sample_domain: Any = None, sample_weight: Any = None
    ) -> float:
        r"""Bayesian information criterion, the lower the better.

        .. math:: \sum_{s} \big( -2 \log L_s + p_s \log \sum_{i \in s} w_i \big)

        over the domains s, p their free parameters; a frozen domain takes no part.
        Fits with different `transport_weight` have the same price, so that it chooses
        numbers of components, not that.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of all domains.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        bic : float
            In nats.
        """
        return self._information(X, sample_domain, sample_weight, "bic")

    def aic(
        self, X: Any, *, sample_domain: Any = None, sample_weight: Any = None
    ) -> float:
        r"""Akaike information criterion, the lower the better.

        .. math:: \sum_{s} \big( -2 \log L_s + 2 p_s \big)

        over the domains s, as in `bic`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of all domains.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        aic : float
            In nats.
        """
        return self._information(X, sample_domain, sample_weight, "aic")
