"""Means and covariances of a coupled mixture, for a given plan and given rotations.

A component is the affine map z -> L z + m of standard normal z; [L | m] is its matrix.
With the rotations R_kl held, the transport term

    w sum_kl gamma_kl (|m_k - m_l|^2 + |L_k - L_l R_kl|^2)

is quadratic in all matrices of both sides together, and not below the true one: what
lowers it together with the likelihood's loss

    sum_k n_k [log |det L_k| + tr(L_k^-1 A_k L_k^-T) / 2],
    A_k = scatter_k + (mean_k - m_k)(mean_k - m_k)^T,

lowers the true loss.  One Newton step in [G | g], L <- L (I + G), m <- m + L g, solved
by conjugate gradients, does it; the Hessian is exact, its products cost a few stacked
matrix products.

Arrays have the shape (F, K, p, ...): full covariances are one block of p = d features,
diagonal ones d blocks of a single feature.  K runs over the source, then the target.
"""

from typing import NamedTuple

import numpy as np

from skgmmot.linalg._bures import rotations
from skgmmot.linalg._spd import transpose

_MAX_CONJUGATE_STEPS = 50
_MAX_HALVINGS = 40
# Relative residual at which the conjugate gradients stop.
_FORCING = 0.03
# Share of the predicted fall that a step must keep.
_ARMIJO = 1e-4
# Antisymmetric G turns a factor and changes no covariance: a floor for its curvature.
_GAUGE = 1e-7


class Stack(NamedTuple):
    """Components of both sides as affine maps."""

    factors: np.ndarray  # (F, K, p, p), orthogonal columns
    means: np.ndarray  # (F, K, p)


class Targets(NamedTuple):
    """Moments of both sides, in the same form."""

    counts: np.ndarray  # (K,)
    means: np.ndarray  # (F, K, p)
    scatters: np.ndarray  # (F, K, p, p)
    moving: np.ndarray  # (K,) bool, False on a frozen side


class View(NamedTuple):
    """The moments as the components see them, and their loss."""

    loss: float  # sum_k n_k [log |det L_k| + tr(L_k^-1 A_k L_k^-T) / 2]
    lengths: np.ndarray  # (F, K, p) squared lengths of the columns of L
    scatters: np.ndarray  # (F, K, p, p) L^-1 scatter L^-T
    gaps: np.ndarray  # (F, K, p, 1) L^-1 (mean - m)
    seconds: np.ndarray  # (F, K, p, p) scatters + gaps gaps^T


def orthogonal_factors(matrices):
    """Return factors with orthogonal columns of the same L L^T."""
    if matrices.shape[-1] == 1:
        return np.abs(matrices)
    vectors, values, _ = np.linalg.svd(matrices)
    return vectors * values[..., None, :]


def compare(stack, k0):
    """Return the rotations (F, K0, K1, p, p) and the squared distances (K0, K1)."""
    left, right = stack.factors[:, :k0, None], stack.factors[:, None, k0:]
    shifts = stack.means[:, :k0, None] - stack.means[:, None, k0:]
    if left.shape[-1] == 1:
        turns = np.ones((1, *right.shape[1:]))
        turns = np.broadcast_to(turns, (1, k0, *right.shape[2:]))
        gaps = left - right
    else:
        turns = rotations(left, right)
        gaps = left - right @ turns
    costs = np.einsum("fklij,fklij->kl", gaps, gaps)
    return turns, costs + np.einsum("fkli,fkli->kl", shifts, shifts)


def coupling_matrix(plan, turns):
    """Return H (F, K q, K q), q = p + 1: the transport term is tr(Y H Y^T) / 2.

    Y (p, K q) holds all matrices [L | m] side by side; `plan` is in nats per unit of
    squared distance.
    """
    k0, k1 = plan.shape
    p, q, k = turns.shape[-1], turns.shape[-1] + 1, k0 + k1
    matrix = np.zeros((len(turns), k, q, k, q))
    weighted = -2 * plan[..., None, None] * turns
    matrix[:, k0:, :p, :k0, :p] = weighted.transpose(0, 2, 3, 1, 4)
    matrix[:, :k0, :p, k0:, :p] = weighted.transpose(0, 1, 4, 2, 3)
    matrix[:, k0:, p, :k0, p] = -2 * plan.T
    matrix[:, :k0, p, k0:, p] = -2 * plan
    matrix = matrix.reshape(len(turns), k * q, k * q)
    mass = 2 * np.concatenate([plan.sum(1), plan.sum(0)])
    matrix[:, np.arange(k * q), np.arange(k * q)] = np.repeat(mass, q)
    return matrix


def look(targets, stack):
    """Whiten the moments by the components: a View."""
    factors = stack.factors
    lengths = np.square(factors).sum(axis=-2)
    inverse = transpose(factors / lengths[..., None, :])
    gaps = inverse @ (targets.means - stack.means)[..., None]
    scatters = inverse @ targets.scatters @ transpose(inverse)
    seconds = scatters + gaps * transpose(gaps)
    terms = np.log(lengths).sum(axis=-1) + np.einsum("fkii->fk", seconds)
    loss = 0.5 * float((terms @ targets.counts).sum())
    return View(loss, lengths, scatters, gaps, seconds)


def newton_step(targets, stack, view, coupling):
    """Take one step that lowers likelihood loss plus transport term.

    Parameters
    ----------
    targets : Targets
    stack : Stack
    view : View
        From `look(targets, stack)`.
    coupling : ndarray of shape (F, K q, K q)
        From `coupling_matrix`; F may be 1.

    Returns
    -------
    stack : Stack
    fall : float
        By how much the sum fell, at least; 0 where no step helps.
    expected : float
        The fall of the quadratic model: equal to `fall` near the optimum.
    """
    position = np.concatenate([stack.factors, stack.means[..., None]], axis=-1)
    pull = transpose(stack.factors) @ _couple(position, coupling)
    slope = _likelihood_slope(targets, view) + pull
    slope *= targets.moving[:, None, None]
    step = _conjugate_gradients(
        _hessian(targets, stack, view, coupling),
        _preconditioner(targets, view, coupling),
        slope,
    )
    first = np.vdot(slope, step)
    travel = stack.factors @ step
    linear = np.vdot(pull, step)
    square = 0.5 * np.vdot(travel, _couple(travel, coupling))
    length = 1.0
    for _ in range(_MAX_HALVINGS):
        rise = _likelihood_rise(targets, view, length * step)
        rise += length * linear + length**2 * square
        if rise <= _ARMIJO * length * first:
            return _moved(stack, length * travel), -rise, -0.5 * first
        length *= 0.5
    return stack, 0.0, 0.0


def _moved(stack, travel):
    p = travel.shape[-2]
    factors = orthogonal_factors(stack.factors + travel[..., :p])
    return Stack(factors, stack.means + travel[..., p])


def _couple(matrices, coupling):
    # Y H with all matrices side by side.
    f, k, p, q = matrices.shape
    wide = matrices.transpose(0, 2, 1, 3).reshape(f, p, k * q)
    return (wide @ coupling).reshape(f, p, k, q).transpose(0, 2, 1, 3)


def _likelihood_slope(targets, view):
    p = view.seconds.shape[-1]
    slope = np.empty((*view.seconds.shape[:-1], p + 1))
    np.subtract(np.eye(p), view.seconds, out=slope[..., :p])
    np.negative(view.gaps, out=slope[..., p:])
    slope *= targets.counts[:, None, None]
    return slope


def _likelihood_rise(targets, view, step):
    # Change of the likelihood's loss from [I | 0] to I + step, by differences.
    p = step.shape[-2]
    linear = np.eye(p) + step[..., :p]
    log_det = np.linalg.slogdet(linear)[1]
    if not np.isfinite(log_det).all():
        return np.inf
    inverse = np.linalg.inv(linear)
    gaps = inverse @ (view.gaps - step[..., p:])
    spread = ((inverse @ view.scatters) * inverse).sum(axis=(-2, -1))
    spread += np.square(gaps).sum(axis=(-2, -1))
    spread -= np.einsum("fkii->fk", view.seconds)
    return float(((log_det + 0.5 * spread) @ targets.counts).sum())


def _hessian(targets, stack, view, coupling):
    # Its product with [G | g]:  n [S N + (N - I) G^T + g e^T + e g^T | g + S e] with
    # S = G + G^T, N the second moments, e the gaps, and L^T ((L [G | g]) H).
    p = stack.factors.shape[-1]
    factors, turned = stack.factors, transpose(stack.factors)
    # Counts and the mask of frozen components, multiplied in once.
    moving = targets.moving[:, None, None]
    n = targets.counts[:, None, None]
    seconds = n * view.seconds
    gaps = n * view.gaps
    gaps_row = transpose(gaps)
    excess = seconds - n * np.eye(p)
    frozen = not moving.all()

    def product(step):
        linear, shift = step[..., :p], step[..., p:]
        flipped = transpose(linear)
        both = linear + flipped
        outer = shift * gaps_row
        result = turned @ _couple(factors @ step, coupling)
        result[..., :p] += both @ seconds + excess @ flipped + outer + transpose(outer)
        result[..., p:] += n * shift + both @ gaps
        return result * moving if frozen else result

    return product


def _preconditioner(targets, view, coupling):
    # Inverse of n (G + G^T) + diag(stiffness) G, the Hessian of components that fit
    # their moments and whose partners stand still: 2 x 2 systems in (G_ij, G_ji).
    p = view.lengths.shape[-1]
    n = targets.counts[:, None, None]
    mass = np.einsum("fii->fi", coupling)[0, p :: p + 1]
    stiffness = mass[:, None] * view.lengths + _GAUGE * targets.counts[:, None]
    row, column = stiffness[..., :, None], stiffness[..., None, :]
    determinant = n * (row + column) + row * column
    own, other = (n + column) / determinant, n / determinant
    shift = 1 / (n + row)

    def apply(residual):
        linear = residual[..., :p]
        turned = own * linear - other * transpose(linear)
        return np.concatenate([turned, shift * residual[..., p:]], axis=-1)

    return apply


def _conjugate_gradients(product, precondition, slope):
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
