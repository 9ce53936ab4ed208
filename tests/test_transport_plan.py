"""The small programme: values, optimality conditions, limits, refusals."""

import warnings

import numpy as np
import pytest
import reference
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skgmmot.transport import TransportPlan, _plan
from skgmmot.transport._plan import solve_plan, weight_derivative

penalties = st.sampled_from([0.05, 1.0, 10.0, (0.3, 2.0), (None, 0.5), (1.0, np.inf)])
parts = st.sampled_from([0.1, 0.3, 3.0])


def problem(n_rows, n_columns, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    points, others = (
        rng.standard_normal((n_rows, 3)),
        rng.standard_normal((n_columns, 3)),
    )
    costs = scale * ((points[:, None] - others) ** 2).sum(axis=2)
    return costs, rng.dirichlet(np.ones(n_rows)), rng.dirichlet(np.ones(n_columns))


def dual_value(plan, costs, a, b, reg, reg_m):
    """The dual objective at the potentials of a plan."""
    f, g = plan.potentials
    total = -reg * (a @ np.expm1((f[:, None] + g - costs) / reg) @ b) if reg else 0.0
    for weights, potential, rho in zip(
        (a, b), (f, g), reference.sides(reg_m), strict=True
    ):
        balanced = np.isinf(rho)
        gain = potential if balanced else -rho * np.expm1(-potential / rho)
        total += weights @ gain
    return total


def wanted_marginals(plan, a, b, reg_m):
    """The marginals that the potentials of a plan ask for."""
    return [
        weights * np.exp(-potential / rho)
        for weights, potential, rho in zip(
            (a, b), plan.potentials, reference.sides(reg_m), strict=True
        )
    ]


def check_marginals(plan, a, b, reg_m, atol):
    rows, columns = wanted_marginals(plan, a, b, reg_m)
    np.testing.assert_allclose(plan.coupling.sum(axis=1), rows, rtol=0, atol=atol)
    np.testing.assert_allclose(plan.coupling.sum(axis=0), columns, rtol=0, atol=atol)


# Exact, balanced


@given(strategies.programmes())
@settings(max_examples=40, deadline=None)
def test_exact_value_marginals_and_duals(programme):
    costs, a, b = programme
    plan = solve_plan(costs, a, b)
    expected = reference.exact_value(costs, a, b)
    np.testing.assert_allclose(plan.value, expected, rtol=1e-9)
    check_marginals(plan, a, b, None, 1e-15)
    f, g = plan.potentials
    assert (f[:, None] + g <= costs + 1e-13 * costs.max()).all()
    np.testing.assert_allclose(a @ f + b @ g, expected, rtol=1e-9)
    np.testing.assert_allclose(a @ f, b @ g, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e290])
def test_exact_scale(scale):
    costs, a, b = problem(6, 7)
    plan, scaled = solve_plan(costs, a, b), solve_plan(scale * costs, a, b)
    np.testing.assert_allclose(scaled.coupling, plan.coupling, atol=1e-15)
    np.testing.assert_allclose(scaled.value, scale * plan.value, rtol=1e-12)


def test_exact_plan_has_few_entries():
    costs, a, b = problem(20, 30)
    assert np.count_nonzero(solve_plan(costs, a, b).coupling) <= 49


@pytest.mark.parametrize("seed", range(5))
def test_equal_weights_on_a_zero_diagonal_cost_exactly_nothing(seed):
    rng = np.random.default_rng(seed)
    points, a = rng.standard_normal((20, 2)), rng.dirichlet(np.ones(20))
    costs = ((points[:, None] - points) ** 2).sum(axis=2)
    plan = solve_plan(costs, a, a)
    assert plan.value == 0.0
    np.testing.assert_array_equal(plan.coupling, np.diag(np.diag(plan.coupling)))


def test_equal_costs():
    plan = solve_plan(np.zeros((2, 3)), [0.5, 0.5], [0.2, 0.3, 0.5])
    assert plan.value == 0.0
    np.testing.assert_allclose(plan.coupling.sum(axis=0), [0.2, 0.3, 0.5])


# Entropic


def reg_of(costs, part):
    """An entropy with which plain sweeps converge; smaller ones have other tests."""
    return part * max(reference.cross(costs), 1.0)


@given(strategies.programmes(), parts)
@settings(max_examples=25, deadline=None)
def test_entropic_plan_against_sinkhorn(programme, part):
    costs, a, b = programme
    reg = reg_of(costs, part)
    plan = solve_plan(costs, a, b, reg=reg)
    expected = reference.sinkhorn(costs, a, b, reg)
    np.testing.assert_allclose(plan.coupling, expected, rtol=1e-7, atol=1e-9)
    value = reference.plan_value(expected, costs, a, b, reg)
    np.testing.assert_allclose(plan.value, value, rtol=1e-7, atol=1e-12)


@given(strategies.programmes(), parts, penalties)
@settings(max_examples=40, deadline=None)
def test_unbalanced_plan_against_sinkhorn(programme, part, reg_m):
    costs, a, b = programme
    reg = reg_of(costs, part)
    plan = solve_plan(costs, a, b, reg=reg, reg_m=reg_m)
    expected = reference.sinkhorn(costs, a, b, reg, reg_m)
    np.testing.assert_allclose(plan.coupling, expected, rtol=1e-7, atol=1e-9)
    value = reference.plan_value(plan.coupling, costs, a, b, reg, reg_m)
    np.testing.assert_allclose(plan.value, value, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("reg_m", [None, 1.0, (None, 0.1), (0.3, 40.0), 1e4, 1e9])
@pytest.mark.parametrize("reg", [1e-4, 1e-2, 1.0, 100.0])
@pytest.mark.parametrize("size", [(1, 4), (3, 3), (12, 7), (30, 31)])
def test_entropic_optimality_conditions(size, reg, reg_m):
    costs, a, b = problem(*size)
    plan = solve_plan(costs, a, b, reg=reg, reg_m=reg_m)
    f, g = plan.potentials
    gibbs = np.outer(a, b) * np.exp((f[:, None] + g - costs) / reg)
    np.testing.assert_allclose(plan.coupling, gibbs, rtol=1e-8, atol=1e-12)
    check_marginals(plan, a, b, reg_m, 1e-10)
    np.testing.assert_allclose(
        plan.value, dual_value(plan, costs, a, b, reg, reg_m), rtol=1e-9
    )


@pytest.mark.parametrize("reg_m", [None, 1.0])
def test_entropic_limit_of_small_reg_is_the_exact_plan(reg_m):
    costs, a, b = problem(6, 7)
    exact = solve_plan(costs, a, b, reg_m=reg_m)
    entropic = solve_plan(costs, a, b, reg=2e-6 * costs.max(), reg_m=reg_m)
    np.testing.assert_allclose(entropic.coupling, exact.coupling, atol=1e-4)
    np.testing.assert_allclose(entropic.value, exact.value, rtol=1e-4)


def test_equal_weights_where_the_plan_falls_into_blocks():
    rng = np.random.default_rng(0)
    points = 10.0 * rng.standard_normal((8, 2))
    costs = ((points[:, None] - points - 0.1) ** 2).sum(axis=2)
    a = np.full(8, 1.0 / 8.0)
    plan = solve_plan(costs, a, a, reg=0.01)
    np.testing.assert_allclose(plan.coupling, np.diag(a), atol=1e-10)


def test_start_saves_steps_and_changes_nothing(monkeypatch):
    costs, a, b = problem(10, 12)
    cold = solve_plan(costs, a, b, reg=0.01, reg_m=1.0)
    calls = []
    from_interior = _plan.from_interior
    monkeypatch.setattr(
        _plan, "from_interior", lambda *args: calls.append(0) or from_interior(*args)
    )
    again = solve_plan(1.001 * costs, a, b, reg=0.01, reg_m=1.0)
    assert len(calls) == 1
    warm = solve_plan(
        1.001 * costs, a, b, reg=0.01, reg_m=1.0, potentials=cold.potentials
    )
    assert len(calls) == 1
    np.testing.assert_allclose(warm.coupling, again.coupling, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [(3, 8), (8, 3)])
def test_any_start_is_good_enough(size):
    costs, a, b = problem(*size)
    expected = solve_plan(costs, a, b, reg=0.01)
    rng = np.random.default_rng(1)
    wild = 100.0 * rng.standard_normal(size[0]), np.zeros(size[1])
    for start in (wild, (np.full(size[0], np.nan), wild[1])):
        plan = solve_plan(costs, a, b, reg=0.01, potentials=start)
        np.testing.assert_allclose(plan.coupling, expected.coupling, atol=1e-10)


@pytest.mark.parametrize("reg_m", [(None, 1.0), (1.0, None), 1.0])
def test_one_component_with_costs_far_above_the_penalty(reg_m):
    """Exponents of 1e5: Newton steps that start with no mass leap to infinity."""
    costs, one = np.full((1, 1), 30.0), np.ones(1)
    plan = solve_plan(costs, one, one, reg=3e-4, reg_m=reg_m)
    value = reference.plan_value(plan.coupling, costs, one, one, 3e-4, reg_m)
    np.testing.assert_allclose(plan.value, value, rtol=1e-9)
    if reg_m != 1.0:
        np.testing.assert_allclose(plan.coupling, 1.0, rtol=1e-9)


@pytest.mark.parametrize("reg", [2e-5, 1e-2, 10.0, 1e5])
@pytest.mark.parametrize(
    "reg_m", [(1e-2, 0.05), (1e4, 1e9), (1e9, 1e9), (30.0, None), (None, 1e9)]
)
@pytest.mark.parametrize("mass", [1.0, 3.0])
def test_one_component_beside_penalties_of_all_sizes(reg, reg_m, mass):
    rng = np.random.default_rng(0)
    costs, a = rng.uniform(size=(7, 1)), mass * rng.dirichlet(np.full(7, 0.3))
    plan = solve_plan(costs, a, [1.0], reg=reg, reg_m=reg_m)
    wanted, value = reference.single_plan(costs[:, 0], a, 1.0, reg, reg_m)
    np.testing.assert_allclose(plan.coupling[:, 0], wanted, rtol=1e-12)
    np.testing.assert_allclose(plan.value, value, rtol=1e-11)
    # Either side may be the one.
    turned = solve_plan(costs.T, [1.0], a, reg=reg, reg_m=reg_m[::-1])
    np.testing.assert_array_equal(turned.coupling, plan.coupling.T)
    f, g = plan.potentials
    exponents = (f[:, None] + g - costs) / reg
    atol = 2e-15 * (1.0 + max(abs(f).max(), abs(g).max()) / reg)
    np.testing.assert_allclose(
        exponents, np.log(plan.coupling / a[:, None]), rtol=1e-12, atol=atol
    )


def test_failure_to_converge_is_told(monkeypatch):
    monkeypatch.setattr(_plan, "_MAX_STEPS", 1)
    monkeypatch.setattr(_plan, "_interior_potential", lambda p: np.zeros(len(p.a)))
    costs, a, b = problem(10, 10)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        solve_plan(costs, a, b, reg=1e-3)


# Penalised, without entropy


@given(strategies.programmes(), penalties)
@settings(max_examples=30, deadline=None)
def test_penalised_value_against_a_general_solver(programme, reg_m):
    costs, a, b = programme
    plan = solve_plan(costs, a, b, reg_m=reg_m)
    expected = reference.penalised_value(costs, a, b, reg_m)
    np.testing.assert_allclose(plan.value, expected, rtol=1e-7, atol=1e-9)
    value = reference.plan_value(plan.coupling, costs, a, b, 0.0, reg_m)
    np.testing.assert_allclose(plan.value, value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reg_m", [1e-2, 1.0, (None, 0.1), (0.3, 40.0), 1e4])
@pytest.mark.parametrize("size", [(1, 4), (3, 3), (12, 7), (30, 31)])
def test_penalised_optimality_conditions(size, reg_m):
    costs, a, b = problem(*size)
    plan = solve_plan(costs, a, b, reg_m=reg_m)
    f, g = plan.potentials
    slacks = costs - f[:, None] - g
    assert slacks.min() > -1e-13
    assert np.sum(plan.coupling * slacks) < 1e-8 * plan.value
    check_marginals(plan, a, b, reg_m, 1e-10)
    np.testing.assert_allclose(
        plan.value, dual_value(plan, costs, a, b, 0.0, reg_m), rtol=1e-7
    )


@pytest.mark.parametrize("seed", range(8))
def test_penalised_plan_with_weights_of_all_sizes(seed):
    """Weights down to 1e-20: their masses must not be sent to other parts."""
    rng = np.random.default_rng(seed)
    costs = problem(12, 19, seed)[0]
    a, b = rng.dirichlet(np.full(12, 0.08)), rng.dirichlet(np.full(19, 0.08))
    reg_m = 2e-3 * costs.max()
    plan = solve_plan(costs, a, b, reg_m=reg_m)
    f, g = plan.potentials
    assert (f[:, None] + g <= costs + 1e-13 * costs.max()).all()
    check_marginals(plan, a, b, reg_m, 1e-12)
    np.testing.assert_allclose(
        plan.value, dual_value(plan, costs, a, b, 0.0, reg_m), rtol=1e-7
    )


def test_weights_far_apart_beside_penalties_far_apart():
    """Weights of 1e-30 ask for any mass where a path does not start in balance."""
    a = np.array([1e-300, 1.4e-7, 0.93, 1.6e-5, 0.066, 8e-32, 1e-4, 4e-13])
    b = np.array([1e-9, 4e-30, 1e-3, 0.018, 0.16, 5e-4, 2e-9, 6e-4, 2e-8, 0.82])
    for seed in range(5):
        costs = problem(8, 10, seed)[0]
        for reg_m in ((0.05, 0.001), (1e-3, 1.0), (1e-8, 1.0)):
            plan = solve_plan(costs, a, b, reg_m=reg_m)
            value = reference.plan_value(plan.coupling, costs, a, b, 0.0, reg_m)
            np.testing.assert_allclose(plan.value, value, rtol=1e-9)
            dual = dual_value(plan, costs, a, b, 0.0, reg_m)
            np.testing.assert_allclose(plan.value, dual, rtol=1e-9)


def test_penalised_plan_is_not_the_balanced_one():
    costs = np.array([[0.0, 9.0], [9.0, 0.0]])
    a, b = np.array([0.9, 0.1]), np.array([0.1, 0.9])
    plan = solve_plan(costs, a, b, reg_m=0.5)
    # Nothing crosses: each diagonal entry is the geometric mean of its weights.
    np.testing.assert_allclose(plan.coupling, 0.3 * np.eye(2), atol=1e-9)
    assert plan.value < 0.2 * solve_plan(costs, a, b).value


def test_one_component_each_in_closed_form():
    cost, rho = 2.0, 0.7
    plan = solve_plan([[cost]], [1.0], [1.0], reg_m=rho)
    np.testing.assert_allclose(plan.coupling, np.exp(-cost / (2.0 * rho)), rtol=1e-9)
    expected = 2.0 * rho * (1.0 - np.exp(-cost / (2.0 * rho)))
    np.testing.assert_allclose(plan.value, expected, rtol=1e-9)


@pytest.mark.parametrize("reg", [0.0, 0.01])
def test_limit_of_large_penalties_is_balanced(reg):
    costs, a, b = problem(5, 6)
    balanced = solve_plan(costs, a, b, reg=reg)
    for reg_m in (1e7, (None, 1e7), np.inf):
        plan = solve_plan(costs, a, b, reg=reg, reg_m=reg_m)
        np.testing.assert_allclose(plan.coupling, balanced.coupling, atol=1e-5)
        np.testing.assert_allclose(plan.value, balanced.value, rtol=1e-5)


@pytest.mark.parametrize("reg", [0.0, 1e-3])
def test_costs_far_above_the_penalty_move_nothing(reg):
    costs, a, b = problem(3, 4)
    plan = solve_plan(100.0 + costs, a, b, reg=reg, reg_m=0.01)
    assert plan.coupling.sum() < 1e-10
    np.testing.assert_allclose(plan.value, 0.02 + reg, rtol=1e-7)


@pytest.mark.parametrize("reg", [0.0, 0.1])
def test_unequal_masses(reg):
    costs, a, b = problem(4, 5)
    plan = solve_plan(costs, 3.0 * a, b, reg=reg, reg_m=2.0)
    value = reference.plan_value(plan.coupling, costs, 3.0 * a, b, reg, 2.0)
    np.testing.assert_allclose(plan.value, value, rtol=1e-9)
    assert 1.0 < plan.coupling.sum() < 3.0


# All methods

every_method = pytest.mark.parametrize(
    ("reg", "reg_m"),
    [(0.0, None), (0.1, None), (0.1, 0.5), (0.0, 0.5), (0.0, (None, 1))],
)


@every_method
def test_swapped_sides_transpose_the_plan(reg, reg_m):
    costs, a, b = problem(5, 8)
    swapped = reg_m[::-1] if isinstance(reg_m, tuple) else reg_m
    plan = solve_plan(costs, a, b, reg=reg, reg_m=reg_m)
    other = solve_plan(costs.T, b, a, reg=reg, reg_m=swapped)
    np.testing.assert_allclose(other.coupling, plan.coupling.T, atol=1e-9)
    np.testing.assert_allclose(other.value, plan.value, rtol=1e-9)
    if reg > 0.0:
        np.testing.assert_allclose(other.potentials[0], plan.potentials[1], atol=1e-8)


@every_method
def test_zero_weights_change_nothing_for_the_others(reg, reg_m):
    costs, a, b = problem(4, 5)
    inner = solve_plan(
        costs[1:, :-1], a[1:] / a[1:].sum(), b[:-1] / b[:-1].sum(), reg=reg, reg_m=reg_m
    )
    zero_a, zero_b = a.copy(), b.copy()
    zero_a[0] = zero_b[-1] = 0.0
    zero_a, zero_b = zero_a / zero_a.sum(), zero_b / zero_b.sum()
    plan = solve_plan(costs, zero_a, zero_b, reg=reg, reg_m=reg_m)
    np.testing.assert_allclose(plan.coupling[1:, :-1], inner.coupling, atol=1e-12)
    assert not plan.coupling[0].any()
    assert not plan.coupling[:, -1].any()
    np.testing.assert_allclose(plan.value, inner.value, rtol=1e-10)
    assert all(np.isfinite(potential).all() for potential in plan.potentials)
    if reg == 0.0:
        f, g = plan.potentials
        assert (f[:, None] + g <= costs + 1e-12).all()


@every_method
@pytest.mark.parametrize("size", [(4, 5), (5, 4)])
def test_weight_derivative_by_finite_differences(reg, reg_m, size):
    costs, a, b = problem(*size)
    rng = np.random.default_rng(1)
    change = rng.standard_normal(len(a)) * a
    change -= change.sum() / len(a)

    def value(step):
        return solve_plan(costs, a + step * change, b, reg=reg, reg_m=reg_m).value

    plan = solve_plan(costs, a, b, reg=reg, reg_m=reg_m)
    slope = weight_derivative(plan, b.sum(), reg=reg, reg_m=reg_m) @ change
    step = 1e-5
    np.testing.assert_allclose(
        slope, (value(step) - value(-step)) / (2.0 * step), rtol=1e-6, atol=1e-8
    )


@every_method
def test_single_precision(reg, reg_m):
    costs, a, b = problem(5, 6)
    plan = solve_plan(costs, a, b, reg=reg, reg_m=reg_m)
    single = solve_plan(
        *(x.astype(np.float32) for x in (costs, a, b)), reg=reg, reg_m=reg_m
    )
    assert isinstance(single, TransportPlan)
    arrays = single.coupling, single.costs, *single.potentials
    assert all(array.dtype == np.float32 for array in arrays)
    assert type(single.value) is float
    np.testing.assert_allclose(single.value, plan.value, rtol=1e-4)
    np.testing.assert_allclose(single.coupling, plan.coupling, rtol=1e-4, atol=1e-6)


@every_method
def test_arguments_are_not_written_to(reg, reg_m):
    arrays = problem(3, 4)
    for array in arrays:
        array.setflags(write=False)
    plan = solve_plan(*arrays, reg=reg, reg_m=reg_m)
    np.testing.assert_array_equal(plan.costs, arrays[0])


def test_exact_weights_of_equal_sum_to_rounding_only():
    costs, a, b = problem(4, 5)
    plan = solve_plan(costs, a, b * (1.0 + 1e-7))
    np.testing.assert_allclose(plan.coupling.sum(), 1.0, rtol=1e-12)


# Refusals


def test_reg_too_small_is_solved_without_entropy():
    costs, a, b = problem(4, 5, scale=1e6)
    with pytest.warns(UserWarning, match="below 1e-6 of the largest cost"):
        plan = solve_plan(costs, a, b, reg=0.1)
    np.testing.assert_array_equal(plan.coupling, solve_plan(costs, a, b).coupling)
    with pytest.warns(UserWarning, match="below 1e-6 of the largest cost"):
        plan = solve_plan(costs, a, b, reg=0.1, reg_m=1e5)
    assert plan.coupling.sum() < 0.999


def test_nothing_warns_otherwise():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solve_plan(*problem(30, 40), reg=1e-3)
        solve_plan(*problem(30, 40))


@pytest.mark.parametrize("reg", [-0.1, np.nan, np.inf])
def test_bad_reg(reg):
    with pytest.raises(ValueError, match="reg: expected a finite number, at least 0"):
        solve_plan(*problem(2, 2), reg=reg)


@pytest.mark.parametrize("reg_m", [0.0, -1.0, np.nan, (1.0, 0.0), (None, -1.0)])
def test_bad_reg_m(reg_m):
    with pytest.raises(ValueError, match="reg_m: expected positive numbers, or None"):
        solve_plan(*problem(2, 2), reg_m=reg_m)


def test_reg_m_of_wrong_length():
    with pytest.raises(ValueError, match="a number or a pair"):
        solve_plan(*problem(2, 2), reg_m=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_costs_that_are_not_finite(value):
    costs, a, b = problem(2, 2)
    costs[0, 1] = value
    with pytest.raises(ValueError, match="costs: expected finite numbers, got NaN"):
        solve_plan(costs, a, b)


def test_wrong_shapes():
    costs, a, b = problem(2, 3)
    with pytest.raises(ValueError, match=r"shapes \(K0, K1\), \(K0,\) and \(K1,\)"):
        solve_plan(costs, b, a)


@pytest.mark.parametrize("weights", [[-0.5, 1.5], [np.nan, 1.0]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="b: expected weights that are finite and not"):
        solve_plan(np.ones((1, 2)), [1.0], weights)


def test_no_weight_at_all():
    with pytest.raises(ValueError, match="a: expected a weight above 0"):
        solve_plan(np.ones((2, 1)), [0.0, 0.0], [1.0])


def test_balanced_weights_of_different_sums():
    with pytest.raises(ValueError, match="a and b: expected weights of the same sum"):
        solve_plan(np.ones((2, 1)), [0.5, 0.6], [1.0])
