"""Flow of one mixture towards another: descent of MW2² in its own geometry."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from skgmmot._checks import check_integer, is_real, message
from skgmmot.linalg._mixture import Mixture
from skgmmot.transport._alignment import (
    align,
    as_gaussians,
    as_points,
    mean_images,
)
from skgmmot.transport._mw2 import checked_pair, common_dtype
from skgmmot.transport._plan import solve_plan, weight_derivative
from skgmmot.transport._simplex import cleaned, normalised, simplex

_EPS = np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).tiny
_MAX_ATTEMPTS = 12
# Steps whose mixtures are made together.
_CHUNK_BYTES = 2**20
# A kink nearer than this part of a step is here, to rounding.
_SMALLEST_PART = 1e-12


class FlowPath(NamedTuple):
    """A flow of mixtures and its losses.

    Parameters
    ----------
    mixtures : tuple of Mixture
        The source, then the mixture after each step, all with the same components.
    losses : ndarray of shape (n_steps + 1,)
        Value of the plan from each of them to the target.

    See Also
    --------
    mw2_flow : Makes a FlowPath.

    Examples
    --------
    >>> from skgmmot.transport import mw2_flow
    >>> mixture = [1.0], [[0.0]], [[[1.0]]]
    >>> path = mw2_flow(mixture, mixture, n_steps=2)
    >>> len(path.mixtures), path.losses
    (3, array([0., 0., 0.]))
    """

    mixtures: tuple[Mixture, ...]
    losses: np.ndarray


class _Problem(NamedTuple):
    """What stays: the target, the kind of plan, steps, length² of the weights.

    Potentials of the flow are in units of `length`: their squares do not overflow.
    `rates` are the steps of mean and factor, twice, as a column beside a point.
    """

    points: np.ndarray
    weights: np.ndarray
    reg: float
    reg_m: object
    step: float
    rates: np.ndarray
    length: float


class _State(NamedTuple):
    """A point of the flow and all that its next step needs.

    `gap` is by how much the potential jumped at the kink where the weights are.
    """

    weights: np.ndarray
    points: np.ndarray
    images: np.ndarray
    costs: np.ndarray
    coupling: np.ndarray
    potential: np.ndarray
    loss: float
    gap: np.ndarray | None = None


def mw2_flow(
    source: Any,
    target: Any,
    *,
    n_steps: int = 100,
    step_size: Any = 0.05,
    callback: Callable[..., Any] | None = None,
    reg: float = 0.0,
    reg_m: Any = None,
) -> FlowPath:
    r"""Gradient flow of a mixture that lowers its MW2² to another.

    With the coupling :math:`\gamma` of the present mixture :math:`(\pi, m, \Sigma)` and
    the target, and the optimal maps :math:`T_{kl}` between components, a step of sizes
    :math:`(\tau_\pi, \tau_m, \tau_\Sigma)` is

    .. math::
        \pi_k &\propto \pi_k \exp(-\tau_\pi f_k / c)

        m_k &\leftarrow m_k - \tau_m \frac{2}{\pi_k} \sum_l \gamma_{kl} (m_k - m'_l)

        \Sigma_k &\leftarrow (I - \tau_\Sigma S_k) \Sigma_k (I - \tau_\Sigma S_k),
        \qquad S_k = \frac{2}{\pi_k} \sum_l \gamma_{kl} (I - T_{kl})

    f the potential of the source: mirror descent for the weights, the displacement for
    the means, the exponential of the Bures-Wasserstein geometry for the covariances,
    which stay positive semi-definite without any projection.

    Parameters
    ----------
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator, with K0
        and K1 components; the numbers may differ.
    n_steps : int, default=100
        Number of steps.
    step_size : float or tuple of three floats, default=0.05
        Steps for weights, means and covariances; 0 keeps these parameters. Each is
        halved on its own where the loss would rise. At 1 / 2 means and covariances
        would jump to their mean image at once.
    callback : callable, default=None
        Called as ``callback(step, mixture, loss)`` after each step, from step 1 on. The
        flow ends early where it returns True.
    reg : float, default=0.0
        Entropic regularisation, as in `mw2_plan`.
    reg_m : float or pair of float or None, default=None
        Penalty on the marginals, as in `mw2_plan`.

    Returns
    -------
    path : FlowPath
        ``n_steps + 1`` mixtures and losses, the start included. Every mixture has K0
        components in the order of the source; float32 if source and target are.

    Raises
    ------
    ValueError
        If n_steps is negative or a step size is negative or not finite; and what
        `mw2_plan` raises.

    See Also
    --------
    mw2_gradient : The derivatives, for other methods of descent.
    mw2_interpolation : The shortest path, which may split components.

    Notes
    -----
    The flow is the steepest descent of the loss in the metric
    :math:`\sum_k \pi_k (|dm_k|^2 + \mathrm{tr}(S_k \Sigma_k S_k)) + c \sum_k d\pi_k^2 /
    \pi_k`, where :math:`d\Sigma = S \Sigma + \Sigma S` and c is the cost of the
    independent coupling at the start, so that no unit matters. For small steps the
    loss falls by the step times the squared length of the gradient in this metric. It
    never rises: a fixed coupling bounds the loss from above, and that bound falls for
    all steps of means and covariances below 1. Where a kink of the loss lies on the way
    of the weights, they go first, to the kink and along it.

    MW2 is not convex, and a component whose image is the mean of several targets need
    not be at the global minimum. Singular covariances are allowed, on both sides.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047. Lambert, Chewi, Bach, Bonnabel
    and Rigollet, *Variational inference via Wasserstein gradient flows* (2022), doi
    10.48550/arXiv.2205.15902.

    Examples
    --------
    >>> from skgmmot.transport import mw2_flow
    >>> source = [0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]]
    >>> target = [0.2, 0.8], [[3.0], [9.0]], [[[4.0]], [[0.25]]]
    >>> path = mw2_flow(source, target, n_steps=200)
    >>> path.mixtures[-1].means.ravel().round(3)
    array([3., 9.])
    >>> bool(path.losses[-1] < 1e-6)
    True
    """
    source, target = checked_pair(source, target)
    check_integer(n_steps, "n_steps")
    if callback is not None and not callable(callback):
        raise TypeError(message("callback", "a callable or None", repr(callback)))
    step, *steps = _checked_steps(step_size)
    points = as_points(target.means, target.covariances)
    rates = _bounded(2.0 * np.repeat(steps, [1, points.shape[2]])[:, None])
    weights = normalised(target.weights)
    problem = _Problem(points, weights, reg, reg_m, step, rates, 1.0)
    points = as_points(source.means, source.covariances)
    state = _state(problem, normalised(source.weights), points)
    spread = problem.weights @ (state.weights @ state.costs)
    problem = problem._replace(length=spread or 1.0)
    state = state._replace(potential=state.potential / problem.length)
    dtype = common_dtype(source, target)
    first = Mixture(*(array.astype(dtype) for array in source))
    return _path(problem, state, first, n_steps, callback)


def _path(
    problem: _Problem,
    state: _State,
    first: Mixture,
    n_steps: int,
    callback: Callable[..., Any] | None,
) -> FlowPath:
    """Take the steps; mixtures are made at the end, or at once for a callback."""
    weights, points, losses = [], [], [state.loss]
    dtype = first.weights.dtype
    for step in range(1, n_steps + 1):
        state = _step(problem, state)
        # Not the whole state: images of all pairs are many times larger.
        weights.append(state.weights)
        points.append(state.points)
        losses.append(state.loss)
        if callback is not None:
            (mixture,) = _mixtures([state.weights], [state.points], dtype)
            if callback(step, mixture, state.loss) is True:
                break
    return FlowPath((first, *_mixtures(weights, points, dtype)), np.array(losses))


def _checked_steps(step_size: Any) -> tuple[float, ...]:
    """Return three steps."""
    several = isinstance(step_size, Iterable)
    steps = tuple(step_size) if several else (step_size,) * 3
    if len(steps) != 3 or not all(is_real(step, 0.0) for step in steps):
        expected = (
            "a number, or three for weights, means and covariances, finite and not "
            "negative"
        )
        raise ValueError(message("step_size", expected, repr(step_size)))
    return tuple(float(step) for step in steps)


def _mixtures(
    weights: list[np.ndarray], points: list[np.ndarray], dtype: Any
) -> list[Mixture]:
    """Return the mixtures of lists of weights and points, views of common arrays."""
    if not weights:
        return []
    size = max(1, _CHUNK_BYTES // points[0].nbytes)
    mixtures: list[Mixture] = []
    for start in range(0, len(weights), size):
        part = slice(start, start + size)
        stacks = np.array(weights[part]), *as_gaussians(np.array(points[part]))
        mixtures.extend(map(Mixture, *(x.astype(dtype, copy=False) for x in stacks)))
    return mixtures


def _state(
    problem: _Problem,
    weights: np.ndarray,
    points: np.ndarray,
    gap: np.ndarray | None = None,
) -> _State:
    """Evaluate a point of the flow."""
    placed = points, *align(points[:, None], problem.points)
    return _coupled(problem, weights, placed, gap)


def _coupled(
    problem: _Problem,
    weights: np.ndarray,
    placed: tuple[np.ndarray, np.ndarray, np.ndarray],
    gap: np.ndarray | None = None,
) -> _State:
    """Couple weights with the target, for points, images and costs as they are."""
    costs = placed[2]
    if problem.reg_m is None and problem.reg == 0.0:
        coupling, potential, _ = simplex(costs, weights, problem.weights)
        coupling = cleaned(coupling)
        loss = float(np.vdot(coupling, costs))
    else:
        kind = {"reg": problem.reg, "reg_m": problem.reg_m}
        plan = solve_plan(costs, weights, problem.weights, **kind)
        coupling, loss = plan.coupling, plan.value
        potential = weight_derivative(plan, problem.weights.sum(), **kind)
    potential = potential / problem.length
    return _State(weights, *placed, coupling, potential, loss, gap)


def _step(problem: _Problem, state: _State) -> _State:
    """Move weights and points at once; one after the other where that is too far.

    The loss is convex in the weights: where it rises at the end of the way there was
    a minimum in between, most often a kink.
    """
    weights = _moved_weights(problem, state)
    trial = _state(problem, weights, _moved_points(problem, state), state.gap)
    if trial.loss <= state.loss:
        way = weights - state.weights
        if weights is state.weights or way.dot(trial.potential) <= 0.0:
            return trial
    state = _move_weights(problem, state)
    points = _moved_points(problem, state)
    trial = _state(problem, state.weights, points, state.gap)
    # Only rounding can raise the loss: then the flow has arrived.
    return trial if trial.loss <= state.loss else state


def _moved_weights(problem: _Problem, state: _State) -> np.ndarray:
    """Return the weights after a full step, the same ones where nothing is to gain."""
    slopes, promised = _slopes(problem, state, _first_potential(state))
    if problem.step * promised <= _EPS * state.loss:
        return state.weights
    return _mirrored(state, problem.step * slopes)


def _slopes(
    problem: _Problem, state: _State, potential: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the velocities of log weights, and the squared length of the gradient."""
    slopes = potential - state.weights.dot(potential)
    return slopes, problem.length * state.weights.dot(slopes * slopes)


def _mirrored(state: _State, moves: np.ndarray) -> np.ndarray:
    """Lower the logarithms of the weights; near a kink in a straight line along it."""
    if state.gap is None or moves.dot(moves) > 0.25:
        lowest = moves[state.weights > 0.0].min()
        weights = state.weights * np.exp(np.minimum(lowest - moves, 0.0))
    else:
        weights = state.weights * (1.0 - moves)
    return weights / weights.sum()


def _move_weights(problem: _Problem, state: _State) -> _State:
    """Mirror descent of the weights, along kinks where the loss has them.

    Without entropy the loss is piecewise linear in the weights and its minimum is a
    kink. Where a step does not bring half of what the slope promises, a kink is in
    between: go there, and on along the shortest combination of the potentials of both
    sides; if that fails too, by half of the step. See Kiwiel, *Methods of Descent for
    Nondifferentiable Optimization* (1985), doi 10.1007/BFb0074500.
    """
    step, potential = problem.step, _first_potential(state)
    placed = state.points, state.images, state.costs
    gap = state.gap
    for attempt in range(_MAX_ATTEMPTS):
        slopes, promised = _slopes(problem, state, potential)
        if step * promised <= _EPS * state.loss:
            break
        weights = _mirrored(state, step * slopes)
        trial = _coupled(problem, weights, placed, gap)
        if trial.loss <= state.loss - 0.5 * step * promised:
            return trial
        gap = trial.potential - potential
        potential = _shortest(state.weights, potential, gap)
        part = _kink(problem, state, trial)
        if part > _SMALLEST_PART:
            weights = state.weights + part * (weights - state.weights)
            kink = _coupled(problem, weights, placed, gap)
            state = kink if kink.loss < state.loss else state
        if attempt:
            step *= 0.5
    return state._replace(gap=gap)


def _first_potential(state: _State) -> np.ndarray:
    """Return the potential of a state, at a known kink that of least variance.

    At a kink the plan is degenerate; it may have the potential of either side.
    """
    if state.gap is None:
        return state.potential
    if np.count_nonzero(state.coupling) >= sum(state.coupling.shape) - 1:
        return state.potential
    return _shortest(state.weights, state.potential, state.gap, -1.0)


def _shortest(
    weights: np.ndarray,
    potential: np.ndarray,
    gap: np.ndarray,
    least: float = 0.0,
) -> np.ndarray:
    """Return potential + share * gap of least variance, share from `least` to 1."""
    gap = gap - weights.dot(gap)
    weighted = weights * gap
    variance = weighted.dot(gap)
    if variance == 0.0:
        return potential
    share = -weighted.dot(potential) / variance
    return potential + min(max(share, least), 1.0) * gap


def _kink(problem: _Problem, state: _State, trial: _State) -> float:
    """Return where on the way from state to trial the tangents of both ends meet."""
    way = problem.length * (trial.weights - state.weights)
    ahead, behind = state.potential.dot(way), trial.potential.dot(way)
    if behind <= ahead:
        return 0.0
    part = (trial.loss - behind - state.loss) / (ahead - behind)
    return min(max(part, 0.0), 1.0)


def _moved_points(problem: _Problem, state: _State) -> np.ndarray:
    """Return points part of the way to the mean images.

    For a fixed coupling the squared distance to the images changes by the factor
    (1 - 2 τ r / π)², r the mass of the row, so that τ r / π ≤ 1 lowers the loss.
    """
    rows, rates = np.add.reduce(state.coupling, axis=1), problem.rates
    conditional = state.coupling / np.maximum(rows, _TINY)[:, None]
    images = mean_images(conditional, state.images)
    if problem.reg_m is not None:
        shares = rows / np.maximum(state.weights, _TINY)
        rates = _bounded(rates, shares.max()) * shares[:, None, None]
    elif np.count_nonzero(rows) < len(rows):
        rates = rates * (rows > 0.0)[:, None, None]
    return state.points + rates * (images - state.points)


def _bounded(rates: np.ndarray, largest: float = 1.0) -> np.ndarray:
    """Halve the rates that would raise the loss of some component."""
    while (rates * largest).max() > 2.0:
        rates = np.where(rates * largest > 2.0, 0.5 * rates, rates)
    return rates
