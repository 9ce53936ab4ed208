"""Flow of one mixture towards another: descent of MW2² in its own geometry."""

from typing import NamedTuple

import numpy as np

from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._spd import transpose
from skgmmot.transport._alignment import Alignment, Cloud, align, cloud, pulled
from skgmmot.transport._mw2 import checked_pair, common_dtype
from skgmmot.transport._plan import solve_plan, weight_derivative
from skgmmot.transport._simplex import simplex

# A step is tried at most this often at one point: 2**-40 of it changes nothing.
_MAX_HALVINGS = 40


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
    """What stays: target, kind of plan, steps asked for, length² of the weights."""

    target: Cloud
    weights: np.ndarray
    reg: float
    reg_m: object
    steps: tuple[float, float, float]
    length: float

    @property
    def balanced(self):
        return self.reg_m is None


class _State(NamedTuple):
    """A point of the flow and all that its next step needs."""

    weights: np.ndarray
    cloud: Cloud
    alignment: Alignment
    coupling: np.ndarray
    potential: np.ndarray
    loss: float


def mw2_flow(
    source,
    target,
    *,
    n_steps=100,
    step_size=0.05,
    callback=None,
    reg=0.0,
    reg_m=None,
):
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
        halved on its own where the loss would rise; that of the weights may grow back.
        At 1 / 2 means and covariances would jump to their mean image at once.
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
    \pi_k`, where :math:`d\Sigma = S \Sigma + \Sigma S` and c is the loss at the start,
    so that no unit matters. For small steps the loss falls by the step times the
    squared length of the gradient in this metric. The loss never rises: a
    fixed coupling bounds the loss from above, and that bound falls for all steps of
    means and covariances below 1.

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
    if n_steps < 0:
        raise ValueError(f"n_steps must not be negative; got {n_steps!r}.")
    problem = _Problem(
        cloud(target),
        target.weights.astype(np.float64),
        reg,
        reg_m,
        _checked_steps(step_size),
        1.0,
    )
    state = _state(problem, source.weights.astype(np.float64), cloud(source))
    problem = problem._replace(length=state.loss or 1.0)
    dtype = common_dtype(source, target)
    first = Mixture(*(array.astype(dtype) for array in source))
    mixtures, losses, steps = [first], [state.loss], problem.steps
    for step in range(1, n_steps + 1):
        state, steps = _step(problem, state, steps)
        mixtures.append(_mixture(state, dtype))
        losses.append(state.loss)
        if callback is not None and callback(step, mixtures[-1], state.loss) is True:
            break
    return FlowPath(tuple(mixtures), np.array(losses))


def _checked_steps(step_size):
    """Return three steps."""
    steps = (step_size,) * 3 if np.ndim(step_size) == 0 else tuple(step_size)
    if len(steps) != 3 or not all(0.0 <= step < np.inf for step in steps):
        raise ValueError(
            "step_size must be a float, or three for weights, means and covariances, "
            f"finite and not negative; got {step_size!r}."
        )
    return tuple(float(step) for step in steps)


def _mixture(state, dtype):
    """Return the mixture of a state."""
    covariances = state.cloud.factors @ transpose(state.cloud.factors)
    arrays = state.weights, state.cloud.means, covariances
    return Mixture(*(array.astype(dtype) for array in arrays))


def _state(problem, weights, points, alignment=None):
    """Evaluate a point; a given alignment is that of the same points."""
    if alignment is None:
        alignment = align(points, problem.target)
    costs = alignment.costs
    if problem.balanced and problem.reg == 0.0:
        coupling, potential = simplex(costs, weights, problem.weights)
        loss = float(np.vdot(coupling, costs))
    else:
        kind = {"reg": problem.reg, "reg_m": problem.reg_m}
        plan = solve_plan(costs, weights, problem.weights, **kind)
        coupling, loss = plan.coupling, plan.value
        potential = weight_derivative(plan, problem.weights.sum(), **kind)
    return _State(weights, points, alignment, coupling, potential, loss)


def _step(problem, state, steps):
    """Move the weights, then means and covariances; return the steps to go on with."""
    state, weights_step = _move_weights(problem, state, steps[0])
    return _move_cloud(problem, state, (weights_step, *steps[1:]))


def _move_weights(problem, state, step):
    """Mirror descent by half of what the slope promises, or by nothing.

    Without entropy the loss is piecewise linear in the weights, with its minimum at a
    kink. There a step is accepted only within a third of its length from the kink, so
    that halving comes nearer to it by a factor 3 a step.
    """
    slopes = (state.potential - state.weights @ state.potential) / problem.length
    promised = problem.length * (state.weights @ np.square(slopes))
    enough = np.finfo(np.float64).eps * abs(state.loss)
    for halvings in range(_MAX_HALVINGS):
        if step * promised <= enough:
            break
        logs = -step * slopes
        weights = state.weights * np.exp(logs - logs.max())
        weights /= weights.sum()
        trial = _state(problem, weights, state.cloud, state.alignment)
        if trial.loss <= state.loss - 0.5 * step * promised:
            larger = min(2.0 * step, problem.steps[0])
            return trial, step if halvings else larger
        step *= 0.5
    return state, max(step, problem.steps[0] * 2.0**-_MAX_HALVINGS)


def _move_cloud(problem, state, steps):
    """Go part of the way to the mean images; return the new state and steps.

    For a fixed coupling the squared distance to the images changes by the factor
    (1 - 2 τ r / π)², r the mass of the row, so that τ r / π ≤ 1 lowers the loss.
    """
    rows = state.coupling.sum(axis=1)
    conditional = np.divide(
        state.coupling,
        rows[:, None],
        out=np.zeros_like(state.coupling),
        where=rows[:, None] > 0.0,
    )
    moved = rows > 0.0
    ratios = moved.astype(np.float64)
    if not problem.balanced:
        np.divide(rows, state.weights, out=ratios, where=moved)
    largest = ratios.max()
    steps = (steps[0], *(_bounded(step, largest) for step in steps[1:]))
    means, factors = state.cloud
    images = pulled(conditional, problem.target, state.alignment.images)
    parts = [2.0 * step * ratios for step in steps[1:]]
    points = Cloud(
        means + parts[0][:, None] * (images.means - means),
        factors + parts[1][:, None, None] * (images.factors - factors),
    )
    trial = _state(problem, state.weights, points)
    # Only rounding can raise the loss: then the flow has arrived.
    return (trial if trial.loss <= state.loss else state), steps


def _bounded(step, largest):
    """Halve a step until it lowers the loss for every component."""
    while step * largest > 1.0:
        step *= 0.5
    return step
