"""Weights and plans of links that share free samples: one programme for all of them.

    minimise  sum_links w OT(plan; pi_first, pi_second) - sum_t sum_k n_tk log pi_tk

over all plans and weights, by a primal-dual interior-point method. Balanced: every plan
at a sample has the sample's weights for its marginal. Unbalanced: a sample's weights
have a closed form in the marginals of all its plans,

    pi_k ~ n_k + sum_links w (reg_m + reg) marginal_k.

A step is one linear system in the potentials of all marginals. All plans are one vector
of entries, all marginals one vector: the first link's K0 and K1, then the next link's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space

from skgmmot.transport._programme import TransportProgramme

_BARRIER_END = 1e-13  # nats of complementarity at which the barrier is gone
_MAX_STEPS = 80
_MAX_WARM_STEPS = 6
_SMALL_STEP = 1e-9  # sum of change^2 / plan of a last step
_SETTLED = 0.1  # relative change of an entry: a tiny one may be about to grow
_TO_BOUNDARY = 0.995
_LEAST_CURVATURE = 1e-8  # of entries that have none
_KEPT_CURVATURE = 0.1  # of the data, whatever the entropy takes away
_TINY = 1e-300


class GraphNode(NamedTuple):
    """A sample, and which marginals belong to it."""

    components: slice  # among those of all samples
    marginals: np.ndarray  # (m, K) indices, one row a link
    counts: np.ndarray  # (K,)
    fixed: np.ndarray  # (K,) weights where it is frozen
    free: bool
    holds_mass: bool  # balanced: its weights are told to sum to 1


class GraphProblem(NamedTuple):
    """Links that hang together by free samples; in nats, but for the costs."""

    links: list[int]  # indices among all links
    nodes: list[GraphNode]
    shapes: list[tuple[int, int]]
    first: np.ndarray  # (N,) marginal of each entry on its link's first side
    second: np.ndarray  # (N,)
    entry_entropy: np.ndarray  # (N,) w reg of its link
    entropy: np.ndarray  # (S,) the same of each marginal
    penalty: np.ndarray  # (S,) w reg_m; empty: balanced
    redundant: np.ndarray  # (S, r) potentials that move nothing


class LinkSolution(NamedTuple):
    """Plan and slacks of one link, and w OT."""

    plan: np.ndarray
    slack: np.ndarray
    transport: float


class GraphSolution(NamedTuple):
    """What `solve_graph` finds."""

    links: list[LinkSolution]
    weights: list[tuple[slice, np.ndarray]]  # of each sample, and where it stands
    loss: float


class _Curves(NamedTuple):
    # Of the objective in the marginals: slopes (S,), inverse curvature (S, S), and by
    # how much the marginals miss what they should be (S,).
    slopes: np.ndarray
    compliance: np.ndarray
    missing: np.ndarray


def graph_problem(
    links: Sequence[int],
    pairs: Sequence[TransportProgramme],
    ends: Sequence[tuple[slice, slice]],
) -> GraphProblem:
    """The programme of some links; `pairs` are theirs as if each were alone."""
    first, second, shapes, start = [], [], [], 0
    places: dict[int, list] = {}
    for pair, both in zip(pairs, ends, strict=True):
        k0, k1 = pair.k0, len(pair.counts) - pair.k0
        own = np.arange(start, start + k0), np.arange(start + k0, start + k0 + k1)
        first.append(np.repeat(own[0], k1))
        second.append(np.tile(own[1], k0))
        for part, end, margin in zip(
            (slice(k0), slice(k0, None)), both, own, strict=True
        ):
            data = pair.counts[part], pair.fixed[part], bool(pair.free[part][0])
            places.setdefault(end.start, [end, data, []])[2].append(margin)
        shapes.append((k0, k1))
        start += k0 + k1
    held = any(not data[2] for _, data, _ in places.values())
    nodes = []
    for end, (counts, fixed, free), margins in places.values():
        nodes.append(GraphNode(end, np.array(margins), counts, fixed, free, not held))
        held = True
    penalty = np.concatenate([pair.penalties for pair in pairs])
    if np.isinf(penalty).all():
        penalty = np.zeros(0)
    sizes = [k0 * k1 for k0, k1 in shapes]
    entropies = [pair.entropy for pair in pairs]
    return GraphProblem(
        list(links),
        nodes,
        shapes,
        np.concatenate(first),
        np.concatenate(second),
        np.repeat(entropies, sizes),
        np.repeat(entropies, [k0 + k1 for k0, k1 in shapes]),
        penalty,
        _redundant(nodes, shapes) if penalty.size == 0 else np.zeros((start, 0)),
    )


def _redundant(
    nodes: Sequence[GraphNode], shapes: Sequence[tuple[int, int]]
) -> np.ndarray:
    # Balanced, around a cycle or between two frozen samples one condition on the mass
    # is told twice: potentials c_link on its first side and -c_link on its second one
    # then change nothing, if they add up to 0 at every sample that is free to follow.
    signs = np.concatenate([np.repeat([1.0, -1.0], shape) for shape in shapes])
    owner = np.repeat(np.arange(len(shapes)), [sum(shape) for shape in shapes])
    following = [node for node in nodes if node.free and not node.holds_mass]
    sums = np.zeros((len(following), len(shapes)))
    for row, node in zip(sums, following, strict=True):
        places = node.marginals[:, 0]
        np.add.at(row, owner[places], signs[places])
    potentials = signs[:, None] * null_space(sums)[owner]
    return potentials / np.linalg.norm(potentials, axis=0)


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


def _marginals(problem: GraphProblem, entries: np.ndarray) -> np.ndarray:
    size = len(problem.entropy)
    return np.bincount(problem.first, entries, size) + np.bincount(
        problem.second, entries, size
    )


def _node_weights(
    problem: GraphProblem, node: GraphNode, marginals: np.ndarray
) -> np.ndarray:
    # Best weights for given marginals: the marginals, or a mean of them and the counts.
    if not node.free:
        return node.fixed
    weights = marginals[node.marginals]
    if problem.penalty.size > 0:
        both = (problem.penalty + problem.entropy)[node.marginals]
        weights = node.counts + (both * weights).sum(axis=0)
    else:
        weights = weights.mean(axis=0)
    return weights / weights.sum()


def _solution(
    problem: GraphProblem, costs: np.ndarray, plan: np.ndarray, slack: np.ndarray
) -> GraphSolution:
    marginals, e = _marginals(problem, plan), problem.entry_entropy
    weights = [(n, _node_weights(problem, n, marginals)) for n in problem.nodes]
    terms = plan * (costs + e * (np.log(np.maximum(plan, _TINY)) - 1))
    sides, data = np.zeros_like(marginals), 0.0
    for node, w in weights:
        log_w, s = np.log(np.maximum(w, _TINY)), marginals[node.marginals]
        sides[node.marginals] = -problem.entropy[node.marginals] * s * log_w
        if problem.penalty.size > 0:
            ratio = np.log(np.maximum(s, _TINY)) - log_w
            price = problem.penalty[node.marginals] * (s * ratio - s + w)
            sides[node.marginals] += price
        if node.free:
            data += float(node.counts @ log_w)
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
    for node in problem.nodes:
        weights[node.marginals] = node.counts if node.free else node.fixed
    plan = weights[problem.first] * weights[problem.second]
    spread = costs.max() - costs.min() + problem.entropy.max() + 1e-3
    return plan, np.full_like(plan, spread)


def _curves(problem: GraphProblem, marginals: np.ndarray) -> _Curves:
    size = len(marginals)
    curves = _Curves(np.empty(size), np.zeros((size, size)), np.zeros(size))
    fill = _balanced_node if problem.penalty.size == 0 else _penalised_node
    for node in problem.nodes:
        fill(problem, node, marginals, curves)
    return curves


def _balanced_node(
    problem: GraphProblem, node: GraphNode, marginals: np.ndarray, curves: _Curves
) -> None:
    places, entropy = node.marginals, problem.entropy[node.marginals]
    if not node.free:
        curves.slopes[places] = -entropy * np.log(node.fixed)
        curves.missing[places] = node.fixed - marginals[places]
        return
    # One vector of weights, which all the marginals follow: slopes are shared out.
    w, total = marginals[places].mean(axis=0), entropy.sum(axis=0)
    curves.slopes[places] = (-node.counts / w - total * np.log(w)) / len(places)
    curves.missing[places] = w - marginals[places]
    bend = np.maximum(node.counts - total * w, _KEPT_CURVATURE * node.counts)
    compliance = np.diag(w**2 / bend)
    if node.holds_mass:
        c = np.diag(compliance)
        compliance = compliance - np.outer(c, c) / c.sum()
        curves.missing[places] += (1 - w.sum()) * c / c.sum()
    for row in places:
        for column in places:
            curves.compliance[np.ix_(row, column)] = compliance


def _penalised_node(
    problem: GraphProblem, node: GraphNode, marginals: np.ndarray, curves: _Curves
) -> None:
    places = node.marginals
    penalty, s = problem.penalty[places], marginals[places]
    both = penalty + problem.entropy[places]
    log_w = np.log(_node_weights(problem, node, marginals))
    curves.slopes[places] = penalty * np.log(s) - both * log_w
    own = s / penalty
    flat = places.ravel()
    compliance = np.diag(own.ravel())
    if node.free:
        # diag(penalty / s) - b b^T / c of each component, and 1 1^T / sum c over all.
        c = node.counts + (both * s).sum(axis=0)
        taken = (both**2 * own).sum(axis=0)
        left = np.maximum(c - taken, _KEPT_CURVATURE * node.counts)
        turned = both * own
        k = places.shape[1]
        for i in range(k):
            at = np.arange(len(places)) * k + i
            outer = np.outer(turned[:, i], turned[:, i]) / left[i]
            compliance[np.ix_(at, at)] += outer
        image = compliance @ both.ravel()
        compliance -= np.outer(image, image) / (c.sum() + both.ravel() @ image)
    curves.compliance[np.ix_(flat, flat)] = compliance


def _direction(
    problem: GraphProblem,
    costs: np.ndarray,
    plan: np.ndarray,
    slack: np.ndarray,
    barrier: float,
) -> np.ndarray:
    marginals = _marginals(problem, plan)
    curves, e = _curves(problem, marginals), problem.entry_entropy
    slope = costs + e * np.log(plan) - barrier / plan
    slope += curves.slopes[problem.first] + curves.slopes[problem.second]
    mobility = plan / (e + slack + _LEAST_CURVATURE)
    right = _marginals(problem, mobility * slope) + curves.missing
    potentials = _potentials(problem, curves, mobility, right)
    lift = potentials[problem.first] + potentials[problem.second]
    return mobility * (lift - slope)


def _potentials(
    problem: GraphProblem, curves: _Curves, mobility: np.ndarray, right: np.ndarray
) -> np.ndarray:
    system = curves.compliance.copy()
    system[problem.first, problem.second] += mobility
    system[problem.second, problem.first] += mobility
    diagonal = np.arange(len(system))
    system[diagonal, diagonal] += _marginals(problem, mobility)
    size = system[diagonal, diagonal].mean()
    system += size * problem.redundant @ problem.redundant.T
    try:
        return np.linalg.solve(system, right)
    except np.linalg.LinAlgError:  # plans so sparse that some potentials float
        return np.linalg.lstsq(system, right)[0]


def _feasible(problem: GraphProblem, plan: np.ndarray) -> np.ndarray:
    # Balanced: back to marginals that agree, which a step with mobilities of 1e8 loses
    # to rounding. Entries change in proportion to themselves.
    if problem.penalty.size > 0:
        return plan
    curves = _curves(problem, _marginals(problem, plan))
    potentials = _potentials(problem, curves, plan, curves.missing)
    factors = 1 + potentials[problem.first] + potentials[problem.second]
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
        plan = _feasible(problem, plan + primal * change)
        slack = slack * (1 + dual * dual_ratio)
        settled = change @ ratio < _SMALL_STEP and np.abs(ratio).max() < _SETTLED
        if barrier == _BARRIER_END and full and settled:
            return plan, slack, True
        centring = 0.0 if warm else (0.02 if full else 0.2)
    return plan, slack, False
