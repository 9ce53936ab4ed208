"""Data on which mixtures break down: fitted, finite and sensible, or refused in words.

A refusal is allowed where squares leave the range of the type (scales of 1e120 and
1e-120, an outlier in float32) and where all weights are 0; nowhere else. NumPy's
warnings are errors here, as in all tests.
"""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.transport import mw2_map

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:sample_weight is read as freq:UserWarning"),
    pytest.mark.filterwarnings("ignore:Only .* of the mass is moved:UserWarning"),
]

TYPES = ["full", "tied", "diag", "spherical"]
DTYPES = [np.float64, np.float32]
FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
COUPLED = ("coupling_", "costs_", "source_reweighting_", "target_reweighting_")
# Scales at which squares over- or underflow; in float32 the data themselves do.
MAY_BE_REFUSED = {("scale 1e120", np.float32), ("scale 1e120", np.float64),
                  ("scale 1e-120", np.float64), ("scale 1e-120", np.float32),
                  ("outlier", np.float32)}  # fmt: skip


def blobs():
    """Two clusters of 60 rows in three features."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(60, 3)), rng.normal(6.0, 1.0, (60, 3))])


def with_entries(rows, columns, value):
    """Blobs with some entries set to a value."""
    X = blobs()
    X[rows, columns] = value
    return X


def one_in_twelve():
    """Weights of the 120 rows, 0 for most."""
    weights = np.zeros(120)
    weights[::12] = weights[1::12] = 1.0
    return weights


def hard_sets():
    """(X, n_components) by name."""
    rng = np.random.default_rng(1)
    return {
        "all points equal": (np.full((40, 3), 1.7), 3),
        "a constant feature": (with_entries(slice(None), 1, 3.1), 3),
        "equal features": (np.repeat(blobs()[:, :1], 3, axis=1), 3),
        "more features than rows": (rng.normal(size=(12, 20)), 3),
        "as many rows as components": (blobs()[::20], 6),
        "one row per component": (100.0 * blobs()[::20], 6),
        "one feature": (blobs()[:, :1].copy(), 3),
        "ties": (np.repeat(np.round(blobs()[::6]), 10, axis=0), 3),
        "outlier": (with_entries(0, 0, 1e12), 3),
        "offset 1e8": (blobs() + 1e8, 3),
        "scale 1e-120": (1e-120 * blobs(), 3),
        "scale 1e120": (1e120 * blobs(), 3),
        "units apart": (blobs() * [1e-6, 1.0, 1e6], 3),
        "heavy tails": (rng.standard_cauchy((120, 3)), 3),
        "integers": (rng.integers(0, 4, (120, 3)), 3),
        "subnormal": (1e-310 * blobs(), 3),
        "weights mostly 0": (blobs(), 3),
    }


SETS = hard_sets()


def problem_of(name, dtype):
    """X of a type, the number of components, weights or None."""
    X, n_components = SETS[name]
    with np.errstate(over="ignore", under="ignore"):
        X = X if X.dtype.kind == "i" else X.astype(dtype)
    return X, n_components, one_in_twelve() if name == "weights mostly 0" else None


def fitted_or_none(estimator, name, dtype, X, **keywords):
    """The fitted estimator, or None where it refused and may."""
    try:
        return estimator.fit(X, **keywords)
    except ValueError:
        if (name, dtype) not in MAY_BE_REFUSED:
            raise
    return None


def with_a_far_row(X):
    """The rows, of a floating type, and one more that is far from all components."""
    far = np.full((1, X.shape[1]), 1e30, np.result_type(X, np.float32))
    return np.concatenate([X, far])


def assert_finite_everywhere(estimator, X):
    """Parameters, densities and posteriors of the rows and of a row far from all."""
    for attribute in FITTED:
        assert np.isfinite(getattr(estimator, attribute)).all(), attribute
    rows = with_a_far_row(X)
    posteriors = estimator.predict_proba(rows)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0, rtol=1e-5)
    assert np.isfinite(estimator.score_samples(rows)).all()
    assert estimator.predict(rows).max() < estimator.n_components_
    assert np.isfinite(estimator.sample(5)[0]).all()
    assert estimator.weights_.sum() == pytest.approx(1.0, rel=1e-5)


def assert_mean_is_kept(estimator, X, weights):
    """EM leaves the mean of the mixture at the mean of the sample."""
    X = X.astype(np.float64)
    mean = np.average(X, axis=0, weights=weights)
    found = estimator.weights_.astype(float) @ estimator.means_.astype(float)
    single = estimator.means_.dtype == np.float32
    slack = (1e-5 if single else 1e-8) * X.std(axis=0)
    slack += 32.0 * np.finfo(estimator.means_.dtype).eps * np.abs(X).max(axis=0)
    assert (np.abs(found - mean) <= slack + 1e-320).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", SETS)
def test_em_fits_hard_data(name, covariance_type, dtype):
    X, n_components, weights = problem_of(name, dtype)
    scores = []
    for size, sparsity in ((1, 0.0), (n_components, 0.0), (n_components, 1.0)):
        mixture = SparseGaussianMixture(
            size, sparsity=sparsity, covariance_type=covariance_type, max_iter=100,
            random_state=0,
        )  # fmt: skip
        if fitted_or_none(mixture, name, dtype, X, sample_weight=weights) is None:
            return
        assert_finite_everywhere(mixture, X)
        if sparsity == 0.0:
            assert_mean_is_kept(mixture, X, weights)
            assert np.isfinite(mixture.lower_bound_)
        scores.append(mixture.score(X, sample_weight=weights))
    # More components describe no sample worse, to what float32 parameters leave.
    slack = 1e-9 if dtype == np.float64 else 1e-3
    assert scores[1] >= scores[0] - slack * (1.0 + abs(scores[0]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", SETS)
def test_adam_fits_hard_data(name, covariance_type, dtype):
    X, n_components, weights = problem_of(name, dtype)
    for sparsity in (0.0, 1.0):
        mixture = SparseGaussianMixture(
            n_components, sparsity=sparsity, covariance_type=covariance_type,
            solver="adam", max_iter=60, random_state=0,
        )  # fmt: skip
        if fitted_or_none(mixture, name, dtype, X, sample_weight=weights) is None:
            return
        assert_finite_everywhere(mixture, X)
        assert mixture.lower_bound_ >= mixture.lower_bounds_[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("name", SETS)
def test_coupled_fits_and_maps_of_hard_data(name, covariance_type, dtype):
    X, _, weights = problem_of(name, dtype)
    sample_domain = np.where(np.arange(len(X)) % 2, -1, 1)
    coupled = CoupledGaussianMixture(
        2, covariance_type=covariance_type, max_iter=30, random_state=0,
        reg_m=1.0 if covariance_type == "diag" else None,
    )  # fmt: skip
    keywords = {"sample_domain": sample_domain, "sample_weight": weights}
    if fitted_or_none(coupled, name, dtype, X, **keywords) is None:
        return
    for attribute in (*COUPLED, "transport_cost_", "lower_bound_"):
        assert np.isfinite(getattr(coupled, attribute)).all(), attribute
    assert_finite_everywhere(coupled.source_, X)
    assert_finite_everywhere(coupled.target_, X)
    rows = with_a_far_row(X)
    for method in ("barycentric", "random", "most_likely"):
        mover = GMMOTTransformer(
            FrozenEstimator(coupled), method=method, random_state=0
        ).fit(X, sample_domain=sample_domain)
        assert np.isfinite(mover.transform(rows)).all()
        assert np.isfinite(mover.inverse_transform(rows)).all()
        assert np.isfinite(mover.transport_weights(rows)).all()


@pytest.mark.parametrize("solver", ["em", "adam"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_weights_that_are_all_0_are_refused(solver, covariance_type):
    mixture = SparseGaussianMixture(
        sparsity=1.0, covariance_type=covariance_type, solver=solver
    )
    with pytest.raises(ValueError, match=r"(?i)sample.weights?:? .*at least one"):
        mixture.fit(blobs(), sample_weight=np.zeros(120))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("name", ["all points equal", "a constant feature", "ties"])
def test_singular_data_without_a_ridge_are_fitted_or_refused_in_words(
    name, covariance_type
):
    X, n_components, _ = problem_of(name, np.float64)
    for solver in ("em", "adam"):
        mixture = SparseGaussianMixture(
            n_components,
            sparsity=1.0,
            covariance_type=covariance_type,
            solver=solver,
            reg_covar=0.0,
        )
        try:
            mixture.fit(X)
        except ValueError as error:
            assert "increase reg_covar" in str(error)  # noqa: PT017
        else:
            assert_finite_everywhere(mixture, X)


@pytest.mark.parametrize("method", ["barycentric", "random", "most_likely"])
@pytest.mark.parametrize("far", [1e3, 1e8, 1e15, 1e30, 1e100])
def test_far_points_follow_the_map_of_the_nearest_component(method, far):
    eye = np.eye(2)
    source = [0.5, 0.5], np.array([[0.0, 0.0], [9.0, 0.0]]), np.stack([eye, eye])
    target = [0.5, 0.5], np.array([[0.0, 5.0], [9.0, 5.0]]), np.stack([4 * eye, eye])
    X = far * np.array([[-1.0, 0.0], [1.0, 0.0]])
    moved = mw2_map(X, source, target, method=method, random_state=0)
    assert np.isfinite(moved).all()
    if far <= 1e15:  # beyond it the means are below the rounding of the row
        expected = [[-2.0 * far, 5.0], [far, 5.0]]
        np.testing.assert_allclose(moved, expected, rtol=1e-12)
