"""Numba's cache on disk, which its documentation does not promise: all of it is here.

A kernel is looked for in three places: among those that were compiled when the package
was built, for levels of x86-64 rather than for one processor; in the cache of this
machine; and at last it is compiled, which is said once. Names of functions hold a
digest of the sources, so that nothing old is found, however it got there.

Tried with Numba 0.61.2 and 0.68.1. Where a new version breaks it, its test in
tests/test_private.py says so.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    _CacheLocator,
)
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys

SHIPPED = Path(__file__).parent / "_compiled"
# The best first, each with features that levels below it lack.
LEVELS = {
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "x86-64-v3": ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
}
_STAMP = "shipped"


def has_level(level: str) -> bool:
    """Whether this processor has all that a level asks for."""
    names, features = list(LEVELS), llvm.get_host_cpu_features()
    needed = [f for name in names[names.index(level) :] for f in LEVELS[name]]
    return all(features.get(feature) for feature in needed)


@cache
def levels() -> tuple[str, ...]:
    """Levels of this processor for which kernels were shipped, the best first."""
    return tuple(
        name for name in LEVELS if (SHIPPED / name).is_dir() and has_level(name)
    )


@cache
def _announce() -> None:
    """Say once in a process that kernels are compiled: in silence it looks stuck."""
    if os.environ.get("SKGMMOT_QUIET", "0") == "0" and sys.stderr is not None:
        with suppress(Exception):
            print(
                "skgmmot: compiling kernels, once for this machine (some 20 seconds)",
                file=sys.stderr,
                flush=True,
            )


class _Nowhere(_CacheLocator):
    """The place of a cache that cannot be written: shipped kernels are found still."""

    def get_cache_path(self) -> str:
        """A folder that cannot exist."""
        return os.path.join(os.devnull, "skgmmot")

    def get_source_stamp(self) -> str:
        """The same for all."""
        return ""

    def get_disambiguator(self) -> str:
        """The same for all."""
        return ""

    @classmethod
    def from_function(cls, py_func: Callable, py_file: str) -> "_Nowhere":
        """The last resort, for any function."""
        return cls()


def _bitcode_of_name(name: str) -> bytes:
    """A module with an empty function: Numba asks there what is defined."""
    module = llvm.parse_assembly(f'define void @"{name}"() {{ ret void }}')
    return bytes(module.as_bitcode())


class _Kept(CompileResultCacheImpl):
    """How Numba keeps functions, anywhere.

    Only machine code: callers take kernels in as they were lowered, never from here,
    and to parse what they could take in is most of the time of loading a kernel.
    """

    _locator_classes: list[Any] = [*CompileResultCacheImpl._locator_classes, _Nowhere]  # noqa: RUF012

    def reduce(self, data: Any) -> tuple:
        """What is pickled of a compiled function."""
        (name, kind, code), *rest = super().reduce(data)
        if kind == "object":
            code = code[0], _bitcode_of_name(data.fndesc.llvm_cpython_wrapper_name)
        return (name, kind, code), *rest


class QuietCache(FunctionCache):
    """The cache, for which a damaged or full folder is no error.

    What is loaded needs Numba's runtime, but nothing of what Numba knows for compiling:
    to gather that takes longer than a first fit. Numba does so when it compiles.
    """

    _impl_class = _Kept
    _ships = False  # whether this process makes what is shipped
    _is_open = False

    def __init__(self, function: Callable) -> None:
        self._py_func, self._name = function, repr(function)

    @property
    def cache_path(self) -> str:
        """The folder."""
        self._open()
        return str(self._cache_path)

    def _open(self) -> None:
        """Look for a folder, at the first use: most kernels have none in a process."""
        if not self._is_open:
            super().__init__(self._py_func)
            self._is_open = True

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function, or None where there is none that can be read."""
        with suppress(Exception):
            found = None if self._ships else self._shipped_overload(sig, target_context)
            if found is not None:
                return found
        try:
            self._open()
            rtsys.initialize(target_context)
            found = self._load_overload(sig, target_context)
        except Exception:
            found = None
            with suppress(Exception):
                self.flush()  # an empty index in place of the damaged one
        if found is None:
            _announce()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save, or let the next process compile again."""
        with suppress(Exception):
            self._open()
            super().save_overload(sig, data)

    # For who ships kernels

    def ship_to(self, folder: Path) -> None:
        """From now on save to a folder of shipped kernels."""
        self._open()
        folder.mkdir(parents=True, exist_ok=True)
        self._cache_file = self._shipped_file(folder)
        self._ships = True

    def _shipped_file(self, folder: Path) -> Any:
        """The index of a function there."""
        function, (major, minor) = self._py_func, sys.version_info[:2]
        name = f"{function.__module__}.{function.__qualname__}.py{major}{minor}"
        return IndexDataCacheFile(str(folder), name, _STAMP)

    def _shipped_key(self, sig: Any, target_context: Any, level: str) -> tuple:
        """Under which a function is kept that was compiled for a level."""
        codegen = target_context.codegen()
        key = self._index_key(sig, codegen)
        return (key[0], (codegen.magic_tuple()[0], level, ""), *key[2:])

    def _shipped_overload(self, sig: Any, target_context: Any) -> Any:
        """The function as it was compiled when the package was built, or None."""
        rtsys.initialize(target_context)
        for level in levels():
            key = self._shipped_key(sig, target_context, level)
            data = self._shipped_file(SHIPPED / level).load(key)
            if data is not None:
                return CompileResult._rebuild(target_context, *data)
        return None


def keep_on_disk(compiled: Any, function: Callable) -> None:
    """Let a compiled function keep its code on disk, where there is a folder for it."""
    compiled._cache = QuietCache(function)
