"""The classifier that follows the target: reference, properties, edges, contract."""

import pickle

import numpy as np
import pytest
import reference_classifier
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgmmot import GMMOTClassifier
from skgmmot.datasets import stack_domains
from skgmmot.mixture._neighbours import nearest_others, neighbour_average
from skgmmot.mixture._pinned import power_of_round, relaxed_tilts

N_CLASSES = 3


def rows_of(rng, counts, d=3, spread=1.0):
    """Three classes at corners, with labels."""
    y = np.repeat(np.arange(N_CLASSES), counts)
    corners = 3.0 * np.eye(N_CLASSES, d)
    return corners[y] + spread * rng.standard_normal((len(y), d)), y


def moved_problem(seed=0, target_counts=(40, 40, 40), d=3):
    """Rows and labels of two domains that differ by an affine map."""
    rng = np.random.default_rng(seed)
    X_source, y_source = rows_of(rng, (50, 40, 30), d)
    X_target, y_target = rows_of(rng, target_counts, d)
    shift = np.resize([6.0, -4.0, 0.0], d)
    linear = np.eye(d) + 0.3 * rng.standard_normal((d, d))
    return X_source, y_source, X_target @ linear.T + shift, y_target


def fitted(X_source, y_source, X_target, y_target=None, **parameters):
    X, sample_domain = stack_domains(X_source, X_target)
    y_target = np.full(len(X_target), -1) if y_target is None else y_target
    y = np.concatenate([y_source, y_target])
    return GMMOTClassifier(**parameters).fit(X, y, sample_domain=sample_domain)


@pytest.fixture(name="problem", scope="module")
def fixture_problem():
    return moved_problem()


@pytest.mark.filterwarnings("ignore:No sample_domain was given:UserWarning")
@parametrize_with_checks(
    [
        GMMOTClassifier(),
        GMMOTClassifier(covariance_type="full", align="shift", reg_m=0.0),
        GMMOTClassifier(2, covariance_type="diag", align="scale", reg_m=None),
        GMMOTClassifier("bic", align=None),
    ],
    expected_failed_checks=lambda estimator: {},
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("reg_m", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("n_rounds", [1, 3, 14])
def test_probabilities_are_those_of_the_reference(reg_m, n_rounds, covariance_type):
    X_source, y, X_target, _ = moved_problem(3, (12, 8, 5))
    model = fitted(
        X_source, y, X_target, covariance_type=covariance_type, reg_m=reg_m,
        max_iter=n_rounds, tol=0.0, reg_covar=0.0, transport_weight=0.8,
        shrinkage=0.6, neighbor_weight=0.4,
    )  # fmt: skip
    expected = reference_classifier.classifier(
        X_source, y, X_target, f=0.8, w=0.6, reg_m=reg_m, part=0.4,
        n_rounds=n_rounds, tied=covariance_type == "tied",
    )  # fmt: skip
    found = model.target_.predict_proba(X_target)  # one component a class
    np.testing.assert_allclose(found, expected, atol=2e-4)
    tempered = expected ** (1.5 / np.sqrt(3.0))
    tempered /= tempered.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X_target), tempered, atol=2e-3)


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("weighted", [False, True])
def test_averages_over_neighbours_are_those_of_the_reference(n, weighted):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, 3)) + 1e3
    weights = rng.integers(1, 4, n).astype(float) if weighted else None
    found = neighbour_average(X, weights, 0.3)
    counts = np.ones(n) if weights is None else weights
    expected = reference_classifier.neighbour_average(X, counts, 0.3)
    own = np.eye(n)
    product = found.of(slice(None), own, own[found.candidates])
    np.testing.assert_allclose(product, expected, atol=1e-12)
    np.testing.assert_allclose(found.values.sum(axis=1), 1.0)


def numbers_of(X):
    """Numbers of the rows that are the nearest others of each row."""
    candidates, places = nearest_others(X)
    return candidates[places]


@pytest.mark.parametrize("factor", [2.0**-600, 2.0**500])
def test_neighbours_do_not_depend_on_units(factor):
    X = np.random.default_rng(0).standard_normal((40, 3))
    np.testing.assert_array_equal(numbers_of(factor * X), numbers_of(X))
    assert numbers_of(np.ones((3, 2))).shape == (3, 2)


def test_of_many_rows_neighbours_come_from_an_even_sample():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 2))
    found = numbers_of(X)
    rows = np.arange(len(X))
    assert not (found == rows[:, None]).any()
    candidates = np.unique(found)
    assert 1900 < len(candidates) <= 2000
    gaps = np.linalg.norm(X[:, None, :] - X[candidates], axis=2)[:200]
    gaps[candidates[None] == rows[:200, None]] = np.inf
    np.testing.assert_array_equal(found[:200], candidates[np.argsort(gaps)[:, :5]])
    order = rng.permutation(len(X))
    np.testing.assert_array_equal(order[numbers_of(X[order])], found[order])


@pytest.mark.parametrize("reg_m", [0.0, 0.4, 1.0, 2.5])
def test_relaxed_shares_minimise_their_objective(reg_m):
    rng = np.random.default_rng(1)
    logs = rng.standard_normal((6, 3))
    weights = np.array([0.5, 0.3, 0.2])
    start = reference_classifier.posteriors(logs, weights)

    def shares_of(tilts):
        tilted = start * tilts
        return (tilted / tilted.sum(axis=1, keepdims=True)).mean(axis=0)

    tilts = np.ones(3)
    for _ in range(40):
        tilts, shares = relaxed_tilts(shares_of, weights, reg_m, tilts)
    best = reference_classifier.best_posteriors(logs, weights, reg_m)
    np.testing.assert_allclose(shares, best.mean(axis=0), atol=2e-4)


def test_kept_shares_are_those_of_the_source(problem):
    X_source, y, X_target, _ = problem
    model = fitted(X_source, y, X_target, reg_m=None)
    np.testing.assert_allclose(model.class_shares_, np.bincount(y) / len(y), atol=1e-3)


def test_firmly_held_shares_are_a_prior_in_the_end(problem):
    X_source, y, X_target, _ = problem
    shares = np.bincount(y) / len(y)
    for reg_m in (1.0, 3.0):
        model = fitted(X_source, y, X_target, reg_m=reg_m)
        np.testing.assert_allclose(model.target_.weights_, shares, rtol=1e-12)
    free = fitted(X_source, y, X_target, reg_m=0.0)
    np.testing.assert_allclose(free.target_.weights_, free.class_shares_, atol=1e-3)


def test_smaller_reg_m_follows_changed_shares_further():
    X_source, y, X_target, y_target = moved_problem(4, (90, 20, 10))
    truth = np.bincount(y_target) / len(y_target)
    errors = [
        np.abs(fitted(X_source, y, X_target, reg_m=r).class_shares_ - truth).sum()
        for r in (0.0, 1.0, 10.0, None)
    ]
    assert errors == sorted(errors)
    assert errors[0] < 0.1 < errors[-1]


def test_powers_rise_to_one():
    found = [power_of_round(t) for t in range(12)]
    np.testing.assert_allclose(found[:3], [0.3, 0.37, 0.44])
    assert found[10:] == [1.0, 1.0]


@pytest.mark.parametrize("covariance_type", ["tied", "full", "diag"])
@pytest.mark.parametrize("align", ["linear", "scale", "shift"])
def test_it_adapts(problem, covariance_type, align):
    X_source, y, X_target, y_target = problem
    plain = LinearDiscriminantAnalysis().fit(X_source, y).score(X_target, y_target)
    model = fitted(X_source, y, X_target, covariance_type=covariance_type, align=align)
    assert model.score(X_target, y_target) > 0.8 > 0.6 > plain


def test_without_alignment_and_pulls_it_is_a_discriminant_of_the_source(problem):
    X_source, y, _, _ = problem
    model = fitted(
        X_source, y, X_source[::2], align=None, transport_weight=1e9, shrinkage=1e9,
        reg_m=1.0,
    )  # fmt: skip
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(X_source, y)
    assert np.mean(model.predict(X_source) == theirs.predict(X_source)) > 0.97
    sure = model.predict_proba(X_source, sample_domain=np.ones(len(X_source)))
    sure **= 1.5 / np.sqrt(3.0)
    np.testing.assert_allclose(
        model.predict_proba(X_source),
        sure / sure.sum(axis=1, keepdims=True),
        atol=1e-5,
    )


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_own_covariances_by_their_formula(problem, covariance_type):
    X_source, y, X_target, _ = problem
    f, w = 0.7, 0.4
    model = fitted(
        X_source, y, X_target, covariance_type=covariance_type, align=None,
        transport_weight=f, shrinkage=w, max_iter=2, reg_m=1.0, reg_covar=0.0,
        neighbor_weight=0.0,
    )  # fmt: skip
    first = fitted(
        X_source, y, X_target, covariance_type=covariance_type, align=None,
        max_iter=1, reg_m=1.0, reg_covar=0.0,
    ).target_  # fmt: skip
    weights, means, anchors = first.weights_, first.means_, first.covariances_
    n, d = X_target.shape
    dense = anchors if covariance_type == "full" else [np.diag(v) for v in anchors]
    logs = 0.3 * reference_classifier.log_likelihoods(X_target, means, dense)
    R = reference_classifier.posteriors(logs, weights)
    scatters, masses = [], []
    for k in range(N_CLASSES):
        mean = R[:, k] @ X_target + f * n * weights[k] * means[k]
        mean = mean / (R[:, k].sum() + f * n * weights[k])
        np.testing.assert_allclose(model.target_.means_[k], mean, rtol=1e-8)
        gaps = X_target - mean
        scatter = (gaps.T * R[:, k]) @ gaps
        scatter = scatter if covariance_type == "full" else np.diag(scatter)
        scatters.append(scatter + w * n * weights[k] * anchors[k])
        masses.append(R[:, k].sum() + w * n * weights[k])
    pool = sum(scatters) / sum(masses)
    extra = 10.0 * (d if covariance_type == "full" else 1)
    for k in range(N_CLASSES):
        expected = (scatters[k] + extra * pool) / (masses[k] + extra)
        np.testing.assert_allclose(
            model.target_.covariances_[k], expected, rtol=1e-8, atol=1e-10
        )


def test_labels_of_the_target_are_never_read(problem):
    X_source, y, X_target, y_target = problem
    expected = fitted(X_source, y, X_target, y_target).predict_proba(X_target)
    rng = np.random.default_rng(0)
    for other in (
        np.full(len(X_target), np.nan),
        rng.permutation(y_target),
        np.full(len(X_target), 77),
        np.full(len(X_target), -np.inf),
    ):
        model = fitted(X_source, y, X_target, other)
        assert list(model.classes_) == [0, 1, 2]
        np.testing.assert_array_equal(model.predict_proba(X_target), expected)


def test_words_and_missing_words(problem):
    X_source, y, X_target, y_target = problem
    words = np.array(["a", "b", "c"], dtype=object)
    model = fitted(X_source, words[y], X_target, np.full(len(X_target), None))
    assert list(model.classes_) == ["a", "b", "c"]
    assert model.score(X_target, words[y_target]) > 0.8


@pytest.mark.parametrize("n_components", [1, 2, "bic"])
def test_seeds_of_the_world_change_nothing(problem, n_components):
    X_source, y, X_target, _ = problem
    found = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002
        model = fitted(X_source, y, X_target, n_components_per_class=n_components)
        found.append(model.predict_proba(X_target))
    np.testing.assert_array_equal(*found)
    others = fitted(X_source, y, X_target, random_state=5).predict_proba(X_target)
    if n_components == 1:
        np.testing.assert_array_equal(found[0], others)


@pytest.mark.parametrize("covariance_type", ["tied", "full", "diag"])
def test_integer_weights_are_repeated_rows(problem, covariance_type):
    X_source, y, X_target, _ = problem
    X, sample_domain = stack_domains(X_source, X_target)
    y = np.concatenate([y, np.full(len(X_target), -1)])
    weights = np.random.default_rng(0).integers(0, 3, len(X))
    model = GMMOTClassifier(covariance_type=covariance_type)
    weighted = clone(model).fit(
        X, y, sample_domain=sample_domain, sample_weight=weights
    )
    again = np.repeat(np.arange(len(X)), weights)
    repeated = clone(model).fit(X[again], y[again], sample_domain=sample_domain[again])
    np.testing.assert_allclose(
        weighted.predict_proba(X_target), repeated.predict_proba(X_target), atol=1e-7
    )


def test_order_of_rows_does_not_matter(problem):
    X_source, y, X_target, _ = problem
    expected = fitted(X_source, y, X_target).predict_proba(X_target)
    order = np.random.default_rng(0).permutation(len(X_source))
    found = fitted(X_source[order], y[order], X_target[::-1]).predict_proba(X_target)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_float32_is_kept(problem):
    X_source, y, X_target, _ = problem
    expected = fitted(X_source, y, X_target)
    narrow = X_source.astype(np.float32), y, X_target.astype(np.float32)
    model = fitted(*narrow)
    found = model.predict_proba(narrow[2])
    assert found.dtype == np.float32
    assert model.target_.means_.dtype == np.float32
    assert model.transform(narrow[0], y).dtype == np.float32
    np.testing.assert_allclose(found, expected.predict_proba(X_target), atol=2e-3)


def test_domains_are_told_apart_in_prediction(problem):
    X_source, y, X_target, y_target = problem
    X, sample_domain = stack_domains(X_source, X_target)
    model = fitted(X_source, y, X_target)
    found = model.predict(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(found[len(y) :], model.predict(X_target))
    assert np.mean(found[: len(y)] == y) > 0.9
    both = np.concatenate([y, y_target])
    assert model.score(X, both, sample_domain=sample_domain) == np.mean(found == both)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    posteriors = model.target_.predict_proba(X_target)
    np.testing.assert_allclose(posteriors.mean(axis=0), model.class_shares_, atol=1e-8)


def test_without_labels_of_domains_it_warns_and_classifies(problem):
    X_source, y, _, _ = problem
    with pytest.warns(UserWarning, match="No sample_domain was given"):
        model = GMMOTClassifier().fit(X_source, y)
    assert model.score(X_source, y) > 0.9


@pytest.mark.parametrize("covariance_type", ["tied", "full", "diag"])
@pytest.mark.parametrize("d", [3, 60])
def test_classes_of_one_and_two_rows(covariance_type, d):
    X_source, y, X_target, y_target = moved_problem(6, d=d)
    keep = np.concatenate([[0], [50, 51], np.arange(90, 100)])
    model = fitted(X_source[keep], y[keep], X_target, covariance_type=covariance_type)
    assert np.isfinite(model.predict_proba(X_target)).all()
    single = np.array([0, 50, 90])  # one row a class: nothing within
    model = fitted(
        X_source[single], y[single], X_target, covariance_type=covariance_type
    )
    found = model.predict_proba(X_target)
    assert np.isfinite(found).all()
    if d == 3:
        assert np.mean(found.argmax(axis=1) == y_target) > 1.0 / 3.0


def test_a_target_without_a_class():
    X_source, y, X_target, y_target = moved_problem(7, (60, 60, 0))
    model = fitted(X_source, y, X_target, reg_m=0.0)
    assert list(model.classes_) == [0, 1, 2]
    assert model.score(X_target, y_target) > 0.8
    assert model.class_shares_[2] < 0.15


@pytest.mark.parametrize("align", ["linear", "scale", "shift", None])
@pytest.mark.parametrize("reg_m", [0.0, 3.0, None])
def test_a_target_of_one_row(problem, align, reg_m):
    X_source, y, _, _ = problem
    row = np.array([[0.0, 3.0, 0.0]])  # the middle of class 1
    model = fitted(X_source, y, row, align=align, reg_m=reg_m)
    assert np.isfinite(model.predict_proba(row)).all()
    if reg_m == 0.0:
        assert model.predict(row) == [1]


def test_one_class_and_constant_features(problem):
    X_source, y, X_target, _ = problem
    alone = fitted(X_source, np.zeros(len(y), int), X_target)
    assert (alone.predict(X_target) == 0).all()
    flat = [np.column_stack([X, np.ones(len(X))]) for X in (X_source, X_target)]
    model = fitted(flat[0], y, flat[1])
    assert np.isfinite(model.predict_proba(flat[1])).all()


def test_bic_finds_the_blobs_of_a_class():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [8.0, 8.0], [0.0, 8.0]])
    blob = np.repeat([0, 1, 2], 60)
    X_source = centres[blob] + rng.standard_normal((180, 2))
    X_target = centres[blob] + rng.standard_normal((180, 2)) + 3.0
    y = np.array([0, 0, 1])[blob]
    model = fitted(X_source, y, X_target, n_components_per_class="bic")
    assert list(model.component_classes_) == [0, 0, 1]
    assert model.score(X_target, y) > 0.97
    assert model.coupling_.shape == (3, 3)
    np.testing.assert_allclose(model.coupling_.sum(axis=1), model.source_.weights_)
    few = fitted(X_source, y, X_target, n_components_per_class=4)
    assert len(few.component_classes_) == 8


def test_transform_brings_classes_to_the_target(problem):
    X_source, y, X_target, y_target = problem
    model = fitted(X_source, y, X_target)
    moved = model.transform(X_source, y)
    for k in range(N_CLASSES):
        np.testing.assert_allclose(
            moved[y == k].mean(axis=0), model.target_.means_[k], atol=1e-6
        )
    plain = LogisticRegression().fit(X_source, y).score(X_target, y_target)
    assert LogisticRegression().fit(moved, y).score(X_target, y_target) > 0.8 > plain
    X, sample_domain = stack_domains(X_source, X_target)
    labels = np.concatenate([y, np.full(len(X_target), 9)])
    both = model.transform(X, labels, sample_domain=sample_domain)
    np.testing.assert_array_equal(both, np.concatenate([moved, X_target]))
    unlabelled = model.transform(X_source)
    close = model.predict_proba(X_source, sample_domain=np.ones(len(y))).max(axis=1)
    sure = close > 0.9999
    right = model.predict(X_source, sample_domain=np.ones(len(y))) == y
    gaps = np.abs(unlabelled - moved)[sure & right]
    assert np.median(gaps) < 0.05
    assert np.isfinite(unlabelled).all()


def test_refusals(problem):
    X_source, y, X_target, _ = problem
    X, sample_domain = stack_domains(X_source, X_target)
    labels = np.concatenate([y, np.full(len(X_target), -1)])
    with pytest.raises(ValueError, match="requires y to be passed"):
        GMMOTClassifier().fit(X, None, sample_domain=sample_domain)
    with pytest.raises(ValueError, match=r"y: expected .* labels"):
        GMMOTClassifier().fit(X, labels[:-1], sample_domain=sample_domain)
    with pytest.raises(ValueError, match="contains NaN"):
        GMMOTClassifier().fit(X, labels * np.nan, sample_domain=sample_domain)
    with pytest.raises(ValueError, match="no target row"):
        GMMOTClassifier().fit(X, labels, sample_domain=np.ones(len(X)))
    model = GMMOTClassifier().fit(X, labels, sample_domain=sample_domain)
    with pytest.raises(ValueError, match="y: expected labels out of classes_"):
        model.transform(X, labels)
    with pytest.raises(ValueError, match=r"y: expected .* labels"):
        model.transform(X, labels[:3])


def test_a_pipeline_and_a_search_pass_the_labels_on(problem):
    sklearn = pytest.importorskip("sklearn")
    from sklearn.preprocessing import StandardScaler

    X_source, y, X_target, y_target = problem
    X, sample_domain = stack_domains(X_source, X_target)
    labels = np.concatenate([y, np.full(len(X_target), -1)])
    source = np.arange(len(y))
    folds = [  # parts of the source are held out, with all of the target in each fit
        (np.concatenate([np.delete(source, source[k::3]), np.arange(len(y), len(X))]),
         source[k::3])
        for k in range(3)
    ]  # fmt: skip
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), GMMOTClassifier())
        search = GridSearchCV(
            pipe, {"gmmotclassifier__transport_weight": [0.5]}, cv=folds
        )
        search.fit(X, labels, sample_domain=sample_domain)
        pipe.fit(X, labels, sample_domain=sample_domain)
    assert pipe.score(X_target, y_target) > 0.8
    version = tuple(map(int, sklearn.__version__.split(".")[:2]))
    if version >= (1, 7):  # before, a search scores without the labels
        assert search.best_score_ > 0.9
    assert pickle.loads(pickle.dumps(pipe)).score(X_target, y_target) > 0.8


def test_names_of_features_are_checked(problem):
    pandas = pytest.importorskip("pandas")
    X_source, y, X_target, y_target = problem
    X, sample_domain = stack_domains(X_source, X_target)
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    labels = pandas.Series(np.concatenate([y, np.full(len(X_target), -1)]))
    model = GMMOTClassifier().fit(frame, labels, sample_domain=sample_domain)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.score(frame[len(y) :], y_target) > 0.8


def test_frames_of_polars(problem):
    polars = pytest.importorskip("polars")
    X_source, y, X_target, y_target = problem
    X, sample_domain = stack_domains(X_source, X_target)
    names = ["a", "b", "c"]
    frame = polars.DataFrame(X, schema=names)
    labels = polars.Series(np.concatenate([y, np.full(len(X_target), -1)]))
    model = GMMOTClassifier().fit(frame, labels, sample_domain=sample_domain)
    assert list(model.feature_names_in_) == names
    expected = fitted(X_source, y, X_target).predict_proba(X_target)
    found = model.predict_proba(frame[len(y) :])
    np.testing.assert_array_equal(found, expected)
    assert model.score(frame[len(y) :], polars.Series(y_target)) > 0.8
    moved = model.set_output(transform="polars").transform(frame[: len(y)], y)
    assert moved.columns == names


def test_probabilities_lose_less_than_those_of_a_discriminant_of_moved_rows():
    digits = load_digits()
    images = PCA(40, random_state=0).fit_transform(digits.data)
    X_source, y = images[:500], digits.target[:500]
    X_target, y_target = 0.6 * images[900:1300] + 3.0, digits.target[900:1300]
    model = fitted(X_source, y, X_target)
    plain = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    plain.fit(model.transform(X_source, y), y)
    loss = log_loss(y_target, model.predict_proba(X_target))
    assert loss < 0.8 * log_loss(y_target, plain.predict_proba(X_target))
    assert loss < 0.5


@pytest.mark.parametrize("n_components", [1, "bic"])
@pytest.mark.parametrize("covariance_type", ["tied", "full", "diag"])
def test_more_features_than_rows_in_both_domains(covariance_type, n_components):
    rng = np.random.default_rng(0)
    y, d = np.repeat([0, 1, 2], 8), 80
    corners = 4.0 * np.eye(3, d)
    X_source = corners[y] + rng.standard_normal((24, d))
    X_target = corners[y] + rng.standard_normal((24, d)) + 2.0
    model = fitted(
        X_source, y, X_target, covariance_type=covariance_type, align="shift",
        n_components_per_class=n_components,
    )  # fmt: skip
    assert model.score(X_target, y) > 0.7


def test_a_fit_that_fails_changes_nothing(problem):
    X_source, y, X_target, _ = problem
    model = fitted(X_source, y, X_target)
    before = model.predict_proba(X_target)
    with pytest.raises(ValueError, match="requires y"):
        model.fit(X_source[:, :2], None)
    np.testing.assert_array_equal(model.predict_proba(X_target), before)


def test_verbose_reports_rounds(problem, capsys):
    X_source, y, X_target, _ = problem
    fitted(X_source, y, X_target, verbose=1, max_iter=2)
    assert "Iteration 2" in capsys.readouterr().out
