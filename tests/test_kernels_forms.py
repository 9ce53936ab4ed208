"""The two ways in which the readable twin whitens rows, and when each is taken."""

import tracemalloc

import numpy as np
import pytest
from devices import KINDS
from test_kernels_cpu import FORMS, make_problem

from skgmmot.kernels import Gaussians, _arrays, _forms
from skgmmot.kernels import _namespace as readable

GAPS, PRODUCTS = _forms.Gaps, _forms.Products


def kinds_of(X, gaussians, **keywords):
    """What forms are tried, in their order."""
    return [
        (type(form), np.dtype(form.dtype).name)
        for form in _forms.forms_for(X, gaussians, **keywords)
    ]


@pytest.fixture
def single_always(monkeypatch):
    monkeypatch.setattr(_forms, "_WORTH_SINGLE", -1)


def everything(X, gaussians, weights):
    found = readable.moments(X, weights, gaussians)
    return [
        *found[:5],
        readable.log_density(X, gaussians),
        readable.posteriors(X, gaussians),
    ]


def by_gaps(X, gaussians, weights, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(_forms, "_pays", lambda whiteners: False)
        assert kinds_of(X, gaussians) == [(GAPS, "float64")]
        return everything(X, gaussians, weights)


def assert_near(found, expected, rtol):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.max(np.abs(b)))


@pytest.mark.usefixtures("single_always")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@pytest.mark.parametrize("d", [1, 2, 5, 12])
@pytest.mark.parametrize("spread", [0.5, 3.0, 8.0])
def test_products_are_near_gaps(d, form, dtype, rtol, spread, monkeypatch):
    X, _, gaussians = make_problem(d, 400, d, 6, form, spread)
    X, weights = X.astype(dtype), np.random.default_rng(0).uniform(0.5, 2.0, 400)
    assert kinds_of(X, gaussians)[-2] == (PRODUCTS, "float64")
    if spread < 5.0 and d > 1:
        assert kinds_of(X, gaussians)[0] == (PRODUCTS, np.dtype(dtype).name)
    expected = by_gaps(X.astype(np.float64), gaussians, weights, monkeypatch)
    assert_near(everything(X, gaussians, weights), expected, rtol)


@pytest.mark.parametrize("spread", [1e2, 1e3, 1e5, 1e8])
def test_components_far_apart_lose_nothing(spread, monkeypatch):
    X, _, gaussians = make_problem(3, 400, 4, 6, "full", spread)
    found = everything(X, gaussians, None)
    assert_near(found, by_gaps(X, gaussians, None, monkeypatch), 1e-10)
    if spread > 1e4:
        assert kinds_of(X, gaussians) == [(GAPS, "float64")]


@pytest.mark.parametrize("form", FORMS)
def test_narrow_directions_are_left_to_gaps(form):
    X, _, (offsets, means, whiteners) = make_problem(3, 10, 4, 6, form)
    scale = np.array([1.0, 1e-5, 1.0, 1.0])  # all alike: a unit, and no matter
    alike = Gaussians(offsets, means * scale, whiteners / scale)
    assert kinds_of(X * scale, alike)[0][0] is PRODUCTS
    narrow = whiteners.copy()
    narrow[2] *= 1e5
    assert kinds_of(X, Gaussians(offsets, means, narrow)) == [(GAPS, "float64")]


@pytest.mark.usefixtures("single_always")
def test_sums_of_logarithms_are_not_taken_in_float32():
    X, _, gaussians = make_problem(3, 10, 4, 6, "full", 0.5)
    X = X.astype(np.float32)
    assert kinds_of(X, gaussians)[0] == (PRODUCTS, "float32")
    assert kinds_of(X, gaussians, single=False)[0] == (PRODUCTS, "float64")


def test_few_components_of_many_features_are_left_to_gaps():
    X, _, gaussians = make_problem(3, 10, 12, 4, "full")
    assert kinds_of(X, gaussians) == [(GAPS, "float64")]
    X, _, gaussians = make_problem(3, 10, 12, 4, "diagonal")
    assert kinds_of(X, gaussians)[0][0] is PRODUCTS


@pytest.mark.usefixtures("single_always")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("far", [1e3, 1e18, 1e30, 1e155, 1e300])
def test_rows_far_from_all_are_computed_anew(dtype, far, monkeypatch):
    X, _, gaussians = make_problem(4, 300, 4, 5, "full", 0.5)
    if far > float(np.finfo(dtype).max):
        pytest.skip("beyond the type")
    X[280] *= far / np.abs(X[280]).max()
    X = X.astype(dtype)
    found = readable.labels(X, gaussians), readable.log_density(X, gaussians)
    monkeypatch.setattr(_forms, "_pays", lambda whiteners: False)
    expected = readable.labels(X, gaussians), readable.log_density(X, gaussians)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4)
    if far > 1e150 or (dtype is np.float32 and far > 1e3):
        np.testing.assert_allclose(found[1][280], expected[1][280], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_host_waits_for_the_device_once(kind, transfers):
    X, _, gaussians = make_problem(3, 500, 4, 6, "full")
    like = KINDS[kind](X)
    readable.moments(like, None, gaussians)
    # 15 pairs for each component, deletion, and three numbers.
    assert transfers == [6 * 15 + 6 + 3]
    del transfers[:]
    for primitive in (readable.log_density, readable.labels, readable.posteriors):
        primitive(like, gaussians)
    assert transfers == [1, 1, 1]  # whether the rows were near enough


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("spread", [0.5, 1e6])
def test_nothing_as_large_as_the_rows_times_components_is_made(dtype, spread):
    X, _, gaussians = make_problem(3, 60_000, 4, 24, "full", spread)
    X = X.astype(dtype)
    readable.moments(X[:100], None, gaussians)
    tracemalloc.start()
    try:
        readable.moments(X, None, gaussians, deletion=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * X.shape[0] * 24  # bytes of densities of all rows: 11.5 MB


def test_chunks_cover_all_rows(monkeypatch):
    monkeypatch.setattr(_arrays, "_NEAR_ENTRIES", 100)
    X = np.zeros((101, 3))
    slices = list(_arrays.chunks(X, 7))
    assert [(s.start, s.stop) for s in slices[:2]] == [(0, 14), (14, 28)]
    assert sum(s.stop - s.start for s in slices) == 101
    assert [s.stop for s in _arrays.chunks(X, 1, 60)] == [60, 101]
    assert list(_arrays.chunks(X[:0], 7)) == [slice(0, 0)]


def test_chunks_follow_the_free_memory(monkeypatch):
    X = np.zeros((2, 2))
    for free, entries in ((0, 2**17), (2**30, 2**30 // 256), (2**40, 2**25)):
        monkeypatch.setattr(_arrays, "_free_bytes", lambda x, free=free: free)
        assert _arrays._entries(X) == entries
