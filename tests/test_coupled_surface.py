"""What CoupledGaussianMixture says and refuses; frozen sides, numbers, criteria."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator

from skgmmot import CoupledGaussianMixture, SparseGaussianMixture
from skgmmot.datasets import make_shifted_mixtures, stack_domains
from skgmmot.linalg import as_mixture


@pytest.fixture(name="data", scope="module")
def fixture_data():
    data = make_shifted_mixtures(400, n_components=3, random_state=1)
    return data, *stack_domains(data.X_source, data.X_target)


def test_a_frozen_side_needs_no_rows_and_gives_the_number(data):
    known, X, sample_domain = data
    model = CoupledGaussianMixture(frozen="source", source_init=known.source)
    with_rows = clone(model).fit(X, sample_domain=sample_domain)
    without = clone(model).fit(known.X_target)
    others = np.vstack([100.0 + known.X_source[:7], known.X_target])
    labels = np.r_[np.ones(7), -np.ones(len(known.X_target))]
    with_others = clone(model).fit(others, sample_domain=labels)
    for fitted in (without, with_others):
        np.testing.assert_array_equal(fitted.coupling_, with_rows.coupling_)
        np.testing.assert_array_equal(fitted.target_.means_, with_rows.target_.means_)
        assert fitted.lower_bound_ == with_rows.lower_bound_
    assert with_rows.coupling_.shape == (3, 3)
    np.testing.assert_allclose(with_rows.source_.means_, known.source[1])


@pytest.mark.parametrize("align", ["shift", "scale", "linear", None])
def test_the_frame_of_a_frozen_side_is_that_of_its_mixture(data, align):
    known, _, _ = data
    model = CoupledGaussianMixture(
        frozen="target", target_init=known.target, align=align
    ).fit(known.X_source)
    weights, means, covariances = known.target
    mean = weights @ means
    variances = weights @ (np.square(means - mean) + covariances[:, [0, 1], [0, 1]])
    if align in ("shift", None):
        scales = known.X_source.var(axis=0) + variances
        np.testing.assert_allclose(model.cost_scale_, scales, rtol=1e-9)
    else:
        linear, shift = model.alignment_
        full = np.diag(linear) if linear.ndim == 1 else linear
        np.testing.assert_allclose(
            full @ known.X_source.mean(axis=0) + shift, mean, atol=1e-9
        )
        moved = known.X_source @ full.T
        np.testing.assert_allclose(moved.var(axis=0), variances, rtol=0.05)


def test_the_likelihood_of_a_frozen_side_is_no_part_of_the_objective(data):
    known, _, _ = data
    model = CoupledGaussianMixture(frozen="source", source_init=known.source)
    model.fit(known.X_target)
    score = model.target_.score(known.X_target)
    expected = score - model.transport_weight * model.transport_cost_
    assert model.lower_bound_ == pytest.approx(expected, abs=1e-6)


def test_rows_of_the_free_side_are_asked_for(data):
    known, X, _ = data
    model = CoupledGaussianMixture(frozen="source", source_init=known.source)
    with pytest.raises(ValueError, match="no target row among 800"):
        model.fit(X, sample_domain=np.ones(800))


@pytest.mark.parametrize("n_clusters", [1, 2, 4])
def test_the_number_of_components_is_found(n_clusters):
    centres = 8.0 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    rng = np.random.default_rng(0)
    labels = rng.integers(n_clusters, size=(2, 300))
    sides = centres[labels] + rng.standard_normal((2, 300, 2))
    X, sample_domain = stack_domains(sides[0], 50.0 + [1.0, 30.0] * sides[1])
    model = CoupledGaussianMixture(align="scale", random_state=0)
    model.fit(X, sample_domain=sample_domain)
    assert model.coupling_.shape == (n_clusters, n_clusters)


def test_few_rows_get_few_components():
    rng = np.random.default_rng(0)
    X, sample_domain = stack_domains(*rng.standard_normal((2, 12, 5)))
    model = CoupledGaussianMixture().fit(X, sample_domain=sample_domain)
    assert model.coupling_.shape == (1, 1)


def test_a_start_that_clone_left_unfitted_is_told_with_the_mend(data):
    known, X, sample_domain = data
    fitted = SparseGaussianMixture(3, sparsity=0.0, random_state=0)
    fitted.fit(known.X_source)
    model = clone(CoupledGaussianMixture(source_init=fitted))
    with pytest.raises(NotFittedError, match=r"source_init: .*clone.*FrozenEstimator"):
        model.fit(X, sample_domain=sample_domain)
    for start in (FrozenEstimator(fitted), as_mixture(fitted)):
        again = clone(CoupledGaussianMixture(source_init=start))
        assert again.fit(X, sample_domain=sample_domain).coupling_.shape == (3, 3)


def test_tied_starts_have_one_covariance(data):
    known, X, sample_domain = data
    model = CoupledGaussianMixture(covariance_type="tied", source_init=known.source)
    with pytest.raises(ValueError, match="source_init: expected one covariance"):
        model.fit(X, sample_domain=sample_domain)


def test_tied_covariances_have_the_shape_of_scikit_learn(data):
    _, X, sample_domain = data
    model = CoupledGaussianMixture(3, covariance_type="tied", random_state=0)
    model.fit(X, sample_domain=sample_domain)
    for side in (model.source_, model.target_):
        assert side.covariances_.shape == (2, 2)
        assert side.covariance_type == "tied"


def test_scores_after_a_fit_of_two_domains_need_labels(data):
    _, X, sample_domain = data
    model = CoupledGaussianMixture(3, random_state=0)
    model.fit(X, sample_domain=sample_domain)
    for method in ("score", "bic", "aic"):
        with pytest.raises(ValueError, match=r"sample_domain: .* metadata routing"):
            getattr(model, method)(X)
    with pytest.warns(UserWarning, match="coupled with itself"):
        model.fit(X)
    assert np.isfinite(model.score(X))


def test_criteria_are_sums_over_the_domains(data):
    known, X, sample_domain = data
    model = CoupledGaussianMixture(3, random_state=0)
    model.fit(X, sample_domain=sample_domain)
    pairs = (model.source_, known.X_source), (model.target_, known.X_target)
    for name in ("bic", "aic"):
        expected = sum(getattr(side, name)(rows) for side, rows in pairs)
        found = getattr(model, name)(X, sample_domain=sample_domain)
        assert found == pytest.approx(expected)
    frozen = CoupledGaussianMixture(frozen="source", source_init=known.source)
    frozen.fit(X, sample_domain=sample_domain)
    assert frozen.bic(X, sample_domain=sample_domain) == pytest.approx(
        frozen.target_.bic(known.X_target)
    )


def test_names_of_features_are_on_both_sides(data):
    _, X, sample_domain = data
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = CoupledGaussianMixture(3).fit(frame, sample_domain=sample_domain)
    for side in (model.source_, model.target_):
        np.testing.assert_array_equal(side.feature_names_in_, ["a", "b"])
        side.predict(frame)


# Warnings


def two_far_clusters():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=300)
    source = rng.standard_normal((300, 2)) + 20.0 * labels[:, None]
    return stack_domains(source, rng.standard_normal((300, 2)))


def test_a_likelihood_that_is_given_up_is_told_at_the_line_of_the_user():
    X, sample_domain = two_far_clusters()
    model = CoupledGaussianMixture(2, transport_weight=5000.0, random_state=0)
    with pytest.warns(UserWarning, match=r"costs the source .* nats or more") as caught:
        model.fit(X, sample_domain=sample_domain)
    assert {warning.filename for warning in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(transport_weight=0.1).fit(X, sample_domain=sample_domain)


def test_all_warnings_point_at_the_line_of_the_user(data):
    _, X, sample_domain = data
    model = CoupledGaussianMixture(3, max_iter=1)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, sample_domain=sample_domain)
    with pytest.warns(UserWarning, match="coupled with itself") as more:
        CoupledGaussianMixture(3).fit(X)
    with pytest.warns(UserWarning, match="coupled with itself") as still:
        CoupledGaussianMixture(3).fit_predict(X)
    with pytest.warns(ConvergenceWarning) as sparse:
        SparseGaussianMixture(max_iter=1).fit(X)
    files = {w.filename for found in (caught, more, still, sparse) for w in found}
    assert files == {__file__}


def test_saturation_in_units_of_the_data_says_how_many_features(data):
    _, X, sample_domain = data
    model = CoupledGaussianMixture(
        3, align=None, cost_scale=1.0, reg_m=0.01, random_state=0
    )
    with pytest.warns(UserWarning, match="a sum over 2 features here"):
        model.fit(X, sample_domain=sample_domain)


def test_fits_leave_blas_as_it_was(data):
    from threadpoolctl import threadpool_info

    _, X, sample_domain = data
    before = [info["num_threads"] for info in threadpool_info()]
    CoupledGaussianMixture(3).fit(X, sample_domain=sample_domain)
    SparseGaussianMixture(3).fit(X)
    assert [info["num_threads"] for info in threadpool_info()] == before
