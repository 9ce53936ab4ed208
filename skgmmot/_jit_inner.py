"""Kernels that are cheap to compile into others: Numba's dispatcher, in part changed.

Numba optimises every function that another calls, and makes machine code and a wrapper
for Python of it, before it takes it into its caller, where all is optimised again. Here
the called function goes into its caller as it was lowered: it is optimised once, as
part of what Python calls.

Numba's documentation promises nothing of this. Tried with 0.61.2 and 0.68.1. Where a
new version breaks it, its test in tests/test_private.py says so.
"""

from collections.abc import Callable
from typing import Any

from numba.core import compiler, sigutils, types, typing
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher


class _Ingredient(JITCodeLibrary):
    """Code for callers to take in, neither optimised nor turned into machine code."""

    def _optimize_functions(self, ll_module: Any) -> None:
        """Left to the caller."""
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        """Left to the caller."""

    def _finalize_final_module(self) -> None:
        """Nothing of it is run."""
        self._finalize_dynamic_globals()
        self._finalized = True


class Kernel(CPUDispatcher):
    """A function that is compiled in whole for Python, and in part for other kernels.

    Constant arguments make no versions of their own: their callers are optimised whole.
    """

    _compiler: Any  # Numba's, whose types are not told

    def __init__(
        self, function: Callable, locals: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        # Numba's arguments, in its order: it rebuilds what was pickled by them.
        options = {"nopython": True, "boundscheck": None, **settings}
        super().__init__(function, locals, options)
        self._inner: dict[tuple, Any] = {}

    def get_call_template(self, args: Any, kws: Any) -> tuple:
        """How a caller sees the function: its types, and code for it to take in."""
        pysig, args = self._compiler.fold_argument_types(args, kws)
        args = tuple(types.unliteral(kind) for kind in args)
        with global_compiler_lock:
            if args not in self._inner:
                self._inner[args] = self._lowered(args)
        name = self.py_func.__name__
        template = typing.make_concrete_template(
            f"CallTemplate({name})",
            key=name,
            signatures=[lowered.signature for lowered in self._inner.values()],
        )
        return template, pysig, args, {}

    def get_overload(self, sig: Any) -> Any:
        """What stands for the code while a caller is lowered."""
        return self._inner[tuple(sigutils.normalize_signature(sig)[0])].entry_point

    def _lowered(self, args: tuple) -> Any:
        """Numba's record of the function, lowered and no more."""
        made = self._compiler
        context: Any = self.targetctx
        flags: Any = compiler.Flags()
        made.targetdescr.options.parse_as_flags(flags, made.targetoptions)
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        library = _Ingredient(context.codegen(), self.py_func.__qualname__)
        record = compiler.compile_extra(
            made.targetdescr.typing_context,
            context,
            self.py_func,
            args=args,
            return_type=None,
            flags=flags,
            locals=made.locals,
            library=library,
            pipeline_class=made.pipeline_class,
        )
        if record.typing_error is not None:
            raise record.typing_error
        record = record._replace(entry_point=object())
        context.insert_user_function(record.entry_point, record.fndesc, [library])
        return record
