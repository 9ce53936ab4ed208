"""Rows of Dask: the same fit as in memory however they are cut, and lazy results."""

import threading
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
from refusals import FORM
from sklearn.base import clone

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    SparseGaussianMixture,
    _rows,
)
from skgmmot._blocks import _dask, _many, blocks_of, parts_of
from skgmmot.datasets import make_mixture
from skgmmot.mixture import _path

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
Callback = pytest.importorskip("dask.callbacks").Callback
pytestmark = pytest.mark.usefixtures("always_in_parts")

RNG = np.random.default_rng(0)
CENTERS = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 2.0], [0.0, 5.0, -1.0]])
X = np.concatenate([RNG.normal(center, 1.0, (80, 3)) for center in CENTERS])
X = X[RNG.permutation(len(X))]
WEIGHTS = RNG.uniform(0.0, 2.0, len(X))
WEIGHTS[::9] = 0.0
DOMAINS = np.where(RNG.uniform(size=len(X)) < 0.5, 1.0, -1.0)
X[DOMAINS < 0.0] += [0.5, -0.3, 1.0]
CUTS = {
    "one": 1,
    "seven": 7,
    "uneven": (100, 3, 90, 47),
    "empty": (120, 0, 120),
    "whole": len(X),
}
START = {"means_init": CENTERS + 0.3, "n_components": 3, "random_state": 0}


def cut(values, chunks=7):
    """A Dask array with chunks along the rows."""
    return da.from_array(values, chunks=(chunks, *values.shape[1:]))


def positive(values):
    """Rows of X with a positive first value, in chunks of unknown size."""
    try:
        return cut(values)[cut(X)[:, 0] > 0.0]
    except NotImplementedError:
        pytest.skip("not in this version of Dask with query planning")


def assert_same(a, b, tolerance=1e-8):
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(
            getattr(a, name), getattr(b, name), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("chunks", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["bare", "weighted"])
def test_a_fit_is_that_of_the_rows_in_memory(chunks, weights):
    model = SparseGaussianMixture(**START, sparsity=0.0, max_iter=15, tol=0.0)
    with pytest.warns(UserWarning, match="did not converge"):
        expected = clone(model).fit(X, sample_weight=weights)
    beside = None if weights is None else cut(weights, chunks)
    with pytest.warns(UserWarning, match="did not converge"):
        found = clone(model).fit(cut(X, chunks), sample_weight=beside)
    assert_same(found, expected)
    np.testing.assert_allclose(found.lower_bounds_, expected.lower_bounds_, rtol=1e-10)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"sparsity": 1.0, "refit": True},
        {"sparsity": 0.5, "solver": "adam", "max_iter": 300, "tol": 0.1},
        {"sparsity": 0.0, "n_components": 3, "init_params": "random_from_data"},
        {"sparsity": 0.0, "n_components": 3, "init_params": "k-means++"},
    ],
    ids=["path", "price", "adam", "random", "seeds"],
)
def test_starts_and_path_are_those_of_the_rows_in_memory(covariance_type, parameters):
    model = SparseGaussianMixture(
        **{"n_components": 4, "random_state": 0, **parameters},
        covariance_type=covariance_type,
    )
    expected = clone(model).fit(X, sample_weight=WEIGHTS)
    found = clone(model).fit(cut(X, 70), sample_weight=cut(WEIGHTS, 50))
    assert found.n_components_ == expected.n_components_
    assert_same(found, expected, 1e-7)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["bare", "weighted"])
def test_a_path_that_was_searched_by_a_sample_goes_on_with_all_rows(
    monkeypatch, weights
):
    monkeypatch.setattr(_path, "_LEAST_ROWS", 50)
    monkeypatch.setattr(_path, "_ROWS_PER_PARAMETER", 1)
    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", 50)
    monkeypatch.setattr(_rows, "_ROWS_PER_COMPONENT", 1)
    model = SparseGaussianMixture(4, covariance_type="diag", random_state=0)
    expected = clone(model).fit(X, sample_weight=weights)
    beside = None if weights is None else cut(weights)
    passes = []
    with Callback(start=passes.append):
        found = clone(model).fit(cut(X), sample_weight=beside)
    assert len(passes) > 20  # it was not fitted in memory
    assert_same(found, expected, 1e-7)
    np.testing.assert_allclose(found.path_.criterion, expected.path_.criterion)


@pytest.mark.parametrize(
    "model",
    [
        CoupledGaussianMixture(3, random_state=0),
        CoupledGaussianMixture(random_state=0, align="linear", reg_m=1.0),
        CoupledGaussianMixture(3, random_state=0, covariance_type="diag"),
    ],
    ids=["shift", "number", "diag"],
)
@pytest.mark.parametrize("chunks", [40, (120, 0, 120)], ids=["even", "empty"])
def test_coupled_fits_are_those_of_the_rows_in_memory(model, chunks):
    given = {"sample_domain": DOMAINS, "sample_weight": WEIGHTS}
    lazy = {name: cut(values, chunks) for name, values in given.items()}
    expected = clone(model).fit(X, **given)
    found = clone(model).fit(cut(X, chunks), **lazy)
    assert_same(found.source_, expected.source_, 1e-6)
    assert_same(found.target_, expected.target_, 1e-6)
    np.testing.assert_allclose(found.coupling_, expected.coupling_, atol=1e-7)
    score = found.score(cut(X, chunks), **lazy)
    assert score == pytest.approx(expected.score(X, **given), abs=1e-7)
    bic = expected.bic(X, sample_domain=DOMAINS)
    assert found.bic(cut(X, chunks), sample_domain=DOMAINS) == pytest.approx(bic)


def test_a_frozen_side_needs_no_rows():
    source = SparseGaussianMixture(3, sparsity=0.0, random_state=0).fit(X)
    given = {"frozen": "source", "source_init": source, "random_state": 0}
    for domains in (DOMAINS, None):
        expected = CoupledGaussianMixture(3, **given).fit(X, sample_domain=domains)
        found = CoupledGaussianMixture(3, **given).fit(cut(X), sample_domain=domains)
        assert_same(found.target_, expected.target_, 1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        CoupledGaussianMixture(3, random_state=0),
        SparseGaussianMixture(3, random_state=0),
    ],
    ids=["coupled", "pair"],
)
def test_maps_are_those_of_the_rows_in_memory(estimator):
    given = {"sample_domain": DOMAINS, "sample_weight": WEIGHTS}
    expected = GMMOTTransformer(estimator).fit(X, **given)
    lazy = {name: cut(values) for name, values in given.items()}
    found = GMMOTTransformer(estimator).fit(cut(X), **lazy)
    domains = {"sample_domain": DOMAINS}
    for name in ("transform", "inverse_transform", "support_score"):
        a = getattr(expected, name)(X, **domains)
        b = getattr(found, name)(cut(X), sample_domain=cut(DOMAINS))
        np.testing.assert_allclose(b.compute(), a, rtol=1e-6, atol=1e-6)
        assert b.dtype == a.dtype
    weights = found.transport_weights(cut(X)).compute()
    np.testing.assert_allclose(weights, expected.transport_weights(X), atol=1e-7)


def test_a_classifier_learns_in_memory_and_predicts_lazily():
    y = np.argmin(((X[:, None] - CENTERS) ** 2).sum(axis=2), axis=1)
    expected = GMMOTClassifier(random_state=0).fit(X, y, sample_domain=DOMAINS)
    lazy, domains = cut(X), cut(DOMAINS)
    found = GMMOTClassifier(random_state=0).fit(lazy, cut(y), sample_domain=domains)
    names = np.array(["a", "bb", "c"])
    named = GMMOTClassifier(random_state=0).fit(lazy, names[y], sample_domain=domains)
    assert_same(found.target_, expected.target_, 1e-12)
    assert found.predict_proba(lazy).shape == (len(X), 3)
    predicted = named.predict(lazy, sample_domain=domains)
    assert predicted.dtype == names.dtype
    again = expected.predict(X, sample_domain=DOMAINS)
    np.testing.assert_array_equal(predicted.compute(), names[again])
    score = found.score(lazy, cut(y), sample_domain=domains)
    assert score == expected.score(X, y, sample_domain=DOMAINS)
    moved = found.transform(lazy, sample_domain=domains).compute()
    np.testing.assert_allclose(moved, expected.transform(X, sample_domain=DOMAINS))
    with refuses(ValueError, "y", "read in parts"):
        found.transform(lazy, cut(y), sample_domain=domains)


def test_random_moves_differ_from_chunk_to_chunk():
    mover = GMMOTTransformer(
        SparseGaussianMixture(3, sparsity=0.0, random_state=0),
        method="random",
        random_state=0,
    ).fit(X, sample_domain=DOMAINS)
    same = np.repeat(X[:1], 400, axis=0)
    moved = mover.transform(cut(same, 100)).compute().reshape(4, 100, 3)
    assert not np.array_equal(moved[0], moved[1])
    again = mover.transform(cut(same, 100)).compute().reshape(4, 100, 3)
    np.testing.assert_array_equal(moved, again)


# Lazy results


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_results_are_lazy_and_have_type_and_chunks_of_the_rows(refusing, dtype):
    model = SparseGaussianMixture(3, sparsity=0.0, random_state=0).fit(X.astype(dtype))
    lazy = da.random.default_rng(0).normal(size=(90, 3), chunks=((40, 0, 50), 3))
    lazy = lazy.astype(dtype)
    results = {
        "predict": ((90,), np.int64),
        "predict_proba": ((90, 3), dtype),
        "score_samples": ((90,), dtype),
    }
    for name, (shape, expected) in results.items():
        result = getattr(model, name)(lazy)
        assert isinstance(result, da.Array)
        assert result.shape == shape
        assert result.dtype == expected
        assert result.chunks[0] == (40, 0, 50)
        with dask.config.set(scheduler="synchronous"):
            values = result.compute()
        assert values.shape == shape
        assert values.dtype == expected
    with pytest.raises(AssertionError, match="computed"):
        model.score(lazy)


def test_results_by_domain_are_lazy(refusing):
    coupled = CoupledGaussianMixture((3, 2), random_state=0)
    coupled.fit(X, sample_domain=DOMAINS)
    mover = GMMOTTransformer(coupled).fit(X, sample_domain=DOMAINS)
    lazy, domains = cut(X), cut(DOMAINS)
    assert coupled.predict(lazy, sample_domain=domains).dtype == np.int64
    assert coupled.predict_proba(lazy, sample_domain=domains).shape == (len(X), 3)
    assert coupled.score_samples(lazy, sample_domain=domains).chunks == domains.chunks
    for name in ("transform", "inverse_transform"):
        result = getattr(mover, name)(lazy, sample_domain=domains)
        assert result.chunks == lazy.chunks
    assert mover.transport_weights(lazy).chunks == domains.chunks
    assert mover.support_score(lazy, sample_domain=domains).dtype == np.float64


def test_chunks_of_unknown_size_are_read_as_they_are():
    unknown, known = positive(X), X[X[:, 0] > 0.0]
    weights = positive(WEIGHTS)
    model = SparseGaussianMixture(2, sparsity=0.0, random_state=0)
    expected = clone(model).fit(known, sample_weight=WEIGHTS[X[:, 0] > 0.0])
    found = clone(model).fit(unknown, sample_weight=weights)
    assert_same(found, expected)
    labels = found.predict(unknown)
    assert np.isnan(labels.shape[0])
    np.testing.assert_array_equal(labels.compute(), expected.predict(known))


def test_whole_numbers_become_float64_and_float32_stays():
    whole = cut((10.0 * X).astype(np.int32))
    model = SparseGaussianMixture(2, sparsity=0.0, random_state=0)
    assert clone(model).fit(whole).means_.dtype == np.float64
    single = clone(model).fit(cut(X.astype(np.float32)))
    assert single.means_.dtype == np.float32
    expected = clone(model).fit(X.astype(np.float32))
    assert_same(single, expected, 1e-5)


def test_score_and_criteria_are_those_of_the_rows_in_memory():
    model = SparseGaussianMixture(3, sparsity=0.0, random_state=0).fit(X)
    lazy, weights = cut(X), cut(WEIGHTS)
    for name in ("score", "bic", "aic"):
        expected = getattr(model, name)(X, sample_weight=WEIGHTS)
        assert getattr(model, name)(lazy, sample_weight=weights) == pytest.approx(
            expected, rel=1e-12
        )


def test_partial_fit_takes_a_batch_of_dask():
    model = SparseGaussianMixture(3, sparsity=0.0, random_state=0)
    expected = clone(model).partial_fit(X[:120]).partial_fit(X[120:])
    found = clone(model).partial_fit(cut(X[:120])).partial_fit(cut(X[120:]))
    assert_same(found, expected)


def test_few_rows_are_fitted_in_memory(monkeypatch):
    monkeypatch.setattr(_many, "_FEW_ROWS", len(X))
    passes = []
    with Callback(start=passes.append):
        model = SparseGaussianMixture(4, random_state=0).fit(cut(X))
    assert len(passes) == 2  # the survey, and the rows
    assert_same(model, SparseGaussianMixture(4, random_state=0).fit(X), 1e-12)


# The sample


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_of_many_rows_is_systematic(monkeypatch, weighted):
    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", 400)
    monkeypatch.setattr(_rows, "_ROWS_PER_COMPONENT", 1)
    rows = make_mixture(20_000, random_state=0).X
    weights = np.where(rows[:, 0] > 0.0, 2.0, 0.5) if weighted else None
    parts = parts_of(cut(rows, (6000, 0, 13_000, 1000)))[0]
    column = None if weights is None else cut(weights, 20_000)
    column = None if column is None else parts.column(column, "sample_weight")
    blocks = blocks_of(parts, column)
    sample, repeats = blocks.sample_rows(3, np.random.RandomState(0))
    assert repeats.sum() == 400
    everything = {tuple(row) for row in rows}
    assert all(tuple(row) in everything for row in sample)
    order = np.argsort(rows[:, 0])
    cdf = np.cumsum((np.ones(len(rows)) if weights is None else weights)[order])
    shares = np.cumsum(repeats) / repeats.sum()
    reached = np.interp(sample[:, 0], rows[order, 0], cdf / cdf[-1])
    assert np.abs(shares - reached).max() < 0.02


def test_a_sample_uses_as_many_draws_as_one_in_memory(monkeypatch):
    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", 10)
    monkeypatch.setattr(_rows, "_ROWS_PER_COMPONENT", 1)
    first, second = np.random.RandomState(0), np.random.RandomState(0)
    blocks_of(X).sample_rows(3, first)
    blocks_of(parts_of(cut(X))[0]).sample_rows(3, second)
    assert first.uniform() == second.uniform()


# How the work is cut


def test_a_pass_is_one_task_a_chunk_and_a_tree():
    graphs = []
    parts = parts_of(da.ones((400, 3), chunks=(4, 3)))[0]
    with Callback(start=graphs.append):
        total = parts.reduce(lambda part: len(part.x), np.add)
    assert total == 400
    tasks, sums, parameters = 100, 7 + 1, 1
    assert len(graphs[0]) == tasks + sums + parameters


def test_where_chunks_lie_is_not_asked_at_every_pass(monkeypatch):
    asked, plain = [], _dask._bundles
    monkeypatch.setattr(_dask, "_bundles", lambda *a: asked.append(a) or plain(*a))
    monkeypatch.setattr(_dask, "_FRESH", 60.0)
    parts = parts_of(cut(X))[0]

    def n_rows(numbers=None):
        return parts.reduce(lambda part: len(part.x), np.add, numbers)

    assert [n_rows() for _ in range(3)] == [len(X)] * 3
    assert len(asked) == 1
    assert n_rows([0, 1]) == 14  # other chunks
    assert len(asked) == 2
    monkeypatch.setattr(_dask, "_FRESH", -1.0)
    assert n_rows([0, 1]) == 14
    assert len(asked) == 3


class Source:
    """Rows that are made when they are sliced; counts slices, and those in memory."""

    shape, ndim, dtype = X.shape, 2, X.dtype

    def __init__(self):
        self.lock = threading.Lock()
        self.n_read = self.alive = self.most = 0

    def __getitem__(self, index):
        with self.lock:
            self.n_read += 1
            self.alive += 1
            self.most = max(self.most, self.alive)
        rows = X[index].copy()
        weakref.finalize(rows, self.left)
        return rows

    def left(self):
        with self.lock:
            self.alive -= 1

    def cut(self, length):
        return da.from_array(self, chunks=(length, 3), meta=X[:0])


def number_of_tasks(rows, weights=None):
    """Tasks that make and sum the chunks of some rows, whose sum must be right."""
    parts = parts_of(rows)[0]
    parts = parts.changed(weights=weights)
    graphs = []
    with Callback(start=graphs.append):
        total = parts.reduce(lambda part: part.x.sum(axis=0), np.add)
    np.testing.assert_allclose(total, np.asarray(rows.compute()).sum(axis=0))
    return sum(
        bool(dask.core.istask(task)) and "-sum-" not in str(key)
        for key, task in graphs[0].items()
    )


def test_a_chunk_that_shares_nothing_large_is_read_and_summed_in_one_task():
    rows = cut(X, 40)
    weights = da.ones(len(X), chunks=40)
    assert number_of_tasks(rows) == 6
    assert number_of_tasks(Source().cut(40)) == 6
    assert number_of_tasks(rows + 2.0 * Source().cut(40)) == 6
    assert number_of_tasks(Source().cut(20).rechunk((40, 3))) == 6
    assert number_of_tasks(rows, weights) == 6
    assert number_of_tasks(rows, abs(Source().cut(40)[:, 0]) + 1.0) == 6


def test_what_chunks_share_is_made_once():
    source = Source()
    parts = parts_of(source.cut(80).rechunk((20, 3)))[0]
    total = parts.reduce(lambda part: part.x.sum(axis=0), np.add)
    np.testing.assert_allclose(total, X.sum(axis=0))
    assert source.n_read == 3

    source = Source()
    rows = source.cut(40)
    parts = parts_of(rows - rows.mean(axis=0))[0]
    total = parts.reduce(lambda part: (part.x**2).sum(axis=0), np.add)
    np.testing.assert_allclose(total, ((X - X.mean(axis=0)) ** 2).sum(axis=0))
    assert source.n_read == 6


def test_columns_made_of_the_rows_read_these_once():
    source = Source()
    rows = source.cut(40).map_blocks(np.copy)
    weights = da.map_blocks(lambda x: x[:, 0] ** 2, rows, drop_axis=1, dtype=float)
    parts = parts_of(rows)[0]
    parts = parts.changed(weights=parts.column(weights, "sample_weight"))
    total = parts.reduce(lambda part: part.weights @ part.x, np.add)
    np.testing.assert_allclose(total, X[:, 0] ** 2 @ X)
    assert source.n_read == 6


def test_a_thread_has_one_chunk_in_memory():
    source = Source()
    parts = parts_of(source.cut(2))[0]
    with dask.config.set(scheduler="threads", num_workers=2):
        total = parts.reduce(lambda part: part.x.sum(axis=0), np.add)
    np.testing.assert_allclose(total, X.sum(axis=0))
    assert source.n_read == len(X) // 2
    assert source.most <= 2


# What is refused


@contextmanager
def refuses(kind, name, words):
    """The body raises, in the form of the package's errors."""
    with pytest.raises(kind) as caught:
        yield
    text = str(caught.value)
    assert FORM.match(text)
    assert text.startswith(name)
    assert words in text


def fit(X, sample_weight=None):
    SparseGaussianMixture(2, sparsity=0.0).fit(X, sample_weight=sample_weight)


def test_chunks_along_the_features_are_refused():
    with refuses(ValueError, "X", "rechunk"):
        fit(da.from_array(X, chunks=(50, 2)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_in_the_first_pass(bad):
    wrong = X.copy()
    wrong[200, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        fit(cut(wrong))
    model = SparseGaussianMixture(2, sparsity=0.0).fit(X)
    lazy = model.predict(cut(wrong))
    with pytest.raises(ValueError, match="Input X contains"):
        lazy.compute()
    with pytest.raises(ValueError, match="Input X contains"):
        model.score(cut(wrong))


def test_other_wrong_rows_are_refused():
    with refuses(ValueError, "X", "2D"):
        fit(cut(X[:, 0]))
    with refuses(TypeError, "X", "real numbers"):
        fit(cut(X + 1j))
    with refuses(ValueError, "X", "values within"):
        fit(cut(X * 1e150))
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        fit(cut(X[:1]))
    with pytest.raises(ValueError, match="n_samples >= n_components"):
        SparseGaussianMixture(9, sparsity=0.0).fit(cut(X[:8]))
    model = SparseGaussianMixture(2, sparsity=0.0).fit(X)
    with pytest.raises(ValueError, match="2 features"):
        model.predict(cut(X[:, :2]))


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (WEIGHTS[:-1], "numbers, as X has rows"),
        (-WEIGHTS, "no negative number"),
        (np.where(WEIGHTS > 1.9, np.nan, WEIGHTS), "NaN"),
        (np.zeros(len(X)), "positive weight"),
        (np.ones((len(X), 2)), "one real number for each row"),
    ],
    ids=["short", "negative", "nan", "zeros", "wide"],
)
def test_wrong_weights_are_refused(weights, words):
    for given in (weights, cut(weights)):
        with pytest.raises(ValueError, match="sample_weight") as caught:
            fit(cut(X), sample_weight=given)
        assert words in str(caught.value)


def test_a_missing_domain_is_refused():
    model = CoupledGaussianMixture(2)
    with refuses(ValueError, "sample_domain", "both domains"):
        model.fit(cut(X), sample_domain=cut(np.ones(len(X))))


def test_starts_that_need_all_rows_are_refused():
    for start in ("random", lambda X, n, rng: X[:n]):
        model = SparseGaussianMixture(2, sparsity=0.0, init_params=start)
        with refuses(ValueError, "init_params", "means_init"):
            model.fit(cut(X))
    assert not hasattr(model, "n_features_in_")


def test_columns_of_unknown_sizes_must_have_the_chunks_of_the_rows():
    unknown = positive(X)
    with refuses(ValueError, "sample_weight", "compute_chunk_sizes"):
        fit(unknown, sample_weight=np.ones(3))
    wrong = cut(WEIGHTS)[cut(X)[:, 0] < 0.0]
    with pytest.raises(ValueError, match="sample_weight"):
        fit(unknown, sample_weight=wrong)


def test_a_dataframe_tells_the_names_of_its_features():
    dataframes = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    table["w"] = WEIGHTS
    lazy = dataframes.from_pandas(table, npartitions=4)
    names = ["a", "b", "c"]
    model = SparseGaussianMixture(3, sparsity=0.0, random_state=0)
    expected = clone(model).fit(table[names], sample_weight=table["w"])
    found = clone(model).fit(lazy[names], sample_weight=lazy["w"])
    assert_same(found, expected)
    np.testing.assert_array_equal(found.feature_names_in_, names)
    labels = found.predict(lazy[names])
    np.testing.assert_array_equal(labels.compute(), expected.predict(table[names]))
    with pytest.raises(ValueError, match="feature names should match"):
        found.predict(lazy[["b", "a", "c"]])
