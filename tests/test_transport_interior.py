"""The interior-point method and its elimination without cancellation."""

from fractions import Fraction

import numpy as np
import pytest
import strategies
from hypothesis import given, settings

from skgmmot.transport._interior import (
    concave,
    interior_point,
    polish,
    solve_laplacian,
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


def test_laplacian_of_one_node_keeps_its_arguments():
    arrays = np.zeros((1, 1)), np.array([4.0]), np.array([2.0])
    for array in arrays:
        array.setflags(write=False)
    np.testing.assert_array_equal(solve_laplacian(*arrays), [0.5])


@pytest.mark.parametrize("slope", [1e-12, 1e-3, 1.0, 50.0])
def test_concave_gain(slope):
    potential = np.array([-0.3, 0.0, 1e-9, 0.7])
    gain = concave(potential, slope)
    assert (gain <= potential).all()
    np.testing.assert_allclose(gain, -np.expm1(-slope * potential) / slope, rtol=1e-14)
    np.testing.assert_allclose(concave(potential, 0.0), potential)


@given(strategies.programmes())
@settings(max_examples=20, deadline=None)
def test_potentials_are_feasible_and_the_best(programme):
    costs, a, b = programme
    costs = costs / costs.max()
    slopes = 1.0, 2.5

    def dual(f, g):
        return a @ concave(f, slopes[0]) + b @ concave(g, slopes[1])

    f, g = interior_point(costs, a, b, slopes)
    assert (f[:, None] + g <= costs + 1e-14).all()
    best = dual(f, g)
    # Either side is already the largest that the other one leaves.
    for other in (
        dual((costs - g).min(axis=1), g),
        dual(f, (costs - f[:, None]).min(axis=0)),
    ):
        assert best - 1e-14 <= other <= best + 1e-9
    # A constant that passes from one side to the other gains nothing.
    for shift in (-1e-3, 1e-3):
        assert dual(f + shift, g - shift) <= best + 1e-12


def test_start_far_below_the_costs():
    """Costs of 1e4 times the penalty: the weights would underflow at once."""
    costs = np.array([[0.3, 1.0], [0.8, 0.5]])
    f, g = interior_point(costs, np.full(2, 0.5), np.full(2, 0.5), (1e4, 1e4))
    marginals = 0.5 * np.exp(-1e4 * f), 0.5 * np.exp(-1e4 * g)
    assert max(m.max() for m in marginals) < 1e-9


def test_polish_equals_the_masses_of_parts_and_stops_at_constraints():
    rng = np.random.default_rng(0)
    points, others = rng.uniform(size=(6, 2)), rng.uniform(size=(7, 2))
    costs = ((points[:, None] - others) ** 2).sum(axis=2)
    a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(7))
    slopes = 3.0, 5.0
    best = interior_point(costs, a, b, slopes)
    value = a @ concave(best[0], slopes[0]) + b @ concave(best[1], slopes[1])
    for disturbance in (0.0, 1e-6, 1e-2):
        f = best[0] - disturbance * rng.uniform(size=6)
        g = best[1] - disturbance * rng.uniform(size=7)
        before = a @ concave(f, slopes[0]) + b @ concave(g, slopes[1])
        f, g = polish(costs, a, b, slopes, f, g)
        after = a @ concave(f, slopes[0]) + b @ concave(g, slopes[1])
        assert before - 1e-14 <= after <= value + 1e-12
        assert (f[:, None] + g <= costs + 1e-14).all()
        masses = a @ np.exp(-slopes[0] * f), b @ np.exp(-slopes[1] * g)
        np.testing.assert_allclose(*masses, rtol=1e-12)
