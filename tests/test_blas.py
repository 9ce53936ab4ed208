"""The limit on BLAS threads: set, held by one caller, restored."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skgmmot import _threads
from skgmmot._threads import one_blas_thread


def blas_threads():
    """Threads of the loaded BLAS libraries."""
    np.ones((2, 2)) @ np.ones((2, 2))
    return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("BLAS does not take two threads here")
        yield


def test_one_thread_inside_and_as_before_after():
    with one_blas_thread():
        assert blas_threads() == {1}
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_an_error_restores():
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == {2}


def test_callers_that_overlap_restore_what_was_before_the_first():
    entered, leave, ended = (threading.Event() for _ in range(3))

    def hold():
        with one_blas_thread():
            entered.set()
            leave.wait(10)
        ended.set()

    with one_blas_thread():
        thread = threading.Thread(target=hold)
        thread.start()
        assert entered.wait(10)
        assert blas_threads() == {1}
    assert blas_threads() == {2}  # although the other caller is still at work
    leave.set()
    thread.join()
    assert ended.is_set()
    assert blas_threads() == {2}
    with one_blas_thread():
        assert blas_threads() == {1}


def test_a_forked_child_can_set_the_limit():
    owner = _threads._blas_owner
    with owner.lock:  # of a thread that the child does not have
        owner.forget()
        with one_blas_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {2}
