"""Memory of a fit on a cluster of Dask: the client, and workers beyond their data."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks._records import Job, Library, Section

_FEATURES, _WORKERS = 20, 2
_NANNY = {"MALLOC_TRIM_THRESHOLD_": "65536"}  # what Dask's nannies give to workers
_COMMANDS = {
    "scheduler": "distributed.cli.dask_scheduler --port 0 --dashboard-address :0",
    "worker": "distributed.cli.dask_worker --nthreads 1 --no-nanny --no-dashboard",
}

# A process of its own fits, and prints what it and the workers took at most.
_CLIENT = """
import json, sys, warnings
from functools import partial
import dask.array as da
from distributed import Client
from benchmarks._sections_cluster_memory import begun, fit, made, peak
warnings.simplefilter("ignore")
file, n_chunks, chunk, what = sys.argv[1], *map(int, sys.argv[2:4]), sys.argv[4]
with Client(scheduler_file=file) as client:
    client.wait_for_workers({workers})

    def rows(n_chunks, chunk):
        shape = ((chunk,) * n_chunks, ({features},))
        return da.arange(n_chunks, chunks=1).map_blocks(
            partial(made, n_rows=chunk), chunks=shape, new_axis=1, dtype=float
        )

    fit(rows(60, 1000), what)
    before = client.run(begun)
    fit(rows(n_chunks, chunk), what)
    after = client.run(peak)
print(json.dumps([peak(), max(after[worker] - before[worker] for worker in before)]))
"""


def peak():
    """Largest resident size of this process so far, in megabytes."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)


def begun():
    """Megabytes that this process has now; what it had at most is forgotten."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def made(number, n_rows):
    """A chunk of rows of three populations, another for each number."""
    import numpy as np

    rng = np.random.default_rng(int(number[0]))
    rows = rng.standard_normal((n_rows, _FEATURES))
    rows += 3.0 * rng.integers(3, size=(n_rows, 1))
    return rows


def fit(rows, what):
    """A fit of some iterations."""
    from skgmmot import SparseGaussianMixture

    given = {"sparsity": 0.0, "max_iter": 3} if what == "sparsity=0" else {}
    size = 3 if given else 6
    SparseGaussianMixture(size, random_state=0, **given).fit(rows)


def _started(stack, role, arguments, **environment):
    process = subprocess.Popen(
        [sys.executable, "-m", *_COMMANDS[role].split(), *arguments],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _on_cluster(case):
    """A fit on a scheduler and workers that are processes."""
    rows = round(case["chunk"] * 1e6 / (_FEATURES * 8))
    n_chunks = round(case["GB"] * 1e3 / case["chunk"])
    code = _CLIENT.format(workers=_WORKERS, features=_FEATURES)
    sizes = str(n_chunks), str(rows)
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
                _started(stack, "worker", where, **_NANNY)
            done = subprocess.run(
                [sys.executable, "-c", code, file, *sizes, case["fit"]],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        return json.loads(done.stdout.splitlines()[-1])

    return Job(run, lambda: found[1])


CLUSTER_MEMORY = Section(
    "Memory of a fit on a cluster",
    f"Lazy chunks of some megabytes, a scheduler and {_WORKERS} workers of one thread,"
    " each in a process of its own, with the settings of memory that Dask's nannies"
    " give. The largest resident size of the client, packages and kernels included"
    " (some 265 MB); the value is what the fit takes in a worker at most beyond what"
    " that has after such a fit of 60 chunks of 0.2 MB: the chunk in hand, and the"
    " work on it. Linux only.",
    [
        {"GB": size, "chunk": chunk, "fit": "sparsity=0"}
        for chunk, sizes in ((8, (0.25, 1, 4)), (64, (1, 4)))
        for size in sizes
    ]
    + [{"GB": 4, "chunk": 64, "fit": "default"}],
    {"skgmmot": Library(_on_cluster, ("dask", "distributed"))},
    "megabytes that the fit adds to the larger worker",
    unit="MB",
    repeat=1,
)
