"""What comes to the host of every public method that takes rows: nothing of that size.

On the second device of array-api-strict a copy that does not go through `to_host` is an
error; what goes through it is counted.
"""

import inspect
from copy import copy

import numpy as np
import pytest
from devices import KINDS, assert_like, most_sums
from numpy.testing import assert_allclose
from scipy.stats import wasserstein_distance
from sklearn.base import clone

import skgmmot
from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    LinkedGaussianMixture,
    SparseGaussianMixture,
    _rows,
    batch_report,
    cross_validate_links,
)
from skgmmot.datasets import make_time_course, stack_domains
from skgmmot.kernels import to_host
from skgmmot.transport import mw2_map

COURSE = make_time_course(1000, kind="growing", random_state=0)
KEPT = COURSE.sample_domain < 3
X, TIMES = COURSE.X[KEPT], COURSE.sample_domain[KEPT]
DOMAINS = np.where(TIMES == 0, 1, -1)
CLASSES = (X[:, 0] > np.median(X[:, 0])).astype(int)
WEIGHTS = 1.0 + np.arange(len(X)) % 2
MOST = most_sums(10, X.shape[1])  # 10 components are offered where none are asked for

MODELS = {
    "SparseGaussianMixture": (SparseGaussianMixture(3, random_state=0), None),
    "CoupledGaussianMixture": (CoupledGaussianMixture(3, random_state=0), DOMAINS),
    "LinkedGaussianMixture": (LinkedGaussianMixture(3, random_state=0), TIMES),
    "GMMOTTransformer": (
        GMMOTTransformer(CoupledGaussianMixture(3, random_state=0)),
        DOMAINS,
    ),
    "GMMOTClassifier": (GMMOTClassifier(), DOMAINS),
}
# What a method is given beside rows, labels, classes and weights.
MORE = {
    "move": {"source": 0, "target": 2},
    "velocity": {"domain": 1},
    "to_reference": {"reference": 1},
    "add_sample": {"label": 9, "reference": 0},
    "bootstrap": {"n_bootstraps": 2, "random_state": 0},
}


def public_methods(model):
    """Names of the public methods that take rows."""
    for name, method in inspect.getmembers(type(model), inspect.isroutine):
        if not name.startswith("_") and "X" in inspect.signature(method).parameters:
            yield name


CASES = [(kind, m, name) for kind in KINDS for m in MODELS for name in
         public_methods(MODELS[m][0])]  # fmt: skip


def call(model, name, put, labels):
    method = getattr(model, name)
    known = inspect.signature(method).parameters
    given = {
        "y": put(CLASSES) if isinstance(model, GMMOTClassifier) else None,
        "sample_domain": None if labels is None else put(labels),
        "sample_weight": put(WEIGHTS),
    }
    given = {key: value for key, value in given.items() if key in known}
    if name == "score_holdout":
        return [
            method(put(X), 0.5, metric=metric) for metric in ("likelihood", "sliced")
        ]
    return method(put(X), **given, **MORE.get(name, {}))


@pytest.fixture(name="fitted", scope="module")
def fixture_fitted():
    found = {}
    for key, (model, labels) in MODELS.items():
        found[key] = call(copy(model), "fit", np.asarray, labels)
    return found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("kind", "model", "name"), CASES)
def test_public_methods(fitted, kind, model, name, small_samples, transfers):
    def there(model):
        return copy(fitted[model])

    labels = MODELS[model][1]
    expected = call(there(model), name, np.asarray, labels)
    found = call(there(model), name, KINDS[kind], labels)
    assert max(transfers, default=0) <= MOST
    if isinstance(expected, np.ndarray):
        assert_like(found, expected, KINDS[kind](X), 1e-6)
    elif isinstance(expected, float | list):
        assert_allclose(found, expected, rtol=1e-6)
    elif isinstance(expected, tuple):  # draws of a bootstrap
        assert_allclose(found[0], expected[0], rtol=1e-6)
    else:
        assert type(found) is type(expected)


# Ways to start, to choose a number and to fit, of few rows: all are then in the sample.
FITS = {
    "random": (SparseGaussianMixture(3, sparsity=0.0, init_params="random"), None),
    "k-means++": (SparseGaussianMixture(3, init_params="k-means++"), None),
    "from data": (SparseGaussianMixture(3, init_params="random_from_data"), None),
    "given": (SparseGaussianMixture(3, means_init=X[:3]), None),
    "callable": (
        SparseGaussianMixture(3, init_params=lambda rows, size, _: rows[:size, :]),
        None,
    ),
    "price": (SparseGaussianMixture(6, sparsity=0.5, n_init=2), None),
    "icl": (SparseGaussianMixture(6, sparsity="icl", covariance_type="tied"), None),
    "auto": (SparseGaussianMixture(4, covariance_type="auto"), None),
    "refit": (SparseGaussianMixture(4, sparsity=1.0, refit=True), None),
    "adam": (SparseGaussianMixture(3, sparsity=1.0, solver="adam", max_iter=20), None),
    "coupled bic": (CoupledGaussianMixture(), DOMAINS),
    "independent": (CoupledGaussianMixture(3, init_params="independent"), DOMAINS),
    "linear": (CoupledGaussianMixture((2, 3), align="linear", n_init=2), DOMAINS),
    "linked bic": (LinkedGaussianMixture(reg_m=1.0), TIMES),
    "pooled": (LinkedGaussianMixture(3, links="star", reference="pooled"), TIMES),
    "mixture": (GMMOTTransformer(SparseGaussianMixture(5)), DOMAINS),
    "classes": (GMMOTClassifier("bic"), DOMAINS),
    "more": (GMMOTClassifier(2, covariance_type="tied", align="scale"), DOMAINS),
}
FEW = slice(None, None, 5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["second device", "torch"])
@pytest.mark.parametrize("name", FITS)
def test_fits(kind, name, transfers):
    model, labels = FITS[name]
    found, expected = (clone(model).set_params(random_state=0) for _ in range(2))
    for fit, put in ((expected, np.asarray), (found, KINDS[kind])):
        domain = {} if labels is None else {"sample_domain": put(labels[FEW])}
        y = put(CLASSES[FEW]) if isinstance(model, GMMOTClassifier) else None
        fit.fit(put(X[FEW]), y, sample_weight=put(WEIGHTS[FEW]), **domain)
    assert 0 < max(transfers) <= MOST < len(X[FEW])
    for attribute in ("lower_bound_", "means_", "coupling_", "class_shares_"):
        if hasattr(expected, attribute):
            values = getattr(expected, attribute)
            assert_allclose(getattr(found, attribute), values, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rows", [500, 1500])
def test_samples_and_components(rows, transfers, monkeypatch):
    """More rows in a sample bring no more over; more components do."""
    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", rows)
    mixture = SparseGaussianMixture(12, sparsity=0.0, random_state=0, max_iter=2, tol=1)
    mixture.fit(KINDS["second device"](X))
    assert most_sums(11, X.shape[1]) / 2 < max(transfers) <= most_sums(12, X.shape[1])


def test_there_are_as_many_methods_as_were_counted():
    assert len(CASES) > 40 * len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_batch_report(kind, fitted, transfers):
    up = KINDS[kind]
    gates = fitted["SparseGaussianMixture"].predict
    found, expected = (
        batch_report(put(X), put(X * 1.1), put(TIMES), reference=0, gates=gates)
        for put in (up, np.asarray)
    )
    for a, b in zip(found, expected, strict=True):
        assert_allclose(a, b, rtol=1e-10)
    assert max(transfers) <= MOST
    parts = [X[time == TIMES] for time in np.unique(TIMES)]
    distances = [
        [wasserstein_distance(*pair) for pair in zip(part.T, parts[0].T, strict=True)]
        for part in parts
    ]
    assert_allclose(expected.distance_before, distances, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels_too", [True, False])
def test_cross_validated_links(kind, labels_too, small_samples, transfers):
    up = KINDS[kind]
    selection = cross_validate_links(
        LinkedGaussianMixture(3, random_state=0),
        up(X),
        up(TIMES) if labels_too else TIMES,
        param_grid={"reg_m": [1.0]},
        metric="sliced",
    )
    assert np.isfinite(selection.scores).all()
    assert max(transfers) <= MOST


@pytest.mark.parametrize("kind", KINDS)
def test_functions(kind, fitted, transfers):
    up, fit = KINDS[kind], fitted["CoupledGaussianMixture"]
    moved = mw2_map(up(X), fit.source_, fit.target_)
    assert_like(moved, mw2_map(X, fit.source_, fit.target_), up(X), 1e-8)
    stacked, labels = stack_domains(up(X), up(X + 1.0))
    assert_like(stacked, np.concatenate([X, X + 1.0]), up(X), 0.0)
    assert type(labels) is np.ndarray
    with pytest.raises(TypeError, match=r"X_source, X_target: .*one library"):
        stack_domains(up(X), X)
    assert max(transfers, default=0) <= MOST


def test_every_public_function_of_rows_is_here():
    names = {
        name
        for module in (skgmmot, skgmmot.transport, skgmmot.datasets)
        for name in module.__all__
        if inspect.isfunction(function := getattr(module, name))
        and {"X", "X_source", "before"} & set(inspect.signature(function).parameters)
    }
    assert names == {"batch_report", "cross_validate_links", "mw2_map", "stack_domains"}


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_weights_have_the_shares_that_were_given(kind, transfers):
    from skgmmot.estimators._bootstrap import row_weights

    rng, shapes = np.random.RandomState(0), np.array([0.0, 0.02, 0.5, 1.0, 7.0])
    weights = KINDS[kind](np.repeat(shapes, 20_000))
    drawn = row_weights(weights[:, None], weights, rng)
    assert not transfers
    drawn = to_host(drawn).reshape(5, -1)
    assert_allclose(drawn.mean(axis=1), shapes, rtol=0.06)
    assert_allclose(drawn.var(axis=1), shapes, rtol=0.1)
    assert (drawn[1:] > 0.0).any(axis=1).all()
