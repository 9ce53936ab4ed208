"""At the ends of the floating-point range: finite, or refused in words."""

import numpy as np
import pytest

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    SparseGaussianMixture,
)
from skgmmot.mixture._penalty import RootPenalty
from skgmmot.transport import (
    component_costs,
    mw2_flow,
    mw2_gradient,
    mw2_map,
    mw2_plan,
    pairwise_mw2,
)

ROWS = np.random.default_rng(0).normal(size=(60, 2))


def mixture(scale, weights=(0.5, 0.5), dtype=np.float64):
    """Two components in one feature, at 0 and at the scale."""
    covariances = np.full((2, 1, 1), scale) * scale
    parts = np.array(weights), np.array([[0.0], [scale]]), covariances
    return tuple(part.astype(dtype) for part in parts)


@pytest.mark.parametrize("size", [1e141, 1e160, 1e300])
def test_rows_without_squares_are_refused_to_fits_and_answered_to(size):
    fitted = SparseGaussianMixture(2, sparsity=0.0, random_state=0).fit(ROWS)
    far = np.where(np.arange(60)[:, None] == 7, size, ROWS)
    for method in (fitted.partial_fit, fitted.fit):
        with pytest.raises(ValueError, match="X: expected values within 1e"):
            method(far)
    coupled = CoupledGaussianMixture(2)
    with pytest.raises(ValueError, match="X: expected values within 1e"):
        coupled.fit(far, sample_domain=np.repeat([1, -1], 30))
    assert np.isfinite(fitted.score_samples(far)).all()
    np.testing.assert_allclose(fitted.predict_proba(far).sum(axis=1), 1.0)


@pytest.mark.parametrize("size", [1e71, 1e300])
def test_rows_without_fourth_powers_are_refused_to_the_classifier(size):
    y, domain = np.arange(60) % 3 % 2, np.repeat([1, -1], 30)
    far = np.where(np.arange(60)[:, None] == 7, size, ROWS)
    with pytest.raises(ValueError, match="X: expected values within 1e"):
        GMMOTClassifier().fit(far, y, sample_domain=domain)
    near = GMMOTClassifier(reg_covar=0.0).fit(ROWS, y, sample_domain=domain)
    scaled = GMMOTClassifier(reg_covar=0.0)
    scaled.fit(2.0**220 * ROWS, y, sample_domain=domain)
    found = scaled.predict_proba(2.0**220 * ROWS)
    np.testing.assert_allclose(found, near.predict_proba(ROWS), atol=1e-10)


def test_variances_beyond_float32_are_refused():
    rows = (1e25 * ROWS).astype(np.float32)
    with pytest.raises(ValueError, match="X: expected variances in the range"):
        SparseGaussianMixture(2, sparsity=0.0).fit(rows)
    assert np.isfinite(SparseGaussianMixture(2).fit(rows.astype(float)).means_).all()


@pytest.mark.parametrize("size", [1e25, 1e38])
def test_coupled_variances_beyond_float32_are_refused(size):
    rows, domain = (size * ROWS).astype(np.float32), np.repeat([1, -1], 30)
    for kind in (CoupledGaussianMixture, GMMOTTransformer):
        estimator = kind(random_state=0)
        with pytest.raises(ValueError, match="X: expected variances in the range"):
            estimator.fit(rows, sample_domain=domain)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_of_adam_that_leave_the_range_end_it():
    rows = np.repeat(ROWS[:4], 3, axis=1)
    fitted = SparseGaussianMixture(
        2, sparsity=0.0, solver="adam", learning_rate=1e80, reg_covar=1e-9
    ).fit(rows)
    assert np.isfinite(fitted.covariances_).all()
    assert fitted.lower_bound_ >= fitted.lower_bounds_[0]
    assert fitted.n_iter_ < 50


@pytest.mark.parametrize("price", [1e-12, 1.0, 1e4, 1e12])
def test_weights_at_any_price(price):
    shares = np.array([1e-20, 1.0, 0.0, 1e-300])
    for weights in ([0.5, 0.5, 0.0, 0.0], [1.0, 1e-40, 1e-300, 1e-5], [0.25] * 4):
        penalty, start = RootPenalty(price), np.array(weights)
        updated = penalty.update_weights(shares / shares.sum(), start)
        assert np.isfinite(updated).all()
        assert updated.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [1e-160, 1e-155, 1e-20, 1e20, 1e60])
@pytest.mark.parametrize("kind", [{}, {"reg": 1.0}, {"reg_m": 1e-3}, {"reg_m": 1e3}])
@pytest.mark.filterwarnings("ignore:reg=.* is below:UserWarning")
def test_plans_and_flows_of_any_scale(scale, kind):
    source, target = mixture(scale, (1.0, 0.0)), mixture(2.0 * scale, (0.3, 0.7))
    plan = mw2_plan(source, target, **kind)
    assert np.isfinite(plan.coupling).all()
    assert np.isfinite(plan.value)
    path = mw2_flow(source, target, n_steps=3, **kind)
    assert np.isfinite(path.losses).all()
    if scale > 1e-100:  # variances below are 0
        value, slopes = mw2_gradient(source, target, **kind)
        assert np.isfinite(value)
        assert all(np.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("method", ["barycentric", "random", "most_likely"])
def test_rows_at_the_end_of_the_range_have_finite_images(method):
    source, target = mixture(1e-20), mixture(1e20, (0.3, 0.7))
    X = np.array([[1e153], [-1e153], [1e-20]])
    moved = mw2_map(X, source, target, method=method, random_state=0)
    assert np.isfinite(moved).all()
    near = mw2_map(X[2:], source, target, method="barycentric")
    if method == "barycentric":
        np.testing.assert_array_equal(moved[2:], near)


@pytest.mark.parametrize("size", [1.001e153, -1e200, 1e308])
def test_rows_too_far_to_be_moved_are_refused(size):
    source, target = mixture(1.0), mixture(2.0)
    words = r"X: expected values within 1e\+153, whose .*; drop these rows"
    with pytest.raises(ValueError, match=words):
        mw2_map([[0.0], [size]], source, target)
    X = np.concatenate([ROWS, ROWS + 3.0])
    domain = np.repeat([1, -1], 60)
    mover = GMMOTTransformer(SparseGaussianMixture(1)).fit(X, sample_domain=domain)
    far = np.array([[0.0, size], [0.0, 0.0]])
    for move in (mover.transform, mover.inverse_transform):
        with pytest.raises(ValueError, match=words):
            move(far)
        with pytest.raises(ValueError, match=words):
            move(far, sample_domain=[1, -1])
        # a row that stays where it is may be anywhere
        np.testing.assert_array_equal(move(far, sample_domain=[-1, 1])[0], far[0])


@pytest.mark.parametrize("distance", [30.0, 37.5, 38.2, 60.0])
def test_weights_along_a_plan_that_moves_next_to_nothing(distance):
    X = np.concatenate([ROWS, ROWS + [distance, 0.0]])
    mover = GMMOTTransformer(SparseGaussianMixture(1), reg=0.0, reg_m=1.0)
    mover.fit(X, sample_domain=np.repeat([1, -1], 60))
    weights = mover.transport_weights(ROWS)
    # 1 on average, or 0 where the mass that is moved is below the range
    expected = 1.0 if mover.coupling_.any() else 0.0
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


@pytest.mark.parametrize("pair", [(None, 1.0), (1.0, None)])
def test_a_penalty_below_rounding_beside_a_balanced_side_is_refused(pair):
    source, target = mixture(1e8), mixture(2e8, (0.3, 0.7))
    with pytest.raises(ValueError, match="reg_m: expected at least 1e-10"):
        mw2_plan(source, target, reg_m=pair)


def test_results_in_float32_are_cut_at_its_range():
    source, target = mixture(1e18, dtype=np.float32), mixture(1.0, dtype=np.float32)
    largest = np.finfo(np.float32).max
    far = (np.array([1.0]), np.array([[3e38]]), np.array([[[1.0]]]))
    far = tuple(part.astype(np.float32) for part in far)
    assert component_costs(target, far).max() == largest
    assert mw2_plan(target, far).costs.max() == largest
    assert pairwise_mw2([target, far], squared=True).max() == largest
    moved = mw2_map(np.float32([[1e30]]), target, source)
    assert moved.dtype == np.float32
    assert np.isfinite(moved).all()
