"""What more threads bring: python -m benchmarks.scaling [--json FILE].

One thread and all cores in turns in one process, the shortest time of each: what else
runs on the machine strikes both alike. A matrix product takes its turns too.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks._machine import described
from benchmarks._records import seconds
from benchmarks._tables import table, title
from benchmarks._worker import usable_cores
from benchmarks.roofline import problem

_ROWS = 100_000
_FEATURES = (2, 4, 8, 16, 32, 128)
_HEADER = ["what", "d", "components", "1 thread", "{} threads", "times"]
_TEXT = (
    "100 000 rows, K = 32 (16 where d = 128), 1 thread and all cores in turns in one "
    "process: the shortest time of a row and component, and how many times shorter it "
    "is with all cores."
)


def in_turns(function, counts, least=8.0, turns=6):
    """Shortest time of function(count) for each count."""
    for count in counts:
        function(count)  # compiles, and brings the data near
    times = {count: [] for count in counts}
    while (
        min(map(len, times.values())) < turns or sum(map(sum, times.values())) < least
    ):
        for count in counts:
            times[count].append(seconds(function, count))
    return [min(times[count]) for count in counts]


def _product():
    """A function that multiplies two matrices on so many threads."""
    left, right = np.random.default_rng(0).standard_normal((2, 1024, 1024))

    def product(count):
        with threadpool_limits(count):
            left @ right

    return product


def _row(name, d, overlapping, times, work):
    one, many = (1e9 * time / work for time in times)
    how = "overlap" if overlapping else "apart"
    return [name, d, how, f"{one:.2f} ns", f"{many:.2f} ns", f"{one / many:.2f}"]


def rows(counts):
    """One row for each pass and problem."""
    from skgmmot.kernels import kernels_for

    one, many = in_turns(_product(), counts)
    times = f"{1e3 * one:.1f} ms", f"{1e3 * many:.1f} ms"
    yield ["matrix product", 1024, "", *times, f"{one / many:.2f}"]
    for d in _FEATURES:
        for overlapping in (False, True):
            data, mixture = problem(d, overlapping, _ROWS)
            kernels, work = kernels_for(data.X), len(data.X) * len(data.weights)

            def density(count, X=data.X, mixture=mixture, kernels=kernels):
                kernels.log_density(X, mixture, count)

            def moments(count, X=data.X, mixture=mixture, kernels=kernels):
                kernels.moments(X, None, mixture, False, count)

            for name, function in (("density", density), ("moments", moments)):
                times = in_turns(function, counts)
                yield _row(name, d, overlapping, times, work)


def tabulated(result):
    """The table, with what is measured."""
    header = [name.format(result["threads"]) for name in _HEADER]
    parts = [title("More threads").strip("\n"), _TEXT]
    return "\n\n".join([*parts, table(header, result["scaling"])])


def main():
    """Measure on one thread and on all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    cores = usable_cores()
    result = {**described(cores), "scaling": list(rows((1, cores)))}
    print(tabulated(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
