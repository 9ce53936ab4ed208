"""The descending path: mixtures of every size, each from its larger neighbour.

From all components that are offered, the one is removed whose absence costs least after
a refit, one at a time. Then the sizes about the best one are tried again from below: the
best one's components are split, and the path goes down anew from there.
"""

import dataclasses
from typing import Any

import numpy as np

from skgmmot.mixture import _moves
from skgmmot.mixture._em import Parameters, Problem, drop, evaluate
from skgmmot.mixture._fit import Control, Fit, run
from skgmmot.mixture._soundness import unsound


@dataclasses.dataclass
class Opt:
    trial_its: int = 3
    removals: int = 3
    trial_tol: float = 1e-5
    rough_tol: float = 1e-5
    path_tol: float = 1e-3
    gain: float = 0.5
    worth: float = 3.0
    axes: int = 1
    split_its: int = 6
    rounds: int = 3
    near: float = 1.0
    down: int = 2
    from_below: bool = True


class Search:
    """Mixtures by size, the best found of each."""

    def __init__(self, problem: Problem, criterion: Any, control: Control, opt=None):
        self.problem = problem._replace(price=0.0, prune=False)
        self.criterion = criterion
        self.control = control
        self.opt = opt or Opt()
        self.found: dict[int, Fit] = {}
        self.its = 0
        self.tols: dict[int, float] = {}

    def _run(self, parameters, tol, max_iter, goal=-np.inf):
        try:
            fit = run(self.problem, parameters, Control(tol, max_iter, True, goal=goal))
        except ValueError:
            return None
        self.its += len(fit.bounds)
        return fit

    def settle(self, parameters: Parameters) -> Fit:
        """EM; components that cannot stand are removed, one at a time."""
        while True:
            fit = self._run(parameters, self.opt.path_tol, 1000)
            worst = unsound(self.problem, fit.state)
            if worst is None or len(parameters.weights) == 1:
                return fit
            parameters = drop(fit.state.parameters, self.problem.kind, worst)

    def _keep(self, fit) -> bool:
        size = len(fit.state.parameters.weights)
        old = self.found.get(size)
        if old is None or fit.state.objective > old.state.objective + self.eps:
            self.found[size] = fit
            self.tols.pop(size, None)
            return True
        return False

    @property
    def eps(self):
        return self.opt.gain / max(self.problem.blocks.mass, 1.0)

    def score(self, size: int) -> float:
        return self.criterion.value(self.problem, self.found[size].state)

    def best(self) -> int:
        return min(self.found, key=lambda k: (self.score(k), k))

    def _best_trial(self, candidates, n_its, limit):
        trials = []
        for candidate in candidates:
            fit = self._run(candidate, self.opt.trial_tol, n_its)
            if fit is not None and unsound(self.problem, fit.state) is None:
                trials.append(fit)
        trials.sort(key=lambda f: -f.state.objective)
        return trials[:limit]

    def smaller(self, fit: Fit) -> Fit | None:
        """The best found mixture with a component less."""
        state = evaluate(self.problem._replace(prune=True), fit.state.parameters)
        cands = _moves.removals(self.problem, state, self.opt.removals, self.opt.worth)
        if len(cands) == 1:
            return self._polish(cands[0])
        trials = self._best_trial(cands, self.opt.trial_its, 1)
        if not trials:
            return self.settle(cands[0])
        return self._polish(trials[0].state.parameters)

    def _polish(self, parameters, tol=None):
        fit = self._run(parameters, tol or self.opt.path_tol, 1000)
        if fit is None or unsound(self.problem, fit.state) is not None:
            return self.settle(parameters)
        return fit

    def descend(self, fit: Fit, least: int = 1) -> None:
        self._keep(fit)
        while len(fit.state.parameters.weights) > least:
            fit = self.smaller(fit)
            if not self._keep(fit) and least > 1:
                return

    def larger(self, size: int) -> bool:
        """Whether splits of the mixture of this size better the next larger one."""
        parameters = self.found[size].state.parameters
        candidates = [
            _moves.split(self.problem, parameters, c, a)
            for c in range(size)
            for a in range(min(self.opt.axes, parameters.means.shape[1]))
            if parameters.weights[c] * self.problem.blocks.mass
            >= 2 * self.problem.min_mass
        ]
        trials = self._best_trial(candidates, self.opt.split_its, self.opt.down)
        bettered = False
        for trial in trials:
            fit = self._run(trial.state.parameters, self.opt.rough_tol, 1000)
            if fit is not None and unsound(self.problem, fit.state) is None:
                bettered = self._keep(fit) or bettered
        return bettered

    def refine(self, size, tol):
        """EM of a size to a tolerance, once."""
        if self.tols.get(size, 1.0) <= tol or size not in self.found:
            return
        self.tols[size] = tol
        fit = self._run(self.found[size].state.parameters, tol, self.control.max_iter)
        if fit is None or unsound(self.problem, fit.state) is not None:
            return
        if fit.state.objective >= self.found[size].state.objective:
            self.found[size] = fit

    def refined_best(self, tol):
        """The best size, which and whose neighbours were fitted to a tolerance."""
        while True:
            k = self.best()
            for size in (k - 1, k, k + 1):
                self.refine(size, tol)
            if self.best() == k:
                return k

    def go(self, start: Parameters, offer: int) -> int:
        self.descend(self.settle(start))
        for _ in range(self.opt.rounds):
            k = self.refined_best(self.opt.rough_tol)
            before = self.score(k)
            if k < offer and self.larger(k):
                self.descend(self.found[k + 1], least=max(k - 1, 1))
            if (
                self.refined_best(self.opt.rough_tol) == k
                and self.score(k) > before - 0.1
            ):
                if k == 1 or not self.opt.from_below or not self.larger(k - 1):
                    break
        k = self.best()
        self.refine(k, self.control.tol)
        return k
