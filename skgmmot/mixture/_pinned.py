"""EM on target rows whose components are pinned to counterparts.

Each component has an anchor: where the source, moved, expects it. A transport term
holds it there, a prior its covariance, and a relaxed marginal its share of the rows.
Early rounds are soft (likelihoods to a power below 1), so that the anchors' first
mistakes can be taken back, and rows listen to their neighbours.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skgmmot._blocks import MemoryBlocks, Posteriors, View
from skgmmot.kernels import Gaussians, Moments
from skgmmot.linalg._covariances import CovarianceType
from skgmmot.linalg._scatters import safe_counts
from skgmmot.linalg._spd import diagonals
from skgmmot.mixture._em import Parameters, gaussians_of
from skgmmot.mixture._neighbours import NeighbourAverage

_FIRST_POWER, _POWER_STEP = 0.3, 0.07  # of the likelihoods, up to 1
_MAX_TILTS = 50
_TILT_TOL = 1e-4
_FEWEST = 1e-12  # part of its share below which a component's share is not raised
# Rows of the pooled covariance that count in a component's own, for each free
# parameter of a row of the matrix: d for a full one, 1 for a diagonal one.
_POOLED_ROWS = 10.0


class Anchors(NamedTuple):
    """Components of the source after the alignment."""

    weights: np.ndarray  # (K,)
    means: np.ndarray  # (K, d)
    covariances: np.ndarray  # shape of the covariance type


class Pins(NamedTuple):
    """How firmly components are held."""

    transport_weight: float  # f: a mean by f n pi_k rows at its anchor
    shrinkage: float  # w: a covariance by w n pi_k rows of the anchor's
    reg_m: float | None  # 0: shares are free, None: they are kept
    reg_covar: float


class PinnedFit(NamedTuple):
    """What EM found. Posteriors under `parameters` have the mean `shares`."""

    parameters: Parameters
    shares: np.ndarray  # (K,)
    n_iter: int
    converged: bool


class Rounds(NamedTuple):
    """When to stop."""

    max_iter: int
    tol: float  # of changes of the means in deviations, and of the shares
    # Told of each round, with the fit that the parameters make; whether to stop.
    report: Callable[[int, float, PinnedFit], bool] | None = None


class Target(NamedTuple):
    """The target rows, and how posteriors listen to those of neighbours."""

    blocks: MemoryBlocks
    average: NeighbourAverage | None = None  # None: not at all


class _Target(NamedTuple):
    """The target rows, and what of them does not change during a fit."""

    blocks: MemoryBlocks
    average: NeighbourAverage | None
    kind: CovarianceType
    center: np.ndarray  # (d,)
    scatter: np.ndarray  # (d, d) about the center; empty where it is not needed

    @property
    def tied(self) -> bool:
        """Whether all components share a matrix: then rows are whitened once."""
        return self.kind.name == "tied"


class _Expected(NamedTuple):
    """An E-step; responsibilities are tilted posteriors."""

    posteriors: Posteriors  # (n, K)
    tilts: np.ndarray  # (K,) their factors
    weights: np.ndarray  # (K,) that go with them
    shares: np.ndarray  # (K,) their mean


def power_of_round(iteration: int) -> float:
    """The power of the likelihoods in a round, counted from 0."""
    return min(1.0, _FIRST_POWER + _POWER_STEP * iteration)


def pooled_rows(kind: CovarianceType, n_features: int) -> float:
    """Rows of the pooled covariance that count in a component's own."""
    return _POOLED_ROWS * (n_features if kind.full_form else 1)


def run_pinned(
    rows: Target,
    kind: CovarianceType,
    anchors: Anchors,
    pins: Pins,
    rounds: Rounds,
) -> PinnedFit:
    r"""Let anchored components follow the rows.

    With :math:`m_k = f n \pi_k`, anchors :math:`(\pi_k, a_k, S_k)` and
    responsibilities r, one round gives

    .. math::
        m_k = \frac{\sum_i r_{ik} x_i + f n \pi_k a_k}{\sum_i r_{ik} + f n \pi_k},
        \qquad
        \Sigma_k = \frac{\sum_i r_{ik} (x_i - m_k)(x_i - m_k)^T + w n \pi_k S_k}
        {\sum_i r_{ik} + w n \pi_k}

    summed over k where the covariance is tied; full and diagonal ones are shrunk
    towards that sum. In all rounds but the last r is averaged over neighbours; the
    posteriors of the last are those of the mixture that is returned, with ρ at most 1.

    Parameters
    ----------
    rows : Target
    kind : CovarianceType
    anchors : Anchors
    pins : Pins
    rounds : Rounds

    Returns
    -------
    fit : PinnedFit
    """
    target = _measured(rows, kind)
    parameters = Parameters(*anchors, kind.precisions_cholesky(anchors.covariances))
    shares, change = anchors.weights, np.inf
    for iteration in range(1, rounds.max_iter + 1):
        power = power_of_round(iteration - 1)
        converged = power == 1.0 and change < rounds.tol
        last = converged or iteration == rounds.max_iter
        if last:
            power, pins = 1.0, _predicting(pins)
        expected = _expect(target, parameters, anchors, pins, power)
        change = max(change, float(np.abs(expected.shares - shares).max()))
        shares = expected.shares
        parameters = parameters._replace(weights=expected.weights)
        fit = PinnedFit(parameters, shares, iteration, converged)
        stops = rounds.report is not None and rounds.report(iteration, change, fit)
        if last:
            return fit
        if stops:
            return _stopped(target, anchors, pins, fit)
        following = _maximise(target, expected, anchors, pins)
        change = _change(kind, parameters, following)
        parameters = following
    raise ValueError(f"max_iter: expected at least 1, got {rounds.max_iter}")


def _stopped(
    target: _Target, anchors: Anchors, pins: Pins, fit: PinnedFit
) -> PinnedFit:
    """A fit that was stopped amid soft rounds, with weights that predict."""
    expected = _expect(target, fit.parameters, anchors, _predicting(pins), 1.0)
    parameters = fit.parameters._replace(weights=expected.weights)
    return fit._replace(parameters=parameters, shares=expected.shares)


def _predicting(pins: Pins) -> Pins:
    """Pins of the last round: shares that are held firmly while classes move, so that
    none takes all rows, are no better known than a prior when they have moved."""
    if pins.reg_m is None:
        return pins
    return pins._replace(reg_m=min(pins.reg_m, 1.0))


def _measured(rows: Target, kind: CovarianceType) -> _Target:
    blocks = rows.blocks
    center = blocks.mean_and_variances()[0]
    scatter = np.empty((0, 0))
    if kind.name == "tied":
        scatter = blocks.scatter(center)
    return _Target(blocks, rows.average, kind, center, scatter)


def _expect(
    target: _Target,
    parameters: Parameters,
    anchors: Anchors,
    pins: Pins,
    power: float,
) -> _Expected:
    """Responsibilities under tempered likelihoods and relaxed shares."""
    at_anchor = parameters._replace(weights=anchors.weights)
    view, gaussians = View(target.blocks), gaussians_of(at_anchor, target.kind)
    log_weights = np.log(anchors.weights)
    if target.tied:
        factor = parameters.factors
        view = View(target.blocks, target.center, factor)
        means = (parameters.means - target.center) @ factor
        gaussians = Gaussians(log_weights, means, np.ones(means.shape))
    gaussians = Gaussians(
        log_weights + power * (gaussians.offsets - log_weights),
        gaussians.means,
        np.sqrt(power) * gaussians.whiteners,
    )
    posteriors = Posteriors(view, gaussians)
    tilts, shares = relaxed_tilts(
        posteriors.tilted_shares,
        anchors.weights,
        pins.reg_m,
        parameters.weights / anchors.weights,
    )
    weights = anchors.weights * tilts
    return _Expected(posteriors, tilts, weights / weights.sum(), shares)


def relaxed_tilts(
    shares_of: Callable[[np.ndarray], np.ndarray],
    weights: np.ndarray,
    reg_m: float | None,
    tilts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Factors of the posteriors that pull their mean c towards `weights` π.

    Maximising the likelihood over weights of the components, less n ρ KL(c | π), gives
    weights :math:`c_k^{1 - \rho} \pi_k^\rho`. With c(u) the mean of
    :math:`p_{ik} u_k / \sum_l p_{il} u_l` they are :math:`\pi_k u_k`, and

    .. math::
        u_k = (c_k / \pi_k)^{1 - \rho} \quad (\rho < 1), \qquad
        u_k = (\pi_k u_k / c_k)^{(\rho - 1) / \rho} \quad (\rho \ge 1)

    are iterated: steps of EM, and the scaling of unbalanced transport (Chizat et al.
    2018, doi 10.1090/mcom/3303). The solution is unique.

    Parameters
    ----------
    shares_of : callable
        c as a function of u.
    weights : ndarray of shape (K,)
        π.
    reg_m : float or None
        ρ; 0 gives weights c, 1 gives weights π, None asks for c = π.
    tilts : ndarray of shape (K,)
        u to start from.

    Returns
    -------
    tilts : ndarray of shape (K,)
        u.
    shares : ndarray of shape (K,)
        c(u).
    """
    if reg_m == 1.0:
        tilts = np.ones(len(weights))
        return tilts, shares_of(tilts)
    rate = -1.0 if reg_m is None else (1.0 - reg_m) / max(1.0, reg_m)
    shares = shares_of(tilts)
    for _ in range(_MAX_TILTS):
        expected = weights * tilts if rate < 0.0 else weights
        following = np.maximum(shares / expected, _FEWEST) ** rate
        moved = np.abs(np.log(following / tilts)).max()
        tilts, shares = following, shares_of(following)
        if moved < _TILT_TOL:
            break
    return tilts, shares


def _maximise(
    target: _Target, expected: _Expected, anchors: Anchors, pins: Pins
) -> Parameters:
    """Means and covariances between the rows and the anchors."""
    kind, blocks = target.kind, target.blocks
    full = kind.full_form and not target.tied
    responsibilities = expected.posteriors.tilted(expected.tilts, target.average)
    moments = blocks.given_moments(responsibilities.of, anchors.means, full)
    held = pins.transport_weight * moments.mass * anchors.weights
    steps = moments.sums / safe_counts(moments.counts + held)[:, None]
    means = anchors.means + steps
    prior = pins.shrinkage * moments.mass * anchors.weights
    if target.tied:
        covariances = _tied_covariance(target, moments, means, anchors, prior.sum())
    else:
        covariances = _own_covariances(kind, moments, steps, anchors, prior)
    covariances = _with_ridge(kind, covariances, pins.reg_covar)
    factors = kind.precisions_cholesky(covariances)
    return Parameters(expected.weights, means, covariances, factors)


def _tied_covariance(
    target: _Target,
    moments: Moments,
    means: np.ndarray,
    anchors: Anchors,
    prior: float,
) -> np.ndarray:
    """Pooled scatter about the means, from the scatter of all rows."""
    counts = moments.counts[:, None]
    offsets = means - target.center
    sums = moments.sums + counts * (anchors.means - target.center)
    cross = offsets.T @ sums
    scatter = target.scatter - cross - cross.T + offsets.T @ (counts * offsets)
    scatter = scatter + prior * anchors.covariances
    return 0.5 * (scatter + scatter.T) / (moments.mass + prior)


def _own_covariances(
    kind: CovarianceType,
    moments: Moments,
    steps: np.ndarray,
    anchors: Anchors,
    prior: np.ndarray,
) -> np.ndarray:
    """Scatter of each component about its mean, shrunk to the anchor's and the pool."""
    right = (slice(None), None, None) if kind.full_form else (slice(None), None)
    left = steps[:, :, None] if kind.full_form else steps
    sums = moments.sums[:, None, :] if kind.full_form else moments.sums
    both = steps[:, None, :] if kind.full_form else steps
    cross = left * sums
    if kind.full_form:
        cross = 0.5 * (cross + cross.swapaxes(1, 2))
    scatter = moments.seconds - 2.0 * cross + moments.counts[right] * left * both
    scatter = scatter + prior[right] * anchors.covariances
    mass = moments.counts + prior
    pool = scatter.sum(axis=0) / mass.sum()
    pooled = pooled_rows(kind, steps.shape[1])
    return (scatter + pooled * pool) / (mass + pooled)[right]


def _with_ridge(
    kind: CovarianceType, covariances: np.ndarray, reg_covar: float
) -> np.ndarray:
    if not kind.full_form:
        return covariances + reg_covar
    return covariances + reg_covar * np.eye(covariances.shape[-1])


def _change(kind: CovarianceType, before: Parameters, after: Parameters) -> float:
    """The largest step of a mean, in deviations of its component."""
    variances = after.covariances
    if kind.full_form:
        variances = diagonals(variances)
    steps = np.square(after.means - before.means) / variances
    return float(np.sqrt(steps.max()))
