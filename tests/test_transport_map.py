"""Maps of samples along a coupling: formulas, far points, draws, refusals."""

import pickle

import numpy as np
import pytest
import reference
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from skgmmot.linalg import as_mixture
from skgmmot.transport import Mixture, mw2_map, mw2_plan
from skgmmot.transport._component_maps import MixtureMap, mixture_gaussians
from skgmmot.transport._map import METHODS

pairs = strategies.mixture_pairs(max_components=4, max_dimension=4)
every_method = pytest.mark.parametrize("method", METHODS)


def mixture(n, d, seed=0, spread=2.0):
    return strategies.random_mixture(np.random.default_rng(seed), n, d, spread)


def sample(mixture, n, seed=0):
    """Rows of a mixture, and the components that they come from."""
    rng = np.random.default_rng(seed)
    weights, means, covariances = mixture
    labels = rng.choice(len(weights), n, p=weights)
    roots = np.array([reference.root(covariance) for covariance in covariances])
    noise = rng.standard_normal((n, means.shape[1]))
    return means[labels] + np.einsum("nij,nj->ni", roots[labels], noise), labels


def diagonal(mixture):
    return *mixture[:2], mixture[2] * np.eye(mixture[1].shape[1])


@pytest.fixture
def problem():
    """Rows, a source and a target in general position."""
    source, target = mixture(3, 2, 1), mixture(4, 2, 2)
    return sample(source, 200)[0], source, target


# Against the formulas


@given(pairs, strategies.seeds)
@settings(max_examples=30, deadline=None)
def test_barycentric_map_against_reference(pair, seed):
    X = sample(pair[0], 6, seed)[0]
    coupling = mw2_plan(*pair).coupling
    expected = reference.barycentric_map(X, *pair, coupling)
    np.testing.assert_allclose(mw2_map(X, *pair), expected, rtol=1e-10, atol=1e-10)


@given(pairs, strategies.seeds)
@settings(max_examples=30, deadline=None)
def test_most_likely_map_against_reference(pair, seed):
    X = sample(pair[0], 6, seed)[0]
    plan = mw2_plan(*pair)
    expected = reference.likeliest_map(X, *pair, plan.coupling)
    moved = mw2_map(X, *pair, plan=plan, method="most_likely")
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-10)


@given(pairs, strategies.seeds)
@settings(max_examples=30, deadline=None)
def test_random_map_takes_one_of_the_images(pair, seed):
    X = sample(pair[0], 6, seed)[0]
    coupling = mw2_plan(*pair).coupling
    moved = mw2_map(X, *pair, method="random", random_state=seed)
    possible = list(zip(*np.nonzero(coupling), strict=True))
    for x, y in zip(X, moved, strict=True):
        images = [reference.pair_image(x, *pair, k, j) for k, j in possible]
        gaps = np.abs(np.array(images) - y).max(axis=1)
        assert gaps.min() < 1e-9 * (1.0 + np.abs(y).max())


@every_method
@given(pairs, st.sampled_from(["source", "target", "both"]))
@settings(max_examples=15, deadline=None)
def test_diagonal_covariances(method, pair, side):
    source, target = pair
    source = source if side == "target" else diagonal(source)
    target = target if side == "source" else diagonal(target)
    X = sample(source, 5)[0]
    moved = mw2_map(X, source, target, method=method, random_state=0)
    # A rotation of space makes the same problem dense.
    d = X.shape[1]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))[0]
    turned = [(w, m @ turn.T, turn @ c @ turn.T) for w, m, c in (source, target)]
    expected = mw2_map(X @ turn.T, *turned, method=method, random_state=0)
    np.testing.assert_allclose(moved @ turn.T, expected, rtol=1e-8, atol=1e-8)


@every_method
def test_single_gaussians_in_closed_form(method):
    source, target = mixture(1, 3, 1), mixture(1, 3, 2)
    X = sample(source, 20)[0]
    moved = mw2_map(X, source, target, method=method, random_state=0)
    linear = reference.linear_map(source[2][0], target[2][0])
    expected = target[1][0] + (X - source[1][0]) @ linear
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-10)
    back = mw2_map(moved, target, source, method=method, random_state=0)
    np.testing.assert_allclose(back, X, rtol=1e-9, atol=1e-9)


@every_method
def test_values_on_the_line(method):
    source = np.array([0.5, 0.5]), np.array([[0.0], [9.0]]), np.ones((2, 1, 1))
    target = source[0], np.array([[100.0], [200.0]]), np.reshape([4.0, 9.0], (2, 1, 1))
    X = [[0.0], [1.0], [9.0], [10.0]]
    moved = mw2_map(X, source, target, method=method, random_state=0)
    np.testing.assert_allclose(moved[:, 0], [100, 102, 200, 203], rtol=1e-10)


def test_published_values_on_the_line():
    source = [0.4, 0.6], [[1.0], [2.0]], [[[0.05]], [[0.06]]]
    target = [0.4, 0.2, 0.4], [[3.0], [4.2], [5.0]], [[[0.03]], [[0.07]], [[0.04]]]
    moved = mw2_map(np.c_[[0.5, 1.0, 1.5, 2.0, 2.5]], source, target)
    expected = [2.61270176, 3.00027275, 3.99066271, 4.73330155, 5.18551943]
    np.testing.assert_allclose(moved[:, 0], expected, rtol=2e-9)


@given(strategies.permuted_pairs())
@settings(max_examples=15, deadline=None)
def test_means_of_separated_components_go_to_their_partners(problem):
    source, target, order = problem
    for method in METHODS:
        moved = mw2_map(source[1], source, target, method=method, random_state=0)
        np.testing.assert_allclose(moved, target[1][order], rtol=1e-10, atol=1e-10)


# Properties


@every_method
def test_a_mixture_to_itself_stays(problem, method):
    X, source, _ = problem
    moved = mw2_map(X, source, source, method=method, random_state=0)
    np.testing.assert_allclose(moved, X, rtol=1e-10, atol=1e-10)


@every_method
@pytest.mark.parametrize("convert", [tuple, diagonal])
@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_strength_is_the_part_of_the_way(problem, method, strength, convert):
    X, source, target = problem
    pair = convert(source), convert(target)
    full = mw2_map(X, *pair, method=method, random_state=0)
    part = mw2_map(X, *pair, method=method, strength=strength, random_state=0)
    np.testing.assert_allclose(part, X + strength * (full - X), rtol=1e-10, atol=1e-12)
    assert not np.shares_memory(part, X)


@every_method
def test_rows_of_the_plan_without_mass_stay(method):
    source = np.array([0.5, 0.5]), np.array([[0.0, 0.0], [99.0, 0.0]])
    source = *source, strategies.spd_stack(np.random.default_rng(0), 2, 2)
    target = mixture(3, 2)
    X, labels = sample(source, 50)
    coupling = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.2]])
    for pair in ((source, target), (diagonal(source), diagonal(target))):
        moved = mw2_map(X, *pair, plan=coupling, method=method, random_state=0)
        stayed = np.isclose(moved, X, rtol=1e-12, atol=1e-12).all(axis=1)
        np.testing.assert_array_equal(stayed, labels == 0)


def test_rows_without_mass_take_their_part_in_the_mean():
    source, target = mixture(3, 2, 1, spread=0.5), mixture(2, 2, 2)
    X = sample(source, 20)[0]
    coupling = np.array([[0.3, 0.1], [0.0, 0.0], [0.0, 0.2]])
    moved = mw2_map(X, source, target, plan=coupling)
    expected = reference.barycentric_map(X, source, target, coupling)
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-10)


@every_method
def test_plans(problem, method):
    X, source, target = problem
    plan = mw2_plan(source, target)

    def move(plan):
        return mw2_map(X, source, target, plan=plan, method=method, random_state=0)

    expected = move(None)
    np.testing.assert_array_equal(move(plan), expected)
    np.testing.assert_array_equal(move(plan.coupling.tolist()), expected)
    # Only the shares within a row count, however small the masses.
    for scale in (7.0, 1e-290):
        np.testing.assert_allclose(move(scale * plan.coupling), expected, rtol=1e-10)
    other = move(mw2_plan(source, target, reg=5.0, reg_m=1.0))
    assert not np.allclose(other, expected)


@every_method
def test_order_of_target_components_and_those_without_weight(problem, method):
    X, source, target = problem
    if method == "random":  # one pair only: the order would change what is drawn
        source, target = mixture(1, 2, 1), mixture(1, 2, 2)
    expected = mw2_map(X, source, target, method=method, random_state=0)
    turned = tuple(array[::-1] for array in target)
    moved = mw2_map(X, source, turned, method=method, random_state=0)
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-12)
    padded = np.append(source[0], 0.0), *(np.vstack([x, x[:1]]) for x in source[1:])
    moved = mw2_map(X, padded, target, method=method, random_state=0)
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-12)


def test_barycentric_map_loses_variance():
    # Overlapping sources, distant targets: the mean of the images lies between them.
    source, target = mixture(4, 2, 1, spread=0.3), mixture(4, 2, 2, spread=4.0)
    X = sample(source, 20_000)[0]
    mean = target[0] @ target[1]
    between = np.einsum("k,ki,kj->ij", target[0], target[1] - mean, target[1] - mean)
    wanted = np.einsum("k,kij->ij", target[0], target[2]) + between
    got = np.cov(mw2_map(X, source, target).T)
    assert np.trace(got) < 0.8 * np.trace(wanted)
    assert np.linalg.eigvalsh(wanted - got).min() > 0.0
    drawn = np.cov(mw2_map(X, source, target, method="random", random_state=0).T)
    np.testing.assert_allclose(np.trace(drawn), np.trace(wanted), rtol=0.03)


@given(pairs)
@settings(max_examples=10, deadline=None)
def test_barycentric_map_keeps_the_mean(pair):
    X = sample(pair[0], 4000)[0]
    moved = mw2_map(X, *pair)
    wanted = pair[1][0] @ pair[1][1]
    error = np.abs(moved.mean(axis=0) - wanted)
    assert (error <= 6.0 * moved.std(axis=0) / np.sqrt(len(X))).all()


# Draws


def test_random_map_pushes_forward_to_every_target_component():
    # Targets so far apart that a moved row shows which one it went to.
    source, target = mixture(4, 2, 1, spread=0.5), mixture(3, 2, 2)
    target = target[0], 1000.0 * np.arange(3.0)[:, None] + target[1], target[2]
    n = 100_000
    moved = mw2_map(
        sample(source, n)[0], source, target, method="random", random_state=0
    )
    labels = np.round(moved[:, 0] / 1000.0).astype(int)
    for label, weight, mean, covariance in zip(range(3), *target, strict=True):
        rows = moved[labels == label]
        share = len(rows) / n
        assert abs(share - weight) < 3.0 * np.sqrt(weight * (1.0 - weight) / n)
        variances = np.diag(covariance)
        error = np.abs(rows.mean(axis=0) - mean)
        assert (error < 3.0 * np.sqrt(variances / len(rows))).all()
        spread = np.outer(variances, variances) + covariance**2
        error = np.abs(np.cov(rows.T) - covariance)
        assert (error < 3.0 * np.sqrt(spread / len(rows))).all()


def test_random_map_draws_the_shares_of_the_plan():
    source = np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1))
    means = 100.0 * np.arange(5.0)[:, None]
    target = np.full(5, 0.2), means, np.ones((5, 1, 1))
    plan = np.array([[0.1, 0.0, 0.6, 1e-300, 0.3]])
    X = np.zeros((50_000, 1))
    moved = mw2_map(X, source, target, plan=plan, method="random", random_state=0)
    shares = np.bincount(np.round(moved[:, 0] / 100.0).astype(int), minlength=5) / 5e4
    errors = 3.0 * np.sqrt(plan[0] * (1.0 - plan[0]) / 5e4)
    assert (np.abs(shares - plan[0]) <= errors).all()


def test_random_state_repeats(problem):
    def move(random_state):
        return mw2_map(*problem, method="random", random_state=random_state)

    np.testing.assert_array_equal(move(1), move(1))
    np.testing.assert_array_equal(move(np.random.RandomState(1)), move(1))
    assert not np.array_equal(move(1), move(2))
    assert not np.array_equal(move(None), move(None))


@pytest.mark.parametrize("method", ["barycentric", "most_likely"])
def test_other_methods_draw_nothing(problem, method):
    state = np.random.RandomState(0)
    mw2_map(*problem, method=method, random_state=state)
    assert state.randint(1000) == np.random.RandomState(0).randint(1000)


@every_method
def test_thread_counts_give_the_same_bits(method):
    source, target = (as_mixture(mixture(4, 3, seed)) for seed in (1, 2))
    X = sample(source, 20_000)[0]
    mixture_map = MixtureMap(source, target, mw2_plan(source, target).coupling)
    one, three = (
        mixture_map.move(X, method, 0.5, np.random.RandomState(0), n_threads=n)
        for n in (1, 3)
    )
    np.testing.assert_array_equal(one, three)


def test_pickled_maps_move_alike(problem):
    X, source, target = problem
    source, target = as_mixture(source), as_mixture(target)
    mixture_map = MixtureMap(source, target, mw2_plan(source, target).coupling)
    expected = mixture_map.move(X)
    copied = pickle.loads(pickle.dumps(mixture_map))
    np.testing.assert_allclose(copied.move(X), expected, rtol=1e-12)


# Far points, singular covariances


@every_method
@pytest.mark.parametrize("convert", [tuple, diagonal])
@pytest.mark.parametrize("distance", [1e6, 1e12, 1e150])
def test_far_points(problem, method, convert, distance):
    _, source, target = problem
    directions = np.random.default_rng(0).standard_normal((20, 2))
    X = distance * directions
    pair = convert(source), convert(target)
    moved = mw2_map(X, *pair, method=method, random_state=0)
    assert np.isfinite(moved).all()
    # Far out one component has all the posterior, and its map is linear.
    size = np.abs(moved).max(axis=1) / distance
    assert (size > 1e-3).all()
    assert (size < 1e3).all()


def test_far_points_go_where_the_likeliest_component_sends_them():
    source, target = mixture(3, 2, 1), mixture(3, 2, 2)
    X = 1e6 * np.random.default_rng(0).standard_normal((20, 2))
    moved = mw2_map(X, source, target, plan=np.eye(3))
    likeliest = mw2_map(X, source, target, plan=np.eye(3), method="most_likely")
    np.testing.assert_allclose(moved, likeliest, rtol=1e-10)


def test_posteriors_of_singular_covariances_have_a_ridge():
    rng = np.random.default_rng(0)
    weights, means, covariances = mixture(3, 2, 1, spread=0.1)
    line = np.array([2.0, 1.0])
    covariances[0], covariances[1] = np.zeros((2, 2)), np.outer(line, line)
    source, target = (weights, means, covariances), mixture(3, 2, 2)
    variance = weights @ np.trace(covariances, axis1=1, axis2=2) / 2.0
    ridged = covariances.copy()
    ridged[:2] += 1e-6 * variance * np.eye(2)
    X = means[rng.integers(3, size=30)] + 1e-3 * rng.standard_normal((30, 2))
    shares = reference.posteriors(X, (weights, means, ridged))
    assert shares.max(axis=0).min() > 0.5
    gaussians = mixture_gaussians(Mixture(*source))
    np.testing.assert_allclose(gaussians.means, means)
    moved = mw2_map(X, source, target, plan=np.eye(3))
    # A point goes to the mean; a segment u uᵀ to Σ u / sqrt(uᵀ Σ u) along itself.
    spread = target[2][1]
    image = spread @ line / np.sqrt(line @ spread @ line)
    segment = np.outer(image, line) / (line @ line)
    last = reference.linear_map(covariances[2], target[2][2])
    linear = np.zeros((2, 2)), segment, last
    expected = sum(
        shares[:, k, None] * (target[1][k] + (X - means[k]) @ linear[k].T)
        for k in range(3)
    )
    np.testing.assert_allclose(moved, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("dtype", "correlation"), [(np.float64, 1.0 + 1e-7), (np.float32, 1.0005)]
)
def test_singular_covariances_that_a_ridge_alone_does_not_mend(dtype, correlation):
    # Far wider than the mean variance; an eigenvalue below 0 as far as is accepted.
    wide = 1e10 * np.array([[1.0, correlation], [correlation, 1.0]])
    source = [0.0001, 0.9999], np.zeros((2, 2)), [wide, 1e-9 * np.eye(2)]
    source = tuple(np.asarray(array, dtype) for array in source)
    moved = mw2_map([[1e5, 1e5], [1.0, -2.0], [0.0, 0.0]], source, mixture(2, 2))
    assert np.isfinite(moved).all()


@every_method
def test_all_points(method):
    source = np.full(3, 1.0 / 3.0), 5.0 * np.eye(3), np.zeros((3, 3, 3))
    target = mixture(3, 3)
    moved = mw2_map(source[1], source, target, plan=np.eye(3), method=method)
    np.testing.assert_allclose(moved, target[1], rtol=1e-10)
    one = [1.0], np.zeros((1, 3)), np.zeros((1, 3, 3))
    moved = mw2_map(target[1], one, target, plan=np.eye(1, 3), method=method)
    np.testing.assert_allclose(moved, np.tile(target[1][0], (3, 1)), rtol=1e-12)


@every_method
def test_rank_deficient_mixtures_of_few_samples(method):
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((4, 3, 6)) + 5.0 * rng.standard_normal((4, 1, 6))
    covariances = np.array([np.cov(x.T) for x in samples])
    source = np.full(4, 0.25), samples.mean(axis=1), covariances
    target = mixture(3, 6)
    X = samples.reshape(-1, 6)
    assert np.isfinite(mw2_map(X, source, target, method=method)).all()
    moved = mw2_map(X, source, source, method=method, random_state=0)
    np.testing.assert_allclose(moved, X, rtol=1e-6, atol=1e-6)


# Kinds of input


@every_method
@pytest.mark.parametrize("convert", [tuple, diagonal])
def test_single_precision(problem, method, convert):
    X, source, target = problem
    source, target = convert(source), convert(target)
    expected = mw2_map(X, source, target, method=method, random_state=0)
    narrow = [tuple(x.astype(np.float32) for x in one) for one in (source, target)]
    rows = X.astype(np.float32)
    for pair in ((source, target), narrow):
        moved = mw2_map(rows, *pair, method=method, random_state=0)
        assert moved.dtype == np.float32
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-4)
    assert mw2_map(X, *narrow, method=method, random_state=0).dtype == np.float64


@every_method
def test_layouts(problem, method):
    X, source, target = problem
    for array in (X, *source, *target):
        array.setflags(write=False)
    expected = mw2_map(X, source, target, method=method, random_state=0)
    padded = np.zeros((len(X), 4))
    padded[:, ::2] = X
    for rows in (np.asfortranarray(X), padded[:, ::2], X.astype(">f8"), X.tolist()):
        moved = mw2_map(rows, source, target, method=method, random_state=0)
        np.testing.assert_array_equal(moved, expected)
    whole = mw2_map([[1, 2]], source, target, method=method, random_state=0)
    assert whole.dtype == np.float64


# Refusals


@pytest.mark.parametrize("strength", [-0.1, 1.1, np.nan])
def test_bad_strength(problem, strength):
    with pytest.raises(
        ValueError, match="strength: expected a number between 0 and 1, got"
    ):
        mw2_map(*problem, strength=strength)


def test_bad_method(problem):
    with pytest.raises(
        ValueError, match="method: expected one of 'barycentric', 'random'"
    ):
        mw2_map(*problem, method="linear")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite(problem, value):
    X, source, target = problem
    X[3, 0] = value
    with pytest.raises(ValueError, match="Input X contains"):
        mw2_map(X, source, target)


@pytest.mark.parametrize("X", [np.zeros(2), np.zeros((0, 2))])
def test_rows_of_wrong_shape(problem, X):
    with pytest.raises(ValueError, match=r"Expected 2D array|0 sample\(s\)"):
        mw2_map(X, *problem[1:])


def test_numbers_of_features(problem):
    X, source, target = problem
    with pytest.raises(
        ValueError, match="X: expected 2 features, as source and target have, got 3"
    ):
        mw2_map(np.zeros((2, 3)), source, target)
    with pytest.raises(ValueError, match=r"same number of features on.*, got 2 and 3"):
        mw2_map(X, source, mixture(2, 3))


def test_plan_of_wrong_shape(problem):
    with pytest.raises(
        ValueError, match=r"plan: expected shape \(3, 4\), got .*; give a row per"
    ):
        mw2_map(*problem, plan=np.ones((4, 3)))


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_bad_plan(problem, value):
    plan = np.full((3, 4), 1.0 / 12.0)
    plan[1, 2] = value
    with pytest.raises(
        ValueError, match="plan: expected masses that are finite and not negative"
    ):
        mw2_map(*problem, plan=plan)


def test_bad_mixture(problem):
    X, source, target = problem
    with pytest.raises(ValueError, match="target: expected weights that sum to 1"):
        mw2_map(X, source, (2.0 * target[0], *target[1:]))
    with pytest.raises(TypeError, match="source: expected a Mixture"):
        mw2_map(X, X, target)
