"""The plan with entropy between many components and one, in closed form.

With P the mass of the plan and D = reg + rho0 its column is
P a_k exp(-C_k / D) / Σ a exp(-C / D); the slope in P gives log(P / b). An iteration
would lose digits beside large penalties on unequal masses, whose potentials are large.
"""

import numpy as np


def single_component(
    costs: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    reg: float,
    slopes: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve a programme with entropy whose shape is (K, 1) or (1, K).

    Parameters
    ----------
    costs : ndarray of shape (K0, K1)
    a, b : ndarray of shape (K0,) and (K1,)
        Positive weights, of one sum where both sides are balanced.
    reg : float
        Positive.
    slopes : tuple of two floats
        1 / rho, 0 on a balanced side.

    Returns
    -------
    coupling : ndarray of shape (K0, K1)
    f, g : ndarray of shape (K0,) and (K1,)
        Potentials.
    """
    if costs.shape[1] > 1:
        turned = slopes[1], slopes[0]
        coupling, g, f = single_component(costs.T, b, a, reg, turned)
        return coupling.T, f, g
    rows, log_b = costs[:, 0], np.log(b[0])
    share = 1.0 / (1.0 + reg * slopes[0])  # rho0 / D
    sharp = slopes[0] * share  # 1 / D
    lowest = rows.min()
    log_sum = np.log(a @ np.exp(sharp * (lowest - rows))) - sharp * lowest
    growth = 0.0  # log(P / b)
    if slopes[1] > 0.0:
        growth = (log_sum - share * log_b) * slopes[1] / (slopes[1] + sharp)
    if slopes[0] == 0.0:
        growth = log_sum - log_b
    logs = growth + log_b - log_sum - sharp * rows  # log(p / a)
    # The larger penalty multiplies rounding of logarithms: the slope tells its side.
    sums = rows + reg * (logs - log_b)
    f, g = np.zeros(len(a)), np.zeros(1)
    if slopes[0] > 0.0:
        f = -logs / slopes[0]
    if slopes[1] > 0.0:
        g = np.full(1, -growth / slopes[1])
    if slopes[0] > slopes[1] and reg * slopes[1] < 1.0:
        g = (sums - f)[[logs.argmax()]]
    elif slopes[0] <= slopes[1] and reg * slopes[0] < 1.0:
        f = sums - g
    return (a * np.exp(logs))[:, None], f, g


def soft_minimum(
    gaps: np.ndarray, weights: np.ndarray, reg: float, slope: float
) -> np.ndarray:
    """Return the (soft) minimum along the rows, damped where not balanced."""
    lowest = gaps.min(axis=1)
    if reg == 0.0:
        return lowest
    mass = np.exp((lowest[:, None] - gaps) / reg) @ weights
    return (lowest - reg * np.log(mass)) / (1.0 + reg * slope)
