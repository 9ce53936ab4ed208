"""Ways along the links between samples, and the maps of their steps."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skgmmot._checks import is_real, message
from skgmmot.linalg._mixture import as_mixture
from skgmmot.transport._component_maps import MixtureMap
from skgmmot.transport._frame import Frame, passages


class Step(NamedTuple):
    """A link that is gone along."""

    link: int
    start: Any  # label of the sample that is left
    end: Any
    forward: bool


def way(links: Sequence[tuple[Any, Any]], source: Any, target: Any) -> list[Step]:
    """The fewest links from one sample to another; none from a sample to itself.

    Raises
    ------
    ValueError
        Where no links lead there.
    """
    reached: dict[Any, list[Step]] = {source: []}
    queue = [source]
    for label in queue:  # grows on the way
        for i, (first, second) in enumerate(links):
            for start, end, forward in ((first, second, True), (second, first, False)):
                if start == label and end not in reached:
                    reached[end] = [*reached[label], Step(i, start, end, forward)]
                    queue.append(end)
    if target not in reached:
        expected = f"a sample that links connect with {source!r}"
        raise ValueError(message("target", expected, repr(target)))
    return reached[target]


def is_time(label: Any) -> bool:
    """Whether a label is a number that may be read as a time."""
    return is_real(label) and not isinstance(label, bool | np.bool_)


def step_map(
    ends: tuple[Any, Any], coupling: np.ndarray, frame: Frame, forward: bool
) -> MixtureMap:
    """The maps of a link, in one of its two directions."""
    first, second = (as_mixture(end) for end in ends)
    there, back = passages(frame)
    if forward:
        return MixtureMap(first, second, coupling, there)
    return MixtureMap(second, first, coupling.T, back)
