"""The number of components by a criterion: what it finds, what the path promises."""

import pickle
import warnings

import numpy as np
import pytest
import reference_mixture as reference
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skgmmot import CoupledGaussianMixture, SparseGaussianMixture
from skgmmot.datasets import make_mixture
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._mixture import as_mixture
from skgmmot.mixture import _path
from skgmmot.mixture._offers import rungs

NAMES = ["full", "tied", "diag", "spherical"]
CRITERIA = ["bic", "icl", "aic"]
X_FOUR = make_mixture(400, n_components=4, separation=6.0, random_state=3).X


def separated(n=1000, d=2, n_components=4, seed=3):
    return make_mixture(
        n, n_components=n_components, n_features=d, separation=6.0, random_state=seed
    ).X


def overlapping(n=1500, d=3, seed=11):
    return make_mixture(
        n, n_components=4, n_features=d, separation=3.0, random_state=seed
    ).X


def parameters_of(mixture):
    dense = reference.dense(
        mixture.covariances_, mixture.covariance_type, *mixture.means_.shape
    )
    return mixture.weights_, mixture.means_, dense


def assert_same_mixture(first, second, rtol=1e-8):
    assert first.n_components_ == second.n_components_
    for name in ("weights_", "means_", "covariances_"):
        a, b = getattr(first, name), getattr(second, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


# What is found


@pytest.mark.parametrize("d", [1, 2, 5, 10])
@pytest.mark.parametrize("seed", range(3))
def test_one_gaussian_is_one_component(d, seed):
    X = np.random.default_rng(seed).standard_normal((500, d))
    assert SparseGaussianMixture(random_state=seed).fit(X).n_components_ == 1


@pytest.mark.parametrize("offered", [6, 10, 40])
@pytest.mark.parametrize(("n", "d"), [(300, 2), (1000, 2), (1000, 10), (10_000, 2)])
def test_four_separated_clusters_are_four_whatever_is_offered(n, d, offered):
    for seed in range(2):
        mixture = SparseGaussianMixture(offered, random_state=seed)
        assert mixture.fit(separated(n, d)).n_components_ == 4


@pytest.mark.parametrize("ratio", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_feature_does_not_hide_one_that_tells(ratio, seed):
    rng = np.random.default_rng(seed)
    wide = ratio * rng.standard_normal(1000)
    X = np.c_[wide, 10.0 * (np.arange(1000) % 2) + rng.standard_normal(1000)]
    assert SparseGaussianMixture(random_state=seed).fit(X).n_components_ == 2
    plain = SparseGaussianMixture(2, sparsity=0.0, random_state=seed).fit(X)
    np.testing.assert_allclose(np.sort(plain.means_[:, 1]), [0.0, 10.0], atol=0.3)


@pytest.mark.parametrize("seed", range(2))
def test_the_best_of_all_sizes_on_a_line(seed):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(c, 1.0, 5) for c in (0.0, 6.0)])
    settings = {"reg_covar": 1e-2, "min_component_samples": 3, "tol": 1e-9}
    mixture = SparseGaussianMixture(3, random_state=seed, **settings).fit(x[:, None])
    for size in (1, 2):
        likelihood, best = reference.best_mixture_on_a_line(x, size, 3, 1e-2)
        value = reference.criterion("bic", x[:, None], best, "full")
        assert mixture.path_.criterion.min() <= value + 1e-3
        at = mixture.path_.n_components == size
        assert mixture.path_.log_likelihood[at] >= likelihood - 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_criterion_does_not_count_on_a_handful_of_rows(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))
    X[:8] = X[0] + 1e-5 * rng.standard_normal((8, 3))  # nearly one point
    mixture = SparseGaussianMixture(8, covariance_type=name, random_state=0).fit(X)
    assert (mixture.weights_ * len(X)).min() > 9.0


def test_a_criterion_does_not_count_on_a_component_in_a_plane():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 3))
    X[:60, 2] = 0.0  # likelihood is unbounded there, with 60 rows
    mixture = SparseGaussianMixture(8, reg_covar=1e-9, random_state=0).fit(X)
    assert mixture.n_components_ == 1


def test_entropy_asks_for_components_that_lie_apart():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0.0, s, (1500, 2)) for s in (1.0, 3.0)])
    found = {c: SparseGaussianMixture(6, sparsity=c, random_state=0) for c in CRITERIA}
    sizes = {name: mixture.fit(X).n_components_ for name, mixture in found.items()}
    assert sizes["icl"] == 1
    assert sizes["bic"] == 2
    assert sizes["aic"] >= 2


# What the path promises


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_criterion_is_that_of_the_mixture(name, criterion):
    X = overlapping(400)
    mixture = SparseGaussianMixture(
        6, sparsity=criterion, covariance_type=name, random_state=0
    ).fit(X)
    path = mixture.path_
    best = np.argmin(path.criterion)
    assert path.n_components[best] == mixture.n_components_
    for size, value in zip(path.n_components, path.criterion, strict=True):
        found = parameters_of(path.mixture(size))
        expected = reference.criterion(criterion, X, found, name)
        assert value == pytest.approx(expected, rel=1e-9)
    if criterion != "icl":
        exact = getattr(mixture, criterion)(X)
        assert path.criterion[best] == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_path_has_the_mixtures_of_all_sizes(name):
    X = overlapping()
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    mixture = SparseGaussianMixture(6, covariance_type=name, random_state=0)
    path = mixture.fit(X, sample_weight=weights).path_
    assert (np.diff(path.n_components) < 0).all()
    assert path.n_components[-1] == 1
    assert np.diff(path.log_likelihood).max() < 0.5
    for size, value in zip(path.n_components, path.log_likelihood, strict=True):
        member = path.mixture(size)
        assert member.n_components_ == len(member.weights_) == size
        assert member.sparsity == 0.0
        score = member.score(X, sample_weight=weights)
        assert score * weights.sum() == pytest.approx(value, rel=1e-10)
    chosen = path.mixture(mixture.n_components_)
    assert_same_mixture(chosen, mixture, rtol=0.0)
    assert mixture.lower_bound_ == pytest.approx(
        mixture.score(X, sample_weight=weights), rel=1e-10
    )
    assert len(mixture.lower_bounds_) == mixture.n_iter_
    copy = pickle.loads(pickle.dumps(mixture)).path_
    np.testing.assert_array_equal(copy.criterion, path.criterion)


def test_a_size_that_the_path_has_not_is_refused():
    path = SparseGaussianMixture(5, random_state=0).fit(separated()).path_
    with pytest.raises(ValueError, match=r"n_components: expected one of \[5, 4.*40"):
        path.mixture(40)


def test_path_is_gone_after_a_fit_with_a_price():
    mixture = SparseGaussianMixture(5, random_state=0).fit(separated())
    mixture.set_params(sparsity=1.0).fit(separated())
    assert not hasattr(mixture, "path_")


@pytest.mark.parametrize("name", ["full", "tied", "diag"])
@pytest.mark.parametrize("sparsity", ["bic", "icl", 1.0, 0.0])
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++"])
def test_units_of_the_features_do_not_matter(name, sparsity, init_params):
    X = overlapping(600)
    settings = {
        "sparsity": sparsity, "covariance_type": name, "reg_covar": 0.0,
        "init_params": init_params, "random_state": 0,
    }  # fmt: skip
    expected = SparseGaussianMixture(5, **settings).fit(X)
    for units in ([1e-3, 1.0, 1e3], [1e3] * 3, [1e-3, 1e-3, 7.0]):
        found = SparseGaussianMixture(5, **settings).fit(X * units)
        np.testing.assert_array_equal(found.predict(X * units), expected.predict(X))
        np.testing.assert_allclose(found.weights_, expected.weights_, atol=1e-8)
        bound = found.lower_bound_ + np.log(units).sum()
        assert bound == pytest.approx(expected.lower_bound_, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_integer_weights_are_repeats_and_order_does_not_matter(name, criterion):
    rng = np.random.default_rng(0)
    X = overlapping(300)
    weights = rng.integers(1, 4, len(X))
    settings = {"sparsity": criterion, "covariance_type": name, "random_state": 0}
    settings["tol"] = 1e-9
    expected = SparseGaussianMixture(5, **settings).fit(X, sample_weight=weights)
    repeated = np.repeat(X, weights, axis=0)
    found = SparseGaussianMixture(5, **settings).fit(rng.permutation(repeated))
    assert_same_mixture(found, expected, rtol=1e-6)


def test_rows_of_float32():
    X = separated().astype(np.float32)
    mixture = SparseGaussianMixture(8, random_state=0).fit(X)
    assert mixture.n_components_ == 4
    assert mixture.means_.dtype == mixture.path_.mixture(3).means_.dtype == np.float32
    assert mixture.bic(X) == pytest.approx(mixture.path_.criterion.min(), rel=1e-5)


def test_many_rows_are_searched_by_a_sample(monkeypatch):
    X = separated(6000, 3)
    expected = SparseGaussianMixture(8, random_state=0).fit(X)
    monkeypatch.setattr(_path, "_LEAST_ROWS", 800)
    monkeypatch.setattr(_path, "_ROWS_PER_PARAMETER", 1)
    sizes = []
    evaluate = _path.run

    def recorded(problem, *arguments):
        sizes.append(problem.blocks.mass)
        return evaluate(problem, *arguments)

    monkeypatch.setattr(_path, "run", recorded)
    found = SparseGaussianMixture(8, random_state=0).fit(X)
    assert set(sizes) == {3200.0, 6000.0}  # 400 rows for each component, then all
    assert found.n_components_ == expected.n_components_ == 4
    assert found.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-5)
    assert found.path_.criterion.min() == pytest.approx(found.bic(X), rel=1e-10)
    start = SparseGaussianMixture(8, max_iter=0, random_state=0).fit(X)
    assert (start.n_components_, start.n_iter_) == (8, 0)


# The offer, starts and continuing


def test_the_offer_is_cut_to_what_the_rows_carry():
    X = separated(100, 2)
    path = SparseGaussianMixture(50, min_component_samples=20.0).fit(X).path_
    assert path.n_components[0] <= 5
    assert SparseGaussianMixture(10).fit(X[:5]).n_components_ == 1
    loose = SparseGaussianMixture(50, min_component_samples=0.0, max_iter=0)
    assert loose.fit(X[:8]).n_components_ == 8


def test_a_given_start_is_not_cut():
    X = separated(100, 2)
    given = SparseGaussianMixture(9, means_init=X[::11][:9], max_iter=0, random_state=0)
    assert given.fit(X).n_components_ == 9
    given.set_params(max_iter=100).fit(X)
    assert given.n_components_ == 4
    assert given.n_starved_ > 0


def test_several_starts_are_never_worse():
    X = overlapping(600, 2)
    values = [
        SparseGaussianMixture(8, n_init=n, random_state=0).fit(X).bic(X) for n in (1, 3)
    ]
    assert values[1] <= values[0] + 1e-6


@pytest.mark.parametrize("init_params", ["random", "random_from_data", "k-means++"])
def test_other_starts_find_the_clusters(init_params):
    mixture = SparseGaussianMixture(8, init_params=init_params, random_state=0)
    assert mixture.fit(separated()).n_components_ == 4


def test_warm_start_begins_at_the_fitted_components():
    X = separated()
    mixture = SparseGaussianMixture(8, random_state=0, warm_start=True).fit(X)
    fitted = mixture.path_.mixture(4)
    mixture.fit(X)
    assert mixture.path_.n_components[0] <= 5  # four, and perhaps a split
    assert_same_mixture(mixture, fitted, rtol=1e-3)


def test_partial_fit_chooses_from_its_first_rows():
    X = separated(2000)
    stream = SparseGaussianMixture(8, random_state=0)
    sizes = [stream.partial_fit(part).n_components_ for part in np.split(X, 4)]
    assert sizes == [4] * 4
    assert stream.n_iter_ == 4
    whole = SparseGaussianMixture(8, random_state=0).fit(X)
    assert stream.score(X) == pytest.approx(whole.score(X), abs=0.02)


def test_refit_and_max_iter():
    X = separated()
    plain = SparseGaussianMixture(6, random_state=0).fit(X)
    refitted = SparseGaussianMixture(6, refit=True, random_state=0).fit(X)
    assert_same_mixture(refitted, plain, rtol=0.0)


# Weights that sum to little, refusals, messages


def bells():
    """Three bells on a grid, as a curve: places and heights that sum to 1."""
    grid = np.linspace(-10.0, 10.0, 400)
    parts = [(0.5, -5.0, 0.8), (0.3, 0.0, 1.0), (0.2, 5.0, 0.6)]
    heights = sum(w / s * np.exp(-0.5 * ((grid - m) / s) ** 2) for w, m, s in parts)
    return grid[:, None], heights / heights.sum(), parts


@pytest.mark.parametrize("total", [1e-4, 1.0, 1e4])
def test_a_curve_is_fitted_whatever_its_total(total):
    X, heights, parts = bells()
    mixture = SparseGaussianMixture(
        3, sparsity=0.0, tol=1e-10, reg_covar=0.0, random_state=0
    ).fit(X, sample_weight=total * heights)
    order = np.argsort(mixture.means_[:, 0])
    found = np.c_[
        mixture.weights_,
        mixture.means_[:, 0],
        np.sqrt(mixture.covariances_[:, 0, 0]),
    ]
    np.testing.assert_allclose(found[order], parts, atol=1e-3)


@pytest.mark.parametrize("total", [1e-4, 0.5, 5.0])
def test_a_total_too_small_for_the_rule_warns(total):
    X, heights, _ = bells()
    mixture = SparseGaussianMixture(5, random_state=0)
    with pytest.warns(UserWarning, match=r"sample_weight is read as frequencies"):
        mixture.fit(X, sample_weight=total * heights)
    assert mixture.n_components_ == 1


@pytest.mark.parametrize("total", [1e-4, 0.5])
def test_the_logarithm_of_a_small_total_is_no_reward(total):
    X, heights, _ = bells()
    loose = SparseGaussianMixture(5, min_component_samples=0, random_state=0)
    with pytest.warns(UserWarning, match="parameters of the mixture"):
        path = loose.fit(X, sample_weight=total * heights).path_
    np.testing.assert_allclose(path.criterion, -2.0 * path.log_likelihood, rtol=1e-9)


def test_a_large_total_finds_the_bells():
    X, heights, _ = bells()
    mixture = SparseGaussianMixture(8, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture.fit(X, sample_weight=1e4 * heights)
    assert mixture.n_components_ == 3


@pytest.mark.parametrize("act", ["fit", "partial_fit"])
def test_adam_needs_a_price(act):
    mixture = SparseGaussianMixture(3, solver="adam")
    message = r"solver: expected 'em' with sparsity='bic', got 'adam'; give sparsity"
    with pytest.raises(ValueError, match=message):
        getattr(mixture, act)(separated())


def test_that_the_offer_was_the_limit_is_told(capsys):
    X = separated()
    SparseGaussianMixture(3, verbose=1, random_state=0).fit(X)
    told = capsys.readouterr().out
    assert "3 components: criterion" in told
    assert "All 3 components that were offered were kept" in told
    SparseGaussianMixture(8, verbose=1, random_state=0).fit(X)
    assert "were offered" not in capsys.readouterr().out


@pytest.mark.parametrize("criterion", ["bic", "icl"])
def test_auto_is_the_type_of_lowest_criterion(criterion):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    X[:200] += [8.0, 0.0]
    settings = {"n_components": 5, "sparsity": criterion, "random_state": 0}
    chosen = SparseGaussianMixture(covariance_type="auto", **settings).fit(X)
    fits = {
        name: SparseGaussianMixture(covariance_type=name, **settings).fit(X)
        for name in NAMES
    }
    lowest = min(fits, key=lambda name: fits[name].path_.criterion.min())
    assert chosen.covariance_type_ == lowest == "tied"
    assert chosen.n_components_ == 2
    np.testing.assert_array_equal(chosen.means_, fits[lowest].means_)
    np.testing.assert_array_equal(chosen.path_.criterion, fits[lowest].path_.criterion)
    assert chosen.covariances_.shape == (2, 2)
    assert chosen.path_.mixture(3).covariance_type == "tied"
    if criterion == "bic":
        assert chosen.bic(X) == pytest.approx(chosen.path_.criterion.min(), rel=1e-6)


def test_auto_stays_a_parameter_and_the_type_a_result():
    chosen = SparseGaussianMixture(4, covariance_type="auto", random_state=0).fit(
        X_FOUR
    )
    assert chosen.get_params()["covariance_type"] == "auto"
    assert not hasattr(clone(chosen), "covariance_type_")
    mixture = as_mixture(chosen, "mixture")
    dense = TYPES[chosen.covariance_type_].dense(
        chosen.covariances_, *chosen.means_.shape
    )
    np.testing.assert_array_equal(mixture.covariances, dense)
    again = pickle.loads(pickle.dumps(chosen))
    np.testing.assert_array_equal(again.predict(X_FOUR), chosen.predict(X_FOUR))


def test_auto_keeps_the_type_of_a_mixture_that_it_goes_on_from():
    first = SparseGaussianMixture(3, covariance_type="auto", random_state=0)
    first.fit(X_FOUR)
    kept = first.covariance_type_
    wide = np.random.default_rng(1).standard_normal((400, 2)) @ [[3.0, 1.0], [0.0, 0.2]]
    assert first.set_params(warm_start=True).fit(wide).covariance_type_ == kept
    streamed = SparseGaussianMixture(3, covariance_type="auto", random_state=0)
    kept = streamed.partial_fit(X_FOUR).covariance_type_
    assert streamed.path_.mixture(2).covariance_type == kept
    assert streamed.partial_fit(wide).covariance_type_ == kept
    assert np.isfinite(streamed.score(wide))


@pytest.mark.parametrize(
    "changes",
    [{"sparsity": 1.0}, {"sparsity": 0.0}, {"precisions_init": np.ones((2, 2))}],
)
def test_auto_needs_a_criterion_and_no_precisions(changes):
    mixture = SparseGaussianMixture(2, covariance_type="auto", **changes)
    for fit in (mixture.fit, mixture.partial_fit):
        with pytest.raises(ValueError, match="covariance_type"):
            fit(X_FOUR)
    with pytest.raises(ValueError, match="covariance_type"):
        CoupledGaussianMixture(2, covariance_type="auto").fit(
            X_FOUR, sample_domain=np.where(np.arange(len(X_FOUR)) % 2, 1, -1)
        )


@pytest.mark.parametrize("name", ["full", "diag", "spherical"])
def test_a_price_splits_what_its_start_left_whole(name):
    """Two pairs of clusters, started from one component on each pair.

    A tied covariance stays wide when one of the two is split: that does not pay.
    """
    rng = np.random.default_rng(3)
    centers = np.repeat([[0.0, 0.0], [8.0, 0.0], [60.0, 0.0], [68.0, 0.0]], 200, axis=0)
    X = centers + rng.standard_normal((800, 2))
    start = np.array([[4.0, 0.0], [64.0, 0.0], [4.0, 0.1], [64.0, 0.1]])
    mixture = SparseGaussianMixture(
        4, sparsity=0.4, covariance_type=name, means_init=start, random_state=0
    ).fit(X)
    found = np.sort(mixture.means_[:, 0])
    np.testing.assert_allclose(found, [0.0, 8.0, 60.0, 68.0], atol=0.3)


@pytest.mark.parametrize("seed", range(3))
def test_at_one_price_a_larger_offer_ends_no_lower(seed):
    """Components on few rows overlap: where EM ends depends on where it starts.

    From 40 components alone, seed 0 ends .007 nats below what it finds from 20.
    Offers between the rungs have no start of their own, which larger ones would lack.
    """
    X = make_mixture(600, n_components=5, separation=2.0, random_state=2).X
    price, found = 0.03, []
    for n_offered in (10, 12, 15, 17, 20, 25, 40):
        mixture = SparseGaussianMixture(
            n_offered,
            sparsity=price * n_offered,
            min_component_samples=6.0,
            random_state=seed,
        ).fit(X)
        assert mixture.n_components_ <= n_offered
        penalty = price * np.sqrt(mixture.weights_).sum()
        assert mixture.lower_bound_ == pytest.approx(mixture.score(X) - penalty)
        found.append(mixture.lower_bound_)
    assert np.all(np.diff(found) >= -1e-12)


def test_starts_of_a_smaller_offer_are_starts_of_a_larger_one():
    for carries in (1, 7, 10, 13, 24, 30, 1000):
        before = set()
        for offer in range(1, 70):
            starts = rungs(min(offer, carries), carries)
            assert starts == sorted(set(starts))
            assert starts[-1] <= min(offer, carries)
            assert before <= set(starts)
            before = set(starts) if offer >= 10 else set()
    assert rungs(40, 1000) == [10, 15, 20, 30, 40]
    assert rungs(40, 24) == [10, 15, 20, 24]
    assert rungs(12, 1000) == [10]
    assert rungs(7, 1000) == [7]


def test_smaller_offers_are_no_part_of_a_start_that_is_given(capsys):
    """Initializations that a fit with a price tells of: one for each rung."""
    X = separated()
    centers = X[:: len(X) // 12][:12]
    for n_offered, changes, expected in (
        (10, {}, 1),
        (12, {}, 1),
        (15, {}, 2),
        (17, {"n_init": 2}, 4),
        (12, {"means_init": centers}, 1),
        (12, {"init_params": lambda X, n, rng: centers}, 1),
        (12, {"solver": "adam", "max_iter": 3}, 1),
        (12, {"sparsity": 0.0}, 1),
        (12, {"sparsity": "bic"}, 1),
    ):
        settings = {"sparsity": 0.1 * n_offered, "random_state": 0, **changes}
        mixture = SparseGaussianMixture(n_offered, verbose=1, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(X)
        told = [
            line
            for line in capsys.readouterr().out.splitlines()
            if line.startswith("Initialization ") and line.split()[1].isdigit()
        ]
        assert len(told) == expected, (n_offered, changes)
