"""Balanced plans whose regularisation cancels, for intervals about the true plan.

The entropic plan is smooth in the weights, but lies about a plan that is not the true
one; the exact plan is not smooth where an entry has just left zero, as where both sides
have equal weights. Between the two stands the programme whose *dual* has the entropy:
an entry may be negative, and costs r exp(-entry / r),

    minimise  <C, plan> + r sum exp(-plan / r)   given the marginals.

Entries that are 0 in the exact plan become -r log(slack), the others follow through the
marginals: all are linear in r, but for terms that vanish exponentially. So twice the
solution at r / 2 less the one at r is free of r and smooth, and an entry that is 0 in
truth is estimated as often below 0 as above.
"""

import numpy as np

_MOST_STEPS = 50
_SETTLED = 1e-5  # largest marginal that is still missed; the rest is mended
_WIDEST = 30.0  # entry / r, beyond which the slack of an entry is lost in rounding
_BOUNDARY = 0.9  # of the way to the first slack that would be 0
_SHARE = 0.25  # of a Newton decrement, that a step must bring
_SHORTEST = 1e-4

Weights = tuple[np.ndarray, np.ndarray]


def debiased_plan(costs: np.ndarray, weights: Weights, strength: float) -> np.ndarray:
    """The exact balanced plan, estimated smoothly and without a bias.

    Parameters
    ----------
    costs : ndarray of shape (K0, K1)
    weights : tuple of ndarrays of shape (K0,) and (K1,)
        Positive, each of sum 1.
    strength : float
        r, in units of mass: entries should be some times larger, what chance does to
        them smaller. Raised where rounding would take the solution away.

    Returns
    -------
    plan : ndarray of shape (K0, K1)
        Entries that are 0 in the exact plan may be a little below 0.

    Notes
    -----
    "Beyond entropic regularization: debiased Gaussian estimators for discrete optimal
    transport" (arXiv 2505.04312), whose idea this is, shows that such estimates are
    Gaussian about the true plan, and that the bootstrap knows how they vary.
    """
    strength = max(strength, 2.0 * min(w.max() for w in weights) / _WIDEST)
    spread = float(costs.max() - costs.min())
    scaled = costs / spread if spread > 0.0 else costs
    half = dual_penalised_plan(scaled, weights, 0.5 * strength)
    return 2.0 * half - dual_penalised_plan(scaled, weights, strength)


def dual_penalised_plan(
    costs: np.ndarray, weights: Weights, strength: float
) -> np.ndarray:
    """The plan -r log(C - f - g), by Newton's method in the potentials f, g."""
    k0, k1 = costs.shape
    f, g = np.zeros(k0), np.full(k1, costs.min() - 1.0)
    value = _dual(costs, (f, g), weights, strength)
    plan, slack = np.outer(*weights), np.ones_like(costs)
    for _ in range(_MOST_STEPS):
        slack = costs - f[:, None] - g
        plan = -strength * np.log(slack)
        missing = _missing(plan, weights)
        if np.abs(missing).max() < _SETTLED:
            break
        step = _newton(strength / slack, missing)
        most = float(((step[:k0, None] + step[k0:]) / slack).max())
        length = min(1.0, _BOUNDARY / most) if most > 0.0 else 1.0
        gain = _SHARE * float(missing @ step)
        while True:
            trial = f + length * step[:k0], g + length * step[k0:]
            found = _dual(costs, trial, weights, strength)
            if found >= value + gain * length:
                break
            length *= 0.5
            if length < _SHORTEST:  # the objective has no more digits
                return _mended(plan, strength / slack, weights)
        (f, g), value = trial, found
    return _mended(plan, strength / slack, weights)


def _missing(plan: np.ndarray, weights: Weights) -> np.ndarray:
    return np.concatenate([w - plan.sum(axis=1 - i) for i, w in enumerate(weights)])


def _mended(plan: np.ndarray, mobility: np.ndarray, weights: Weights) -> np.ndarray:
    # What rounding of tiny slacks took from the marginals goes to large entries.
    potentials = _newton(mobility, _missing(plan, weights))
    k0 = len(plan)
    return plan + mobility * (potentials[:k0, None] + potentials[k0:])


def _dual(
    costs: np.ndarray, potentials: Weights, weights: Weights, strength: float
) -> float:
    # The objective of the dual, to be maximised.
    slack = costs - potentials[0][:, None] - potentials[1]
    if not slack.min() > 0.0:
        return -np.inf
    linear = sum(float(w @ p) for w, p in zip(weights, potentials, strict=True))
    return linear - strength * float((slack * (np.log(slack) - 1.0)).sum())


def _newton(curvature: np.ndarray, missing: np.ndarray) -> np.ndarray:
    # One system in all potentials, of which one constant moves nothing.
    k0, size = len(curvature), len(missing)
    system = np.diag(np.concatenate([curvature.sum(axis=1), curvature.sum(axis=0)]))
    system[:k0, k0:], system[k0:, :k0] = curvature, curvature.T
    free = np.where(np.arange(size) < k0, 1.0, -1.0)
    system += np.trace(system) / size**2 * np.outer(free, free)
    return np.linalg.solve(system, missing)
