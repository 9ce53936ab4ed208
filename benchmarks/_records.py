"""What a section of the benchmarks consists of."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
PROJECT = "skgmmot"


class Job(NamedTuple):
    """A prepared piece of work: what is measured, and what shows it is right."""

    run: Callable  # () -> figure for `per` units of work, in the section's unit
    value: Callable  # () -> float that all libraries should agree upon
    per: int = 1


class Library(NamedTuple):
    """How one library does a section's work."""

    prepare: Callable  # (case: dict) -> Job, data made from a seed
    packages: tuple  # modules without which it is listed as "not installed"
    does: Callable = lambda case: True  # (case: dict) -> whether it can do that


class Section(NamedTuple):
    """Cases, and the libraries that are timed on each; the project is one of them."""

    title: str
    text: str
    cases: list  # dicts of plain values
    libraries: dict  # name -> Library
    value: str  # what `Job.value` is
    unit: str = "s"
    repeat: int | None = None  # most repetitions that make sense


def seconds(function, *arguments, **settings):
    """Wall time of one call."""
    start = perf_counter()
    function(*arguments, **settings)
    return perf_counter() - start


def cpu_seconds(function, times=1):
    """CPU time of some calls."""
    start = process_time()
    for _ in range(times):
        function()
    return process_time() - start


def repeated(function, times=1, clock=seconds):
    """A job that calls a function some times; its value is the mean of the result."""
    results = []

    def run():
        results.clear()
        return clock(lambda: results.extend(function() for _ in range(times)))

    return Job(run, lambda: float(np.mean(np.asarray(results[-1]))), times)
