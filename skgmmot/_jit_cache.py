"""Numba's cache on disk, which its documentation does not promise: all of it is here.

Tried with Numba 0.61.2 and 0.68.1. Where a new version breaks it, its test in
tests/test_private_apis.py says so.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba.core.caching import FunctionCache


class QuietCache(FunctionCache):
    """The cache, for which a damaged or full folder is no error."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function, or None where there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            with suppress(Exception):
                self.flush()  # an empty index in place of the damaged one
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save, or let the next process compile again."""
        with suppress(Exception):
            super().save_overload(sig, data)


def keep_on_disk(compiled: Any, function: Callable) -> None:
    """Let a compiled function keep its code on disk, where there is a folder for it."""
    with suppress(RuntimeError):  # there is none that can be written
        compiled._cache = QuietCache(function)
