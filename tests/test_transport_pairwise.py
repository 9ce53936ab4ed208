"""Distances between lists: agreement with one pair, zeros, symmetry, refusals."""

import numpy as np
import pytest
import reference_toolbox
import strategies
from hypothesis import given, settings
from sklearn.neighbors import NearestNeighbors

from skgmmot.linalg import _bures
from skgmmot.transport import Mixture, mw2_distance, pairwise_mw2


def random_list(n_mixtures, d, seed=0, k_max=6):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, k_max, n_mixtures)
    return [strategies.random_mixture(rng, k, d) for k in sizes]


def one_by_one(mixtures, others):
    """The same by `mw2_distance`."""
    return np.array([[mw2_distance(a, b) for b in others] for a in mixtures])


@pytest.mark.parametrize("d", [1, 2, 3, 7])
def test_pairwise_equals_reference(d):
    mixtures = random_list(5, d)
    found = pairwise_mw2(mixtures, squared=True)
    for i, first in enumerate(mixtures):
        for j, second in enumerate(mixtures[:i]):
            wanted = reference_toolbox.squared_mw2(first, second)
            assert found[i, j] == pytest.approx(wanted, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(strategies.mixture_pairs())
def test_pairwise_equals_one_pair(pair):
    wanted = mw2_distance(*pair)
    np.testing.assert_allclose(pairwise_mw2(pair)[0, 1], wanted, rtol=1e-9)
    found = pairwise_mw2(pair[:1], pair[1:])
    np.testing.assert_allclose(found, [[wanted]], rtol=1e-9)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_one_list_gives_a_metric_that_can_be_precomputed(d):
    distances = pairwise_mw2(random_list(12, d))
    assert (np.diag(distances) == 0.0).all()
    np.testing.assert_array_equal(distances, distances.T)
    through = (distances[:, :, None] + distances[None]).min(axis=1)
    assert (distances <= through + 1e-12).all()


@pytest.mark.parametrize("d", [2, 3, 5])
def test_mixtures_that_nearly_agree_keep_their_digits(d):
    rng = np.random.default_rng(1)
    weights, means, covariances = strategies.random_mixture(rng, 3, d)
    shift = 1e-7 * np.arange(d)
    mixtures = [
        (weights, means, covariances),
        (weights, means + shift, covariances),
        (weights, means, covariances * (1.0 + 1e-6)),
    ]
    found = pairwise_mw2(mixtures)
    assert found[0, 1] == pytest.approx(np.linalg.norm(shift), rel=1e-7)
    np.testing.assert_allclose(found, one_by_one(mixtures, mixtures), rtol=1e-7)


def test_equal_mixtures_of_two_lists_have_distance_zero():
    mixtures = random_list(4, 3)
    order = [2, 0, 1]
    shuffled = [
        tuple(part[np.argsort(-mixture[0])] for part in mixture) for mixture in mixtures
    ]
    found = pairwise_mw2(mixtures, [shuffled[i] for i in order])
    for j, i in enumerate(order):
        assert found[i, j] == 0.0


def test_singular_and_diagonal_covariances():
    rng = np.random.default_rng(2)
    point = [1.0], np.ones((1, 3)), np.zeros((1, 3, 3))
    loading = rng.standard_normal((2, 3, 1))
    flat = [0.5, 0.5], rng.standard_normal((2, 3)), loading @ loading.swapaxes(1, 2)
    variances = rng.uniform(0.5, 2.0, (2, 3))
    diagonal = [0.2, 0.8], rng.standard_normal((2, 3)), variances[..., None] * np.eye(3)
    for mixtures in ([point, flat, diagonal], [point, diagonal, diagonal]):
        found = pairwise_mw2(mixtures)
        np.testing.assert_allclose(
            found, one_by_one(mixtures, mixtures), rtol=1e-9, atol=1e-15
        )


def test_tiny_and_huge_units():
    mixtures = random_list(4, 3)
    distances = pairwise_mw2(mixtures)
    for unit in (1e-12, 1e12):
        scaled = [(w, unit * m, unit**2 * s) for w, m, s in mixtures]
        np.testing.assert_allclose(pairwise_mw2(scaled), unit * distances, rtol=1e-9)


@pytest.fixture(params=[False, True], ids=["decompositions", "kernel"])
def compiled(request, monkeypatch):
    """Both ways to the nuclear norms, whatever the number of pairs."""
    monkeypatch.setattr(_bures, "_WORTH_COMPILING", 0 if request.param else np.inf)
    return request.param


@pytest.mark.parametrize("d", [3, 4, 7, 12, 40])
def test_long_lists_equal_one_pair(compiled, d):
    assert compiled is (_bures.norms_for(d, 1) is not _bures.pair_norms)
    mixtures = random_list(6, d)
    weights, means, covariances = mixtures[0]
    mixtures.append((weights, means + 1e-7, covariances * (1.0 + 1e-6)))
    mixtures.append((weights, means, covariances * np.diag([0.0] + [1.0] * (d - 1))))
    mixtures.append((weights, means, covariances + 1e6 * np.ones((d, d))))
    found = pairwise_mw2(mixtures)
    # Factors that differ by 1e-6 of their size keep ten digits of their gap.
    np.testing.assert_allclose(found, one_by_one(mixtures, mixtures), rtol=1e-8)
    assert (np.diag(pairwise_mw2(mixtures, mixtures)) == 0.0).all()


def test_chunks_and_threads_change_nothing(monkeypatch, compiled):
    mixtures = random_list(9, 4)
    whole = pairwise_mw2(mixtures, n_jobs=1)
    monkeypatch.setattr(_bures, "_CHUNK_BYTES", 5000)
    np.testing.assert_array_equal(pairwise_mw2(mixtures, n_jobs=1), whole)
    np.testing.assert_array_equal(pairwise_mw2(mixtures, n_jobs=3), whole)


def test_float32_is_kept():
    mixtures = random_list(3, 2)
    single = [Mixture(*(x.astype(np.float32) for x in m)) for m in mixtures]
    found = pairwise_mw2(single)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pairwise_mw2(mixtures), rtol=1e-4)
    assert pairwise_mw2(single, mixtures).dtype == np.float64


def test_neighbours_take_the_matrix():
    mixtures = [
        ([1.0], [[x, 0.0]], [np.eye(2)]) for x in (0.0, 0.1, 5.0, 5.2, 9.0, 9.3)
    ]
    distances = pairwise_mw2(mixtures)
    search = NearestNeighbors(n_neighbors=1, metric="precomputed").fit(distances)
    neighbours = search.kneighbors(return_distance=False).ravel()
    np.testing.assert_array_equal(neighbours, [1, 0, 3, 2, 5, 4])


def test_wrong_lists_are_refused():
    one, other = random_list(1, 2) + random_list(1, 3)
    with pytest.raises(ValueError, match="at least one"):
        pairwise_mw2([])
    with pytest.raises(
        ValueError, match=r"as in mixtures\[0\], got 3 in mixtures\[1\]"
    ):
        pairwise_mw2([one, other])
    with pytest.raises(ValueError, match="mixtures, others: expected the same number"):
        pairwise_mw2([one], [other])
    with pytest.raises(
        ValueError, match=r"others\[0\]: expected weights that sum to 1"
    ):
        pairwise_mw2([one], [([0.5], [[0.0]], [[[1.0]]])])
    with pytest.raises(TypeError, match=r"mixtures\[0\]"):
        pairwise_mw2([3.0])
