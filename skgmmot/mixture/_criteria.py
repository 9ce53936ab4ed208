"""Criteria that choose the number of components: one class each.

Smaller is better. `CRITERIA[name]` is the one place where a name is read.
"""

from typing import ClassVar

import numpy as np

from skgmmot.mixture._em import Problem, State


def n_parameters(kind: type, n_components: int, n_features: int) -> int:
    """Free parameters of a mixture: weights, means and covariances."""
    free = n_components * (n_features + 1) - 1
    return free + kind.n_parameters(n_components, n_features)


class Bic:
    """−2 log L + p max(log Σw, 0): Schwarz, doi 10.1214/aos/1176344136."""

    name: ClassVar[str] = "bic"

    @staticmethod
    def price(mass: float) -> float:
        """What a parameter costs. A mass below 1 must not reward parameters."""
        return max(np.log(mass), 0.0)

    @classmethod
    def value(cls, problem: Problem, state: State, mass: float | None = None) -> float:
        """The criterion of a mixture, for `mass` rows that look like the problem's."""
        mass = problem.blocks.mass if mass is None else mass
        shape = state.parameters.means.shape
        free = n_parameters(problem.kind, *shape)
        return -2.0 * mass * state.objective + cls.price(mass) * free


class Aic(Bic):
    """−2 log L + 2 p: Akaike, doi 10.1109/TAC.1974.1100705."""

    name: ClassVar[str] = "aic"

    @staticmethod
    def price(mass: float) -> float:
        """What a parameter costs."""
        return 2.0


class Icl(Bic):
    """BIC + 2 Σ_i w_i H(r_i), which asks for separate components.

    Biernacki, Celeux and Govaert, doi 10.1109/34.865189. The entropy is that of the
    posteriors; it follows from the moments, without a pass over the rows.
    """

    name: ClassVar[str] = "icl"

    @classmethod
    def value(cls, problem: Problem, state: State, mass: float | None = None) -> float:
        """The criterion of a mixture."""
        mass = problem.blocks.mass if mass is None else mass
        bic = Bic.value(problem, state, mass)
        return bic + 2.0 * mass * mean_entropy(problem, state)


def mean_entropy(problem: Problem, state: State) -> float:
    """Mean entropy of the posteriors, Σ_i w_i H(r_i) / Σ_i w_i, in nats.

    −Σ_k r_ik log r_ik = log p(x_i) − Σ_k r_ik log(w_k p_k(x_i)), whose sum over the
    rows needs the second moments under each component alone.
    """
    parameters, moments = state.parameters, state.moments
    n_components, d = parameters.means.shape
    whiteners = problem.kind.kernel_whiteners(parameters.factors, n_components, d)
    log_dets = problem.kind.log_determinants(parameters.factors, n_components, d)
    if moments.seconds.ndim == 3:
        precisions = np.einsum("kij,kil->kjl", whiteners, whiteners)
        squares = np.einsum("kij,kij->k", precisions, moments.seconds)
    else:
        squares = (whiteners**2 * moments.seconds).sum(axis=1)
    with np.errstate(divide="ignore"):
        offsets = np.log(parameters.weights) + log_dets - 0.5 * d * np.log(2.0 * np.pi)
    held = np.where(moments.counts > 0.0, moments.counts * offsets, 0.0)
    joint = (held - 0.5 * squares).sum()
    return max((moments.log_likelihood - joint) / moments.mass, 0.0)


CRITERIA = {cls.name: cls for cls in (Bic, Icl, Aic)}
