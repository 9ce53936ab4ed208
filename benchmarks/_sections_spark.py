"""A section about Spark's mixture beside this one, on the same rows and cores."""

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks._data import mixed
from benchmarks._records import Job, Library, Section

_FIRST, _ITERATIONS = 2, 10
_UNIT = 10.0  # of the rows; see below


def _cpu_seconds():
    """Of this process and all that it started, so far."""
    import psutil

    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def _rows(case):
    return mixed(case["n"], case["d"], case["K"], overlapping=True).X / _UNIT


def _job(case, fit, value):
    """Time of some iterations, that of a short fit and its start taken off."""
    fitted, found = [], []
    clock = {"CPU": _cpu_seconds, "wall": perf_counter}[case["time"]]

    def spent(max_iter):
        before = clock()
        fitted[:] = [fit(max_iter)]
        return clock() - before

    def run():
        if not found:  # one measurement takes minutes
            spent(_FIRST)
            short = spent(_FIRST)
            found.append(spent(_FIRST + _ITERATIONS) - short)
        return found[0]

    return Job(run, lambda: value(fitted[0]), _ITERATIONS)


def _project(case):
    from skgmmot import SparseGaussianMixture

    X = _rows(case)

    def fit(max_iter):
        model = SparseGaussianMixture(
            case["K"], sparsity=0.0, max_iter=max_iter, tol=0.0, random_state=0
        )
        return model.fit(X)

    return _job(case, fit, lambda model: model.score(X))


def _session(n_threads):
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.memory": "6g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master(f"local[{n_threads}]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _cached(session, X, folder):
    """The rows as vectors in the memory of Spark; by a file, which it reads fast."""
    import pyarrow
    from pyarrow import parquet
    from pyspark.ml.feature import VectorAssembler

    names = [f"x{j}" for j in range(X.shape[1])]
    columns = dict(zip(names, X.T, strict=True))
    path = str(Path(folder) / "rows.parquet")
    parquet.write_table(pyarrow.table(columns), path, row_group_size=len(X) // 4)
    frame = session.read.parquet(path)
    vectors = VectorAssembler(inputCols=names, outputCol="features").transform(frame)
    rows = vectors.select("features").repartition(4).cache()
    rows.count()
    return rows


def _spark(case):
    from pyspark.ml.clustering import GaussianMixture

    session = _session(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        rows = _cached(session, _rows(case), folder)

    def fit(max_iter):
        model = GaussianMixture(k=case["K"], maxIter=max_iter, tol=0.0, seed=0)
        return model.fit(rows)

    def value(model):
        summary = model.summary
        if summary.numIter != _FIRST + _ITERATIONS:
            raise RuntimeError(f"{summary.numIter} iterations")
        return summary.logLikelihood / case["n"]

    return _job(case, fit, value)


SPARK = Section(
    "A fit beside Spark",
    "Time an iteration of EM with full covariances, on as many threads: CPU time of"
    " all processes, or wall time, which needs a machine without other work. Ten"
    " iterations, as the difference between fits of twelve and of two, so that neither"
    " start counts. Spark's rows are cached in a local session. It starts from random"
    " rows and takes no other start; this package starts by k-means. Spark adds"
    " 2.2e-16 to every density: where rows have densities below that, as they have in"
    " 28 features of unit variance, its posteriors are uniform and its likelihood"
    f" means nothing. The rows are divided by {_UNIT:.0f}, which makes densities"
    " large.",
    [
        {"n": n, "d": 28, "K": n_components, "time": time}
        for time in ("CPU", "wall")
        for n, n_components in ((1_000_000, 4), (200_000, 32))
    ],
    {
        "skgmmot": Library(_project, ("skgmmot", "psutil")),
        "Spark": Library(_spark, ("pyspark", "pyarrow", "psutil")),
    },
    "mean log-likelihood",
    repeat=1,
)
