"""What a fitted coupled mixture can do: two domains, by the signs of their labels."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import Parts, blocks_of
from skgmmot._checks import is_real, message
from skgmmot.estimators._domain_predictions import (
    DomainPart,
    DomainPredictions,
    PartSum,
)
from skgmmot.estimators._domains import source_rows, split_rows
from skgmmot.estimators._validation import check_weights


class CoupledPredictions(DomainPredictions):
    """Methods of an estimator with source_, target_ and coupling_."""

    source_: Any
    target_: Any
    coupling_: np.ndarray
    frozen: str | None

    def _parts(self, sample_domain: Any, n_rows: int) -> list[DomainPart]:
        mask = source_rows(sample_domain, n_rows)
        if mask is None:
            mask = np.ones(n_rows, dtype=bool)
        return [
            DomainPart(self.source_, np.flatnonzero(mask), self.frozen != "source"),
            DomainPart(self.target_, np.flatnonzero(~mask), self.frozen != "target"),
        ]

    def _sums_over_parts(
        self, X: Parts, sample_domain: Any, sample_weight: Any
    ) -> list[PartSum]:
        weights = check_weights(sample_weight, X)
        sides = [(X, weights)]
        if sample_domain is not None:
            sides = list(split_rows(sample_domain, X, weights))
        sums = []
        for side, part in zip(sides, self._parts(None, 0), strict=False):
            blocks = blocks_of(*side, self.source_.n_jobs)
            gaussians = part.mixture._gaussians()
            sums.append(PartSum(part, *blocks.log_likelihood(gaussians)))
        return sums

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
