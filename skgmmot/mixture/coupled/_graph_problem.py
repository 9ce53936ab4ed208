"""The programme of links that share free samples: its records, and how it is made.

All plans are one vector of entries, all marginals one vector: the first link's K0 and
K1, then the next link's. Samples of one shape are stacked, so that what is done for
each of them is done at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import null_space, qr

from skgmmot.transport._programme import TransportProgramme


class GraphNodes(NamedTuple):
    """Samples alike in shape, and which marginals belong to them."""

    components: np.ndarray  # (g, K) indices among those of all samples
    marginals: np.ndarray  # (g, m, K) indices, one row a link
    counts: np.ndarray  # (g, K)
    fixed: np.ndarray  # (g, K) weights where they are frozen
    free: bool
    holds_mass: np.ndarray  # (g,) bool; balanced: its weights are told to sum to 1


class Pattern(NamedTuple):
    """Where the entries of the sparse system stand: it is the same in every step.

    Its unknowns are the potentials of all marginals, then K of each free sample.
    """

    order: np.ndarray  # of the values, column by column
    rows: np.ndarray
    starts: np.ndarray  # (n + 1,) where each column begins


class GraphProblem(NamedTuple):
    """Links that hang together by free samples; in nats, but for the costs."""

    links: list[int]  # indices among all links
    nodes: list[GraphNodes]
    shapes: list[tuple[int, int]]
    first: np.ndarray  # (N,) marginal of each entry on its link's first side
    second: np.ndarray  # (N,)
    entry_entropy: np.ndarray  # (N,) w reg of its link
    entropy: np.ndarray  # (S,) the same of each marginal
    penalty: np.ndarray  # (S,) w reg_m; empty: balanced
    grounded: np.ndarray  # (r,) marginals whose potentials are free to be anything
    pattern: Pattern

    def sums(self, entries: np.ndarray) -> np.ndarray:
        """Marginals of all links, (S,)."""
        size = len(self.entropy)
        return np.bincount(self.first, entries, size) + np.bincount(
            self.second, entries, size
        )


class _Place(NamedTuple):
    # A sample as its links come by.
    components: slice
    counts: np.ndarray
    fixed: np.ndarray
    free: bool
    links: list[int]
    margins: list[np.ndarray]


def graph_problem(
    links: Sequence[int],
    pairs: Sequence[TransportProgramme],
    ends: Sequence[tuple[slice, slice]],
) -> GraphProblem:
    """The programme of some links; `pairs` are theirs as if each were alone."""
    first, second, shapes, start = [], [], [], 0
    places: dict[int, _Place] = {}
    for number, (pair, both) in enumerate(zip(pairs, ends, strict=True)):
        k0, k1 = pair.k0, len(pair.counts) - pair.k0
        own = np.arange(start, start + k0), np.arange(start + k0, start + k0 + k1)
        first.append(np.repeat(own[0], k1))
        second.append(np.tile(own[1], k0))
        for part, end, margin in zip(
            (slice(k0), slice(k0, None)), both, own, strict=True
        ):
            data = pair.counts[part], pair.fixed[part], bool(pair.free[part][0])
            place = places.setdefault(end.start, _Place(end, *data, [], []))
            place.links.append(number)
            place.margins.append(margin)
        shapes.append((k0, k1))
        start += k0 + k1
    penalty = np.concatenate([pair.penalties for pair in pairs])
    balanced = bool(np.isinf(penalty).all())
    frozen = [place for place in places.values() if not place.free]
    holder = None if frozen else next(iter(places.values()))
    sizes = [k0 * k1 for k0, k1 in shapes]
    entropies = [pair.entropy for pair in pairs]
    followers = [p for p in places.values() if p.free and p is not holder]
    nodes = _stacked(list(places.values()), holder)
    both_sides = np.concatenate(first), np.concatenate(second)
    return GraphProblem(
        list(links),
        nodes,
        shapes,
        *both_sides,
        np.repeat(entropies, sizes),
        np.repeat(entropies, [k0 + k1 for k0, k1 in shapes]),
        np.zeros(0) if balanced else penalty,
        _grounded(followers, shapes) if balanced else np.zeros(0, dtype=int),
        _pattern(nodes, *both_sides, start),
    )


def _pattern(
    nodes: Sequence[GraphNodes], first: np.ndarray, second: np.ndarray, size: int
) -> Pattern:
    # Of diag(d) + mobilities, and for each free sample (E N) q in the rows of its
    # marginals, q - E^T p = 0 in its own; `_graph_system` tells values in this order.
    n = size
    rows, columns = [np.arange(n), first, second], [np.arange(n), second, first]
    for stack in nodes:
        if not stack.free:
            continue
        g, m, k = stack.marginals.shape
        own = (n + np.arange(g * k)).reshape(g, 1, k)
        n += g * k
        shape = g, m, k, k
        rows.append(np.broadcast_to(stack.marginals[..., None], shape).ravel())
        columns.append(np.broadcast_to(own[:, :, None, :], shape).ravel())
        rows += [np.broadcast_to(own, (g, m, k)).ravel(), own.ravel()]
        columns += [stack.marginals.ravel(), own.ravel()]
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((row, column))
    starts = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=n))])
    return Pattern(order, row[order].astype(np.int32), starts.astype(np.int32))


def _stacked(places: Sequence[_Place], holder: _Place | None) -> list[GraphNodes]:
    groups: dict[tuple, list[_Place]] = {}
    for place in places:
        shape = place.free, len(place.margins), len(place.counts)
        groups.setdefault(shape, []).append(place)
    return [
        GraphNodes(
            np.array([np.r_[place.components] for place in group]),
            np.array([place.margins for place in group]),
            np.array([place.counts for place in group]),
            np.array([place.fixed for place in group]),
            group[0].free,
            np.array([place is holder for place in group]),
        )
        for group in groups.values()
    ]


def _grounded(
    following: Sequence[_Place], shapes: Sequence[tuple[int, int]]
) -> np.ndarray:
    # Balanced, around a cycle or between two frozen samples one condition on the mass
    # is told twice: potentials c_link on its first side and -c_link on its second one
    # then change nothing, if they add up to 0 at every sample that is free to follow.
    # One potential of a link with c_link != 0 may be held for each such c.
    if len(following) == len(shapes):
        return np.zeros(0, dtype=int)
    starts = np.cumsum([0, *(k0 + k1 for k0, k1 in shapes)])
    sums = np.zeros((len(following), len(shapes)))
    for row, place in zip(sums, following, strict=True):
        for link, margin in zip(place.links, place.margins, strict=True):
            row[link] += 1.0 if margin[0] == starts[link] else -1.0
    free = null_space(sums)
    order = qr(free.T, mode="economic", pivoting=True)[-1]
    return starts[order[: free.shape[1]]]
