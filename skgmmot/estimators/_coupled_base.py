"""What a fitted coupled mixture can do, by domain: densities, labels, draws."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from skgmmot._checks import is_real, message
from skgmmot.estimators._domains import DomainAware, source_rows
from skgmmot.estimators._validation import check_rows, check_weights


class CoupledPredictions(DomainAware, DensityMixin, BaseEstimator):
    """Methods of an estimator with source_, target_ and coupling_."""

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
        """
        log_density, mask = self._by_domain(X, sample_domain, "_log_density")
        log_density = log_density.astype(np.float64)
        weights = check_weights(sample_weight, log_density[:, None])
        weights = np.ones(len(log_density)) if weights is None else weights
        means = [
            np.average(log_density[rows], weights=weights[rows])
            for rows in (mask, ~mask)
            if weights[rows].any()
        ]
        return float(np.mean(means))

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
