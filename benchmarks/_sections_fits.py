"""Sections about whole fits: the sparse spiral, and two coupled samples."""

import numpy as np
from scipy.special import logsumexp

from benchmarks._records import DATA, Job, Library, Section, seconds

_SPARSITY, _STEPS, _RATE = 20.0, 501, 0.1  # the settings of KeOps' tutorial


def _log_likelihood(X, weights, means, covariances):
    """Mean log-likelihood in double precision, by the plain formula."""
    X = np.asarray(X, dtype=np.float64)
    logs = np.empty((len(X), len(weights)))
    for k in range(len(weights)):
        lower = np.linalg.cholesky(np.asarray(covariances[k], dtype=np.float64))
        scaled = np.linalg.solve(lower, (X - np.asarray(means[k])).T)
        constant = np.log(np.diag(lower)).sum() + 0.5 * len(lower) * np.log(2 * np.pi)
        logs[:, k] = -0.5 * (scaled**2).sum(axis=0) - constant
    with np.errstate(divide="ignore"):
        return logsumexp(logs + np.log(weights), axis=1).mean()


# The spiral


def _spiral():
    with np.load(DATA / "spiral_problem.npz") as data:
        return data["X"], data["means_init"]


def _penalised(X, weights, means, covariances):
    price = _SPARSITY / 30
    likelihood = _log_likelihood(X, weights, means, covariances)
    return float(likelihood - price * np.sqrt(weights).sum())


def _spiral_project(case):
    from skgmmot import SparseGaussianMixture

    X, means = _spiral()
    model = SparseGaussianMixture(
        30,
        sparsity=_SPARSITY,
        solver=case["solver"],
        max_iter=1000 if case["solver"] == "em" else _STEPS,
        weights_init=np.full(30, 1 / 30),
        means_init=means,
        precisions_init=np.tile(225.0 * np.eye(2), (30, 1, 1)),
    )

    def value():
        return _penalised(X, model.weights_, model.means_, model.covariances_)

    return Job(lambda: seconds(model.fit, X), value)


def _descent(case, log_density):
    """Adam on logits, means and factors of the precisions, as in the tutorial."""
    import torch

    X, start = _spiral()
    rows = torch.as_tensor(X)
    found = []

    def fit():
        logits = torch.ones(30, 1, requires_grad=True)
        means = torch.tensor(start, requires_grad=True)
        factors = (15.0 * torch.eye(2)).repeat(30, 1, 1).requires_grad_()
        optimiser = torch.optim.Adam([factors, logits, means], lr=_RATE)
        for _ in range(_STEPS):
            optimiser.zero_grad()
            penalty = _SPARSITY * logits.softmax(0).sqrt().mean()
            loss = penalty - log_density(rows, logits, means, factors).mean()
            loss.backward()
            optimiser.step()
        found[:] = [x.detach().numpy().astype(float) for x in (logits, means, factors)]

    def value():
        logits, means, factors = found
        weights = np.exp(logits - logsumexp(logits)).ravel()
        precisions = factors @ factors.transpose(0, 2, 1)
        return _penalised(X, weights, means, np.linalg.inv(precisions))

    return Job(lambda: seconds(fit), value)


def _spiral_keops(case):
    import pykeops

    pykeops.set_verbose(False)
    from pykeops.torch import Vi, Vj

    def log_density(rows, logits, means, factors):
        half = (factors @ factors.mT).reshape(-1, 4) / 2
        weights = logits.softmax(0) * factors.det().abs()[:, None]
        exponents = -Vi(rows).weightedsqdist(Vj(means), Vj(half))
        return exponents.logsumexp(dim=1, weight=Vj(weights))

    return _descent(case, log_density)


def _spiral_torch(case):
    def log_density(rows, logits, means, factors):
        scaled = rows @ factors - (means[:, None] @ factors)  # (30, n, 2)
        offsets = logits.log_softmax(0) + factors.det().abs().log()[:, None]
        return (offsets - 0.5 * (scaled**2).sum(-1)).logsumexp(0)

    return _descent(case, log_density)


SPIRAL = Section(
    "Sparse fit of the spiral",
    "10 000 x 2 rows, 30 components, sparsity 20, same start. skgmmot runs until it"
    " has converged; the peers take the 501 steps of Adam of KeOps' tutorial (float32)."
    " Compilation by KeOps is in the first call.",
    [{"solver": "em"}],
    {
        "skgmmot": Library(_spiral_project, ("skgmmot",)),
        "KeOps, Adam": Library(_spiral_keops, ("pykeops", "torch")),
        "torch, Adam": Library(_spiral_torch, ("torch",)),
    },
    "penalised mean log-likelihood, higher is better",
)


# Two coupled samples

_COUPLED = [
    {"transport_weight": 0.01, "reg_m": None},
    {"transport_weight": 0.1, "reg_m": 1.0},
]
_REG = 0.01


def _pairs():
    with np.load(DATA / "coupled_problem.npz") as data:
        start = (data[f"pooled_{x}"] for x in ("weights", "means", "covariances"))
        return data["X_source"], data["X_target"], tuple(start)


def _coupled_objective(case, X_source, X_target, source, target):
    """Both likelihoods less the price of a plan that has converged."""
    from skgmmot.transport import mw2_plan

    sides = [
        tuple(np.asarray(x, dtype=np.float64) for x in side)
        for side in (source, target)
    ]
    plan = mw2_plan(*sides, reg=_REG, reg_m=case["reg_m"])
    likelihoods = sum(
        map(_log_likelihood, (X_source, X_target), *zip(*sides, strict=True))
    )
    return float(likelihoods - case["transport_weight"] * plan.value)


def _coupled_project(case):
    from skgmmot import CoupledGaussianMixture
    from skgmmot.datasets import stack_domains

    X_source, X_target, start = _pairs()
    X, sample_domain = stack_domains(X_source, X_target)
    model = CoupledGaussianMixture(
        3,
        **case,
        reg=_REG,
        align=None,
        cost_scale=1.0,
        source_init=start,
        target_init=start,
    )

    def value():
        sides = (
            (side.weights_, side.means_, side.covariances_)
            for side in (model.source_, model.target_)
        )
        return _coupled_objective(case, X_source, X_target, *sides)

    return Job(lambda: seconds(model.fit, X, sample_domain=sample_domain), value)


def _coupled_ott(case):
    import jax
    import jax.numpy as jnp
    from ott.tools.gaussian_mixture import (
        fit_gmm_pair,
        gaussian_mixture,
        gaussian_mixture_pair,
    )

    X_source, X_target, (weights, means, covariances) = _pairs()
    pooled = gaussian_mixture.GaussianMixture.from_mean_cov_component_weights(
        mean=jnp.asarray(means),
        cov=jnp.asarray(covariances),
        component_weights=jnp.asarray(weights),
    )
    reg_m = case["reg_m"]
    tau = 1.0 if reg_m is None else reg_m / (reg_m + _REG)
    start = gaussian_mixture_pair.GaussianMixturePair(pooled, pooled, _REG, tau)
    rows = jnp.asarray(X_source), jnp.asarray(X_target)
    fit_pair = fit_gmm_pair.get_fit_model_em_fn(case["transport_weight"], jit=True)
    found = []

    def fit():
        pair, _ = fit_pair(start, *rows, None, None, em_steps=30, m_steps=20)
        found[:] = [
            (side.component_weights, side.loc, side.covariance)
            for side in (pair.gmm0, pair.gmm1)
        ]
        jax.block_until_ready(found)

    def value():
        return _coupled_objective(case, X_source, X_target, *found)

    return Job(lambda: seconds(fit), value)


COUPLED = Section(
    "Coupled fit of two samples",
    "10 000 x 2 rows a side, 3 components, reg 0.01, same pooled start, float32."
    " skgmmot runs until it has converged, OTT 30 EM steps of 20 steps of Adam, as in"
    " its tutorial. Both results are judged by the same objective, with a plan that"
    " has converged.",
    _COUPLED,
    {
        "skgmmot": Library(_coupled_project, ("skgmmot",)),
        "OTT": Library(_coupled_ott, ("ott", "jax")),
    },
    "objective, higher is better",
)
