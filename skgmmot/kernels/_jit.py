"""How kernels are compiled: one place for Numba's settings."""

import hashlib
import os
from pathlib import Path

import numba

# The flags that leave NaN and infinity true, as log-sum-exp needs (no nnan, no ninf).
_SUMS = {"nsz", "arcp", "contract", "afn", "reassoc"}
# No reassociation: the exponential splits numbers by adding and subtracting a
# constant, which an optimiser that is free to reassociate would fold away.
_EXACT = {"contract"}


def _stamp():
    """A digest of the kernels' sources.

    Numba's cache looks at the file of a function alone, not at the files of what it
    calls: the digest in its name makes it look at all of them.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _compiled(fastmath, allocates=False):
    cache = os.environ.get("SKGMMOT_CACHE", "1") != "0"
    stamp = _stamp()

    def decorate(function):
        settings = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
        # Counting references costs more than the arithmetic of a small tile.
        settings["_nrt"] = allocates
        function.__qualname__ += f"_{stamp}"
        try:
            return numba.njit(cache=cache, **settings)(function)
        except RuntimeError:  # no folder where a cache can be written
            return numba.njit(**settings)(function)

    return decorate


kernel = _compiled(_SUMS)
exact_kernel = _compiled(_EXACT)
allocating_kernel = _compiled(_SUMS, allocates=True)
exact_allocating_kernel = _compiled(_EXACT, allocates=True)
