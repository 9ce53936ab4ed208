"""The pool of threads: who works, on how many threads, and what becomes of errors."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from skgmmot import _threads
from skgmmot._threads import count_threads, run_ranges, usable_cores

MUCH = 1e12  # operations that are worth every thread


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_range_is_worked_on_once(n_threads):
    done = np.zeros(100, int)

    def work(i):
        done[i] += 1

    run_ranges(work, len(done), n_threads, MUCH)
    assert (done == 1).all()


def test_ranges_run_side_by_side():
    meeting = threading.Barrier(2, timeout=30)
    run_ranges(lambda i: meeting.wait(), 2, 2, MUCH)  # would time out on one thread


@pytest.mark.parametrize(("n_threads", "operations"), [(1, MUCH), (8, 0.0), (8, 1e5)])
def test_little_work_stays_in_the_calling_thread(n_threads, operations):
    workers = set()
    run_ranges(lambda i: workers.add(threading.get_ident()), 8, n_threads, operations)
    assert workers == {threading.get_ident()}


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("failing", [0, 7, 49])
def test_an_error_in_any_range_reaches_the_caller(n_threads, failing):
    def work(i):
        if i == failing:
            raise ZeroDivisionError(f"range {i}")

    with pytest.raises(ZeroDivisionError, match=f"range {failing}"):
        run_ranges(work, 50, n_threads, MUCH)


def test_an_error_in_a_helper_alone_reaches_the_caller():
    caller = threading.get_ident()
    meeting = threading.Barrier(2, timeout=30)

    def work(i):
        meeting.wait()
        if threading.get_ident() != caller:
            raise KeyError("helper")

    with pytest.raises(KeyError, match="helper"):
        run_ranges(work, 2, 2, MUCH)


def test_the_pool_works_on_after_an_error():
    test_an_error_in_a_helper_alone_reaches_the_caller()
    test_ranges_run_side_by_side()


def test_several_callers_share_the_pool():
    results = np.zeros((6, 40), int)

    def caller(row):
        run_ranges(lambda i: results[row].__setitem__(i, i), 40, 4, MUCH)

    threads = [threading.Thread(target=caller, args=(row,)) for row in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    np.testing.assert_array_equal(results, np.tile(np.arange(40), (6, 1)))


def test_a_call_from_within_a_range_does_not_wait_for_ever():
    done = []

    def outer(i):
        run_ranges(done.append, 3, 3, MUCH)

    run_ranges(outer, 4, 3, MUCH)
    assert sorted(done) == sorted([0, 1, 2] * 4)


def _sum_in_child(queue):
    total = np.zeros(20)
    run_ranges(lambda i: total.__setitem__(i, i), 20, 2, MUCH)
    queue.put(total.sum())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_makes_its_own_pool():
    test_ranges_run_side_by_side()  # the parent has threads, the child has not
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_sum_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == sum(range(20))
    child.join(timeout=60)
    assert child.exitcode == 0


def test_number_of_threads_has_the_meaning_of_joblib(monkeypatch):
    monkeypatch.setattr(_threads, "usable_cores", lambda: 8)
    assert count_threads(None) == count_threads(-1) == 8
    assert count_threads(-2) == 7
    assert count_threads(-20) == 1
    assert count_threads(3) == 3
    assert count_threads(16) == 16


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("1", 1), ("2", 2), ("64", 4), ("", 4), ("0", 4), ("many", 4)],
)
def test_omp_num_threads_limits_the_cores(monkeypatch, setting, expected):
    monkeypatch.setattr(_threads, "_cores_of_process", lambda pid: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    assert usable_cores() == expected


def test_omp_num_threads_holds_in_a_new_process():
    code = "from skgmmot._threads import count_threads as c; print(c(None))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert printed.strip() == "1"
