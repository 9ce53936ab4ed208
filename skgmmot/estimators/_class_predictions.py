"""What a classifier with components of classes in two domains can do once fitted."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from sklearn.base import (
    ClassifierMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.metrics import accuracy_score
from sklearn.utils import TransformerTags
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import View, blocks_of, in_memory
from skgmmot._blocks._row_arrays import (
    Rows,
    copied,
    everywhere,
    has_any,
    in_type_of,
    like_rows_of,
    merged,
    replaced,
)
from skgmmot._checks import message
from skgmmot.estimators._by_parts import by_parts, like_rows
from skgmmot.estimators._class_form import kernel_probabilities
from skgmmot.estimators._class_labels import (
    checked_labels,
    known_numbers,
    labels_of_source,
)
from skgmmot.estimators._classes import moved
from skgmmot.estimators._documented import DocumentedEstimator
from skgmmot.estimators._domains import DomainAware, source_rows
from skgmmot.estimators._validation import check_rows, check_weights
from skgmmot.kernels import is_device_array, kind_of, to_host
from skgmmot.linalg._bures import pair_maps
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture._em import Parameters, gaussians_of
from skgmmot.mixture._pinned import Anchors

# Components follow the rows, so posteriors of these are too sure, the more so the more
# features there are. On 82 pairs of real domains the power 1.5 / sqrt(d) of components
# alone has the log-loss 1.09, the best fixed one 1.0, 1 has 2.4.
_CONFIDENCE = 1.5


def _like_classes(estimator: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """A class for each row."""
    return (), estimator.classes_.dtype


def _like_probabilities(estimator: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """Probabilities of the classes for each row."""
    return (len(estimator.classes_),), dtype


class ClassPredictions(
    DomainAware,
    OneToOneFeatureMixin,
    ClassifierMixin,
    TransformerMixin,
    DocumentedEstimator,
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

        with p the posteriors of the components, summed by class. Components were
        fitted to the target rows, and are too sure of them: for such rows, with d
        features, :math:`\tau = \min(1, 1.5 / \sqrt d)`. Where the source has a say
        too (``align="auto"``), p is the mean over all voices, and τ is nearer to 1 by
        the part of the others. For source rows p is that of `source_` and τ = 1.

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
        return self._of_domains(*self._with_domains(X, sample_domain))

    def _with_domains(self, X: Any, sample_domain: Any) -> tuple[Rows, Any]:
        """Rows that were checked, and which are of the source."""
        check_is_fitted(self)
        X = check_rows(self, X)
        mask = source_rows(sample_domain, X)
        return X, everywhere(X, False) if mask is None else mask

    def _of_domains(self, X: Rows, mask: Any) -> Any:
        """Probabilities of the classes, the mask true for rows of the source."""
        power = min(1.0, _CONFIDENCE / float(np.sqrt(X.shape[1])))
        inside = self._probabilities(X[mask], self.source_, 1.0)
        outside = self._target_probabilities(X[~mask], power)
        return merged(mask, inside, outside)

    def _target_probabilities(self, X: Rows, power: float) -> Any:
        """Probabilities of the classes by all that speak for target rows."""
        blend = self._blend
        if not any(blend):
            return self._probabilities(X, self.target_, power)
        followed = 1.0 - sum(blend)
        found = followed * self._probabilities(X, self.target_, 1.0)
        for part, side in (
            (blend.anchors, self._expected),
            (blend.source, self.source_),
        ):
            if part > 0.0:
                found = found + part * self._probabilities(X, side, 1.0)
        parts = (blend.moved_rows, blend.rows)
        for part, kernel in zip(parts, self._kernels, strict=True):
            if part > 0.0:
                found = found + part * kernel_probabilities(kernel, X)
        found = found ** (1.0 - followed * (1.0 - power))
        total = array_namespace(found).sum(found, axis=1, keepdims=True)
        return in_type_of(found / total, X)

    def _probabilities(self, X: Rows, side: Any, power: float) -> Any:
        """Probabilities of the classes for the rows of one domain."""
        classes = np.arange(len(self.classes_))
        indicator = (self.component_classes_[:, None] == classes).astype(np.float64)
        xp, indicator = array_namespace(X), like_rows_of(X, indicator)
        view, gaussians = View(blocks_of(X, n_threads=self.n_jobs)), side._gaussians()
        parts = [in_type_of(like_rows_of(X, np.empty((0, len(classes)))), X)]
        for rows in view.slices(len(gaussians.means)):
            found = (view.of(rows).posteriors(gaussians) @ indicator) ** power
            found = found / xp.sum(found, axis=1, keepdims=True)
            parts.append(in_type_of(found, X))
        return xp.concat(parts)

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
        numbers = self._class_numbers(X, sample_domain)
        if not is_device_array(numbers):
            return self.classes_[numbers]
        if self.classes_.dtype.kind not in "iufb":
            expected = f"classes that are numbers, for rows of {kind_of(numbers)}"
            mend = "fit with numbers for classes, or use predict_proba"
            got = f"classes of type {self.classes_.dtype}"
            raise TypeError(message("classes_", expected, got, mend))
        classes = like_rows_of(numbers, self.classes_)
        return array_namespace(numbers).take(classes, numbers)

    def _class_numbers(self, X: Any, sample_domain: Any) -> Any:
        """Index in classes_ of the most probable class of each row."""
        X, mask = self._with_domains(X, sample_domain)
        xp, view = array_namespace(X), View(blocks_of(X))
        parts = [
            xp.argmax(self._of_domains(X[rows, :], mask[rows]), axis=1)
            for rows in view.slices(len(self.classes_))
        ]
        return xp.concat(parts)

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
        if is_device_array(X):
            return self._score_on_device(X, y, sample_domain, sample_weight)
        predicted = in_memory(self.predict(X, sample_domain=sample_domain))
        y, sample_weight = in_memory(y), in_memory(sample_weight)
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def _score_on_device(
        self, X: Any, y: Any, sample_domain: Any, sample_weight: Any
    ) -> float:
        predicted = self._class_numbers(X, sample_domain)
        numbers, _ = known_numbers(checked_labels(y, X), self.classes_, X)
        weights = check_weights(sample_weight, X)
        xp = array_namespace(X)
        right = xp.astype(predicted == numbers, xp.float64)
        if weights is None:
            return float(to_host(xp.mean(right)))
        return float(to_host(xp.sum(weights * right) / xp.sum(weights)))

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
        mask = source_rows(sample_domain, X)
        mask = everywhere(X, True) if mask is None else mask
        if not has_any(mask):
            return copied(X)
        Z = moved(X[mask], self.alignment_, self.n_jobs)
        everything = np.ones(len(self.component_classes_), dtype=bool)
        if y is None:
            return replaced(X, mask, in_type_of(self._follow(Z, everything), X))
        numbers = self._known_classes(y, sample_domain, X)
        rows = Z
        for c in range(len(self.classes_)):
            own = numbers == c
            if has_any(own):
                found = self._follow(Z[own], self.component_classes_ == c)
                rows = replaced(rows, own, found)
        return replaced(X, mask, in_type_of(rows, X))

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

    def _known_classes(self, y: Any, sample_domain: Any, X: Rows) -> Any:
        """Index in classes_ of the labels of source rows."""
        labels = labels_of_source(checked_labels(y, X), sample_domain)
        numbers, unknown = known_numbers(labels, self.classes_, X)
        if len(unknown):
            mend = "mark target rows by negative numbers in sample_domain"
            got = f"also {unknown[:5]}"
            raise ValueError(message("y", "labels out of classes_", got, mend))
        return numbers

    def _follow(self, Z: Rows, chosen: np.ndarray) -> Rows:
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
