"""How kernels are compiled: one place for Numba's settings."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

from skgmmot._jit_cache import keep_on_disk
from skgmmot._jit_inner import Kernel

# All functions that are compiled, for who ships them.
COMPILED: list[Any] = []

# The flags that leave NaN and infinity true, as log-sum-exp needs (no nnan, no ninf).
_SUMS = {"nsz", "arcp", "contract", "afn", "reassoc"}
# No reassociation: the exponential splits numbers by adding and subtracting a
# constant, which an optimiser that is free to reassociate would fold away.
_EXACT = {"contract"}


@cache
def _stamp() -> str:
    """A digest of the sources of everything compiled: files that name this one,
    those of emitters, and those that say how code is kept.

    Numba's cache looks at the file of a function alone, not at the files of what it
    calls: the digest in its name makes it look at all of them.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        part = path.parent.name == "numba" or path.name.startswith("_jit")
        if part or b"_jit" in source:
            digest.update(source)
    return digest.hexdigest()[:12]


def _compiled(fastmath: set[str], allocates: bool = False) -> Callable:
    kept = os.environ.get("SKGMMOT_CACHE", "1") != "0"
    stamp = _stamp()

    def decorate(function: Callable) -> Any:
        settings: dict[str, Any] = {
            "nogil": True,
            "fastmath": fastmath,
            "error_model": "numpy",
            # Nothing takes a kernel's address: a wrapper less to compile for each.
            "no_cfunc_wrapper": True,
        }
        # Counting references costs more than the arithmetic of a small tile.
        settings["_nrt"] = allocates
        if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
            return np.errstate(all="ignore")(function)  # as compiled code does
        function.__qualname__ += f"_{stamp}"
        compiled = Kernel(function, {}, settings)
        COMPILED.append(compiled)
        if kept:
            keep_on_disk(compiled, function)
        return compiled

    return decorate


@contextmanager
def compilation_told(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` once, before the first compilation; loads of a cache do not count."""
    from numba.core import event

    class Once(event.Listener):
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                self.told = True
                tell()

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Once()):
        yield


kernel = _compiled(_SUMS)
exact_kernel = _compiled(_EXACT)
allocating_kernel = _compiled(_SUMS, allocates=True)
exact_allocating_kernel = _compiled(_EXACT, allocates=True)
