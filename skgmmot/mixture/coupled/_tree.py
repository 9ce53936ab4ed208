"""A way along the links from one sample to every other."""

from collections.abc import Sequence
from typing import NamedTuple

from skgmmot.mixture.coupled._records import Link


class Branch(NamedTuple):
    """A sample, and the sample before it on the way from the root."""

    sample: int
    parent: int
    link: int | None  # between the two; None: no link leads there
    forward: bool  # whether the sample is the link's first side


def branches(n_samples: int, links: Sequence[Link], root: int) -> list[Branch]:
    """A spanning tree, parents before children; what no link reaches hangs at the root.

    Of several ways the shortest, and among those the one of the first link.
    """
    found: list[Branch] = []
    reached = {root}
    queue = [root]
    while len(reached) < n_samples:
        for parent in queue:  # grows on the way
            for branch in _from(parent, links):
                if branch.sample not in reached:
                    reached.add(branch.sample)
                    queue.append(branch.sample)
                    found.append(branch)
        left = [t for t in range(n_samples) if t not in reached]
        if left:
            reached.add(left[0])
            queue = [left[0]]
            found.append(Branch(left[0], root, None, True))
    return found


def _from(parent: int, links: Sequence[Link]) -> list[Branch]:
    found = []
    for i, link in enumerate(links):
        if link.second == parent:
            found.append(Branch(link.first, parent, i, True))
        elif link.first == parent:
            found.append(Branch(link.second, parent, i, False))
    return found


def root_of(links: Sequence[Link]) -> int:
    """Where a tree begins: with one link, the sample that the other is moved onto."""
    return links[0].second if links else 0
