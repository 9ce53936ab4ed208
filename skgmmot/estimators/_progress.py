"""What a fit says while it runs, and who may stop it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any

from skgmmot._jit import compilation_told
from skgmmot.mixture._fit import Stopped

Fitted = Callable[[Any], dict[str, Any]]  # fitted attributes at a state


class Callbacks:
    """scikit-learn's callbacks of an estimator: a task a start, a task a step.

    `fitted` makes the attributes of an estimator that had stopped at a state, where
    that is known.
    """

    def __init__(
        self, estimator: Any, X: Any, n_starts: int, fitted: Fitted | None = None
    ) -> None:
        self.estimator, self.X, self.fitted = estimator, X, fitted
        self.root = estimator._init_callback_context(max_subtasks=n_starts)
        self.root.call_on_fit_task_begin(estimator=estimator, X=X)

    def begin(self) -> None:
        """A start begins."""
        self.start = self.root.subcontext(task_name="start", max_subtasks=None)
        self.start.call_on_fit_task_begin(estimator=self.estimator, X=self.X)

    def step(self, name: str, state: Any = None) -> bool:
        """A step is done; whether a callback wants no more of them."""
        context = self.start.subcontext(task_name=name)
        context.call_on_fit_task_begin(estimator=self.estimator, X=self.X)
        return self._end(context, state)

    def end(self) -> bool:
        """A start is done; whether a callback wants no more of them."""
        return self._end(self.start, None)

    def close(self) -> None:
        """The fit is done."""
        self._end(self.root, None)

    def _end(self, context: Any, state: Any) -> bool:
        known: Any = None
        if state is not None and self.fitted is not None:
            known = partial(self.fitted, state)
        return context.call_on_fit_task_end(
            estimator=self.estimator, X=self.X, reconstruction_attributes=known
        )


def callbacks_of(
    estimator: Any, X: Any, n_starts: int, fitted: Fitted | None = None
) -> Callbacks | None:
    """The callbacks that were set; None where there are none."""
    if not getattr(estimator, "_skl_callbacks", None):
        return None
    return Callbacks(estimator, X, n_starts, fitted)


class Progress:
    """Messages of a fit, in scikit-learn's manner, and its callbacks."""

    def __init__(
        self, verbose: int, interval: int, callbacks: Callbacks | None = None
    ) -> None:
        self.verbose = verbose
        self.interval = interval
        self.callbacks = callbacks
        self.stopped = False

    @property
    def is_watched(self) -> bool:
        """Whether anyone listens to single steps."""
        return self.verbose > 0 or self.callbacks is not None

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Say so when kernels have to be compiled; end the callbacks' task."""
        if self.verbose:
            with compilation_told(self._compiling):
                yield
        else:
            yield
        if self.callbacks is not None:
            self.callbacks.close()

    def _compiling(self) -> None:
        print("Compiling kernels: once, later processes find them in a cache")

    def begin(self, number: int) -> None:
        """Announce a start."""
        self.began = perf_counter()
        if self.verbose:
            print(f"Initialization {number}")
        if self.callbacks is not None:
            self.callbacks.begin()

    def started(self) -> None:
        """Report that the parameters to start from are there."""
        if self.verbose > 1:
            print(f"  start found\t {self._lapse()}")

    def step(self, iteration: int, change: float, state: Any = None) -> bool:
        """Report every `interval` iterations; whether to stop here."""
        if self.verbose and iteration % self.interval == 0:
            print(f"  Iteration {iteration}{self._told(change, state)}")
        if self.callbacks is not None and state is not None:
            self.stopped = self.callbacks.step("iteration", state) or self.stopped
        return self.stopped

    def _told(self, change: float, state: Any) -> str:
        """Objective, components, change and time; closer with verbose=2."""
        digits = 10 if self.verbose > 1 else 5
        told = ""
        if state is not None:
            if hasattr(state, "objective"):
                told += f"\t objective {state.objective:.{digits}f}"
            if hasattr(state, "parameters"):
                told += f"\t components {len(state.parameters.weights)}"
        return f"{told}\t bound change {change:.{digits // 2}e}\t {self._lapse()}"

    def _lapse(self) -> str:
        return f"time lapse {perf_counter() - self.began:.3f}s"

    def size(self, n_components: int, criterion: float, state: Any = None) -> None:
        """Report the criterion of a number of components; callbacks may stop here."""
        if self.verbose:
            digits = 10 if self.verbose > 1 else 6
            told = f"criterion {criterion:.{digits}g}\t {self._lapse()}"
            print(f"  {n_components} components: {told}")
        if self.callbacks is not None and self.callbacks.step("size", state):
            self.stopped = True
            raise Stopped

    def limit(self, n_components: int) -> None:
        """Report that the number found is all that were offered."""
        if self.verbose:
            print(
                f"All {n_components} components that were offered were kept; a larger "
                "n_components may do better."
            )

    def end(self, bound: float, converged: bool) -> bool:
        """Report how a start ended; whether there shall be no other."""
        if self.callbacks is not None:
            self.stopped = self.callbacks.end() or self.stopped
        if self.verbose:
            text = "converged." if converged else "did not converge."
            if self.stopped:
                text = "was stopped."
            if self.verbose > 1:
                text += f" {self._lapse()}\t lower bound {bound:.10f}."
            print(f"Initialization {text}")
        return self.stopped
