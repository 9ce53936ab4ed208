"""The process of one library on one case, and the handle by which it is driven.

A worker prepares its case, then waits: each "run" on its standard input is one
measurement, "value" asks for the figure that shows the result is right. So several
libraries take turns on the same cores, each in a process of its own.
"""

import json
import os
import subprocess
import sys
import traceback
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, sleep

from benchmarks._records import PROJECT, ROOT

_REST = 0.2  # seconds between runs: threads of the last library stop spinning
_COUNTS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "ott": "ott-jax",
    "ot": "POT",
    "PIL": "pillow",
}

# The harness always comes from here, the project from the folder under test: the
# package `benchmarks` is loaded first, then its folder leaves the path.
_START = """
import sys
sys.path.insert(0, sys.argv[1])
import benchmarks._worker
sys.path[0] = sys.argv[2]
benchmarks._worker.main(*sys.argv[2:5])
"""


def usable_cores():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Failed(RuntimeError):
    """A worker's own report of what went wrong."""


class Worker:
    """A library at work in a process of its own."""

    def __init__(self, section, library, case, threads, project=ROOT):
        counts = {f"{name}_NUM_THREADS": str(threads) for name in _COUNTS}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, ROOT, project, section, library],
            env={**os.environ, **counts, "PYTHONPATH": str(project)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.prepared = self.ask({"case": case, "threads": threads})

    def ask(self, question):
        """Send one line, wait for one line."""
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": "the process died"}
        if "error" in answer:
            self.close()
            raise Failed(answer["error"])
        return answer

    def run(self):
        """One measurement."""
        sleep(_REST)
        return self.ask("run")["figure"]

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def missing(library):
    """Packages of a library that are not installed."""
    return [name for name in library.packages if find_spec(name) is None]


def versions(library):
    """Versions of the packages of a library."""
    return {
        name: version(_DISTRIBUTIONS.get(name, name))
        for name in library.packages
        if name != PROJECT
    }


# Inside the process


def _use_cores(threads):
    """As many cores as threads, also for libraries that read no variable."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _checked_threads(threads):
    """Threads of every pool that is loaded; more than allowed is an error."""
    from threadpoolctl import threadpool_info

    pools = {
        f"{pool['internal_api']} {Path(pool['filepath']).name}": pool["num_threads"]
        for pool in threadpool_info()
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        pools["torch"] = torch.get_num_threads()
    if any(count > threads for count in pools.values()):
        raise RuntimeError(f"expected at most {threads} threads, found {pools}")
    return pools


def _check_project(folder):
    module = sys.modules.get(PROJECT)
    if module and Path(folder).resolve() not in Path(module.__file__).parents:
        raise RuntimeError(f"{module.__file__} is not in {folder}")


def _answers(folder, section, library):
    """Prepare at the first question, then answer the others."""
    from benchmarks._sections import SECTIONS

    question = yield
    _use_cores(question["threads"])
    job = SECTIONS[section].libraries[library].prepare(question["case"])
    start = perf_counter()
    job.run()
    first = perf_counter() - start
    _check_project(folder)
    pools = _checked_threads(question["threads"])
    question = yield {"first": first, "per": job.per, "pools": pools}
    while True:
        if question == "run":
            question = yield {"figure": job.run()}
        else:
            question = yield {"value": job.value()}


def main(folder, section, library):
    """Answer on standard output, which no library may write to."""
    warnings.simplefilter("ignore")
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)
        answers = _answers(folder, section, library)
        next(answers)
        for line in sys.stdin:
            try:
                answer = answers.send(json.loads(line))
            except Exception as error:
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {error}"}
            out.write(json.dumps(answer) + "\n")
            out.flush()
