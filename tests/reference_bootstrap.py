"""Slow, plain references for the bootstrap of coupled fits."""

import numpy as np
from scipy.optimize import minimize


def dual_penalised_plan(costs, weights, strength):
    """Minimise <C, plan> + r sum exp(-plan / r) over plans with given marginals."""
    k0, k1 = costs.shape
    rows = np.kron(np.eye(k0), np.ones(k1))
    columns = np.kron(np.ones(k0), np.eye(k1))
    marginals = np.vstack([rows, columns[:-1]])
    wanted = np.concatenate([weights[0], weights[1][:-1]])

    def objective(x):
        return costs.ravel() @ x + strength * np.exp(-x / strength).sum()

    def slope(x):
        return costs.ravel() - np.exp(-x / strength)

    found = minimize(
        objective, np.outer(*weights).ravel(), jac=slope, method="SLSQP",
        constraints={"type": "eq", "fun": lambda x: marginals @ x - wanted,
                     "jac": lambda x: marginals},
        options={"ftol": 1e-15, "maxiter": 2000},
    )  # fmt: skip
    return found.x.reshape(k0, k1)
