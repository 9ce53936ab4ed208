"""Linked mixtures of rows in parts: the fit and the moves of the rows in memory."""

import numpy as np
import pytest
from sklearn.base import clone

from skgmmot import LinkedGaussianMixture, batch_report, cross_validate_links
from skgmmot._blocks import _many
from skgmmot.linalg._mixture import as_mixture

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
Callback = pytest.importorskip("dask.callbacks").Callback
pytestmark = pytest.mark.usefixtures("always_in_parts")

RNG = np.random.default_rng(0)
N = 150
DAYS = RNG.choice([0, 1, 3], N, p=[0.4, 0.3, 0.3])
GROUPS = RNG.integers(2, size=N)
X = RNG.standard_normal((N, 2)) + 6.0 * GROUPS[:, None] + DAYS[:, None]
WEIGHTS = RNG.uniform(0.5, 2.0, N)
WEIGHTS[::9] = 0.0
NAMES = np.array(["a", "b", "", "c"])[DAYS]
CUTS = {"one": 1, "seven": 7, "uneven": (100, 3, 40, 7), "empty": (70, 0, 80)}
MODEL = LinkedGaussianMixture(2, random_state=0)
FITTED = clone(MODEL).fit(X, sample_domain=DAYS, sample_weight=WEIGHTS)


def cut(values, chunks=40):
    """A Dask array with chunks along the rows."""
    return da.from_array(values, chunks=(chunks, *values.shape[1:]))


def assert_same(found, expected, tolerance=1e-8):
    assert found.domains_ == expected.domains_
    assert found.links_ == expected.links_
    for a, b in zip(found.mixtures_, expected.mixtures_, strict=True):
        for name in ("weights_", "means_", "covariances_"):
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), rtol=tolerance, atol=tolerance
            )
    for a, b in zip(found.couplings_, expected.couplings_, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)
    np.testing.assert_allclose(found._masses, expected._masses, rtol=1e-12)


@pytest.mark.parametrize("chunks", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["bare", "weighted"])
def test_a_fit_is_that_of_the_rows_in_memory(chunks, weights):
    few = slice(60 if chunks == 1 else N)
    rows, days = X[few], DAYS[few]
    weights = None if weights is None else weights[few]
    expected = clone(MODEL).fit(rows, sample_domain=days, sample_weight=weights)
    beside = None if weights is None else cut(weights, chunks)
    found = clone(MODEL).fit(
        cut(rows, chunks), sample_domain=cut(days, chunks), sample_weight=beside
    )
    assert_same(found, expected)


@pytest.mark.parametrize(
    "parameters",
    [
        {"links": "star", "reference": "pooled"},
        {"links": "star", "reference": "b", "align": "linear", "reg_m": 1.0},
        {"links": [("a", "c")], "n_components": "bic", "covariance_type": "diag"},
        {
            "frozen": ["b"],
            "inits": {"b": as_mixture(FITTED.mixtures_[1])},
            "align": "scale",
        },
    ],
    ids=["pooled", "linear", "number", "frozen"],
)
@pytest.mark.parametrize("kind", ["array", "list", "function"])
def test_links_and_names_are_those_of_the_rows_in_memory(parameters, kind):
    model = clone(MODEL).set_params(**parameters)
    expected = clone(model).fit(X, sample_domain=NAMES, sample_weight=WEIGHTS)
    kinds = {
        "array": cut,
        "list": lambda values: np.split(values, [50, 50, 101]),
        "function": lambda values: lambda: iter(np.split(values, [50, 50, 101])),
    }
    lazy, names, weights = map(kinds[kind], (X, NAMES, WEIGHTS))
    found = clone(model).fit(lazy, sample_domain=names, sample_weight=weights)
    assert_same(found, expected)
    score = found.score(lazy, sample_domain=names, sample_weight=weights)
    again = expected.score(X, sample_domain=NAMES, sample_weight=WEIGHTS)
    assert score == pytest.approx(again, rel=1e-9)
    bic = expected.bic(X, sample_domain=NAMES)
    assert found.bic(lazy, sample_domain=names) == pytest.approx(bic, rel=1e-9)


def test_labels_may_be_in_memory_and_of_a_dataframe():
    found = clone(MODEL).fit([X[:50], X[50:]], sample_domain=list(DAYS))
    expected = clone(MODEL).fit(X, sample_domain=DAYS)
    assert_same(found, expected)
    dataframes = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b"]).assign(batch=NAMES)
    lazy = dataframes.from_pandas(table, npartitions=3)
    found = clone(MODEL).fit(lazy[["a", "b"]], sample_domain=lazy["batch"])
    expected = clone(MODEL).fit(table[["a", "b"]], sample_domain=table["batch"])
    assert_same(found, expected)
    np.testing.assert_array_equal(found.feature_names_in_, ["a", "b"])


def test_a_sample_that_has_parts_of_its_own_is_read_there_alone():
    order = np.argsort(DAYS, kind="stable")
    sizes = np.bincount(DAYS)[[0, 1, 3]].tolist()
    bounds = np.cumsum(sizes)[:-1]
    parts = Counted(np.split(X[order], bounds))
    labels = np.split(DAYS[order], bounds)
    found = clone(MODEL).fit(parts, sample_domain=labels)
    assert_same(found, clone(MODEL).fit(X[order], sample_domain=DAYS[order]))
    reads = np.array(parts.n_read)
    assert parts.n_read[0] > 5
    assert np.abs(reads - reads.mean()).max() <= 3  # no other domain's passes


class Counted(list):
    """Arrays; how often each was read is counted."""

    def __init__(self, arrays):
        super().__init__(arrays)
        self.n_read = [0] * len(arrays)

    def __getitem__(self, index):
        self.n_read[index] += 1
        return super().__getitem__(index)


def test_results_are_lazy_and_those_of_the_rows_in_memory(refusing):
    lazy, days = cut(X), cut(DAYS)
    results = {}
    for name in ("predict", "predict_proba", "score_samples"):
        whole = getattr(FITTED, name)(X, sample_domain=DAYS)
        results[name] = getattr(FITTED, name)(lazy, sample_domain=days), whole
    for ends in ((0, 1), (3, 0), (1, 1)):
        results[ends] = FITTED.move(lazy, *ends), FITTED.move(X, *ends)
    results["velocity"] = FITTED.velocity(lazy, 1), FITTED.velocity(X, 1)
    for least in (0.0,):
        given = {"reference": 0, "min_events": least}
        results["reference"] = (
            FITTED.to_reference(lazy, days, **given),
            FITTED.to_reference(X, DAYS, **given),
        )
    with dask.config.set(scheduler="synchronous"):
        for found, expected in results.values():
            assert isinstance(found, da.Array)
            assert found.dtype == expected.dtype
            assert found.chunks[0] == lazy.chunks[0]
            np.testing.assert_allclose(found.compute(), expected, atol=1e-10)


@pytest.mark.parametrize("least", [10.0, 21.5, 1e4])
@pytest.mark.parametrize("kind", ["array", "list"])
def test_populations_are_counted_over_all_parts(least, kind):
    lazy, days = (cut(X), cut(DAYS))
    if kind == "list":
        lazy, days = np.split(X, [30, 30, 90]), np.split(DAYS, [30, 30, 90])
    given = {"reference": 3, "min_events": least}
    passes = []
    with Callback(start=passes.append):
        found = FITTED.to_reference(lazy, days, **given)
    assert len(passes) == (2 if kind == "array" else 0)  # the longest way is two links
    found = found.compute() if kind == "array" else np.concatenate(list(found))
    expected = FITTED.to_reference(X, DAYS, **given)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_random_moves_differ_from_part_to_part():
    same = np.repeat(X[:1], 200, axis=0)
    given = {"method": "random", "random_state": 0}
    wide = FITTED.mixtures_[0].sample(200)[0] * 0.0 + 3.0  # between the groups
    moved = FITTED.move(cut(same + wide, 100), 0, 3, **given).compute()
    again = FITTED.move(cut(same + wide, 100), 0, 3, **given).compute()
    np.testing.assert_array_equal(moved, again)
    assert moved.shape == (200, 2)


def test_times_and_scores_of_parts():
    lazy = cut(X[DAYS == 1])
    expected = FITTED.locate(X[DAYS == 1])
    assert FITTED.locate(lazy) == pytest.approx(expected, abs=1e-6)
    score = FITTED.score_holdout(X[DAYS == 1], 0.7)
    assert FITTED.score_holdout(lazy, 0.7) == pytest.approx(score, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_is_added_from_parts(weighted):
    weights = WEIGHTS if weighted else None
    star = clone(MODEL).set_params(links="star", reference=0)
    star.fit(X, sample_domain=DAYS)
    expected = clone(star).fit(X, sample_domain=DAYS)
    expected.add_sample(X + 0.5, 7, sample_weight=weights)
    found = star.add_sample(
        cut(X + 0.5), 7, sample_weight=None if weights is None else cut(weights)
    )
    assert_same(found, expected)


def test_few_rows_of_each_sample_are_taken_into_memory(monkeypatch):
    monkeypatch.setattr(_many, "_FEW_ROWS", N)
    passes = []
    with Callback(start=passes.append):
        found = clone(MODEL).fit(cut(X), sample_domain=cut(DAYS))
    assert len(passes) == 1 + 2 * 3  # labels; of each sample the survey, and the rows
    assert_same(found, clone(MODEL).fit(X, sample_domain=DAYS), 1e-12)


def test_samples_share_what_may_be_in_memory(monkeypatch):
    monkeypatch.setattr(_many, "_FEW_ROWS", 60)  # for three samples 40 each
    passes = []
    with Callback(start=passes.append):
        clone(MODEL).fit(cut(X), sample_domain=cut(DAYS))
    assert len(passes) > 10


# What is refused


def test_what_needs_all_rows_is_refused():
    lazy, days = cut(X), cut(DAYS)
    calls = [
        lambda: FITTED.bootstrap(lazy, sample_domain=days),
        lambda: cross_validate_links(MODEL, lazy, days),
        lambda: batch_report(lazy, lazy, DAYS),
        lambda: batch_report(X, lazy, DAYS),
        lambda: FITTED.score_holdout(lazy, 1.0, metric="sliced"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="X: expected rows in memory"):
            call()


def test_wrong_arguments_are_refused_before_results_are_read(refusing):
    lazy, days = cut(X), cut(DAYS)
    with pytest.raises(ValueError, match="source: expected labels"):
        FITTED.move(lazy, 2, 0)
    with pytest.raises(ValueError, match="method: expected"):
        FITTED.move(lazy, 0, 1, method="any")
    with pytest.raises(ValueError, match="domain: expected labels"):
        FITTED.velocity(lazy, 2)
    with pytest.raises(ValueError, match="sample_domain: expected a label for each"):
        FITTED.predict(lazy)
    with pytest.raises(ValueError, match="reference: expected"):
        FITTED.to_reference(lazy, days)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.where(DAYS == 1, np.nan, DAYS), "finite labels"),
        (DAYS[:-1], "labels, as X has rows|numbers, as X has rows"),
        (np.zeros(N), "at least two domains"),
        (np.where(DAYS == 1, None, "a"), "sample_domain: expected"),
        (DAYS + 1j, "one label for each row"),
    ],
    ids=["nan", "short", "one", "mixed", "complex"],
)
def test_wrong_labels_are_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        clone(MODEL).fit(cut(X), sample_domain=labels)


def test_labels_that_are_of_one_kind_in_each_part_alone_are_refused():
    parts = [DAYS[:40], NAMES[40:]]
    with pytest.raises(ValueError, match="sample_domain: expected numbers or strings"):
        clone(MODEL).fit([X[:40], X[40:]], sample_domain=parts)


def test_wrong_rows_weights_and_unknown_labels_are_refused():
    wrong = X.copy()
    wrong[7, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        clone(MODEL).fit(cut(wrong), sample_domain=cut(DAYS))
    weights = np.where(DAYS == 1, 0.0, WEIGHTS)
    with pytest.raises(ValueError, match="a positive weight in each domain"):
        clone(MODEL).fit(cut(X), sample_domain=DAYS, sample_weight=weights)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        clone(MODEL).fit(cut(X[:0]), sample_domain=cut(DAYS[:0]))
    with pytest.raises(ValueError, match=r"sample_domain: expected labels of domains"):
        FITTED.score(cut(X), sample_domain=cut(DAYS + 1))
    frozen = clone(MODEL).set_params(
        inits=dict.fromkeys([0, 1, 3], as_mixture(FITTED.mixtures_[0])),
        frozen=[0, 1, 3],
    )
    with pytest.raises(ValueError, match="rows of a domain that is not frozen"):
        frozen.fit(cut(X), sample_domain=DAYS)
