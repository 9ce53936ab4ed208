"""Means and covariances of coupled mixtures, for given plans and given rotations.

The transport terms of `_links` are quadratic in the matrices [L | m] of all components,
and not below the true ones: what lowers them together with the likelihood's loss

    sum_k n_k [log |det L_k| + tr(L_k^-1 A_k L_k^-T) / 2],
    A_k = scatter_k + (mean_k - m_k)(mean_k - m_k)^T,

lowers the true loss.  One Newton step in [G | g], L <- L (I + G), m <- m + L g, solved
by conjugate gradients, does it; the Hessian is exact, its products cost a few stacked
matrix products.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from skgmmot.linalg._spd import transpose
from skgmmot.mixture.coupled._links import LinkTerm, pull, stiffness
from skgmmot.mixture.coupled._records import AffineMaps, StackedMoments

_MAX_CONJUGATE_STEPS = 50
_MAX_HALVINGS = 40
# Relative residual at which the conjugate gradients stop.
_FORCING = 0.03
# Share of the predicted fall that a step must keep.
_ARMIJO = 1e-4
# Antisymmetric G turns a factor and changes no covariance: a floor for its curvature.
_GAUGE = 1e-7

_Operator = Callable[[np.ndarray], np.ndarray]


class WhitenedMoments(NamedTuple):
    """Moments whitened by the components, and the likelihood's loss."""

    loss: float  # sum_k n_k [log |det L_k| + tr(L_k^-1 A_k L_k^-T) / 2]
    lengths: np.ndarray  # (F, K, p) squared lengths of the columns of L
    scatters: np.ndarray  # (F, K, p, p) L^-1 scatter L^-T
    gaps: np.ndarray  # (F, K, p, 1) L^-1 (mean - m)
    seconds: np.ndarray  # (F, K, p, p) scatters + gaps gaps^T


def orthogonal_factors(matrices: np.ndarray) -> np.ndarray:
    """Return factors with orthogonal columns of the same L L^T."""
    if matrices.shape[-1] == 1:
        return np.abs(matrices)
    vectors, values, _ = np.linalg.svd(matrices)
    return vectors * values[..., None, :]


def whiten_moments(moments: StackedMoments, maps: AffineMaps) -> WhitenedMoments:
    """Whiten the moments by the components."""
    factors = maps.factors
    lengths = np.square(factors).sum(axis=-2)
    inverse = transpose(factors / lengths[..., None, :])
    gaps = inverse @ (moments.means - maps.means)[..., None]
    scatters = inverse @ moments.scatters @ transpose(inverse)
    seconds = scatters + gaps * transpose(gaps)
    terms = np.log(lengths).sum(axis=-1) + np.einsum("fkii->fk", seconds)
    loss = 0.5 * float((terms @ moments.counts).sum())
    return WhitenedMoments(loss, lengths, scatters, gaps, seconds)


def newton_step(
    moments: StackedMoments,
    maps: AffineMaps,
    whitened: WhitenedMoments,
    terms: Sequence[LinkTerm],
) -> tuple[AffineMaps, float, float]:
    """Take one step that lowers likelihood loss plus transport term.

    Parameters
    ----------
    moments : StackedMoments
    maps : AffineMaps
    whitened : WhitenedMoments
        From `whiten_moments(moments, maps)`.
    terms : list of LinkTerm

    Returns
    -------
    maps : AffineMaps
    fall : float
        By how much the sum fell, at least; 0 where no step helps.
    expected : float
        The fall of the quadratic model: equal to `fall` near the optimum.
    """
    position = np.concatenate([maps.factors, maps.means[..., None]], axis=-1)
    slope_of_terms = transpose(maps.factors) @ pull(position, terms, position=True)
    slope = _likelihood_slope(moments, whitened) + slope_of_terms
    slope *= moments.moving[:, None, None]
    slope = _shared(moments, slope)
    step = _conjugate_gradients(
        _hessian(moments, maps, whitened, terms),
        _preconditioner(moments, maps, whitened, terms),
        slope,
    )
    first = np.vdot(slope, step)
    travel = maps.factors @ step
    linear = np.vdot(slope_of_terms, step)
    square = 0.5 * np.vdot(travel, pull(travel, terms))
    length = 1.0
    for _ in range(_MAX_HALVINGS):
        rise = _likelihood_rise(moments, whitened, length * step)
        rise += length * linear + length**2 * square
        if rise <= _ARMIJO * length * first:
            return _moved(maps, length * travel), -rise, -0.5 * first
        length *= 0.5
    return maps, 0.0, 0.0


def _shared(moments: StackedMoments, step: np.ndarray) -> np.ndarray:
    # Onto the steps in which components that share a factor change it alike.
    if moments.tied is not None:
        step[..., :-1] = moments.shared(step[..., :-1])
    return step


def _moved(maps: AffineMaps, travel: np.ndarray) -> AffineMaps:
    p = travel.shape[-2]
    factors = orthogonal_factors(maps.factors + travel[..., :p])
    return AffineMaps(factors, maps.means + travel[..., p])


def _likelihood_slope(moments: StackedMoments, whitened: WhitenedMoments) -> np.ndarray:
    p = whitened.seconds.shape[-1]
    slope = np.empty((*whitened.seconds.shape[:-1], p + 1))
    np.subtract(np.eye(p), whitened.seconds, out=slope[..., :p])
    np.negative(whitened.gaps, out=slope[..., p:])
    slope *= moments.counts[:, None, None]
    return slope


def _likelihood_rise(
    moments: StackedMoments, whitened: WhitenedMoments, step: np.ndarray
) -> float:
    # Change of the likelihood's loss from [I | 0] to I + step, by differences.
    p = step.shape[-2]
    linear = np.eye(p) + step[..., :p]
    log_det = np.linalg.slogdet(linear)[1]
    if not np.isfinite(log_det).all():
        return np.inf
    inverse = np.linalg.inv(linear)
    gaps = inverse @ (whitened.gaps - step[..., p:])
    spread = ((inverse @ whitened.scatters) * inverse).sum(axis=(-2, -1))
    spread += np.square(gaps).sum(axis=(-2, -1))
    spread -= np.einsum("fkii->fk", whitened.seconds)
    return float(((log_det + 0.5 * spread) @ moments.counts).sum())


def _hessian(
    moments: StackedMoments,
    maps: AffineMaps,
    whitened: WhitenedMoments,
    terms: Sequence[LinkTerm],
) -> _Operator:
    # Its product with [G | g]:  n [S N + (N - I) G^T + g e^T + e g^T | g + S e] with
    # S = G + G^T, N the second moments, e the gaps, and L^T pull(L [G | g]).
    p = maps.factors.shape[-1]
    factors, turned = maps.factors, transpose(maps.factors)
    # Counts and the mask of frozen components, multiplied in once.
    moving = moments.moving[:, None, None]
    n = moments.counts[:, None, None]
    seconds = n * whitened.seconds
    gaps = n * whitened.gaps
    gaps_row = transpose(gaps)
    excess = seconds - n * np.eye(p)
    frozen = not moving.all()

    def product(step: np.ndarray) -> np.ndarray:
        linear, shift = step[..., :p], step[..., p:]
        flipped = transpose(linear)
        both = linear + flipped
        outer = shift * gaps_row
        result = turned @ pull(factors @ step, terms)
        result[..., :p] += both @ seconds + excess @ flipped + outer + transpose(outer)
        result[..., p:] += n * shift + both @ gaps
        return _shared(moments, result * moving if frozen else result)

    return product


def _preconditioner(
    moments: StackedMoments,
    maps: AffineMaps,
    whitened: WhitenedMoments,
    terms: Sequence[LinkTerm],
) -> _Operator:
    # Inverse of n (G + G^T) + diag(stiffness) G, the Hessian of components that fit
    # their moments and whose partners stand still: 2 x 2 systems in (G_ij, G_ji).
    p = whitened.lengths.shape[-1]
    n = moments.counts[:, None, None]
    stiff = stiffness(maps.factors, whitened.lengths, terms)
    stiff += _GAUGE * moments.counts[:, None]
    shift = 1 / (n + stiff[..., None])
    stiff, n = moments.shared(stiff), moments.shared(n[None])
    row, column = stiff[..., :, None], stiff[..., None, :]
    determinant = n * (row + column) + row * column
    own, other = (n + column) / determinant, n / determinant

    def apply(residual: np.ndarray) -> np.ndarray:
        linear = residual[..., :p]
        turned = own * linear - other * transpose(linear)
        return np.concatenate([turned, shift * residual[..., p:]], axis=-1)

    return apply


def _conjugate_gradients(
    product: _Operator, precondition: _Operator, slope: np.ndarray
) -> np.ndarray:
    # Truncated: stops at the first direction of negative curvature.
    step = np.zeros_like(slope)
    residual = -slope
    direction = ready = precondition(residual)
    size = start = np.vdot(residual, ready)
    for count in range(_MAX_CONJUGATE_STEPS):
        image = product(direction)
        bend = np.vdot(direction, image)
        if bend <= 0:
            return direction if count == 0 else step
        length = size / bend
        step = step + length * direction
        residual = residual - length * image
        ready = precondition(residual)
        before, size = size, np.vdot(residual, ready)
        if size <= _FORCING**2 * start:
            break
        direction = ready + size / before * direction
    return step
