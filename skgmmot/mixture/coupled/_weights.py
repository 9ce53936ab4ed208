"""Weights and plans of linked samples, for given transport costs.

One M-step maximises, over all plans and weights at once,

    sum_t sum_k n_tk log pi_tk - sum_links w OT(pi_first, pi_second).

Links that share no free sample are programmes of their own, each solved as a pair.
Those that do are solved together.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._graph import (
    GraphSolution,
    evaluate_graph,
    solve_graph,
)
from skgmmot.mixture.coupled._graph_problem import GraphProblem, graph_problem
from skgmmot.mixture.coupled._records import (
    CoupledProblem,
    StackedMoments,
    link_rows,
)
from skgmmot.transport._programme import ProgrammeSolution, TransportProgramme
from skgmmot.transport._programme import evaluate as evaluate_pair
from skgmmot.transport._programme import solve_programme as solve_pair

_Starts = Sequence[tuple[np.ndarray, np.ndarray]]  # plans and slacks, one pair a link


class WeightsProgramme(NamedTuple):
    """The programme of all links but for its costs."""

    pairs: list[TransportProgramme]  # one a link, as if it were alone
    graphs: list[GraphProblem]  # links to be solved together
    alone: list[int]  # links that are solved as pairs
    ends: list[tuple[slice, slice]]  # components of either side of each link
    counts: np.ndarray  # (K,) shares of the data
    weights: np.ndarray  # (K,) of a frozen sample; the shares where it is free
    unlinked: np.ndarray  # (K,) bool, free components that no link reaches


class WeightsSolution(NamedTuple):
    """Plans with the slacks of their bounds, and what follows."""

    plans: list[np.ndarray]
    slacks: list[np.ndarray]
    transports: list[float]  # w OT of each link
    weights: np.ndarray  # (K,)
    loss: float  # sum of w OT - sum of n log pi over the free samples


def weights_programme(
    samples: Sequence[Parameters],
    moments: StackedMoments,
    slices: Sequence[slice],
    problem: CoupledProblem,
) -> WeightsProgramme:
    """The programme of an M-step."""
    old = np.concatenate([sample.weights for sample in samples])
    counts, moving = moments.counts, moments.moving
    free = moving.astype(float)
    ends = [(slices[link.first], slices[link.second]) for link in problem.links]
    pairs = []
    for link, (first, second) in zip(problem.links, ends, strict=True):
        w = problem.transport_weight * link.weight
        k0 = first.stop - first.start
        rows = link_rows(first, second, len(counts))
        penalties = np.full(len(counts[rows]), np.inf)
        if problem.reg_m is not None and w > 0.0:
            both = problem.reg_m[link.first], problem.reg_m[link.second]
            sizes = k0, second.stop - second.start
            penalties = np.repeat(w * np.asarray(both, dtype=float), sizes)
        fixed = ((1 - free) * old)[rows]
        pairs.append(
            TransportProgramme(
                w * problem.reg, penalties, counts[rows], fixed, free[rows], k0
            )
        )
    groups = _groups(problem)
    unlinked = moving.copy()
    for end in (end for both in ends for end in both):
        unlinked[end] = False
    return WeightsProgramme(
        pairs,
        [
            graph_problem(group, [pairs[i] for i in group], [ends[i] for i in group])
            for group in groups
            if len(group) > 1
        ],
        [group[0] for group in groups if len(group) == 1],
        ends,
        counts,
        np.where(moving, counts, old),
        unlinked,
    )


def _groups(problem: CoupledProblem) -> list[list[int]]:
    # Links that hang together by free samples.
    groups: list[tuple[set[int], list[int]]] = []
    for i, link in enumerate(problem.links):
        free = {t for t in (link.first, link.second) if not problem.frozen[t]}
        members = [i]
        apart = []
        for group in groups:
            if group[0] & free:
                free, members = free | group[0], group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (free, members)]
    return [sorted(members) for _, members in groups]


def solve_programme(
    programme: WeightsProgramme,
    costs: Sequence[np.ndarray],
    starts: _Starts | None = None,
) -> WeightsSolution:
    """Best plans and weights for costs in nats; the loss is not above the starts'."""
    solutions = {
        i: solve_pair(
            programme.pairs[i], costs[i], None if starts is None else starts[i]
        )
        for i in programme.alone
    }
    graphs = [solve_graph(graph, costs, starts) for graph in programme.graphs]
    return _gathered(programme, solutions, graphs)


def evaluate_programme(
    programme: WeightsProgramme, costs: Sequence[np.ndarray], starts: _Starts
) -> WeightsSolution:
    """What follows from given plans: their best weights, the loss."""
    solutions = {
        i: evaluate_pair(programme.pairs[i], costs[i], *starts[i])
        for i in programme.alone
    }
    graphs = [evaluate_graph(graph, costs, starts) for graph in programme.graphs]
    return _gathered(programme, solutions, graphs)


def _gathered(
    programme: WeightsProgramme,
    pairs: dict[int, ProgrammeSolution],
    graphs: list[GraphSolution],
) -> WeightsSolution:
    if len(programme.pairs) == len(pairs) == 1 and len(programme.weights) == len(
        pairs[0].weights
    ):
        pair = pairs[0]  # the one link there is, in order or turned round
        if programme.ends[0][0].start == 0:
            parts = [pair.plan], [pair.slack], [pair.transport]
            return WeightsSolution(*parts, pair.weights, pair.loss)
    weights = programme.weights.copy()
    loss = 0.0
    found: dict = dict(pairs)
    for i, solution in pairs.items():
        first, second = programme.ends[i]
        k0 = programme.pairs[i].k0
        weights[first], weights[second] = solution.weights[:k0], solution.weights[k0:]
        loss += solution.loss
    for graph, joint in zip(programme.graphs, graphs, strict=True):
        found.update(zip(graph.links, joint.links, strict=True))
        for end, part in joint.weights:
            weights[end] = part
        loss += joint.loss
    if programme.unlinked.any():
        counts = programme.counts[programme.unlinked]
        loss -= float(counts @ np.log(counts))
    ordered = [found[i] for i in range(len(programme.pairs))]
    return WeightsSolution(
        [link.plan for link in ordered],
        [link.slack for link in ordered],
        [link.transport for link in ordered],
        weights,
        loss,
    )
