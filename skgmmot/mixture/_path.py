"""The descending path: mixtures of every size, each from its larger neighbour.

From all components that are offered, the one is removed whose absence costs least
after a refit, one at a time. Then the sizes about the best one are tried again from
below: the best one's components are split, and the path goes down anew from there. Many
rows are searched by a sample, and what was found goes on with all of them.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from skgmmot._blocks import MemoryBlocks, blocks_of
from skgmmot.linalg._scatters import ILL_DEFINED
from skgmmot.mixture._criteria import Criterion, n_parameters
from skgmmot.mixture._em import Parameters, Problem, State, drop, evaluate
from skgmmot.mixture._fit import Control, Fit, run
from skgmmot.mixture._moves import local_splits, removals
from skgmmot.mixture._soundness import unsound

_PATH = Control(tol=1e-3, max_iter=1000, accelerate=True)  # of every size
_NEAR = Control(tol=1e-5, max_iter=1000, accelerate=True)  # of sizes near the best
_REMOVAL = Control(tol=1e-5, max_iter=2)  # tells candidates apart
_ALL_ROWS = Control(tol=1e-4, max_iter=10, accelerate=True)  # after a sample
_BEHIND = Control(tol=1e-4, max_iter=2)  # the same of sizes that are not its best
_MOST_SPLITS = 2  # that are refitted
_ROUNDS = 3  # of splits at most
_GAIN = 0.5  # nats of the whole sample that make a mixture better than another
_LEAST_ROWS = 20_000  # of a sample that stands for all rows
_ROWS_PER_PARAMETER = 20

Report = Callable[[int, float, State], None]  # number of components, criterion


def _silent(n_components: int, value: float, state: State) -> None:
    """A report of nothing."""


class Search:
    """Mixtures by number of components, the best found of each.

    Attributes
    ----------
    problem : Problem
        That of the rows which are searched: starts are made for it.
    found : dict of int to Fit
        By number of components.
    n_removed : int
        Components that a start lost because they could not stand.
    """

    def __init__(
        self,
        problem: Problem,
        criterion: Criterion,
        control: Control,
        report: Report = _silent,
    ) -> None:
        self._whole = self.problem = problem.unpenalised()
        self.criterion = criterion
        self.control = control
        self.report = report
        self.mass = problem.blocks.mass  # that the criterion speaks of
        self.found: dict[int, Fit] = {}
        self.n_removed = 0
        self._reached: dict[int, float] = {}  # tolerance, where below that of the path

    # What was found

    def score(self, size: int) -> float:
        """The criterion of a size."""
        return self.criterion.value(self.problem, self.found[size].state, self.mass)

    def best(self) -> int:
        """The size with the lowest criterion."""
        return min(self.found, key=lambda size: (self.score(size), size))

    def _needed(self, size: int) -> float:
        """The objective with which a size would be the best."""
        if size not in self.found:
            return -np.inf
        behind = self.score(size) - self.score(self.best())
        return self.found[size].state.objective + 0.5 * behind / max(self.mass, 1.0)

    # Steps of the search

    def begin(self, offer: int, rng: np.random.RandomState) -> None:
        """Offer components; where rows are many, `problem` becomes that of a sample."""
        self.offer = offer
        blocks = self._whole.blocks
        free = n_parameters(self._whole.kind, offer, blocks.n_features)
        least = max(_LEAST_ROWS, _ROWS_PER_PARAMETER * free)
        blocks = blocks.at_hand(2 * least)  # as many as a sample may have
        self._whole = self.problem = self._whole._replace(blocks=blocks)
        if max(blocks.n_rows, blocks.mass) > 2 * least and self.control.max_iter > 0:
            rows, weights = blocks.sample_rows(offer, rng, least)
            sample = blocks_of(rows, weights, blocks.n_threads)
            self.problem = self._whole._replace(blocks=sample)
        self._searched, self._rng = self.problem.blocks, rng

    @cached_property
    def _rows(self) -> MemoryBlocks:
        """The rows that are searched, in memory: splits are tried on some of them."""
        blocks = self._searched  # a sample, also once all rows are looked at
        all_rows = int(max(blocks.n_rows, blocks.mass)) + 1
        rows = blocks.sample_rows(self.offer, self._rng, all_rows)
        return blocks_of(*rows, blocks.n_threads)

    def add_start(self, start: Parameters) -> None:
        """Go down from a start, then try the sizes about the best one from below."""
        if self.control.max_iter == 0:
            self._keep(Fit(evaluate(self.problem, start), [], False))
            return
        self._descend(self._settle(start))
        for _ in range(_ROUNDS):
            if not self._ascend():
                break

    def finish(self) -> int:
        """EM of the best size, on all rows, until it has converged; the best size."""
        if self.problem is not self._whole:
            self._continue_with_all_rows()
        while True:
            size = self.best()
            self._refine(size, self.control)
            if self.best() == size:
                return size

    def stop(self) -> int:
        """What was found so far, at all rows and without more EM; the best size."""
        if self.problem is not self._whole:
            self.problem = self._whole
            self.found = {
                size: Fit(evaluate(self.problem, fit.state.parameters), [], False)
                for size, fit in self.found.items()
            }
        size = self.best()
        self.found[size] = self.found[size]._replace(converged=False)
        return size

    def _continue_with_all_rows(self) -> None:
        """Mixtures of a sample become those of all rows, the best ones closely."""
        best, self.problem = self.best(), self._whole
        sampled, self.found, self._reached = self.found, {}, {}
        for size, fit in sampled.items():
            control = _ALL_ROWS if size == best else _BEHIND
            self._keep(self._run(fit.state.parameters, control))
        self._near_best()

    def _run(
        self, parameters: Parameters, control: Control, state: State | None = None
    ) -> Fit | None:
        """EM, or None where a covariance collapses; `state` is that of the start."""
        try:
            accelerate = control.accelerate and self.control.accelerate
            control = control._replace(accelerate=accelerate)
            return run(self.problem, parameters, control, state)
        except ValueError:
            return None

    def _is_sound(self, fit: Fit | None) -> bool:
        return fit is not None and unsound(self.problem, fit.state) is None

    def _keep(self, fit: Fit | None) -> bool:
        """Keep a fit that betters what was found of its size."""
        if fit is None:
            return False
        size, objective = len(fit.state.parameters.weights), fit.state.objective
        known = self.found.get(size)
        gain = _GAIN / max(self.mass, 1.0)
        if known is not None and objective <= known.state.objective + gain:
            return False
        self.found[size] = fit
        self._reached.pop(size, None)
        self.report(size, self.score(size), fit.state)
        return True

    def _settle(self, parameters: Parameters) -> Fit:
        """EM; components that cannot stand are removed, one at a time."""
        while True:
            fit = self._run(parameters, _PATH)
            if fit is None:  # a covariance collapsed, most likely the lightest's
                if len(parameters.weights) == 1:
                    raise ValueError(ILL_DEFINED)
                worst = int(np.argmin(parameters.weights))
            else:
                parameters = fit.state.parameters
                unfit = unsound(self.problem, fit.state)
                if unfit is None:
                    return fit
                worst = unfit
            self.n_removed += 1
            parameters = drop(parameters, self.problem.kind, worst)

    def _refit(self, parameters: Parameters, state: State | None = None) -> Fit:
        """EM that ends at a mixture which can stand."""
        fit = self._run(parameters, _PATH, state)
        if fit is not None and self._is_sound(fit):
            return fit
        return self._settle(parameters)

    def _trials(self, candidates: list[Parameters], control: Control) -> list[Fit]:
        """Candidates after a few steps of EM, the best first."""
        fits = [self._run(candidate, control) for candidate in candidates]
        sound = [fit for fit in fits if fit is not None and self._is_sound(fit)]
        return sorted(sound, key=lambda fit: -fit.state.objective)

    def _smaller(self, fit: Fit) -> Fit:
        """The best found mixture with a component less."""
        with_deletion = self.problem._replace(prune=True)
        state = evaluate(with_deletion, fit.state.parameters)
        candidates = removals(self.problem, state)
        if len(candidates) > 1 and not self._is_past_the_best(fit):
            trials = self._trials(candidates, _REMOVAL)
            if trials:
                best = trials[0].state
                return self._refit(best.parameters, best)
        return self._refit(candidates[0])

    def _is_past_the_best(self, fit: Fit) -> bool:
        """Whether smaller mixtures can hardly be the best: no two are then tried.

        A component less saves no more than the price of its parameters.
        """
        free = self._free(len(fit.state.parameters.weights))
        value = self.criterion.value(self.problem, fit.state, self.mass)
        return value > self.score(self.best()) + self.criterion.price(self.mass) * free

    def _descend(self, fit: Fit, least: int = 1) -> None:
        """Every size from a fit down; until nothing is bettered, where least > 1."""
        self._keep(fit)
        while len(fit.state.parameters.weights) > least:
            fit = self._smaller(fit)
            if not self._keep(fit) and least > 1:
                return

    def _split(self, size: int) -> bool:
        """Whether splits of a size better the next larger one, or the size itself.

        A split that is not the best of the larger size may still, without another of
        its components, better its own.
        """
        state = self.found[size].state
        least = 2.0 * self.problem.min_mass
        candidates = local_splits(self.problem, state, least, self._rows)
        bettered = False
        for candidate in candidates[:_MOST_SPLITS]:
            known = self.found.get(size + 1)
            goal = -np.inf if known is None else known.state.objective
            fit = self._run(candidate, _NEAR._replace(goal=goal))
            if fit is not None and self._is_sound(fit):
                kept = self._keep(fit)
                if not kept and self._tells(fit, size):
                    kept = self._keep(self._smaller(fit))
                bettered = bettered or kept
        return bettered

    def _tells(self, split: Fit, size: int) -> bool:
        """Whether a split gains more than one of a single Gaussian does by chance."""
        gain = self.mass * (split.state.objective - self.found[size].state.objective)
        return gain > self._free(size + 1)

    def _free(self, size: int) -> int:
        """Free parameters of the last component."""
        kind, d = self.problem.kind, self.problem.blocks.n_features
        return n_parameters(kind, size, d) - n_parameters(kind, size - 1, d)

    def _refine(self, size: int, control: Control) -> None:
        """EM of a size to a tolerance, once."""
        if size not in self.found or self._reached.get(size, 1.0) <= control.tol:
            return
        state = self.found[size].state
        fit = self._run(state.parameters, control, state)
        self._reached[size] = control.tol
        if fit is not None and self._is_sound(fit):
            self.found[size] = fit
        elif len(self.found) > 1:
            del self.found[size]

    def _near_best(self) -> int:
        """The best size; it and its neighbours are refined."""
        while True:
            size = self.best()
            self._refine(size, _NEAR)
            for neighbour in (size - 1, size + 1):
                self._refine(neighbour, _NEAR._replace(goal=self._needed(neighbour)))
            if self.best() == size:
                return size

    def _ascend(self) -> bool:
        """One round of splits; whether it found anything."""
        size = self._near_best()
        before = self.score(size)
        larger = self.found.get(size + 1)
        if size < self.offer and self._split(size):
            split = self.found[size + 1]
            if split is not larger:
                self._descend(split, least=max(size - 1, 1))
        if self._near_best() != size or self.score(size) < before - 0.1:
            return True
        return size > 1 and size - 1 in self.found and self._split(size - 1)
