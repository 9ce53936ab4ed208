"""Sections about transport: costs between components, and maps of samples."""

import numpy as np

from benchmarks._data import draw, random_mixture
from benchmarks._records import Library, Section, repeated

# Costs


def _costs(case, costs, times):
    """The same call for both libraries: (weights, means, covariances) twice."""
    sides = [random_mixture(case["K"], case["d"], seed) for seed in (0, 1)]

    return repeated(lambda: costs(*sides), times)


def _costs_project(case):
    from skgmmot.transport import component_costs

    return _costs(case, component_costs, 5)


def _costs_pot(case):
    from ot.gmm import dist_bures_squared

    def costs(source, target):
        return dist_bures_squared(source[1], target[1], source[2], target[2])

    return _costs(case, costs, 1)


COSTS = Section(
    "Costs between components",
    "Squared W2 between all pairs of components, full covariances:"
    " component_costs and ot.gmm.dist_bures_squared.",
    [{"K": 50, "d": 10}, {"K": 200, "d": 16}, {"K": 50, "d": 64}],
    {
        "skgmmot": Library(_costs_project, ("skgmmot",)),
        "POT": Library(_costs_pot, ("ot",)),
    },
    "mean cost",
)

# Maps


def _problem(case):
    source, target = (random_mixture(case["K"], case["d"], seed) for seed in (0, 1))
    rng = np.random.default_rng(2)
    return draw(rng, case["n"], *source[1:]), source, target


def _map_project(case):
    from skgmmot.transport import mw2_map, mw2_plan

    X, source, target = _problem(case)
    plan = mw2_plan(source, target)

    def move():
        return mw2_map(
            X, source, target, plan=plan, method=case["method"], random_state=0
        )

    return repeated(move, 5)


def _map_pot(case):
    from ot.gmm import gmm_ot_apply_map, gmm_ot_plan

    X, source, target = _problem(case)
    pairs = [x for both in zip(source[1:], target[1:], strict=True) for x in both]
    arguments = (*pairs, source[0], target[0])
    plan = gmm_ot_plan(*arguments)
    method = {"barycentric": "bary", "random": "rand"}[case["method"]]

    def move():
        return gmm_ot_apply_map(X, *arguments, plan=plan, method=method, seed=0)

    return repeated(move)


MAPS = Section(
    "Maps of samples",
    "Rows moved from one mixture to another with the exact plan given: mw2_map and"
    " ot.gmm.gmm_ot_apply_map. Random maps draw differently, their means agree to"
    " sampling error.",
    [
        {"method": method, "K": K, "d": 3, "n": n}
        for method, n in (("barycentric", 100_000), ("random", 20_000))
        for K in (10, 30)
    ],
    {
        "skgmmot": Library(_map_project, ("skgmmot",)),
        "POT": Library(_map_pot, ("ot",)),
    },
    "mean of the result",
)

# Plans


def _plan_costs(case):
    from skgmmot.transport import component_costs

    source, target = (random_mixture(case["K"], case["d"], seed) for seed in (0, 1))
    costs = component_costs(source, target)
    return costs / costs.mean(), source[0], target[0]


def _plan_project(case):
    from skgmmot.transport._plan import solve_plan

    costs, a, b = _plan_costs(case)
    kind = {"reg": case["reg"], "reg_m": case["reg_m"]}
    return repeated(lambda: solve_plan(costs, a, b, **kind).value, 20)


def _plan_pot(case):
    import ot

    costs, a, b = _plan_costs(case)
    return repeated(lambda: float(np.vdot(ot.emd(a, b, costs), costs)), 20)


PLANS = Section(
    "Plans between components",
    "Plans for given costs, of mean 1, with entropy and with penalised marginals; for"
    " POT the exact plan of the same costs (ot.emd) in all cases: the unit of time.",
    [
        {"K": 30, "d": 3, "reg": reg, "reg_m": reg_m}
        for reg, reg_m in ((0.0, None), (0.01, None), (0.0, 1.0), (0.01, 1.0))
    ],
    {
        "skgmmot": Library(_plan_project, ("skgmmot",)),
        "POT": Library(_plan_pot, ("ot",)),
    },
    "value",
)
