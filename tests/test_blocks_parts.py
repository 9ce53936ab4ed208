"""Rows out of core: sequences of arrays, functions that make them, files."""

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.base import clone

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTTransformer,
    SparseGaussianMixture,
    _rows,
)
from skgmmot._blocks import _many, _sequence, blocks_of, parts_of

RNG = np.random.default_rng(0)
CENTERS = np.array([[0.0, 0.0], [5.0, 1.0], [0.0, 6.0]])
X = np.concatenate([RNG.normal(center, 1.0, (100, 2)) for center in CENTERS])
X = X[RNG.permutation(len(X))]
WEIGHTS = RNG.uniform(0.0, 2.0, len(X))
WEIGHTS[::7] = 0.0
DOMAINS = np.where(np.arange(len(X)) % 2 == 0, 1, -1)
CUTS = [1, 50, 50, 213]
MODEL = SparseGaussianMixture(4, random_state=0)


@pytest.fixture(autouse=True)
def always_in_parts(monkeypatch):
    """Few rows are not taken into memory, as they would be."""
    monkeypatch.setattr(_many, "_FEW_ROWS", 0)


def cut(values):
    return np.split(values, CUTS)


def assert_same(a, b, tolerance=1e-8):
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(
            getattr(a, name), getattr(b, name), rtol=tolerance, atol=tolerance
        )


class OnDemand(Sequence):
    """Arrays that are made when they are read, and counted."""

    def __init__(self, arrays):
        self.arrays, self.n_read = arrays, 0

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, index):
        self.n_read += 1
        return self.arrays[index]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["list", "tuple", "sequence", "function"])
def test_a_fit_is_that_of_the_rows_in_memory(kind, weighted):
    kinds = {
        "list": list,
        "tuple": tuple,
        "sequence": OnDemand,
        "function": lambda arrays: lambda: iter(arrays),
    }
    weights = WEIGHTS if weighted else None
    beside = kinds[kind](cut(WEIGHTS)) if weighted else None
    expected = clone(MODEL).fit(X, sample_weight=weights)
    found = clone(MODEL).fit(kinds[kind](cut(X)), sample_weight=beside)
    assert_same(found, expected)


def test_weights_of_a_sequence_may_be_one_array():
    expected = clone(MODEL).fit(X, sample_weight=WEIGHTS)
    assert_same(clone(MODEL).fit(cut(X), sample_weight=WEIGHTS), expected)


def test_results_are_a_sequence_or_a_function_as_the_rows_are():
    model = clone(MODEL).fit(X)
    rows = OnDemand(cut(X))
    results = model.predict_proba(rows)
    read_before = rows.n_read
    assert isinstance(results, Sequence)
    assert [len(part) for part in results] == [len(part) for part in cut(X)]
    assert rows.n_read == read_before + len(rows)
    np.testing.assert_allclose(np.concatenate(results), model.predict_proba(X))
    np.testing.assert_array_equal(results[-1], results[len(rows) - 1])
    assert len(results[1:3]) == 2
    with pytest.raises(IndexError):
        results[len(rows)]
    labels = model.predict(lambda: iter(cut(X)))
    np.testing.assert_array_equal(np.concatenate(list(labels())), model.predict(X))
    np.testing.assert_array_equal(np.concatenate(list(labels())), model.predict(X))


def test_scores_are_those_of_the_rows_in_memory():
    model = clone(MODEL).fit(X)
    for name in ("score", "bic", "aic"):
        expected = getattr(model, name)(X, sample_weight=WEIGHTS)
        found = getattr(model, name)(cut(X), sample_weight=cut(WEIGHTS))
        assert found == pytest.approx(expected, rel=1e-12)


def test_coupled_domains_and_maps():
    model = CoupledGaussianMixture(3, random_state=0)
    expected = clone(model).fit(X, sample_domain=DOMAINS, sample_weight=WEIGHTS)
    given = {"sample_domain": cut(DOMAINS), "sample_weight": cut(WEIGHTS)}
    found = clone(model).fit(cut(X), **given)
    np.testing.assert_allclose(found.coupling_, expected.coupling_, atol=1e-7)
    mover = GMMOTTransformer(model).fit(lambda: cut(X), sample_domain=given_later)
    moved = mover.transform(cut(X), sample_domain=cut(DOMAINS))
    whole = mover.transform(X, sample_domain=DOMAINS)
    np.testing.assert_allclose(np.concatenate(moved), whole)


def given_later():
    """Labels of the domains, block by block."""
    yield from cut(DOMAINS)


@pytest.mark.parametrize("kind", ["int", "fortran", "float16"])
def test_a_file_that_would_be_copied_is_read_in_slices(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(_sequence, "_PART_BYTES", 2**10)
    types = {"int": np.int16, "fortran": np.float64, "float16": np.float16}
    order = "F" if kind == "fortran" else "C"
    file = np.memmap(tmp_path / "rows", types[kind], "w+", shape=X.shape, order=order)
    file[:] = 10.0 * X
    rows = np.ascontiguousarray(file, dtype=np.float64)
    parts = parts_of(file)[0]
    assert isinstance(parts, _sequence.MappedParts)
    expected = clone(MODEL).fit(rows, sample_weight=WEIGHTS)
    found = clone(MODEL).fit(file, sample_weight=WEIGHTS)
    assert_same(found, expected)
    probabilities = found.predict_proba(file)
    assert isinstance(probabilities, np.ndarray)
    np.testing.assert_allclose(probabilities, expected.predict_proba(rows), atol=1e-8)


def test_a_file_of_numbers_as_they_are_used_is_an_array(tmp_path):
    file = np.memmap(tmp_path / "rows", np.float32, "w+", shape=X.shape)
    file[:] = X
    found = clone(MODEL).fit(file)
    np.testing.assert_array_equal(found.means_, clone(MODEL).fit(np.array(file)).means_)
    assert isinstance(found.predict(file), np.ndarray)


def test_the_survey_has_mean_and_variances():
    parts = parts_of(cut(X))[0]
    column = parts.column(WEIGHTS, "sample_weight")
    blocks, whole = blocks_of(parts, column), blocks_of(X, WEIGHTS)
    for a, b in zip(
        blocks.mean_and_variances(), whole.mean_and_variances(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert blocks.n_rows == np.count_nonzero(WEIGHTS)
    assert blocks.mass == pytest.approx(whole.mass)
    center = np.array([1.0, 2.0])
    np.testing.assert_allclose(blocks.scatter(center), whole.scatter(center))
    fourth = whole.fourth_moment(center, center)
    assert blocks.fourth_moment(center, center) == pytest.approx(fourth)


@pytest.mark.parametrize("kind", ["sequence", "function"])
def test_a_sample_of_many_rows_has_its_size(monkeypatch, kind):
    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", 20)
    monkeypatch.setattr(_rows, "_ROWS_PER_COMPONENT", 1)
    rows = cut(X) if kind == "sequence" else lambda: iter(cut(X))
    sample, repeats = blocks_of(parts_of(rows)[0]).sample_rows(
        3, np.random.RandomState(0)
    )
    assert repeats.sum() == 20
    assert {tuple(row) for row in sample} <= {tuple(row) for row in X}
    places = np.searchsorted(np.sort(X[:, 0]), sample[:, 0])
    assert np.diff(places).max() < 2 * len(X) / 20


@pytest.mark.parametrize("sparsity", [0.0, 1.0])
def test_three_passes_over_batches_come_near_a_fit(sparsity, global_random_seed):
    rng = np.random.default_rng(global_random_seed)
    means = 8.0 * rng.standard_normal((4, 3))
    labels = rng.choice(4, p=[0.1, 0.2, 0.3, 0.4], size=4000)
    rows = means[labels] + rng.standard_normal((4000, 3))
    model = SparseGaussianMixture(4, sparsity=sparsity, random_state=0)
    expected = clone(model).fit(rows).score(rows)
    for _ in range(3):
        for batch in np.array_split(rng.permutation(len(rows)), 20):
            model.partial_fit(rows[batch])
    assert model.score(rows) > expected - 0.05


# What is refused


def fit(rows, sample_weight=None):
    SparseGaussianMixture(2, sparsity=0.0).fit(rows, sample_weight=sample_weight)


def test_what_can_be_read_only_once_is_refused():
    with pytest.raises(TypeError, match=r"X: expected .*lambda: batches\(\)"):
        fit(iter(cut(X)))


def test_blocks_of_other_widths_are_refused():
    with pytest.raises(ValueError, match="X: expected blocks of 2 features, got"):
        fit([X, X[:, :1]])
    with pytest.raises(ValueError, match="2 features"):
        clone(MODEL).fit(X).predict([X[:, :1]])


def test_values_that_are_not_finite_are_refused():
    wrong = X.copy()
    wrong[250, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit(cut(wrong))
    results = clone(MODEL).fit(X).predict(cut(wrong))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        list(results)


def test_weights_that_do_not_fit_the_blocks_are_refused():
    for wrong in (WEIGHTS[:-1], cut(WEIGHTS)[:-1], [*cut(WEIGHTS)[:-1], WEIGHTS[:1]]):
        with pytest.raises(ValueError, match="sample_weight: expected"):
            fit(cut(X), sample_weight=wrong)
    with pytest.raises(TypeError, match="sample_weight: expected a function"):
        fit(lambda: cut(X), sample_weight=WEIGHTS)
    with pytest.raises(ValueError, match="as many blocks as X, got fewer"):
        fit(lambda: cut(X), sample_weight=lambda: cut(WEIGHTS)[:-1])
    with pytest.raises(ValueError, match="as many blocks as X, got more"):
        fit(lambda: cut(X), sample_weight=lambda: [*cut(WEIGHTS), WEIGHTS[:1]])


@pytest.mark.parametrize("wrong", [lambda: iter(()), lambda: [1.0, 2.0], lambda: X])
def test_a_function_that_gives_no_blocks_is_refused(wrong):
    with pytest.raises(TypeError, match="X: expected a function that gives"):
        fit(wrong)
