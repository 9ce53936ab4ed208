"""What a fitted mixture can do: densities, labels, draws, criteria."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._blocks import MemoryBlocks, blocks_of
from skgmmot._blocks._row_arrays import in_type_of, narrowed_like
from skgmmot._checks import message, warn_caller
from skgmmot.estimators._by_parts import by_parts, like_labels, like_numbers
from skgmmot.estimators._covariance_choice import AUTO
from skgmmot.estimators._documented import DocumentedEstimator
from skgmmot.estimators._validation import check_rows, check_weights
from skgmmot.kernels import Gaussians
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._mixture import narrowed
from skgmmot.linalg._spd import factor
from skgmmot.mixture._criteria import Aic, Bic, n_parameters
from skgmmot.mixture._em import Parameters, gaussians_of


def _posteriors_of(estimator: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """What posteriors are like."""
    return (estimator.n_components_,), dtype


class FittedMixture(DensityMixin, DocumentedEstimator):
    """Methods of estimators with weights_, means_, covariances_, precisions_cholesky_.

    Subclasses have the parameters covariance_type, random_state and n_jobs.
    """

    @property
    def _kind(self) -> Any:
        name = self.covariance_type
        return TYPES[self.covariance_type_ if name == AUTO else name]

    def _set_parameters(self, parameters: Any, dtype: Any = np.float64) -> None:
        """Store a mixture as fitted attributes of the data's floating type."""
        kind = self._kind
        self.weights_ = parameters.weights.astype(dtype)
        largest = np.abs(parameters.covariances).max()
        if largest > np.finfo(dtype).max:
            expected = f"variances in the range of {np.dtype(dtype)}"
            mend = "give X in float64, or divide it by its width"
            raise ValueError(message("X", expected, f"one of {largest:.3g}", mend))
        with np.errstate(over="ignore"):
            precisions = np.nan_to_num(kind.precisions(parameters.factors))
        self.means_, self.covariances_, self.precisions_cholesky_, self.precisions_ = (
            np.array(narrowed(np.asarray(values), dtype))
            for values in (*parameters[1:], precisions)
        )
        self.n_components_ = len(parameters.weights)
        self.covariance_type_ = kind.name

    def _get_parameters(self) -> Parameters:
        """The fitted mixture, if it still is what the parameters and X speak of."""
        n_components, d = len(self.means_), self.n_features_in_
        expected = self._kind.shape(n_components, d)
        # Of d components, diag and tied covariances have the same shape.
        if (
            self.means_.shape[1] != d
            or self.covariances_.shape != expected
            or self.covariance_type not in (AUTO, self.covariance_type_)
        ):
            expected = f"covariance_type={self.covariance_type!r} and {d} features"
            got = (
                f"covariance_type={self.covariance_type_!r}, means_ of shape "
                f"{self.means_.shape} and covariances_ of shape "
                f"{self.covariances_.shape}"
            )
            mend = "fit it again, with warm_start=False"
            raise ValueError(message("fitted mixture", expected, got, mend))
        return Parameters(
            *(
                np.asarray(values, dtype=np.float64)
                for values in (
                    self.weights_,
                    self.means_,
                    self.covariances_,
                    self.precisions_cholesky_,
                )
            )
        )

    def _checked(self, X: Any) -> np.ndarray:
        if not hasattr(self, "weights_"):  # faster than to ask for any attribute
            check_is_fitted(self)
        return check_rows(self, X)

    def _gaussians(self) -> Gaussians:
        return gaussians_of(self._get_parameters(), self._kind)

    def _blocks(self, X: np.ndarray) -> MemoryBlocks:
        return blocks_of(X, n_threads=self.n_jobs)

    def _labels(self, X: np.ndarray) -> np.ndarray:
        return self._blocks(X).labels(self._gaussians())

    def _posteriors(self, X: np.ndarray) -> np.ndarray:
        posteriors = self._blocks(X).posteriors(self._gaussians())
        return in_type_of(posteriors, X)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        log_density = self._blocks(X).log_density(self._gaussians())
        return narrowed_like(log_density, X)

    @by_parts(like_labels)
    def predict(self, X: Any) -> np.ndarray:
        """Label rows by the component with the largest posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to label.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
            Index of a component.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        return self._labels(self._checked(X))

    @by_parts(_posteriors_of)
    def predict_proba(self, X: Any) -> np.ndarray:
        r"""Posterior probabilities of the components.

        .. math:: p_k(x) = w_k N(x; m_k, \Sigma_k) / \sum_l w_l N(x; m_l, \Sigma_l)

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, however far from the components.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_components_)
            Rows sum to 1; of the floating type of X.
        """
        return self._posteriors(self._checked(X))

    @by_parts(like_numbers)
    def score_samples(self, X: Any) -> np.ndarray:
        """Log density of each row, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to evaluate.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Of the floating type of X; finite, cut at the type's range.
        """
        return self._log_density(self._checked(X))

    def score(self, X: Any, y: object = None, sample_weight: Any = None) -> float:
        """Weighted mean of the log density, never penalised.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to evaluate.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        score : float
            Mean log-likelihood in nats a sample.
        """
        total, mass = self._log_likelihood(X, sample_weight)
        return total / mass

    def _log_likelihood(self, X: Any, sample_weight: Any) -> tuple[float, float]:
        """Σ w log p(x), and Σ w."""
        X = self._checked(X)
        weights = check_weights(sample_weight, X)
        blocks = blocks_of(X, weights, self.n_jobs)
        total, mass = blocks.log_likelihood(self._gaussians())
        if not mass > 0.0:
            expected = "a row with a positive weight"
            raise ValueError(message("X and sample_weight", expected, "none"))
        return total, mass

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from the fitted mixture.

        Parameters
        ----------
        n_samples : int, default=1
            How many, at least 1.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, ordered by component.
        labels : ndarray of shape (n_samples,), int64
            The component that each row comes from.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, Integral):
            raise TypeError(message("n_samples", "an integer", repr(n_samples)))
        if n_samples < 1:  # in scikit-learn's words, which its tests match
            raise ValueError(
                f"Invalid value for 'n_samples': {n_samples}. The sampling requires at "
                "least one sample."
            )
        rng = check_random_state(self.random_state)
        weights, means, covariances, _ = self._get_parameters()
        shares = weights / weights.sum()
        labels = np.repeat(np.arange(len(shares)), rng.multinomial(n_samples, shares))
        roots = factor(self._kind.dense(covariances, *means.shape))
        draws = rng.standard_normal((n_samples, means.shape[1]))
        for k, root in enumerate(roots):
            draws[labels == k] = draws[labels == k] @ root.T + means[k]
        return draws.astype(self.means_.dtype, copy=False), labels

    def _n_parameters(self) -> int:
        """Free parameters of the components that were kept."""
        return n_parameters(self._kind, *self.means_.shape)

    def _information(
        self, X: Any, sample_weight: Any, price: Callable[[float], float]
    ) -> float:
        total, mass = self._log_likelihood(X, sample_weight)
        return -2.0 * total + price(mass) * self._n_parameters()

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        r"""Bayesian information criterion, the lower the better.

        .. math:: -2 \log L + p \max(\log \sum_i w_i, 0)

        with p the free parameters of the components kept (Schwarz, Annals of
        Statistics 1978, doi 10.1214/aos/1176344136).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to evaluate.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        bic : float
            In nats.
        """
        check_is_fitted(self)
        return self._information(X, sample_weight, Bic.price)

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        r"""Akaike information criterion, the lower the better.

        .. math:: -2 \log L + 2 p

        with p the free parameters of the components kept (Akaike, IEEE Transactions on
        Automatic Control 1974, doi 10.1109/TAC.1974.1100705).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to evaluate.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.

        Returns
        -------
        aic : float
            In nats.
        """
        check_is_fitted(self)
        return self._information(X, sample_weight, Aic.price)


def warn_of_no_convergence() -> None:
    """Warn that the best start did not converge, in scikit-learn's words."""
    warn_caller(
        "Best performing initialization did not converge. Try different init "
        "parameters, or increase max_iter, tol, or check for degenerate data.",
        ConvergenceWarning,
    )
