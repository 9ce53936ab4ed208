"""Memory of a fit on a cluster of Dask: the client, and workers beyond their data."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks._records import Job, Library, Section

_CHUNK, _FEATURES, _WORKERS = 50_000, 20, 2
_COMMANDS = {
    "scheduler": "distributed.cli.dask_scheduler --port 0 --dashboard-address :0",
    "worker": "distributed.cli.dask_worker --nthreads 1 --no-nanny --no-dashboard",
}

# A process of its own fits, and prints what it and the workers took at most.
_CLIENT = """
import json, sys, warnings
import dask.array as da
from distributed import Client
from benchmarks._sections_cluster_memory import fit, made, peak
warnings.simplefilter("ignore")
file, n_chunks, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with Client(scheduler_file=file) as client:
    client.wait_for_workers({workers})
    numbers = da.arange(n_chunks, chunks=1)
    shape = (({chunk},) * n_chunks, ({features},))
    rows = numbers.map_blocks(made, chunks=shape, new_axis=1, dtype=float)
    fit(rows[:1000], "sparsity=0")
    few = made([0])[:5000]
    list(client.run(lambda: fit(few, "default")))
    before = peak(), max(client.run(peak).values())
    fit(rows, what)
    after = peak(), max(client.run(peak).values())
print(json.dumps([after[0], after[1] - before[1]]))
"""


def peak():
    """Largest resident size of this process so far, in megabytes."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)


def made(number):
    """A chunk of rows of three populations; cheap, and another for each number."""
    import numpy as np

    rng = np.random.default_rng(int(number[0]))
    rows = rng.standard_normal((_CHUNK // 25, _FEATURES))
    rows += 3.0 * rng.integers(3, size=(len(rows), 1))
    return np.tile(rows, (25, 1))


def fit(rows, what):
    """A fit of some iterations."""
    from skgmmot import SparseGaussianMixture

    given = {"sparsity": 0.0, "max_iter": 3} if what == "sparsity=0" else {}
    size = 3 if given else 6
    SparseGaussianMixture(size, random_state=0, **given).fit(rows)


def _started(stack, role, arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", *_COMMANDS[role].split(), *arguments],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _on_cluster(case):
    """A fit on a scheduler and workers that are processes."""
    n_chunks = round(case["GB"] * 1e9 / (_CHUNK * _FEATURES * 8))
    code = _CLIENT.format(workers=_WORKERS, chunk=_CHUNK, features=_FEATURES)
    found = []

    def run():
        if not found:  # a second time would tell the same, at some minutes
            found.extend(measured())
        return found[0]

    def measured():
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            file = str(Path(folder) / "scheduler.json")
            _started(stack, "scheduler", ["--scheduler-file", file])
            for _ in range(_WORKERS):
                where = ["--scheduler-file", file, "--local-directory", folder]
                _started(stack, "worker", where)
            done = subprocess.run(
                [sys.executable, "-c", code, file, str(n_chunks), case["fit"]],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        return json.loads(done.stdout.splitlines()[-1])

    return Job(run, lambda: found[1])


CLUSTER_MEMORY = Section(
    "Memory of a fit on a cluster",
    f"Lazy chunks of {_CHUNK * _FEATURES * 8 / 1e6:.0f} MB, a scheduler and"
    f" {_WORKERS} workers of one thread, each in a process of its own. The largest"
    " resident size of the client, packages and kernels included (some 265 MB); the"
    " value is what the fit adds to a worker that has fitted 5000 rows before.",
    [
        {"GB": 0.25, "fit": "sparsity=0"},
        {"GB": 1, "fit": "sparsity=0"},
        {"GB": 4, "fit": "sparsity=0"},
        {"GB": 4, "fit": "default"},
    ],
    {"skgmmot": Library(_on_cluster, ("dask", "distributed"))},
    "megabytes that the fit adds to the larger worker",
    unit="MB",
    repeat=1,
)
