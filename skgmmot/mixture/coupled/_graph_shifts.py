"""Free shifts of links that share samples: which of several each link takes.

Unbalanced, a link may have several shifts at which its transport is nearly cheapest:
one component against three alike may go to any of them. Link by link each takes its
own, though they would gain by going to one: its weight would then rise for all. So
links choose one after the other, by the weights that those before them lead to,

    pi_k ~ n_k + sum_links w (reg_m + reg) marginal_k,

in a few orders, and the choice that is cheapest for all together is kept. Where no link
has a rival to its cheapest shift that other links could make better, nothing is chosen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._links import (
    Comparison,
    LinkFrame,
    compare,
    link_frames,
)
from skgmmot.mixture.coupled._records import (
    CoupledProblem,
    Link,
    link_penalties,
    sample_moments,
    sample_slices,
    stacked,
    stacked_moments,
)
from skgmmot.mixture.coupled._weights import (
    WeightsProgramme,
    solve_programme,
    weights_programme,
)
from skgmmot.transport._shift import Gaps, ShiftedPlan, plan_at, plans_of_starts

_MOST_RIVALS = 6
_FEW_LINKS = 8  # up to which each link may be the first to choose
_PASSES = 2  # links that chose early know of the later ones in the second
_ALIKE = 0.5  # of the mass: plans that share more lead to one shift


class _Choice(NamedTuple):
    # A link, and the shifts it may take, the cheapest first, in units of its metric.
    link: Link
    ends: tuple[slice, slice]
    gaps: Gaps
    shifts: list[np.ndarray]


class _Scene(NamedTuple):
    # The links at given mixtures.
    problem: CoupledProblem
    programme: WeightsProgramme
    frames: list[LinkFrame]
    compared: list[Comparison]

    def loss(self, shifts: Sequence[np.ndarray]) -> float:
        """The programme of all links at given shifts."""
        tables = zip(self.frames, self.compared, shifts, strict=True)
        nats = [frame.rate * sides.costs(shift) for frame, sides, shift in tables]
        return solve_programme(self.programme, nats).loss

    def pull(self, sample: int, link: Link) -> float:
        """How a link's marginal counts in the weights of a sample, beside its data."""
        if self.problem.frozen[sample]:
            return 0.0
        stiffness = self._penalty(sample) + self.problem.reg
        return self.problem.transport_weight * link.weight * stiffness

    def reach(self, sample: int, unevenness: float) -> float:
        """What weights that links draw to themselves can do to the cost of one."""
        return (self._penalty(sample) + self.problem.reg) * np.log1p(unevenness)

    def _penalty(self, sample: int) -> float:
        return 0.0 if self.problem.reg_m is None else self.problem.reg_m[sample]


def agreeing_shifts(
    samples: Sequence[Parameters], problem: CoupledProblem
) -> list[np.ndarray] | None:
    """Shifts (d,) of all links to start from, in the data's units.

    None where there is nothing to choose: balanced, with fixed shifts, or one link.
    """
    links = problem.links
    if problem.reg_m is None or len(links) < 2 or not problem.is_coupled:
        return None
    if not all(link.free_shift for link in links):
        return None
    scene = _scene(samples, problem)
    choices = _choices(scene)
    best = [choice.shifts[0] for choice in choices]
    if any(len(choice.shifts) > 1 for choice in choices):
        tried = [best, *(_in_turn(scene, choices, order) for order in _orders(links))]
        best = min(tried, key=scene.loss)
    roots = [np.asarray(frame.roots) for frame in scene.frames]
    return [
        np.where(np.isfinite(root), root, 0.0) * shift
        for root, shift in zip(roots, best, strict=True)
    ]


def _scene(samples: Sequence[Parameters], problem: CoupledProblem) -> _Scene:
    slices = sample_slices(samples)
    moments = [sample_moments(None, sample, problem.kind) for sample in samples]
    stack = stacked_moments(moments, problem)
    maps = stacked(samples, stack.centres, problem.kind)
    frames = link_frames(problem, slices, stack.centres)
    return _Scene(
        problem,
        weights_programme(samples, stack, slices, problem),
        frames,
        [compare(maps, frame) for frame in frames],
    )


def _choices(scene: _Scene) -> list[_Choice]:
    links, shares = scene.problem.links, scene.programme.weights
    gaps = [
        sides.gaps(link.unit) for sides, link in zip(scene.compared, links, strict=True)
    ]
    found = []
    unevenness = np.zeros(len(scene.problem.frozen))
    for link, ends, own in zip(links, scene.programme.ends, gaps, strict=True):
        pair = shares[ends[0]], shares[ends[1]]
        regs = scene.problem.reg, link_penalties(scene.problem, link)
        starts = plans_of_starts(own, pair, reg=regs[0], reg_m=regs[1])
        found.append(sorted(starts, key=lambda start: start.plan.value))
        plan = found[-1][0].plan.coupling
        for axis, sample in enumerate((link.first, link.second)):
            ratio = plan.sum(axis=1 - axis) / pair[axis]
            uneven = np.abs(ratio - plan.sum()).max()
            unevenness[sample] += scene.pull(sample, link) * uneven
    return [
        _Choice(
            link,
            ends,
            own,
            _rivals(
                starts,
                sum(
                    2.0 * scene.reach(sample, unevenness[sample])
                    for sample in (link.first, link.second)
                ),
            ),
        )
        for link, ends, own, starts in zip(
            links, scene.programme.ends, gaps, found, strict=True
        )
    ]


def _rivals(starts: Sequence[ShiftedPlan], within: float) -> list[np.ndarray]:
    # Those whose plans differ, and that are not dearer than the cheapest by more.
    kept: list[ShiftedPlan] = []
    for start in starts:
        plan = start.plan.coupling
        if start.plan.value > starts[0].plan.value + within:
            break
        mass = plan.sum()
        shared = [np.minimum(plan, other.plan.coupling).sum() for other in kept]
        if not kept or (mass > 0.0 and max(shared) < _ALIKE * mass):
            kept.append(start)
        if len(kept) == _MOST_RIVALS:
            break
    return [start.shift for start in kept]


def _orders(links: Sequence[Link]) -> list[list[int]]:
    forward = list(range(len(links)))
    if len(links) <= _FEW_LINKS:
        return [[first, *(i for i in forward if i != first)] for first in forward]
    middle = sorted(forward, key=lambda i: abs(i - len(links) // 2))
    return [forward, forward[::-1], middle]


def _in_turn(
    scene: _Scene, choices: Sequence[_Choice], order: Sequence[int]
) -> list[np.ndarray]:
    # Each link takes the cheapest of its shifts at the weights that the others lead to.
    shares, free = scene.programme.weights, scene.programme.counts * 0.0
    drawn = free.copy()  # what marginals add to the shares
    own: dict[int, np.ndarray] = {}  # of that, by link
    taken = [choice.shifts[0] for choice in choices]
    for i in [*order] * _PASSES:
        link, ends, gaps, shifts = choices[i]
        drawn -= own.get(i, free)
        first, second = (_weights(shares[end] + drawn[end]) for end in ends)
        regs = scene.problem.reg, link_penalties(scene.problem, link)
        plans = [
            plan_at(shift, gaps, (first, second), reg=regs[0], reg_m=regs[1])
            for shift in shifts
        ]
        best = int(np.argmin([plan.value for plan in plans]))
        taken[i], coupling = shifts[best], plans[best].coupling
        own[i] = free.copy()
        own[i][ends[0]] = scene.pull(link.first, link) * coupling.sum(axis=1)
        own[i][ends[1]] = scene.pull(link.second, link) * coupling.sum(axis=0)
        drawn += own[i]
    return taken


def _weights(sums: np.ndarray) -> np.ndarray:
    return sums / sums.sum()
