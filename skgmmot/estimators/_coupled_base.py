"""What a fitted coupled mixture can do, by domain: densities, labels, draws."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import Parts, blocks_of
from skgmmot._checks import is_real, message
from skgmmot.estimators._by_parts import by_parts, like_labels, like_numbers
from skgmmot.estimators._domains import DomainAware, source_rows, split_rows
from skgmmot.estimators._validation import check_rows, check_weights


def _posteriors_of(estimator: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """What posteriors are like."""
    return (max(estimator.coupling_.shape),), dtype


class CoupledPredictions(DomainAware, DensityMixin, BaseEstimator):
    """Methods of an estimator with source_, target_ and coupling_."""

    source_: Any
    target_: Any
    coupling_: np.ndarray
    frozen: str | None
    _has_domains: bool  # whether fit was given labels

    def _by_domain(
        self, X: Any, sample_domain: Any, method: str, width: int | None = None
    ) -> tuple[Any, np.ndarray]:
        """Apply a method of the two mixtures to the rows of their domains."""
        check_is_fitted(self)
        X = check_rows(self, X)
        mask = source_rows(sample_domain, len(X))
        if mask is None:
            mask = np.ones(len(X), dtype=bool)
        shape = (len(X),) if width is None else (len(X), width)
        out = None
        for side, rows in ((self.source_, mask), (self.target_, ~mask)):
            if not rows.any():
                continue
            part = getattr(side, method)(X if rows.all() else X[rows])
            if out is None:
                out = np.zeros(shape, part.dtype)
            if width is None:
                out[rows] = part
            else:
                out[rows, : part.shape[1]] = part
        return out, mask

    @by_parts(like_labels)
    def predict(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Label rows by the component with the largest posterior in their domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to label.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains; rows without a label are source rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Index of a component.
        """
        return self._by_domain(X, sample_domain, "_labels")[0]

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
            Rows of both domains.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Index of a component.
        """
        self.fit(X, sample_domain=sample_domain, sample_weight=sample_weight)
        return self.predict(X, sample_domain=sample_domain)

    @by_parts(_posteriors_of)
    def predict_proba(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Posterior probabilities of the components of each row's domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains; rows without a label are source rows.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, max(n_components))
            Rows sum to 1; columns that a domain has not are 0.
        """
        check_is_fitted(self)
        width = max(self.coupling_.shape)
        return self._by_domain(X, sample_domain, "_posteriors", width)[0]

    @by_parts(like_numbers)
    def score_samples(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Log density of each row under the mixture of its domain, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to evaluate.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains; rows without a label are source rows.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Of the floating type of X.
        """
        return self._by_domain(X, sample_domain, "_log_density")[0]

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
            Labels of the domains; rows without a label are source rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        score : float
            In nats a sample, without the transport term.

        Raises
        ------
        ValueError
            Without labels after a fit that had them: rows of both domains would be
            scored under the source mixture.
        """
        sums = self._log_likelihoods(X, sample_domain, sample_weight, "score")
        return float(np.mean([total / mass for total, mass in sums if mass > 0.0]))

    def _log_likelihoods(
        self, X: Any, sample_domain: Any, sample_weight: Any, method: str
    ) -> list[tuple[float, float]]:
        """(log-likelihood, mass) of the source rows and of the target rows."""
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
        if isinstance(X, Parts):
            return self._sums_over_parts(X, sample_domain, sample_weight)
        log_density, mask = self._by_domain(X, sample_domain, "_log_density")
        log_density = log_density.astype(np.float64)
        weights = check_weights(sample_weight, log_density[:, None])
        weights = np.ones(len(log_density)) if weights is None else weights
        return [
            (float(weights[rows] @ log_density[rows]), float(weights[rows].sum()))
            for rows in (mask, ~mask)
        ]

    def _sums_over_parts(
        self, X: Parts, sample_domain: Any, sample_weight: Any
    ) -> list[tuple[float, float]]:
        weights = check_weights(sample_weight, X)
        sides = [(X, weights)]
        if sample_domain is not None:
            sides = list(split_rows(sample_domain, X, weights))
        sums = [
            blocks_of(*side, self.source_.n_jobs).log_likelihood(mixture._gaussians())
            for side, mixture in zip(sides, (self.source_, self.target_), strict=False)
        ]
        return [*sums, (0.0, 0.0)][:2]

    def _information(
        self, X: Any, sample_domain: Any, sample_weight: Any, criterion: str
    ) -> float:
        """Sum over the domains, but a frozen one, of their criteria."""
        sums = self._log_likelihoods(X, sample_domain, sample_weight, criterion)
        total = 0.0
        for name, side, (value, mass) in zip(
            ("source", "target"), (self.source_, self.target_), sums, strict=True
        ):
            if mass > 0.0 and self.frozen != name:
                price = np.log(mass) if criterion == "bic" else 2.0
                total += side._n_parameters() * price - 2.0 * value
        return float(total)

    def bic(
        self, X: Any, *, sample_domain: Any = None, sample_weight: Any = None
    ) -> float:
        r"""Bayesian information criterion, the lower the better.

        .. math:: \sum_{s} \big( -2 \log L_s + p_s \log \sum_{i \in s} w_i \big)

        over the domains s, p their free parameters; a frozen side takes no part.
        Fits with different `transport_weight` have the same price, so that it chooses
        numbers of components, not that.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of both domains.
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
            Rows of both domains.
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

    def sample(
        self, n_samples: int = 1, sample_domain: float = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from one of the mixtures.

        Parameters
        ----------
        n_samples : int, default=1
            How many, at least 1.
        sample_domain : int, default=1
            Not negative for the source mixture, negative for the target mixture.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, ordered by component.
        labels : ndarray of shape (n_samples,), int64
            The component that each row comes from.
        """
        check_is_fitted(self)
        if not is_real(sample_domain):
            expected = "a number, not negative for the source, negative for the target"
            raise ValueError(message("sample_domain", expected, repr(sample_domain)))
        side = self.source_ if sample_domain >= 0 else self.target_
        return side.sample(n_samples)
