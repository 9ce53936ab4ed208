"""How sure a number of components is: the same search under other weights of rows."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._checks import check_integer, message
from skgmmot.estimators._bootstrap import NumberBootstrap, row_weights
from skgmmot.estimators._progress import Progress
from skgmmot.estimators._sparse_fit import SparseFit
from skgmmot.estimators._validation import check_rows_at_hand, check_weights


class BootstrapsNumber(SparseFit):
    """The method `bootstrap` of SparseGaussianMixture."""

    def bootstrap(
        self,
        X: Any,
        *,
        sample_weight: Any = None,
        n_bootstraps: int = 100,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> NumberBootstrap:
        """How often each number of components is chosen, by a Bayesian bootstrap.

        Each draw gives the rows random weights (exponential ones, of the same sum as
        before) and fits a clone from its own starts: the whole search, no warm start.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows of `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Frequencies of the rows.
        n_bootstraps : int, default=100
            Draws, at least 2.
        random_state : int, RandomState instance or None, default=None
            For the weights; starts are drawn by the estimator's own.
        n_jobs : int, default=None
            Threads that share the rows of a draw; None: the usable cores.
        verbose : int, default=0
            1 tells after every tenth draw how many are done.

        Returns
        -------
        bootstrap : NumberBootstrap
            `n_components`, the number of each draw, and `counts`, how many draws chose
            each number, in a dict.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where X, weights or the number of draws are not as expected, or where
            sparsity is 0, which chooses nothing.

        Notes
        -----
        Weights make rows more alike than new rows would be: on few rows the draws
        choose a component more now and then than new samples would.
        """
        check_is_fitted(self)
        number = check_integer(n_bootstraps, "n_bootstraps", 2)
        if self.sparsity == 0.0:
            mend = "fit with sparsity='bic'"
            raise ValueError(message("sparsity", "one that chooses a number", 0, mend))
        X = check_rows_at_hand(self, X)
        weights = check_weights(sample_weight, X)
        rng = check_random_state(random_state)
        progress = Progress(verbose, 10)
        progress.begin(0)
        found = []
        for i in range(number):
            draw = clone(self).set_params(n_jobs=n_jobs, verbose=0, warm_start=False)
            draw._fit(X, row_weights(X, weights, rng))
            found.append(draw.n_components_)
            progress.step(i + 1, 0.0)
        numbers, counts = np.unique(found, return_counts=True)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        return NumberBootstrap(np.array(found), dict(pairs))
