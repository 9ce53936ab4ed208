"""Memory: what a failed allocation says, how little is asked for, and no leaks."""

import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from children import run_child
from sklearn.exceptions import ConvergenceWarning

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    SparseGaussianMixture,
)

N, K = 400_000, 60  # an (N, K) array has 183 MiB
LIMIT = 110 * 2**20

needs_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs limits and /proc as on Linux"
)


def large():
    """Rows of two features, and labels of two domains."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2)) + 8.0 * rng.integers(0, 5, (N, 1))
    return X, np.where(np.arange(N) % 2, -1, 1)


def peak_of(call):
    """Most memory that the call held at once, in bytes."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "init_params", ["kmeans", "k-means++", "random_from_data", "random"]
)
def test_a_fit_holds_no_array_of_rows_and_components(init_params):
    X, _ = large()
    mixture = SparseGaussianMixture(
        K, sparsity=0.0, init_params=init_params, max_iter=2, random_state=0
    )
    assert peak_of(lambda: mixture.fit(X)) < LIMIT


def test_predict_proba_alone_holds_rows_and_components():
    X, _ = large()
    means = 8.0 * np.arange(K)[:, None] * np.ones(2)
    parts = np.full(K, 1.0 / K), means, np.ones((K, 2))
    mixture = SparseGaussianMixture.from_parameters(*parts, "diag")
    for call in (
        lambda: mixture.predict(X),
        lambda: mixture.score(X),
        lambda: mixture.bic(X),
        lambda: mixture.partial_fit(X),
        lambda: mixture.sample(N),
    ):
        assert peak_of(call) < LIMIT
    assert peak_of(lambda: mixture.predict_proba(X)) > 8 * N * K


def test_coupled_fits_and_maps_hold_no_array_of_rows_and_components():
    X, sample_domain = large()
    keywords = {"sample_domain": sample_domain}
    coupled = CoupledGaussianMixture(
        K, covariance_type="diag", init_params="independent", max_iter=1
    )
    for method in ("barycentric", "random", "most_likely"):
        mover = GMMOTTransformer(coupled, method=method, random_state=0)
        if method == "barycentric":
            assert peak_of(lambda m=mover: m.fit(X, **keywords)) < LIMIT
            fitted = mover
        mover.__dict__.update({k: v for k, v in vars(fitted).items() if k != "method"})
        assert peak_of(lambda m=mover: m.transform(X)) < LIMIT
        assert peak_of(lambda m=mover: m.transport_weights(X)) < LIMIT


@pytest.mark.filterwarnings("ignore:No sample_domain was given:UserWarning")
def test_a_classifier_holds_no_array_of_rows_and_components():
    X, sample_domain = large()
    y = (8.0 * K * X[:, 0] / 40.0).astype(int) % K
    model = GMMOTClassifier(max_iter=2)
    assert peak_of(lambda: model.fit(X, y, sample_domain=sample_domain)) < LIMIT
    assert peak_of(lambda: model.transform(X, sample_domain=sample_domain)) < LIMIT
    assert peak_of(lambda: model.predict(X, sample_domain=sample_domain)) < LIMIT / 2
    some = slice(None, None, 401)  # of both domains
    few = GMMOTClassifier("bic", random_state=0)
    few.fit(X[some], y[some] % 2, sample_domain=sample_domain[some])
    assert len(few.component_classes_) > 8
    assert peak_of(lambda: few.predict(X)) < LIMIT / 2


@needs_linux
def test_an_allocation_that_fails_says_how_much_was_asked():
    printed = run_child("""
        import resource
        K, X = 2000, np.zeros((100_000, 1))
        mixture = SparseGaussianMixture.from_parameters(
            np.full(K, 1.0 / K), np.arange(K)[:, None], np.ones(K), "spherical"
        )
        mixture.predict_proba(X[:10])
        mixture.score(X)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, hard))
        try:
            mixture.predict_proba(X)
        except MemoryError as error:
            print(error)
        before = dict(vars(mixture))
        try:
            mixture.fit(np.zeros((2**27, 1), np.int8))
        except MemoryError as error:
            print(error)
        print(vars(mixture) == before, mixture.score(X) < 0.0)
    """)
    asked, fit, after = printed.split("\n")
    assert "1.49 GiB for an array with shape (100000, 2000)" in asked
    assert "1.00 GiB for an array with shape (134217728, 1)" in fit
    assert after == "True True"


@needs_linux
def test_a_thousand_fits_leave_no_memory_behind():
    printed = run_child("""
        import gc, resource
        X, domain = rows(60, 2), np.repeat([1, -1], 30)
        mixture = {"n_components": 2, "max_iter": 3, "tol": 1.0}
        makers = [
            lambda: SparseGaussianMixture(**mixture),
            lambda: SparseGaussianMixture(sparsity=1.0, solver="adam", **mixture),
            lambda: CoupledGaussianMixture(covariance_type="diag", **mixture),
            lambda: GMMOTTransformer(SparseGaussianMixture(**mixture)),
        ]
        kinds = [0, 1, 0, 1, 0, 1, 0, 1, 2, 3]  # the latter two take longer

        def some(n):
            for i in range(n):
                kind = kinds[i % 10]
                estimator = makers[kind]()
                keywords = {} if kind < 2 else {"sample_domain": domain}
                estimator.fit(X, **keywords)
                (estimator.transform if kind == 3 else estimator.predict)(X)
            gc.collect()

        def resident():
            pages = int(open("/proc/self/statm").read().split()[1])
            return pages * resource.getpagesize()

        import warnings
        warnings.simplefilter("ignore")
        some(100)
        before, threads = resident(), threading.active_count()
        some(1000)
        print(resident() - before, threading.active_count() - threads)
    """)
    grown, threads = map(int, printed.split())
    assert grown < 4 * 2**20
    assert threads == 0
