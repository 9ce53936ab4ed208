"""Every parameter of every estimator and method, with what lies outside its domain.

Refused in words that name the parameter, before any work, the estimator left as it was.
"""

import numpy as np
import pytest
from refusals import (
    assert_refused,
    assert_unchanged,
    bad_mixtures,
    good_mixture,
    no_work,
    state_of,
)
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    LinkedGaussianMixture,
    SparseGaussianMixture,
)

NAN, INF = float("nan"), float("inf")
ROWS = np.random.default_rng(0).normal(size=(60, 2))
DOMAIN = np.repeat([1, -1], 30)
CLASSES = np.arange(60) % 2

BAD_STARTS = [start for start in bad_mixtures().values() if start is not None]
BAD_STARTS += [good_mixture(3), good_mixture(2, 3)]

NOT_POSITIVE_INTEGERS = (0, -1, 1.5, "3", None, NAN)
NOT_REALS_FROM_0 = (-1.0, NAN, INF, "1", (1.0,), 1j)
NOT_BOOLEANS = (2, "yes", None, 0.0)
NOT_SEEDS = ("seed", -1, 1.5, [0])
COMMON = {
    "tol": (*NOT_REALS_FROM_0, None),
    "reg_covar": (*NOT_REALS_FROM_0, None),
    "n_init": NOT_POSITIVE_INTEGERS,
    "accelerate": ("maybe", 2, None),
    "random_state": NOT_SEEDS,
    "warm_start": NOT_BOOLEANS,
    "n_jobs": (0, 1.5, "all", NAN),
    "verbose": (-1, "loud", None, 1.5),
    "verbose_interval": NOT_POSITIVE_INTEGERS,
}
SPARSE = {
    "n_components": (*NOT_POSITIVE_INTEGERS, [2], INF),
    "sparsity": (*NOT_REALS_FROM_0, None),
    "covariance_type": ("round", None, 3, ["full"]),
    "solver": ("sgd", None, 1),
    "max_iter": (-1, 1.5, "10", None),
    "init_params": ("best", None, 3, ROWS),
    "weights_init": ([1.0], [0.7, 0.7], [1.5, -0.5], [NAN, 1.0], "ab", ["a", "b"], 1.0,
                     [[0.5, 0.5]], [0.5, 0.5j]),
    "means_init": (np.zeros((3, 2)), np.zeros((2, 3)), np.zeros(2), [[NAN, 0], [0, 0]],
                   [[INF, 0], [0, 0]], "ab", 3.0, [["a", "b"], ["c", "d"]]),
    "precisions_init": (np.eye(2), np.zeros((2, 2, 2)), -np.stack([np.eye(2)] * 2),
                        np.stack([np.ones((2, 2))] * 2), np.full((2, 2, 2), NAN), "ab",
                        np.stack([[[1.0, 0.5], [0.0, 1.0]]] * 2), 1.0),
    "min_component_samples": NOT_REALS_FROM_0,
    "refit": NOT_BOOLEANS,
    "learning_rate": (0.0, *NOT_REALS_FROM_0, None),
    **COMMON,
}  # fmt: skip
COUPLED = {
    "n_components": (*NOT_POSITIVE_INTEGERS, (2,), (2, 2, 2), (0, 2), (2, 1.5),
                     ("2", 2)),
    "transport_weight": (*NOT_REALS_FROM_0, None),
    "reg": (*NOT_REALS_FROM_0, None),
    "reg_m": (0.0, -1.0, NAN, INF, "1", (1.0,), (1.0, -1.0), (1.0, NAN), (1.0, "1"),
              ()),
    "cost_scale": (0.0, -1.0, NAN, INF, "unit", None),
    "covariance_type": ("spherical", None, 3),
    "align": ("mean", True, 1),
    "max_iter": NOT_POSITIVE_INTEGERS,
    "init_params": ("kmeans", None, 3),
    "source_init": BAD_STARTS,
    "target_init": BAD_STARTS,
    "frozen": ("both", True, 1, "source", "target"),
    **COMMON,
}  # fmt: skip
LINKED = {
    **{name: values for name, values in COUPLED.items() if "_init" not in name},
    "links": ("ring", None, 3, [], [(1,)], [(1, 1)], [(1, 2)], {1: -1}),
    "reference": (1, "pooled", ([1.0], [[0.0, 0.0]], [np.eye(2)])),
    "inits": (3, [], {1: 3}, {7: ([1.0], [[0.0, 0.0]], [np.eye(2)])}),
    "frozen": (1, [1], "both", [7]),
    "init_params": ("kmeans", None, 3),
}
TRANSFORMER = {
    "estimator": (3, "mixture", object(), SparseGaussianMixture, NAN),
    "reg": (-1.0, NAN, INF, "exact", None, (1.0,)),
    "reg_m": (0.0, -1.0, NAN, INF, "exact", (1.0,), (1.0, -1.0), (1.0, "1"), ()),
    "method": ("mean", None, 3),
    "map_to": ("both", None, 1),
    "strength": (-0.1, 1.1, NAN, "1", None),
    "random_state": NOT_SEEDS,
}
CLASSIFIER = {
    "n_components_per_class": (*NOT_POSITIVE_INTEGERS, "aic", [2], INF),
    "covariance_type": ("spherical", None, 3),
    "align": ("mean", True, 1),
    "transport_weight": (*NOT_REALS_FROM_0, None),
    "reg_m": (*NOT_REALS_FROM_0, (1.0, 1.0)),
    "shrinkage": (*NOT_REALS_FROM_0, None),
    "neighbor_weight": (-0.1, 1.1, NAN, "1", None),
    "max_iter": NOT_POSITIVE_INTEGERS,
    **{
        name: COMMON[name]
        for name in ("tol", "reg_covar", "random_state", "n_jobs", "verbose")
    },
}
TABLES = {
    "sparse": (SparseGaussianMixture(2), SPARSE),
    "coupled": (CoupledGaussianMixture(2), COUPLED),
    "linked": (LinkedGaussianMixture(2), LINKED),
    "transformer": (GMMOTTransformer(SparseGaussianMixture(2)), TRANSFORMER),
    "classifier": (GMMOTClassifier(), CLASSIFIER),
}
PARAMETERS = [
    pytest.param(kind, name, value, id=f"{kind}-{name}-{number}")
    for kind, (_, table) in TABLES.items()
    for name, values in table.items()
    for number, value in enumerate(values)
]
BAD_ROWS = {
    "one axis": np.zeros(60),
    "three axes": np.zeros((60, 2, 2)),
    "NaN": np.where(ROWS > 2.0, NAN, ROWS),
    "infinity": np.where(ROWS > 2.0, INF, ROWS),
    "-infinity and infinity": np.where(np.abs(ROWS) > 1.5, INF * ROWS, ROWS),
    "text": np.full((60, 2), "a"),
    "complex": ROWS + 1j,
    "no rows": np.empty((0, 2)),
    "no columns": np.empty((60, 0)),
    "sparse": sparse.csr_array(ROWS),
    "None": None,
    "a number": 3.0,
    "ragged": [[0.0], [0.0, 1.0]],
}
BAD_WEIGHTS = {
    "too few": np.ones(59),
    "two axes": np.ones((60, 2)),
    "negative": np.where(np.arange(60) == 3, -1.0, 1.0),
    "NaN": np.where(np.arange(60) == 3, NAN, 1.0),
    "infinite": np.where(np.arange(60) == 3, INF, 1.0),
    "all 0": np.zeros(60),
    "text": np.full(60, "a"),
    "complex": np.ones(60) + 1j,
    "a word": "balanced",
}
BAD_DOMAINS = {
    "too few": np.ones(59),
    "two axes": np.ones((60, 2)),
    "NaN": np.where(np.arange(60) == 3, NAN, 1.0),
    "infinite": np.where(np.arange(60) == 3, INF, DOMAIN),
    "text": np.full(60, "source"),
    "complex": DOMAIN + 1j,
    "a word": "source",
    "objects": np.full(60, None),
}


def fitted(kind):
    """A fitted estimator of a kind."""
    estimator = TABLES[kind][0]
    estimator = type(estimator)(**estimator.get_params(deep=False))
    return estimator.fit(ROWS, **fit_keywords(kind))


def fit_keywords(kind, **keywords):
    """Keywords of fit: labels of domains and of classes for those who read them."""
    if kind == "sparse":
        return keywords
    labels = {"y": CLASSES} if kind == "classifier" else {}
    return {"sample_domain": DOMAIN, **labels, **keywords}


FITTED = {}


def former(kind):
    """An estimator of a kind that was fitted before; each kind is fitted once."""
    if kind not in FITTED:
        FITTED[kind] = fitted(kind)
    copy = type(FITTED[kind])()
    copy.__dict__ = dict(vars(FITTED[kind]))
    return copy


def refused_by(estimator, method, name, *arguments, **keywords):
    """The method refuses its arguments before any work and changes nothing."""
    before = state_of(estimator)
    with no_work():
        assert_refused(lambda: getattr(estimator, method)(*arguments, **keywords), name)
    assert_unchanged(estimator, before)


@pytest.mark.parametrize(("kind", "name", "value"), PARAMETERS)
def test_parameters_outside_their_domain(kind, name, value):
    estimator = former(kind).set_params(**{name: value})
    names = {"means_init": "means", "weights_init": "weights"}
    names["precisions_init"] = "precision"
    keywords = fit_keywords(kind)
    refused_by(estimator, "fit", names.get(name, name), ROWS, **keywords)
    if kind == "sparse" and not name.endswith("_init"):
        refused_by(estimator, "partial_fit", name, ROWS)
        refused_by(estimator, "fit_predict", name, ROWS)


@pytest.mark.parametrize("rows", BAD_ROWS.values(), ids=BAD_ROWS)
@pytest.mark.parametrize("kind", TABLES)
def test_rows_that_are_no_table_of_numbers(kind, rows):
    estimator = former(kind)
    methods = {
        "sparse": ("partial_fit", "predict", "predict_proba", "score_samples", "score",
                   "bic", "aic", "fit_predict"),
        "coupled": ("predict", "predict_proba", "score_samples", "score"),
        "linked": ("predict", "predict_proba", "score_samples", "score"),
        "transformer": ("transform", "inverse_transform", "transport_weights"),
        "classifier": ("predict", "predict_proba", "transform"),
    }  # fmt: skip
    refused_by(estimator, "fit", "X", rows, **fit_keywords(kind))
    for method in methods[kind]:
        refused_by(estimator, method, "X", rows)


@pytest.mark.parametrize("kind", TABLES)
def test_rows_of_another_number_of_features(kind):
    methods = {
        "sparse": ("partial_fit", "predict", "predict_proba", "score_samples", "bic"),
        "coupled": ("predict", "predict_proba", "score_samples", "score"),
        "linked": ("predict", "predict_proba", "score_samples", "score"),
        "transformer": ("transform", "inverse_transform", "transport_weights"),
        "classifier": ("predict", "predict_proba", "transform"),
    }
    for method in methods[kind]:
        refused_by(former(kind), method, "X", np.zeros((60, 3)))


@pytest.mark.parametrize("weights", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
@pytest.mark.parametrize("kind", TABLES)
def test_sample_weights_that_are_no_frequencies(kind, weights):
    estimator, keywords = former(kind), fit_keywords(kind, sample_weight=weights)
    refused_by(estimator, "fit", "sample_weight", ROWS, **keywords)
    if kind == "sparse":
        for method in ("partial_fit", "score", "bic", "aic", "fit_predict"):
            call = getattr(estimator, method)
            assert_refused(lambda call=call: call(ROWS, sample_weight=weights),
                           "sample_weight")  # fmt: skip


@pytest.mark.parametrize("labels", BAD_DOMAINS.values(), ids=BAD_DOMAINS)
@pytest.mark.parametrize("kind", ["coupled", "transformer", "classifier"])
def test_labels_that_are_no_domains(kind, labels):
    methods = {
        "coupled": ("fit", "fit_predict", "predict", "predict_proba", "score"),
        "transformer": ("fit", "fit_transform", "transform", "inverse_transform"),
        "classifier": ("fit", "fit_transform", "predict", "predict_proba", "transform"),
    }
    for method in methods[kind]:
        keywords = {"sample_domain": labels}
        if method.startswith("fit"):
            keywords = fit_keywords(kind, **keywords)
        refused_by(former(kind), method, "sample_domain", ROWS, **keywords)


@pytest.mark.parametrize("kind", ["coupled", "transformer", "classifier"])
def test_one_domain_alone(kind):
    for labels in (np.ones(60), -np.ones(60)):
        keywords = fit_keywords(kind, sample_domain=labels)
        refused_by(former(kind), "fit", "sample_domain", ROWS, **keywords)
    keywords = fit_keywords(kind, sample_weight=(DOMAIN > 0).astype(float))
    refused_by(former(kind), "fit", "sample_weight", ROWS, **keywords)


BAD_CLASSES = {
    "too few": CLASSES[:-1],
    "two axes": np.ones((60, 2)),
    "NaN": np.where(np.arange(60) == 3, NAN, 1.0),
    "infinite": np.where(np.arange(60) == 3, INF, 1.0),
    "not whole": np.linspace(0.0, 1.0, 60),
    "None": None,
    "a word": "y",
}


@pytest.mark.parametrize("labels", BAD_CLASSES.values(), ids=BAD_CLASSES)
def test_labels_that_are_no_classes(labels):
    for method in ("fit", "fit_transform"):
        keywords = {"y": labels, "sample_domain": DOMAIN}
        with no_work(), pytest.raises(ValueError, match=r"[yY]|label"):
            getattr(former("classifier"), method)(ROWS, **keywords)


@pytest.mark.parametrize("n_components", [61, (2, 31), (31, 2)])
def test_more_components_than_rows(n_components):
    kind = "sparse" if n_components == 61 else "coupled"
    estimator = former(kind).set_params(n_components=n_components)
    if kind == "sparse":  # else no more are offered than the rows can carry
        estimator.set_params(sparsity=0.0)
    refused_by(estimator, "fit", "n_components", ROWS, **fit_keywords(kind))


@pytest.mark.parametrize("n_samples", [0, -1, 1.5, "3", None, NAN])
@pytest.mark.parametrize("kind", ["sparse", "coupled"])
def test_samples_that_cannot_be_drawn(kind, n_samples):
    refused_by(former(kind), "sample", "n_samples", n_samples)


@pytest.mark.parametrize("label", [NAN, "target", None, [1]])
def test_samples_of_no_domain(label):
    refused_by(former("coupled"), "sample", "sample_domain", 3, label)


@pytest.mark.parametrize("kind", TABLES)
def test_methods_before_fit(kind):
    estimator = type(TABLES[kind][0])()
    names = ["predict", "predict_proba", "score_samples", "score", "transform",
             "inverse_transform", "transport_weights", "bic", "aic"]  # fmt: skip
    for name in names:
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError, match="not fitted"):
                getattr(estimator, name)(ROWS, *([CLASSES] if name == "score" else []))
    if hasattr(estimator, "sample"):
        with pytest.raises(NotFittedError, match="not fitted"):
            estimator.sample()


@pytest.mark.parametrize(
    ("changed", "X"), [("diag", ROWS), ("tied", ROWS), ("spherical", ROWS)]
)
@pytest.mark.parametrize("fitted_type", ["full", "diag", "tied", "spherical"])
def test_a_covariance_type_changed_after_the_fit_is_noticed(fitted_type, changed, X):
    mixture = SparseGaussianMixture(2, sparsity=0.0, covariance_type=fitted_type)
    mixture.fit(X)
    expected = mixture.predict(X)
    mixture.set_params(covariance_type=changed)
    if changed == fitted_type:
        np.testing.assert_array_equal(mixture.predict(X), expected)
        return
    for method in ("predict", "score", "partial_fit", "bic"):
        refused_by(mixture, method, "covariance_type", X)
    refused_by(mixture, "sample", "covariance_type")
    mixture.set_params(warm_start=True)
    refused_by(mixture, "fit", "covariance_type", X)
    again = mixture.set_params(warm_start=False).fit(X)
    assert np.isfinite(again.score(X))


BAD_PARTS = {
    "weights": ([0.5, 0.6], [1.5, -0.5], [NAN, 1.0], [1.0], "ab", None, [0.5, 0.5j]),
    "means": ([0.0, 1.0], np.zeros((3, 2)), np.full((2, 2), NAN), "ab", None, 1.0),
    "covariances": (np.eye(2), np.zeros((2, 2, 2)), -np.stack([np.eye(2)] * 2), "ab",
                    np.full((2, 2, 2), NAN), np.stack([np.ones((2, 2))] * 2), None,
                    np.stack([[[1.0, 0.5], [0.0, 1.0]]] * 2)),
    "covariance_type": ("round", None, 3, ["full"]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in BAD_PARTS.items() for v in values]
)
def test_parts_that_make_no_mixture(name, value):
    weights, means, covariances = good_mixture()
    parts = {"weights": weights, "means": means, "covariances": covariances}
    parts[name] = value
    with no_work():
        message = assert_refused(
            lambda: SparseGaussianMixture.from_parameters(**parts), ""
        )
    assert any(part.rstrip("s") in message for part in BAD_PARTS)


def test_an_estimator_that_makes_no_mixture():
    mover = GMMOTTransformer(StandardScaler())
    with pytest.raises(TypeError, match="weights_, means_ and covariances_"):
        mover.fit(ROWS, sample_domain=DOMAIN)
    assert not hasattr(mover, "n_features_in_")
