"""Sections about MW2: distance matrices, gradients, flows, barycentres."""

import numpy as np

from benchmarks._data import random_mixture
from benchmarks._records import DATA, Job, Library, Section, repeated, seconds

# Distance matrices

_CHECKED = 25  # mixtures whose 300 pairs the peer computes, and that are compared


def _list(case):
    return [random_mixture(case["K"], case["d"], seed) for seed in range(case["n"])]


def _pairwise_project(case):
    from skgmmot.transport import pairwise_mw2

    mixtures, found = _list(case), []

    def run():
        found.clear()
        return seconds(lambda: found.append(pairwise_mw2(mixtures, squared=True)))

    def value():
        part = found[-1][:_CHECKED, :_CHECKED]
        return float(part[np.triu_indices(_CHECKED, 1)].mean())

    return Job(run, value, case["n"] * (case["n"] - 1) // 2)


def _pairwise_pot(case):
    from ot.gmm import gmm_ot_loss

    mixtures = _list(case)[:_CHECKED]
    pairs = list(zip(*np.triu_indices(_CHECKED, 1), strict=True))

    def losses():
        for i, j in pairs:
            (w0, m0, s0), (w1, m1, s1) = mixtures[i], mixtures[j]
            yield gmm_ot_loss(m0, m1, s0, s1, w0, w1)

    job = repeated(lambda: np.fromiter(losses(), dtype=float))
    return job._replace(per=len(pairs))


PAIRWISE = Section(
    "Distance matrices",
    "Time of one pair in the matrix of a list of mixtures with K full components:"
    " pairwise_mw2 of n mixtures, and ot.gmm.gmm_ot_loss of 300 of their pairs.",
    [
        {"n": 100, "K": 8, "d": 2},
        {"n": 200, "K": 8, "d": 4},
        {"n": 50, "K": 8, "d": 8},
        {"n": 25, "K": 16, "d": 16},
    ],
    {
        "skgmmot": Library(_pairwise_project, ("skgmmot",)),
        "POT": Library(_pairwise_pot, ("ot",)),
    },
    "mean of 300 squared distances",
)

# Gradients


def _sides(case):
    return [random_mixture(case["K"], case["d"], seed) for seed in (0, 1)]


def _gradient_project(case):
    from skgmmot.transport import mw2_gradient

    sides = _sides(case)
    return repeated(lambda: np.square(mw2_gradient(*sides)[1].means), 20)


def _gradient_torch(case):
    import torch
    from ot.gmm import gmm_ot_loss

    (w0, m0, s0), (w1, m1, s1) = (map(torch.as_tensor, side) for side in _sides(case))
    free = [x.requires_grad_() for x in (w0, m0, s0)]

    def slope():
        for x in free:
            x.grad = None
        gmm_ot_loss(m0, m1, s0, s1, w0, w1).backward()
        return np.square(m0.grad.numpy())

    return repeated(slope, 2)


GRADIENT = Section(
    "Gradients of MW2²",
    "Value and derivatives with respect to weights, means and covariances of one side:"
    " mw2_gradient in closed form, and ot.gmm.gmm_ot_loss with torch's automatic"
    " differentiation.",
    [{"K": 3, "d": 2}, {"K": 8, "d": 4}, {"K": 20, "d": 10}, {"K": 20, "d": 20}],
    {
        "skgmmot": Library(_gradient_project, ("skgmmot",)),
        "POT, torch": Library(_gradient_torch, ("ot", "torch")),
    },
    "mean square of the derivatives of the means",
)

# The flow

_STEPS, _RATE = 100, 3e-2  # the settings of POT's example "GMM Flow"


def _flow_problem():
    with np.load(DATA / "flow_problem.npz") as data:
        return {name: data[name] for name in data.files}


def _flow_project(case):
    from skgmmot.transport import mw2_flow

    data = _flow_problem()
    data = {name: array.astype(np.float64) for name, array in data.items()}
    weights = np.exp(data["source_logits"])
    source = weights / weights.sum(), data["source_means"], data["source_covariances"]
    target = [data[f"target_{x}"] for x in ("weights", "means", "covariances")]

    def flow():
        return mw2_flow(source, target, n_steps=case["steps"]).losses[-1]

    return repeated(flow, 10)


def _flow_torch(case):
    import ot
    import torch
    from ot.gmm import gmm_ot_loss

    data = {name: torch.as_tensor(array) for name, array in _flow_problem().items()}
    target = [data[f"target_{x}"] for x in ("means", "covariances", "weights")]

    def flow():
        logits, means, covariances = (
            data[f"source_{x}"].clone().requires_grad_()
            for x in ("logits", "means", "covariances")
        )
        groups = ((means, 2 * _RATE), (covariances, _RATE), (logits, _RATE))
        adam = torch.optim.Adam([{"params": x, "lr": rate} for x, rate in groups])

        def loss():
            weights = torch.softmax(logits, 0)
            return gmm_ot_loss(
                means, target[0], covariances, target[1], weights, target[2]
            )

        for _ in range(case["steps"]):
            adam.zero_grad()
            loss().backward()
            adam.step()
            with torch.no_grad():
                covariances.data = ot.utils.proj_SDP(covariances.data, vmin=1e-6)
        return float(loss())

    return repeated(flow)


FLOW = Section(
    "Flow of a mixture",
    "POT's example GMM Flow, 3 components towards 2 in the plane: mw2_flow, and Adam"
    " on ot.gmm.gmm_ot_loss with torch (float32) as in the example.",
    [{"steps": _STEPS}],
    {
        "skgmmot": Library(_flow_project, ("skgmmot",)),
        "POT, torch": Library(_flow_torch, ("ot", "torch")),
    },
    "last loss, lower is better",
)

# Barycentres

_PEER_ROUNDS = 10


def _barycenter(case, solve):
    """Solve from the first mixture; both results are judged by the same distance."""
    from skgmmot.transport import mw2_distance

    mixtures = [random_mixture(case["K"], case["d"], seed) for seed in range(3)]
    found = []

    def run():
        found.clear()
        return seconds(lambda: found.append(solve(mixtures)))

    def value():
        parts = [np.asarray(x, dtype=np.float64) for x in found[-1]]
        return float(np.mean([mw2_distance(parts, m, squared=True) for m in mixtures]))

    return Job(run, value)


def _barycenter_project(case):
    from skgmmot.transport import mw2_barycenter

    def solve(mixtures):
        return mw2_barycenter(mixtures, method="fixed_point", init=mixtures[0])

    return _barycenter(case, solve)


def _barycenter_pot(case):
    from ot.gmm import gmm_barycenter_fixed_point

    def solve(mixtures):
        weights, means, covariances = (list(x) for x in zip(*mixtures, strict=True))
        found = gmm_barycenter_fixed_point(
            means,
            covariances,
            weights,
            means[0].copy(),  # the start is written to
            covariances[0].copy(),
            np.full(3, 1 / 3),
            w_bar=np.full(case["K"], 1 / case["K"]),
            iterations=_PEER_ROUNDS,
            barycentric_proj_method="bures",
        )
        return np.full(case["K"], 1 / case["K"]), *found

    return _barycenter(case, solve)


BARYCENTER = Section(
    "Barycentres of three mixtures",
    "A descent from the first mixture: mw2_barycenter until it has converged, weights"
    " free, and ten iterations of ot.gmm.gmm_barycenter_fixed_point with Bures"
    " projections, which keeps equal weights.",
    [{"K": 4, "d": 2}, {"K": 8, "d": 5}, {"K": 16, "d": 10}],
    {
        "skgmmot": Library(_barycenter_project, ("skgmmot",)),
        "POT": Library(_barycenter_pot, ("ot", "skgmmot")),
    },
    "mean squared distance to the three, lower is better",
)
