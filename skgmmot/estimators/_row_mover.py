"""What a fitted transformer does with rows."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import (
    copied,
    everywhere,
    has_any,
    like_rows_of,
    narrowed_like,
    replaced,
    slices,
)
from skgmmot.estimators._by_parts import by_parts, like_numbers, like_rows, like_scores
from skgmmot.estimators._documented import DocumentedEstimator
from skgmmot.estimators._domains import DomainAware, source_rows
from skgmmot.estimators._validation import check_rows
from skgmmot.linalg._mixture import as_mixture
from skgmmot.transport._component_maps import MixtureMap
from skgmmot.transport._map import check_movable
from skgmmot.transport._support import SupportRule, support_score

_POSTERIOR_ENTRIES = 2**22  # of a block of rows, 32 MiB


class RowMover(
    DomainAware, OneToOneFeatureMixin, TransformerMixin, DocumentedEstimator
):
    """Methods of a transformer with source_, target_, coupling_ and maps both ways."""

    def _maps(self, towards_target: bool) -> MixtureMap:
        check_is_fitted(self)
        return self._there if towards_target else self._back

    @by_parts(like_rows)
    def transform(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Move the rows of the domain that `map_to` leaves; return others unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, new ones or those of `fit`.
        sample_domain : array-like of shape (n_samples,), default=None
            Not negative for source rows, negative for target rows. Without labels
            every row is moved.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            Moved rows; with the default of `out_of_support` finite however far a row
            is from all components.

        Raises
        ------
        ValueError
            Where a row to be moved has a value beyond 1e153, labels do not fit the
            rows, or a row is outside the support and out_of_support is 'raise'.
        """
        return self._move(X, sample_domain, self.map_to == "target")

    @by_parts(like_rows)
    def inverse_transform(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        """Move rows back, by the transposed plan.

        With one component on each side this inverts `transform`; with more it does
        not, since components that were merged on the way are not told apart.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows that `transform` returned.
        sample_domain : array-like of shape (n_samples,), default=None
            The labels that were given to `transform`: the rows that it moved are
            moved back. Without labels every row is.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features)
            Rows moved back.
        """
        return self._move(X, sample_domain, self.map_to == "source")

    def _move(self, X: Any, sample_domain: Any, towards_target: bool) -> np.ndarray:
        maps = self._maps(towards_target)
        X = check_rows(self, X)
        mask = source_rows(sample_domain, X)
        rng = check_random_state(self.random_state)
        rule = SupportRule(self.out_of_support, self.support_level)
        how = self.method, self.strength, rng
        if mask is None:
            return maps.move(check_movable(X), *how, rule)
        leaving = mask if self.map_to == "target" else ~mask
        if not has_any(leaving):
            return copied(X)
        rows = check_movable(X[leaving])
        rule = rule._replace(leaving=leaving)
        return replaced(X, leaving, maps.move(rows, *how, rule))

    @by_parts(like_scores)
    def support_score(self, X: Any, *, sample_domain: Any = None) -> np.ndarray:
        r"""How far rows lie from the components of their domain, as a probability.

        .. math:: F_{\chi^2_d}\left(\min_k\, (x - m_k)^T \Sigma_k^{-1} (x - m_k)\right)

        with F the distribution function of d degrees of freedom: 0 at the mean of a
        component. Rows above `support_level` are outside, and are moved as
        `out_of_support` says.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        sample_domain : array-like of shape (n_samples,), default=None
            Labels of the domains; rows without a label are of the domain that `map_to`
            leaves.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            From 0 to 1.
        """
        leaves_source = self.map_to == "target"
        check_is_fitted(self)
        X = check_rows(self, X)
        mask = source_rows(sample_domain, X)
        if mask is None:
            mask = everywhere(X, leaves_source)
        scores = everywhere(X, 0.0)
        for rows, maps in ((mask, self._maps(True)), (~mask, self._maps(False))):
            if has_any(rows):
                found = support_score(check_movable(X[rows]), maps.gaussians)
                scores = replaced(scores, rows, found)
        return scores

    @by_parts(like_numbers)
    def transport_weights(self, X: Any) -> np.ndarray:
        r"""How the weight of a row changes when it moves along an unbalanced plan.

        .. math::
            \sum_k p_k(x) \sum_l \frac{\gamma_{kl}}{\pi_k}
            \frac{\pi'_l}{\sum_m \gamma_{ml}}

        with π the weights of the domain that is left and π' those of the other. Where
        the plan is balanced it is 1 everywhere. Else its mean under the fitted mixture
        of the domain that is left is 1 (less the π' of components that receive
        nothing); over the rows of a sample the mean can be some per cent off.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the domain that `map_to` leaves.

        Returns
        -------
        weights : ndarray of shape (n_samples,)
            Not negative.
        """
        check_is_fitted(self)
        X = check_rows(self, X)
        forward = self.map_to == "target"
        maps = self._maps(forward)
        coupling = self.coupling_ if forward else self.coupling_.T
        ends = (self.source_, self.target_) if forward else (self.target_, self.source_)
        left, entered = (as_mixture(end).weights.astype(np.float64) for end in ends)
        arriving = coupling.sum(axis=0)
        # Shares of a column first: the inverse of a tiny mass would be infinite.
        shares = np.divide(
            coupling, arriving, out=np.zeros(coupling.shape), where=arriving > 0.0
        )
        kept = left > 0.0
        factors = (shares[kept] @ entered) / left[kept]
        step = _POSTERIOR_ENTRIES // len(factors)
        weights, factors = [], like_rows_of(X, factors)
        for rows in slices(X, step):
            posteriors = blocks_of(X[rows, :]).posteriors(maps.gaussians)
            weights.append(narrowed_like(posteriors @ factors, X))
        return array_namespace(X).concat(weights)
