"""Made-up data: the truth that is returned is the truth of the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment

from skgmmot.datasets import (
    make_mixture,
    make_shifted_mixtures,
    make_spiral,
    make_time_course,
    stack_domains,
)

MAKERS = [make_spiral, make_mixture, make_shifted_mixtures]


def squared_w2(mean, covariance, other_mean, other_covariance):
    """Squared W2 between two Gaussians, by the trace formula."""
    root = np.real(sqrtm(covariance))
    cross = np.real(sqrtm(root @ other_covariance @ root))
    return np.sum((mean - other_mean) ** 2) + np.trace(
        covariance + other_covariance - 2 * cross
    )


def smallest_distance(points):
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    return gaps[~np.eye(len(points), dtype=bool)].min()


@pytest.mark.parametrize("make", MAKERS)
def test_same_seed_same_rows(make, global_random_seed):
    def rows(seed):
        made = make(50, random_state=seed)
        return made if make is make_spiral else np.hstack(list(made.values())[:1])

    first = rows(global_random_seed)
    assert_array_equal(first, rows(global_random_seed))
    assert np.any(first != rows(global_random_seed + 1))


def test_spiral_without_noise_is_the_curve():
    X = make_spiral(360, noise=0.0)
    t = 2 * np.pi * np.arange(360) / 360
    assert_allclose(X[:, 0], 0.5 + 0.4 * t / 7 * np.cos(t))
    assert_allclose(X[:, 1], 0.5 + 0.3 * np.sin(t))


def test_spiral_noise_has_its_standard_deviation(global_random_seed):
    noisy = make_spiral(20000, noise=0.1, random_state=global_random_seed)
    assert_allclose((noisy - make_spiral(20000, noise=0.0)).std(), 0.1, rtol=0.03)


def test_spiral_is_the_stored_problem_but_for_the_noise(spiral_problem):
    residual = spiral_problem["X"] - make_spiral(10000, noise=0.0)
    assert_allclose(residual.std(axis=0), 0.02, rtol=0.05)
    assert_allclose(residual.mean(axis=0), 0.0, atol=1e-3)


@pytest.mark.parametrize("n_features", [1, 2, 7])
@pytest.mark.parametrize("separation", [0.0, 2.0, 9.0])
def test_mixture_separation_is_the_smallest_distance(
    n_features, separation, global_random_seed
):
    data = make_mixture(
        10,
        n_components=6,
        n_features=n_features,
        separation=separation,
        random_state=global_random_seed,
    )
    assert_allclose(smallest_distance(data.mixture[1]), separation)


def test_mixture_deviations_lie_between_a_half_and_one(global_random_seed):
    data = make_mixture(10, n_features=5, random_state=global_random_seed)
    deviations = np.sqrt(np.linalg.eigvalsh(data.mixture[2]))
    assert deviations.min() >= 0.5 - 1e-12
    assert deviations.max() <= 1.0 + 1e-12


def test_mixture_rows_follow_the_truth(global_random_seed):
    data = make_mixture(
        60000,
        n_components=3,
        n_features=3,
        weights=[0.5, 0.3, 0.2],
        random_state=global_random_seed,
    )
    weights, means, covariances = data.mixture
    assert data.labels.dtype == np.int64
    assert_allclose(np.bincount(data.labels) / 60000, weights, atol=0.01)
    for k in range(3):
        rows = data.X[data.labels == k]
        assert_allclose(rows.mean(axis=0), means[k], atol=0.05)
        assert_allclose(np.cov(rows.T), covariances[k], atol=0.05)


def test_one_component_sits_at_the_origin():
    data = make_mixture(5, n_components=1, random_state=0)
    assert_array_equal(data.mixture[1], [[0.0, 0.0]])


@pytest.mark.parametrize("n_features", [1, 2, 10])
@pytest.mark.parametrize("separation", [0.5, 6.0])
@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_shifted_mixtures_keep_their_partners(
    n_features, separation, shift, global_random_seed
):
    data = make_shifted_mixtures(
        10,
        n_components=5,
        n_features=n_features,
        separation=separation,
        shift=shift,
        random_state=global_random_seed,
    )
    _, means, covariances = data.source
    _, target_means, target_covariances = data.target
    costs = [
        [
            squared_w2(m, S, n, T)
            for n, T in zip(target_means, target_covariances, strict=True)
        ]
        for m, S in zip(means, covariances, strict=True)
    ]
    # Equal marginals: the optimal plans are mixtures of optimal permutations.
    _, partners = linear_sum_assignment(costs)
    assert_array_equal(partners, np.arange(5))


def test_shifted_mixtures_coupling_has_the_marginals():
    data = make_shifted_mixtures(
        10, n_components=3, weights=[0.2, 0.3, 0.5], random_state=0
    )
    assert_allclose(data.coupling.sum(axis=1), data.source[0])
    assert_allclose(data.coupling.sum(axis=0), data.target[0])
    assert_allclose(data.reweighting, 1.0)


def test_shifted_mixtures_growth_and_sizes():
    data = make_shifted_mixtures(
        (400, 30000),
        weights=[0.25, 0.25, 0.5],
        growth=[0.0, 2.0, 1.0],
        random_state=0,
    )
    assert data.X_source.shape == (400, 2)
    assert data.X_target.shape == (30000, 2)
    assert_allclose(data.target[0], [0.0, 0.5, 0.5])
    assert_allclose(data.reweighting, [0.0, 2.0, 1.0])
    shares = np.bincount(data.labels_target, minlength=3) / 30000
    assert_allclose(shares, data.target[0], atol=0.01)


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (
            make_spiral,
            {"n_samples": 0},
            "n_samples: expected an integer, at least 1, got 0",
        ),
        (make_spiral, {"n_samples": 2.5}, "n_samples: expected an integer"),
        (make_spiral, {"noise": -1.0}, "noise: expected a finite number, at least 0"),
        (make_mixture, {"n_components": True}, "n_components: expected an integer"),
        (
            make_mixture,
            {"n_features": 0},
            "n_features: expected an integer, at least 1",
        ),
        (make_mixture, {"separation": np.nan}, "separation: expected a finite number"),
        (make_mixture, {"weights": [0.5, 0.5]}, "weights: expected 5 shares"),
        (
            make_mixture,
            {"n_components": 2, "weights": [0.7, 0.7]},
            "with sum 1, got",
        ),
        (make_shifted_mixtures, {"n_samples": (1, 2, 3)}, "an integer or two of them"),
        (
            make_shifted_mixtures,
            {"separation": 0},
            "separation: expected a number above 0",
        ),
        (make_shifted_mixtures, {"shift": -1}, "shift: expected a finite number"),
        (make_shifted_mixtures, {"growth": [1, -1, 1]}, "growth: expected 3 factors"),
        (make_shifted_mixtures, {"growth": [0, 0, 0]}, "at least one above 0"),
        (make_shifted_mixtures, {"growth": [1, 1]}, "growth: expected 3 factors"),
    ],
)
def test_makers_say_what_they_expected(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters)


def test_stack_arrays():
    X_source = np.arange(6, dtype=np.float32).reshape(3, 2)
    X_target = np.arange(4, dtype=np.float32).reshape(2, 2)
    X, sample_domain = stack_domains(X_source, X_target)
    assert X.dtype == np.float32
    assert_array_equal(X[:3], X_source)
    assert_array_equal(X[3:], X_target)
    assert sample_domain.dtype == np.int64
    assert_array_equal(sample_domain, [1, 1, 1, -1, -1])


def test_stack_lists():
    X, sample_domain = stack_domains([[1.0, 2.0]], [[3.0, 4.0]])
    assert_array_equal(X, [[1.0, 2.0], [3.0, 4.0]])
    assert_array_equal(sample_domain, [1, -1])


def test_stack_frames_keeps_columns_and_index():
    pd = pytest.importorskip("pandas")
    X_source = pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, 4.0]}, index=["r", "s"])
    X_target = pd.DataFrame({"b": [5.0], "a": [6.0]}, index=["t"])
    X, sample_domain = stack_domains(X_source, X_target)
    assert list(X.columns) == ["b", "a"]
    assert list(X.index) == ["r", "s", "t"]
    assert_array_equal(X.to_numpy(), [[1.0, 3.0], [2.0, 4.0], [5.0, 6.0]])
    assert_array_equal(sample_domain, [1, 1, -1])


def test_stack_keeps_polars_frames():
    pl = pytest.importorskip("polars")
    source = pl.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    target = pl.DataFrame({"a": [3.0], "b": [2.5]})
    X, domain = stack_domains(source, target)
    assert isinstance(X, pl.DataFrame)
    assert X.columns == ["a", "b"]
    assert_array_equal(X.to_numpy(), [[1, 0.5], [2, 1.5], [3, 2.5]])
    assert_array_equal(domain, [1, 1, -1])
    with pytest.raises(ValueError, match="the same columns in the same order"):
        stack_domains(source, target[["b", "a"]])
    with pytest.raises(TypeError, match="two arrays or two DataFrames"):
        stack_domains(source, target.to_numpy())


def test_stack_frames_refuses_other_columns():
    pd = pytest.importorskip("pandas")
    X_source = pd.DataFrame([[1.0, 2.0]], columns=["a", "b"])
    for names in (["b", "a"], ["a", "c"]):
        X_target = pd.DataFrame([[1.0, 2.0]], columns=names)
        with pytest.raises(ValueError, match="same columns in the same order"):
            stack_domains(X_source, X_target)


def test_stack_refuses_two_kinds():
    pd = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match="got DataFrame and ndarray"):
        stack_domains(pd.DataFrame([[1.0]]), np.ones((1, 1)))


def test_stack_refuses_sparse():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="X_target: expected a dense array"):
        stack_domains(np.ones((1, 2)), sparse.csr_array(np.ones((1, 2))))


@pytest.mark.parametrize(
    ("X_source", "X_target", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "3 columns in X_source, 4 in X_target"),
        (np.ones(3), np.ones((2, 3)), "X_source: expected two dimensions"),
        (np.ones((2, 3)), np.ones((0, 3)), "X_target: expected two dimensions"),
    ],
)
def test_stack_says_what_it_expected(X_source, X_target, message):
    with pytest.raises(ValueError, match=message):
        stack_domains(X_source, X_target)


@pytest.mark.parametrize("kind", ["stable", "growing", "replaced"])
def test_time_course_follows_its_truth(kind):
    course = make_time_course(4000, n_features=3, kind=kind, random_state=1)
    assert_allclose(course.shares.sum(axis=1), 1.0)
    for t in range(5):
        rows = course.sample_domain == t
        counts = np.bincount(course.lineage[rows], minlength=5) / 4000
        assert_allclose(counts, course.shares[t], atol=0.03)
        for k in np.flatnonzero(course.shares[t] > 0.05):
            own = course.X[rows & (course.lineage == k)]
            assert_allclose(own.mean(axis=0), course.means[t, k], atol=0.25)
        present = {k for group in course.populations[t] for k in group}
        assert present == set(np.flatnonzero(course.shares[t]).tolist())
        # Lineages of a population are where it is, others are not.
        for group in course.populations[t]:
            assert_allclose(
                np.ptp(course.means[t, list(group)], axis=0), 0.0, atol=1e-12
            )
    firsts = [course.means[4, group[0]] for group in course.populations[4]]
    assert (
        min(np.linalg.norm(a - b) for a in firsts for b in firsts if a is not b) > 1.0
    )


def test_time_course_says_what_it_expected():
    with pytest.raises(ValueError, match="kind: expected one of 'stable'"):
        make_time_course(kind="shrinking")
    with pytest.raises(ValueError, match="n_samples: expected an integer"):
        make_time_course(0)
