"""The linear system of linked weights: dense and sparse, and by plain derivatives."""

import numpy as np
import pytest
from test_mixture_coupled_links import GRAPHS, random_graph

from skgmmot.linalg._covariances import Full
from skgmmot.mixture.coupled import _graph_system
from skgmmot.mixture.coupled._fit import matching_orders
from skgmmot.mixture.coupled._graph_shifts import agreeing_shifts
from skgmmot.mixture.coupled._graph_system import curves_at, potentials
from skgmmot.mixture.coupled._m_step import transport_plans
from skgmmot.mixture.coupled._records import (
    CoupledProblem,
    Link,
    parameters_of,
    sample_slices,
    stacked_moments,
)
from skgmmot.mixture.coupled._tree import branches
from skgmmot.mixture.coupled._weights import solve_programme, weights_programme

LONG = {
    "long chain": [(t, t + 1) for t in range(9)],
    "wide star": [(t, 0) for t in range(1, 10)],
    "tree": [(0, 1), (2, 1), (3, 1), (3, 4), (5, 3), (5, 6), (6, 7)],
    "two cycles": [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2)],
}


def graph_of(links, reg_m=None, frozen=None, reg=0.1):
    n_samples = 1 + max(map(max, links))
    penalties = None if reg_m is None else (reg_m,) * n_samples
    moments, samples, problem = random_graph(
        0, links, frozen=frozen, reg=reg, reg_m=penalties
    )
    stack = stacked_moments(moments, problem)
    slices = sample_slices(samples)
    programme = weights_programme(samples, stack, slices, problem)
    rng = np.random.default_rng(1)
    costs = [
        rng.uniform(0.0, 1.0, (a.stop - a.start, b.stop - b.start))
        for a, b in programme.ends
    ]
    return programme, costs


@pytest.mark.parametrize("frozen", [None, 0, 1])
@pytest.mark.parametrize("reg_m", [None, 0.5])
@pytest.mark.parametrize("name", [*GRAPHS, *LONG])
def test_sparse_and_dense_systems_have_one_solution(monkeypatch, name, reg_m, frozen):
    links = {**GRAPHS, **LONG}[name]
    fixed = [t == frozen for t in range(1 + max(map(max, links)))]
    programme, _ = graph_of(links, reg_m, tuple(fixed))
    rng = np.random.default_rng(2)
    for graph in programme.graphs:
        plan = rng.uniform(0.1, 1.0, len(graph.first))
        sums = graph.sums(plan)
        curves = curves_at(graph, sums)
        mobility = rng.uniform(0.1, 1.0, plan.shape)
        # Right sides of a step are in the range of the system, which may be singular.
        right = graph.sums(mobility * rng.standard_normal(plan.shape))
        found = []
        for most in (0, 10_000):
            monkeypatch.setattr(_graph_system, "_DENSE", most)
            p = potentials(graph, curves, mobility, right)
            found.append(p[graph.first] + p[graph.second])
        np.testing.assert_allclose(*found, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("reg", [0.0, 0.1])
@pytest.mark.parametrize("reg_m", [None, 0.5])
@pytest.mark.parametrize("name", LONG)
def test_many_links_are_solved_alike_by_both(monkeypatch, name, reg_m, reg):
    found = []
    for most in (0, 10_000):
        monkeypatch.setattr(_graph_system, "_DENSE", most)
        programme, costs = graph_of(LONG[name], reg_m, reg=reg)
        found.append(solve_programme(programme, costs))
    assert found[0].loss == pytest.approx(found[1].loss, abs=1e-9)
    np.testing.assert_allclose(found[0].weights, found[1].weights, atol=1e-6)


@pytest.mark.parametrize("name", LONG)
def test_compliances_invert_the_curvature_of_the_penalised_objective(name):
    # Of one node by itself: slopes of the closed form, by differences.
    programme, _ = graph_of(LONG[name], 0.5)
    (graph,) = programme.graphs
    rng = np.random.default_rng(3)
    sums = rng.uniform(0.2, 0.4, len(graph.entropy))
    step = 1e-6
    base = curves_at(graph, sums)
    hessian = np.empty((len(sums), len(sums)))
    for i in range(len(sums)):
        ahead, behind = sums.copy(), sums.copy()
        ahead[i] += step
        behind[i] -= step
        slopes = curves_at(graph, ahead).slopes - curves_at(graph, behind).slopes
        hessian[i] = slopes / (2 * step)
    compliance = np.zeros_like(hessian)
    for nodes, (own, arms, joint) in zip(graph.nodes, base.compliances, strict=True):
        for places, d, e, n in zip(nodes.marginals, own, arms, joint, strict=True):
            flat = places.ravel()
            full = np.concatenate([np.diag(row) for row in e])
            compliance[np.ix_(flat, flat)] = np.diag(d.ravel()) + full @ n @ full.T
    np.testing.assert_allclose(compliance @ hessian, np.eye(len(sums)), atol=1e-6)


def test_a_tree_reaches_every_sample_after_its_parent():
    links = [Link(0, 1), Link(2, 1), Link(2, 3), Link(3, 0), Link(5, 6)]
    tree = branches(7, links, 1)
    assert [branch.sample for branch in tree] == [0, 2, 3, 4, 5, 6]
    reached = {1}
    for branch in tree:
        assert branch.parent in reached
        reached.add(branch.sample)
        if branch.link is None:
            continue
        link = links[branch.link]
        ends = (link.first, link.second)
        assert ends == (
            (branch.sample, branch.parent)
            if branch.forward
            else (branch.parent, branch.sample)
        )
    assert [branch.link for branch in tree] == [0, 1, 3, None, None, 4]


def test_orders_follow_the_plans_along_the_tree():
    rng = np.random.default_rng(0)
    true = [rng.permutation(3) for _ in range(3)]
    plans = []
    for a, b in ((0, 1), (2, 1)):
        plan = np.zeros((3, 3))
        plan[true[a], true[b]] = 1 / 3
        plans.append(plan)
    links = [Link(0, 1), Link(2, 1)]
    orders = matching_orders(plans, [True] * 3, branches(3, links, 0))
    orders[0] = np.arange(3)
    for plan, link in zip(plans, links, strict=True):
        matched = plan[orders[link.first]][:, orders[link.second]]
        np.testing.assert_array_equal(matched, np.eye(3) / 3)
    assert matching_orders(plans, [False] * 3, branches(3, links, 0)) == {}


# Free shifts.


def hub(seed, n_links, reg_m=0.3):
    """Samples of one component around one of three, each a little nearer to its own."""
    rng = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    scales = np.array([1.0, 1.05, 1.1])
    samples = [
        parameters_of(
            Full, np.full(3, 1 / 3), means, scales[:, None, None] ** 2 * np.eye(2)
        )
    ]
    for i in range(n_links):
        mean, scale = rng.normal(0, 9, (1, 2)), scales[i % 3]
        samples.append(
            parameters_of(Full, np.ones(1), mean, scale**2 * np.eye(2)[None])
        )
    links = tuple(Link(i + 1, 0, free_shift=True) for i in range(n_links))
    free = (False,) * len(samples)
    return samples, CoupledProblem(
        Full, links, 0.2, 0.01, (reg_m,) * len(samples), frozen=free
    )


def partners(samples, problem, shifts):
    """The component of the hub that each link goes to."""
    centre = samples[0].means
    found = []
    for link, shift in zip(problem.links, shifts, strict=True):
        gaps = np.linalg.norm(samples[link.first].means[0] + shift - centre, axis=1)
        assert gaps.min() < 0.1
        found.append(int(gaps.argmin()))
    return found


@pytest.mark.parametrize("n_links", [2, 3, 6, 12])
def test_free_shifts_of_links_that_share_a_sample_agree(n_links):
    samples, problem = hub(0, n_links)
    alone = [plan.shift for plan in transport_plans(samples, problem, warn=False)]
    assert partners(samples, problem, alone) == [i % 3 for i in range(n_links)]
    together = agreeing_shifts(samples, problem)
    assert len(set(partners(samples, problem, together))) == 1


def test_shifts_are_chosen_only_where_links_have_a_choice():
    samples, problem = hub(0, 3)
    assert agreeing_shifts(samples, problem._replace(reg_m=None)) is None
    assert agreeing_shifts(samples, problem._replace(links=problem.links[:1])) is None
    fixed = tuple(link._replace(free_shift=False) for link in problem.links)
    assert agreeing_shifts(samples, problem._replace(links=fixed)) is None
    # A hub that is frozen has no weights to be raised: links choose by themselves.
    held = problem._replace(frozen=(True, *problem.frozen[1:]))
    chosen = partners(samples, problem, agreeing_shifts(samples, held))
    assert chosen == [0, 1, 2]
