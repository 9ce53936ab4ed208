"""Criteria that choose the number of components: one class each, and a registry.

Smaller is better. `CRITERIA[name]` is the one place where a name is read.
"""

import numpy as np

from skgmmot.linalg._covariances import CovarianceType
from skgmmot.mixture._em import Problem, State, gaussians_of


def n_parameters(kind: CovarianceType, n_components: int, n_features: int) -> int:
    """Free parameters of a mixture: weights, means and covariances."""
    free = n_components * (n_features + 1) - 1
    return free + kind.n_parameters(n_components, n_features)


class Bic:
    """−2 log L + p max(log Σw, 0): Schwarz, doi 10.1214/aos/1176344136."""

    name = "bic"

    @staticmethod
    def price(mass: float) -> float:
        """What a parameter costs. A mass below 1 must not reward parameters."""
        return float(max(np.log(mass), 0.0))

    @classmethod
    def value(cls, problem: Problem, state: State, mass: float) -> float:
        """The criterion of a mixture, for `mass` rows.

        The problem may hold a sample of them. There a parameter gains 1 / (2 m) nats a
        row by chance, m the mass of the sample, and loses as much on other rows: that
        is taken off.
        """
        held = problem.blocks.mass
        free = n_parameters(problem.kind, *state.parameters.means.shape)
        price = cls.price(mass) + (mass / held - 1.0 if held < mass else 0.0)
        return -2.0 * mass * state.objective + price * free


class Aic(Bic):
    """−2 log L + 2 p: Akaike, doi 10.1109/TAC.1974.1100705."""

    name = "aic"

    @staticmethod
    def price(mass: float) -> float:
        """What a parameter costs."""
        return 2.0


class Icl(Bic):
    """BIC + 2 Σ_i w_i H(r_i), which asks for components that lie apart.

    Biernacki, Celeux and Govaert, doi 10.1109/34.865189. H is the entropy of the
    posteriors.
    """

    name = "icl"

    @classmethod
    def value(cls, problem: Problem, state: State, mass: float) -> float:
        """The criterion of a mixture, for `mass` rows; see Bic."""
        bic = super().value(problem, state, mass)
        return bic + 2.0 * mass * mean_entropy(problem, state)


Criterion = type[Bic]

CRITERIA: dict[str, Criterion] = {cls.name: cls for cls in (Bic, Icl, Aic)}


def mean_entropy(problem: Problem, state: State) -> float:
    """Mean entropy of the posteriors, Σ_i w_i H(r_i) / Σ_i w_i, in nats.

    −Σ_k r_ik log r_ik = log p(x_i) − Σ_k r_ik log(w_k p_k(x_i)), whose sum over the
    rows follows from the second moments, without a pass over the rows.
    """
    moments = state.moments
    offsets, _, whiteners = gaussians_of(state.parameters, problem.kind)
    if moments.seconds.ndim == 3:
        precisions = np.einsum("kij,kil->kjl", whiteners, whiteners)
        squares = np.einsum("kij,kij->k", precisions, moments.seconds)
    else:
        squares = (whiteners**2 * moments.seconds).sum(axis=1)
    alive = moments.counts > 0.0
    joint = (moments.counts * offsets)[alive].sum() - 0.5 * squares[alive].sum()
    return float(max((moments.log_likelihood - joint) / moments.mass, 0.0))
