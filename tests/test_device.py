"""Estimators on arrays of other libraries: as on NumPy's, and where these arrays are.

array-api-strict has a second device, from which nothing comes to NumPy unasked: what
passes there makes no silent copy. torch computes on the CPU.
"""

import pickle

import numpy as np
import pytest
import scipy
from children import run_child
from devices import KINDS, RTOL, SECOND, assert_like, most_sums
from sklearn.utils.fixes import parse_version

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    SparseGaussianMixture,
)
from skgmmot.datasets import stack_domains
from skgmmot.kernels import to_host
from skgmmot.mixture import _neighbours

DTYPES = [np.float64, np.float32]
CENTERS = np.array([[0.0, 0.0, 0.0], [4.0, 1.0, 0.0], [-3.0, 3.0, 1.0]])
everywhere = [
    pytest.mark.parametrize("kind", KINDS),
    pytest.mark.parametrize("dtype", DTYPES),
]


def all_kinds(test):
    for mark in everywhere:
        test = mark(test)
    return test


def domains(n=500, seed=0):
    """Rows of two domains in mixed order, with labels, classes and weights."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 2 * n)
    rows = CENTERS[y] + rng.standard_normal((2 * n, 3)) * [1.0, 0.8, 1.2]
    X, sample_domain = stack_domains(rows[:n], 1.3 * rows[n:] + 2.0)
    weights = rng.uniform(0.5, 2.0, 2 * n)
    weights[::40] = 0.0
    order = rng.permutation(2 * n)
    return X[order], sample_domain[order], y[order], weights[order]


def assert_fields(found, expected, names, rtol):
    """Fitted attributes are NumPy's, with the expected values."""
    for name in names:
        a, b = (np.asarray(getattr(fit, name)) for fit in (found, expected))
        assert type(getattr(found, name)) is type(getattr(expected, name)), name
        assert a.dtype == b.dtype, name
        scale = np.abs(b).max()
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=name)


def assert_methods(pair, X, like, names, rtol, **keywords):
    """Methods of two estimators, one of which has rows of another library."""
    found, expected = pair
    for name in names:
        assert_like(
            getattr(found, name)(like, **keywords),
            getattr(expected, name)(X, **keywords),
            like,
            rtol,
        )


@all_kinds
@pytest.mark.parametrize(
    ("covariance_type", "sparsity"), [("full", "bic"), ("diag", 1.0), ("tied", 0.0)]
)
def test_sparse(kind, dtype, covariance_type, sparsity, small_samples, transfers):
    X, _, _, weights = domains()
    X, rtol = X.astype(dtype), RTOL[dtype]
    like, w = KINDS[kind](X), KINDS[kind](weights)
    found, expected = (
        SparseGaussianMixture(
            4, sparsity=sparsity, covariance_type=covariance_type, random_state=0
        )
        for _ in range(2)
    )
    found.fit(like, sample_weight=w)
    expected.fit(X, sample_weight=weights)
    names = "weights_", "means_", "covariances_", "lower_bound_", "n_components_"
    assert_fields(found, expected, names, rtol)
    methods = "predict", "predict_proba", "score_samples"
    assert_methods((found, expected), X, like, methods, rtol)
    for name in ("score", "bic", "aic"):
        a = getattr(found, name)(like, sample_weight=w)
        b = getattr(expected, name)(X, sample_weight=weights)
        assert a == pytest.approx(b, rel=rtol)
    assert 0 < max(transfers) <= most_sums(4, 3)


@all_kinds
@pytest.mark.parametrize("init", ["random", "k-means++", "random_from_data"])
def test_starts(kind, dtype, init):
    X, _, _, weights = domains(100)
    X, w = np.round(X, 1).astype(dtype), KINDS[kind](weights)  # with ties
    found, expected = (
        SparseGaussianMixture(
            3, sparsity=0.0, init_params=init, max_iter=0, random_state=1
        )
        for _ in range(2)
    )
    found.fit(KINDS[kind](X), sample_weight=w)
    expected.fit(X, sample_weight=weights)
    assert_fields(found, expected, ("means_", "weights_", "covariances_"), RTOL[dtype])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["means", "responsibilities"])
def test_a_way_to_start_is_given_the_rows_as_they_are(kind, what):
    X, _, _, _ = domains(100)
    like = KINDS[kind](X)

    def start(rows, n_components, random_state):
        assert type(rows) is type(like)
        if what == "means":
            return rows[:n_components, :]
        return KINDS[kind](np.random.default_rng(0).dirichlet(np.ones(3), len(X)))

    given = X[:3]
    if what == "responsibilities":
        given = np.random.default_rng(0).dirichlet(np.ones(3), len(X))
    found, expected = (
        SparseGaussianMixture(3, sparsity=0.0, max_iter=3, tol=0, init_params=init)
        for init in (start, lambda *_: given)
    )
    with pytest.warns(match="did not converge"):
        found.fit(like)
    with pytest.warns(match="did not converge"):
        expected.fit(X)
    assert_fields(found, expected, ("means_", "lower_bound_"), 1e-8)


@all_kinds
def test_partial_fit(kind, dtype, transfers, small_samples):
    X, _, _, weights = domains()
    X = X.astype(dtype)
    found, expected = (SparseGaussianMixture(3, random_state=0) for _ in range(2))
    for start in range(0, len(X), 500):
        rows = slice(start, start + 500)
        up = KINDS[kind]
        found.partial_fit(up(X[rows]), sample_weight=up(weights[rows]))
        expected.partial_fit(X[rows], sample_weight=weights[rows])
    assert_fields(found, expected, ("weights_", "means_", "covariances_"), RTOL[dtype])
    assert 0 < max(transfers) <= most_sums(3, 3)


@all_kinds
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_components": 3, "reg_m": 1.0, "covariance_type": "diag"},
        {"n_components": (3, 2), "align": "linear"},
    ],
    ids=str,
)
def test_coupled(kind, dtype, parameters, small_samples, transfers):
    X, labels, _, weights = domains()
    X, rtol, up = X.astype(dtype), RTOL[dtype], KINDS[kind]
    like, w = up(X), up(weights)
    found, expected = (
        CoupledGaussianMixture(random_state=0, **parameters) for _ in range(2)
    )
    found.fit(like, sample_domain=up(labels), sample_weight=w)
    expected.fit(X, sample_domain=labels, sample_weight=weights)
    names = "coupling_", "costs_", "lower_bound_", "source_reweighting_", "cost_scale_"
    assert_fields(found, expected, names, max(rtol, 1e-6))
    methods = "predict", "predict_proba", "score_samples"
    rtol = max(rtol, 1e-6)
    for keywords in ({}, {"sample_domain": labels}):
        assert_methods((found, expected), X, like, methods, rtol, **keywords)
    for name in ("score", "bic", "aic"):
        a = getattr(found, name)(like, sample_domain=labels, sample_weight=w)
        b = getattr(expected, name)(X, sample_domain=labels, sample_weight=weights)
        assert a == pytest.approx(b, rel=rtol)
    assert 0 < max(transfers) <= most_sums(10, 3)


@all_kinds
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"method": "random", "map_to": "source"},
        {"method": "most_likely", "out_of_support": "shrink", "support_level": 0.9},
        {"out_of_support": "identity", "support_level": 0.9, "strength": 0.5},
        {"out_of_support": "nan", "support_level": 0.9, "align": "linear"},
    ],
    ids=str,
)
def test_transformer(kind, dtype, parameters, small_samples, transfers):
    X, labels, _, weights = domains()
    X, rtol, up = X.astype(dtype), max(RTOL[dtype], 1e-6), KINDS[kind]
    like, w = up(X), up(weights)
    mixture = SparseGaussianMixture(3, sparsity=0.0)
    found, expected = (
        GMMOTTransformer(mixture, random_state=0, **parameters) for _ in range(2)
    )
    keywords = {"sample_domain": labels}
    moved = found.fit_transform(like, sample_weight=w, **keywords)
    others = expected.fit_transform(X, sample_weight=weights, **keywords)
    assert_like(moved, others, like, rtol)
    assert_fields(found, expected, ("coupling_", "max_slope_", "cost_scale_"), rtol)
    methods = "transform", "inverse_transform", "support_score"
    for words in ({}, {"sample_domain": labels}):
        assert_methods((found, expected), X, like, methods, rtol, **words)
    assert_methods((found, expected), X, like, ["transport_weights"], rtol)
    assert 0 < max(transfers) <= most_sums(10, 3)


@all_kinds
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_components_per_class": 2, "covariance_type": "full"},
        {"n_components_per_class": "bic", "covariance_type": "diag", "align": "scale"},
        {"align": None, "reg_m": None},
    ],
    ids=str,
)
def test_classifier(kind, dtype, parameters, small_samples, transfers):
    X, labels, y, weights = domains(300)
    X, rtol, up = X.astype(dtype), max(RTOL[dtype], 1e-6), KINDS[kind]
    of = up if dtype is np.float64 else np.asarray  # labels like X, or NumPy's
    like, w = up(X), up(weights)
    found, expected = (GMMOTClassifier(**parameters) for _ in range(2))
    found.fit(like, of(y), sample_domain=of(labels), sample_weight=w)
    expected.fit(X, y, sample_domain=labels, sample_weight=weights)
    names = "classes_", "class_shares_", "coupling_", "component_classes_"
    assert_fields(found, expected, names, rtol)
    for words in ({}, {"sample_domain": labels}):
        methods = "predict", "predict_proba", "transform"
        assert_methods((found, expected), X, like, methods, rtol, **words)
    moved = found.transform(like, of(y), sample_domain=of(labels))
    assert_like(moved, expected.transform(X, y, sample_domain=labels), like, rtol)
    score = found.score(like, of(y), sample_domain=labels, sample_weight=w)
    other = expected.score(X, y, sample_domain=labels, sample_weight=weights)
    assert score == pytest.approx(other, abs=2e-3)
    assert 0 < max(transfers) <= most_sums(10, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_is_stored_with_numpys_arrays(kind):
    X, labels, y, _ = domains(300)
    up = KINDS[kind]
    model = GMMOTClassifier().fit(up(X), up(y), sample_domain=labels)
    kernels = [kernel for kernel in model._kernels if kernel is not None]
    assert kernels
    assert type(kernels[0].rows) is type(up(X))  # some rows of the source, where X was
    stored = pickle.loads(pickle.dumps(model))
    for kernel in filter(None, stored._kernels):
        assert {type(part) for part in kernel} == {np.ndarray}
    expected = to_host(model.predict_proba(up(X)))
    np.testing.assert_allclose(stored.predict_proba(X), expected, atol=1e-8)
    np.testing.assert_allclose(
        to_host(stored.predict_proba(up(X))), expected, atol=1e-12
    )


@all_kinds
@pytest.mark.parametrize("most", [50, 400])
@pytest.mark.parametrize("weighted", [False, True])
def test_neighbours(kind, dtype, most, weighted, monkeypatch, transfers):
    monkeypatch.setattr(_neighbours, "_MOST_CANDIDATES", most)
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((300, 4)) + 100.0).astype(dtype)
    weights = rng.uniform(0.1, 3.0, 300) if weighted else None
    others, up = rng.random((300, 3)), KINDS[kind]
    like, w = up(X), None if weights is None else up(weights)
    expected = _neighbours.neighbour_average(X, weights, 0.4)
    found = _neighbours.neighbour_average(like, w, 0.4)
    for name in ("candidates", "places"):
        numbers = to_host(getattr(found, name))
        np.testing.assert_array_equal(numbers, getattr(expected, name))
    assert len(expected.candidates) == min(most, 300)
    assert_like(found.values, expected.values, w if weighted else up(others), 1e-10)
    product = found.of(slice(9, 70), up(others[9:70]), up(others[expected.candidates]))
    own = expected.of(slice(9, 70), others[9:70], others[expected.candidates])
    assert_like(product, own, up(others), 1e-10)
    assert set(transfers) == {1}


@pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.14"),
    reason="scikit-learn's dispatch needs SciPy 1.14",
)
def test_dispatch_of_scikit_learn_may_be_on():
    code = """
    import sklearn
    import array_api_strict as strict
    from skgmmot import GMMOTClassifier

    sklearn.set_config(array_api_dispatch=True)
    rng = np.random.default_rng(0)
    y, second = rng.integers(0, 2, 300), strict.Device("device1")
    X = strict.asarray(4.0 * y[:, None] + rng.normal(size=(300, 3)), device=second)
    y, labels = strict.asarray(y, device=second), np.where(np.arange(300) % 2, 1, -1)
    for estimator in (
        SparseGaussianMixture(4, random_state=0),
        GMMOTTransformer(CoupledGaussianMixture(2, random_state=0)),
        GMMOTClassifier(),
    ):
        keywords = {} if estimator.__class__ is SparseGaussianMixture else {
            "sample_domain": labels
        }
        estimator.fit(X, y, **keywords)
        method = getattr(estimator, "transform", None) or estimator.predict_proba
        print(method(X).device)
    """
    printed = run_child(code, env={"SCIPY_ARRAY_API": "1"})
    assert printed.split("\n")[:3] == [str(SECOND)] * 3
