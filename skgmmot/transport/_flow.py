"""Flow of one mixture towards another: descent of MW2² in its own geometry."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from skgmmot._checks import check_integer, is_real, message
from skgmmot.linalg._mixture import Mixture
from skgmmot.transport._alignment import as_gaussians, as_points
from skgmmot.transport._flow_steps import (
    FlowProblem,
    FlowState,
    bounded,
    flow_state,
    flow_step,
)
from skgmmot.transport._mw2 import checked_pair, common_dtype
from skgmmot.transport._simplex import normalised

# Steps whose mixtures are made together.
_CHUNK_BYTES = 2**20


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
    rates = bounded(2.0 * np.repeat(steps, [1, points.shape[2]])[:, None])
    weights = normalised(target.weights)
    problem = FlowProblem(points, weights, reg, reg_m, step, rates, 1.0)
    points = as_points(source.means, source.covariances)
    state = flow_state(problem, normalised(source.weights), points)
    spread = problem.weights @ (state.weights @ state.costs)
    problem = problem._replace(length=spread or 1.0)
    state = state._replace(potential=state.potential / problem.length)
    dtype = common_dtype(source, target)
    first = Mixture(*(array.astype(dtype) for array in source))
    return _path(problem, state, first, n_steps, callback)


def _path(
    problem: FlowProblem,
    state: FlowState,
    first: Mixture,
    n_steps: int,
    callback: Callable[..., Any] | None,
) -> FlowPath:
    """Take the steps; mixtures are made at the end, or at once for a callback."""
    weights, points, losses = [], [], [state.loss]
    dtype = first.weights.dtype
    for step in range(1, n_steps + 1):
        state = flow_step(problem, state)
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
