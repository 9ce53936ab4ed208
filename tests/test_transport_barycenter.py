"""Barycentres: of Gaussians, exact ones, descents; properties, refusals."""

import time

import numpy as np
import pytest
import reference
import reference_toolbox
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from skgmmot.transport import (
    Mixture,
    mw2_barycenter,
    mw2_distance,
    mw2_interpolation,
)

METHODS = ["exact", "fixed_point"]


def random_list(n_mixtures, d, seed=0, k_max=5):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, k_max, n_mixtures)
    return [strategies.random_mixture(rng, k, d) for k in sizes]


def objective(barycenter, mixtures, weights):
    """Weighted sum of squared distances."""
    return sum(
        weight * mw2_distance(barycenter, mixture, squared=True)
        for weight, mixture in zip(weights, mixtures, strict=True)
    )


def gaussians(covariances):
    """Mixtures of one component at the origin."""
    covariances = np.asarray(covariances)
    mean = np.zeros((1, covariances.shape[1]))
    return [(np.ones(1), mean, covariance[None]) for covariance in covariances]


# Gaussians


def test_three_gaussians_of_the_plane():
    shapes = 0.05 * np.array([[[1, 0.7], [0.7, 1]], [[1, 0.1], [0.1, 1]], np.eye(2)])
    found = mw2_barycenter(gaussians(shapes)).covariances[0]
    wanted = [[0.04853407, 0.01391168], [0.01391168, 0.04853407]]
    np.testing.assert_allclose(found, wanted, rtol=5e-6)


@pytest.mark.parametrize("d", [1, 2, 3, 6])
def test_gaussians_satisfy_the_fixed_point_equation(d):
    rng = np.random.default_rng(d)
    shapes = strategies.spd_stack(rng, 5, d)
    weights = rng.dirichlet(np.ones(5))
    found = mw2_barycenter(gaussians(shapes), weights).covariances[0]
    mean = sum(
        weight * reference.linear_map(found, shape)
        for weight, shape in zip(weights, shapes, strict=True)
    )
    np.testing.assert_allclose(mean, np.eye(d), atol=1e-9)
    wanted = reference_toolbox.gaussian_barycenter(shapes, weights, 200)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)


def test_commuting_gaussians_average_their_roots():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    roots = rng.uniform(0.1, 3.0, (3, 4))
    shapes = np.einsum("ij,nj,kj->nik", basis, roots**2, basis)
    weights = np.array([0.2, 0.3, 0.5])
    found = mw2_barycenter(gaussians(shapes), weights).covariances[0]
    wanted = (basis * (weights @ roots) ** 2) @ basis.T
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_singular_gaussians():
    segment = np.diag([4.0, 0.0])
    same = mw2_barycenter(gaussians([segment, segment, 4.0 * segment]))
    np.testing.assert_allclose(same.covariances[0], segment * 16 / 9, atol=1e-12)
    points = mw2_barycenter(gaussians(np.zeros((3, 2, 2))))
    np.testing.assert_array_equal(points.covariances, 0.0)
    round_one = mw2_barycenter(gaussians([np.zeros((2, 2)), np.eye(2)]), [0.5, 0.5])
    np.testing.assert_allclose(round_one.covariances[0], np.eye(2) / 4, atol=1e-12)
    crossed = gaussians([segment, np.diag([0.0, 4.0])])
    found = mw2_barycenter(crossed)
    half = 0.25 * mw2_distance(*crossed, squared=True)
    assert objective(found, crossed, [0.5, 0.5]) == pytest.approx(half, rel=1e-9)


# Mixtures


@settings(max_examples=25, deadline=None)
@given(strategies.mixture_pairs(), st.sampled_from([0.1, 0.5, 0.8]))
def test_barycenter_of_two_is_the_interpolation(pair, t):
    weights = [1.0 - t, t]
    found = mw2_barycenter(pair, weights)
    wanted = t * (1.0 - t) * mw2_distance(*pair, squared=True)
    assert objective(found, pair, weights) == pytest.approx(wanted, rel=1e-8)
    assert mw2_distance(found, mw2_interpolation(*pair, t)) < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_exact_barycenter_equals_reference(seed):
    mixtures = random_list(3, 2, seed, k_max=4)
    weights = np.random.default_rng(seed).dirichlet(np.ones(3))
    found = mw2_barycenter(mixtures, weights)
    value = reference_toolbox.barycenter_objective(found, mixtures, weights)
    wanted = reference_toolbox.barycenter_value(mixtures, weights)
    assert value == pytest.approx(wanted, rel=1e-7)
    assert len(found.weights) <= sum(len(m[0]) for m in mixtures) - 2
    assert found.weights.sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_vertices_return_the_inputs(method):
    mixtures = random_list(3, 3, seed=1)
    for j, mixture in enumerate(mixtures):
        found = mw2_barycenter(mixtures, np.eye(3)[j], method=method, random_state=0)
        assert mw2_distance(found, mixture) < 1e-7


@pytest.mark.parametrize("method", METHODS)
def test_barycenter_of_a_mixture_with_itself(method):
    mixture = random_list(1, 2, seed=3)[0]
    found = mw2_barycenter(
        [mixture] * 3, [0.6, 0.3, 0.1], method=method, random_state=0
    )
    assert mw2_distance(found, mixture) < 1e-7
    assert len(found.weights) == len(mixture[0])


def test_order_of_the_mixtures_does_not_matter():
    mixtures, weights = random_list(3, 2, seed=5), np.array([0.2, 0.5, 0.3])
    order = [2, 0, 1]
    found = mw2_barycenter(mixtures, weights)
    other = mw2_barycenter([mixtures[j] for j in order], weights[order])
    assert mw2_distance(found, other) < 1e-6


def test_four_mixtures_of_twelve_components():
    rng = np.random.default_rng(0)
    mixtures = [strategies.random_mixture(rng, 12, 2) for _ in range(4)]
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    start = time.perf_counter()
    found = mw2_barycenter(mixtures, weights)
    assert time.perf_counter() - start < 30.0  # seconds are measured elsewhere
    assert len(found.weights) <= 45
    value = objective(found, mixtures, weights)
    descent = mw2_barycenter(
        mixtures, weights, method="fixed_point", n_components=45, random_state=0
    )
    assert value <= objective(descent, mixtures, weights) <= 1.03 * value


# The descent


@pytest.mark.parametrize("seed", range(5))
def test_descent_is_near_the_exact_barycenter(seed):
    mixtures = random_list(3, 2, seed)
    weights = np.array([0.7, 0.2, 0.1])
    best = objective(mw2_barycenter(mixtures, weights), mixtures, weights)
    found = mw2_barycenter(
        mixtures, weights, method="fixed_point", n_components=12, random_state=0
    )
    value = objective(found, mixtures, weights)
    assert best * (1.0 - 1e-9) <= value <= 1.05 * best


def test_descent_keeps_the_number_of_components_and_its_start():
    mixtures = random_list(4, 3, seed=2)
    start = Mixture(*(part.copy() for part in mixtures[0]))
    for array in start:
        array.setflags(write=False)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    found = mw2_barycenter(mixtures, weights, method="fixed_point", init=start)
    assert len(found.weights) <= len(start.weights)
    before = objective(start, mixtures, weights)
    assert objective(found, mixtures, weights) < before
    three = mw2_barycenter(
        mixtures, weights, method="fixed_point", n_components=3, random_state=0
    )
    assert len(three.weights) <= 3


def test_descent_to_one_component_is_that_of_all_components():
    mixtures = random_list(3, 2, seed=4)
    weights = np.array([0.5, 0.3, 0.2])
    found = mw2_barycenter(
        mixtures, weights, method="fixed_point", n_components=1, tol=1e-14
    )
    shares = np.concatenate(
        [weight * mixture[0] for weight, mixture in zip(weights, mixtures, strict=True)]
    )
    means = np.concatenate([mixture[1] for mixture in mixtures])
    shapes = np.concatenate([mixture[2] for mixture in mixtures])
    np.testing.assert_allclose(found.means[0], shares @ means, atol=1e-10)
    wanted = reference_toolbox.gaussian_barycenter(shapes, shares, 200)
    np.testing.assert_allclose(found.covariances[0], wanted, atol=1e-6)


def test_random_state_fixes_the_descent():
    mixtures = random_list(4, 2, seed=6)
    first, second = (
        mw2_barycenter(mixtures, method="fixed_point", random_state=3) for _ in "ab"
    )
    np.testing.assert_array_equal(first.means, second.means)


# Types and refusals


@pytest.mark.parametrize("method", METHODS)
def test_float32_is_kept(method):
    mixtures = random_list(2, 2, seed=7)
    single = [Mixture(*(x.astype(np.float32) for x in m)) for m in mixtures]
    found = mw2_barycenter(single, method=method, random_state=0)
    assert {array.dtype for array in found} == {np.dtype(np.float32)}
    wanted = mw2_barycenter(mixtures, method=method, random_state=0)
    assert mw2_distance(found, wanted) < 1e-3


def test_components_and_mixtures_without_weight_change_nothing():
    mixtures = random_list(3, 2, seed=8)
    padded = [
        (
            np.append(w, 0.0),
            np.vstack([m, [[9.0, 9.0]]]),
            np.vstack([s, np.eye(2)[None]]),
        )
        for w, m, s in mixtures
    ]
    weights = [0.4, 0.0, 0.6]
    found = mw2_barycenter(padded, weights)
    wanted = mw2_barycenter(mixtures[::2], [0.4, 0.6])
    assert mw2_distance(found, wanted) < 1e-7


@pytest.mark.parametrize(
    "small",
    [
        (2.8799645398036653e-12, 9.834479005201308e-11),
        (6.473322057362352e-11, 4.290492852266333e-11),
        (8.881887245582268e-11, 5.275555313957602e-11),
    ],
)
def test_masses_near_the_tolerance_of_the_solver(small):
    # HiGHS takes these programmes for infeasible before it solves them.
    masses = np.array([1.0 - sum(small), *small])
    point = [1.0], [[0.0]], [[[1.0]]]
    mixture = masses, np.array([[0.0], [1.0], [2.0]]), np.ones((3, 1, 1))
    found = mw2_barycenter([point, mixture], method="exact")
    assert mw2_distance(point, found) == pytest.approx(
        0.5 * mw2_distance(point, mixture), abs=1e-4
    )


def test_too_many_tuples_are_refused_by_their_size():
    rng = np.random.default_rng(0)
    mixtures = [strategies.random_mixture(rng, 30, 2) for _ in range(4)]
    with pytest.raises(ValueError, match="30 x 30 x 30 x 30 = 810000 tuples"):
        mw2_barycenter(mixtures)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"weights": [0.5, 0.5, 0.0]}, r"shape \(2,\)"),
        ({"weights": [1.5, -0.5]}, "none negative"),
        ({"weights": [0.0, 0.0]}, "one above 0"),
        ({"method": "fast"}, "method: expected one of 'exact', 'fixed_point'"),
        ({"n_components": 3}, "fixed_point"),
        ({"n_components": 0, "method": "fixed_point"}, "at least 1"),
        (
            {"init": ([1.0], [[0.0]], [[[1.0]]]), "method": "fixed_point"},
            "2 features",
        ),
        (
            {
                "init": random_list(1, 2)[0],
                "n_components": 2,
                "method": "fixed_point",
            },
            "n_components: expected None where init is given, got 2",
        ),
    ],
)
def test_wrong_parameters_are_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        mw2_barycenter(random_list(2, 2), **wrong)


def cost_of(barycenter, mixtures):
    """The objective with equal weights."""
    return objective(barycenter, mixtures, np.full(len(mixtures), 1 / len(mixtures)))


def test_descent_leaves_the_span_of_its_start():
    flat = [np.diag(v) for v in ([1.0, 0, 1], [0, 1, 1.0], [1, 1.0, 0])]
    mixtures = [([1.0], np.zeros((1, 3)), [covariance]) for covariance in flat]
    found = mw2_barycenter(mixtures, method="fixed_point")
    assert cost_of(found, mixtures) == pytest.approx(2 / 3, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_descent_of_flat_gaussians_costs_as_much_as_the_exact_one(seed):
    rng = np.random.default_rng(seed)
    d, mixtures = rng.integers(2, 6), []
    for _ in range(rng.integers(2, 5)):
        factor = rng.standard_normal((d, rng.integers(1, d)))
        mixtures.append(([1.0], rng.standard_normal((1, d)), [factor @ factor.T]))
    exact = cost_of(mw2_barycenter(mixtures), mixtures)
    found = mw2_barycenter(mixtures, method="fixed_point", random_state=0)
    assert exact * (1 - 1e-6) <= cost_of(found, mixtures) <= exact * (1 + 1e-6)


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_descent_does_not_end_above_its_start(seed, rank):
    rng = np.random.default_rng(seed)

    def draw():
        factors = rng.standard_normal((3, 3, rank))
        means = rng.standard_normal((3, 3))
        return rng.dirichlet(np.ones(3)), means, factors @ factors.swapaxes(1, 2)

    mixtures, start = [draw() for _ in range(3)], draw()
    for _ in range(2):  # the second start is what the first descent found
        found = mw2_barycenter(mixtures, method="fixed_point", init=start)
        before = cost_of(start, mixtures)
        assert cost_of(found, mixtures) <= before * (1 + 1e-9)
        start = found


def test_a_start_that_is_best_is_kept():
    spread = np.array([[[1.0]], [[1.0]]])
    mixtures = [([0.5, 0.5], [[0.0], [8.0]], spread)] * 2
    found = mw2_barycenter(mixtures, method="fixed_point", init=mixtures[0])
    assert cost_of(found, mixtures) < 1e-12
