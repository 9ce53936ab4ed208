"""M-step of the coupled mixture: two mixtures, one transport term between them.

The function to be raised, for moments (n_k, mean, scatter) of either domain, is

    Q = sum_domains sum_k n_k [log pi_k - log det S_k / 2 - tr(S_k^-1 A_k) / 2]
        - w OT(pi_0, m_0, S_0; pi_1, m_1, S_1),
    A_k = scatter_k + reg_covar I + (mean_k - m_k)(mean_k - m_k)^T.

Minus OT is a maximum over plans, and minus each squared Bures distance a maximum over
rotations: everything is maximised, and no block of it lowers Q.  A sweep is

1. rotations and costs, by one batched SVD;
2. weights and plan for these costs (`skgmmot.mixture._coupled_weights`);
3. means and covariances of both sides together for this plan and these rotations
   (`skgmmot.mixture._coupled_newton`).

Sweeps end with 1 and 2, so that the plan is the one of the parameters returned.
"""

from typing import NamedTuple

import numpy as np

from skgmmot.linalg._covariances import ILL_DEFINED
from skgmmot.linalg._spd import symmetrise, transpose
from skgmmot.mixture._coupled_newton import (
    Stack,
    Targets,
    View,
    compare,
    coupling_matrix,
    look,
    newton_step,
)
from skgmmot.mixture._coupled_weights import (
    WeightProblem,
    WeightSolution,
    evaluate,
    solve_weights,
)
from skgmmot.transport._plan import solve_plan

_NAMES = "source", "target"
# Least share of a component, as scikit-learn's 10 eps per row.
_LEAST_COUNT = 10 * np.finfo(np.float64).eps
# A gain of less than this share of 1 + |Q| is rounding.
_ROUNDING = 1e-15


class Side(NamedTuple):
    """Parameters of one mixture."""

    weights: np.ndarray  # (K,), sum 1
    means: np.ndarray  # (K, d)
    covariances: np.ndarray  # (K, d, d), or (K, d) for diagonal ones


class SideMoments(NamedTuple):
    """What the E-step says about one domain, per unit of its mass."""

    counts: np.ndarray  # (K,), sum 1
    means: np.ndarray  # (K, d)
    scatters: np.ndarray  # (K, d, d) or (K, d): covariance about `means`


class CouplingProblem(NamedTuple):
    """What is to be solved, and how far one M-step goes."""

    transport_weight: float
    reg: float = 0.0
    reg_m: tuple | None = None  # (source, target); None: balanced
    cost_scale: float = 1.0
    frozen: str | None = None  # None, "source" or "target"
    reg_covar: float = 0.0
    max_sweeps: int = 8
    gain_fraction: float = 0.2  # stop where a sweep gains less than this of all


class CouplingState(NamedTuple):
    """What one M-step hands to the next; the plan belongs to the parameters."""

    plan: np.ndarray  # (K0, K1)
    slack: np.ndarray  # (K0, K1) slacks of plan >= 0
    costs: np.ndarray  # (K0, K1) squared distances, in the data's units
    transport: float  # OT, in units of cost_scale
    gain: float  # by how much Q rose
    n_sweeps: int


class _Point(NamedTuple):
    # All variables, and the loss -Q at them.
    stack: Stack
    view: View
    solution: WeightSolution
    turns: np.ndarray
    costs: np.ndarray
    loss: float


class _Whole(NamedTuple):
    # What stays the same during one M-step.
    targets: Targets
    weighing: WeightProblem
    rate: float  # nats per unit of squared distance
    k0: int


def m_step(moments_source, moments_target, source, target, problem, state=None):
    """Raise Q from the parameters given, and never lower it.

    With `transport_weight` 0 this is the plain M-step of both sides.

    Parameters
    ----------
    moments_source, moments_target : SideMoments
    source, target : Side
        Where to start: the parameters that the moments were taken with.
    problem : CouplingProblem
    state : CouplingState, default=None
        From the last M-step: its plan is where this one starts.  Without it the plain
        M-step is a second place to start from, and the better one is taken.

    Returns
    -------
    source, target : Side
    state : CouplingState
        None with `transport_weight` 0, where no plan is needed.

    Raises
    ------
    ValueError
        If a covariance or a scatter with its ridge is singular.
    """
    sides, k0 = (source, target), len(source.weights)
    targets, centre = _targets((moments_source, moments_target), problem)
    weighing = _weighing(sides, targets, problem)
    old = _stack(sides, centre)
    plain = _plain(targets, old)
    if problem.transport_weight == 0:
        weights = np.where(weighing.free, weighing.counts, weighing.fixed)
        return (*_sides(plain, weights, centre, sides, problem), None)
    rate = problem.transport_weight / problem.cost_scale
    whole = _Whole(targets, weighing, rate, k0)
    start = _start(whole, old, plain, state)
    point, n_sweeps = _sweeps(whole, start, problem)
    state = CouplingState(
        point.solution.plan,
        point.solution.slack,
        point.costs,
        point.solution.transport / problem.transport_weight,
        start.loss - point.loss,
        n_sweeps,
    )
    return (*_sides(point.stack, point.solution.weights, centre, sides, problem), state)


def coupling_objective(source, target, problem, warn=True):
    """Solve the transport programme at given parameters.

    Returns
    -------
    plan : TransportPlan
        In units of cost_scale: `plan.value` is OT, `plan.costs` are divided by it.
    """
    stack = _stack((source, target), source.means.mean(axis=0))
    _, costs = compare(stack, len(source.weights))
    return solve_plan(
        costs / problem.cost_scale,
        source.weights,
        target.weights,
        reg=problem.reg,
        reg_m=problem.reg_m,
        warn=warn,
    )


def _start(whole, old, plain, state):
    # The old parameters with their plan; at first, the plain M-step if it is better.
    if state is not None:
        return _point(whole, old, (state.plan, state.slack), solve=False)
    points = [_point(whole, stack, None) for stack in (old, plain)]
    return min(points, key=lambda point: point.loss)


def _point(whole, stack, start, solve=True):
    # Parts 1 and 2 of a sweep.
    turns, costs = compare(stack, whole.k0)
    nats = whole.rate * costs
    if solve:
        solution = solve_weights(whole.weighing, nats, start)
    else:
        solution = evaluate(whole.weighing, nats, *start)
    view = look(whole.targets, stack)
    return _Point(stack, view, solution, turns, costs, solution.loss + view.loss)


def _sweeps(whole, start, problem):
    point = start
    for sweep in range(1, problem.max_sweeps + 1):
        coupling = coupling_matrix(whole.rate * point.solution.plan, point.turns)
        stack, fall, expected = newton_step(
            whole.targets, point.stack, point.view, coupling
        )
        after = _point(whole, stack, point.solution[:2])
        gain = point.loss - after.loss
        if gain <= _ROUNDING * (1 + abs(point.loss)):
            return (after if gain > 0 else point), sweep
        point = after
        # Little came of this sweep, or so much as foretold that little is left.
        wanted = problem.gain_fraction * (start.loss - point.loss)
        if gain < wanted or abs(gain - fall) + abs(fall - expected) < wanted:
            return point, sweep
    return point, problem.max_sweeps


def _weighing(sides, targets, problem):
    w, sizes = problem.transport_weight, [len(side.weights) for side in sides]
    free = [float(problem.frozen != name) for name in _NAMES]
    weights = np.concatenate([side.weights for side in sides])
    free = np.repeat(free, sizes)
    pulls = np.zeros(0)
    if problem.reg_m is not None:
        pulls = np.repeat(w * np.asarray(problem.reg_m, dtype=float), sizes)
    return WeightProblem(
        w * problem.reg, pulls, targets.counts, (1 - free) * weights, free, sizes[0]
    )


def _plain(targets, old):
    # The plain M-step: the moments themselves, but on a frozen side.
    moving = targets.moving
    if moving.all():
        return Stack(_factors(targets.scatters), targets.means)
    factors = old.factors.copy()
    factors[:, moving] = _factors(targets.scatters[:, moving])
    return Stack(factors, np.where(moving[:, None], targets.means, old.means))


# Between the records and the stacks: full covariances are one block of d features,
# diagonal ones d blocks of one feature.


def _blocks_of_means(means, diagonal):
    return means.T[:, :, None] if diagonal else means[None]


def _blocks_of_covariances(covariances, diagonal):
    return covariances.T[:, :, None, None] if diagonal else covariances[None]


def _factors(covariances):
    # Orthogonal columns, in the eigenbasis.
    if covariances.shape[-1] == 1:
        values, vectors = covariances[..., 0], np.ones_like(covariances)
    else:
        values, vectors = np.linalg.eigh(covariances)
    if not (values > 0).all():
        raise ValueError(ILL_DEFINED)
    return vectors * np.sqrt(values)[..., None, :]


def _stack(sides, centre):
    means = np.concatenate([side.means for side in sides]) - centre
    covariances = np.concatenate([side.covariances for side in sides])
    diagonal = covariances.ndim == 2
    return Stack(
        _factors(_blocks_of_covariances(covariances, diagonal)),
        _blocks_of_means(means, diagonal),
    )


def _targets(moments, problem):
    counts = [np.maximum(m.counts, _LEAST_COUNT) for m in moments]
    means = np.concatenate([m.means for m in moments])
    scatters = np.concatenate([m.scatters for m in moments])
    diagonal = scatters.ndim == 2
    scatters = _blocks_of_covariances(scatters, diagonal)
    scatters = scatters + problem.reg_covar * np.eye(scatters.shape[-1])
    moving = [
        np.full(len(m.counts), problem.frozen != name)
        for m, name in zip(moments, _NAMES, strict=True)
    ]
    # Distances lose no digits to a far origin.
    centre = means.mean(axis=0)
    targets = Targets(
        np.concatenate([n / n.sum() for n in counts]),
        _blocks_of_means(means - centre, diagonal),
        scatters,
        np.concatenate(moving),
    )
    return targets, centre


def _sides(stack, weights, centre, old, problem):
    covariances = symmetrise(stack.factors @ transpose(stack.factors))
    if old[0].covariances.ndim == 2:
        means, covariances = stack.means[..., 0].T, covariances[..., 0, 0].T
    else:
        means, covariances = stack.means[0], covariances[0]
    k0 = len(old[0].weights)
    parts = slice(None, k0), slice(k0, None)
    return tuple(
        side
        if problem.frozen == name
        else Side(
            weights[part], means[part] + centre, np.ascontiguousarray(covariances[part])
        )
        for name, side, part in zip(_NAMES, old, parts, strict=True)
    )
