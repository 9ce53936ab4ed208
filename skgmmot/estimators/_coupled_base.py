"""What a fitted coupled mixture can do: two domains, by the signs of their labels."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import everywhere, has_all, has_any, merged, widened
from skgmmot._checks import is_real, message
from skgmmot.estimators._domain_predictions import DomainPredictions, PartSum
from skgmmot.estimators._domains import sides_of, source_rows


class CoupledPredictions(DomainPredictions):
    """Methods of an estimator with source_, target_ and coupling_."""

    source_: Any
    target_: Any
    coupling_: np.ndarray
    frozen: str | None

    def _width(self) -> int:
        return max(self.coupling_.shape)

    def _by_domain(
        self, X: Any, sample_domain: Any, method: str, width: int | None = None
    ) -> Any:
        mask = source_rows(sample_domain, X)
        if mask is None:
            mask = everywhere(X, True)

        def found(side: Any, rows: Any) -> Any:
            values = getattr(side, method)(rows)
            return values if width is None else widened(values, width)

        if has_all(mask) or not has_any(mask):
            return found(self.source_ if has_all(mask) else self.target_, X)
        inside, outside = found(self.source_, X[mask]), found(self.target_, X[~mask])
        return merged(mask, inside, outside)

    def _sums(self, X: Any, sample_domain: Any, weights: Any) -> list[PartSum]:
        sums = []
        sides = sides_of(sample_domain, X, weights)
        ends = ("source", self.source_), ("target", self.target_)
        for (name, mixture), side in zip(ends, sides, strict=True):
            if side is not None:
                blocks = blocks_of(*side, mixture.n_jobs)
                value = blocks.log_likelihood(mixture._gaussians())
                sums.append(PartSum(mixture, self.frozen != name, *value))
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
