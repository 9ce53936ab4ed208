"""float32 rows: computed in float32 where that is accurate, else in float64."""

import numpy as np
import pytest
import reference_mixture as reference
from test_kernels_cpu import FORMS, assert_moments, in_form, make_problem

from skgmmot.kernels import Gaussians
from skgmmot.kernels.numba import _maps
from skgmmot.kernels.numba import _primitives as kernels
from skgmmot.kernels.numba._records import Components

RTOL = 1e-5  # of the largest entry; 1e-4 is promised


@pytest.fixture
def always(monkeypatch):
    """float32 also where a problem is too small for it to pay."""
    monkeypatch.setattr(kernels, "_WORTH_SINGLE", 0.0)


def everything(X, gaussians, weights=None, n_threads=None):
    """What each primitive that knows responsibilities returns, by name."""
    K, d = gaussians.means.shape
    rng = np.random.default_rng(0)
    linear, shifts = rng.standard_normal((K, d, d)), rng.standard_normal((K, d))
    if gaussians.whiteners.ndim == 2:
        linear = in_form(linear, "diagonal")
    moments = kernels.moments(X, weights, gaussians, True, n_threads)
    return moments._asdict() | {
        "density": kernels.log_density(X, gaussians, n_threads),
        "posteriors": kernels.posteriors(X, gaussians, n_threads),
        "labels": kernels.labels(X, gaussians, n_threads),
        "draws": kernels.draw_labels(X, gaussians, rng.uniform(size=len(X)), n_threads),
        "maps": kernels.apply_maps(X, gaussians, linear, shifts, n_threads),
    }


def assert_same(found, expected):
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8, 9, 18, 33])
def test_float32_is_near_float64(d, form, monkeypatch):
    X, mixture, gaussians = make_problem(d, 300, d, 4, form)
    X = X.astype(np.float32)
    weights = np.random.default_rng(d).uniform(0.5, 2.0, len(X))
    found = everything(X, gaussians, weights)
    assert_moments(
        kernels.moments(X, weights, gaussians),
        X.astype(float),
        weights,
        mixture,
        form,
        RTOL,
    )
    monkeypatch.setattr(kernels, "_WORTH_SINGLE", np.inf)
    expected = everything(X, gaussians, weights)
    assert (found["density"] != expected["density"]).any()  # the other way was taken
    for name in expected.keys() - {"labels", "draws"}:
        scale = np.abs(expected[name]).max()
        # Far apart, log(1 - r) knows of the second component of a row alone.
        tolerance = (1e-3 if name == "deletion" and d == 33 else RTOL) * scale
        np.testing.assert_allclose(found[name], expected[name], atol=tolerance, rtol=0)
    for name in ("labels", "draws"):
        assert np.mean(found[name] != expected[name]) <= 1 / len(X)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("form", FORMS)
def test_an_offset_loses_nothing(form):
    X, (weights, means, covariances), gaussians = make_problem(3, 300, 5, 4, form)
    X = (X + 1e4).astype(np.float32)
    moved = gaussians._replace(means=means + 1e4)
    expected = reference.log_densities(
        X.astype(np.float64), (weights, means + 1e4, covariances)
    )
    np.testing.assert_allclose(kernels.log_density(X, moved), expected, rtol=RTOL)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("far", [1e4, 1e30, 3e38])
def test_ranges_with_rows_far_from_all_are_computed_in_float64(form, far, monkeypatch):
    X, _, gaussians = make_problem(4, 300, 5, 4, form)
    X[280] *= far / np.abs(X[280]).max()  # in the third tile of the range
    X = X.astype(np.float32)
    found = everything(X, gaussians)
    monkeypatch.setattr(kernels, "_WORTH_SINGLE", np.inf)
    assert_same(found, everything(X, gaussians))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("change", ["cancels", "tiny", "huge", "far means"])
def test_mixtures_that_float32_cannot_hold_are_computed_in_float64(change, monkeypatch):
    X, _, gaussians = make_problem(4, 300, 5, 4, "full")
    X = X.astype(np.float32)
    _, means, whiteners = gaussians
    if change == "cancels":  # a row of the whitener reaches 1e4 standard deviations
        whiteners = whiteners.copy()
        whiteners[0, 1, :2] = 1e4, -1e4
    scale = {"tiny": 1e-14, "huge": 1e14}.get(change, 1.0)
    shift = 1e13 if change == "far means" else 0.0
    gaussians = gaussians._replace(means=means + shift, whiteners=scale * whiteners)
    assert not kernels._is_tame(Components(*gaussians, 0.0))
    found = everything(X, gaussians)
    monkeypatch.setattr(kernels, "_WORTH_SINGLE", np.inf)
    assert_same(found, everything(X, gaussians))


@pytest.mark.usefixtures("always")
def test_few_rows_of_many_features_are_computed_in_float64():
    X, _, gaussians = make_problem(4, 300, 40, 2, "full")
    X = X.astype(np.float32)
    found = kernels.log_density(X[:319], gaussians)
    exact = kernels.log_density(X[:319].astype(np.float64), gaussians)
    np.testing.assert_array_equal(found, exact)


@pytest.mark.usefixtures("always")
def test_large_densities_lose_nothing():
    # 60 narrow features: log densities near 360, of which float32 would keep 3e-5.
    X, (weights, means, covariances), gaussians = make_problem(5, 600, 60, 3, "full")
    X, scale = (1e-3 * X).astype(np.float32), 1e-3
    offsets = gaussians.offsets - 60 * np.log(scale)
    narrow = gaussians._replace(
        offsets=offsets, means=scale * means, whiteners=gaussians.whiteners / scale
    )
    mixture = weights, scale * means, scale**2 * covariances
    expected = reference.log_densities(X.astype(np.float64), mixture)
    assert expected.mean() > 250
    found = kernels.log_density(X, narrow)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert abs((found - expected).mean()) < 2e-6  # 0.1 of what float32 would keep


@pytest.mark.usefixtures("always")
def test_components_far_apart_have_their_distance_in_deletion():
    # Others have exp(-200) there, which is 0 in float32; beyond 690 it is cut.
    gaps = np.array([10.0, 80.0, 200.0, 1000.0])
    X = np.zeros((400, 1), np.float32)
    for gap in gaps:
        means = np.array([[0.0], [np.sqrt(2.0 * gap)]])
        gaussians = Gaussians(np.zeros(2), means, np.ones((2, 1)))
        found = kernels.moments(X, None, gaussians, deletion=True).deletion
        exact = kernels.moments(
            X.astype(float), None, gaussians, deletion=True
        ).deletion
        np.testing.assert_allclose(found, exact, rtol=1e-6)
        np.testing.assert_allclose(found[0], -400 * min(gap, 690.77552), rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_threads_leave_the_bits_of_float32(form):
    X, _, gaussians = make_problem(5, 30_000, 6, 8, form)
    X = X.astype(np.float32)
    assert_same(everything(X, gaussians, None, 1), everything(X, gaussians, None, 3))
    small = kernels.log_density(X[:128], gaussians)  # in float64: too small to pay
    assert (small != kernels.log_density(X, gaussians)[:128]).any()


def test_terms_of_whitened_rows():
    _, _, gaussians = make_problem(6, 2, 6, 3, "full")
    deviations = np.linalg.norm(np.linalg.inv(gaussians.whiteners), axis=2)
    terms = (np.abs(gaussians.whiteners) * deviations[:, None, :]).sum(axis=2)
    found = _maps.largest_terms(gaussians.whiteners)
    np.testing.assert_allclose(found, terms.max(), rtol=1e-12)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_weights_that_float32_cannot_hold_are_summed_in_float64(scale, monkeypatch):
    X, _, gaussians = make_problem(4, 300, 5, 4, "full")
    X, weights = X.astype(np.float32), np.ones(300)
    weights[:2] = scale, 0.0
    found = kernels.moments(X, weights, gaussians)
    monkeypatch.setattr(kernels, "_WORTH_SINGLE", np.inf)
    expected = kernels.moments(X, weights, gaussians)
    assert_same(found._asdict(), expected._asdict())
