"""The interior point, its elimination without cancellation, and its polish."""

from fractions import Fraction

import numpy as np
import pytest
import reference
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from skgmmot.transport._interior import eliminate, interior_point, substitute
from skgmmot.transport._plan import concave, solve_plan
from skgmmot.transport._polish import entropic_polish, tight_polish
from skgmmot.transport._programme import (
    TransportProgramme,
    from_interior,
    solve_programme,
)


def exact_solution(links, excess, right):
    """Solve the same system in rational numbers, by Gauss and Jordan."""
    n = len(excess)
    matrix = [
        [-Fraction(links[i, j]) if j != i else Fraction(0) for j in range(n)]
        for i in range(n)
    ]
    for i in range(n):
        matrix[i][i] = Fraction(excess[i]) - sum(matrix[i])
        matrix[i].append(Fraction(right[i]))
    for k in range(n):
        matrix[k] = [x / matrix[k][k] for x in matrix[k]]
        for i in range(n):
            if i != k:
                factor = matrix[i][k]
                pairs = zip(matrix[i], matrix[k], strict=True)
                matrix[i] = [x - factor * y for x, y in pairs]
    return np.array([float(row[-1]) for row in matrix])


def solve_laplacian(links, excess, right):
    """Eliminate and substitute, on copies."""
    links, x = links.copy(), right.copy()
    substitute(links, eliminate(links, excess.copy()), x)
    return x


@pytest.mark.parametrize("largest", [1.0, 1e8, 1e20])
def test_laplacian_to_all_digits(largest):
    rng = np.random.default_rng(0)
    links = np.triu(largest ** rng.uniform(size=(6, 6)), 1)
    links += links.T
    excess, right = 1e-3 * rng.uniform(size=6), rng.uniform(size=6)
    expected = exact_solution(links, excess, right)
    # An LU decomposition has no digit right where links are 1e20.
    np.testing.assert_allclose(
        solve_laplacian(links, excess, right), expected, rtol=1e-13
    )


def test_laplacian_of_one_node():
    x = solve_laplacian(np.zeros((1, 1)), np.array([4.0]), np.array([2.0]))
    np.testing.assert_array_equal(x, [0.5])


def test_laplacian_without_excess_is_solved_up_to_a_constant():
    links = np.array([[0.0, 2.0, 1.0], [2.0, 0.0, 3.0], [1.0, 3.0, 0.0]])
    right = np.array([1.0, -3.0, 2.0])
    x = solve_laplacian(links, np.zeros(3), right)
    matrix = np.diag(links.sum(axis=1)) - links
    assert x[-1] == 0.0
    np.testing.assert_allclose(matrix @ x, right, rtol=1e-14)


@pytest.mark.parametrize("slope", [1e-12, 1e-3, 1.0, 50.0])
def test_concave_gain(slope):
    potential = np.array([-0.3, 0.0, 1e-9, 0.7])
    gain = concave(potential, slope)
    assert (gain <= potential).all()
    np.testing.assert_allclose(gain, -np.expm1(-slope * potential) / slope, rtol=1e-14)
    np.testing.assert_allclose(concave(potential, 0.0), potential)


def fixed_programme(a, b, reg, reg_m=None):
    """Both sides fixed: the programme of `solve_plan`."""
    weights = np.concatenate([a, b])
    penalties = np.repeat(reference.sides(reg_m), [len(a), len(b)]).astype(float)
    nothing = np.zeros(len(weights))
    return TransportProgramme(reg, penalties, nothing, weights, nothing, len(a))


@given(
    strategies.programmes(),
    st.sampled_from([0.0, 1e-3, 0.1]),
    st.sampled_from([None, 1.0, (0.3, 2.0), (None, 0.5)]),
)
@settings(max_examples=40, deadline=None)
def test_fixed_sides_are_the_plan(programme, reg, reg_m):
    costs, a, b = programme
    found = solve_programme(fixed_programme(a, b, reg, reg_m), costs)
    plan = solve_plan(costs, a, b, reg=reg, reg_m=reg_m)
    value = reference.plan_value(found.plan, costs, a, b, reg, reg_m)
    # Without entropy the last step leaves 1e-9 in units of plans.
    atol = 1e-11 if reg > 0.0 else 2e-7
    np.testing.assert_allclose(value, plan.value, rtol=1e-9, atol=atol)
    np.testing.assert_allclose(found.weights, np.concatenate([a, b]), rtol=0)
    if reg_m is None:
        np.testing.assert_allclose(found.plan.sum(axis=1), a, rtol=0, atol=3e-15)
        np.testing.assert_allclose(found.plan.sum(axis=0), b, rtol=0, atol=3e-15)
    if reg > 0.0:
        np.testing.assert_allclose(found.plan, plan.coupling, rtol=0, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("reg", [0.0, 1e-3, 0.1])
def test_given_marginals_to_rounding_from_any_plan(scale, reg):
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(9)), rng.dirichlet(np.ones(13))
    costs = scale * rng.uniform(size=(9, 13))
    programme = fixed_programme(a, b, scale * reg)
    for plan in (np.outer(a, b), 2.0 * np.outer(a, b), rng.uniform(size=(9, 13))):
        found, _, _, done = interior_point(
            programme, costs, plan, np.full_like(plan, scale), False
        )
        assert done
        np.testing.assert_allclose(found.sum(axis=1), a, rtol=0, atol=3e-15)
        np.testing.assert_allclose(found.sum(axis=0), b, rtol=0, atol=3e-15)


@given(strategies.programmes())
@settings(max_examples=20, deadline=None)
def test_potentials_without_entropy_are_feasible_and_the_best(programme):
    costs, a, b = programme
    costs = costs / costs.max()
    slopes = 1.0, 2.5

    def dual(f, g):
        return a @ concave(f, slopes[0]) + b @ concave(g, slopes[1])

    whole = fixed_programme(a, b, 0.0, (1.0, 1.0 / 2.5))
    potentials = from_interior(whole, costs)[2]
    f, g = potentials[: len(a)], potentials[len(a) :]
    assert (f[:, None] + g <= costs + 1e-12).all()
    best = dual(f, g)
    # Either side is already the largest that the other one leaves.
    for other in (
        dual((costs - g).min(axis=1), g),
        dual(f, (costs - f[:, None]).min(axis=0)),
    ):
        assert best - 1e-11 <= other <= best + 1e-9
    # A constant that passes from one side to the other gains nothing.
    for shift in (-1e-3, 1e-3):
        assert dual(f + shift, g - shift) <= best + 1e-11


def test_polish_equals_the_masses_of_parts_and_stops_at_constraints():
    rng = np.random.default_rng(0)
    points, others = rng.uniform(size=(6, 2)), rng.uniform(size=(7, 2))
    costs = ((points[:, None] - others) ** 2).sum(axis=2)
    a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(7))
    slopes = 3.0, 5.0
    whole = fixed_programme(a, b, 0.0, (1.0 / 3.0, 1.0 / 5.0))
    potentials = from_interior(whole, costs, 1e-20)[2]
    best = potentials[:6], potentials[6:]
    value = a @ concave(best[0], slopes[0]) + b @ concave(best[1], slopes[1])
    for disturbance in (0.0, 1e-6, 1e-2):
        f = best[0] - disturbance * rng.uniform(size=6)
        g = (costs - f[:, None]).min(axis=0)
        before = a @ concave(f, slopes[0]) + b @ concave(g, slopes[1])
        f, g = tight_polish(costs, a, b, slopes, f)
        after = a @ concave(f, slopes[0]) + b @ concave(g, slopes[1])
        assert before - 1e-14 <= after <= value + 1e-12
        assert (f[:, None] + g <= costs + 1e-14).all()
        masses = a @ np.exp(-slopes[0] * f), b @ np.exp(-slopes[1] * g)
        np.testing.assert_allclose(*masses, rtol=1e-12)


@pytest.mark.parametrize("slopes", [(0.0, 0.0), (0.0, 0.2), (0.2, 0.0), (0.1, 3.0)])
def test_entropic_polish_from_constants_that_leave_no_mass(slopes):
    rng = np.random.default_rng(0)
    gaps = 3.0 * rng.uniform(size=(4, 5))
    a, b = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(5))
    wanted = entropic_polish(gaps, a, b, slopes, np.zeros(4), 100)[0]
    for constant in (-1e4, 1e4):
        found = entropic_polish(gaps, a, b, slopes, np.full(4, constant), 100)
        assert found[4]
        np.testing.assert_allclose(found[0], wanted, rtol=1e-9, atol=1e-13)
