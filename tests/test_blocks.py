"""Sums over the rows of a data set, however they are cut."""

import numpy as np
import pytest
import reference_mixture as reference

from skgmmot import _blocks
from skgmmot._blocks import MemoryBlocks, add_moments, blocks_of
from skgmmot.kernels import Gaussians

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
    found = blocks_of(X, weights).nearest_moments(MEANS, full)
    labels = reference.nearest(X, MEANS)[0]
    rows = np.ones(len(X)) if weights is None else weights
    assert_given(found, np.eye(4)[labels] * rows[:, None], full)


@pytest.mark.parametrize("entries", [1, 4, 120, 10_000])
def test_size_of_a_block_of_responsibilities_does_not_matter(monkeypatch, entries):
    expected = blocks_of(X, WEIGHTS).given_moments(SHARES, MEANS, True)
    monkeypatch.setattr(_blocks, "_ONE_HOT_ENTRIES", entries)
    found = blocks_of(X, WEIGHTS).given_moments(SHARES, MEANS, True)
    assert_moments(found, expected)
