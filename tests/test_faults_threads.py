"""Threads, forks and other people's pools: fits end, with the bits they always have."""

import importlib.util
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import joblib
import numpy as np
import pytest
from children import run_child

from skgmmot import _threads
from skgmmot._threads import run_ranges

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
_IN_A_FORK = """
def in_a_fork(function):
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if function() else 3)
        except BaseException:
            os._exit(4)
    deadline = time.time() + 60
    while time.time() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(child, 9)
    return "no end"
"""


_PARALLEL_SUM = """
import numba

@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for i in numba.prange(len(x)):
        s += x[i]
    return s

x = np.ones(1_000_000)
"""


def has_module(name):
    return importlib.util.find_spec(name) is not None


def test_four_threads_fit_and_score_at_once():
    printed = run_child("""
        expected = {seed: digest(fit(seed)) for seed in range(4)}
        wrong = []

        def work(seed):
            fitted = fit(seed)
            if digest(fitted) != expected[seed]:
                wrong.append(seed)
            if fitted.score(rows(seed=seed)) != fitted.score(rows(seed=seed)):
                wrong.append(seed)

        for _ in range(3):
            threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
        shared, X, scores = fit(0), rows(60_000), []
        threads = [
            threading.Thread(target=lambda: scores.append(shared.score(X)))
            for _ in range(4)
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(wrong, len(set(scores)))
    """)
    assert printed == "[] 1"


@needs_fork
def test_a_forked_child_fits_after_its_parent_did():
    printed = run_child(
        _IN_A_FORK
        + """
expected = digest(fit(0))
print(in_a_fork(lambda: digest(fit(0)) == expected), digest(fit(0)) == expected)
"""
    )
    assert printed == "0 True"


@needs_fork
def test_a_fork_while_another_thread_fits():
    printed = run_child(
        _IN_A_FORK
        + """
expected = digest(fit(0))
busy = threading.Thread(target=lambda: [fit(1) for _ in range(20)])
busy.start()
print([in_a_fork(lambda: digest(fit(0)) == expected) for _ in range(3)])
busy.join()
"""
    )
    assert printed == "[0, 0, 0]"


def test_backends_of_joblib():
    printed = run_child("""
        from joblib import Parallel, delayed, parallel_config
        expected = [digest(fit(seed)) for seed in range(4)]
        for backend in ("threading", "loky", "multiprocessing"):
            with parallel_config(backend, n_jobs=2):
                found = Parallel()(delayed(fit)(seed) for seed in range(4))
            print(backend, [digest(f) for f in found] == expected)
    """)
    assert printed.split("\n") == [
        "threading True", "loky True", "multiprocessing True"
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_a_grid_search_uses_no_more_threads_than_cores(backend):
    printed = run_child(
        f"""
        from joblib import parallel_config
        from sklearn.model_selection import GridSearchCV
        from skgmmot import _threads

        run, working, sums = _threads._run, [], [1]

        def noted(work, n_ranges, n_helpers):
            working.append(1 + n_helpers)
            sums.append(sum(working))
            run(work, n_ranges, n_helpers)
            working.remove(1 + n_helpers)

        def threads(estimator, X, y=None):
            _threads._run = noted  # in the process where this runs
            estimator.fit(X)
            return np.median(sums)  # one caller ends while the other begins

        _threads._run = noted
        X = rows(200_000)
        search = GridSearchCV(
            SparseGaussianMixture(sparsity=0.0, random_state=0, max_iter=5, tol=0.0),
            {{"n_components": [8, 9]}}, n_jobs=2, cv=2, scoring=threads, refit=False,
        )
        with parallel_config({backend!r}):
            search.fit(X)
        found = search.cv_results_
        print(max(found["split0_test_score"].max(), found["split1_test_score"].max()))
        """,
        env={"OMP_NUM_THREADS": None},
    )
    processes = 1 if backend == "threading" else 2
    assert processes * float(printed) <= max(2, joblib.cpu_count())


def test_callers_share_the_cores(monkeypatch):
    pool = _threads._Pool()
    first = pool.share(3, 4)
    second = pool.share(3, 4)
    assert (first.n_helpers, second.n_helpers) == (3, 0)
    pool.release(first)
    assert pool.share(3, 4).n_helpers == 2
    assert pool.share(7, None).n_helpers == 7
    del second  # its caller was interrupted
    assert pool.share(3, 4).n_helpers == 3


@pytest.mark.skipif(not has_module("distributed"), reason="needs dask.distributed")
def test_fits_inside_dask_workers():
    printed = run_child("""
        from dask.distributed import Client
        expected = [digest(fit(seed)) for seed in range(4)]
        with Client(
            n_workers=1, threads_per_worker=2, dashboard_address=None
        ) as client:
            found = client.gather(client.map(fit, range(4)))
        print([digest(f) for f in found] == expected)
    """)
    assert printed == "True"


def test_fits_beside_openmp_and_in_a_fork_after_it():
    printed = run_child(
        _IN_A_FORK
        + """
from sklearn.ensemble import HistGradientBoostingRegressor
X = rows(5000)
trees = HistGradientBoostingRegressor(max_iter=3).fit(X, X[:, 0])
expected = digest(fit(0))
trees.fit(X, X[:, 1])
other = threading.Thread(target=lambda: trees.fit(X, X[:, 2]))
other.start()
same = digest(fit(0)) == expected
other.join()
code = in_a_fork(lambda: digest(fit(0)) == expected) if hasattr(os, "fork") else 0
print(same, code)
"""
    )
    assert printed == "True 0"


def test_fits_beside_parallel_regions_of_numba():
    printed = run_child(
        _PARALLEL_SUM
        + """
first = total(x)
expected = digest(fit(0))
threads = [threading.Thread(target=fit, args=(s,)) for s in range(3)]
[thread.start() for thread in threads]
sums = {total(x) for _ in range(200)}
[thread.join() for thread in threads]
print(sums == {first}, digest(fit(0)) == expected)
"""
    )
    assert printed == "True True"


def tbb_folder():
    """Where the library lies that the tbb package brings, or None."""
    try:
        files = metadata.files("tbb") or ()
    except metadata.PackageNotFoundError:
        return None
    found = [f.locate().parent for f in files if f.name.startswith("libtbb.so")]
    return str(found[0].resolve()) if found else None


@pytest.mark.skipif(tbb_folder() is None, reason="needs tbb for Linux")
def test_fits_beside_tbb():
    printed = run_child(
        _PARALLEL_SUM
        + """
first, expected = total(x), digest(fit(0))
other = threading.Thread(target=lambda: [total(x) for _ in range(200)])
other.start()
same = digest(fit(0)) == expected
other.join()
print(numba.threading_layer(), same, total(x) == first)
""",
        env={"NUMBA_THREADING_LAYER": "tbb", "LD_LIBRARY_PATH": tbb_folder()},
    )
    assert printed == "tbb True True"


@pytest.mark.skipif(not has_module("torch"), reason="needs torch")
def test_fits_beside_torch():
    printed = run_child("""
        import torch
        a = torch.ones((500, 500))
        expected = digest(fit(0))
        other = threading.Thread(target=lambda: [a @ a for _ in range(50)])
        other.start()
        print(digest(fit(0)) == expected)
        other.join()
    """)
    assert printed == "True"


def test_a_fit_while_the_interpreter_shuts_down():
    printed = run_child("""
        import atexit
        atexit.register(lambda: print(digest(fit(0, n_jobs=4)) == expected))
        expected = digest(fit(0, n_jobs=4))
    """)
    assert printed == "True"


def test_fewer_threads_do_where_the_system_gives_no_more(monkeypatch):
    def no_thread(pool, function):
        raise RuntimeError("can't start new thread")

    pool = _threads._Pool()
    monkeypatch.setattr(_threads, "_pool", pool)
    monkeypatch.setattr(ThreadPoolExecutor, "submit", no_thread)
    done = np.zeros(50, int)
    run_ranges(lambda i: done.__setitem__(i, done[i] + 1), 50, 4, 1e12)
    assert (done == 1).all()


def test_an_interrupt_between_the_calls_for_threads_stops_them(monkeypatch):
    begun, worked = [], []

    def interrupted(pool, function):
        if begun:
            raise KeyboardInterrupt
        begun.append(original(pool, function))
        return begun[0]

    original = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)

    def work(i):
        worked.append(i)
        threading.Event().wait(0.02)

    with pytest.raises(KeyboardInterrupt):
        run_ranges(work, 1000, 3, 1e12)
    assert begun[0].done()
    assert len(worked) < 1000
