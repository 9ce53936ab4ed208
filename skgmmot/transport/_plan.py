"""The one solver of the small transport programme between weights of components.

Over couplings P ≥ 0 of shape (K0, K1) it minimises::

    Σ P_kl C_kl + reg KL(P | a ⊗ b) + rho0 KL(P1 | a) + rho1 KL(Pᵀ1 | b)

with KL(f | g) = Σ f log(f / g) - f + g, and P1 = a or Pᵀ1 = b where the side is
balanced. Three methods: the network simplex (reg = 0, balanced), Newton steps on the
dual (reg > 0), an interior-point method (reg = 0, not balanced). Nothing here grows
with the number of samples.
"""

from collections.abc import Iterable
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skgmmot._checks import is_real, warn_caller
from skgmmot.transport._interior import (
    concave,
    divergence,
    growth,
    interior_point,
    polish,
)
from skgmmot.transport._simplex import cleaned, simplex

_EPS = np.finfo(np.float64).eps
# Below this part of the largest cost the entropy changes no plan that rounding leaves.
_SMALLEST_REG = 1e-6
_STEEPEST = 1e10  # 1 / reg_m above which rounding of potentials decides on masses
# Where rounding stops the marginals above their tolerance, this is still no failure.
_LOOSE_ERROR = 1e-8


class TransportPlan(NamedTuple):
    """A coupling of the components of two mixtures, and what it costs.

    Parameters
    ----------
    coupling : ndarray of shape (K0, K1)
        Mass that goes from source component k to target component l.
    costs : ndarray of shape (K0, K1)
        Cost of a unit of mass.
    value : float
        The objective at the coupling, with the entropy and the penalties.
    potentials : tuple of ndarrays of shape (K0,) and (K1,)
        Solution of the dual programme. Balanced programmes leave a constant free; it
        is chosen so that both sides carry half of the sum of a f and b g.

    Examples
    --------
    >>> from skgmmot.transport import mw2_plan
    >>> mixture = [0.5, 0.5], [[0.0], [3.0]], [[[1.0]], [[1.0]]]
    >>> mw2_plan(mixture, mixture).coupling
    array([[0.5, 0. ],
           [0. , 0.5]])
    """

    coupling: np.ndarray
    costs: np.ndarray
    value: float
    potentials: tuple[np.ndarray, np.ndarray]


class _Programme(NamedTuple):
    """A programme with positive weights; slopes are 1 / rho, 0 on a balanced side."""

    costs: np.ndarray
    a: np.ndarray
    b: np.ndarray
    reg: float
    slopes: tuple[float, float]
    warn: bool = True

    @property
    def balanced(self):
        return self.slopes == (0.0, 0.0)

    def transposed(self):
        costs = np.ascontiguousarray(self.costs.T)
        slopes = self.slopes[::-1]
        return _Programme(costs, self.b, self.a, self.reg, slopes, self.warn)


def solve_plan(costs, a, b, *, reg=0.0, reg_m=None, potentials=None, warn=True):
    """Solve the transport programme between two vectors of weights.

    Parameters
    ----------
    costs : array-like of shape (K0, K1)
        Finite costs; float32 is computed in float64 and comes back in float32.
    a, b : array-like of shape (K0,) and (K1,)
        Non-negative weights, zeros allowed; of one sum where both sides are balanced.
    reg : float, default=0.0
        Weight of the entropy KL(P | a ⊗ b). Below 1e-6 of the largest cost the
        programme is solved without entropy, with a warning.
    reg_m : float or pair of float or None, default=None
        Weight of the penalty on the marginals, one for both sides or one each. None
        and infinity stand for a balanced side.
    potentials : tuple of ndarrays of shape (K0,) and (K1,), default=None
        Where to start if reg > 0, such as those of a plan with nearly the same costs.
    warn : bool, default=True
        Whether to warn of a reg that is too small and of a plan that does not converge.

    Returns
    -------
    plan : TransportPlan

    Raises
    ------
    ValueError
        If shapes do not agree, a value is not finite, a weight is negative, reg is
        negative, reg_m is not positive, or balanced weights have different sums.

    Notes
    -----
    The dual is max Σ a φ0(f) + Σ b φ1(g) - reg Σ (P - a b) with P = a b exp((f + g -
    C) / reg) and φ(f) = rho (1 - exp(-f / rho)), or f on a balanced side; see Séjourné,
    Peyré and Vialard, *Unbalanced optimal transport, from theory to numerics* (2023),
    doi 10.1016/bs.hna.2022.11.003. Without entropy the dual has f + g ≤ C instead.

    Examples
    --------
    >>> from skgmmot.transport._plan import solve_plan
    >>> plan = solve_plan([[0.0, 1.0], [1.0, 0.0]], [0.3, 0.7], [0.6, 0.4])
    >>> plan.coupling
    array([[0.3, 0. ],
           [0.3, 0.4]])
    >>> round(plan.value, 12)
    0.3
    """
    costs, a, b, dtype = _checked_arrays(costs, a, b)
    slopes = checked_slopes(reg_m)
    reg = _checked_reg(reg, costs, warn)
    if slopes == (0.0, 0.0):
        b = _same_sum(a, b)
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    inner = np.ascontiguousarray(costs[np.ix_(rows, columns)])
    programme = _Programme(inner, a[rows], b[columns], reg, slopes, warn)
    start = None if potentials is None else np.asarray(potentials[0], float)[rows]
    solved, f, g = _solve(programme, start)
    value = _objective(programme, solved, f, g)
    coupling = np.zeros(costs.shape)
    coupling[np.ix_(rows, columns)] = solved
    f, g = _extend(costs, a, b, f, g, programme)
    if programme.balanced:
        shift = (a @ f - b @ g) / (a.sum() + b.sum())
        f, g = f - shift, g + shift
    coupling, costs, f, g = (
        x.astype(dtype, copy=False) for x in (coupling, costs, f, g)
    )
    return TransportPlan(coupling, costs, float(value), (f, g))


def weight_derivative(plan, target_mass, *, reg=0.0, reg_m=None):
    """Derivative of the value of a plan with respect to the source weights.

    By the envelope theorem φ0(f) + reg (Σ b - exp(-f / rho0)), the second factor being
    what P1 / a is at the optimum; f itself plus a constant on a balanced side.

    Parameters
    ----------
    plan : TransportPlan
        From `solve_plan` with the same reg and reg_m.
    target_mass : float
        Sum of the target weights.
    reg, reg_m
        As in `solve_plan`.

    Returns
    -------
    derivative : ndarray of shape (K0,), float64
    """
    slope = checked_slopes(reg_m)[0]
    f = np.asarray(plan.potentials[0], dtype=np.float64)
    return concave(f, slope) + reg * (target_mass - growth(f, slope))


def _checked_arrays(costs, a, b):
    """Return costs and weights in float64, and the type of the result."""
    costs = np.asarray(costs)
    dtype = np.float32 if costs.dtype == np.float32 else np.float64
    costs, a, b = (np.asarray(x, dtype=np.float64) for x in (costs, a, b))
    if costs.ndim != 2 or a.shape != costs.shape[:1] or b.shape != costs.shape[1:]:
        raise ValueError(
            "costs, a and b must have shapes (K0, K1), (K0,) and (K1,); got "
            f"{costs.shape}, {a.shape} and {b.shape}."
        )
    if not np.isfinite(costs).all():
        raise ValueError("costs must be finite; they contain NaN or infinity.")
    for side, weights in (("a", a), ("b", b)):
        if not (np.isfinite(weights).all() and (weights >= 0.0).all()):
            raise ValueError(
                f"the weights {side} must be finite and not negative; got {weights}."
            )
        if not weights.any():
            raise ValueError(f"the weights {side} must not all be 0.")
    return costs, a, b, dtype


def checked_slopes(reg_m):
    """Return 1 / reg_m for both sides, 0 for a balanced one."""
    pair = tuple(reg_m) if isinstance(reg_m, Iterable) else (reg_m, reg_m)
    if len(pair) != 2:
        raise ValueError(f"reg_m must be None, a float or a pair; got {reg_m!r}.")
    if not all(rho is None or (isinstance(rho, Real) and rho > 0.0) for rho in pair):
        raise ValueError(
            f"reg_m must be positive, or None for balanced marginals; got {reg_m!r}."
        )
    return tuple(0.0 if side is None else 1.0 / float(side) for side in pair)


def _checked_reg(reg, costs, warn):
    """Return reg, or 0 with a warning where it is too small to be resolved."""
    if not is_real(reg, 0.0):
        raise ValueError(f"reg must be a finite float, at least 0; got {reg!r}.")
    largest = np.abs(costs).max()
    if 0.0 < reg < _SMALLEST_REG * largest:
        if warn:
            warn_caller(
                f"reg={reg:.3g} is below 1e-6 of the largest cost ({largest:.3g}): the "
                "plan is computed without entropy. Pass reg=0 to do so silently."
            )
        return 0.0
    return float(reg)


def _same_sum(a, b):
    """Scale b to the sum of a; refuse sums that differ by more than rounding."""
    total_a, total_b = a.sum(), b.sum()
    if abs(total_a - total_b) > 2e-3 * total_a:
        raise ValueError(
            f"balanced weights must have the same sum; got {total_a:.9g} and "
            f"{total_b:.9g}. Normalise them, or pass reg_m for unequal masses."
        )
    return b * (total_a / total_b)


def _solve(programme, start):
    """Choose the method; return coupling and potentials."""
    # Units of the largest cost: the simplex compares with absolute constants.
    unit = float(np.abs(programme.costs).max())
    unit = unit if unit > np.finfo(np.float64).tiny else 1.0
    scaled = _Programme(
        programme.costs / unit,
        programme.a,
        programme.b,
        min(programme.reg / unit, 1e300),
        tuple(slope * unit for slope in programme.slopes),
        programme.warn,
    )
    if scaled.reg > 0.0:
        coupling, f, g = _entropic(scaled, None if start is None else start / unit)
    elif scaled.balanced:
        coupling, f, g = _exact(scaled.costs, scaled.a, scaled.b)
    else:
        coupling, f, g = _penalised(scaled)
    return coupling, f * unit, g * unit


def _objective(programme, coupling, f, g):
    """Return the value as a sum of terms without cancellation."""
    costs, a, b, reg, slopes, _ = programme
    value = np.sum(coupling * costs)
    if reg > 0.0:
        gains = (f[:, None] + g - costs) / reg
        value += reg * (a @ divergence(gains) @ b)
    for weights, potential, slope in ((a, f, slopes[0]), (b, g, slopes[1])):
        if slope > 0.0:
            value += weights @ divergence(-slope * potential) / slope
    return value


def _extend(costs, a, b, f, g, programme):
    """Give potentials to components of weight 0: the best they could have."""
    rows, columns = a > 0.0, b > 0.0
    full_f, full_g = np.empty(len(a)), np.empty(len(b))
    full_f[rows], full_g[columns] = f, g
    if not rows.all():
        gaps = costs[np.ix_(~rows, columns)] - g
        full_f[~rows] = _transform(gaps, b[columns], programme.reg, programme.slopes[0])
    if not columns.all():
        known = rows if programme.reg > 0.0 else np.full(len(a), True)
        gaps = (costs[np.ix_(known, ~columns)] - full_f[known, None]).T
        full_g[~columns] = _transform(
            gaps, a[known], programme.reg, programme.slopes[1]
        )
    return full_f, full_g


def _transform(gaps, weights, reg, slope):
    """Return the (soft) minimum along the rows, damped where not balanced."""
    lowest = gaps.min(axis=1)
    if reg == 0.0:
        return lowest
    mass = np.exp((lowest[:, None] - gaps) / reg) @ weights
    return (lowest - reg * np.log(mass)) / (1.0 + reg * slope)


def _exact(costs, a, b):
    """Solve the balanced programme without entropy by the network simplex."""
    if min(costs.shape) == 1:
        f = np.zeros(len(a)) if len(a) == 1 else costs[:, 0]
        g = costs[0] - f[0] if len(a) == 1 else np.zeros(1)
        return np.outer(a, b) / a.sum(), f, g
    total = a.sum()
    a, b = a / total, b / total
    coupling, f, g = simplex(costs, a, b)
    return cleaned(coupling, np.minimum(a[:, None], b)) * total, f, g


def _entropic(programme, start):
    """Solve with entropy by Newton steps on the dual of the smaller side."""
    if programme.costs.shape[0] > programme.costs.shape[1]:
        start = None if start is None else _opposite(programme, start)
        coupling, g, f = _entropic(programme.transposed(), start)
        return coupling.T, f, g
    state = None
    for first in _starts(programme, start):
        found, converged = _newton(programme, first)
        if state is None or not found.error >= state.error:
            state = found
        if converged:
            break
    if programme.warn and not state.error <= _LOOSE_ERROR:
        warn_caller(
            "the entropic plan did not converge; its marginals are wrong by "
            f"{state.error:.2g} in all. Increase reg.",
            ConvergenceWarning,
        )
    reg = programme.reg
    return state.coupling, state.u * reg, state.v * reg


def _opposite(programme, f):
    """Return the g that is best for a given f."""
    gaps = (programme.costs - f[:, None]).T
    return _transform(gaps, programme.a, programme.reg, programme.slopes[1])


def _starts(programme, start):
    """Yield first potentials f, the best guess first."""
    costs, a, b, reg, slopes, _ = programme
    if start is not None and np.isfinite(start).all():
        yield start
    if np.ptp(costs) <= 20.0 * reg:
        yield np.zeros(len(a))
    # The duals of the exact plan are the limit for small reg: a few steps are left.
    _, f, g = _exact(costs, a, b * (a.sum() / b.sum()))
    yield f + _best_constant(programme, f, g)
    f, loose = np.zeros(len(a)), np.ptp(costs)
    while loose > 2.0 * reg:
        level = _Programme(costs, a, b, loose, slopes, False)
        f = loose * _newton(level, f, max_iter=5)[0].u
        loose /= 2.0
    yield f


def _best_constant(programme, f, g):
    """Return what to pass from g to f, so that both sides ask for the same mass."""
    _, a, b, _, slopes, _ = programme
    if programme.balanced:
        return 0.0
    source = _log_mass(-slopes[0] * f[None], a)[0]
    target = _log_mass(-slopes[1] * g[None], b)[0]
    return (source - target) / sum(slopes)


class _State(NamedTuple):
    """A point of the dual, potentials in units of reg, v the best for u."""

    u: np.ndarray
    v: np.ndarray
    coupling: np.ndarray
    rows: np.ndarray
    wanted: np.ndarray
    value: float

    @property
    def error(self):
        # No mass at all is left where costs are hundreds of times above the penalty.
        mass = max(self.rows.sum(), np.finfo(np.float64).tiny)
        return np.abs(self.wanted - self.rows).sum() / mass


def _state(programme, costs, u):
    """Evaluate the dual at u after its maximisation over v; costs in units of reg."""
    _, a, b, reg, slopes, _ = programme
    damp0, damp1 = reg * slopes[0], reg * slopes[1]
    gains = u[:, None] - costs
    top = gains.max(axis=0)
    coupling = np.exp(gains - top) * a[:, None]
    logs = np.log(coupling.sum(axis=0))
    v = -(logs + top) / (1.0 + damp1)
    coupling *= b * np.exp(v + top)
    rows, wanted = coupling.sum(axis=1), a * np.exp(-damp0 * u)
    value = a @ concave(u, damp0) + b @ concave(v, damp1) - rows.sum()
    return _State(u, v, coupling, rows, wanted, value)


def _newton(programme, f, max_iter=100):
    """Maximise the dual: a Newton step with line search, then a Sinkhorn sweep.

    Newton converges fast where the plan is connected, the sweep repairs rows that lost
    their mass, where the Hessian means nothing. Either raises the dual.
    """
    reg, damp = programme.reg, programme.reg * programme.slopes[0]
    costs = programme.costs / reg
    # The exponents are right to rounding of the largest term, no better.
    tol = max(1e-12, 4.0 * _EPS * np.abs(costs).max())
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        state = _state(programme, costs, f / reg)
        for _ in range(max_iter):
            u = -_log_mass(state.v - costs, programme.b) / (1.0 + damp)
            state = _state(programme, costs, u)
            if state.error <= tol:
                return state, True
            state = _line_search(programme, costs, state)
    return state, False


def _log_mass(gains, weights):
    """Return log Σ_l w_l exp(gains_kl) for each row."""
    top = gains.max(axis=1)
    return top + np.log(np.exp(gains - top[:, None]) @ weights)


def _line_search(programme, costs, state):
    """Go along the Newton direction as far as the dual rises enough."""
    gradient = state.wanted - state.rows
    direction = _direction(programme, state, gradient)
    slope = gradient @ direction
    if not (np.isfinite(slope) and slope > 0.0):
        return state
    slack = 16.0 * _EPS * max(1.0, abs(state.value))
    step = 1.0
    while step > 1e-12:
        trial = _state(programme, costs, state.u + step * direction)
        if trial.value >= state.value + 1e-4 * step * slope - slack:
            return trial
        step *= 0.5
    return state


def _direction(programme, state, gradient):
    """Solve the Newton system: the Hessian of the dual after maximisation over v."""
    damp0, damp1 = (programme.reg * slope for slope in programme.slopes)
    roots = np.sqrt(np.maximum(state.rows, 1e-300))
    columns = np.maximum(state.coupling.sum(axis=0), 1e-300)
    scaled = state.coupling / roots[:, None]
    hessian = -(scaled / (columns * (1.0 + damp1))) @ scaled.T
    # A constant can be added to u in balanced programmes: the ridge picks one.
    hessian.flat[:: len(roots) + 1] += 1.0 + 1e-13 + damp0 * state.wanted / roots**2
    try:
        return np.linalg.solve(hessian, gradient / roots) / roots
    except np.linalg.LinAlgError:
        return np.full(len(roots), np.nan)


def _penalised(programme):
    """Solve without entropy, marginals penalised: duals first, then the plan.

    The duals fix the marginals r = a exp(-f / rho0) and c = b exp(-g / rho1). The plan
    is an exact one between them, so that it has few entries, as without penalty.
    """
    costs, a, b, _, slopes, _ = programme
    if min(slopes) == 0.0 and max(slopes) > _STEEPEST:
        raise ValueError(
            "reg_m: expected at least 1e-10 of the largest cost beside a balanced "
            f"side, all of whose mass is moved; got {1.0 / max(slopes):.3g} of it."
        )
    f, g = interior_point(costs, a, b, slopes)
    f, g = polish(costs, a, b, slopes, f, g)
    rows, columns = a * np.exp(-slopes[0] * f), b * np.exp(-slopes[1] * g)
    coupling = np.zeros(costs.shape)
    kept = np.ix_(rows > 0.0, columns > 0.0)
    # Nothing is left where every cost is hundreds of times above the penalty.
    if coupling[kept].size:
        total = (rows if slopes[0] == 0.0 else columns).sum()
        rows, columns = rows[rows > 0.0], columns[columns > 0.0]
        inner = np.ascontiguousarray(costs[kept])
        sides = rows * (total / rows.sum()), columns * (total / columns.sum())
        coupling[kept] = _exact(inner, *sides)[0]
    return coupling, f, g
