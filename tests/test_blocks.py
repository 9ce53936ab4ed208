"""Sums over the rows of a data set, however they are cut."""

import numpy as np
import pytest
import reference_mixture as reference

from skgmmot import _rows
from skgmmot._blocks import (
    MemoryBlocks,
    Posteriors,
    View,
    _memory,
    _posteriors,
    add_moments,
    blocks_of,
)
from skgmmot.kernels import Gaussians
from skgmmot.mixture._neighbours import neighbour_average

RNG = np.random.default_rng(0)
X = RNG.standard_normal((230, 3))
MEANS = RNG.standard_normal((4, 3))
SHARES = RNG.dirichlet(np.ones(4), len(X))
WEIGHTS = RNG.uniform(0.5, 2.0, len(X))
GAUSSIANS = Gaussians(np.log(np.full(4, 0.25)), MEANS, np.ones((4, 3)))


def assert_moments(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def assert_given(found, responsibilities, full):
    counts, sums, outers = reference.given_moments(X, responsibilities, MEANS)
    seconds = outers if full else np.diagonal(outers, axis1=1, axis2=2)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-10)
    np.testing.assert_allclose(found.sums, sums, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.seconds, seconds, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.mass, responsibilities.sum(), rtol=1e-12)


def test_arrays_in_memory_are_one_block():
    blocks = blocks_of(X, WEIGHTS, 1)
    assert isinstance(blocks, MemoryBlocks)
    assert blocks.mass == pytest.approx(WEIGHTS.sum())
    assert blocks_of(X).mass == len(X)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_weighted_rows_count_by_their_shares(weights):
    shares = np.random.default_rng(4).uniform(size=len(X))
    found = blocks_of(X, weights).weighted(shares, 0.25)
    kept = shares > 0.25
    expected = shares[kept] if weights is None else shares[kept] * weights[kept]
    assert found.n_rows == kept.sum() < len(X)
    assert_moments(
        found.moments(GAUSSIANS), blocks_of(X[kept], expected).moments(GAUSSIANS)
    )


def test_what_is_no_array_is_refused():
    with pytest.raises(TypeError, match="NumPy array"):
        blocks_of([[1.0, 2.0]])


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("cuts", [[], [100], [1, 2, 229], [33, 66, 99, 132, 165, 198]])
def test_moments_of_blocks_add_up(cuts, weights):
    whole = blocks_of(X, weights).moments(GAUSSIANS, deletion=True)
    total = None
    for rows in np.split(np.arange(len(X)), cuts):
        part = blocks_of(X[rows], None if weights is None else weights[rows])
        found = part.moments(GAUSSIANS, deletion=True)
        total = found if total is None else add_moments(total, found)
    assert_moments(total, whole)


def test_an_empty_block_adds_nothing():
    whole = blocks_of(X).moments(GAUSSIANS)
    empty = blocks_of(X[:0]).moments(GAUSSIANS)
    assert_moments(add_moments(whole, empty), whole)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_given_moments_equal_the_reference(full, weights):
    found = blocks_of(X, weights).given_moments(SHARES, MEANS, full)
    rows = np.ones(len(X)) if weights is None else weights
    assert_given(found, SHARES * rows[:, None], full)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_nearest_moments_give_each_row_to_its_nearest_mean(full, weights):
    units = np.array([1.0, 30.0, 0.2])
    found = blocks_of(X, weights).nearest_moments(MEANS, full, units)
    labels = reference.nearest(X / units, MEANS / units)[0]
    rows = np.ones(len(X)) if weights is None else weights
    assert_given(found, np.eye(4)[labels] * rows[:, None], full)


@pytest.mark.parametrize("entries", [1, 4, 120, 10_000])
def test_size_of_a_block_of_responsibilities_does_not_matter(monkeypatch, entries):
    expected = blocks_of(X, WEIGHTS).given_moments(SHARES, MEANS, True)
    monkeypatch.setattr(_memory, "_SLICE_ENTRIES", entries)
    found = blocks_of(X, WEIGHTS).given_moments(SHARES, MEANS, True)
    assert_moments(found, expected)


def test_what_blocks_say_of_their_rows():
    blocks = blocks_of(X.astype(np.float32), WEIGHTS, 2)
    assert (blocks.n_rows, blocks.n_features, blocks.n_threads) == (230, 3, 2)
    assert blocks.dtype == np.float32
    np.testing.assert_array_equal(blocks.rows(), X.astype(np.float32))


@pytest.mark.parametrize("entries", [2, 21, 2**17])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_sums_of_powers_equal_the_definitions(monkeypatch, weights, entries):
    monkeypatch.setattr(_rows, "_BLOCK_ENTRIES", entries)
    blocks = blocks_of(X, weights)
    mean, variances = blocks.mean_and_variances()
    expected = np.average(X, axis=0, weights=weights)
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    squares = (X - expected) ** 2
    expected = np.average(squares, axis=0, weights=weights)
    np.testing.assert_allclose(variances, expected, rtol=1e-12)
    center, units = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.1, 30.0])
    total = 0.0
    for x, weight in zip(X, np.ones(230) if weights is None else weights, strict=True):
        total += (
            weight * sum((x[j] - center[j]) ** 2 / units[j] ** 2 for j in range(3)) ** 2
        )
    assert blocks.fourth_moment(center, units) == pytest.approx(total, rel=1e-12)


def test_a_sample_of_few_rows_is_all_of_them_in_order():
    rows, weights = blocks_of(X, WEIGHTS).sample_rows(3, np.random.RandomState(0))
    order = np.lexsort(X.T[::-1])
    np.testing.assert_array_equal(rows, X[order])
    np.testing.assert_array_equal(weights, WEIGHTS[order])


def test_a_sample_of_many_rows_keeps_their_shares(monkeypatch):
    monkeypatch.setattr(_rows, "_ROWS_PER_COMPONENT", 1)
    blocks = blocks_of(X, WEIGHTS)
    rows, repeats = blocks.sample_rows(3, np.random.RandomState(0), 100)
    assert repeats.sum() == 100
    cdf = np.cumsum(WEIGHTS[np.lexsort(X.T[::-1])]) / WEIGHTS.sum()
    places = [
        int(np.flatnonzero((X[np.lexsort(X.T[::-1])] == row).all(1))[0]) for row in rows
    ]
    # A systematic sample is within one draw of the share of any stretch of rows.
    drawn = np.zeros(len(X))
    drawn[places] = repeats
    assert np.abs(np.cumsum(drawn) - 100.0 * cdf).max() <= 1.0


def test_blocks_in_canonical_order_keep_weights_with_their_rows():
    ordered = blocks_of(X, WEIGHTS, 1).in_canonical_order()
    np.testing.assert_array_equal(ordered.rows(), X[np.lexsort(X.T[::-1])])
    assert_moments(ordered.moments(GAUSSIANS), blocks_of(X, WEIGHTS).moments(GAUSSIANS))


def test_rows_are_asked_one_by_one():
    blocks = blocks_of(X, WEIGHTS)
    squares = ((X[:, None] - MEANS) ** 2).sum(axis=2)
    logs = np.log(0.25) - 0.5 * squares
    density = np.logaddexp.reduce(logs, axis=1)
    shares = np.exp(logs - density[:, None])
    np.testing.assert_allclose(blocks.log_density(GAUSSIANS), density, rtol=1e-11)
    np.testing.assert_allclose(blocks.posteriors(GAUSSIANS), shares, atol=1e-12)
    labels = shares.argmax(axis=1)
    np.testing.assert_array_equal(blocks.labels(GAUSSIANS), labels)
    np.testing.assert_array_equal(blocks.nearest(MEANS)[0], squares.argmin(axis=1))
    np.testing.assert_allclose(blocks.nearest(MEANS)[1], squares.min(axis=1))
    uniforms = np.random.default_rng(1).uniform(size=len(X))
    drawn = (np.cumsum(shares, axis=1) < uniforms[:, None]).sum(axis=1)
    np.testing.assert_array_equal(blocks.draw_labels(GAUSSIANS, uniforms), drawn)
    linear, shifts = RNG.standard_normal((2, 4, 3))
    mapped = linear * (X[:, None] - MEANS) + shifts
    expected = (shares[:, :, None] * mapped).sum(axis=1)
    moved = blocks.apply_maps(GAUSSIANS, linear, shifts)
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-10)
    moved = blocks.apply_selected(labels, MEANS, linear[:, :, None] * np.eye(3), shifts)
    expected = mapped[np.arange(len(X)), labels]
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("seen", [True, False])
def test_tilted_posteriors_by_their_formulas(kept, weighted, seen, monkeypatch):
    monkeypatch.setattr(_posteriors, "_MOST_ENTRIES", 10**6 if kept else 0)
    monkeypatch.setattr(_memory, "_SLICE_ENTRIES", 28)  # of seven rows
    rng = np.random.default_rng(0)
    X, tilts = rng.standard_normal((40, 3)), np.array([0.5, 1.0, 2.0, 3.0])
    weights = rng.integers(0, 3, 40) + 0.5 if weighted else None
    center, factor = np.ones(3), np.triu(rng.standard_normal((3, 3)))
    blocks, Z = blocks_of(X, weights), (X - center) @ factor if seen else X
    view = View(blocks, center, factor) if seen else View(blocks)
    np.testing.assert_allclose(view.of(slice(5, 9)).rows(), Z[5:9])
    np.testing.assert_allclose(
        view.log_likelihood(GAUSSIANS), blocks_of(Z, weights).log_likelihood(GAUSSIANS)
    )
    plain = blocks_of(Z).posteriors(GAUSSIANS)
    tilted = plain * tilts
    tilted /= tilted.sum(axis=1, keepdims=True)
    found = Posteriors(view, GAUSSIANS)
    np.testing.assert_allclose(found[np.array([3, 1])], plain[[3, 1]])
    shares = np.average(tilted, axis=0, weights=weights)
    np.testing.assert_allclose(found.tilted_shares(tilts), shares)
    np.testing.assert_allclose(found.tilted(tilts).of(slice(2, 30)), tilted[2:30])
    average = neighbour_average(X, weights, 0.4)
    drawn = average.of(slice(0, 40), tilted, tilted[average.candidates])
    others = found.tilted(tilts, average)
    np.testing.assert_allclose(others.of(slice(2, 30)), drawn[2:30])
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("constant", [0.1, 3.3, 1e5 + 0.1])
def test_a_constant_feature_has_no_variance(strict, constant):
    rows = np.full((400, 1), constant)
    if strict:
        rows = pytest.importorskip("array_api_strict").asarray(rows)
    blocks = blocks_of(rows)
    mean, variances = blocks.mean_and_variances()
    np.testing.assert_allclose(mean, constant, rtol=1e-15)
    assert variances[0] <= (1e-15 * constant) ** 2
