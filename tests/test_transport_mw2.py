"""MW2 between mixtures: costs, plans, distances, derivatives, refusals."""

import numpy as np
import pytest
import reference
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, ortho_group
from sklearn.mixture import GaussianMixture

from skgmmot import SparseGaussianMixture
from skgmmot.datasets import make_mixture
from skgmmot.transport import (
    Mixture,
    TransportPlan,
    component_costs,
    mw2_distance,
    mw2_gradient,
    mw2_plan,
)

TYPES = ("full", "tied", "diag", "spherical")
# (reg, reg_m): exact, entropic, unbalanced, half balanced, penalised without entropy.
KINDS = [(0.0, None), (0.3, None), (0.3, 1.0), (0.3, (None, 2.0)), (0.0, 1.0)]

pairs = strategies.mixture_pairs()
every_kind = pytest.mark.parametrize(("reg", "reg_m"), KINDS)


def mixture(n, d, seed=0):
    return strategies.random_mixture(np.random.default_rng(seed), n, d)


def line(weights, means, variances):
    """A mixture in one dimension."""
    return np.array(weights), np.c_[means], np.reshape(variances, (-1, 1, 1))


def transformed(mixture, matrix, shift=0.0):
    """The mixture of matrix @ x + shift."""
    weights, means, covariances = mixture
    return weights, means @ matrix.T + shift, matrix @ covariances @ matrix.T


def single(mixture):
    return tuple(array.astype(np.float32) for array in mixture)


def root_of(matrices):
    return np.array([reference.root(matrix) for matrix in matrices])


# Costs


@given(strategies.mixture_pairs(8, 12))
@settings(max_examples=50, deadline=None)
def test_costs_plans_and_distances_against_reference(pair):
    costs = reference.component_costs(*pair)
    plan = mw2_plan(*pair)
    np.testing.assert_allclose(plan.costs, costs, rtol=1e-10)
    np.testing.assert_array_equal(component_costs(*pair), plan.costs)
    value = reference.exact_value(costs, pair[0][0], pair[1][0])
    np.testing.assert_allclose(plan.value, value, rtol=1e-9)
    np.testing.assert_allclose(np.sum(plan.coupling * costs), value, rtol=1e-9)
    np.testing.assert_allclose(plan.coupling.sum(axis=1), pair[0][0], atol=1e-14)
    np.testing.assert_allclose(plan.coupling.sum(axis=0), pair[1][0], atol=1e-14)
    np.testing.assert_allclose(mw2_distance(*pair), np.sqrt(value), rtol=1e-9)
    assert mw2_distance(*pair, squared=True) == plan.value


@given(pairs)
@settings(max_examples=20, deadline=None)
def test_costs_of_diagonal_covariances(pair):
    eye = np.eye(pair[0][1].shape[1])
    pair = [(weights, means, c * eye) for weights, means, c in pair]
    costs = reference.component_costs(*pair)
    np.testing.assert_allclose(component_costs(*pair), costs, rtol=1e-10)


@given(strategies.mixture_pairs(max_dimension=1))
@settings(max_examples=20, deadline=None)
def test_costs_in_one_dimension(pair):
    (_, m0, c0), (_, m1, c1) = pair
    costs = (m0 - m1.T) ** 2 + (np.sqrt(c0[:, 0]) - np.sqrt(c1[:, 0]).T) ** 2
    np.testing.assert_allclose(component_costs(*pair), costs, rtol=1e-12)


@given(pairs)
@settings(max_examples=20, deadline=None)
def test_costs_of_commuting_covariances_are_frobenius_distances_of_roots(pair):
    # Functions of one matrix: all of them have its eigenvectors.
    vectors = np.linalg.eigh(pair[0][2][0])[1]
    rng = np.random.default_rng(0)
    commuting = []
    for weights, means, _ in pair:
        roots = rng.uniform(0.1, 3.0, means.shape)
        commuting.append((weights, means, (vectors * roots[:, None] ** 2) @ vectors.T))
    roots0, roots1 = (root_of(mixture[2]) for mixture in commuting)
    gaps = ((roots0[:, None] - roots1) ** 2).sum(axis=(2, 3))
    gaps += ((pair[0][1][:, None] - pair[1][1]) ** 2).sum(axis=2)
    np.testing.assert_allclose(component_costs(*commuting), gaps, rtol=1e-10)


@given(pairs, st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_singular_covariances_cost_what_they_cost_in_their_subspace(pair, n_more):
    d = pair[0][1].shape[1]
    basis = ortho_group.rvs(d + n_more, random_state=0)[:, :d]
    flat = [transformed(mixture, basis) for mixture in pair]
    costs = reference.component_costs(*pair)
    np.testing.assert_allclose(component_costs(*flat), costs, rtol=1e-10)


def test_costs_of_points_and_segments():
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, 3))
    spread = strategies.spd_stack(rng, 1, 3)[0]
    means = np.zeros((3, 3))
    covariances = np.array([np.zeros((3, 3)), np.outer(u, u), spread])
    source = np.full(3, 1.0 / 3.0), means, covariances
    target = [1.0], means[:1], np.outer(v, v)[None]
    costs = component_costs(source, target)[:, 0]
    bures = np.trace(spread) + v @ v - 2.0 * np.sqrt(v @ spread @ v)
    expected = [v @ v, u @ u + v @ v - 2.0 * abs(u @ v), bures]
    np.testing.assert_allclose(costs, expected, rtol=1e-10)


def test_costs_of_covariances_of_fewer_samples_than_dimensions():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((5, 4, 12))
    covariances = np.array([np.cov(x.T) for x in samples])
    mixed = np.full(5, 0.2), samples.mean(axis=1), covariances
    costs = component_costs(mixed, mixed)
    assert np.isfinite(costs).all()
    np.testing.assert_array_equal(np.diag(costs), 0.0)
    np.testing.assert_allclose(costs, costs.T, rtol=1e-12)
    assert mw2_distance(mixed, mixed) == 0.0


@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scale(scale, dtype):
    pair = [tuple(array.astype(dtype) for array in mixture(n, 3, n)) for n in (4, 5)]
    scaled = [(w, dtype(scale) * m, dtype(scale**2) * c) for w, m, c in pair]
    tol = 1e-12 if dtype == np.float64 else 1e-5
    costs = scale**2 * component_costs(*pair)
    np.testing.assert_allclose(component_costs(*scaled), costs, rtol=tol)
    distance = scale * mw2_distance(*pair)
    np.testing.assert_allclose(mw2_distance(*scaled), distance, rtol=tol)


@pytest.mark.parametrize("size", [(1, 1), (4, 1), (5, 3), (3, 20)])
@pytest.mark.parametrize("convert", [tuple, single])
def test_a_mixture_costs_nothing_to_itself(size, convert):
    same = convert(mixture(*size))
    np.testing.assert_array_equal(np.diag(component_costs(same, same)), 0.0)
    assert mw2_distance(same, same) == 0.0
    plan = mw2_plan(same, same)
    np.testing.assert_allclose(plan.coupling, np.diag(same[0]), rtol=1e-6)


@every_kind
def test_single_precision(reg, reg_m):
    pair = mixture(4, 5, 1), mixture(3, 5, 2)
    narrow = [single(one) for one in pair]
    plan = mw2_plan(*pair, reg=reg, reg_m=reg_m)
    result = mw2_plan(*narrow, reg=reg, reg_m=reg_m)
    arrays = result.coupling, result.costs, *result.potentials
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    np.testing.assert_allclose(result.costs, plan.costs, rtol=1e-4)
    np.testing.assert_allclose(result.coupling, plan.coupling, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.value, plan.value, rtol=1e-4)
    assert component_costs(*narrow).dtype == np.float32
    assert component_costs(narrow[0], pair[1]).dtype == np.float64
    assert isinstance(mw2_distance(*narrow, reg=reg, reg_m=reg_m), float)


# Plans and distances


@every_kind
def test_plan_is_that_of_the_small_programme(reg, reg_m):
    source, target = mixture(3, 2, 1), mixture(4, 2, 2)
    plan = mw2_plan(source, target, reg=reg, reg_m=reg_m)
    assert isinstance(plan, TransportPlan)
    costs = reference.component_costs(source, target)
    value = reference.plan_value(plan.coupling, costs, source[0], target[0], reg, reg_m)
    np.testing.assert_allclose(plan.value, value, rtol=1e-9)
    distance = mw2_distance(source, target, reg=reg, reg_m=reg_m)
    np.testing.assert_allclose(distance, np.sqrt(value), rtol=1e-9)


@given(pairs, st.sampled_from([0.3, 3.0]), st.sampled_from([None, 1.0, (None, 3.0)]))
@settings(max_examples=20, deadline=None)
def test_regularised_plans_against_sinkhorn(pair, part, reg_m):
    costs = reference.component_costs(*pair)
    reg = part * max(reference.cross(costs), 1.0)
    plan = mw2_plan(*pair, reg=reg, reg_m=reg_m)
    coupling = reference.sinkhorn(costs, pair[0][0], pair[1][0], reg, reg_m)
    np.testing.assert_allclose(plan.coupling, coupling, rtol=1e-7, atol=1e-9)


@every_kind
def test_swapped_sides_transpose_the_plan(reg, reg_m):
    source, target = mixture(3, 2, 1), mixture(4, 2, 2)
    swapped = reg_m[::-1] if isinstance(reg_m, tuple) else reg_m
    plan = mw2_plan(source, target, reg=reg, reg_m=reg_m)
    other = mw2_plan(target, source, reg=reg, reg_m=swapped)
    np.testing.assert_allclose(other.costs, plan.costs.T, rtol=1e-12)
    np.testing.assert_allclose(other.coupling, plan.coupling.T, atol=1e-9)
    np.testing.assert_allclose(other.value, plan.value, rtol=1e-10)


@given(pairs)
@settings(max_examples=20, deadline=None)
def test_symmetry(pair):
    np.testing.assert_allclose(mw2_distance(*pair), mw2_distance(*pair[::-1]))


@given(pairs, strategies.counts, strategies.seeds)
@settings(max_examples=30, deadline=None)
def test_triangle_inequality(pair, n, seed):
    third = mixture(n, pair[0][1].shape[1], seed)
    detour = mw2_distance(pair[0], third) + mw2_distance(third, pair[1])
    assert mw2_distance(*pair) <= detour * (1.0 + 1e-12)


@given(strategies.mixtures(), strategies.seeds)
@settings(max_examples=20, deadline=None)
def test_shift_adds_its_squared_length(one, seed):
    d = one[1].shape[1]
    shift = np.random.default_rng(seed).standard_normal(d)
    moved = transformed(one, np.eye(d), shift)
    value = mw2_distance(one, moved, squared=True)
    np.testing.assert_allclose(value, shift @ shift, rtol=1e-10)


@given(pairs, strategies.seeds)
@settings(max_examples=20, deadline=None)
def test_shift_of_the_target_about_equal_overall_means(pair, seed):
    d = pair[0][1].shape[1]
    centred = [transformed(one, np.eye(d), -one[0] @ one[1]) for one in pair]
    shift = np.random.default_rng(seed).standard_normal(d)
    moved = transformed(centred[1], np.eye(d), shift)
    value = mw2_distance(*centred, squared=True) + shift @ shift
    np.testing.assert_allclose(
        mw2_distance(centred[0], moved, squared=True), value, rtol=1e-10
    )


@given(pairs, strategies.seeds, st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_rotation_and_scaling(pair, seed, scale):
    d = pair[0][1].shape[1]
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    shift = rng.standard_normal(d)
    turned = [transformed(one, scale * rotation, shift) for one in pair]
    np.testing.assert_allclose(
        mw2_distance(*turned), scale * mw2_distance(*pair), rtol=1e-10
    )


@given(strategies.permuted_pairs())
@settings(max_examples=20, deadline=None)
def test_plan_finds_a_known_permutation(problem):
    source, target, order = problem
    expected = np.zeros((len(order), len(order)))
    expected[np.arange(len(order)), order] = source[0]
    coupling = mw2_plan(source, target).coupling
    np.testing.assert_allclose(coupling, expected, atol=1e-14)


def test_order_and_splitting_of_components_change_nothing():
    source, target = mixture(3, 2, 1), mixture(4, 2, 2)
    distance = mw2_distance(source, target)
    turned = tuple(array[::-1] for array in source)
    np.testing.assert_allclose(mw2_distance(turned, target), distance, rtol=1e-12)
    halves = tuple(np.concatenate([array, array]) for array in source)
    halves = 0.5 * halves[0], *halves[1:]
    np.testing.assert_allclose(mw2_distance(halves, target), distance, rtol=1e-12)
    assert mw2_distance(halves, source) == 0.0


def test_components_without_weight_do_not_count():
    source, target = mixture(3, 2, 1), mixture(4, 2, 2)
    padded = np.append(source[0], 0.0), *(np.vstack([x, x[:1]]) for x in source[1:])
    plan = mw2_plan(padded, target)
    np.testing.assert_allclose(plan.value, mw2_plan(source, target).value, rtol=1e-12)
    assert not plan.coupling[-1].any()


# MW2 and W2


def quantile_distance(pair, n_points=200_001):
    """Squared W2 on the line, by the integral of (F0⁻¹ - F1⁻¹)² over (0, 1)."""
    spread = max(np.sqrt(one[2].max()) for one in pair)
    ends = [f(one[1]) for one in pair for f in (np.min, np.max)]
    x = np.linspace(min(ends) - 9.0 * spread, max(ends) + 9.0 * spread, n_points)
    u = (np.arange(n_points) + 0.5) / n_points
    quantiles = []
    for weights, means, covariances in pair:
        std = np.sqrt(covariances[:, 0, 0])
        cdf = norm.cdf((x[:, None] - means[:, 0]) / std) @ weights
        quantiles.append(np.interp(u, cdf, x))
    return np.mean((quantiles[0] - quantiles[1]) ** 2)


@given(strategies.mixture_pairs(max_dimension=1))
@settings(max_examples=15, deadline=None)
def test_not_below_the_wasserstein_distance_on_the_line(pair):
    value, bound = mw2_distance(*pair, squared=True), quantile_distance(pair)
    assert value >= bound - 1e-4 * value
    gaps = sum(np.sqrt(2.0 * one[0] @ one[2][:, 0, 0]) for one in pair)
    assert np.sqrt(value) <= (np.sqrt(bound) + gaps) * (1.0 + 1e-4)


@given(strategies.mixture_pairs(max_components=1, max_dimension=1))
@settings(max_examples=5, deadline=None)
def test_single_components_give_the_wasserstein_distance(pair):
    np.testing.assert_allclose(
        mw2_distance(*pair, squared=True), quantile_distance(pair), rtol=1e-3
    )


# Published values


def test_published_pair_on_the_line():
    source = line([0.3, 0.7], [0.2, 0.4], [9e-4, 16e-4])
    target = line([0.6, 0.4], [0.6, 0.8], [36e-4, 49e-4])
    plan = mw2_plan(source, target)
    np.testing.assert_allclose(plan.costs, [[0.1609, 0.3616], [0.0404, 0.1609]])
    np.testing.assert_allclose(plan.coupling, [[0.3, 0.0], [0.3, 0.4]], atol=1e-15)
    np.testing.assert_allclose(plan.value, 0.12475, rtol=1e-10)
    np.testing.assert_allclose(quantile_distance((source, target)), 0.117956, rtol=1e-4)


def test_published_pair_in_the_plane():
    covariances = np.tile(0.01 * np.eye(2), (2, 1, 1))
    source = [0.5, 0.5], [[0.3, 0.3], [0.7, 0.4]], covariances
    target = [0.45, 0.55], [[0.5, 0.6], [0.4, 0.25]], covariances
    plan = mw2_plan(source, target)
    np.testing.assert_allclose(plan.coupling, [[0.0, 0.5], [0.45, 0.05]], atol=1e-15)
    np.testing.assert_allclose(plan.value, 0.047875, rtol=1e-10)


def test_value_of_two_and_three_components_on_the_line():
    source = line([0.4, 0.6], [1.0, 2.0], [0.05, 0.06])
    target = line([0.4, 0.2, 0.4], [3.0, 4.2, 5.0], [0.03, 0.07, 0.04])
    plan = mw2_plan(source, target)
    expected = [[0.4, 0.0, 0.0], [0.0, 0.2, 0.4]]
    np.testing.assert_allclose(plan.coupling, expected, atol=1e-15)
    np.testing.assert_allclose(plan.value, 6.169901334552178, rtol=1e-12)


def test_value_that_another_implementation_gives():
    from ot.utils import proj_simplex

    rng = np.random.RandomState(42)
    means = [rng.randn(n, 3) for n in (3, 5)]
    factors = [rng.randn(n, 3, 3) for n in (3, 5)]
    weights = [proj_simplex(rng.rand(n)) for n in (3, 5)]
    covariances = [x @ x.swapaxes(1, 2) for x in factors]
    pair = zip(weights, means, covariances, strict=True)
    value = mw2_distance(*pair, squared=True)
    np.testing.assert_allclose(value, 6.95393022970893, rtol=1e-10)


# What counts as a mixture


def cloud(seed):
    return make_mixture(300, n_components=2, n_features=2, random_state=seed).X


def dense(model):
    """The covariances of an estimator, one matrix a component."""
    covariances, eye = model.covariances_, np.eye(model.means_.shape[1])
    return {
        "full": lambda: covariances,
        "tied": lambda: np.array([covariances] * len(model.weights_)),
        "diag": lambda: np.array([np.diag(row) for row in covariances]),
        "spherical": lambda: np.array([value * eye for value in covariances]),
    }[model.covariance_type]()


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(
    "estimator", [GaussianMixture(2), SparseGaussianMixture(2, sparsity=0.0)]
)
def test_mixture_like_arguments_give_one_value(estimator, covariance_type):
    estimator.set_params(covariance_type=covariance_type, random_state=0)
    target = mixture(3, 2)
    model = estimator.fit(cloud(0))
    parts = model.weights_, model.means_, dense(model)
    value = mw2_distance(parts, target)
    assert value == mw2_distance(model, target)
    assert value == mw2_distance(Mixture(*parts), target)
    assert value == mw2_distance([part.tolist() for part in parts], Mixture(*target))
    made = SparseGaussianMixture.from_parameters(
        model.weights_, model.means_, model.covariances_, covariance_type
    )
    # from_parameters divides the weights by their sum, which may change a last bit.
    assert value == pytest.approx(mw2_distance(made, target), rel=1e-14)
    np.testing.assert_allclose(mw2_distance(target, model), value, rtol=1e-12)
    np.testing.assert_array_equal(
        mw2_plan(model, target).coupling, mw2_plan(parts, target).coupling
    )


def test_arguments_are_not_written_to():
    pair = mixture(3, 2, 1), mixture(4, 2, 2)
    for array in (*pair[0], *pair[1]):
        array.setflags(write=False)
    component_costs(*pair)
    mw2_plan(*pair, reg=0.1, reg_m=1.0)
    mw2_gradient(*pair)


# Derivatives


def nudged(mixture, changes, step):
    return tuple(x + step * c for x, c in zip(mixture, changes, strict=True))


def changes_of(source, seed=3):
    """A direction in each field; weights keep their sum, covariances symmetry."""
    rng = np.random.default_rng(seed)
    weights, means, covariances = (rng.standard_normal(x.shape) for x in source)
    weights *= 0.1
    return weights - weights.mean(), means, 0.05 * strategies.symmetric(covariances)


@every_kind
@pytest.mark.parametrize("field", range(3))
@pytest.mark.parametrize("size", [(3, 5, 2), (5, 3, 4), (1, 4, 3), (4, 4, 1)])
def test_gradient_by_finite_differences(size, field, reg, reg_m):
    n0, n1, d = size
    source, target = mixture(n0, d, 1), mixture(n1, d, 2)
    value, derivatives = mw2_gradient(source, target, reg=reg, reg_m=reg_m)
    assert value == mw2_plan(source, target, reg=reg, reg_m=reg_m).value
    assert isinstance(derivatives, Mixture)
    changes = [np.zeros_like(array) for array in source]
    changes[field] = changes_of(source)[field]
    step = 1e-5
    ends = [
        mw2_plan(nudged(source, changes, s), target, reg=reg, reg_m=reg_m).value
        for s in (step, -step)
    ]
    expected = (ends[0] - ends[1]) / (2.0 * step)
    slope = np.sum(derivatives[field] * changes[field])
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7)


@every_kind
def test_gradient_is_centred_and_symmetric(reg, reg_m):
    source, target = mixture(4, 3, 1), mixture(3, 3, 2)
    derivatives = mw2_gradient(source, target, reg=reg, reg_m=reg_m)[1]
    np.testing.assert_allclose(derivatives.weights.sum(), 0.0, atol=1e-12)
    np.testing.assert_array_equal(
        derivatives.covariances, derivatives.covariances.swapaxes(1, 2)
    )


def test_gradient_of_a_mixture_to_itself_is_zero():
    same = mixture(4, 3)
    value, derivatives = mw2_gradient(same, same)
    assert value == 0.0
    assert not derivatives.means.any()
    np.testing.assert_allclose(derivatives.covariances, 0.0, atol=1e-13)


def test_gradient_of_single_components_in_closed_form():
    source, target = line([1.0], [2.0], [9.0]), line([1.0], [-1.0], [4.0])
    value, derivatives = mw2_gradient(source, target)
    np.testing.assert_allclose(value, 10.0)
    np.testing.assert_allclose(derivatives.means, [[6.0]])
    np.testing.assert_allclose(derivatives.covariances, [[[1.0 / 3.0]]])
    np.testing.assert_array_equal(derivatives.weights, [0.0])


def test_gradient_far_from_the_origin():
    pair = mixture(4, 3, 1), mixture(3, 3, 2)
    # A power of 2 and rounded means: the shift itself loses nothing.
    pair = [(w, np.round(m * 256.0) / 256.0, c) for w, m, c in pair]
    far = [(w, m + 2.0**30, c) for w, m, c in pair]
    near, shifted = (mw2_gradient(*both)[1] for both in (pair, far))
    np.testing.assert_allclose(shifted.means, near.means, rtol=1e-8, atol=1e-8)


def test_gradient_towards_singular_targets_is_finite():
    source, target = mixture(3, 3, 1), mixture(2, 3, 2)
    points = target[0], target[1], np.zeros_like(target[2])
    value, derivatives = mw2_gradient(source, points)
    assert np.isfinite(value)
    # A point has no spread to match: the derivative is γ_k I.
    expected = source[0][:, None, None] * np.eye(3)
    np.testing.assert_allclose(derivatives.covariances, expected, atol=1e-14)


def test_gradient_in_single_precision():
    source, target = mixture(3, 3, 1), mixture(4, 3, 2)
    wide = mw2_gradient(source, target)[1]
    value, narrow = mw2_gradient(single(source), single(target))
    assert isinstance(value, float)
    for left, right in zip(narrow, wide, strict=True):
        assert left.dtype == np.float32
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


def test_gradient_at_a_degenerate_plan_is_a_subgradient_in_the_weights():
    # Equal weights on both sides: the plan has fewer entries than a tree.
    source, target = mixture(4, 2, 1), mixture(4, 2, 2)
    source, target = (np.full(4, 0.25), *source[1:]), (np.full(4, 0.25), *target[1:])
    value, derivatives = mw2_gradient(source, target)
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = rng.dirichlet(np.ones(4))
        other = mw2_plan((weights, *source[1:]), target).value
        slope = derivatives.weights @ (weights - source[0])
        assert other >= value + slope - 1e-12


@pytest.mark.parametrize(
    "covariance", [np.zeros((2, 2)), np.ones((2, 2)), np.diag([1.0, 0.0])]
)
def test_singular_source_covariance_has_no_gradient(covariance):
    source, target = mixture(3, 2, 1), mixture(2, 2, 2)
    source[2][1] = covariance
    with pytest.raises(
        ValueError, match=r"source: expected regular .* got a singular covariance 1"
    ):
        mw2_gradient(source, target)


# Refusals

FUNCTIONS = [component_costs, mw2_plan, mw2_distance, mw2_gradient]
every_function = pytest.mark.parametrize("function", FUNCTIONS)


def wrong(field, index, value):
    """A mixture of two components in the plane with one entry changed."""
    parts = list(mixture(2, 2))
    parts[field][index] = value
    return tuple(parts)


BAD_MIXTURES = [
    (([0.5, 0.4], np.zeros((2, 1)), np.ones((2, 1, 1))), "weights that sum to 1"),
    (
        wrong(0, slice(None), [1.5, -0.5]),
        "weights that are not negative, got -0.5 as weight 1",
    ),
    (wrong(0, 0, np.nan), "finite weights, got NaN or infinity"),
    (wrong(1, (0, 1), np.inf), "finite means, got NaN or infinity"),
    (wrong(2, (1, 0, 0), np.nan), "finite covariances, got NaN or infinity"),
    (wrong(2, (1, 0, 1), 0.6), "symmetric covariances, got covariance 1"),
    (wrong(2, (0, 0, 0), -1.0), "not negative, got -1 in covariance 0"),
    (wrong(2, 0, [[1.0, 2.0], [2.0, 1.0]]), "positive semi-def.*, got covariance 0"),
    (([1.0], np.zeros(2), np.eye(2)), r"of shapes \(K,\), \(K, d\) and"),
    (([1.0], np.zeros((1, 2)), np.eye(3)[None]), r"got \(1,\), \(1, 2\) and \(1, 3, 3"),
    (([], np.zeros((0, 2)), np.zeros((0, 2, 2))), "at least one component"),
]


@every_function
@pytest.mark.parametrize(("bad", "words"), BAD_MIXTURES)
def test_bad_mixtures(function, bad, words):
    with pytest.raises(ValueError, match=f"source: .*{words}"):
        function(bad, mixture(2, 2))
    with pytest.raises(ValueError, match=f"target: .*{words}"):
        function(mixture(2, 2), bad)


@every_function
def test_two_dimensions(function):
    with pytest.raises(ValueError, match=r"same number of features on.*, got 2 and 3"):
        function(mixture(2, 2), mixture(2, 3))


@every_function
@pytest.mark.parametrize("thing", [3.0, None, "mixture", np.ones((3, 3)), (1.0, 2.0)])
def test_what_is_no_mixture(function, thing):
    with pytest.raises(TypeError, match="target: expected a Mixture, a tuple"):
        function(mixture(2, 2), thing)


@pytest.mark.parametrize("function", FUNCTIONS[1:])
@pytest.mark.parametrize("reg", [-0.1, np.nan, np.inf])
def test_bad_reg(function, reg):
    with pytest.raises(ValueError, match="reg: expected a finite number, at least 0"):
        function(mixture(2, 2), mixture(3, 2), reg=reg)


@pytest.mark.parametrize("function", FUNCTIONS[1:])
@pytest.mark.parametrize("reg_m", [0, -1.0, np.nan, (1.0, 0.0), (None, -1.0)])
def test_bad_reg_m(function, reg_m):
    with pytest.raises(ValueError, match="reg_m: expected positive numbers, or None"):
        function(mixture(2, 2), mixture(3, 2), reg_m=reg_m)


def test_reg_too_small_is_solved_without_entropy():
    pair = mixture(2, 2, 1), mixture(3, 2, 2)
    with pytest.warns(UserWarning, match="below 1e-6 of the largest cost"):
        plan = mw2_plan(*pair, reg=1e-9)
    assert plan.value == mw2_plan(*pair).value
