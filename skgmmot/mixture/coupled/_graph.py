"""Weights and plans of links that share free samples: one programme for all of them.

    minimise  sum_links w OT(plan; pi_first, pi_second) - sum_t sum_k n_tk log pi_tk

over all plans and weights, by a primal-dual interior-point method. Balanced: every plan
at a sample has the sample's weights for its marginal. Unbalanced: a sample's weights
have a closed form in the marginals of all its plans,

    pi_k ~ n_k + sum_links w (reg_m + reg) marginal_k.

A step is one linear system in the potentials of all marginals (`_graph_system`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skgmmot.mixture.coupled._graph_problem import GraphProblem
from skgmmot.mixture.coupled._graph_system import (
    LEAST_CURVATURE,
    curves_at,
    node_weights,
    potentials,
)

_BARRIER_END = 1e-13  # nats of complementarity at which the barrier is gone
_MAX_STEPS = 80
_MAX_WARM_STEPS = 6
_SMALL_STEP = 1e-9  # sum of change^2 / plan of a last step
_SETTLED = 0.1  # relative change of an entry: a tiny one may be about to grow
_TO_BOUNDARY = 0.995
_TINY = 1e-300


class LinkSolution(NamedTuple):
    """Plan and slacks of one link, and w OT."""

    plan: np.ndarray
    slack: np.ndarray
    transport: float


class GraphSolution(NamedTuple):
    """What `solve_graph` finds."""

    links: list[LinkSolution]
    weights: list[tuple[np.ndarray, np.ndarray]]  # of components, and where they stand
    loss: float


def solve_graph(
    problem: GraphProblem, costs: Sequence[np.ndarray], starts: Sequence | None
) -> GraphSolution:
    """Best plans and weights; `costs` and `starts` are those of all links there are."""
    table = _flat([costs[i] for i in problem.links])
    found = None
    if starts is not None:
        plan, slack = (
            _flat([starts[i][part] for i in problem.links]) for part in range(2)
        )
        plan, slack, done = _interior_point(problem, table, plan, slack, warm=True)
        found = _solution(problem, table, plan, slack)
        if done:
            return found
    plan, slack = _interior_start(problem, table)
    plan, slack, _ = _interior_point(problem, table, plan, slack, warm=False)
    solution = _solution(problem, table, plan, slack)
    return found if found is not None and found.loss < solution.loss else solution


def evaluate_graph(
    problem: GraphProblem, costs: Sequence[np.ndarray], starts: Sequence
) -> GraphSolution:
    """The solution that belongs to given plans."""
    table = _flat([costs[i] for i in problem.links])
    plan, slack = (_flat([starts[i][part] for i in problem.links]) for part in range(2))
    return _solution(problem, table, plan, slack)


def _flat(tables: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(table) for table in tables])


def _solution(
    problem: GraphProblem, costs: np.ndarray, plan: np.ndarray, slack: np.ndarray
) -> GraphSolution:
    marginals, e = problem.sums(plan), problem.entry_entropy
    weights = [(n, node_weights(problem, n, marginals)) for n in problem.nodes]
    terms = plan * (costs + e * (np.log(np.maximum(plan, _TINY)) - 1))
    sides, data = np.zeros_like(marginals), 0.0
    for nodes, w in weights:
        log_w, s = np.log(np.maximum(w, _TINY)), marginals[nodes.marginals]
        entropy = problem.entropy[nodes.marginals]
        sides[nodes.marginals] = -entropy * s * log_w[:, None]
        if problem.penalty.size > 0:
            ratio = np.log(np.maximum(s, _TINY)) - log_w[:, None]
            price = s * ratio - s + w[:, None]
            sides[nodes.marginals] += problem.penalty[nodes.marginals] * price
        if nodes.free:
            data += float((nodes.counts * log_w).sum())
    links, entry, side = [], 0, 0
    for shape in problem.shapes:
        entries = slice(entry, entry + shape[0] * shape[1])
        both = slice(side, side + sum(shape))
        value = terms[entries].sum() + sides[both].sum() + problem.entropy[side]
        parts = plan[entries].reshape(shape), slack[entries].reshape(shape)
        links.append(LinkSolution(*parts, float(value)))
        entry, side = entries.stop, both.stop
    loss = sum(link.transport for link in links) - data
    return GraphSolution(links, [(n.components, w) for n, w in weights], loss)


def _interior_start(
    problem: GraphProblem, costs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    # The products of the weights: all marginals are right, every entry is alive.
    weights = np.empty(len(problem.entropy))
    for nodes in problem.nodes:
        own = nodes.counts if nodes.free else nodes.fixed
        weights[nodes.marginals] = own[:, None]
    plan = weights[problem.first] * weights[problem.second]
    spread = costs.max() - costs.min() + problem.entropy.max() + 1e-3
    return plan, np.full_like(plan, spread)


def _direction(
    problem: GraphProblem,
    costs: np.ndarray,
    plan: np.ndarray,
    slack: np.ndarray,
    barrier: float,
) -> np.ndarray:
    marginals = problem.sums(plan)
    curves, e = curves_at(problem, marginals), problem.entry_entropy
    slope = costs + e * np.log(plan) - barrier / plan
    slope += curves.slopes[problem.first] + curves.slopes[problem.second]
    mobility = plan / (e + slack + LEAST_CURVATURE)
    right = problem.sums(mobility * slope) + curves.missing
    lifts = potentials(problem, curves, mobility, right)
    lift = lifts[problem.first] + lifts[problem.second]
    return mobility * (lift - slope)


def _feasible(problem: GraphProblem, plan: np.ndarray) -> np.ndarray:
    # Balanced: back to marginals that agree, which steps with mobilities of 1e8 lose
    # to rounding (1e-12 of them). Entries change in proportion to themselves.
    if problem.penalty.size > 0:
        return plan
    curves = curves_at(problem, problem.sums(plan))
    lifts = potentials(problem, curves, plan, curves.missing)
    factors = 1 + lifts[problem.first] + lifts[problem.second]
    return plan * factors if factors.min() > 0.5 else plan


def _reach(ratio: np.ndarray) -> float:
    lowest = float(ratio.min())
    return min(1.0, -_TO_BOUNDARY / lowest) if lowest < 0 else 1.0


def _interior_point(
    problem: GraphProblem,
    costs: np.ndarray,
    plan: np.ndarray,
    slack: np.ndarray,
    warm: bool,
) -> tuple[np.ndarray, np.ndarray, bool]:
    # A warm start has no barrier and gives up at the first step that is cut short.
    first = plan, slack
    centring = 0.0 if warm else 0.1
    for _ in range(_MAX_WARM_STEPS if warm else _MAX_STEPS):
        barrier = max(centring * (plan @ slack) / plan.size, _BARRIER_END)
        change = _direction(problem, costs, plan, slack, barrier)
        ratio = change / plan
        dual_ratio = barrier / (plan * slack) - 1 - ratio
        primal, dual = _reach(ratio), _reach(dual_ratio)
        full = min(primal, dual) > 0.9
        if warm and not full:
            return (*first, False)
        plan = plan + primal * change
        slack = slack * (1 + dual * dual_ratio)
        settled = change @ ratio < _SMALL_STEP and np.abs(ratio).max() < _SETTLED
        if barrier == _BARRIER_END and full and settled:
            return _feasible(problem, plan), slack, True
        centring = 0.0 if warm else (0.02 if full else 0.2)
    return _feasible(problem, plan), slack, False
