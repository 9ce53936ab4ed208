"""The mixtures that a criterion chose among, by their number of components."""

from typing import Any, NamedTuple

import numpy as np

from skgmmot._checks import message


class ComponentPath(NamedTuple):
    """Mixtures of the sizes that a criterion compared, from the largest down.

    Attributes
    ----------
    n_components : ndarray of shape (n_sizes,)
        Their numbers of components, descending.
    log_likelihood : ndarray of shape (n_sizes,)
        Σ_i ω_i log p(x_i) of each.
    criterion : ndarray of shape (n_sizes,)
        The criterion of each, the lower the better.
    mixtures : tuple of SparseGaussianMixture
        The mixtures themselves.
    """

    n_components: np.ndarray
    log_likelihood: np.ndarray
    criterion: np.ndarray
    mixtures: tuple[Any, ...]

    def mixture(self, n_components: int) -> Any:
        """The mixture of a size, without a new fit.

        Parameters
        ----------
        n_components : int
            One of `n_components`.

        Returns
        -------
        mixture : SparseGaussianMixture
            Fitted, with sparsity 0.

        Raises
        ------
        ValueError
            Where the path has no such size.
        """
        where = np.flatnonzero(self.n_components == n_components)
        if len(where) == 0:
            expected = f"one of {self.n_components.tolist()}"
            mend = "offer more components for a larger one"
            raise ValueError(message("n_components", expected, n_components, mend))
        return self.mixtures[where[0]]
