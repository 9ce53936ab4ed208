"""What maps take of components: drawn to what is common where noise could be.

Covariances are drawn to one of both domains, maps of pairs to one of all pairs.
"""

import numpy as np
import pytest
import reference
import strategies

from skgmmot.linalg import as_mixture
from skgmmot.transport._component_maps import MixtureMap
from skgmmot.transport._shrunk import common_maps, shrunk_covariances


def problem(seed, sizes=(3, 2), d=3):
    rng = np.random.default_rng(seed)
    compared = tuple(strategies.spd_stack(rng, n, d) for n in sizes)
    return compared, tuple(rng.dirichlet(np.full(n, 3.0)) for n in sizes)


def common_of(compared, weights):
    pairs = zip(weights, compared, strict=True)
    means = [np.einsum("k,kij->ij", w, c) for w, c in pairs]
    return 0.5 * sum(means)


@pytest.mark.parametrize("masses", [(30.0, 400.0), (5.0, 5.0)])
@pytest.mark.parametrize("seed", range(5))
def test_the_covariances_are_those_of_the_reference(seed, masses):
    compared, weights = problem(seed)
    common = common_of(compared, weights)
    for found, side, w, mass in zip(
        shrunk_covariances(compared, weights, masses), compared, weights, masses,
        strict=True,
    ):  # fmt: skip
        expected = reference.shrunk_covariances(side, common, mass * w)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_many_rows_leave_covariances_as_they_are_and_none_make_them_equal():
    compared, weights = problem(7)
    for found, side in zip(
        shrunk_covariances(compared, weights, (np.inf, np.inf)), compared, strict=True
    ):
        np.testing.assert_array_equal(found, side)
    common = common_of(compared, weights)
    for found in shrunk_covariances(compared, weights, (1e-9, 1e-9)):
        np.testing.assert_allclose(found, np.broadcast_to(common, found.shape))


def test_a_common_affine_map_changes_no_share():
    compared, weights = problem(8)
    turn = np.random.default_rng(0).standard_normal((3, 3)) * [[1e3], [1.0], [1e-3]]
    moved = tuple(turn @ side @ turn.T for side in compared)
    for found, other in zip(
        shrunk_covariances(compared, weights, (40.0, 60.0)),
        shrunk_covariances(moved, weights, (40.0, 60.0)),
        strict=True,
    ):
        units = np.sqrt(np.einsum("kii->ki", other))
        scales = units[:, :, None] * units[:, None]
        np.testing.assert_allclose(
            turn @ found @ turn.T / scales, other / scales, atol=1e-8
        )


def test_samples_of_one_gaussian_are_told_from_two():
    rng = np.random.default_rng(0)
    ones = np.ones(1), np.ones(1)
    same = [np.cov(rng.standard_normal((20, 400)))[None] for _ in range(2)]
    left, entered = shrunk_covariances(tuple(same), ones, (400.0, 400.0))
    np.testing.assert_allclose(left, entered)  # not one direction is stretched
    wide = same[0], 9.0 * same[1]
    left, entered = shrunk_covariances(wide, ones, (400.0, 400.0))
    ratios = np.linalg.eigvals(np.linalg.solve(left[0], entered[0])).real
    assert ratios.min() > 3.0


def test_a_component_that_collapsed_onto_a_handful_of_rows_stretches_nothing():
    covariances = np.array([np.eye(2), 1e-8 * np.eye(2)])
    weights = np.array([0.99, 0.01])
    means = np.array([[0.0, 0.0], [5.0, 5.0]])
    source = as_mixture((weights, means, covariances))
    target = as_mixture((weights, means, np.array([np.eye(2), np.eye(2)])))
    wild = MixtureMap(source, target, np.diag(weights))
    assert wild.steepest == pytest.approx(1e4)
    compared = shrunk_covariances(
        (source.covariances, target.covariances), (weights, weights), (500.0, 500.0)
    )
    tame = MixtureMap(source, target, np.diag(weights), None, compared)
    assert tame.steepest < 1.5


# The map that all pairs share


def pairs_problem(seed, sizes=(3, 2), d=3, masses=(60.0, 400.0)):
    """What common_maps takes."""
    rng = np.random.default_rng(seed)
    compared, weights = problem(seed, sizes, d)
    gaps = 0.3 * rng.standard_normal((*sizes, d))
    coupling = np.outer(*weights)
    coupling[0, -1] = 0.0
    return compared, gaps, coupling, weights, masses


@pytest.mark.parametrize("d", [1, 2, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_the_common_map_and_its_shares_are_those_of_the_reference(seed, d):
    compared, gaps, coupling, weights, masses = pairs_problem(seed, d=d)
    there, back = common_maps(compared, gaps, coupling, weights, masses)
    counts = [mass * w for mass, w in zip(masses, weights, strict=True)]
    for k, j in np.ndindex(coupling.shape):
        linear, *shares = reference.common_shares(
            *compared, weights, (k, j), gaps[k, j], (counts[0][k], counts[1][j])
        )
        np.testing.assert_allclose(there.linear, linear, rtol=1e-8, atol=1e-10)
        found = [there.of_means[k, j], there.of_slopes[k, j]]
        wanted = shares if coupling[k, j] > 0.0 else [0.0, 0.0]
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
    np.testing.assert_allclose(back.linear @ there.linear, np.eye(d), atol=1e-9)
    np.testing.assert_array_equal(back.of_means, there.of_means.T)
    np.testing.assert_array_equal(back.of_slopes, there.of_slopes.T)


def shares_of(*problem):
    """Of means and of slopes, (2, K0, K1)."""
    common = common_maps(*problem)[0]
    return np.stack([common.of_means, common.of_slopes])


def test_many_rows_leave_pairs_their_maps_and_few_take_them():
    asked = pairs_problem(3)[:4]
    several, fewer = (shares_of(*asked, (n, n)) for n in (4e4, 4e2))
    used = fewer < 1.0
    np.testing.assert_allclose(several[used], fewer[used] / 100.0)  # as 1 / n
    assert not shares_of(*asked, (np.inf, np.inf)).any()
    few = shares_of(*asked, (1.0, 1.0))
    assert (few[:, asked[2] > 0.0] > 0.8).all()
    assert not few[:, asked[2] == 0.0].any()


def test_nothing_is_drawn_where_shrinkage_cannot_lower_the_error():
    assert not shares_of(*pairs_problem(3, d=1)).any()
    means, slopes = shares_of(*pairs_problem(3, d=2))
    assert not means.any()
    assert slopes.any()


def test_turned_coordinates_change_no_share():
    compared, gaps, *rest = pairs_problem(4)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    turned = tuple(turn @ side @ turn.T for side in compared), gaps @ turn.T
    np.testing.assert_allclose(
        shares_of(*turned, *rest), shares_of(compared, gaps, *rest), rtol=1e-9
    )
    linear = common_maps(compared, gaps, *rest)[0].linear
    other = common_maps(*turned, *rest)[0].linear
    np.testing.assert_allclose(other, turn @ linear @ turn.T, atol=1e-9)


def test_a_feature_without_variance_changes_no_share_but_a_gap_along_it_is_no_noise():
    compared, gaps, *rest = pairs_problem(5)
    plain = shares_of(compared, gaps, *rest)
    flat = tuple(np.pad(side, ((0, 0), (0, 1), (0, 1))) for side in compared)
    wider = np.pad(gaps, ((0, 0), (0, 0), (0, 1)))
    np.testing.assert_allclose(shares_of(flat, wider, *rest), plain)
    wider[1, 0, -1] = 0.01
    shares = shares_of(flat, wider, *rest)
    assert plain[0, 1, 0] > 0.0
    assert shares[0, 1, 0] == 0.0
    plain[0, 1, 0] = 0.0
    np.testing.assert_allclose(shares, plain)


def test_the_statistics_of_one_gaussian_are_their_numbers_of_parameters():
    rng = np.random.default_rng(0)
    n, d, draws = 400, 4, 400
    weights = np.array([1e-3, 1.0 - 1e-3])  # the common map is that of the others
    found = []
    for _ in range(draws):
        ends = rng.standard_normal((2, n, d))
        compared = tuple(np.stack([np.cov(x.T, bias=True), np.eye(d)]) for x in ends)
        gaps = np.zeros((2, 2, d))
        gaps[0, 0] = ends[1].mean(axis=0) - ends[0].mean(axis=0)
        # As if of a hundred times the rows, so that no share is cut.
        masses = (100 * n / weights[0],) * 2
        shares = shares_of(compared, gaps, np.eye(2), (weights,) * 2, masses)
        found.append(0.01 / shares[:, 0, 0])
    errors = np.std(found, axis=0) / draws**0.5
    assert (np.abs(np.mean(found, axis=0) - 1.0) < 4.0 * errors).all()
    assert (errors < 0.04).all()


@pytest.mark.parametrize("apart", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("d", [3, 4, 8])
def test_drawn_means_are_nearer_to_the_truth_whatever_it_is(d, apart):
    rng = np.random.default_rng(d)
    n, eyes, ones = 100, np.eye(d)[None], np.ones(1)
    errors = []
    for _ in range(1000):
        truth = np.full(d, apart / d**0.5)
        gap = truth + np.sqrt(2.0 / n) * rng.standard_normal(d)
        asked = (eyes, eyes), gap[None, None], np.eye(1), (ones, ones), (n, n)
        share = common_maps(*asked)[0].of_means[0, 0]
        kept = (1.0 - share) * gap
        errors.append([np.square(x - truth).sum() for x in (kept, gap)])
    drawn, alone = np.mean(errors, axis=0)
    spread = np.std(np.diff(errors, axis=1)) / 1000**0.5
    assert drawn < alone + 2.0 * spread
    if apart == 0.0:
        assert drawn < 0.6 * alone


def drawn_map(seed=6):
    """A map, its rows, and images of the rows by each pair, (K0, K1, n, d)."""
    compared, _, coupling, weights, masses = pairs_problem(seed)
    rng = np.random.default_rng(1)
    means, X = rng.normal(0.0, 3.0, (3, 3)), rng.normal(0.0, 3.0, (50, 3))
    source = as_mixture((weights[0], means, compared[0]))
    target = as_mixture((weights[1], means[:2] + 0.5, compared[1]))
    gaps = target.means - source.means[:, None]
    common = common_maps(compared, gaps, coupling, weights, masses)[0]
    images = np.empty((3, 2, *X.shape))
    for k, j in np.ndindex(coupling.shape):
        own = [reference.pair_image(x, source, target, k, j) for x in X]
        shared = means[k] + (X - means[k]) @ common.linear.T
        centre, offset = common.of_means[k, j], common.of_slopes[k, j]
        placed = centre * means[k] + (1.0 - centre) * target.means[j]
        offsets = offset * (shared - means[k])
        offsets += (1.0 - offset) * (np.array(own) - target.means[j])
        images[k, j] = placed + offsets
    for shares in common[1:]:
        assert shares.max() > 0.02
        assert shares.min() < 0.9
    return source, target, coupling, common, X, images


def test_maps_of_pairs_are_so_many_parts_of_the_common_one():
    source, target, coupling, common, X, images = drawn_map()
    posteriors = reference.posteriors(X, source)
    chances = coupling / coupling.sum(axis=1, keepdims=True)
    expected = np.einsum("ik,kj,kjid->id", posteriors, chances, images)
    maps = MixtureMap(source, target, coupling, common=common)
    np.testing.assert_allclose(maps.move(X), expected, atol=1e-8)
    alone = MixtureMap(source, target, coupling).move(X)
    assert np.abs(alone - expected).max() > 1e-3
    bounded = MixtureMap(source, target, coupling, max_slope=1e6, common=common)
    np.testing.assert_allclose(bounded.move(X), expected, atol=1e-8)
    tame = MixtureMap(source, target, coupling, max_slope=1.1, common=common)
    assert maps.steepest > 1.2
    assert tame.steepest == pytest.approx(1.1)


def test_likeliest_and_random_maps_take_the_same_images_of_pairs():
    source, target, coupling, common, X, images = drawn_map()
    maps = MixtureMap(source, target, coupling, common=common)
    labels = reference.posteriors(X, source).argmax(axis=1)
    best = images[labels, coupling.argmax(axis=1)[labels], np.arange(len(X))]
    np.testing.assert_allclose(maps.move(X, "most_likely"), best, atol=1e-8)
    drawn = maps.move(X, "random", rng=np.random.RandomState(0))
    errors = np.abs(images - drawn).max(axis=-1)[coupling > 0.0]
    assert errors.min(axis=0).max() < 1e-8
