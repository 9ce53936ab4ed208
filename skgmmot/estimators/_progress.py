"""What a fit says while it runs."""

from time import perf_counter


class Progress:
    """Messages of a fit, in scikit-learn's manner."""

    def __init__(self, verbose: int, interval: int) -> None:
        self.verbose = verbose
        self.interval = interval

    def begin(self, number: int) -> None:
        """Announce a start."""
        self.began = self.last = perf_counter()
        if self.verbose:
            print(f"Initialization {number}")

    def step(self, iteration: int, change: float) -> None:
        """Report every `interval` iterations."""
        if not self.verbose or iteration % self.interval:
            return
        if self.verbose == 1:
            print(f"  Iteration {iteration}")
            return
        now = perf_counter()
        print(
            f"  Iteration {iteration}\t time lapse {now - self.last:.5f}s"
            f"\t bound change {change:.5f}"
        )
        self.last = now

    def size(self, n_components: int, criterion: float) -> None:
        """Report the criterion of a number of components."""
        if self.verbose:
            print(f"  {n_components} components: criterion {criterion:.5g}")

    def limit(self, n_components: int) -> None:
        """Report that the number found is all that were offered."""
        if self.verbose:
            print(
                f"All {n_components} components that were offered were kept; a larger "
                "n_components may do better."
            )

    def end(self, bound: float, converged: bool) -> None:
        """Report how a start ended."""
        if not self.verbose:
            return
        text = "converged." if converged else "did not converge."
        if self.verbose > 1:
            lapse = perf_counter() - self.began
            text += f" time lapse {lapse:.5f}s\t lower bound {bound:.5f}."
        print(f"Initialization {text}")
