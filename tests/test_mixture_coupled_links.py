"""Links of the coupled fit: frames between two samples, and more than two samples."""

import numpy as np
import pytest
import reference_coupled as reference
from numpy.testing import assert_allclose, assert_array_equal
from test_mixture_coupled import (
    Case,
    dense,
    objective_at,
    random_case,
    random_covariances,
    repeat,
    slopes,
)

from skgmmot._blocks import blocks_of
from skgmmot.linalg._covariances import Diag, Full
from skgmmot.mixture._fit import Control
from skgmmot.mixture.coupled._fit import e_step, run_coupled, run_from_best
from skgmmot.mixture.coupled._m_step import m_step, transport_plans
from skgmmot.mixture.coupled._records import (
    CoupledProblem,
    Link,
    SampleMoments,
    check_links,
    parameters_of,
    sample_slices,
    stacked_moments,
)
from skgmmot.mixture.coupled._weights import (
    evaluate_programme,
    solve_programme,
    weights_programme,
)

CONVERGED = {"max_sweeps": 50, "gain_fraction": 0.0}
GRAPHS = {
    "chain": [(0, 1), (1, 2)],
    "star": [(2, 0), (1, 2), (2, 3)],
    "cycle": [(0, 1), (2, 1), (0, 2)],
    "twice": [(0, 1), (0, 1), (1, 2)],
}


def random_frame(rng, d, diagonal, link=None):
    """A link with a frame of every kind, A as a matrix beside it."""
    matrix = rng.standard_normal(d) if diagonal else rng.standard_normal((d, d))
    link = Link(0, 1) if link is None else link
    link = link._replace(
        matrix=matrix,
        shift=rng.standard_normal(d),
        metric=np.exp(rng.uniform(-1, 1, d)),
    )
    return link, np.diag(matrix) if diagonal else matrix


def seen(means, covariances, matrix, shift, diagonal):
    """Means and covariances moved by x -> A x + b."""
    if diagonal:
        return means @ matrix.T + shift, covariances @ np.square(matrix).T
    return means @ matrix.T + shift, matrix @ covariances @ matrix.T


def random_graph(seed, links, frozen=None, diagonal=False, **changes):
    """A random M-step of as many samples as the links speak of."""
    rng = np.random.default_rng(seed)
    n_samples, d = 1 + max(map(max, links)), 2
    kind = Diag if diagonal else Full
    moments, samples = [], []
    for k in rng.integers(2, 4, n_samples):
        means = rng.standard_normal((2, k, d))
        scatters, covariances = (
            0.3 * random_covariances(rng, k, d, diagonal) for _ in range(2)
        )
        counts, weights = rng.dirichlet(np.full(k, 3.0), 2)
        moments.append(SampleMoments(counts, means[0], scatters))
        samples.append(parameters_of(kind, weights, means[1], covariances))
    problem = CoupledProblem(
        kind,
        tuple(Link(a, b, weight=rng.uniform(0.5, 2)) for a, b in links),
        transport_weight=0.3,
        frozen=(False,) * n_samples if frozen is None else frozen,
    )
    reg_m = changes.pop("reg_m", None)
    if reg_m is not None:
        reg_m = tuple(reg_m * rng.uniform(0.5, 2, n_samples))
    return Case(
        tuple(moments), tuple(samples), problem._replace(reg_m=reg_m, **changes)
    )


# Frames.


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("out", [False, True])
def test_framed_costs_are_those_of_the_slow_truth(out, seed, diagonal):
    case = random_case(seed, diagonal)
    rng, d = np.random.default_rng(seed), case.sides[0].means.shape[1]
    link, matrix = random_frame(rng, d, diagonal)
    if out:
        link.metric[0] = np.inf
    problem = case.problem._replace(links=(link,), frozen=(False, False))
    ((_, plan),) = transport_plans(case.sides, problem, warn=False)
    table = reference.framed_costs(
        *map(dense, case.sides), matrix, link.shift, link.metric
    )
    # sqrtm of the trace formula keeps half the digits.
    assert_allclose(plan.costs, table, rtol=1e-6, atol=1e-6 * (1 + table.max()))
    _, state = m_step(case.moments, case.sides, problem)
    assert state.plans[0].costs.shape == table.shape


@pytest.mark.parametrize("frozen", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("reg_m", [None, (1.0, 2.0)])
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_frame_is_the_m_step_of_transformed_data(seed, diagonal, reg_m, frozen):
    case = random_case(
        seed, diagonal, spread=1.0, reg=0.01, reg_m=reg_m, frozen=frozen,
        transport_weight=0.2,
    )  # fmt: skip
    rng, d = np.random.default_rng(seed), case.sides[0].means.shape[1]
    link, matrix = random_frame(rng, d, diagonal)
    scales = np.diag(1 / np.sqrt(link.metric))
    frames = [(scales @ matrix, scales @ link.shift), (scales, np.zeros(d))]
    moments, sides = [], []
    for m, s, frame in zip(case.moments, case.sides, frames, strict=True):
        moments.append(m._replace(**dict(zip(
            ("means", "scatters"), seen(m.means, m.scatters, *frame, diagonal),
            strict=True,
        ))))  # fmt: skip
        moved = seen(s.means, s.covariances, *frame, diagonal)
        sides.append(parameters_of(case.problem.kind, s.weights, *moved))
    framed = case._replace(problem=case.problem._replace(links=(link,)))
    plain = Case(tuple(moments), tuple(sides), case.problem)
    # The volumes of both samples' units are the whole difference of the objectives.
    volume = sum(np.linalg.slogdet(frame[0])[1] for frame in frames)
    assert_allclose(
        objective_at(framed, framed.sides),
        objective_at(plain, plain.sides) + volume,
        rtol=1e-9,
    )
    found, _, values = repeat(framed, 15, **CONVERGED)
    wanted, _, plain_values = repeat(plain, 15, **CONVERGED)
    assert np.diff(values).min() > -1e-9
    assert_allclose(values[-1], plain_values[-1] + volume, atol=1e-9)
    for one, other, frame in zip(found, wanted, frames, strict=True):
        means, covariances = seen(one.means, one.covariances, *frame, diagonal)
        assert_allclose(one.weights, other.weights, atol=2e-5)
        assert_allclose(means, other.means, atol=2e-5 * np.abs(other.means).max())
        assert_allclose(
            covariances, other.covariances, atol=2e-5 * other.covariances.max()
        )


@pytest.mark.parametrize("diagonal", [False, True])
def test_an_identity_told_is_an_identity_left_out(diagonal):
    case = random_case(3, diagonal, spread=1.0, frozen=(False, False))
    d = case.sides[0].means.shape[1]
    told = Link(0, 1, 1.0, np.ones(d), np.zeros(d), np.ones(d))
    framed = case.problem._replace(links=(told,))
    wanted, state = m_step(*case.arguments)
    found, framed_state = m_step(case.moments, case.sides, framed)
    assert_allclose(framed_state.transport, state.transport, rtol=1e-9)
    for one, other in zip(found, wanted, strict=True):
        for part, expected in zip(one, other, strict=True):
            assert_allclose(part, expected, atol=1e-9)


def test_a_far_shift_costs_no_digits():
    case = random_case(5, spread=1.0, frozen=(False, False))
    far, d = 1e7, case.sides[0].means.shape[1]
    wanted, state = m_step(*case.arguments)
    moments = case.moments[0]._replace(means=case.moments[0].means + far)
    side = case.sides[0]._replace(means=case.sides[0].means + far)
    link = Link(0, 1, shift=np.full(d, -far))
    found, far_state = m_step(
        (moments, case.moments[1]),
        (side, case.sides[1]),
        case.problem._replace(links=(link,)),
    )
    assert_allclose(far_state.transport, state.transport, rtol=1e-6)
    assert_allclose(found[0].means - far, wanted[0].means, atol=1e-6)
    assert_allclose(found[1].covariances, wanted[1].covariances, atol=1e-6)


def test_a_feature_of_infinite_metric_takes_no_part():
    case = random_case(
        7, True, spread=1.0, reg_m=None, frozen=(False, False), reg_covar=0.0
    )
    d = case.sides[0].means.shape[1]
    assert d > 1
    metric = np.ones(d)
    metric[0] = np.inf
    problem = case.problem._replace(links=(Link(0, 1, metric=metric),))
    samples, _, values = repeat(case._replace(problem=problem), 10, **CONVERGED)
    assert np.diff(values).min() > -1e-9
    for sample, moments in zip(samples, case.moments, strict=True):
        assert_allclose(sample.means[:, 0], moments.means[:, 0], atol=1e-6)
        assert_allclose(sample.covariances[:, 0], moments.scatters[:, 0], rtol=1e-5)
        assert np.abs(sample.means[:, 1] - moments.means[:, 1]).max() > 1e-3


# More than two samples.


@pytest.mark.filterwarnings("ignore:Values in x were outside bounds:RuntimeWarning")
@pytest.mark.parametrize("frozen", [0, 1, None])
@pytest.mark.parametrize("reg_m", [None, 1.0])
@pytest.mark.parametrize("reg", [0.0, 0.1])
@pytest.mark.parametrize("graph", GRAPHS)
def test_weights_of_graphs_are_those_of_a_general_solver(graph, reg, reg_m, frozen):
    links = GRAPHS[graph]
    n_samples = 1 + max(map(max, links))
    stays = tuple(t == frozen for t in range(n_samples))
    case = random_graph(1, links, stays, reg=reg, reg_m=reg_m)
    problem = case.problem._replace(transport_weight=1.0)
    problem = problem._replace(links=tuple(Link(*ends) for ends in links))
    rng = np.random.default_rng(2)
    sizes = [len(sample.weights) for sample in case.sides]
    costs = [rng.random((sizes[a], sizes[b])) for a, b in links]
    moments = stacked_moments(case.moments, problem)
    slices = sample_slices(case.sides)
    programme = weights_programme(case.sides, moments, slices, problem)
    found = solve_programme(programme, costs)
    counts = [
        sample.weights if stay else m.counts
        for sample, m, stay in zip(case.sides, case.moments, stays, strict=True)
    ]
    value, weights = reference.linked_weights(
        costs, links, counts, stays, reg, problem.reg_m
    )
    assert_allclose(found.loss, value, atol=1e-7)
    assert found.loss <= value + 1e-9
    assert_allclose(found.weights, np.concatenate(weights), atol=2e-3)
    # A warm start of other costs ends there too, and plans give back their solution.
    starts = list(zip(found.plans, found.slacks, strict=True))
    assert_allclose(evaluate_programme(programme, costs, starts).loss, found.loss)
    near = [table * (1 + 0.1 * rng.random(table.shape)) for table in costs]
    warm, cold = (solve_programme(programme, near, s).loss for s in (starts, None))
    assert_allclose(warm, cold, atol=1e-9)
    if reg_m is None:
        for plan, (a, b) in zip(found.plans, links, strict=True):
            assert_allclose(plan.sum(1), found.weights[slices[a]], atol=1e-10)
            assert_allclose(plan.sum(0), found.weights[slices[b]], atol=1e-10)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("reg_m", [None, 0.5])
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("seed", range(3))
def test_q_of_graphs_never_falls(seed, graph, reg_m, diagonal):
    reg = [0.0, 1e-3, 0.1][seed]
    case = random_graph(seed, GRAPHS[graph], diagonal=diagonal, reg=reg, reg_m=reg_m)
    sides, _, values = repeat(case, 4)
    assert np.diff(values).min() >= -1e-9
    assert values[-1] > values[0] + 1e-3
    assert_allclose(values[-1], objective_at(case, sides), rtol=1e-7)


@pytest.mark.parametrize("frozen", [None, 1])
@pytest.mark.parametrize("reg_m", [None, 0.5])
@pytest.mark.parametrize("diagonal", [False, True])
def test_graphs_end_where_q_is_stationary(diagonal, reg_m, frozen):
    links = GRAPHS["chain"]
    stays = tuple(t == frozen for t in range(3))
    # Weak entropy leaves entries of 1e-8: a kink to differences of 1e-5.
    case = random_graph(
        4, links, stays, diagonal, reg=1.0, reg_m=reg_m, transport_weight=0.1
    )
    rng = np.random.default_rng(0)
    framed = random_frame(rng, 2, diagonal, case.problem.links[1])[0]
    problem = case.problem._replace(links=(case.problem.links[0], framed))
    case = case._replace(problem=problem)
    sides, _, values = repeat(case, 60, **CONVERGED)
    assert values[-1] - values[-2] < 1e-12
    assert slopes(case, case.sides, diagonal) > 1e-2
    assert slopes(case, sides, diagonal) < 2e-6


@pytest.mark.parametrize("reg_m", [None, 0.5])
def test_two_halves_of_a_link_are_the_link(reg_m):
    case = random_graph(2, [(0, 1)], reg=0.01, reg_m=reg_m)
    halves = tuple(
        Link(a, b, weight=case.problem.links[0].weight / 2) for a, b in ((0, 1), (1, 0))
    )
    split = case._replace(problem=case.problem._replace(links=halves))
    wanted, state, values = repeat(case, 10, **CONVERGED)
    found, split_state, split_values = repeat(split, 10, **CONVERGED)
    assert_allclose(split_values[-1], values[-1], atol=1e-9)
    assert_allclose(split_state.transport, state.transport, rtol=1e-4)
    for one, other in zip(found, wanted, strict=True):
        assert_allclose(one.weights, other.weights, atol=1e-4)
        assert_allclose(one.means, other.means, atol=1e-4)


def test_links_that_share_no_free_sample_are_separate_pairs():
    # A star about a frozen reference, and a sample that is linked to nothing.
    links = [(1, 0), (0, 2)]
    case = random_graph(3, [*links, (2, 3)], (True, False, False, False), reg=0.01)
    problem = case.problem._replace(links=case.problem.links[:2])
    found, state = m_step(case.moments, case.sides, problem, None)
    assert_allclose(found[3].weights, case.moments[3].counts, rtol=1e-12)
    assert_allclose(found[3].means, case.moments[3].means, atol=1e-12)
    for link in problem.links:
        ends = link.first, link.second
        pair = problem._replace(
            links=(link._replace(first=0, second=1),),
            frozen=tuple(problem.frozen[t] for t in ends),
        )
        alone = Case(
            tuple(case.moments[t] for t in ends),
            tuple(case.sides[t] for t in ends),
            pair,
        )
        wanted, _, _ = repeat(alone, 10, **CONVERGED)
        together, _, _ = repeat(case._replace(problem=problem), 10, **CONVERGED)
        for t, other in zip(ends, wanted, strict=True):
            assert_allclose(together[t].weights, other.weights, atol=1e-5)
            assert_allclose(together[t].means, other.means, atol=1e-5)
            assert_allclose(together[t].covariances, other.covariances, atol=1e-5)
    assert len(state.plans) == 2


def test_a_chain_without_weight_is_the_plain_m_step():
    case = random_graph(5, GRAPHS["chain"], transport_weight=0.0)
    samples, state = m_step(*case.arguments)
    assert state is None
    for sample, moments in zip(samples, case.moments, strict=True):
        assert_allclose(sample.weights, moments.counts, rtol=1e-12)
        assert_allclose(sample.means, moments.means, atol=1e-12)


@pytest.mark.parametrize("reg_m", [None, 0.5])
def test_a_chain_of_three_samples_is_fitted(reg_m):
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0], [5.0, 0.0]])
    rows = [
        centers[rng.integers(2, size=200)] + 0.4 * t + rng.standard_normal((200, 2))
        for t in range(3)
    ]
    case = random_graph(0, GRAPHS["chain"], reg=0.01, reg_m=reg_m)
    problem = case.problem._replace(
        blocks=tuple(blocks_of(x) for x in rows), transport_weight=0.05
    )
    start = tuple(
        parameters_of(
            Full, np.full(2, 0.5), centers + 0.4 * t, np.array([np.eye(2)] * 2)
        )
        for t in range(3)
    )
    fit = run_coupled(problem, e_step(problem, start), Control(1e-9, 300, True))
    assert fit.converged
    assert np.diff(fit.bounds).min() > -1e-9
    assert_allclose(e_step(problem, fit.state.point).objective, fit.state.objective)
    alone = problem._replace(transport_weight=0.0)
    apart = run_coupled(alone, e_step(alone, start), Control(1e-9, 300, True))
    values = [
        sum(found.plan.value for found in transport_plans(f.state.point, problem))
        for f in (fit, apart)
    ]
    assert values[0] < values[1]
    assert e_step(problem, apart.state.point).objective < fit.state.objective


# Refusals.


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (Link(0, 0), "two different samples below 2, got 0 and 0"),
        (Link(0, 2), "two different samples below 2, got 0 and 2"),
        (Link(0, 1, weight=0.0), "weights above 0"),
        (Link(0, 1, metric=np.zeros(2)), "metrics above 0"),
        (Link(0, 1, metric=np.inf), "finite unit"),
        (Link(0, 1, shift=np.zeros(3)), r"shift of shape \(2,\), got \(3,\)"),
        (Link(0, 1, matrix=np.eye(2)), r"matrix of shape \(2,\), got \(2, 2\)"),
    ],
)
def test_links_that_would_be_misread_are_refused(link, message):
    case = random_graph(0, [(0, 1)], diagonal=True)
    problem = case.problem._replace(links=(link,))
    with pytest.raises(ValueError, match=message):
        run_from_best(problem, [case.sides], Control(1e-6, 10))


def test_settings_of_samples_are_counted():
    case = random_graph(0, [(0, 1)])
    with pytest.raises(ValueError, match="reg_m: expected 2 values, got 3"):
        check_links(case.problem._replace(reg_m=(1.0,) * 3), 2, 2)


def test_a_frozen_sample_of_a_graph_stays():
    case = random_graph(6, GRAPHS["chain"], (False, True, False), reg=0.01)
    sides, _, values = repeat(case, 3)
    for new, old in zip(sides[1], case.sides[1], strict=True):
        assert_array_equal(new, old)
    assert values[-1] > values[0]
