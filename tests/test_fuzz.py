"""Random problems: a fit that is finite, or an error in words; never anything else.

``pytest tests/test_fuzz.py -s --fuzz 10000 --fuzz-seed 3`` tries as many of each kind,
and prints at the end how many ran, how many reached a fit, and the seed.
"""

import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from refusals import FOREIGN, KINDS
from sklearn.exceptions import ConvergenceWarning

from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.transport import (
    component_costs,
    mw2_barycenter,
    mw2_distance,
    mw2_flow,
    mw2_gradient,
    mw2_interpolation,
    mw2_map,
    mw2_plan,
    pairwise_mw2,
)

# Entropy that is too small to be resolved is left out, with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:reg=.* is below 1e-6:UserWarning")
COUNTS = Counter()
# What a refusal may name: parameters, parts of a mixture, or the data.
NAMED = (
    "X", "n_components", "reg_covar", "sample_weight", "sample_domain", "weights",
    "means", "covariance", "precision", "reg", "plan", "n_samples", "mixtures",
    "Sample weights", "source", "target", "init", "strength", "t must", "costs",
    "solver",
)  # fmt: skip


def pytest_generate_tests(metafunc):
    """One number of examples, from the command line."""
    if "n_examples" in metafunc.fixturenames:
        metafunc.parametrize("n_examples", [metafunc.config.getoption("--fuzz")])


@pytest.fixture(scope="module", autouse=True)
def report(request):
    """Print what was run."""
    yield
    kinds = sorted({kind for kind, _ in COUNTS})
    seed_used = request.config.getoption("--fuzz-seed")
    for kind in kinds:
        ran, reached = COUNTS[kind, "ran"], COUNTS[kind, "reached"]
        print(f"\nfuzz {kind}: {ran} ran, {reached} fitted, seed {seed_used}", end="")


scales = st.sampled_from([1.0] * 6 + [1e-3, 1e3, 1e-8, 1e8, 1e-30, 1e30, 1e-160, 1e160])
kinds_of_rows = st.sampled_from(
    ["normal", "blobs", "integers", "equal", "cauchy", "few values", "rank one"]
)
dtypes = st.sampled_from(["f8", "f8", "f4", ">f8", ">f4", "i4", "u1", "?", "f2", "O"])
layouts = st.sampled_from(["C", "F", "strided", "reversed", "read-only", "list"])
seeds = st.integers(0, 2**31)


def drawn_rows(rng, n, d, kind):
    """Rows of one of the kinds, of order 1."""
    if kind == "blobs":
        return rng.normal(size=(n, d)) + 6.0 * rng.integers(0, 3, (n, 1))
    if kind == "integers":
        return rng.integers(-3, 4, (n, d)).astype(float)
    if kind == "equal":
        return np.repeat(rng.normal(size=(1, d)), n, axis=0)
    if kind == "cauchy":
        return rng.standard_cauchy((n, d))
    if kind == "few values":
        return rng.normal(size=(3, d))[rng.integers(0, 3, n)]
    if kind == "rank one":
        return rng.normal(size=(n, 1)) * rng.normal(size=d)
    return rng.normal(size=(n, d))


def laid_out(X, layout):
    """The same rows in another place of memory."""
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "strided":
        return np.repeat(X, 2, axis=1)[:, ::2]
    if layout == "reversed":
        return X[::-1, ::-1]
    if layout == "read-only":
        X.flags.writeable = False
    return X.tolist() if layout == "list" else X


@st.composite
def tables(draw, n, d):
    """Rows of many scales, types and layouts."""
    rng = np.random.default_rng(draw(seeds))
    X = drawn_rows(rng, n, d, draw(kinds_of_rows)) * draw(scales)
    if draw(st.integers(0, 5)) == 0:
        X = X * 10.0 ** rng.integers(-9, 9, d)
    if draw(st.integers(0, 5)) == 0:
        X = X + draw(scales)
    if draw(st.integers(0, 30)) == 0:
        X[0, 0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e300]))
    with np.errstate(all="ignore"):
        X = X.astype(draw(dtypes))
    return laid_out(X, draw(layouts))


@st.composite
def weights_of(draw, n):
    """Sample weights or None."""
    rng = np.random.default_rng(draw(seeds))
    kind = draw(
        st.sampled_from(["none"] * 3 + ["ones", "some", "few", "tiny", "zeros"])
    )
    if kind == "none":
        return None
    if kind == "some":
        return rng.uniform(size=n) * draw(st.sampled_from([1.0, 100.0, 1e-8, 1e12]))
    if kind == "few":
        return (rng.uniform(size=n) < 0.2).astype(float)
    return np.full(n, {"ones": 1.0, "tiny": 1e-300, "zeros": 0.0}[kind])


def some(**parameters):
    """Keywords, each one given or left at its default."""
    return st.fixed_dictionaries({}, optional=parameters)


flags = st.booleans()
COMMON = {
    "reg_covar": st.sampled_from([1e-6, 1e-6, 0.0, 1e-12, 1.0, 1e6]),
    "tol": st.sampled_from([1e-6, 0.0, 1.0]),
    "accelerate": st.sampled_from([True, False, "auto"]),
    "n_init": st.integers(1, 2),
    "n_jobs": st.sampled_from([None, 1, 3, -1]),
    "warm_start": flags,
}
sparse_parameters = some(
    sparsity=st.sampled_from([0.0, 0.1, 1.0, 20.0, 1e4]),
    covariance_type=st.sampled_from(["full", "tied", "diag", "spherical"]),
    solver=st.sampled_from(["em", "em", "adam"]),
    init_params=st.sampled_from(["kmeans", "k-means++", "random", "random_from_data"]),
    min_component_samples=st.sampled_from([None, 0, 3.0]),
    refit=flags,
    learning_rate=st.sampled_from([0.1, 1e-3, 10.0]),
    **COMMON,
)
coupled_parameters = some(
    transport_weight=st.sampled_from([0.1, 0.0, 10.0]),
    reg=st.sampled_from([0.01, 0.0, 1.0]),
    reg_m=st.sampled_from([None, 1.0, (0.1, 10.0)]),
    cost_scale=st.sampled_from(["auto", "auto", 1.0, 1e6]),
    covariance_type=st.sampled_from(["full", "diag"]),
    init_params=st.sampled_from(["auto", "pooled", "independent"]),
    **COMMON,
)


def attempt(kind, call):
    """Run the call: what it returned, or None where it refused in words."""
    COUNTS[kind, "ran"] += 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            result = call()
        except KINDS as error:
            refusal = error
        else:
            COUNTS[kind, "reached"] += 1
            return result
    message = str(refusal)
    assert type(refusal) in KINDS, repr(refusal)
    assert any(name in message for name in NAMED), message
    assert "expected" in message or not FOREIGN.search(message), message
    return None


def assert_finite(**parts):
    """All arrays are finite."""
    for name, part in parts.items():
        assert np.isfinite(part).all(), name


def assert_sound(mixture, X):
    """A fitted mixture and its answers on the rows it was fitted on."""
    names = (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "precisions_cholesky_",
    )
    assert_finite(**{name: getattr(mixture, name) for name in names})
    posteriors = mixture.predict_proba(X)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0, rtol=1e-4)
    assert_finite(density=mixture.score_samples(X), sample=mixture.sample(3)[0])


def fuzzed(test):
    """Run a test on as many examples as asked for, with the seed asked for."""

    def run(n_examples, request):
        chosen = settings(
            max_examples=n_examples, deadline=None, database=None,
            suppress_health_check=list(HealthCheck), print_blob=True,
        )  # fmt: skip
        seed(request.config.getoption("--fuzz-seed"))(chosen(test))()

    run.__name__ = test.__name__
    return run


@fuzzed
@given(st.data(), st.integers(2, 40), st.integers(1, 5), sparse_parameters)
def test_fuzz_sparse(data, n, d, parameters):
    X, weights = data.draw(tables(n, d)), data.draw(weights_of(n))
    n_components = data.draw(st.integers(1, 5))
    mixture = SparseGaussianMixture(
        n_components, max_iter=12, random_state=0, **parameters
    )
    if attempt("sparse", lambda: mixture.fit(X, sample_weight=weights)) is not None:
        assert_finite(bound=mixture.lower_bound_)
        assert_sound(mixture, X)
        attempt("partial_fit", lambda: mixture.partial_fit(X, sample_weight=weights))
        assert_sound(mixture, X)


@fuzzed
@given(st.data(), st.integers(2, 30), st.integers(1, 4), coupled_parameters)
def test_fuzz_coupled(data, n, d, parameters):
    X, weights = data.draw(tables(n, d)), data.draw(weights_of(n))
    n_components = data.draw(st.sampled_from([1, 2, 3, (1, 2), (3, 2)]))
    sample_domain = np.where(np.arange(n) % 2, -1, 1)
    keywords = {"sample_domain": sample_domain, "sample_weight": weights}
    coupled = CoupledGaussianMixture(
        n_components, max_iter=6, random_state=0, **parameters
    )
    mover = GMMOTTransformer(
        coupled,
        method=data.draw(st.sampled_from(["barycentric", "random", "most_likely"])),
        map_to=data.draw(st.sampled_from(["source", "target"])),
        strength=data.draw(st.sampled_from([1.0, 0.0, 0.3])),
        random_state=0,
    )
    if attempt("coupled", lambda: mover.fit(X, **keywords)) is not None:
        assert_sound(mover.source_, X)
        assert_sound(mover.target_, X)
        assert_finite(
            coupling=mover.coupling_, moved=mover.transform(X),
            back=mover.inverse_transform(X), weights=mover.transport_weights(X),
        )  # fmt: skip


@st.composite
def mixtures(draw, d):
    """A mixture of any scale, some singular, some with empty components."""
    rng = np.random.default_rng(draw(seeds))
    k = draw(st.integers(1, 4))
    scale = draw(st.sampled_from([1.0] * 4 + [1e-5, 1e5, 1e-20, 1e20]))
    weights = rng.dirichlet(np.full(k, draw(st.sampled_from([1.0, 0.05]))))
    if draw(st.integers(0, 4)) == 0:
        weights[0] = 0.0
        weights = weights / weights.sum() if weights.any() else np.eye(k)[0]
    roots = rng.normal(size=(k, d, d))
    if draw(st.integers(0, 3)) == 0:
        roots[0, :, 0] = 0.0
    if draw(st.integers(0, 3)) == 0:
        roots = roots * np.eye(d)
    covariances = scale**2 * roots @ np.swapaxes(roots, 1, 2)
    covariances = 0.5 * (covariances + np.swapaxes(covariances, 1, 2))
    parts = weights, scale * rng.normal(size=(k, d)), covariances
    dtype = draw(st.sampled_from(["f8", "f8", "f4", ">f8"]))
    with np.errstate(all="ignore"):
        return tuple(part.astype(dtype) for part in parts)


plan_parameters = some(
    reg=st.sampled_from([0.0, 0.01, 1.0, 1e4]),
    reg_m=st.sampled_from([None, 1.0, 1e-3, (0.5, 100.0), (None, 1.0)]),
)


@fuzzed
@given(st.data(), st.integers(1, 4), plan_parameters)
def test_fuzz_transport(data, d, parameters):
    source, target = data.draw(mixtures(d)), data.draw(mixtures(d))
    plan = attempt("transport", lambda: mw2_plan(source, target, **parameters))
    if plan is None:
        return
    assert_finite(coupling=plan.coupling, value=plan.value, costs=plan.costs)
    assert (plan.coupling >= 0.0).all()
    assert_finite(costs=component_costs(source, target),
                  distance=mw2_distance(source, target, **parameters),
                  distances=pairwise_mw2([source, target]))  # fmt: skip
    X = data.draw(tables(5, d))
    for method in ("barycentric", "random", "most_likely"):

        def move(method=method):
            return mw2_map(X, source, target, method=method, random_state=0)

        moved = attempt("map", move)
        if moved is not None:
            assert_finite(moved=moved)
    slopes = attempt("gradient", lambda: mw2_gradient(source, target, **parameters))
    if slopes is not None:
        assert_finite(value=slopes[0], **slopes[1]._asdict())


@fuzzed
@given(st.data(), st.integers(1, 3), plan_parameters)
def test_fuzz_toolbox(data, d, parameters):
    source, target = data.draw(mixtures(d)), data.draw(mixtures(d))
    t = data.draw(st.sampled_from([0.0, 0.3, 1.0]))
    between = attempt("between", lambda: mw2_interpolation(source, target, t))
    if between is not None:
        assert_finite(**between._asdict())
    path = attempt("flow", lambda: mw2_flow(source, target, n_steps=3, **parameters))
    if path is not None:
        assert_finite(losses=path.losses, **path.mixtures[-1]._asdict())
    method = data.draw(st.sampled_from(["exact", "fixed_point"]))
    center = attempt("center", lambda: mw2_barycenter([source, target], method=method))
    if center is not None:
        assert_finite(**center._asdict())
