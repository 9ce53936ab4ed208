"""Sections about many machines: passes on Dask, and Spark beside a fit."""

import os

from benchmarks._data import mixed
from benchmarks._records import Job, Library, Section, seconds

_PASSES = 5


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# A pass on Dask


def _problem(case):
    from skgmmot.linalg._covariances import TYPES
    from skgmmot.mixture._em import Parameters, gaussians_of

    kind = TYPES["full"]
    data = mixed(case["n"], case["d"], case["K"], overlapping=True)
    factors = kind.precisions_cholesky(data.covariances)
    start = Parameters(data.weights, data.means, data.covariances, factors)
    return data.X, gaussians_of(start, kind)


def _passes(blocks, gaussians):
    likelihoods = []

    def some():
        likelihoods[:] = [
            blocks.moments(gaussians).log_likelihood for _ in range(_PASSES)
        ]

    mass = blocks.mass
    return Job(lambda: seconds(some), lambda: likelihoods[-1] / mass, _PASSES)


def _pass_in_memory(case):
    from skgmmot._blocks import blocks_of

    X, gaussians = _problem(case)
    return _passes(blocks_of(X), gaussians)


def _pass_on_dask(case, n_workers):
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    from skgmmot._blocks import blocks_of, parts_of

    cluster = LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=50,
    )
    Client(cluster)
    X, gaussians = _problem(case)
    rows = -(-len(X) // case["partitions"])
    lazy = da.from_array(X, chunks=(rows, X.shape[1])).persist()
    wait(lazy)
    return _passes(blocks_of(parts_of(lazy)[0]), gaussians)


_PASS_CASES = [
    {"n": 1_000_000, "d": 20, "K": 10, "partitions": partitions}
    for partitions in (4, 40, 1000)
] + [
    {"n": 2_000_000, "d": 20, "K": 32, "partitions": 8},
    {"n": 10_000, "d": 20, "K": 10, "partitions": 1000},
]

CLUSTER = Section(
    "A pass on Dask",
    "One E-step, full covariances: rows in memory on all threads, and rows persisted"
    " on the workers of a local cluster of as many processes of one thread, or of one."
    " The last case has hardly any rows: its time is what the tasks cost.",
    _PASS_CASES,
    {
        "skgmmot": Library(_pass_in_memory, ("skgmmot",)),
        "Dask": Library(
            lambda case: _pass_on_dask(case, _cores()), ("dask", "distributed")
        ),
        "Dask, one worker": Library(
            lambda case: _pass_on_dask(case, 1), ("dask", "distributed")
        ),
    },
    "mean log-likelihood",
)
