"""What a fitted coupled mixture can do: densities, labels, draws."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks._row_arrays import everywhere
from skgmmot._checks import is_real, message
from skgmmot.estimators._domain_predictions import DomainMixture, DomainPredictions
from skgmmot.estimators._domains import sides_of, source_rows


class CoupledPredictions(DomainPredictions):
    """Methods of an estimator with source_, target_ and coupling_."""

    source_: Any
    target_: Any
    coupling_: np.ndarray
    frozen: str | None

    def _domain_mixtures(self) -> list[DomainMixture]:
        return [
            DomainMixture(self.source_, self.frozen != "source"),
            DomainMixture(self.target_, self.frozen != "target"),
        ]

    def _domain_masks(self, sample_domain: Any, X: Any) -> tuple[Any, Any]:
        mask = source_rows(sample_domain, X)
        if mask is None:
            mask = everywhere(X, True)
        return mask, ~mask

    def _domain_sides(
        self, sample_domain: Any, X: Any, weights: Any
    ) -> list[tuple[Any, Any] | None]:
        return sides_of(sample_domain, X, weights)

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
