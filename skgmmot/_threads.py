"""One thread mechanism: kernels over ranges of rows, driven by a small pool.

Kernels release the interpreter's lock, so plain Python threads run them side by side.
The pool is made where it is first needed, grows with demand, and is made anew in a
forked child; no OpenMP or TBB region is ever entered.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from multiprocessing import current_process
from weakref import WeakSet

import joblib
from threadpoolctl import ThreadpoolController

_WORTH_A_THREAD = 2_000_000  # operations below which a second thread costs more


class _Share:
    """A caller and its helpers, who are at work."""

    def __init__(self, n_helpers: int) -> None:
        self.n_helpers = n_helpers


class _Pool:
    """The process's pool. Nothing of it hangs on an estimator."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop the threads without waiting: after a fork they are not there."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._size = 0
        # Weak: a share whose caller was interrupted before it could release it is gone.
        self._shares: WeakSet[_Share] = WeakSet()

    def share(self, wanted: int, cores: int | None) -> _Share:
        """Return a caller's share of the cores, with at most `wanted` helpers.

        Callers that work at the same time share them; None: as many as wanted.
        """
        with self._lock:
            busy = sum(1 + share.n_helpers for share in self._shares)
            free = wanted if cores is None else cores - busy - 1
            share = _Share(max(0, min(wanted, free)))
            self._shares.add(share)
        return share

    def release(self, share: _Share) -> None:
        """Give a share back."""
        with self._lock:
            self._shares.discard(share)

    def helpers(self, size: int) -> ThreadPoolExecutor:
        """Return an executor with at least `size` threads."""
        with self._lock:
            if self._executor is None or self._size < size:
                self._executor = ThreadPoolExecutor(size, "skgmmot")
                self._size = size
            return self._executor


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)


@lru_cache(maxsize=1)
def _cores_of_process(pid: int) -> int:
    """Affinity and cgroup, which take a tenth of a millisecond to ask for."""
    return joblib.cpu_count()


def _threads_of_worker() -> int | None:
    """Threads of the Dask worker whose task this thread runs, or None."""
    module = sys.modules.get("distributed.worker")
    if module is None:
        return None
    try:
        return int(module.get_worker().state.nthreads)
    except ValueError:  # not in a task
        return None


def usable_cores() -> int:
    """Cores that this process may use: affinity, cgroup and OMP_NUM_THREADS.

    In a task of Dask as many as its worker has threads, which share them. One in a
    daemonic process, which is one of several workers, as joblib counts too.
    """
    cores = _threads_of_worker()
    if cores is None and current_process().daemon:
        return 1
    cores = cores or _cores_of_process(os.getpid())
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) > 0:
        cores = min(cores, int(limit))
    return max(1, cores)


def count_threads(n_jobs: int | None) -> int:
    """Most threads for an `n_jobs` in joblib's sense: None and -1 all usable cores."""
    if n_jobs is None:
        return usable_cores()
    if n_jobs < 0:
        return max(1, usable_cores() + 1 + n_jobs)
    return max(1, int(n_jobs))


def _submit(take: Callable[[], None], n_helpers: int, helpers: list[Future]) -> None:
    """Hand `take` to the pool; with fewer threads where the system gives no more."""
    if n_helpers == 0:
        return
    executor = _pool.helpers(n_helpers)
    try:
        for _ in range(n_helpers):
            helpers.append(executor.submit(take))
    except RuntimeError:  # a limit on threads, or the interpreter is shutting down
        pass


def run_ranges(
    work: Callable[[int], None], n_ranges: int, n_jobs: int | None, operations: float
) -> None:
    """Call work(i) for i in range(n_ranges), on threads where that pays.

    Ranges are handed out one by one; each writes to places of its own, so that results
    do not depend on who worked on what.
    """
    threads = min(n_ranges, 1 + int(operations // _WORTH_A_THREAD))
    if threads > 1:
        threads = min(threads, count_threads(n_jobs))
    if threads <= 1:
        for i in range(n_ranges):
            work(i)
        return
    explicit = n_jobs is not None and n_jobs > 0
    share = _pool.share(threads - 1, None if explicit else usable_cores())
    try:
        _run(work, n_ranges, share.n_helpers)
    finally:
        _pool.release(share)


def _run(work: Callable[[int], None], n_ranges: int, n_helpers: int) -> None:
    """Call work(i) for all ranges on this thread and on helpers."""
    numbers = count()  # next() is one step of the interpreter: no two threads share it
    stop = threading.Event()

    def take() -> None:
        try:
            while not stop.is_set() and (i := next(numbers)) < n_ranges:
                work(i)
        except BaseException:
            stop.set()
            raise

    helpers: list[Future] = []
    try:
        _submit(take, n_helpers, helpers)
        take()
    except BaseException:
        stop.set()
        raise
    finally:  # numbers are used up here, or stop is set: helpers end by themselves
        for helper in helpers:
            if not helper.cancel():
                helper.result()


class _BlasOwner:
    """Who holds the process-wide limit on BLAS threads: one caller at a time."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nobody holds it: after a fork, the other thread is not there."""
        self.lock = threading.Lock()


_blas_owner = _BlasOwner()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blas_owner.forget)


@lru_cache(maxsize=1)
def _blas_of_process() -> ThreadpoolController:
    """The loaded BLAS libraries, which take most of a millisecond to look for."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS and LAPACK work on one thread; for a whole fit, not for a step.

    Algebra of a few components is too small to be shared out: waiting threads cost
    more than they bring. Of nested and simultaneous callers the first sets the limit
    and restores what it found: were each to do so, the last to end would restore the
    limit of another, for good.
    """
    lock = _blas_owner.lock
    if not lock.acquire(blocking=False):
        yield
        return
    blas = _blas_of_process()
    try:
        if all(pool.num_threads == 1 for pool in blas.lib_controllers):
            yield
            return
        with blas.limit(limits=1, user_api="blas"):
            yield
    finally:
        lock.release()
