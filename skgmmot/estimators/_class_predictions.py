"""What a classifier with components of classes in two domains can do once fitted."""

from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.metrics import accuracy_score
from sklearn.utils import TransformerTags
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skgmmot._blocks import blocks_of, in_memory
from skgmmot._checks import message
from skgmmot.estimators._by_parts import by_parts, like_rows
from skgmmot.estimators._classes import moved
from skgmmot.estimators._domains import DomainAware, source_rows
from skgmmot.estimators._validation import check_rows
from skgmmot.linalg._bures import pair_maps
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture._em import Parameters, gaussians_of
from skgmmot.mixture._pinned import Anchors

# Components follow the rows, so posteriors of these are too sure, the more so the more
# features there are. On 82 pairs of real domains the power 1.5 / sqrt(d) has the
# log-loss 1.09, the best fixed one 1.0, 1 has 2.4; of those that were tried it alone
# is below that of linear discriminants on moved rows (2.06) in each of six groups.
_CONFIDENCE = 1.5


def _like_classes(estimator: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """A class for each row."""
    return (), estimator.classes_.dtype


def _like_probabilities(estimator: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """Probabilities of the classes for each row."""
    return (len(estimator.classes_),), dtype


class ClassPredictions(
    DomainAware, OneToOneFeatureMixin, ClassifierMixin, TransformerMixin, BaseEstimator
):
    """Methods of an estimator with source_, target_, alignment_, component_classes_."""

    def __sklearn_tags__(self) -> Any:
        """A classifier whose rows can be moved too."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        return tags

    @by_parts(_like_probabilities)
    def predict_proba(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        r"""Give the probability of each class.

        .. math:: q_c(x) = p_c(x)^\tau / \sum_b p_b(x)^\tau

        with p the posteriors of the components, summed by class, and
        :math:`\tau = \min(1, 1.5 / \sqrt d)` for target rows with d features: the
        components were fitted to such rows, and are too sure of them. For source rows
        τ = 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, new ones or those of `fit`.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows; rows without a
            label are target rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to 1; of the floating type of X.
        """
        check_is_fitted(self)
        X = check_rows(self, X)
        mask = source_rows(sample_domain, len(X))
        if mask is None:
            mask = np.zeros(len(X), dtype=bool)
        classes = np.arange(len(self.classes_))
        indicator = (self.component_classes_[:, None] == classes).astype(np.float64)
        out = np.empty((len(X), len(classes)), X.dtype)
        power = min(1.0, _CONFIDENCE / float(np.sqrt(X.shape[1])))
        sides = ((self.source_, mask, 1.0), (self.target_, ~mask, power))
        for side, rows, power in sides:
            if rows.any():
                blocks = blocks_of(X[rows], n_threads=self.n_jobs)
                found = (blocks.posteriors(side._gaussians()) @ indicator) ** power
                out[rows] = found / found.sum(axis=1, keepdims=True)
        return out

    @by_parts(_like_classes)
    def predict(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """The most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, new ones or those of `fit`.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows; rows without a
            label are target rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels out of `classes_`.
        """
        probabilities = self.predict_proba(X, sample_domain=sample_domain)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(
        self, X: Any, y: Any, *, sample_domain: Any = None, sample_weight: Any = None
    ) -> float:
        """Accuracy of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows; rows without a
            label are target rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        score : float
            Weighted part of the rows whose class is predicted.
        """
        predicted = in_memory(self.predict(X, sample_domain=sample_domain))
        y, sample_weight = in_memory(y), in_memory(sample_weight)
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    @by_parts(like_rows)
    def transform(self, X: Any, y: Any = None, *, sample_domain: Any = None) -> Any:
        """Move source rows to the target, each by the map of its class.

        Any classifier can then be trained on the moved rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, of the source unless `sample_domain` says otherwise.
        y : array-like of shape (n_samples,), default=None
            Their labels; those of target rows are never read. None: rows move by the
            mean of the maps of all components under their posteriors.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows, which stay.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            Moved rows.

        Raises
        ------
        ValueError
            For a label that is not in `classes_`.
        """
        check_is_fitted(self)
        X = check_rows(self, X)
        mask = source_rows(sample_domain, len(X))
        mask = np.ones(len(X), dtype=bool) if mask is None else mask
        out = X.copy()
        if not mask.any():
            return out
        Z = moved(X[mask], self.alignment_, self.n_jobs)
        everything = np.ones(len(self.component_classes_), dtype=bool)
        if y is None:
            out[mask] = self._follow(Z, everything)
            return out
        classes = self._known_classes(y, mask)
        moved_rows = Z
        for c in np.unique(classes):
            rows = classes == c
            moved_rows[rows] = self._follow(Z[rows], self.component_classes_ == c)
        out[mask] = moved_rows
        return out

    def fit_transform(
        self, X: Any, y: Any, *, sample_domain: Any = None, sample_weight: Any = None
    ) -> np.ndarray:
        """Fit, then move the source rows as `transform` does without labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of both domains.
        y : array-like of shape (n_samples,)
            Labels of the source rows, for the fit alone.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            Moved rows.
        """
        self.fit(X, y, sample_domain=sample_domain, sample_weight=sample_weight)
        return self.transform(X, sample_domain=sample_domain)

    def _known_classes(self, y: Any, mask: np.ndarray) -> np.ndarray:
        """Index in classes_ of the labels of source rows."""
        y = column_or_1d(y, dtype=None)
        if len(y) != len(mask):
            expected = f"{len(mask)} labels, as X has rows"
            raise ValueError(message("y", expected, len(y)))
        _, inverse = np.unique(y[mask], return_inverse=True)
        labels = np.unique(y[mask])
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            mend = "mark target rows by negative numbers in sample_domain"
            got = f"also {unknown[:5]}"
            raise ValueError(message("y", "labels out of classes_", got, mend))
        return np.searchsorted(self.classes_, labels)[inverse]

    def _follow(self, Z: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Rows that were aligned, moved by the maps of the chosen components."""
        kind = TYPES[self.covariance_type]
        anchors, target = self._anchors, self.target_._get_parameters()
        n_components, d = anchors.means.shape
        ends = [
            kind.dense(values, n_components, d)[chosen]
            for values in (anchors.covariances, target.covariances)
        ]
        index = np.arange(len(ends[0]))
        maps = pair_maps(np.ascontiguousarray(ends[0]), ends[1], index, index)
        gaussians = gaussians_of(as_parameters(anchors, kind), kind)
        gaussians = type(gaussians)(*(part[chosen] for part in gaussians))
        blocks = blocks_of(Z, n_threads=self.n_jobs)
        return blocks.apply_maps(gaussians, maps, target.means[chosen])


def as_parameters(anchors: Anchors, kind: Any) -> Parameters:
    return Parameters(*anchors, kind.precisions_cholesky(anchors.covariances))
