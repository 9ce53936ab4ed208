"""The one solver of the small transport programme between weights of components.

Over couplings P ≥ 0 of shape (K0, K1) it minimises::

    Σ P_kl C_kl + reg KL(P | a ⊗ b) + rho0 KL(P1 | a) + rho1 KL(Pᵀ1 | b)

with KL(f | g) = Σ f log(f / g) - f + g, and P1 = a or Pᵀ1 = b where the side is
balanced. The network simplex solves it where reg = 0 and both sides are balanced, a
closed form where one side is a single component and reg > 0, the interior point of
`skgmmot.transport._programme` otherwise; its potentials are polished. Nothing here
grows with the number of samples.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from skgmmot._checks import warn_caller
from skgmmot.transport._arguments import (
    Penalty,
    checked_arrays,
    checked_reg,
    checked_slopes,
    same_sum,
)
from skgmmot.transport._interior import BARRIER_END
from skgmmot.transport._polish import Polished, entropic_polish, tight_polish
from skgmmot.transport._programme import TransportProgramme, from_interior
from skgmmot.transport._simplex import cleaned, simplex
from skgmmot.transport._single import single_component, soft_minimum

_STEEPEST = 1e10  # 1 / reg_m above which rounding of potentials decides on masses
# Where rounding stops the marginals above their tolerance, this is still no failure.
_LOOSE_ERROR = 1e-8
_MAX_STEPS = 100
# Without entropy masses down to this one have to find their partners.
_EXACT_END = 1e-25
_NOTHING = np.log(1e-13)  # parts of the mass that are below the barrier
# Spread of the costs in units of reg up to which potentials of 0 are a good start.
_WIDE = 20.0
_LARGEST_LOG = 230.0  # of 1e100, whose square is finite too


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


class _Fixed(NamedTuple):
    """A programme with positive weights; slopes are 1 / rho, 0 on a balanced side."""

    costs: np.ndarray
    a: np.ndarray
    b: np.ndarray
    reg: float
    slopes: tuple[float, float]
    warn: bool = True

    @property
    def balanced(self) -> bool:
        """Whether both marginals are given."""
        return self.slopes == (0.0, 0.0)


def solve_plan(
    costs: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    reg: float = 0.0,
    reg_m: Penalty = None,
    potentials: tuple[np.ndarray, np.ndarray] | None = None,
    warn: bool = True,
) -> TransportPlan:
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
    costs, a, b, dtype = checked_arrays(costs, a, b)
    slopes = checked_slopes(reg_m)
    reg = checked_reg(reg, costs, warn)
    if slopes == (0.0, 0.0):
        b = same_sum(a, b)
    start = None if potentials is None else np.asarray(potentials[0], float)
    programme = _Fixed(np.ascontiguousarray(costs), a, b, reg, slopes, warn)
    if a.all() and b.all():
        coupling, f, g = _solve(programme, start)
        value = _objective(programme, coupling, f, g)
    else:
        coupling, f, g, value = _solve_positive(programme, start)
    if programme.balanced:
        shift = (a @ f - b @ g) / (a.sum() + b.sum())
        f, g = f - shift, g + shift
    coupling, costs, f, g = (
        x.astype(dtype, copy=False) for x in (coupling, costs, f, g)
    )
    return TransportPlan(coupling, costs, float(value), (f, g))


def _solve_positive(
    programme: _Fixed, start: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Coupling, potentials and value where some weights are 0."""
    costs, a, b = programme.costs, programme.a, programme.b
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    kept = np.ix_(rows, columns)
    within = np.ascontiguousarray(costs[kept])
    inner = programme._replace(costs=within, a=a[rows], b=b[columns])
    solved, f, g = _solve(inner, None if start is None else start[rows])
    value = _objective(inner, solved, f, g)
    coupling = np.zeros(costs.shape)
    coupling[kept] = solved
    f, g = _extend(costs, a, b, f, g, inner)
    return coupling, f, g, value


def weight_derivative(
    plan: TransportPlan,
    target_mass: float,
    *,
    reg: float = 0.0,
    reg_m: Penalty = None,
) -> np.ndarray:
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
    return concave(f, slope) + reg * (target_mass - _growth(f, slope))


def concave(potential: np.ndarray, slope: float) -> np.ndarray:
    """Return φ(f) = rho (1 - exp(-f / rho)), slope = 1 / rho; f itself if it is 0."""
    if slope == 0.0:
        return potential
    return -np.expm1(np.minimum(-slope * potential, _LARGEST_LOG)) / slope


def _growth(potential: np.ndarray, slope: float) -> np.ndarray:
    """Return exp(-f / rho), what a marginal is of its weight; cut at 1e100."""
    return np.exp(np.minimum(-slope * potential, _LARGEST_LOG))


def _divergence(logs: np.ndarray) -> np.ndarray:
    """KL(p | q) / q for log(p / q): x eˣ - eˣ + 1, right near 0 and far below."""
    logs = np.maximum(logs, -745.0)
    return logs * np.exp(logs) - np.expm1(logs)


def _solve(
    programme: _Fixed, start: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the method; return coupling and potentials."""
    # Units of the largest cost: the simplex compares with absolute constants.
    unit = float(np.abs(programme.costs).max())
    unit = unit if unit > np.finfo(np.float64).tiny else 1.0
    scaled = _Fixed(
        programme.costs / unit,
        programme.a,
        programme.b,
        min(programme.reg / unit, 1e300),
        (programme.slopes[0] * unit, programme.slopes[1] * unit),
        programme.warn,
    )
    if min(scaled.costs.shape) == 1 and scaled.reg > 0.0:
        coupling, f, g = single_component(
            scaled.costs, scaled.a, scaled.b, scaled.reg, scaled.slopes
        )
    elif scaled.reg > 0.0:
        coupling, f, g = _entropic(scaled, None if start is None else start / unit)
    elif scaled.balanced:
        coupling, f, g = _exact(scaled.costs, scaled.a, scaled.b)
    else:
        coupling, f, g = _penalised(scaled)
    return coupling, f * unit, g * unit


def _objective(
    programme: _Fixed, coupling: np.ndarray, f: np.ndarray, g: np.ndarray
) -> float:
    """Return the value as a sum of terms without cancellation."""
    costs, a, b, reg, slopes, _ = programme
    value = np.sum(coupling * costs)
    if reg > 0.0:
        gains = (f[:, None] + g - costs) / reg
        value += reg * (a @ _divergence(gains) @ b)
    for weights, potential, slope in ((a, f, slopes[0]), (b, g, slopes[1])):
        if slope > 0.0:
            value += weights @ _divergence(-slope * potential) / slope
    return value


def _extend(
    costs: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    programme: _Fixed,
) -> tuple[np.ndarray, np.ndarray]:
    """Give potentials to components of weight 0: the best they could have."""
    rows, columns = a > 0.0, b > 0.0
    full_f, full_g = np.empty(len(a)), np.empty(len(b))
    full_f[rows], full_g[columns] = f, g
    if not rows.all():
        gaps = costs[np.ix_(~rows, columns)] - g
        full_f[~rows] = soft_minimum(
            gaps, b[columns], programme.reg, programme.slopes[0]
        )
    if not columns.all():
        known = rows if programme.reg > 0.0 else np.full(len(a), True)
        gaps = (costs[np.ix_(known, ~columns)] - full_f[known, None]).T
        full_g[~columns] = soft_minimum(
            gaps, a[known], programme.reg, programme.slopes[1]
        )
    return full_f, full_g


def _exact(
    costs: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve the balanced programme without entropy by the network simplex."""
    if min(costs.shape) == 1:
        f = np.zeros(len(a)) if len(a) == 1 else costs[:, 0]
        g = costs[0] - f[0] if len(a) == 1 else np.zeros(1)
        return np.outer(a, b) / a.sum(), f, g
    total = a.sum()
    a, b = a / total, b / total
    coupling, f, g = simplex(costs, a, b)
    return cleaned(coupling, np.minimum(a[:, None], b)) * total, f, g


def _entropic(
    programme: _Fixed, start: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve with entropy: potentials from the best guess on, polished."""
    costs, a, b, reg, slopes, _ = programme
    scaled = costs / reg, a, b, tuple(reg * slope for slope in slopes)
    best = Polished(np.empty(0), np.empty(0), np.empty(0), np.inf, False)
    for first in _starts(programme, start):
        found = Polished(*entropic_polish(*scaled, first / reg, _MAX_STEPS))
        if not len(best.u) or not found.error >= best.error:
            best = found
        if found.converged:
            break
    if programme.warn and not best.error <= _LOOSE_ERROR:
        warn_caller(
            "the entropic plan did not converge; its marginals are wrong by "
            f"{best.error:.2g} in all. Increase reg.",
            ConvergenceWarning,
        )
    return best.coupling, best.u * reg, best.v * reg


def _starts(programme: _Fixed, start: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield first potentials of the source, the best guess first."""
    if start is not None and np.isfinite(start).all():
        yield start
    if np.ptp(programme.costs) <= _WIDE * programme.reg:
        yield np.zeros(len(programme.a))
    yield _interior_potential(programme)
    # Small weights beside a small reg: the duals of the exact plan are the limit.
    a, b = programme.a, programme.b
    yield _exact(programme.costs, a, b * (a.sum() / b.sum()))[1]


def _interior_potential(programme: _Fixed) -> np.ndarray:
    """Return the potential of the source at which the interior point ends.

    Minus infinity where a weight is next to nothing: such components follow the others.
    """
    a, b, reg = programme.a, programme.b, programme.reg
    # A marginal may exceed its weight by no more than exp(spread of the costs / rho).
    rows, columns = (
        np.log(w / w.sum()) + slope * np.ptp(programme.costs) > _NOTHING
        for w, slope in zip((a, b), programme.slopes, strict=True)
    )
    a, b, costs = a[rows], b[columns], programme.costs[np.ix_(rows, columns)]
    mass = np.sqrt(a.sum() * b.sum())  # the barrier is in units of 1
    weights = np.concatenate([a, b]) / mass
    with np.errstate(divide="ignore"):
        penalties = np.repeat(1.0 / np.array(programme.slopes), [len(a), len(b)])
    free = np.zeros(len(weights))
    whole = TransportProgramme(reg, penalties, weights, weights, free, len(a))
    end = _EXACT_END if reg == 0.0 else BARRIER_END
    potential = np.full(len(rows), -np.inf)
    costs = costs - reg * np.log(mass)
    potential[rows] = from_interior(whole, costs, end, reg == 0.0)[2][: len(a)]
    return potential


def _penalised(programme: _Fixed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
    f, g = tight_polish(costs, a, b, slopes, _interior_potential(programme))
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
