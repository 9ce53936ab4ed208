"""Moves between sizes, sound components, criteria: against the reference."""

import numpy as np
import pytest
import reference_mixture as reference
from scipy.linalg import eigvalsh
from strategies import spd_stack

from skgmmot._blocks import blocks_of
from skgmmot.linalg._covariances import TYPES
from skgmmot.mixture._criteria import CRITERIA, mean_entropy, n_parameters
from skgmmot.mixture._em import (
    Parameters,
    Problem,
    estimate,
    evaluate,
    gaussians_of,
    m_step,
)
from skgmmot.mixture._moves import local_splits, removals, splits
from skgmmot.mixture._soundness import bounds, extent, unsound

NAMES = ["full", "tied", "diag", "spherical"]
K, D = 3, 2
X = np.random.default_rng(0).standard_normal((200, D)) * [1.0, 3.0]
WEIGHTS = np.random.default_rng(1).uniform(0.5, 2.0, len(X))


def state_of(name, weights=None, **changes):
    """A problem, and a mixture after a step of EM with its moments."""
    kind = TYPES[name]
    problem = Problem(blocks_of(X, weights, 1), kind, **changes)
    rng = np.random.default_rng(2)
    if name in ("full", "tied"):
        covariances = spd_stack(rng, K, D)
        covariances = covariances if name == "full" else covariances[0]
    else:
        covariances = rng.uniform(0.5, 2.0, (K, D) if name == "diag" else K)
    factors = kind.precisions_cholesky(covariances)
    means = rng.standard_normal((K, D))
    start = Parameters(np.array([0.5, 0.3, 0.2]), means, covariances, factors)
    return problem, evaluate(problem, m_step(problem, evaluate(problem, start)))


def dense(problem, parameters):
    """(weights, means, covariances) as the reference reads them."""
    weights, means, covariances, _ = parameters
    return weights, means, problem.kind.dense(covariances, *means.shape)


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_are_counted(name):
    for size in (1, 2, 7):
        for d in (1, 3):
            expected = reference.n_free(name, size, d)
            assert n_parameters(TYPES[name], size, d) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_entropy_is_that_of_the_posteriors(name, weights):
    problem, state = state_of(name, weights)
    rows = reference.entropies(X, dense(problem, state.parameters))
    expected = np.average(rows, weights=weights)
    assert mean_entropy(problem, state) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("criterion", list(CRITERIA))
@pytest.mark.parametrize("weights", [None, WEIGHTS, 1e-3 * WEIGHTS])
def test_criteria_equal_the_reference(name, criterion, weights):
    problem, state = state_of(name, weights)
    mixture = dense(problem, state.parameters)
    expected = reference.criterion(criterion, X, mixture, name, weights)
    found = CRITERIA[criterion].value(problem, state, problem.blocks.mass)
    assert found == pytest.approx(expected, rel=1e-10)


def test_a_sample_pays_for_what_it_gains_by_chance():
    problem, state = state_of("full")
    mass, free = problem.blocks.mass, reference.n_free("full", K, D)
    for criterion in CRITERIA.values():
        own = criterion.value(problem, state, mass)
        many = criterion.value(problem, state, 10.0 * mass)
        prices = [criterion.price(m) for m in (mass, 10.0 * mass)]
        expected = 10.0 * (own - free * prices[0]) + free * (prices[1] + 9.0)
        assert many == pytest.approx(expected, rel=1e-12)


def test_removals_are_ordered_by_the_likelihood_that_is_lost():
    problem, state = state_of("full", prune=True)
    before = reference.objective(X, dense(problem, state.parameters))
    candidates = removals(problem, state)
    losses = [before - reference.objective(X, dense(problem, c)) for c in candidates]
    assert losses == sorted(losses)
    mixture = dense(problem, state.parameters)
    every = [
        before - reference.objective(X, reference.without(mixture, k)) for k in range(K)
    ]
    assert losses[0] == pytest.approx(min(every), rel=1e-9)
    assert len(losses) == sum(loss <= 3.0 * min(every) for loss in every)


@pytest.mark.parametrize("name", NAMES)
def test_halves_have_the_weight_and_the_mean_of_the_whole(name):
    problem, state = state_of(name)
    whole = m_step(problem, state)
    found = splits(problem, state, 0.0)
    assert len(found) == K
    for k, halves in enumerate(found):
        assert halves.weights.sum() == pytest.approx(1.0)
        assert halves.weights[k] == halves.weights[-1] == whole.weights[k] / 2.0
        middle = (halves.means[k] + halves.means[-1]) / 2.0
        np.testing.assert_allclose(middle, whole.means[k], rtol=1e-12)
        assert np.abs(halves.means[k] - halves.means[-1]).max() > 0.1
        expected = problem.kind.shape(K + 1, D)
        assert halves.covariances.shape == halves.factors.shape == expected


def test_halves_of_a_full_component_have_its_covariance():
    problem, state = state_of("full")
    whole = m_step(problem, state)
    for k, halves in enumerate(splits(problem, state, 0.0)):
        shift = halves.means[k] - whole.means[k]
        total = halves.covariances[k] + np.outer(shift, shift)
        np.testing.assert_allclose(total, whole.covariances[k], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["diag", "spherical"])
def test_halves_have_the_variances_of_the_whole(name):
    problem, state = state_of(name)
    whole = m_step(problem, state)
    for k, halves in enumerate(splits(problem, state, 0.0)):
        squares = (halves.means[k] - whole.means[k]) ** 2
        squares = squares if name == "diag" else squares.mean()
        total = halves.covariances[k] + squares
        np.testing.assert_allclose(total, whole.covariances[k], rtol=1e-10)


def test_light_components_are_not_split():
    problem, state = state_of("full")
    counts = state.moments.counts
    assert len(splits(problem, state, np.sort(counts)[1])) == 2
    assert splits(problem, state, counts.max() + 1.0) == []


def test_what_cannot_stand():
    problem, state = state_of("full")
    lightest = int(np.argmin(state.moments.counts))
    assert unsound(problem, state) is None
    few = problem._replace(min_mass=state.moments.counts[lightest] + 1e-9)
    assert unsound(few, state) == lightest
    for scales, expected in (((1e-3, 1.0), 1), ((1e-4, 1e-4), 1), ((0.05, 0.05), None)):
        covariances = np.tile(np.eye(D), (K, 1, 1))
        covariances[1] = np.diag(np.square(scales))
        factors = problem.kind.precisions_cholesky(covariances)
        changed = state.parameters._replace(covariances=covariances, factors=factors)
        assert unsound(problem, state._replace(parameters=changed)) == expected


def test_extent_does_not_depend_on_units():
    problem, state = state_of("full")
    units = np.array([1e-3, 50.0])
    parameters = state.parameters
    other = parameters._replace(
        covariances=parameters.covariances * np.outer(units, units)
    )
    found = extent(problem, state._replace(parameters=other))
    np.testing.assert_allclose(found, extent(problem, state), rtol=1e-9)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_extent_is_that_of_the_matrices(name):
    problem, state = state_of(name)
    parameters, kind = state.parameters, problem.kind
    dense = kind.dense(parameters.covariances, *parameters.means.shape)
    within = np.tensordot(parameters.weights, dense, 1)
    expected = np.array([eigvalsh(matrix, within)[[0, -1]] for matrix in dense])
    np.testing.assert_allclose(extent(problem, state), expected.T, rtol=1e-10)
    if name == "tied":
        assert unsound(problem, state) is None
    if name == "full":
        lower, upper = bounds(state)
        least, largest = extent(problem, state)
        assert np.all((least / D <= lower) & (lower <= least))
        assert np.all((largest <= upper) & (upper <= largest * D))


def test_a_single_component_is_split_along_what_its_features_share():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 3)) + 2.0 * rng.standard_normal((300, 1))
    for units in (np.ones(3), np.array([1e-3, 1.0, 1e3])):
        kind, scaled = TYPES["full"], rows * units
        problem = Problem(blocks_of(scaled, None, 1), kind)
        covariance = np.cov(scaled.T, bias=True)[None]
        factors = kind.precisions_cholesky(covariance)
        whole = Parameters(np.ones(1), scaled.mean(axis=0)[None], covariance, factors)
        (halves,) = splits(problem, evaluate(problem, whole), 0.0)
        apart = (halves.means[1] - halves.means[0]) / scaled.std(axis=0)
        np.testing.assert_allclose(np.abs(apart), 1.46, atol=0.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_splits_by_a_components_own_rows_gain_what_they_promise(name, weights):
    """Two clusters under one component: it is split first, between the clusters."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((200, D))
    rows[:60] += [12.0, 0.0]
    rows[60:120] -= [12.0, 0.0]
    rows[120:] += [0.0, 40.0]
    problem = Problem(blocks_of(rows, weights, 1), TYPES[name])
    mass = problem.blocks.mass
    groups = np.repeat([0, 1], [120, 80])
    counts = np.ones(200) if weights is None else weights
    responsibilities = np.eye(2)[groups]
    means = np.stack([rows[groups == k].mean(axis=0) for k in (0, 1)])
    moments = problem.blocks.given_moments(
        responsibilities, means, problem.kind.full_form
    )
    start = estimate(problem, moments, means)
    state = evaluate(problem, start)
    found = local_splits(problem, state, 0.0, problem.blocks)
    gained = [evaluate(problem, split).objective - state.objective for split in found]
    assert len(found) == 2
    assert gained[0] == max(gained)
    expected = [rows[:60], rows[60:120]]
    centers = [
        np.average(part, axis=0, weights=counts[i : i + 60])
        for part, i in zip(expected, (0, 60), strict=True)
    ]
    halves = found[0].means[[0, -1]]
    halves = halves[np.argsort(-halves[:, 0])]
    np.testing.assert_allclose(halves, centers, atol=0.05)
    # Jensen: no less than its own rows gain under the responsibilities before.
    posteriors = problem.blocks.posteriors(gaussians_of(start, problem.kind))
    own = counts * posteriors[:, 0]
    weights_, means_, covariances_ = dense(problem, found[0])
    pair = reference.log_densities(
        rows,
        (
            weights_[[0, -1]] / weights_[[0, -1]].sum(),
            means_[[0, -1]],
            covariances_[[0, -1]],
        ),
    )
    _, m, c = dense(problem, start)
    whole = reference.log_densities(rows, (np.ones(1), m[:1], c[:1]))
    assert gained[0] >= own @ (pair - whole) / mass - 1e-9


def test_no_split_along_a_constant_feature():
    rng = np.random.default_rng(0)
    rows = np.c_[rng.normal(size=(200, 2)), np.full(200, 7.0)]
    problem = Problem(blocks_of(rows), TYPES["spherical"], reg_covar=0.0)
    ones = np.ones(2)
    start = Parameters(np.full(2, 0.5), rows[:2].copy(), ones, ones)
    found = splits(problem, evaluate(problem, start), 0.0)
    assert len(found) == 2
    for candidate in found:
        np.testing.assert_allclose(candidate.means[:, 2], 7.0, rtol=1e-14)
        assert np.ptp(candidate.means[:, :2], axis=0).max() > 0.1
