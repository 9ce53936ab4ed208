"""Penalties on the weights of a mixture: one class each, and a registry.

A fit maximises the weighted mean of log p(x_i) minus a penalty P(w). EM, Adam and the
removal of components ask a penalty for what `NoPenalty` offers and nothing else, so
that a new penalty is a class here (or in a file of its own) and a line in `PENALTIES`.
"""

from typing import NamedTuple

import numpy as np

from skgmmot.kernels import Moments
from skgmmot.linalg._covariances import CovarianceType
from skgmmot.mixture._root_weights import penalised_weights


class Setting(NamedTuple):
    """What a penalty may depend on, apart from the weights."""

    strength: float  # `sparsity` where that is a number
    n_offered: int  # components at the start
    n_features: int
    mass: float  # total weight of the rows, n where each counts once
    kind: CovarianceType


class NoPenalty:
    """P(w) = 0: maximum likelihood. Other penalties override what differs."""

    name = "none"

    @classmethod
    def of(cls, setting: Setting) -> "NoPenalty":
        """The penalty of a problem."""
        return cls()

    def value(self, weights: np.ndarray) -> float:
        """P(w)."""
        return 0.0

    def terms(self, weights: np.ndarray) -> np.ndarray:
        """The part of P(w) that each component stands for, (K,)."""
        return np.zeros(len(weights))

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """Derivative of P in the logarithms of the weights, (K,): w_j ∂P/∂w_j."""
        return np.zeros(len(weights))

    def update_weights(self, shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """M-step: weights that raise Σ_j r_j log w_j - P(w), from the present ones.

        Parameters
        ----------
        shares : ndarray of shape (K,)
            Mean responsibilities r, which sum to 1.
        weights : ndarray of shape (K,)
            The present weights v > 0.

        Returns
        -------
        weights : ndarray of shape (K,)
        """
        return shares

    def freed(self, weights: np.ndarray) -> np.ndarray:
        """By how much P falls without component j, the others scaled to sum 1, (K,)."""
        return np.zeros(len(weights))

    def removal_gains(self, moments: Moments, weights: np.ndarray) -> np.ndarray:
        """What the objective gains when component j is dropped without a refit.

        mean_i log(1 - r_ij) - log(1 - w_j) + what of the penalty is set free.

        Returns
        -------
        gains : ndarray of shape (K,)
        """
        others = np.maximum(1.0 - weights, np.finfo(np.float64).tiny)
        freed = self.freed(weights)
        return moments.deletion / moments.mass - np.log(others) + freed

    def removal_order(self, moments: Moments, weights: np.ndarray) -> np.ndarray:
        """Components in the order in which a refit without them is tried, (K,).

        The least loss of likelihood beside the component's own part of P comes first.
        """
        losses = -moments.deletion / moments.mass
        return np.argsort(losses - self.terms(weights))


class RootPenalty(NoPenalty):
    """P(w) = λ Σ_j √w_j, with λ > 0 the price of a component of weight 1.

    √w is concave, so √w ≤ √v + (w - v) / (2√v) for every v > 0, with equality at
    w = v. Under that bound the M-step has the solution w_j = r_j / (ν + λ / (2√v_j))
    with one scalar ν, the root of Σ_j w_j = 1; iterating v ← w never lowers the
    objective.
    """

    name = "root"

    def __init__(self, price: float) -> None:
        self.price = price

    @classmethod
    def of(cls, setting: Setting) -> "RootPenalty":
        """λ = sparsity / n_components."""
        return cls(setting.strength / setting.n_offered)

    def value(self, weights: np.ndarray) -> float:
        """P(w)."""
        return float(self.price * np.sqrt(weights).sum())

    def terms(self, weights: np.ndarray) -> np.ndarray:
        """λ √w_j."""
        return self.price * np.sqrt(weights)

    def gradient(self, weights: np.ndarray) -> np.ndarray:
        """λ √w_j / 2."""
        return 0.5 * self.price * np.sqrt(weights)

    def update_weights(self, shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """M-step of the weights; see the class."""
        return penalised_weights(shares, weights, self.price)

    def freed(self, weights: np.ndarray) -> np.ndarray:
        """λ (Σ_l √w_l - Σ_{l≠j} √w_l / √(1 - w_j))."""
        others = np.maximum(1.0 - weights, np.finfo(np.float64).tiny)
        roots = np.sqrt(weights)
        kept = (roots.sum() - roots) / np.sqrt(others)
        return self.price * (roots.sum() - kept)


PENALTIES: dict[str, type[NoPenalty]] = {
    cls.name: cls for cls in (NoPenalty, RootPenalty)
}


def penalty_of(sparsity: float | str, setting: Setting) -> NoPenalty:
    """The penalty that `sparsity` asks for: a number, or a name of the registry."""
    if isinstance(sparsity, str):
        return PENALTIES[sparsity].of(setting)
    return PENALTIES["root" if sparsity > 0.0 else "none"].of(setting)
