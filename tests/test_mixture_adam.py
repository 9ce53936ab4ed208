"""Gradient ascent: derivatives by finite differences, and the spiral's objective."""

import numpy as np
import pytest
import reference_mixture as reference
from strategies import spd_stack

from skgmmot import SparseGaussianMixture
from skgmmot._blocks import blocks_of
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture._adam import gradients, run_adam
from skgmmot.mixture._em import Parameters, Problem, evaluate
from skgmmot.mixture._fit import Control
from skgmmot.mixture._penalty import RootPenalty

NAMES = ["full", "tied", "diag", "spherical"]
K, D = 3, 2


def softmax(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def make_point(name, seed=0):
    """Rows, weights of rows, and a point in the coordinates of the ascent."""
    rng = np.random.default_rng(seed)
    kind = TYPES[name]
    X = 1.5 * rng.standard_normal((40, D))
    covariances = {
        "full": lambda: spd_stack(rng, K, D, 10.0),
        "tied": lambda: spd_stack(rng, 1, D, 10.0)[0],
        "diag": lambda: rng.uniform(0.5, 2.0, (K, D)),
        "spherical": lambda: rng.uniform(0.5, 2.0, K),
    }[name]()
    roots = kind.precisions_cholesky(covariances)
    logits, means = rng.standard_normal(K), rng.standard_normal((K, D))
    return X, rng.uniform(0.5, 2.0, len(X)), kind, [logits, means, roots]


@pytest.mark.parametrize("price", [0.0, 0.3])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_by_finite_differences(name, price):
    X, rows, kind, point = make_point(name)

    def objective(logits, means, roots):
        covariances = kind.dense(kind.covariances(roots), K, D)
        return reference.objective(
            X, (softmax(logits), means, covariances), price, rows
        )

    parameters = Parameters(
        softmax(point[0]), point[1], kind.covariances(point[2]), point[2]
    )
    problem = Problem(blocks_of(X, rows), kind, penalty=RootPenalty(price))
    found = gradients(problem, evaluate(problem, parameters), point[2])
    step = 1e-4
    for part, gradient in enumerate(found):
        assert gradient.shape == point[part].shape
        for index in np.ndindex(gradient.shape):
            values = []
            for factor in (-2, -1, 1, 2):  # differences of the fourth order
                moved = [p.copy() for p in point]
                moved[part][index] += factor * step
                values.append(objective(*moved))
            slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / 12 / step
            assert gradient[index] == pytest.approx(slope, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_ascent_rises_and_keeps_its_parameters_together(name):
    X, rows, kind, point = make_point(name, 1)
    parameters = Parameters(
        softmax(point[0]), point[1], kind.covariances(point[2]), point[2]
    )
    problem = Problem(
        blocks_of(X, rows), kind, penalty=RootPenalty(0.05), reg_covar=1e-3
    )
    fit = run_adam(problem, parameters, Control(0.0, 100), 0.02, np.ones(D))
    assert len(fit.bounds) == 100
    assert not fit.converged
    assert fit.state.objective > fit.bounds[0] + 0.01
    found = fit.state.parameters
    dense = kind.dense(found.covariances, K, D)
    assert np.linalg.eigvalsh(dense).min() >= 0.999e-3  # the floor holds
    mixture = (found.weights, found.means, dense)
    objective = reference.objective(X, mixture, 0.05, rows)
    assert fit.state.objective == pytest.approx(objective, rel=1e-9)
    np.testing.assert_allclose(
        kind.covariances(found.factors), found.covariances, rtol=1e-9
    )


def test_variances_are_floored_where_rows_coincide():
    X = np.zeros((50, D))
    kind = TYPES["full"]
    eye = np.eye(D)[None]
    problem = Problem(blocks_of(X), kind, reg_covar=0.25)
    start = Parameters(np.ones(1), np.zeros((1, D)), eye, eye)
    fit = run_adam(problem, start, Control(0.0, 400), 0.1, np.ones(D))
    values = np.linalg.eigvalsh(fit.state.parameters.covariances[0])
    np.testing.assert_allclose(values, 0.25, rtol=1e-3)


def test_ascent_stops_by_tol():
    X, rows, kind, point = make_point("diag", 2)
    parameters = Parameters(
        softmax(point[0]), point[1], kind.covariances(point[2]), point[2]
    )
    problem = Problem(blocks_of(X, rows), kind, reg_covar=1e-2)
    fit = run_adam(problem, parameters, Control(0.05, 2000), 0.05, np.ones(D))
    assert fit.converged
    assert 20 <= len(fit.bounds) < 2000
    assert np.ptp(fit.bounds[-20:]) < 0.05


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_spiral_after_501_steps(spiral_problem):
    mixture = SparseGaussianMixture(
        30, sparsity=20.0, solver="adam", max_iter=501, tol=0.0,
        weights_init=np.full(30, 1 / 30), means_init=spiral_problem["means_init"],
        precisions_init=np.tile(225.0 * np.eye(2), (30, 1, 1)),
    ).fit(spiral_problem["X"])  # fmt: skip
    assert mixture.n_iter_ == len(mixture.lower_bounds_) == 501
    assert mixture.lower_bound_ >= 0.40
    found = (mixture.weights_, mixture.means_, mixture.covariances_)
    X = spiral_problem["X"][::20].astype(float)
    mean = np.mean(reference.log_densities(X, found))
    assert mixture.score(X) == pytest.approx(mean, rel=1e-6)
