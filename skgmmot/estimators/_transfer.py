"""What rows are moved by: two mixtures, the plan between them, and its frame."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import has_fit_parameter

from skgmmot._blocks import blocks_of
from skgmmot._checks import message
from skgmmot.estimators._coupled import CoupledGaussianMixture
from skgmmot.estimators._domain_predictions import DomainPredictions
from skgmmot.estimators._domains import sides_of
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.linalg._mixture import as_mixture
from skgmmot.linalg._shrinkage import Affine, DomainMoments
from skgmmot.transport._component_maps import MixtureMap, compared_covariances
from skgmmot.transport._frame import (
    Frame,
    frame_of,
    gaps_and_spreads,
    moved_means,
    passages,
    row_moments,
)
from skgmmot.transport._mw2 import checked_pair, common_dtype, narrowed_plan
from skgmmot.transport._plan import TransportPlan, solve_plan
from skgmmot.transport._shift import Gaps, cheapest_shift
from skgmmot.transport._shrunk import common_maps, shrunk_covariances

# Part of a component's weight below which mass in the plan does not say where it went.
_TRACE = 1e-9
_OF_A_MIXTURE = ("weights_", "means_", "covariances_")


class Transfer(NamedTuple):
    """Two mixtures, a plan, and the frame in which its costs are measured."""

    source: Any  # estimators, or what else as_mixture takes
    target: Any
    plan: TransportPlan
    frame: Frame
    masses: tuple[float, float]  # rows behind the two; infinite where they are known


class Coupling(NamedTuple):
    """How two mixtures that are known are coupled."""

    align: str | None
    cost_scale: Any
    regs: dict[str, Any]  # reg, reg_m, as far as they were asked for


def is_coupled(estimator: Any) -> bool:
    """Whether an estimator couples two domains itself (frozen ones by what is in)."""
    inner = getattr(estimator, "estimator", estimator)
    return isinstance(inner, CoupledGaussianMixture)


def default_estimator(align: str | None, cost_scale: Any) -> CoupledGaussianMixture:
    """What stands for estimator=None."""
    return CoupledGaussianMixture(align=align, cost_scale=cost_scale)


def transfer_of_coupled(
    coupled: CoupledGaussianMixture, masses: tuple[float, float], regs: dict[str, Any]
) -> Transfer:
    """The plan of a coupled fit, or the one that `regs` ask for, in its frame."""
    frame = Frame(coupled.alignment_, coupled.cost_scale_)
    plan = coupled._plan()
    if regs:
        weights = coupled.source_.weights_, coupled.target_.weights_
        plan = solve_plan(plan.costs, *weights, **{**coupled._regs(), **regs})
    return Transfer(coupled.source_, coupled.target_, plan, frame, masses)


def transfer_of_pair(
    source: Any,
    target: Any,
    moments: Sequence[DomainMoments],
    coupling: Coupling,
) -> Transfer:
    """Align and couple two mixtures; `moments` are those of their domains."""
    ends = checked_pair(source, target)
    align, cost_scale, regs = coupling
    frame = frame_of(moments[0], moments[1], align, cost_scale)
    gaps = Gaps(*gaps_and_spreads(*ends, frame), frame.metric)
    weights = ends[0].weights, ends[1].weights
    beyond = np.zeros(len(frame.metric))
    if align == "shift":
        beyond = cheapest_shift(gaps, weights, **regs).shift
        linear, shift = frame.alignment
        frame = frame._replace(alignment=Affine(linear, shift + beyond))
    plan = solve_plan(gaps.costs(beyond), *weights, **regs)
    plan = narrowed_plan(plan, common_dtype(*ends))
    masses = moments[0].mass, moments[1].mass
    return Transfer(source, target, plan, frame, masses)


def maps_of(
    transfer: Transfer, max_slope: float | None
) -> tuple[MixtureMap, MixtureMap]:
    """The maps from the source to the target and back."""
    source = as_mixture(transfer.source, "source")
    target = as_mixture(transfer.target, "target")
    coupling = transfer.plan.coupling
    there, back = passages(transfer.frame)
    left, entered = shrunk_covariances(
        compared_covariances(source, target, there),
        (source.weights, target.weights),
        transfer.masses,
    )
    leaving = _without_traces(coupling, source.weights)
    arriving = _without_traces(coupling.T, target.weights)
    shared = shared_back = None
    if transfer.frame.alignment.linear.ndim == 2:  # second moments were matched
        moved = moved_means(source.means, transfer.frame.alignment)
        gaps = target.means.astype(np.float64) - moved[:, None]
        shared, shared_back = common_maps(
            (left, entered),
            gaps * transfer.frame.scales,
            coupling,
            (source.weights, target.weights),
            transfer.masses,
        )
    return (
        MixtureMap(source, target, leaving, there, (left, entered), max_slope, shared),
        MixtureMap(
            target, source, arriving, back, (entered, left), max_slope, shared_back
        ),
    )


def _without_traces(coupling: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A coupling without rows that hold a trace of the weight of their component."""
    rows = coupling.sum(axis=1, dtype=np.float64)
    return np.where((rows > _TRACE * weights)[:, None], coupling, 0.0)


def domain_masses(
    sample_domain: Any, weights: Any, X: Any, frozen: str | None
) -> tuple[float, float]:
    """Weights of the rows of both domains; infinite for a side that was not fitted."""
    sides = sides_of(sample_domain, X, weights)
    if sample_domain is None:
        sides = [sides[0]] * 2
    source, target = (
        np.inf if frozen == name else 0.0 if side is None else blocks_of(*side).mass
        for name, side in zip(("source", "target"), sides, strict=True)
    )
    return source, target


def fitted_pair(
    estimator: Any, sides: Sequence[Any], align: str | None
) -> tuple[tuple[Any, Any], tuple[DomainMoments, ...]]:
    """Fit a mixture to each domain; and what `align` asks of the domains."""
    if isinstance(estimator, FrozenEstimator):
        expected = "a coupled mixture inside a FrozenEstimator"
        got = f"a {type(estimator.estimator).__name__}, the same for both sides"
        mend = "for two mixtures that are known use GMMOTTransformer.from_mixtures"
        raise ValueError(message("estimator", expected, got, mend))
    if isinstance(estimator, DomainPredictions):
        expected = "a mixture of one domain, or a CoupledGaussianMixture"
        mend = "its own methods move and to_reference move rows"
        got = type(estimator).__name__
        raise TypeError(message("estimator", expected, got, mend))
    source, target = (fit_mixture(clone(estimator), *side) for side in sides)
    if not all(hasattr(source, name) for name in _OF_A_MIXTURE):
        expected = "a mixture with weights_, means_ and covariances_"
        raise TypeError(message("estimator", expected, type(estimator).__name__))
    blocks = (blocks_of(*side) for side in sides)
    return (source, target), row_moments(*blocks, grouped=align == "linear")


def fit_mixture(
    estimator: Any,
    X: Any,
    weights: np.ndarray | None,
    keywords: dict[str, Any] | None = None,
) -> Any:
    """Fit an estimator with weights where there are some."""
    keywords = {} if keywords is None else keywords
    inner = getattr(estimator, "estimator", estimator)
    own = isinstance(inner, SparseGaussianMixture | CoupledGaussianMixture)
    if not (own or isinstance(X, np.ndarray)):
        expected = "a mixture of this package, since X is not a NumPy array"
        raise ValueError(message("estimator", expected, type(inner).__name__))
    if weights is None:
        return estimator.fit(X, None, **keywords)
    if not has_fit_parameter(estimator, "sample_weight"):
        expected = "an estimator whose fit takes sample_weight"
        mend = "drop sample_weight, or use SparseGaussianMixture"
        raise ValueError(
            message("sample_weight", expected, type(estimator).__name__, mend)
        )
    return estimator.fit(X, None, sample_weight=weights, **keywords)
