"""Linked fits and bootstraps: arrays of other libraries; rows in parts are refused."""

from copy import copy

import numpy as np
import pytest
from devices import KINDS, RTOL, assert_like
from numpy.testing import assert_allclose
from refusals import assert_refused

from skgmmot import (
    CoupledGaussianMixture,
    LinkedGaussianMixture,
    SparseGaussianMixture,
    batch_report,
    cross_validate_links,
)
from skgmmot.datasets import make_time_course

COURSE = make_time_course(100, kind="growing", random_state=0)
KEPT = COURSE.sample_domain < 3
X, TIMES = COURSE.X[KEPT], COURSE.sample_domain[KEPT]
DOMAINS = np.where(TIMES == 0, 1, -1)
WEIGHTS = 1.0 + np.arange(len(X)) % 2
METHODS = {
    "move": lambda fit, x, labels: fit.move(x, 0, 2),
    "move nowhere": lambda fit, x, labels: fit.move(x, 1, 1),
    "velocity": lambda fit, x, labels: fit.velocity(x, 1),
    "to_reference": lambda fit, x, labels: fit.to_reference(x, labels, reference=1),
    "predict": lambda fit, x, labels: fit.predict(x, sample_domain=labels),
    "predict_proba": lambda fit, x, labels: fit.predict_proba(x, sample_domain=labels),
}
NUMBERS = {
    "score": lambda fit, x, labels: fit.score(x, sample_domain=labels),
    "likelihood": lambda fit, x, labels: fit.score_holdout(x, 0.5),
    "sliced": lambda fit, x, labels: fit.score_holdout(x, 0.5, metric="sliced"),
    "locate": lambda fit, x, labels: fit.locate(x),
    "add_sample": lambda fit, x, labels: (
        copy(fit).add_sample(x, 5, reference=0).transport_costs_[-1]
    ),
}


@pytest.fixture(name="linked", scope="module")
def fixture_linked():
    return LinkedGaussianMixture(3, random_state=0).fit(X, sample_domain=TIMES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"links": "star", "reference": "pooled"},
        {"n_components": "bic", "reg_m": 1.0},
        {"align": "linear"},
    ],
    ids=["pooled", "bic", "linear"],
)
@pytest.mark.parametrize(
    ("labels_too", "dtype"),
    [(True, np.float64), (False, np.float64), (True, np.float32)],
)
def test_fits_are_those_of_numpy(kind, parameters, labels_too, dtype):
    up, rows, rtol = KINDS[kind], X.astype(dtype), RTOL[dtype]
    fit = LinkedGaussianMixture(**{"n_components": 3, "random_state": 0, **parameters})
    expected = copy(fit).fit(rows, sample_domain=TIMES, sample_weight=WEIGHTS)
    labels = up(TIMES) if labels_too else TIMES
    fit.fit(up(rows), sample_domain=labels, sample_weight=up(WEIGHTS))
    assert_allclose(fit.lower_bound_, expected.lower_bound_, rtol=rtol)
    for found, side in zip(fit.mixtures_, expected.mixtures_, strict=True):
        assert type(found.means_) is np.ndarray
        assert found.means_.dtype == side.means_.dtype == dtype
        assert_allclose(found.means_, side.means_, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", METHODS)
def test_results_of_rows(linked, kind, dtype, name):
    up, rows = KINDS[kind], X.astype(dtype)
    found = METHODS[name](linked, up(rows), up(TIMES))
    assert_like(found, METHODS[name](linked, rows, TIMES), up(rows), RTOL[dtype])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(linked, kind, name):
    up = KINDS[kind]
    found = NUMBERS[name](linked, up(X), up(TIMES))
    assert_allclose(found, NUMBERS[name](linked, X, TIMES), rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_bootstraps(linked, kind):
    up, draws = KINDS[kind], {"n_bootstraps": 3, "random_state": 0}
    coupled = CoupledGaussianMixture(3, random_state=0).fit(X, sample_domain=DOMAINS)
    for fit, labels, name in (
        (linked, TIMES, "means"),
        (coupled, DOMAINS, "target_means"),
    ):
        found, expected = (
            fit.bootstrap(
                put(X), sample_domain=put(labels), sample_weight=put(WEIGHTS), **draws
            )
            for put in (up, np.asarray)
        )
        for one, other in ((found, expected), (found.debiased, expected.debiased)):
            for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
                assert_allclose(a, b, rtol=1e-8, atol=1e-8)
    sparse = SparseGaussianMixture(5, random_state=0).fit(X)
    found, expected = (sparse.bootstrap(put(X), **draws) for put in (up, np.asarray))
    assert found.counts == expected.counts


@pytest.mark.parametrize("kind", KINDS)
def test_functions(kind):
    up = KINDS[kind]
    found, expected = (
        batch_report(put(X), put(X + 1.0), put(TIMES), reference=0)
        for put in (up, np.asarray)
    )
    assert_allclose(found.distance_before, expected.distance_before)
    fit, grid = LinkedGaussianMixture(2, random_state=0), {"reg_m": [None, 1.0]}
    # Rows that are drawn follow the order of the components, which rounding may change.
    for metric, rtol in (("likelihood", 1e-6), ("sliced", 0.05)):
        found, expected = (
            cross_validate_links(
                fit, put(X), put(TIMES), param_grid=grid, metric=metric
            )
            for put in (up, np.asarray)
        )
        assert_allclose(found.scores, expected.scores, rtol=rtol)


@pytest.mark.parametrize("kind", ["dask", "sequence"])
def test_bootstraps_and_choices_refuse_rows_in_parts(linked, kind):
    def parts(values):
        if kind == "sequence":
            return [values[:150], values[150:]]
        return pytest.importorskip("dask.array").from_array(values, chunks=150)

    rows, labels = parts(X), parts(TIMES)
    coupled = CoupledGaussianMixture(3, random_state=0).fit(X, sample_domain=DOMAINS)
    sparse = SparseGaussianMixture(5, random_state=0).fit(X)
    for call in (
        lambda: linked.bootstrap(rows, sample_domain=labels),
        lambda: coupled.bootstrap(rows, sample_domain=parts(DOMAINS)),
        lambda: sparse.bootstrap(rows),
        lambda: cross_validate_links(LinkedGaussianMixture(2), rows, labels),
    ):
        assert_refused(call, "X")


@pytest.mark.parametrize("n_jobs", [0, 1.5, "all"])
def test_threads_of_a_bootstrap(linked, n_jobs):
    assert_refused(
        lambda: linked.bootstrap(X, sample_domain=TIMES, n_jobs=n_jobs), "n_jobs"
    )
