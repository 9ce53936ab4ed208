"""What is used of Numba beyond its documentation: which part a new version broke."""

import inspect

import pytest
from numba.core import cgutils
from numba.core.caching import FunctionCache


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unpack_tuple", ["builder", "tup", "count"]),
        ("get_or_insert_function", ["module", "fnty", "name"]),
        ("alloca_once", ["builder", "ty", "size"]),
        ("for_range_slice", ["builder", "start", "stop", "step"]),
    ],
)
def test_helpers_of_code_generation(name, arguments):
    found = list(inspect.signature(getattr(cgutils, name)).parameters)
    assert found[: len(arguments)] == arguments, f"cgutils.{name} is called otherwise"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("load_overload", ["self", "sig", "target_context"]),
        ("save_overload", ["self", "sig", "data"]),
        ("flush", ["self"]),
    ],
)
def test_methods_of_the_cache_on_disk(name, arguments):
    found = list(inspect.signature(getattr(FunctionCache, name)).parameters)
    assert found == arguments, f"FunctionCache.{name} is called otherwise"


def test_a_dispatcher_has_a_cache_that_can_be_replaced(tmp_path, monkeypatch):
    import numba

    from skgmmot._jit_cache import QuietCache, keep_on_disk

    def one():
        return 1

    compiled = numba.njit(one)
    assert hasattr(compiled, "_cache"), "Dispatcher._cache has another name"
    keep_on_disk(compiled, one)
    assert isinstance(compiled._cache, QuietCache)
    assert compiled() == 1
