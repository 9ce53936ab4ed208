"""Steps and runs of EM: the reference, scikit-learn's path, monotony, the optimum."""

import numpy as np
import pytest
import reference_mixture as reference
from sklearn.mixture import GaussianMixture

from skgmmot._blocks import blocks_of
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture import _fit
from skgmmot.mixture._adam import gradients
from skgmmot.mixture._em import Parameters, Problem, drop, evaluate, m_step
from skgmmot.mixture._fit import Control, run, run_with_moves
from skgmmot.mixture._penalty import RootPenalty
from skgmmot.mixture._removal import remove

NAMES = ["full", "tied", "diag", "spherical"]


def make_start(name, seed=0, n=120, d=2, n_components=3):
    """Rows of three blobs, a type and parameters that fit them badly."""
    rng = np.random.default_rng(seed)
    centers = 2.5 * rng.standard_normal((3, d))
    X = centers[rng.integers(3, size=n)] + rng.standard_normal((n, d))
    kind = TYPES[name]
    covariances = np.array(np.ones(kind.shape(n_components, d)))
    if kind.full_form:
        covariances = np.array(np.broadcast_to(np.eye(d), covariances.shape))
    weights = rng.dirichlet(np.full(n_components, 5.0))
    means = X[rng.choice(n, n_components, replace=False)]
    factors = kind.precisions_cholesky(covariances)
    return X, kind, Parameters(weights, means, covariances, factors)


def dense(parameters, kind):
    n_components, d = parameters.means.shape
    return kind.dense(parameters.covariances, n_components, d)


def as_tuple(parameters, kind):
    return parameters.weights, parameters.means, dense(parameters, kind)


@pytest.mark.parametrize("price", [0.0, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_one_step_equals_the_reference(name, weighted, price):
    X, kind, parameters = make_start(name)
    rows = np.random.default_rng(1).uniform(0.5, 2.0, len(X)) if weighted else None
    problem = Problem(
        blocks_of(X, rows), kind, penalty=RootPenalty(price), reg_covar=1e-3
    )
    state = evaluate(problem, parameters)
    mixture = as_tuple(parameters, kind)
    objective = reference.objective(X, mixture, price, rows)
    assert state.objective == pytest.approx(objective, rel=1e-11)
    found = as_tuple(m_step(problem, state), kind)
    expected = reference.em_step(X, mixture, name, 1e-3, price, rows)
    weight_rtol = 1e-3 if price else 1e-10  # the M-step stops where weights settle
    np.testing.assert_allclose(found[0], expected[0], rtol=weight_rtol)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-9)
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("max_iter", [1, 2, 5, 20])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_path_equals_scikit_learns(name, max_iter):
    X, kind, start = make_start(name, n=400, d=3)
    problem = Problem(blocks_of(X), kind, reg_covar=1e-6)
    fit = run(problem, start, Control(tol=0.0, max_iter=max_iter))
    theirs = GaussianMixture(
        3, covariance_type=name, tol=0.0, max_iter=max_iter, reg_covar=1e-6,
        weights_init=start.weights, means_init=start.means,
        precisions_init=kind.precisions(start.factors),
    ).fit(X)  # fmt: skip
    found = fit.state.parameters
    np.testing.assert_allclose(found.weights, theirs.weights_, rtol=1e-8)
    np.testing.assert_allclose(found.means, theirs.means_, rtol=1e-8)
    np.testing.assert_allclose(
        found.covariances, theirs.covariances_, rtol=1e-8, atol=1e-10
    )
    if hasattr(theirs, "lower_bounds_"):  # scikit-learn from 1.7 on
        np.testing.assert_allclose(fit.bounds, theirs.lower_bounds_, rtol=1e-10)


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize("price", [0.0, 0.05])
@pytest.mark.parametrize("name", NAMES)
def test_the_objective_never_falls(name, price, accelerate):
    for seed in range(3):
        X, kind, start = make_start(name, seed, n=800, n_components=4)
        prune = price > 0.0  # a component that vanishes would collapse on a row
        problem = Problem(
            blocks_of(X), kind, penalty=RootPenalty(price), prune=prune, n_offered=4
        )
        fit = run(problem, start, Control(0.0, 150, accelerate))
        bounds = [*fit.bounds, fit.state.objective]
        assert np.diff(bounds).min() > -1e-12 * abs(bounds[-1])


@pytest.mark.parametrize("name", NAMES)
def test_superfluous_components_go_without_a_fall(name):
    X, kind, start = make_start(name, 3, n=800, n_components=8)
    problem = Problem(
        blocks_of(X), kind, penalty=RootPenalty(0.1), prune=True, n_offered=8
    )
    fit = run(problem, start, Control(0.0, 200, True))
    assert len(fit.state.parameters.weights) < 8
    bounds = [*fit.bounds, fit.state.objective]
    assert np.diff(bounds).min() > -1e-12 * abs(bounds[-1])
    assert fit.n_starved == 0


@pytest.mark.parametrize("price", [0.0, 0.02])
@pytest.mark.parametrize("name", NAMES)
def test_acceleration_reaches_the_limit_of_the_plain_steps(name, price):
    X, kind, start = make_start(name, 1, n=200)
    problem = Problem(blocks_of(X), kind, penalty=RootPenalty(price))
    plain = run(problem, start, Control(1e-14, 3000))
    fast = run(problem, start, Control(1e-14, 600, True))
    assert fast.state.objective == pytest.approx(plain.state.objective, abs=1e-9)
    for a, b in zip(fast.state.parameters, plain.state.parameters, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("price", [0.0, 0.05])
@pytest.mark.parametrize("name", NAMES)
def test_gradient_vanishes_at_the_optimum(name, price):
    X, kind, start = make_start(name, 2, n=300)
    problem = Problem(blocks_of(X), kind, penalty=RootPenalty(price))
    fit = run(problem, start, Control(1e-15, 5000, True))
    before = evaluate(problem, start)
    slopes = gradients(problem, fit.state, fit.state.parameters.factors)
    at_start = gradients(problem, before, start.factors)
    assert max(np.abs(slope).max() for slope in at_start) > 1e-2
    for slope in slopes:
        np.testing.assert_allclose(slope, 0.0, atol=2e-5)


@pytest.mark.parametrize("name", sorted(TYPES))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_steps_of_few_rows_are_those_of_the_loop(name, dtype):
    """A run that is watched goes step by step; the other is one compiled loop."""
    X, kind, start = make_start(name, 2, n=300)
    X = X.astype(dtype)
    weights = np.random.default_rng(2).integers(1, 4, len(X)).astype(float)
    for sample_weight in (None, weights):
        ridge = np.array([1e-3, 2e-3])
        problem = Problem(blocks_of(X, sample_weight), kind, reg_covar=ridge)
        watched = Control(1e-9, 150, report=lambda *told: False)
        expected = run(problem, start, watched)
        fit = run(problem, start, watched._replace(report=None))
        assert (len(fit.bounds), fit.converged) == (
            len(expected.bounds),
            expected.converged,
        )
        np.testing.assert_allclose(fit.bounds, expected.bounds, rtol=1e-12)
        for found, wanted in zip(
            fit.state.parameters, expected.state.parameters, strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10)


def test_compiled_steps_refuse_what_collapses():
    X, kind, start = make_start("full", 2, n=30)
    X[:, 1] = X[:, 0]
    with pytest.raises(ValueError, match="ill-defined"):
        run(Problem(blocks_of(X), kind), start, Control(1e-9, 150))


def test_the_run_stops_by_tol_and_says_so():
    X, kind, start = make_start("full", 1, n=300)
    problem = Problem(blocks_of(X), kind)
    fit = run(problem, start, Control(1e-3, 500))
    assert fit.converged
    assert abs(fit.bounds[-1] - fit.bounds[-2]) < 1e-3
    assert np.abs(np.diff(fit.bounds[:-1])).min() >= 1e-3
    short = run(problem, start, Control(1e-12, 3))
    assert not short.converged
    assert len(short.bounds) == 3
    none = run(problem, start, Control(1e-3, 0))
    assert none.state.parameters is start
    assert none.bounds == []


def test_every_iteration_is_reported():
    X, kind, start = make_start("full", 1)
    seen = []
    control = Control(0.0, 5, report=lambda *told: bool(seen.append(told)))
    fit = run(Problem(blocks_of(X), kind), start, control)
    assert [iteration for iteration, _, _ in seen] == [1, 2, 3, 4, 5]
    assert seen[0][1] == np.inf
    assert [state.objective for _, _, state in seen] == fit.bounds
    np.testing.assert_allclose([c for _, c, _ in seen[1:]], np.diff(fit.bounds))


def test_starved_components_go_one_at_a_time_and_one_is_always_left():
    X, kind, start = make_start("full", n=40, n_components=4)
    # With n_offered so large no component is light enough to be called superfluous.
    problem = Problem(
        blocks_of(X),
        kind,
        penalty=RootPenalty(1e-9),
        min_mass=1e6,
        prune=True,
        n_offered=1000,
    )
    state, n_starved = remove(problem, evaluate(problem, start))
    assert n_starved == 1
    assert len(state.parameters.weights) == 3
    fit = run(problem, start, Control(1e-6, 100))
    assert len(fit.state.parameters.weights) == 1
    assert fit.n_starved == 3


def test_nothing_is_removed_where_nothing_may_be():
    X, kind, start = make_start("full", n=40, n_components=4)
    problem = Problem(blocks_of(X), kind, penalty=RootPenalty(10.0), min_mass=1e6)
    state = evaluate(problem, start)
    assert remove(problem, state) == (state, 0)


@pytest.mark.parametrize("name", NAMES)
def test_dropping_a_component_scales_the_others(name):
    _, kind, start = make_start(name, n_components=4)
    dropped = drop(start, kind, 1)
    rest = reference.without(as_tuple(start, kind), 1)
    for a, b in zip(as_tuple(dropped, kind), rest, strict=True):
        np.testing.assert_allclose(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_a_known_state_spares_the_first_step_and_nothing_else(name, monkeypatch):
    X, kind, start = make_start(name)
    problem = Problem(blocks_of(X), kind, reg_covar=1e-3)
    state, calls = evaluate(problem, start), []
    monkeypatch.setattr(
        _fit, "evaluate", lambda *args: calls.append(args) or evaluate(*args)
    )
    control = Control(1e-6, 50, True)
    anew = run(problem, start, control)
    n_anew = len(calls)
    known = run(problem, start, control, state)
    assert len(calls) - n_anew == n_anew - 1
    assert known.bounds == anew.bounds
    for a, b in zip(known.state.parameters, anew.state.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


def test_deletion_moves_raise_the_objective():
    # Eight components on an even stretch: a local optimum keeps seven of them.
    X = np.random.default_rng(0).uniform(0.0, 10.0, (2000, 1))
    kind, ones = TYPES["spherical"], np.ones(8)
    means = np.linspace(0.5, 9.5, 8)[:, None]
    start = Parameters(ones / 8, means, ones, ones)
    problem = Problem(
        blocks_of(X),
        kind,
        penalty=RootPenalty(0.05),
        min_mass=10.0,
        prune=True,
        n_offered=8,
    )
    control = Control(1e-7, 1000, True)
    without_moves = run(problem, start, control)
    with_moves = run_with_moves(problem, start, control)
    fewer = len(with_moves.state.parameters.weights)
    assert fewer < len(without_moves.state.parameters.weights)
    assert with_moves.state.objective > without_moves.state.objective + 1e-4
    assert with_moves.bounds[: len(without_moves.bounds)] == without_moves.bounds
    np.testing.assert_array_less(-1e-9, np.diff(with_moves.bounds))
