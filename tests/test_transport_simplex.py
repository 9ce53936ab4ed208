"""The network simplex: values, potentials, what it leaves, and its failures."""

import numpy as np
import pytest
import reference
import strategies
from hypothesis import given, settings

from skgmmot.transport import (
    _simplex,
    mw2_barycenter,
    mw2_flow,
    mw2_plan,
    pairwise_mw2,
)


@given(strategies.programmes())
@settings(max_examples=30, deadline=None)
def test_values_and_potentials_are_optimal(programme):
    costs, a, b = programme
    coupling, u, v = _simplex.simplex(costs, a, b)
    np.testing.assert_allclose(coupling.sum(axis=1), a, atol=1e-12)
    np.testing.assert_allclose(coupling.sum(axis=0), b, atol=1e-12)
    value = np.vdot(coupling, costs)
    assert value == pytest.approx(reference.exact_value(costs, a, b), rel=1e-9)
    assert (u[:, None] + v <= costs + 1e-12 * costs.max()).all()
    assert a @ u + b @ v == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize("unit", [1e-300, 1e-150, 1e150, 1e300])
def test_units_of_the_costs_do_not_matter(unit):
    rng = np.random.default_rng(0)
    costs, a = rng.random((6, 4)), rng.dirichlet(np.ones(6))
    b = rng.dirichlet(np.ones(4))
    wanted, found = (_simplex.simplex(x, a, b) for x in (costs, unit * costs))
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-15)
    np.testing.assert_allclose(found[1], unit * wanted[1], rtol=1e-12)


def test_no_costs_and_no_weight():
    coupling, u, v = _simplex.simplex(np.zeros((2, 2)), *np.full((2, 2), 0.5))
    assert coupling.sum() == 1.0
    assert not u.any()
    assert not v.any()
    costs = np.array([[1.0, 2.0], [3.0, 1.0]])
    coupling = _simplex.simplex(costs, np.array([1.0, 0.0]), np.array([0.5, 0.5]))[0]
    np.testing.assert_array_equal(coupling, [[0.5, 0.5], [0.0, 0.0]])


def test_cleaned_keeps_what_is_no_rounding():
    coupling = np.array([[0.5, 1e-17], [1e-15, 0.5]])
    np.testing.assert_array_equal(
        _simplex.cleaned(coupling), [[0.5, 0.0], [1e-15, 0.5]]
    )
    smallest = np.array([[0.5, 1e-16], [0.5, 0.5]])
    assert _simplex.cleaned(coupling, smallest)[0, 1] == 1e-17


def two_mixtures():
    rng = np.random.default_rng(1)
    return [strategies.random_mixture(rng, 3, 2) for _ in range(2)]


@pytest.fixture(params=[0, 2, 3, 4])
def failing(request, monkeypatch):
    """A solver that reports a failure: infeasible, unbounded, out of steps."""

    def emd_c(a, b, costs, *_):
        return np.zeros(costs.shape), 0.0, np.zeros(len(a)), np.zeros(len(b)), code

    code = request.param
    monkeypatch.setattr(_simplex, "_emd_c", lambda: emd_c)
    return rf"valid programme of shape \(\d, \d\) \(result code {code}\)"


@pytest.mark.parametrize(
    "function",
    [
        mw2_plan,
        mw2_flow,
        lambda *pair: mw2_plan(*pair, reg_m=1.0),
        lambda *pair: pairwise_mw2(pair),
        lambda *pair: mw2_barycenter(pair, method="fixed_point", n_components=2),
    ],
    ids=["plan", "flow", "penalised", "pairwise", "barycentre"],
)
def test_a_failure_of_the_solver_is_an_error(failing, function):
    with pytest.raises(RuntimeError, match=failing):
        function(*two_mixtures())
