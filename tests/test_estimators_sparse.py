"""The sparse mixture: what it finds, what it promises, what it refuses."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import reference_mixture as reference
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture

from skgmmot import SparseGaussianMixture
from skgmmot.datasets import make_mixture

NAMES = ["full", "tied", "diag", "spherical"]
STARTS = ["kmeans", "k-means++", "random", "random_from_data"]


def blobs(seed=0, n=200, centers=((-6.0, 0.0), (0.0, 6.0), (6.0, 0.0))):
    """n rows of unit variance about each center."""
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(c, 1.0, (n, len(c))) for c in centers])


def parameters_of(mixture):
    """A fitted mixture as the reference reads it, in float64."""
    dense = reference.dense(
        mixture.covariances_, mixture.covariance_type, *mixture.means_.shape
    )
    weights = np.asarray(mixture.weights_, dtype=np.float64)
    return weights, np.asarray(mixture.means_, dtype=np.float64), dense


def objective_of(mixture, X, sample_weight=None):
    price = mixture.sparsity / mixture.n_components
    return reference.objective(X, parameters_of(mixture), price, sample_weight)


def assert_same(first, second, rtol=1e-8):
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        a, b = getattr(first, name), getattr(second, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


def given_start(spiral_problem, **changes):
    settings = {
        "sparsity": 20.0,
        "weights_init": np.full(30, 1 / 30),
        "means_init": spiral_problem["means_init"],
        "precisions_init": np.tile(225.0 * np.eye(2), (30, 1, 1)),
    }
    return SparseGaussianMixture(30, **{**settings, **changes})


# What it finds


def test_spiral_from_the_given_start(spiral_problem):
    X = spiral_problem["X"]
    mixture = given_start(spiral_problem).fit(X)
    assert mixture.lower_bound_ >= 0.4084
    assert mixture.n_components_ == 4
    assert mixture.converged_
    # Stored parameters are float32, as X is.
    assert objective_of(mixture, X) == pytest.approx(mixture.lower_bound_, abs=2e-6)


def test_spiral_from_five_default_starts(spiral_problem):
    mixture = SparseGaussianMixture(30, sparsity=20.0, n_init=5, random_state=0)
    mixture.fit(spiral_problem["X"])
    assert mixture.lower_bound_ >= 0.4084
    assert mixture.n_components_ == 4


@pytest.mark.parametrize("seed", range(5))
def test_spiral_from_one_default_start(spiral_problem, seed):
    mixture = SparseGaussianMixture(30, sparsity=20.0, random_state=seed)
    assert mixture.fit(spiral_problem["X"]).lower_bound_ >= 0.408


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bounds_are_the_objective_before_each_step(spiral_problem, accelerate):
    X = spiral_problem["X"][::5].astype(np.float64)
    settings = {"reg_covar": 0.0, "accelerate": accelerate, "tol": 0.0}
    whole = given_start(spiral_problem, max_iter=40, **settings).fit(X)
    assert len(whole.lower_bounds_) == whole.n_iter_ == 40
    for i in (0, 1, 2, 7, 30):
        short = given_start(spiral_problem, max_iter=i, **settings).fit(X)
        assert short.lower_bound_ == pytest.approx(whole.lower_bounds_[i], rel=1e-10)
        assert objective_of(short, X) == pytest.approx(short.lower_bound_, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_bounds_never_fall_where_nothing_starves(seed):
    X = blobs(seed, centers=((-2.0, 0.0), (0.0, 2.0), (2.0, 0.0)))
    mixture = SparseGaussianMixture(
        6, sparsity=0.75, min_component_samples=0, reg_covar=0.0, random_state=seed
    ).fit(X)
    assert mixture.n_starved_ == 0
    bounds = [*mixture.lower_bounds_, mixture.lower_bound_]
    assert np.diff(bounds).min() >= -1e-12 * abs(bounds[-1])


@pytest.mark.parametrize("sparsity", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_four_clusters_in_seven_dimensions(seed, sparsity):
    rng = np.random.default_rng(seed)
    centers = 10.0 * rng.standard_normal((4, 7))
    X = centers[rng.integers(4, size=5000)] + rng.standard_normal((5000, 7))
    mixture = SparseGaussianMixture(15, sparsity=sparsity, random_state=seed).fit(X)
    assert mixture.n_components_ == len(mixture.weights_) == 4
    nearest, distances = reference.nearest(mixture.means_, centers)
    assert sorted(nearest) == [0, 1, 2, 3]
    assert distances.max() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_three_overlapping_blobs(seed):
    X = blobs(seed, 500, centers=((0.0, 0.0), (4.0, 0.0), (2.0, 3.5)))
    mixture = SparseGaussianMixture(sparsity=1.0, random_state=seed).fit(X)
    assert mixture.n_components_ == 3
    np.testing.assert_allclose(mixture.weights_, 1 / 3, atol=0.06)


@pytest.mark.parametrize("seed", range(2))
def test_a_population_of_one_in_a_thousand(seed):
    rng = np.random.default_rng(seed)
    sizes = (50_000, 49_900, 100)
    centers = ([0.0, 0.0], [8.0, 0.0], [4.0, 14.0])
    X = np.vstack(
        [rng.normal(c, 1.0, (n, 2)) for n, c in zip(sizes, centers, strict=True)]
    )
    mixture = SparseGaussianMixture(sparsity=1.0, refit=True, random_state=seed).fit(X)
    assert mixture.n_components_ == 3
    assert mixture.weights_.min() == pytest.approx(1e-3, rel=0.1)


def test_refit_takes_the_bias_from_small_weights():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0.0, 1.0, (9900, 2)), rng.normal(9.0, 1.0, (100, 2))])
    settings = {"n_components": 5, "sparsity": 0.5, "random_state": 0}
    biased = SparseGaussianMixture(**settings).fit(X)
    free = SparseGaussianMixture(refit=True, **settings).fit(X)
    assert biased.n_components_ == free.n_components_ == 2
    assert biased.weights_.min() < 0.8e-2
    assert free.weights_.min() == pytest.approx(1e-2, rel=1e-6)
    assert free.score(X) > biased.score(X)
    assert free.lower_bound_ < biased.lower_bound_
    assert free.lower_bound_ == pytest.approx(objective_of(free, X), rel=1e-9)


# sparsity = 0


@pytest.mark.parametrize("name", NAMES)
def test_without_sparsity_the_fit_is_gaussian_mixtures(name):
    X = blobs(n=100)
    settings = {"covariance_type": name, "tol": 1e-5, "max_iter": 200}
    settings["means_init"] = X[[10, 110, 210]]
    settings["weights_init"] = np.full(3, 1 / 3)
    ours = SparseGaussianMixture(3, sparsity=0.0, **settings).fit(X)
    settings["precisions_init"] = (
        SparseGaussianMixture(3, sparsity=0.0, **{**settings, "max_iter": 1})
        .set_params(max_iter=0)
        .fit(X)
        .precisions_
    )
    theirs = GaussianMixture(3, **settings).fit(X)
    assert_same(ours, theirs)
    assert ours.n_iter_ == theirs.n_iter_
    if hasattr(theirs, "lower_bounds_"):  # scikit-learn from 1.7 on
        np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X))
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9
    )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.bic(X) == pytest.approx(theirs.bic(X))
    assert ours.aic(X) == pytest.approx(theirs.aic(X))


# Weights of rows


@pytest.mark.parametrize("sparsity", [0.0, 1.0])
@pytest.mark.parametrize("init", STARTS)
def test_integer_weights_are_repeated_rows(init, sparsity):
    X = blobs(n=60)
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    order = np.random.default_rng(2).permutation(weights.sum())
    repeated = np.repeat(X, weights, axis=0)[order]
    mixture = SparseGaussianMixture(
        4, sparsity=sparsity, init_params=init, random_state=0, refit=True
    )
    weighted = clone(mixture).fit(X, sample_weight=weights)
    assert_same(weighted, clone(mixture).fit(repeated), rtol=1e-6)
    for criterion in ("bic", "aic", "score"):
        of_weights = getattr(weighted, criterion)(X, sample_weight=weights)
        of_rows = getattr(weighted, criterion)(repeated)
        assert of_weights == pytest.approx(of_rows, rel=1e-12)


@pytest.mark.parametrize("solver", ["em", "adam"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_of_weight_zero_are_dropped_rows(solver):
    X = blobs(n=60)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    weights[::3] = 0.0
    wild = X.copy()
    wild[::3] = 1e6
    mixture = SparseGaussianMixture(
        4, sparsity=1.0, solver=solver, max_iter=50, random_state=0
    )
    kept = weights > 0
    expected = clone(mixture).fit(X[kept], sample_weight=weights[kept])
    assert_same(clone(mixture).fit(wild, sample_weight=weights), expected, 1e-12)
    first = clone(mixture).partial_fit(wild, sample_weight=weights)
    assert_same(first, clone(mixture).partial_fit(X[kept], None, weights[kept]), 1e-12)


@pytest.mark.parametrize("scale", [1e-25, 1e20])
def test_scale_of_weights_does_not_matter_without_sparsity(scale):
    X = blobs(n=60)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    mixture = SparseGaussianMixture(3, sparsity=0.0, random_state=0)
    expected = clone(mixture).fit(X, sample_weight=weights)
    found = clone(mixture).fit(X, sample_weight=scale * weights)
    # A large sample starts from other draws, so components may change places.
    for name in ("weights_", "means_"):
        a, b = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(np.sort(a, axis=0), np.sort(b, axis=0), rtol=1e-6)
    assert found.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-8)


def test_weights_that_sum_to_one_are_pointed_out():
    X = blobs(n=60)
    with pytest.warns(UserWarning, match="read as frequencies and sums to 1"):
        SparseGaussianMixture(3, sparsity=1.0).fit(
            X, sample_weight=np.full(len(X), 1 / len(X))
        )


# Kinds of input


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_a_fit_of_float32_rows_is_that_of_float64(covariance_type, sparsity):
    X = make_mixture(20_000, n_components=6, n_features=4, random_state=0).X
    X = X.astype(np.float32)
    n_components = 8 if sparsity > 0 else 6
    model = SparseGaussianMixture(n_components, sparsity=sparsity, random_state=0)
    model.set_params(covariance_type=covariance_type)
    single, double = clone(model).fit(X), clone(model).fit(X.astype(np.float64))
    assert single.n_components_ == double.n_components_
    assert abs(single.lower_bound_ - double.lower_bound_) < 1e-5
    np.testing.assert_allclose(single.weights_, double.weights_, atol=1e-4)
    np.testing.assert_allclose(single.means_, double.means_, atol=1e-3)
    # Scores are of float32 parameters here.
    np.testing.assert_allclose(
        single.score_samples(X), double.score_samples(X), rtol=1e-3, atol=1e-3
    )
    if sparsity == 0.0:  # no component is removed: monotone, to rounding in float32
        assert np.diff(single.lower_bounds_).min() > -1e-6


def test_float32_in_float32_out():
    X = blobs()
    double = SparseGaussianMixture(5, sparsity=1.0, random_state=0).fit(X)
    single = SparseGaussianMixture(5, sparsity=1.0, random_state=0).fit(
        X.astype(np.float32)
    )
    for name in ("weights_", "means_", "covariances_", "precisions_"):
        assert getattr(single, name).dtype == np.float32
        assert getattr(double, name).dtype == np.float64
    assert_same(single, double, rtol=1e-3)
    for method in ("predict_proba", "score_samples"):
        found = getattr(single, method)(X.astype(np.float32))
        assert found.dtype == np.float32
        expected = getattr(double, method)(X)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert single.sample(3)[0].dtype == np.float32
    assert np.isfinite(single.score_samples(np.full((1, 2), 1e30, np.float32))).all()


def layouts(X, folder):
    read_only = X.copy()
    read_only.flags.writeable = False
    mapped = np.memmap(folder / "rows", dtype=X.dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    mapped.flush()
    return {
        "fortran": np.asfortranarray(X),
        "read-only": read_only,
        "strided": np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2],
        "big-endian": X.astype(">f8"),
        "memory-mapped": np.memmap(
            folder / "rows", dtype=X.dtype, mode="r", shape=X.shape
        ),
        "list": X.tolist(),
    }


@pytest.mark.parametrize(
    "layout",
    ["fortran", "read-only", "strided", "big-endian", "memory-mapped", "list"],
)
def test_layout_of_the_rows_does_not_matter(layout, tmp_path):
    X = blobs(n=50)
    other = layouts(X, tmp_path)[layout]
    expected = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(X)
    found = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(other)
    assert_same(found, expected, rtol=0.0)
    np.testing.assert_array_equal(found.predict(other), expected.predict(X))
    assert not isinstance(found.means_, np.memmap)


def test_integers_are_read_as_float64():
    X = np.round(10 * blobs(n=50)).astype(np.int32)
    expected = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(
        X.astype(float)
    )
    found = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(X)
    assert_same(found, expected, rtol=0.0)
    assert found.means_.dtype == found.predict_proba(X).dtype == np.float64


def test_data_frames_give_feature_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(blobs(n=50), columns=["left", "right"])
    mixture = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(frame)
    assert list(mixture.feature_names_in_) == ["left", "right"]
    expected = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(
        frame.to_numpy()
    )
    assert_same(mixture, expected, rtol=0.0)
    assert not hasattr(expected, "feature_names_in_")
    renamed = frame.rename(columns={"left": "up"})
    with pytest.raises(ValueError, match="feature names"):
        mixture.predict(renamed)


def test_input_is_not_written_to():
    X, weights = blobs(n=50), np.ones(150)
    copies = X.copy(), weights.copy()
    mixture = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(
        X, sample_weight=weights
    )
    mixture.predict_proba(X)
    np.testing.assert_array_equal(X, copies[0])
    np.testing.assert_array_equal(weights, copies[1])


def test_a_huge_offset_does_not_matter():
    X = blobs()
    near = SparseGaussianMixture(6, sparsity=1.0, random_state=0).fit(X)
    far = SparseGaussianMixture(6, sparsity=1.0, random_state=0).fit(X + 1e8)
    assert far.n_components_ == near.n_components_ == 3
    np.testing.assert_allclose(far.means_ - 1e8, near.means_, atol=1e-3)
    np.testing.assert_allclose(far.covariances_, near.covariances_, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_same_bits_for_one_and_two_threads(name):
    X = blobs(n=4000)
    one, two = (
        SparseGaussianMixture(
            6, sparsity=1.0, covariance_type=name, random_state=0, n_jobs=n
        ).fit(X)
        for n in (1, 2)
    )
    assert_same(one, two, rtol=0.0)
    assert one.lower_bounds_ == two.lower_bounds_
    proba = [mixture.predict_proba(X).tobytes() for mixture in (one, two)]
    assert proba[0] == proba[1]


@pytest.mark.parametrize("distance", [1e5, 1e100, 1e300])
def test_far_away_rows_have_finite_answers(distance):
    mixture = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(blobs())
    far = distance * np.array([[1.0, 0.0], [-1.0, 1.0], [0.3, -1.0]])
    np.testing.assert_allclose(mixture.predict_proba(far).sum(axis=1), 1.0)
    assert np.isfinite(mixture.score_samples(far)).all()
    assert set(mixture.predict(far)) <= set(range(mixture.n_components_))


# Collapse


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_repeated_rows_are_floored(name, sparsity):
    X = np.repeat(blobs(n=1), 40, axis=0)
    mixture = SparseGaussianMixture(
        3, sparsity=sparsity, covariance_type=name, random_state=0
    ).fit(X)
    np.testing.assert_allclose(mixture.weights_, 1 / 3, rtol=1e-6)
    dense = parameters_of(mixture)[2]
    np.testing.assert_allclose(dense, np.tile(1e-6 * np.eye(2), (3, 1, 1)), rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_fitted_says_so(name):
    X = np.repeat(blobs(n=1), 40, axis=0)
    mixture = SparseGaussianMixture(
        3, sparsity=1.0, covariance_type=name, reg_covar=0.0
    )
    with pytest.raises(ValueError, match=r"ill-defined.*increase reg_covar"):
        mixture.fit(X)


@pytest.mark.parametrize("name", NAMES)
def test_equal_rows_and_constant_features(name):
    equal = SparseGaussianMixture(5, sparsity=1.0, covariance_type=name).fit(
        np.ones((60, 2))
    )
    assert equal.n_components_ == 1
    np.testing.assert_array_equal(equal.means_, 1.0)
    X = np.column_stack([blobs(), np.full(600, 7.0)])
    mixture = SparseGaussianMixture(
        6, sparsity=1.0, covariance_type=name, random_state=0
    ).fit(X)
    assert all(np.isfinite(part).all() for part in parameters_of(mixture))
    np.testing.assert_allclose(mixture.means_[:, 2], 7.0)


@pytest.mark.parametrize("solver", ["em", "adam"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_start_of_weight_zero_is_survived(solver):
    start = [0.5, 0.5, 0.0]
    mixture = SparseGaussianMixture(
        3, sparsity=1.0, weights_init=start, solver=solver, max_iter=50, random_state=0
    ).fit(blobs())
    assert np.isfinite(mixture.lower_bound_)
    assert mixture.weights_.sum() == pytest.approx(1.0)


def test_a_huge_sparsity_leaves_one_component():
    X = blobs()
    mixture = SparseGaussianMixture(5, sparsity=1e6, random_state=0).fit(X)
    assert mixture.n_components_ == 1
    np.testing.assert_allclose(mixture.means_[0], X.mean(axis=0), rtol=1e-6)


def test_a_sample_too_small_for_the_rule_keeps_one():
    mixture = SparseGaussianMixture(2, sparsity=1.0).fit(blobs(n=2)[:4])
    assert mixture.n_components_ == 1
    settings = {"sparsity": 1.0, "min_component_samples": 1e9}
    many = SparseGaussianMixture(2, **settings).fit(blobs())
    assert many.n_components_ == 1
    assert many.n_starved_ == 0  # no more than one was offered
    given = SparseGaussianMixture(2, means_init=blobs()[[0, -1]], **settings)
    assert given.fit(blobs()).n_components_ == 1
    assert given.n_starved_ == 1  # a start that was given is not cut


# Starts


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("name", NAMES)
def test_every_start_and_type_gives_a_mixture(init, name):
    mixture = SparseGaussianMixture(
        3, sparsity=0.0, covariance_type=name, init_params=init, random_state=0,
        tol=1e-3,
    ).fit(blobs())  # fmt: skip
    assert mixture.weights_.sum() == pytest.approx(1.0)
    assert mixture.means_.shape == (3, 2)
    assert mixture.covariances_.shape == mixture.precisions_.shape
    assert all(np.isfinite(part).all() for part in parameters_of(mixture))


def test_a_callable_start_returns_means_or_responsibilities():
    X = blobs()
    centers = np.array([[-6.0, 0.0], [0.0, 6.0], [6.0, 0.0]])
    seen = []

    def means(rows, n_components, random_state):
        seen.append((rows.shape, n_components, random_state))
        return centers

    def responsibilities(rows, n_components, random_state):
        return np.eye(n_components)[reference.nearest(rows, centers)[0]]

    settings = {"sparsity": 0.0, "tol": 1e-9}
    expected = SparseGaussianMixture(3, means_init=centers, **settings).fit(X)
    for init in (means, responsibilities):
        found = SparseGaussianMixture(3, init_params=init, **settings).fit(X)
        assert_same(found, expected, rtol=1e-3)
    shape, n_components, random_state = seen[0]
    assert (shape, n_components) == (X.shape, 3)
    assert isinstance(random_state, np.random.RandomState)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.zeros((3, 5)), r"means of shape \(3, 2\) or responsibilities of shape"),
        (np.full((3, 2), np.nan), "NaN"),
        (np.full((600, 3), 0.5), "sum to 1"),
        (np.tile([-1.0, 1.0, 1.0], (600, 1)), "not negative"),
        ("means", "array of numbers"),
        ([[1.0], [2.0, 3.0]], "array of numbers"),
    ],
)
def test_what_a_callable_start_may_not_return(made, message):
    mixture = SparseGaussianMixture(3, sparsity=1.0, init_params=lambda *given: made)
    with pytest.raises(ValueError, match=rf"init_params.*{message}"):
        mixture.fit(blobs())


def test_no_iteration_returns_the_start():
    X, start = blobs(), np.array([[-5.0, 0.0], [0.0, 5.0], [5.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture = SparseGaussianMixture(
            3, sparsity=1.0, max_iter=0, means_init=start, weights_init=[0.2, 0.3, 0.5],
            precisions_init=np.tile(2 * np.eye(2), (3, 1, 1)),
        ).fit(X)  # fmt: skip
    np.testing.assert_array_equal(mixture.means_, start)
    np.testing.assert_allclose(mixture.weights_, [0.2, 0.3, 0.5])
    np.testing.assert_allclose(mixture.covariances_, np.tile(np.eye(2) / 2, (3, 1, 1)))
    assert mixture.n_iter_ == 0
    assert mixture.lower_bounds_ == []
    assert mixture.lower_bound_ == pytest.approx(objective_of(mixture, X))


def test_the_best_of_several_starts_is_kept():
    X = blobs(centers=((-2.0, 0.0), (0.0, 2.0), (2.0, 0.0)))
    settings = {"sparsity": 0.0, "init_params": "random_from_data", "tol": 1e-4}
    several = SparseGaussianMixture(4, n_init=4, random_state=0, **settings).fit(X)
    state = np.random.RandomState(0)
    single = [
        SparseGaussianMixture(4, random_state=state, **settings).fit(X).lower_bound_
        for _ in range(4)
    ]
    assert several.lower_bound_ == pytest.approx(max(single), rel=1e-12)


def test_too_few_iterations_are_pointed_out():
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        mixture = SparseGaussianMixture(
            5, sparsity=1.0, max_iter=2, random_state=0
        ).fit(blobs())
    assert not mixture.converged_
    assert mixture.n_iter_ == 2


# Continuing


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_continues():
    X = blobs(centers=((-2.0, 0.0), (0.0, 2.0), (2.0, 0.0)))
    settings = {"sparsity": 0.0, "random_state": 0, "tol": 1e-12}
    whole = SparseGaussianMixture(3, max_iter=20, **settings).fit(X)
    parts = SparseGaussianMixture(3, max_iter=10, warm_start=True, **settings)
    parts.fit(X).fit(X)
    assert_same(parts, whole, rtol=1e-9)


def test_warm_start_keeps_the_price_of_a_component():
    X = blobs()
    mixture = SparseGaussianMixture(10, sparsity=2.0, warm_start=True, random_state=0)
    before = mixture.fit(X).lower_bound_
    assert mixture.fit(X).lower_bound_ == pytest.approx(before, abs=1e-5)
    assert mixture.n_components_ == 3
    assert mixture.lower_bound_ == pytest.approx(objective_of(mixture, X), rel=1e-9)


@pytest.mark.parametrize("act", ["fit", "partial_fit", "predict"])
def test_a_changed_type_is_refused_in_words(act):
    X = blobs()
    mixture = SparseGaussianMixture(
        3, sparsity=1.0, warm_start=True, random_state=0
    ).fit(X)
    mixture.set_params(covariance_type="diag")
    with pytest.raises(
        ValueError, match=r"covariance_type='diag' and.*, got .*fit it again"
    ):
        getattr(mixture, act)(X)


def test_warm_start_on_other_features_is_refused():
    X = blobs()
    mixture = SparseGaussianMixture(
        3, sparsity=1.0, warm_start=True, random_state=0
    ).fit(X)
    with pytest.raises(
        ValueError, match=r"fitted mixture: expected .* and 1 features, got"
    ):
        mixture.fit(X[:, :1])


def test_a_warm_start_with_fewer_components_is_refused():
    X = blobs()
    mixture = SparseGaussianMixture(3, sparsity=0.0, warm_start=True, random_state=0)
    mixture.fit(X).set_params(n_components=2)
    with pytest.raises(ValueError, match="n_components: expected the 3"):
        mixture.fit(X)
    assert mixture.set_params(warm_start=False).fit(X).n_components_ == 2


def test_a_warm_start_of_a_fixed_number_with_more_components_is_refused():
    X = blobs()
    mixture = SparseGaussianMixture(2, sparsity=0.0, warm_start=True, random_state=0)
    mixture.fit(X).set_params(n_components=3)
    with pytest.raises(ValueError, match=r"expected the 2 components .* got 3"):
        mixture.fit(X)
    assert mixture.n_components_ == 2
    assert mixture.set_params(warm_start=False).fit(X).n_components_ == 3


@pytest.mark.parametrize("sparsity", ["bic", 0.5])
def test_a_warm_start_with_a_larger_offer_may_find_more_components(sparsity):
    X = blobs()
    mixture = SparseGaussianMixture(1, sparsity=sparsity, warm_start=True)
    mixture.fit(X).set_params(n_components=6)
    assert mixture.fit(X).n_components_ > 1
    with pytest.raises(ValueError, match="n_components: expected at least the "):
        mixture.set_params(n_components=1).fit(X)


def test_a_failed_fit_on_other_features_leaves_the_former_one():
    X = blobs()
    mixture = SparseGaussianMixture(3, sparsity=1.0, random_state=0).fit(X)
    wide, expected = np.column_stack([X, X]), mixture.predict(X)
    with pytest.raises(ValueError, match="Negative values"):
        mixture.fit(wide, sample_weight=-np.ones(len(X)))
    np.testing.assert_array_equal(mixture.predict(X), expected)


# Streams


def batches(n_batches, n=60, seed=0):
    """A stream of three clusters with shares 0.2, 0.3, 0.5."""
    rng = np.random.default_rng(seed)
    centers = np.array([[-6.0, 0.0], [0.0, 6.0], [6.0, 0.0]])
    scales = np.array([0.5, 1.0, 1.5])
    for _ in range(n_batches):
        labels = rng.choice(3, n, p=[0.2, 0.3, 0.5])
        draws = rng.standard_normal((n, 2)) * scales[labels, None]
        yield centers[labels] + draws


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_finds_the_truth_on_a_stream(name):
    mixture = SparseGaussianMixture(
        3, sparsity=0.0, covariance_type=name, random_state=0
    )
    for X in batches(300, n=100):
        mixture.partial_fit(X)
    order = np.argsort(mixture.means_[:, 0])
    np.testing.assert_allclose(mixture.weights_[order], [0.2, 0.3, 0.5], atol=0.03)
    expected = [[-6.0, 0.0], [0.0, 6.0], [6.0, 0.0]]
    np.testing.assert_allclose(mixture.means_[order], expected, atol=0.15)
    variances = np.diagonal(parameters_of(mixture)[2], axis1=1, axis2=2)
    if name != "tied":
        truth = np.array([0.25, 1.0, 2.25])[:, None]
        np.testing.assert_allclose(variances[order], truth * [1, 1], rtol=0.15)
    assert mixture.n_iter_ == 300


def test_partial_fit_with_sparsity_ends_with_the_right_number():
    mixture = SparseGaussianMixture(8, sparsity=2.0, random_state=0)
    for X in batches(300, n=200):
        mixture.partial_fit(X)
    assert mixture.weights_.sum() == pytest.approx(1.0)
    heavy = mixture.weights_ > 0.02
    nearest, distances = reference.nearest(
        mixture.means_[heavy], np.array([[-6.0, 0.0], [0.0, 6.0], [6.0, 0.0]])
    )
    assert set(nearest) == {0, 1, 2}
    assert mixture.n_components_ == len(mixture.weights_) <= 8
    assert np.median(distances) < 2.0


def test_partial_fit_keeps_sums_of_the_size_of_the_mixture():
    mixture = SparseGaussianMixture(3, sparsity=0.0, random_state=0)
    sizes = {}
    for number, X in enumerate(batches(1000, n=30), 1):
        mixture.partial_fit(X)
        if number in (10, 1000):
            sizes[number] = len(pickle.dumps(mixture))
    assert abs(sizes[1000] - sizes[10]) <= 2  # n_iter_ in two bytes, not one
    assert mixture.lower_bounds_ == [mixture.lower_bound_]


def test_first_partial_fit_is_one_step_from_its_own_start():
    X = blobs()
    settings = {"sparsity": 0.0, "random_state": 0}
    stream = SparseGaussianMixture(3, **settings).partial_fit(X)
    with pytest.warns(ConvergenceWarning):
        fit = SparseGaussianMixture(3, max_iter=1, **settings).fit(X)
    assert_same(stream, fit, rtol=1e-10)
    assert stream.lower_bound_ == pytest.approx(fit.lower_bounds_[0])


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_on_the_same_rows_continues_a_fit(name):
    # At the optimum a step on the same rows changes nothing.
    X = blobs()
    mixture = SparseGaussianMixture(
        3, sparsity=0.0, covariance_type=name, tol=1e-13, random_state=0
    ).fit(X)
    before = copy.deepcopy(mixture)
    mixture.partial_fit(X)
    assert_same(mixture, before, rtol=1e-5)
    assert mixture.n_iter_ == before.n_iter_ + 1


def test_the_step_of_partial_fit_follows_the_mass_seen():
    X, Y = blobs(0)[:100], blobs(1)[:100] + 1.0
    mixture = SparseGaussianMixture(1, sparsity=0.0).partial_fit(X).partial_fit(Y)
    rate = 3.0**-0.7  # t = 1: one batch of this mass was seen before
    expected = (1 - rate) * X.mean(axis=0) + rate * Y.mean(axis=0)
    np.testing.assert_allclose(mixture.means_[0], expected, rtol=1e-9)
    seconds = (1 - rate) * X.T @ X / 100 + rate * Y.T @ Y / 100
    covariance = seconds - np.outer(expected, expected) + 1e-6 * np.eye(2)
    np.testing.assert_allclose(mixture.covariances_[0], covariance, rtol=1e-8)


def test_partial_fit_refuses_too_few_rows_and_other_features():
    X = blobs()
    with pytest.raises(ValueError, match=r"n_components = 10, n_samples = 9"):
        SparseGaussianMixture(10, sparsity=1.0).partial_fit(X[:9])
    mixture = SparseGaussianMixture(3, sparsity=1.0, random_state=0).partial_fit(X)
    mixture.partial_fit(X[:1])  # later batches may be small
    with pytest.raises(ValueError, match="1 features"):
        mixture.partial_fit(X[:, :1])


# Other ways in and out


@pytest.mark.parametrize("name", NAMES)
def test_from_parameters_gives_back_a_fit(name):
    X = blobs()
    fitted = SparseGaussianMixture(
        3, sparsity=0.0, covariance_type=name, random_state=0
    ).fit(X)
    made = SparseGaussianMixture.from_parameters(
        fitted.weights_, fitted.means_, fitted.covariances_, name
    )
    assert_same(made, fitted, rtol=1e-12)
    np.testing.assert_allclose(made.score_samples(X), fitted.score_samples(X))
    np.testing.assert_array_equal(made.predict(X), fitted.predict(X))
    assert (made.sparsity, made.n_iter_, made.n_components_) == (0.0, 0, 3)
    assert np.isnan(made.lower_bound_)
    assert made.partial_fit(X).n_iter_ == 1
    single = SparseGaussianMixture.from_parameters(
        *(
            part.astype(np.float32)
            for part in (fitted.weights_, fitted.means_, fitted.covariances_)
        ),
        name,
    )
    assert single.means_.dtype == single.precisions_.dtype == np.float32


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (([0.5, 0.6], [[0.0], [1.0]], [1.0, 1.0], "spherical"), "sum to 1"),
        (([1.5, -0.5], [[0.0], [1.0]], [1.0, 1.0], "spherical"), "negative"),
        (([1.0], [0.0], [1.0], "spherical"), "means: expected shape"),
        (([1.0], [[0.0]], [[1.0]], "spherical"), r"covariances: expected shape \(1,\)"),
        (([1.0], [[np.nan]], [1.0], "spherical"), "means contains NaN"),
        (([1.0], [[0.0]], [-1.0], "spherical"), "variances that are not negative"),
        (([1.0], [[0.0]], [0.0], "spherical"), "covariances: expected positive def"),
        (([1.0], [[0.0, 0.0]], [[[1.0, 1.0], [1.0, 1.0]]], "full"), "singular"),
        (([1.0], [[0.0, 0.0]], [[[1.0, 0.5], [0.0, 1.0]]], "full"), "symmetric"),
        (([1.0], [[0.0]], [1.0], "round"), "covariance_type: expected one of"),
        (([1.0], [[0.0]], [1.0], ["full"]), "covariance_type: expected one of"),
        (([0.5, 0.5], [[0.0]], [1.0], "spherical"), "weights"),
    ],
)
def test_from_parameters_refuses(parameters, message):
    with pytest.raises(ValueError, match=message):
        SparseGaussianMixture.from_parameters(*parameters)


@pytest.mark.parametrize("name", NAMES)
def test_moments_of_a_sample_are_those_of_the_mixture(name):
    mixture = SparseGaussianMixture(
        3, sparsity=1.0, covariance_type=name, random_state=0
    )
    mixture.fit(blobs())
    X, labels = mixture.sample(40_000)
    assert X.shape == (40_000, 2)
    assert (np.diff(labels) >= 0).all()
    weights, means, covariances = parameters_of(mixture)
    for k in range(len(weights)):
        rows = X[labels == k]
        assert len(rows) / len(X) == pytest.approx(weights[k], abs=0.015)
        np.testing.assert_allclose(rows.mean(axis=0), means[k], atol=0.05)
        np.testing.assert_allclose(np.cov(rows.T), covariances[k], atol=0.08)
    np.testing.assert_array_equal(X, mixture.sample(40_000)[0])


@pytest.mark.parametrize("n_samples", [0, -1])
def test_samples_of_no_rows_are_refused(n_samples):
    mixture = SparseGaussianMixture(1, sparsity=1.0).fit(blobs())
    with pytest.raises(ValueError, match="Invalid value for 'n_samples'"):
        mixture.sample(n_samples)
    for given in (2.5, "two", None):
        with pytest.raises(TypeError, match="n_samples: expected an integer"):
            mixture.sample(given)


@pytest.mark.parametrize("name", NAMES)
def test_criteria_count_rows_by_weight_and_components_that_were_kept(name):
    X = blobs()
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    mixture = SparseGaussianMixture(
        8, sparsity=1.0, covariance_type=name, random_state=0
    )
    mixture.fit(X, sample_weight=weights)
    assert mixture.n_components_ == 3
    n_parameters = 2 + 6 + {"full": 9, "tied": 3, "diag": 6, "spherical": 3}[name]
    mean = reference.objective(X, parameters_of(mixture), 0.0, weights)
    score = mixture.score(X, sample_weight=weights)
    assert score == pytest.approx(mean, rel=1e-10)
    deviance = -2.0 * weights.sum() * mean
    bic, aic = (f(X, sample_weight=weights) for f in (mixture.bic, mixture.aic))
    assert aic == pytest.approx(deviance + 2 * n_parameters)
    assert bic == pytest.approx(deviance + np.log(weights.sum()) * n_parameters)


def test_copies_predict_alike():
    X = blobs()
    mixture = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(X)
    expected = mixture.predict_proba(X)
    for other in (pickle.loads(pickle.dumps(mixture)), copy.deepcopy(mixture)):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        assert_same(other.partial_fit(X), copy.deepcopy(mixture).partial_fit(X), 0.0)
    fresh = clone(mixture)
    assert not hasattr(fresh, "weights_")
    assert_same(fresh.fit(X), mixture, 0.0)


def test_fit_predict_labels_as_predict_does():
    X = blobs()
    mixture = SparseGaussianMixture(4, sparsity=1.0, random_state=0)
    labels = mixture.fit_predict(X, sample_weight=np.ones(len(X)))
    np.testing.assert_array_equal(labels, mixture.predict(X))
    assert labels.dtype == np.int64


@pytest.mark.parametrize("solver", ["em", "adam"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_verbose_output(capsys, solver):
    settings = {"solver": solver, "max_iter": 4, "random_state": 0, "tol": 0.0}
    settings |= {"n_init": 2, "verbose_interval": 2, "sparsity": 0.0}
    SparseGaussianMixture(3, verbose=0, **settings).fit(blobs())
    assert capsys.readouterr().out == ""
    SparseGaussianMixture(3, verbose=1, **settings).fit(blobs())
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if "Compiling" not in line]
    one = ["  Iteration 2", "  Iteration 4", "Initialization did not converge."]
    expected = ["Initialization 0", *one, "Initialization 1", *one]
    assert [line.split("\t")[0] for line in lines] == expected


# Bad input


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("n_components", [0, -1, 2.5, "two", None]),
        ("sparsity", [-1.0, np.nan, np.inf, "much", None]),
        ("covariance_type", ["round", None, 3]),
        ("solver", ["newton", None]),
        ("tol", [-1e-3, np.nan, "small"]),
        ("reg_covar", [-1e-3, np.nan, np.inf]),
        ("max_iter", [-1, 2.5, None]),
        ("n_init", [0, -1, 1.5]),
        ("init_params", ["somehow", 3, None]),
        ("min_component_samples", [-1.0, np.nan, "few"]),
        ("refit", ["yes", None]),
        ("accelerate", ["often", None]),
        ("learning_rate", [0.0, -1.0, np.nan, np.inf]),
        ("random_state", ["now", -1]),
        ("warm_start", ["yes"]),
        ("n_jobs", ["all", 1.5]),
        ("verbose", [-1, "loud"]),
        ("verbose_interval", [0, -1]),
        ("means_init", [3.0, "kmeans"]),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_are_checked(parameter, values, method):
    X = blobs()
    for value in values:
        mixture = SparseGaussianMixture(3, sparsity=1.0).set_params(
            **{parameter: value}
        )
        # Parameter, what was expected, what came.
        with pytest.raises(ValueError, match=rf"'{parameter}'.*must be .* Got ") as e:
            getattr(mixture, method)(X)
        assert repr(value) in str(e.value)
        assert not hasattr(mixture, "weights_")


ROWS = blobs(n=10)
WITH_NAN, WITH_INFINITY = ROWS.copy(), ROWS.copy()
WITH_NAN[3, 1], WITH_INFINITY[3, 1] = np.nan, np.inf


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (WITH_NAN, ValueError, "contains NaN"),
        (WITH_INFINITY, ValueError, "contains infinity"),
        ([["a", "b"]] * 30, ValueError, "could not convert string"),
        (sparse.csr_array(ROWS), TypeError, "Sparse data was passed"),
        (ROWS[:, 0], ValueError, "Expected 2D array, got 1D"),
        (ROWS[None], ValueError, "3"),
        (ROWS[:0], ValueError, r"0 sample\(s\)"),
        (ROWS[:, :0], ValueError, r"0 feature\(s\)"),
        (ROWS * 1j, ValueError, "Complex data not supported"),
        (None, ValueError, "Expected 2D array"),
    ],
)
def test_rows_that_are_no_rows_are_refused(X, error, message):
    for act in ("fit", "partial_fit", "fit_predict"):
        with pytest.raises(error, match=message):
            getattr(SparseGaussianMixture(3, sparsity=1.0), act)(X)
    fitted = SparseGaussianMixture(3, sparsity=1.0, random_state=0).fit(ROWS)
    for act in ("predict", "predict_proba", "score_samples", "score", "bic", "aic"):
        with pytest.raises(error, match=message):
            getattr(fitted, act)(X)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match=r"1 sample\(s\).*minimum of 2"):
        SparseGaussianMixture(1, sparsity=1.0).fit(ROWS[:1])
    message = r"n_samples >= n_components but got n_components = 10, n_samples = 5"
    with pytest.raises(ValueError, match=message + ".*lower n_components"):
        SparseGaussianMixture(10, sparsity=0.0).fit(ROWS[:5])
    weights = np.zeros(len(ROWS))
    weights[:5] = 1.0
    with pytest.raises(ValueError, match=message):
        SparseGaussianMixture(10, sparsity=0.0).fit(ROWS, sample_weight=weights)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(30), "Negative values in data passed to `sample_weight`"),
        (np.full(30, np.nan), "sample_weight contains NaN"),
        (np.full(30, np.inf), "sample_weight contains infinity"),
        (np.ones(29), r"sample_weight.shape == \(29,\), expected \(30,\)"),
        (np.ones((30, 2)), "Sample weights must be 1D"),
        (np.zeros(30), "at least one (positive|non-zero)"),
        (["a"] * 30, "could not convert string"),
    ],
)
def test_weights_that_are_no_weights_are_refused(weights, message):
    fitted = SparseGaussianMixture(3, sparsity=1.0, random_state=0).fit(ROWS)
    for act in ("fit", "partial_fit", "fit_predict", "score", "bic", "aic"):
        with pytest.raises(ValueError, match=message):
            getattr(copy.deepcopy(fitted), act)(ROWS, sample_weight=weights)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"weights_init": [0.5, 0.5]}, r"'weights' should have the shape of \(3,\)"),
        ({"weights_init": [0.5, 0.6, 0.5]}, "should be normalized, but got sum"),
        ({"weights_init": [-0.5, 0.5, 1.0]}, r"should be in the range \[0, 1\]"),
        ({"weights_init": [np.nan, 0.5, 0.5]}, "weights_init contains NaN"),
        ({"means_init": ROWS[:2]}, r"'means' should have the shape of \(3, 2\)"),
        ({"means_init": WITH_NAN[2:5]}, "means_init contains NaN"),
        ({"precisions_init": np.eye(2)}, r"shape of \(3, 2, 2\), but got \(2, 2\)"),
        ({"precisions_init": -np.tile(np.eye(2), (3, 1, 1))}, "positive-definite"),
        ({"precisions_init": np.ones((3, 2)), "covariance_type": "tied"}, r"\(2, 2\)"),
        ({"precisions_init": -np.ones((3, 2)), "covariance_type": "diag"}, "positive"),
    ],
)
@pytest.mark.parametrize("act", ["fit", "partial_fit"])
def test_starts_that_do_not_fit_are_refused(start, message, act):
    with pytest.raises(ValueError, match=message):
        getattr(SparseGaussianMixture(3, **start), act)(ROWS)


@pytest.mark.parametrize(
    "act", ["predict", "predict_proba", "score_samples", "score", "bic", "aic"]
)
def test_before_fit_it_says_so(act):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(SparseGaussianMixture(sparsity=1.0), act)(ROWS)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        SparseGaussianMixture(sparsity=1.0).sample()
