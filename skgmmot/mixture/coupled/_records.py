"""What a coupled fit is told, and what its M-steps hand on.

A mixture is `Parameters` everywhere. The affine maps of `_newton` are the one other
form, made by `stacked` and undone by `unstacked`.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from skgmmot.kernels import Moments
from skgmmot.linalg._covariances import Tied
from skgmmot.linalg._scatters import ILL_DEFINED, safe_counts
from skgmmot.linalg._spd import symmetrise, transpose
from skgmmot.mixture._em import Parameters


class Link(NamedTuple):
    """A transport term between two samples.

    Its costs compare the first sample's components, moved by x -> A x + b, with the
    second's: squared 2-Wasserstein distances in which the square of each feature is
    divided by `metric`.
    """

    first: int  # index of a sample
    second: int
    weight: float = 1.0
    matrix: np.ndarray | None = None  # A: (d, d), or (d,) for a diagonal; None: I
    shift: np.ndarray | None = None  # b: (d,); None: 0
    metric: np.ndarray | float = 1.0  # (d,) or one for all; inf takes a feature out
    free_shift: bool = False  # b is the cheapest one for the plan

    @property
    def has_frame(self) -> bool:
        """Whether anything but a common unit stands between the two samples."""
        plain = self.matrix is None and self.shift is None and not self.free_shift
        return not plain or np.ndim(self.metric) > 0

    @property
    def unit(self) -> float:
        """The common unit of the costs; 1 where `metric` has one for each feature."""
        return 1.0 if np.ndim(self.metric) > 0 else float(self.metric)


class CoupledProblem(NamedTuple):
    """What stays the same during a fit.

    The objective is the sum of the samples' mean log-likelihoods less transport_weight
    times the sum of link.weight OT over the links.
    """

    kind: Any  # covariance type, Full, Tied or Diag
    links: tuple[Link, ...]
    transport_weight: float
    reg: float = 0.0
    reg_m: tuple[float, ...] | None = None  # one a sample; None: balanced
    frozen: tuple[bool, ...] = (False, False)  # one a sample
    # Added to variances: a number, or for each sample one for each feature.
    reg_covar: float | tuple[np.ndarray, ...] = 0.0
    max_sweeps: int = 8
    gain_fraction: float = 0.2  # stop where a sweep gains less than this of all
    # Sums over the rows of each sample, for the loop of EM; a frozen one needs none.
    blocks: tuple = ()

    @property
    def is_coupled(self) -> bool:
        """Whether there is any transport term."""
        return self.transport_weight > 0.0 and len(self.links) > 0

    def ridge(self, sample: int, n_features: int) -> np.ndarray:
        """What is added to the variances of a sample, (d,)."""
        if isinstance(self.reg_covar, tuple):
            return self.reg_covar[sample]
        return np.full(n_features, self.reg_covar)


class SampleMoments(NamedTuple):
    """What the E-step says about one sample, per unit of its mass."""

    counts: np.ndarray  # (K,), sum 1
    means: np.ndarray  # (K, d)
    scatters: np.ndarray  # (K, d, d) or (K, d): covariance about `means`


class LinkPlan(NamedTuple):
    """The plan of one link, at the parameters that it came with."""

    coupling: np.ndarray  # (K0, K1)
    slack: np.ndarray  # (K0, K1) slacks of coupling >= 0, for the next start
    costs: np.ndarray  # (K0, K1), in units of the link's metric
    value: float  # OT
    shift: np.ndarray | None = None  # (d,) that the costs were taken at, where free


class Coupling(NamedTuple):
    """What one M-step hands to the next; the plans belong to the parameters."""

    plans: tuple[LinkPlan, ...]  # one a link
    transport: float  # sum of link.weight OT
    gain: float  # by how much the M-step raised its objective
    n_sweeps: int


class AffineMaps(NamedTuple):
    """Components of all samples, one after the other, as maps z -> L z + m.

    Full covariances are F = 1 block of p = d features, diagonal ones F = d blocks of a
    single feature. Means are about the centre of their sample.
    """

    factors: np.ndarray  # (F, K, p, p), orthogonal columns
    means: np.ndarray  # (F, K, p)


class StackedMoments(NamedTuple):
    """Moments of all samples in the form of `AffineMaps`, with what they belong to."""

    counts: np.ndarray  # (K,), sum 1 in each sample
    means: np.ndarray  # (F, K, p)
    scatters: np.ndarray  # (F, K, p, p)
    moving: np.ndarray  # (K,) bool, False on a frozen sample
    centres: np.ndarray  # (T, d), origins of the samples
    tied: list[slice] | None = None  # components of each sample, where they share L

    def shared(self, values: np.ndarray) -> np.ndarray:
        """Values (F, K, ...) averaged over the components that share a factor."""
        if self.tied is None:
            return values
        parts = [values[:, part] for part in self.tied]
        return np.concatenate(
            [
                np.broadcast_to(part.mean(axis=1, keepdims=True), part.shape)
                for part in parts
            ],
            axis=1,
        )


# Least share of a component, as scikit-learn's 10 eps per row.
_LEAST_COUNT = 10 * np.finfo(np.float64).eps


def check_links(problem: CoupledProblem, n_samples: int, n_features: int) -> None:
    """Refuse what the M-step would misread."""
    for name in ("reg_m", "frozen"):
        values = getattr(problem, name)
        if values is not None and len(values) != n_samples:
            raise ValueError(f"{name}: expected {n_samples} values, got {len(values)}.")
    for link in problem.links:
        ends = {link.first, link.second}
        if len(ends) < 2 or not ends <= set(range(n_samples)):
            raise ValueError(
                f"links: expected two different samples below {n_samples}, got "
                f"{link.first} and {link.second}."
            )
        if not 0.0 < link.weight < np.inf:
            raise ValueError(f"links: expected weights above 0, got {link.weight}.")
        if not np.all(np.asarray(link.metric) > 0.0):
            raise ValueError(f"links: expected metrics above 0, got {link.metric}.")
        if link.unit == np.inf:
            raise ValueError("links: expected a finite unit, got inf.")
        _check_frame(link, problem.kind.full_form, n_features)


def _check_frame(link: Link, full: bool, d: int) -> None:
    allowed = {
        "matrix": [(d,), (d, d)] if full else [(d,)],
        "shift": [(d,)],
        "metric": [(), (d,)],
    }
    for name, shapes in allowed.items():
        value = getattr(link, name)
        if value is not None and np.shape(value) not in shapes:
            raise ValueError(
                f"links: expected a {name} of shape {' or '.join(map(str, shapes))}, "
                f"got {np.shape(value)}."
            )


def parameters_of(
    kind: Any, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> Parameters:
    """Parameters with their factors."""
    factors = kind.precisions_cholesky(covariances)
    return Parameters(weights, means, covariances, factors)


def dense_form(kind: Any, covariances: np.ndarray, means: np.ndarray) -> np.ndarray:
    """One covariance a component, in full or diagonal form."""
    return kind.dense(covariances, *means.shape) if kind.full_form else covariances


def sample_moments(
    moments: Moments | None, parameters: Parameters, kind: Any
) -> SampleMoments:
    """Moments of a sample about its new means, per unit of mass.

    None: of a sample without rows, whose mixture is all that is known of it.
    """
    if moments is None:
        covariances = dense_form(kind, parameters.covariances, parameters.means)
        return SampleMoments(parameters.weights, parameters.means, covariances)
    counts = moments.counts / moments.mass
    shifts = moments.sums / safe_counts(moments.counts)[:, None]
    means = parameters.means + shifts
    scatters = dense_form(kind, kind.estimate(moments, 0.0), means)
    return SampleMoments(counts, means, scatters)


def sample_slices(samples: Sequence[Any]) -> list[slice]:
    """Where each sample's components stand, of records with `means`."""
    ends = [0, *accumulate(len(sample.means) for sample in samples)]
    return [slice(*pair) for pair in pairwise(ends)]


def link_rows(first: slice, second: slice, n_components: int) -> slice | np.ndarray:
    """Components of a link: a slice where they are all there are, in order."""
    if first.start == 0 and first.stop == second.start and second.stop == n_components:
        return slice(None)
    return np.r_[first, second]


def link_penalties(problem: CoupledProblem, link: Link) -> tuple[float, float] | None:
    """reg_m of both sides of a link."""
    reg_m = problem.reg_m
    return None if reg_m is None else (reg_m[link.first], reg_m[link.second])


def own_centres(samples: Sequence[Any], links: Sequence[Link]) -> np.ndarray:
    """Origins (T, d) about which distances lose no digits to a far one.

    One for all where no link has a frame; else one a sample, since a shift may bring
    samples together that are far apart.
    """
    if any(link.has_frame for link in links):
        return np.array([sample.means.mean(axis=0) for sample in samples])
    centre = np.concatenate([sample.means for sample in samples]).mean(axis=0)
    return np.repeat(centre[None], len(samples), axis=0)


def orthogonal_roots(covariances: np.ndarray) -> np.ndarray:
    """Factors with orthogonal columns, in the eigenbasis; (..., p, p)."""
    if covariances.shape[-1] == 1:
        values, vectors = covariances[..., 0], np.ones_like(covariances)
    else:
        values, vectors = np.linalg.eigh(covariances)
    if not (values > 0).all():
        raise ValueError(ILL_DEFINED)
    return vectors * np.sqrt(values)[..., None, :]


def _blocks_of_means(means: np.ndarray, full: bool) -> np.ndarray:
    return means[None] if full else means.T[:, :, None]


def _blocks_of_covariances(covariances: np.ndarray, full: bool) -> np.ndarray:
    return covariances[None] if full else covariances.T[:, :, None, None]


def _centred_means(samples: Sequence[Any], centres: np.ndarray) -> np.ndarray:
    return np.concatenate([s.means - c for s, c in zip(samples, centres, strict=True)])


def stacked(
    samples: Sequence[Parameters], centres: np.ndarray, kind: Any
) -> AffineMaps:
    """The affine maps of all samples."""
    covariances = np.concatenate(
        [dense_form(kind, sample.covariances, sample.means) for sample in samples]
    )
    return AffineMaps(
        orthogonal_roots(_blocks_of_covariances(covariances, kind.full_form)),
        _blocks_of_means(_centred_means(samples, centres), kind.full_form),
    )


def stacked_moments(
    moments: Sequence[SampleMoments], problem: CoupledProblem
) -> StackedMoments:
    """The moments of all samples, ridge included."""
    full = problem.kind.full_form
    counts = [np.maximum(sample.counts, _LEAST_COUNT) for sample in moments]
    d = moments[0].means.shape[1]
    ridges = [problem.ridge(t, d) for t in range(len(moments))]
    ridges = [np.diag(ridge) if full else ridge for ridge in ridges]
    scatters = np.concatenate(
        [m.scatters + ridge for m, ridge in zip(moments, ridges, strict=True)]
    )
    moving = [
        np.full(len(sample.counts), not frozen)
        for sample, frozen in zip(moments, problem.frozen, strict=True)
    ]
    centres = own_centres(moments, problem.links)
    return StackedMoments(
        np.concatenate([n / n.sum() for n in counts]),
        _blocks_of_means(_centred_means(moments, centres), full),
        _blocks_of_covariances(scatters, full),
        np.concatenate(moving),
        centres,
        sample_slices(moments) if problem.kind is Tied else None,
    )


def _own_form(kind: Any, covariances: np.ndarray) -> np.ndarray:
    return covariances[0] if kind is Tied else np.ascontiguousarray(covariances)


def unstacked(
    maps: AffineMaps,
    weights: np.ndarray,
    centres: np.ndarray,
    old: Sequence[Parameters],
    problem: CoupledProblem,
) -> tuple[Parameters, ...]:
    """The mixtures of affine maps and weights; a frozen one is the old one."""
    covariances = symmetrise(maps.factors @ transpose(maps.factors))
    if problem.kind.full_form:
        means, covariances = maps.means[0], covariances[0]
    else:
        means, covariances = maps.means[..., 0].T, covariances[..., 0, 0].T
    return tuple(
        sample
        if frozen
        else parameters_of(
            problem.kind,
            weights[part],
            means[part] + centre,
            _own_form(problem.kind, covariances[part]),
        )
        for sample, part, centre, frozen in zip(
            old, sample_slices(old), centres, problem.frozen, strict=True
        )
    )
