"""The record of a mixture: what is accepted, and what is refused in which words."""

import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from skgmmot.linalg import Mixture, as_mixture
from skgmmot.linalg._covariances import TYPES


@pytest.fixture
def parameters():
    rng = np.random.default_rng(0)
    return strategies.random_mixture(rng, 3, 2)


@given(strategies.mixtures())
@settings(max_examples=30, deadline=None)
def test_valid_mixture_is_kept(parameters):
    mixture = as_mixture(parameters)
    for given_array, array in zip(parameters, mixture, strict=True):
        np.testing.assert_array_equal(array, given_array)
    again = as_mixture(mixture)
    assert isinstance(again, Mixture)
    np.testing.assert_array_equal(again.covariances, mixture.covariances)


def test_the_argument_is_not_written_to(parameters):
    for array in parameters:
        array.setflags(write=False)
    as_mixture(parameters)


def test_lists_and_integers_become_float64():
    mixture = as_mixture([[1], [[0, 1]], [[[2, 1], [1, 2]]]])
    assert all(array.dtype == np.float64 for array in mixture)


def test_float32_is_kept_only_if_all_arrays_are(parameters):
    single = tuple(array.astype(np.float32) for array in parameters)
    assert all(array.dtype == np.float32 for array in as_mixture(single))
    mixed = (parameters[0], *single[1:])
    assert all(array.dtype == np.float64 for array in as_mixture(mixed))


def test_weights_rounded_to_single_precision_pass(parameters):
    weights = parameters[0].astype(np.float32).astype(np.float64)
    as_mixture((weights, *parameters[1:]))


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture])
def test_estimators_of_all_covariance_types(estimator, covariance_type):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(40, 3)), 5.0 + rng.normal(size=(40, 3))])
    model = estimator(
        n_components=2, covariance_type=covariance_type, random_state=0
    ).fit(X)
    found = model.covariances_
    expected = {
        "full": lambda k: found[k],
        "tied": lambda k: found,
        "diag": lambda k: np.diag(found[k]),
        "spherical": lambda k: found[k] * np.eye(3),
    }[covariance_type]
    mixture = as_mixture(model)
    np.testing.assert_allclose(mixture.weights, model.weights_)
    for k in range(2):
        np.testing.assert_allclose(mixture.covariances[k], expected(k), rtol=1e-12)


def test_unfitted_estimator():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        as_mixture(GaussianMixture(2))


def test_unknown_covariance_type(parameters):
    class Banded:
        weights_, means_, covariances_ = parameters
        covariance_type = "banded"

    with pytest.raises(ValueError, match="'full', 'tied', 'diag', 'spherical', got 'b"):
        as_mixture(Banded())


@pytest.mark.parametrize("name", ["tied", "diag", "spherical"])
def test_covariances_in_single_precision_stay_so(name):
    class Single:
        weights_, means_ = np.ones(1, np.float32), np.zeros((1, 2), np.float32)
        covariances_ = np.ones(TYPES[name].shape(1, 2), np.float32)
        covariance_type = name

    assert as_mixture(Single()).covariances.dtype == np.float32


@pytest.mark.parametrize("thing", [None, 3.0, "mixture", (1.0, 2.0), np.ones((2, 3))])
def test_what_is_no_mixture(thing):
    with pytest.raises(TypeError, match="target: expected a Mixture"):
        as_mixture(thing, "target")


def test_complex_parameters(parameters):
    with pytest.raises(
        TypeError, match="expected means that are real numbers, got type complex"
    ):
        as_mixture((parameters[0], parameters[1] + 0j, parameters[2]))


def test_ragged_parameters():
    with pytest.raises(ValueError, match="ragged"):
        as_mixture(([0.5, 0.5], [[0.0], [1.0, 2.0]], np.ones((2, 1, 1))))


@pytest.mark.parametrize(
    "shapes",
    [
        ((2,), (3, 2), (3, 2, 2)),
        ((3,), (3,), (3, 2, 2)),
        ((3,), (3, 2), (3, 2)),
        ((3,), (3, 2), (2, 2)),
        ((3, 1), (3, 2), (3, 2, 2)),
        ((0,), (0, 2), (0, 2, 2)),
        ((1,), (1, 0), (1, 0, 0)),
    ],
)
def test_wrong_shapes(shapes):
    with pytest.raises(ValueError, match=r"source: .* shapes \(K,\), \(K, d\)"):
        as_mixture(tuple(np.ones(shape) for shape in shapes))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("field", [0, 1, 2])
def test_values_that_are_not_finite(parameters, field, value):
    parameters[field].flat[1] = value
    name = Mixture._fields[field]
    with pytest.raises(
        ValueError, match=f"source: expected finite {name}, got NaN or inf"
    ):
        as_mixture(parameters)


def test_negative_weight(parameters):
    weights = np.array([0.6, -0.1, 0.5])
    with pytest.raises(ValueError, match=r"got -0\.1 as weight 1"):
        as_mixture((weights, *parameters[1:]))


def test_zero_weight_is_allowed(parameters):
    as_mixture((np.array([0.5, 0.0, 0.5]), *parameters[1:]))


def test_weights_that_do_not_sum_to_one(parameters):
    with pytest.raises(ValueError, match=r"got a sum of 1\.5"):
        as_mixture((1.5 * parameters[0], *parameters[1:]))


def test_asymmetric_covariance(parameters):
    parameters[2][1, 0, 1] += 1e-3
    with pytest.raises(ValueError, match="symmetric covariances, got covariance 1"):
        as_mixture(parameters)


def test_asymmetry_of_rounding_is_removed(parameters):
    parameters[2][1, 0, 1] *= 1.0 + 1e-12
    covariances = as_mixture(parameters).covariances
    np.testing.assert_array_equal(covariances, covariances.swapaxes(1, 2))


def test_asymmetry_is_judged_in_the_units_of_the_features(parameters):
    scales = np.array([1e-6, 1e6])
    covariances = parameters[2] * scales[:, None] * scales
    as_mixture((*parameters[:2], covariances))
    covariances[2, 0, 1] += 0.1
    with pytest.raises(ValueError, match="symmetric covariances, got covariance 2"):
        as_mixture((*parameters[:2], covariances))


def test_negative_variance(parameters):
    parameters[2][2] = np.diag([1.0, -0.5])
    with pytest.raises(ValueError, match=r"not negative, got -0\.5 in covariance 2"):
        as_mixture(parameters)


def test_indefinite_covariance(parameters):
    parameters[2][0] = [[1.0, 2.0], [2.0, 1.0]]
    with pytest.raises(
        ValueError, match=r"positive semi-definite .*, got covariance 0"
    ):
        as_mixture(parameters)


def test_correlation_without_variance(parameters):
    parameters[2][0] = [[0.0, 1e-3], [1e-3, 1.0]]
    with pytest.raises(
        ValueError, match=r"positive semi-definite .*, got covariance 0"
    ):
        as_mixture(parameters)


def test_singular_covariances_are_allowed(parameters):
    parameters[2][0] = [[1.0, 1.0], [1.0, 1.0]]
    parameters[2][1] = 0.0
    as_mixture(parameters)


@pytest.mark.parametrize("k", [3, 7, 30])
def test_weights_printed_with_six_digits_pass(k):
    weights = np.round(np.full(k, 1.0 / k), 6)
    mixture = as_mixture((weights, np.zeros((k, 1)), np.ones((k, 1, 1))))
    np.testing.assert_array_equal(mixture.weights, weights)


def test_sample_has_shares_means_and_covariances():
    covariances = [[[1.0, 0.8], [0.8, 2.0]], [[0.0, 0.0], [0.0, 4.0]]]
    mixture = as_mixture(([0.3, 0.7], [[0.0, 1.0], [9.0, -1.0]], covariances))
    X, y = mixture.sample(40_000, random_state=0)
    assert X.shape == (40_000, 2)
    np.testing.assert_allclose(np.bincount(y) / len(y), [0.3, 0.7], atol=0.01)
    for k in range(2):
        np.testing.assert_allclose(X[y == k].mean(0), mixture.means[k], atol=0.05)
        np.testing.assert_allclose(np.cov(X[y == k].T), covariances[k], atol=0.1)
    assert np.ptp(X[y == 1][:, 0]) == 0.0
    np.testing.assert_array_equal(mixture.sample(40_000, random_state=0)[0], X)


def test_sample_keeps_float32_and_refuses_no_rows(parameters):
    single = as_mixture([np.asarray(array, np.float32) for array in parameters])
    assert single.sample(3, random_state=0)[0].dtype == np.float32
    with pytest.raises(ValueError, match="n_samples: expected an integer, at least 1"):
        single.sample(0)
