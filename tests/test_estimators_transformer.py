"""GMMOTTransformer: domains, directions, weights, metadata."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import reference
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTTransformer,
    SparseGaussianMixture,
)
from skgmmot.datasets import make_shifted_mixtures, stack_domains
from skgmmot.transport import mw2_map


def two_components(**parameters):
    return SparseGaussianMixture(2, sparsity=0.0, random_state=0, **parameters)


@pytest.fixture(name="problem", scope="module")
def fixture_problem():
    data = make_shifted_mixtures(600, n_components=2, shift=6.0, random_state=0)
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    return data, X, sample_domain


@pytest.fixture(name="fitted", scope="module")
def fixture_fitted(problem):
    _, X, sample_domain = problem
    return GMMOTTransformer(two_components()).fit(X, sample_domain=sample_domain)


@pytest.mark.filterwarnings("ignore:No sample_domain was given:UserWarning")
@pytest.mark.filterwarnings("ignore:sample_weight is read as frequencies:UserWarning")
@pytest.mark.filterwarnings("ignore:fit_transform was given y:UserWarning")
@parametrize_with_checks(
    [
        GMMOTTransformer(SparseGaussianMixture(3, sparsity=0.0)),
        GMMOTTransformer(SparseGaussianMixture(3), map_to="source", reg=0.1, reg_m=1.0),
        GMMOTTransformer(SparseGaussianMixture(3), method="most_likely", strength=0.5),
    ],
    expected_failed_checks=lambda estimator: {},
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_transform_is_the_map_of_the_reference(problem):
    data, X, sample_domain = problem
    mover = GMMOTTransformer(two_components(), reg=0.1, align="scale")
    mover.fit(X, sample_domain=sample_domain)
    source, target = parts_of(mover.source_), parts_of(mover.target_)
    (linear, shift), metric = mover.alignment_, mover.cost_scale_
    aligned = [np.diag(linear) @ c @ np.diag(linear) for c in source[2]]
    common = 0.5 * (
        np.einsum("k,kij->ij", source[0], aligned)
        + np.einsum("k,kij->ij", target[0], target[2])
    )
    home = np.diag(1.0 / linear)
    counts = 600 * source[0], 600 * target[0]
    drawn = reference.shrunk_covariances(aligned, common, counts[0])
    moved_by = (
        (*source[:2], np.array([home @ c @ home for c in drawn])),
        (*target[:2], reference.shrunk_covariances(target[2], common, counts[1])),
    )

    def with_own_posteriors(X, left, entered, coupling):
        seen = aligned_source(source, linear, shift, metric)
        shares = reference.posteriors(X, seen)
        expected = np.zeros(X.shape)
        for k, row in enumerate(coupling):
            for j, mass in enumerate(row / row.sum()):
                images = [reference.pair_image(x, left, entered, k, j) for x in X]
                expected += shares[:, [k]] * mass * np.array(images)
        return expected

    expected = reference.framed_map(
        with_own_posteriors, data.X_source[:40], *moved_by, mover.coupling_,
        np.diag(linear), shift, metric,
    )  # fmt: skip
    moved = mover.transform(data.X_source[:40])
    np.testing.assert_allclose(moved, expected, rtol=1e-8, atol=1e-8)


def aligned_source(mixture, linear, shift, metric):
    """A mixture after a diagonal alignment, in units of the costs."""
    weights, means, covariances = mixture
    scales = linear / np.sqrt(metric)
    return (
        weights,
        means * scales + shift / np.sqrt(metric),
        covariances * np.outer(scales, scales),
    )


def test_known_mixtures_move_rows_as_mw2_map_does(problem, fitted):
    data, _, _ = problem
    ends = fitted.source_, fitted.target_
    mover = GMMOTTransformer.from_mixtures(*ends, align=None, cost_scale=1.0)
    np.testing.assert_allclose(
        mover.transform(data.X_source), mw2_map(data.X_source, *ends), atol=1e-9
    )


def parts_of(estimator):
    return estimator.weights_, estimator.means_, estimator.covariances_


def test_rows_of_the_other_domain_are_returned_as_they_are(problem, fitted):
    _, X, sample_domain = problem
    moved = fitted.transform(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(moved[sample_domain < 0], X[sample_domain < 0])
    unlabelled = fitted.transform(X[sample_domain >= 0])
    np.testing.assert_array_equal(moved[sample_domain >= 0], unlabelled)


def test_map_to_source_moves_target_rows(problem):
    data, X, sample_domain = problem
    mover = GMMOTTransformer(two_components(), map_to="source")
    moved = mover.fit_transform(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(moved[sample_domain >= 0], data.X_source)
    there = clone(mover).set_params(map_to="target")
    there.fit(X, sample_domain=sample_domain)
    expected = there.inverse_transform(data.X_target)
    np.testing.assert_array_equal(moved[sample_domain < 0], expected)
    assert np.abs(expected.mean(axis=0) - data.X_source.mean(axis=0)).max() < 0.02


def test_fit_transform_equals_fit_then_transform(problem):
    _, X, sample_domain = problem
    mover = GMMOTTransformer(two_components())
    together = mover.fit_transform(X, sample_domain=sample_domain)
    apart = clone(mover).fit(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(
        together, apart.transform(X, sample_domain=sample_domain)
    )


@pytest.mark.parametrize("map_to", ["source", "target"])
def test_inverse_undoes_the_map_of_one_component(problem, map_to):
    _, X, sample_domain = problem
    one = SparseGaussianMixture(1, sparsity=0.0)
    mover = GMMOTTransformer(one, map_to=map_to).fit(X, sample_domain=sample_domain)
    moved = mover.transform(X, sample_domain=sample_domain)
    back = mover.inverse_transform(moved, sample_domain=sample_domain)
    np.testing.assert_allclose(back, X, atol=1e-9)


def test_transport_weights_are_one_for_a_balanced_plan(problem, fitted):
    data, _, _ = problem
    np.testing.assert_allclose(fitted.transport_weights(data.X_source), 1.0, rtol=1e-10)


def test_transport_weights_follow_the_formula_and_average_to_one(problem):
    data, X, sample_domain = problem
    mover = GMMOTTransformer(two_components(), reg=0.5, reg_m=(2.0, 5.0))
    mover.fit(X, sample_domain=sample_domain)
    source, target = mover.source_, mover.target_
    growth = target.weights_ / mover.coupling_.sum(axis=0)
    factors = (mover.coupling_ / source.weights_[:, None]) @ growth
    expected = source.predict_proba(data.X_source) @ factors
    weights = mover.transport_weights(data.X_source)
    np.testing.assert_allclose(weights, expected, rtol=1e-10)
    assert abs(weights.mean() - 1.0) < 1e-6
    assert np.ptp(factors) > 0.0


@pytest.mark.parametrize("map_to", ["target", "source"])
def test_transport_weights_are_one_on_average_under_the_fitted_mixture(map_to):
    data = make_shifted_mixtures(
        150, n_components=3, n_features=1, separation=2.0, growth=[1, 3, 1],
        random_state=0,
    )  # fmt: skip
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    mixture = SparseGaussianMixture(3, sparsity=0.0, random_state=0)
    mover = GMMOTTransformer(mixture, reg=0.1, reg_m=1.0, map_to=map_to)
    mover.fit(X, sample_domain=sample_domain)
    left = mover.source_ if map_to == "target" else mover.target_
    grid, width = np.linspace(-60.0, 60.0, 200_001, retstep=True)
    density = np.exp(left.score_samples(grid[:, None]))
    weights = mover.transport_weights(grid[:, None])
    assert np.ptp(weights) > 0.1
    assert width * (density @ weights) == pytest.approx(1.0, rel=1e-9)


def test_strength_moves_part_of_the_way(problem, fitted):
    data, X, sample_domain = problem
    half = GMMOTTransformer(two_components(), strength=0.25)
    half.fit(X, sample_domain=sample_domain)
    full = fitted.transform(data.X_source)
    expected = data.X_source + 0.25 * (full - data.X_source)
    np.testing.assert_allclose(half.transform(data.X_source), expected, atol=1e-10)


def test_random_state_is_handed_to_the_estimator_and_repeats(problem):
    _, X, sample_domain = problem
    mover = GMMOTTransformer(
        SparseGaussianMixture(2, sparsity=0.0), method="random", random_state=3
    ).fit(X, sample_domain=sample_domain)
    assert mover.source_.random_state == 3
    np.testing.assert_array_equal(mover.transform(X), mover.transform(X))


def test_scikit_learn_mixtures_serve_as_estimators(problem):
    data, X, sample_domain = problem
    theirs = GMMOTTransformer(GaussianMixture(2, random_state=0))
    moved = theirs.fit(X, sample_domain=sample_domain).transform(data.X_source)
    assert np.abs(moved.mean(axis=0) - data.X_target.mean(axis=0)).max() < 0.1
    message = "sample_weight: expected an estimator whose fit takes sample_weight"
    with pytest.raises(ValueError, match=message):
        theirs.fit(X, sample_domain=sample_domain, sample_weight=np.ones(len(X)))


def test_a_frozen_coupled_fit_is_used_as_it_is(problem):
    data, X, sample_domain = problem
    coupled = CoupledGaussianMixture(2, random_state=0)
    coupled.fit(X, sample_domain=sample_domain)
    mover = GMMOTTransformer(FrozenEstimator(coupled))
    mover.fit(X[::-1], sample_domain=sample_domain)
    assert mover.source_ is coupled.source_
    np.testing.assert_array_equal(mover.coupling_, coupled.coupling_)
    again = GMMOTTransformer(CoupledGaussianMixture(2, random_state=0))
    moved = again.fit(X, sample_domain=sample_domain).transform(data.X_source)
    np.testing.assert_array_equal(mover.transform(data.X_source), moved)


def test_a_frozen_mixture_is_refused_since_both_sides_would_be_the_same(problem):
    data, X, sample_domain = problem
    frozen = FrozenEstimator(two_components().fit(data.X_source))
    with pytest.raises(ValueError, match="SparseGaussianMixture, the same for both"):
        GMMOTTransformer(frozen).fit(X, sample_domain=sample_domain)


def test_integer_weights_equal_repeated_rows(problem):
    _, X, sample_domain = problem
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, len(X))
    mover = GMMOTTransformer(two_components())
    weighted = clone(mover).fit(X, sample_domain=sample_domain, sample_weight=weights)
    repeated = clone(mover).fit(
        np.repeat(X, weights, axis=0), sample_domain=np.repeat(sample_domain, weights)
    )
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-8)


def test_float32_comes_back(problem):
    _, X, sample_domain = problem
    X = X.astype(np.float32)
    mover = GMMOTTransformer(two_components()).fit(X, sample_domain=sample_domain)
    assert mover.transform(X).dtype == np.float32
    assert mover.transform(X, sample_domain=sample_domain).dtype == np.float32
    assert mover.transport_weights(X).dtype == np.float32


def test_far_rows_stay_finite(fitted):
    far = np.array([[1e8, -1e8], [1e150, 0.0]])
    assert np.isfinite(fitted.transform(far)).all()


def test_feature_names_and_pandas_output(problem):
    data, _, _ = problem
    frames = [pd.DataFrame(x, columns=["a", "b"])
              for x in (data.X_source, data.X_target)]  # fmt: skip
    X, sample_domain = stack_domains(*frames)
    mover = GMMOTTransformer(two_components()).set_output(transform="pandas")
    moved = mover.fit_transform(X, sample_domain=sample_domain)
    assert list(moved.columns) == ["a", "b"]
    assert list(mover.get_feature_names_out()) == ["a", "b"]
    np.testing.assert_array_equal(mover.feature_names_in_, ["a", "b"])


def test_sample_domain_is_routed_without_a_request(problem):
    data, X, sample_domain = problem
    y = np.concatenate([data.labels_source, data.labels_target])
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(GMMOTTransformer(two_components()), LogisticRegression())
        pipe.fit(X, y, sample_domain=sample_domain)
        routed = pipe[0].coupling_
        labels = pipe.predict(data.X_target, sample_domain=-np.ones(600))
    expected = GMMOTTransformer(two_components()).fit(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(routed, expected.coupling_)
    assert np.mean(labels == data.labels_target) > 0.95


def test_pickle_gives_the_same_bits(problem, fitted):
    data, _, _ = problem
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(
        copy.transform(data.X_source), fitted.transform(data.X_source)
    )


def test_without_labels_the_sample_meets_itself_and_a_warning_says_so(problem):
    data, _, _ = problem
    with pytest.warns(UserWarning, match="the sample is coupled with itself"):
        mover = GMMOTTransformer(two_components()).fit(data.X_source)
    np.testing.assert_allclose(
        mover.transform(data.X_source), data.X_source, atol=1e-10
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones(1200), "no target row among 1200"),
        (-np.ones(1200), "no source row among 1200"),
        (np.ones(7), "one label for each of the 1200 rows of X, got 7"),
        (np.r_[np.nan, np.ones(1199)], "expected finite labels, got NaN"),
        (np.array(["a"] * 1200), "expected numbers"),
    ],
)
def test_bad_labels_are_refused_in_words(problem, labels, message):
    _, X, _ = problem
    with pytest.raises(ValueError, match=message):
        GMMOTTransformer(two_components()).fit(X, sample_domain=labels)


def test_a_domain_without_weight_is_refused(problem):
    _, X, sample_domain = problem
    weights = (sample_domain > 0).astype(float)
    with pytest.raises(ValueError, match="weights of the target rows that sum to 0"):
        GMMOTTransformer(two_components()).fit(
            X, sample_domain=sample_domain, sample_weight=weights
        )


@pytest.mark.parametrize(
    "parameters",
    [
        {"reg": -1.0},
        {"reg": "none"},
        {"reg": np.nan},
        {"reg_m": 0.0},
        {"reg_m": (1.0, -1.0)},
        {"method": "mean"},
        {"map_to": "both"},
        {"strength": 1.5},
        {"strength": np.nan},
        {"align": "mean"},
        {"cost_scale": 0.0},
        {"out_of_support": "drop"},
        {"support_level": 1.0},
        {"max_slope": 0.0},
        {"estimator": 3},
    ],
)
def test_bad_parameters_name_themselves(problem, parameters):
    _, X, sample_domain = problem
    mover = GMMOTTransformer(two_components()).set_params(**parameters)
    with pytest.raises((ValueError, TypeError), match=next(iter(parameters))):
        mover.fit(X, sample_domain=sample_domain)


def test_an_unfitted_transformer_says_so(problem):
    _, X, _ = problem
    methods = "transform", "inverse_transform", "transport_weights", "support_score"
    for method in methods:
        with pytest.raises(NotFittedError, match="GMMOTTransformer"):
            getattr(GMMOTTransformer(), method)(X)


def test_nothing_else_warns(problem):
    _, X, sample_domain = problem
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GMMOTTransformer(two_components()).fit(X, sample_domain=sample_domain)
