"""Sections about samples and one mixture: an EM iteration, and score_samples."""

from functools import partial

import numpy as np

from benchmarks._data import live_components, mixed
from benchmarks._records import Job, Library, Section, repeated, seconds

_CHECKED = 4  # iterations after which likelihoods are compared
_SIZES = {2: 200_000, 4: 200_000, 8: 200_000, 16: 200_000, 32: 100_000, 128: 50_000}

CASES = [
    {"d": d, "n": n, "K": 16 if d == 128 else 32, "overlapping": overlapping}
    for overlapping in (False, True)
    for d, n in _SIZES.items()
]
_SINGLE_CASES = [case for case in CASES if case["d"] in (2, 8, 16, 32)]


def _data(case, dtype="float64"):
    data = mixed(case["n"], case["d"], case["K"], case["overlapping"])
    return data._replace(X=data.X.astype(dtype))


def describe(case):
    """The case, with the median number of live components, in words."""
    data = mixed(2000, case["d"], case["K"], case["overlapping"])
    live = live_components(data)
    return f"d={case['d']}, n={case['n']:,}, K={case['K']}, {live:g} live"


def _start(data):
    return {
        "n_components": len(data.weights),
        "weights_init": data.weights,
        "means_init": data.means,
        "precisions_init": data.precisions,
        "tol": 0.0,
    }


def _steps(fit, score, per):
    """Time of `per` iterations: a fit with so many more than 1, less a fit with 1."""

    def run():
        short = seconds(fit, 1)
        return seconds(fit, 1 + per) - short

    return Job(run, lambda: score(fit(_CHECKED)), per)


# skgmmot


def _em_project(case, dtype="float64"):
    from skgmmot import SparseGaussianMixture

    data = _data(case, dtype)
    settings = {**_start(data), "sparsity": 0.0, "accelerate": False}

    def fit(max_iter):
        return SparseGaussianMixture(**settings, max_iter=max_iter).fit(data.X)

    return _steps(fit, lambda model: model.score(data.X), 20)


def _score_project(case, dtype="float64"):
    from skgmmot import SparseGaussianMixture

    data = _data(case, dtype)
    model = SparseGaussianMixture.from_parameters(
        data.weights, data.means, data.covariances
    )
    return repeated(lambda: model.score_samples(data.X), 10)


# scikit-learn


def _em_sklearn(case):
    from sklearn.mixture import GaussianMixture

    data = _data(case)

    def fit(max_iter):
        return GaussianMixture(**_start(data), max_iter=max_iter).fit(data.X)

    model = fit(1)

    def steps(times):
        for _ in range(times):
            _, log_responsibilities = model._e_step(data.X)
            model._m_step(data.X, log_responsibilities)

    return Job(lambda: seconds(steps, 2), lambda: fit(_CHECKED).score(data.X), 2)


def _score_sklearn(case):
    from sklearn.mixture import GaussianMixture

    data = _data(case)
    model = GaussianMixture(len(data.weights))
    model.weights_, model.means_ = data.weights, data.means
    model.covariances_, model.precisions_cholesky_ = data.covariances, data.factors
    return repeated(lambda: model.score_samples(data.X), 2)


# gmmx


def _gmmx(case):
    import jax.numpy as jnp
    from gmmx import GaussianMixtureModelJax

    data = _data(case)
    model = GaussianMixtureModelJax.from_squeezed(
        means=jnp.asarray(data.means, dtype=jnp.float32),
        covariances=jnp.asarray(data.covariances, dtype=jnp.float32),
        weights=jnp.asarray(data.weights, dtype=jnp.float32),
    )
    return jnp.asarray(data.X, dtype=jnp.float32), model


def _em_gmmx(case):
    import jax
    from gmmx import EMFitter

    X, start = _gmmx(case)

    def fit(max_iter):
        # Its fit returns before it is computed: waiting is left to the caller.
        result = EMFitter(max_iter=max_iter, tol=0.0).fit(X, start)
        return jax.block_until_ready(result).gmm

    def score(model):
        return float(np.mean(np.asarray(model.score_samples(X), dtype=np.float64)))

    return _steps(fit, score, 2)


def _score_gmmx(case):
    import jax

    X, model = _gmmx(case)
    compiled = jax.jit(lambda rows: model.score_samples(rows))
    return repeated(lambda: compiled(X).block_until_ready(), 2)


# pomegranate


def _pomegranate(case):
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    data = _data(case)
    parts = [
        Normal(mean, covariance, check_data=False)
        for mean, covariance in zip(
            data.means.astype(np.float32),
            data.covariances.astype(np.float32),
            strict=True,
        )
    ]
    weights = data.weights.astype(np.float32)
    model = GeneralMixtureModel(parts, priors=weights, check_data=False)
    return torch.as_tensor(data.X.astype(np.float32)), model


def _em_pomegranate(case):
    X, model = _pomegranate(case)

    def steps(model, times):
        for _ in range(times):
            model.summarize(X)
            model.from_summaries()

    def value():
        _, fresh = _pomegranate(case)
        steps(fresh, _CHECKED)
        return float(fresh.log_probability(X).double().mean())

    return Job(lambda: seconds(steps, model, 2), value, 2)


def _score_pomegranate(case):
    X, model = _pomegranate(case)
    return repeated(lambda: model.log_probability(X), 2)


_SKLEARN, _GMMX, _POMEGRANATE = ("sklearn",), ("gmmx", "jax"), ("pomegranate", "torch")


def _singles(project, gmmx, pomegranate):
    """The libraries that compute in float32, and the project in float64 beside it."""
    return {
        "skgmmot": Library(partial(project, dtype="float32"), ("skgmmot",)),
        "skgmmot in float64": Library(project, ("skgmmot",)),
        "gmmx": Library(gmmx, _GMMX),
        "pomegranate": Library(pomegranate, _POMEGRANATE),
    }


EM = Section(
    "One EM iteration",
    "Full covariances, double precision. One E-step and one M-step: scikit-learn's"
    " _e_step and _m_step; for skgmmot the difference of two fits that differ in"
    " max_iter, divided by the difference."
    " Live: the median number of responsibilities above 1e-8 in a row.",
    CASES,
    {
        "skgmmot": Library(_em_project, ("skgmmot",)),
        "scikit-learn": Library(_em_sklearn, _SKLEARN),
    },
    "mean log-likelihood after 4 iterations",
)

EM_SINGLE = Section(
    "One EM iteration in float32",
    "The same with rows in float32. pomegranate's summarize and from_summaries; gmmx"
    " as skgmmot, by the difference of two fits.",
    _SINGLE_CASES,
    _singles(_em_project, _em_gmmx, _em_pomegranate),
    "mean log-likelihood after 4 iterations",
)

SCORE = Section(
    "score_samples",
    "Log-densities of all rows under given parameters, same data as above.",
    CASES,
    {
        "skgmmot": Library(_score_project, ("skgmmot",)),
        "scikit-learn": Library(_score_sklearn, _SKLEARN),
    },
    "mean log-likelihood",
)

SCORE_SINGLE = Section(
    "score_samples in float32",
    "The same with rows in float32.",
    _SINGLE_CASES,
    _singles(_score_project, _score_gmmx, _score_pomegranate),
    "mean log-likelihood",
)
