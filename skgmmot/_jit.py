"""How kernels are compiled: one place for Numba's settings."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import numba
import numpy as np
from numba.core.caching import FunctionCache

# The flags that leave NaN and infinity true, as log-sum-exp needs (no nnan, no ninf).
_SUMS = {"nsz", "arcp", "contract", "afn", "reassoc"}
# No reassociation: the exponential splits numbers by adding and subtracting a
# constant, which an optimiser that is free to reassociate would fold away.
_EXACT = {"contract"}


def _stamp():
    """A digest of the sources of everything compiled: files that name this one.

    Numba's cache looks at the file of a function alone, not at the files of what it
    calls: the digest in its name makes it look at all of them.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        if b"_jit" in source:
            digest.update(source)
    return digest.hexdigest()[:12]


class _Cache(FunctionCache):
    """Numba's cache on disk, for which a damaged or full folder is no error."""

    def load_overload(self, sig, target_context):
        """The compiled function, or None where there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            with suppress(Exception):
                self.flush()  # an empty index in place of the damaged one
            return None

    def save_overload(self, sig, data):
        """Save, or let the next process compile again."""
        with suppress(Exception):
            super().save_overload(sig, data)


def _compiled(fastmath, allocates=False):
    cache = os.environ.get("SKGMMOT_CACHE", "1") != "0"
    stamp = _stamp()

    def decorate(function):
        settings = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
        # Counting references costs more than the arithmetic of a small tile.
        settings["_nrt"] = allocates
        if numba.config.DISABLE_JIT:
            return np.errstate(all="ignore")(function)  # as compiled code does
        function.__qualname__ += f"_{stamp}"
        compiled = numba.njit(**settings)(function)
        if cache:
            # RuntimeError: there is no folder where a cache can be written
            with suppress(RuntimeError):
                compiled._cache = _Cache(function)
        return compiled

    return decorate


kernel = _compiled(_SUMS)
exact_kernel = _compiled(_EXACT)
allocating_kernel = _compiled(_SUMS, allocates=True)
exact_allocating_kernel = _compiled(_EXACT, allocates=True)
