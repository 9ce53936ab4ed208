"""How many components fits start with: what rows can carry, and the rungs below it."""

from skgmmot.mixture._em import Problem

_FIRST = 10  # components: smaller offers start with their own number
_SECOND = 15


def carried(problem: Problem) -> int:
    """How many components the rows can carry."""
    mass = problem.blocks.mass
    rows = max(problem.blocks.n_rows, mass)
    if problem.min_mass > 0.0:
        rows = min(rows, mass / problem.min_mass)
        if problem.prune:  # half of the cells are lighter than the mean
            rows = max(min(rows, 2.0), 0.5 * rows)
    return int(max(rows, 1))


def rungs(offer: int, carries: int) -> list[int]:
    """Numbers of components to start with at a price, ascending.

    They are 10, 15, 20, 30, 40, 60, … and what the rows carry, up to the offer: a
    larger offer has the starts of every smaller one from 10 on, and ends no lower.
    """
    starts, first, second = [], _FIRST, _SECOND
    while first <= min(offer, carries):
        starts.append(first)
        first, second = second, 2 * first
    if carries <= offer and carries not in starts:
        starts.append(carries)
    return starts or [offer]
