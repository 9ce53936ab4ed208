"""Costs, rotations and maps of pairs of Gaussians."""

import numpy as np
import pytest
import reference
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from skgmmot.linalg import _bures, _spd


def costs_of(covariances0, covariances1):
    """Costs between centred Gaussians."""
    means = [np.zeros(c.shape[:2]) for c in (covariances0, covariances1)]
    return _bures.squared_distances(means[0], covariances0, means[1], covariances1)


def all_pairs(first, second):
    return np.indices((len(first), len(second))).reshape(2, -1)


@pytest.fixture
def stacks():
    rng = np.random.default_rng(0)
    return strategies.spd_stack(rng, 4, 3), strategies.spd_stack(rng, 5, 3)


@given(strategies.mixture_pairs())
@settings(max_examples=25, deadline=None)
def test_costs_against_reference(pair):
    (_, m0, c0), (_, m1, c1) = pair
    expected = reference.component_costs(*pair)
    costs = _bures.squared_distances(m0, c0, m1, c1)
    np.testing.assert_allclose(costs, expected, rtol=1e-10, atol=1e-12)


@given(strategies.spd_pairs())
@settings(max_examples=25, deadline=None)
def test_maps_against_reference(pair):
    rows, columns = all_pairs(*pair)
    maps = _bures.pair_maps(*pair, rows, columns)
    for p, (k, j) in enumerate(zip(rows, columns, strict=True)):
        expected = reference.linear_map(pair[0][k], pair[1][j])
        np.testing.assert_allclose(maps[p], expected, rtol=1e-10, atol=1e-10)


@given(strategies.spd_pairs())
@settings(max_examples=25, deadline=None)
def test_maps_push_forward(pair):
    rows, columns = all_pairs(*pair)
    maps = _bures.pair_maps(*pair, rows, columns)
    pushed = maps @ pair[0][rows] @ _spd.transpose(maps)
    np.testing.assert_allclose(pushed, pair[1][columns], rtol=1e-9, atol=1e-9)
    assert (np.linalg.eigvalsh(maps) > 0.0).all()


def test_rotations_are_orthogonal_and_give_geodesics(stacks):
    left, right = _spd.factor(stacks[0][:4]), _spd.factor(stacks[1][:4])
    turned = right @ _bures.rotations(left, right)
    np.testing.assert_allclose(turned @ _spd.transpose(turned), stacks[1][:4])
    middle = 0.25 * left + 0.75 * turned
    middle = middle @ _spd.transpose(middle)
    whole = np.diag(costs_of(stacks[0][:4], stacks[1][:4]))
    part = np.diag(costs_of(stacks[0][:4], middle))
    np.testing.assert_allclose(part, 0.75**2 * whole, rtol=1e-10)


def test_mean_maps_are_sums_of_pair_maps(stacks):
    coefficients = np.random.default_rng(1).uniform(size=(4, 5))
    coefficients[1] = 0.0
    coefficients[2, 3] = 0.0
    rows, columns = all_pairs(*stacks)
    maps = _bures.pair_maps(*stacks, rows, columns).reshape(4, 5, 3, 3)
    expected = np.einsum("kl,klij->kij", coefficients, maps)
    found = _bures.mean_maps(*stacks, coefficients)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    assert not found[1].any()


def test_chunks_do_not_change_the_result(stacks, monkeypatch):
    coefficients = np.random.default_rng(1).uniform(size=(4, 5))
    rows, columns = all_pairs(*stacks)

    def results():
        return (
            costs_of(*stacks),
            _bures.pair_maps(*stacks, rows, columns),
            _bures.mean_maps(*stacks, coefficients),
        )

    whole = results()
    for n_pairs in (1, 7):
        monkeypatch.setattr(_bures, "_CHUNK_BYTES", 64 * 9 * n_pairs)
        for first, second in zip(whole, results(), strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 5, 30])
def test_cost_of_a_covariance_with_itself_is_exactly_zero(d):
    covariances = strategies.spd_stack(np.random.default_rng(d), 6, d, condition=1e6)
    costs = costs_of(covariances, covariances.copy())
    assert (np.diag(costs) == 0.0).all()
    assert (costs[~np.eye(6, dtype=bool)] > 0.0).all()


def test_symmetry(stacks):
    np.testing.assert_allclose(costs_of(*stacks), costs_of(*stacks[::-1]).T, rtol=1e-12)


def test_triangle_inequality():
    covariances = strategies.spd_stack(np.random.default_rng(2), 12, 3)
    distances = np.sqrt(costs_of(covariances, covariances))
    detours = distances[:, :, None] + distances[None, :, :]
    assert (distances[:, None, :] <= detours + 1e-12).all()


def test_commuting_covariances_give_the_distance_of_roots():
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    roots = rng.uniform(0.1, 3.0, (2, 5, 4))
    covariances = [(basis * r[:, None, :] ** 2) @ basis.T for r in roots]
    expected = ((roots[0][:, None] - roots[1]) ** 2).sum(axis=2)
    np.testing.assert_allclose(costs_of(*covariances), expected, rtol=1e-10)


def test_diagonal_covariances_are_closed_form_and_agree_with_dense_ones():
    rng = np.random.default_rng(4)
    std0, std1 = rng.uniform(0.0, 2.0, (3, 4)), rng.uniform(0.1, 2.0, (5, 4))
    std0[0, 1] = 0.0
    diag0, diag1 = (s[:, :, None] ** 2 * np.eye(4) for s in (std0, std1))
    expected = ((std0[:, None] - std1) ** 2).sum(axis=2)
    np.testing.assert_allclose(costs_of(diag0, diag1), expected, rtol=1e-13)
    dense = _bures.bures_squared(_spd.factor(diag0), _spd.factor(diag1))
    np.testing.assert_allclose(dense, expected, rtol=1e-12)
    rows, columns = all_pairs(std0, std1)
    maps = _bures.pair_maps(diag0, diag1, rows, columns)
    ratios = _bures.pair_ratios(diag0, diag1, rows, columns)
    np.testing.assert_array_equal(maps[:, range(4), range(4)], ratios)
    assert (ratios[:5, 1] == 0.0).all()
    coefficients = rng.uniform(size=(3, 5))
    np.testing.assert_allclose(
        _bures.mean_ratios(diag0, diag1, coefficients),
        (coefficients[:, :, None] * ratios.reshape(3, 5, 4)).sum(axis=1),
    )


def test_one_dimension():
    first, second = np.array([[[4.0]], [[9.0]]]), np.array([[[1.0]]])
    means = np.array([[0.0], [2.0]]), np.array([[1.0]])
    costs = _bures.squared_distances(means[0], first, means[1], second)
    np.testing.assert_array_equal(costs, [[2.0], [5.0]])


def test_rotation_invariance(stacks):
    rotation = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    turned = [rotation @ stack @ rotation.T for stack in stacks]
    np.testing.assert_allclose(costs_of(*turned), costs_of(*stacks), rtol=1e-11)


@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1e20, 1e150])
def test_scaling(stacks, scale):
    scaled = [stack * scale**2 for stack in stacks]
    # The square of 1e-150 is the smallest number a cost can be compared at.
    expected = costs_of(*stacks) * scale * scale
    np.testing.assert_allclose(costs_of(*scaled), expected, rtol=1e-9)


def test_costs_of_singular_covariances():
    rng = np.random.default_rng(6)
    left, right = rng.standard_normal((3, 6, 3)), rng.standard_normal((4, 6, 6))
    costs = costs_of(left @ _spd.transpose(left), right @ _spd.transpose(right))
    for k in range(3):
        for j in range(4):
            cross = np.linalg.svd(left[k].T @ right[j], compute_uv=False).sum()
            expected = (left[k] ** 2).sum() + (right[j] ** 2).sum() - 2.0 * cross
            np.testing.assert_allclose(costs[k, j], expected, rtol=1e-10)


def test_costs_of_point_masses():
    points = np.zeros((2, 3, 3))
    covariances = strategies.spd_stack(np.random.default_rng(7), 2, 3)
    np.testing.assert_array_equal(costs_of(points, points), 0.0)
    traces = np.trace(covariances, axis1=1, axis2=2)
    np.testing.assert_allclose(costs_of(points, covariances), [traces, traces])


def test_map_of_a_singular_source_reaches_what_it_can():
    rng = np.random.default_rng(8)
    left, right = rng.standard_normal((1, 5, 2)), rng.standard_normal((1, 5, 5))
    source, target = left @ _spd.transpose(left), right @ _spd.transpose(right)
    linear = _bures.pair_maps(source, target, [0], [0])[0]
    assert np.linalg.matrix_rank(linear, tol=1e-8) == 2
    # Exact from the full covariance to what the map makes of the source.
    reached = linear @ source[0] @ linear.T
    moved = np.trace(source[0] + reached - 2.0 * linear @ source[0])
    gaps = target[0] - reached
    assert np.linalg.eigvalsh(gaps).min() > -1e-10
    np.testing.assert_allclose(
        moved + np.trace(gaps), costs_of(source, target)[0, 0], rtol=1e-10
    )


def test_map_between_equal_covariances_is_the_identity(stacks):
    maps = _bures.pair_maps(stacks[0], stacks[0], range(4), range(4))
    np.testing.assert_allclose(maps, np.tile(np.eye(3), (4, 1, 1)), atol=1e-13)


def test_single_precision_is_computed_in_double(stacks):
    single = [stack.astype(np.float32) for stack in stacks]
    costs = costs_of(*single)
    assert costs.dtype == np.float64
    np.testing.assert_allclose(costs, costs_of(*stacks), rtol=1e-5)


def nuclear_norms(matrices):
    """Sums of singular values."""
    return np.linalg.svd(matrices, compute_uv=False).sum(axis=-1)


def check_polar(matrices):
    """Orthogonal to rounding, and as near as a decomposition gets."""
    found = _bures.polar_factors(matrices)
    assert found.shape == matrices.shape
    unit = found @ _spd.transpose(found)
    np.testing.assert_allclose(
        unit, np.broadcast_to(np.eye(matrices.shape[-1]), unit.shape), atol=4e-15
    )
    scale = np.abs(matrices).max(axis=(-1, -2), initial=0.0)[..., None, None]
    scale = np.where(scale > 0.0, scale, 1.0)
    # First to about 1: traces of the smallest numbers would be rounded to them.
    matrices = matrices / scale
    traces = np.einsum("...ij,...ij->...", found, matrices)
    np.testing.assert_allclose(traces, nuclear_norms(matrices), rtol=1e-14, atol=1e-14)
    return found


@given(
    strategies.seeds,
    st.integers(1, 4),
    st.sampled_from([1e-300, 1e-150, 1.0, 1e150, 1e300]),
)
@settings(max_examples=60, deadline=None)
def test_polar_factors_are_those_of_a_decomposition(seed, d, scale):
    rng = np.random.default_rng(seed)
    matrices = scale * rng.standard_normal((7, 3, d, d))
    found = check_polar(matrices)
    left, _, right = np.linalg.svd(matrices / scale)
    # Rounding turns the factor by eps over the sum of the two smallest values.
    np.testing.assert_allclose(found, left @ right, atol=1e-9)


@given(strategies.seeds, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_polar_factors_of_singular_matrices_are_orthogonal(seed, d):
    rng = np.random.default_rng(seed)
    columns, rows = rng.standard_normal((2, 20, d))
    matrices = columns[:, :, None] * rows[:, None]
    if seed % 2:
        matrices = rng.integers(-1, 2, (20, d, d)).astype(float)
    check_polar(matrices)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_polar_factors_of_zeros_and_of_no_matrices(d):
    check_polar(np.zeros((2, d, d)))
    check_polar(np.zeros((0, 3, d, d)))


def test_polar_factors_of_the_smallest_numbers():
    smallest = np.nextafter(0.0, 1.0)
    diagonal = np.array([1e300 * np.eye(2), np.zeros((2, 2)), np.diag([1e300, -1e300])])
    diagonal[1] = np.diag([smallest, -smallest])
    found = check_polar(diagonal)
    np.testing.assert_array_equal(found, np.sign(diagonal))
    found = check_polar(np.array([[0.0, 1e-320], [-1e-320, 1e-322]]))
    np.testing.assert_allclose(found, [[0.0, 1.0], [-1.0, 0.005]], atol=0.01)


@pytest.mark.parametrize("d", [1, 2])
def test_a_polar_factor_does_not_depend_on_its_neighbours(d):
    matrices = np.random.default_rng(0).standard_normal((37, d, d))
    found = _bures.polar_factors(matrices)
    for i in range(len(matrices)):
        np.testing.assert_array_equal(_bures.polar_factors(matrices[i]), found[i])
    turned = np.ascontiguousarray(_spd.transpose(matrices))
    np.testing.assert_array_equal(_bures.polar_factors(_spd.transpose(turned)), found)
