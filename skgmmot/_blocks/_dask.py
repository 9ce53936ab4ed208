"""Rows of Dask: one pure task for each bundle of chunks, and sums by a tree.

Whichever scheduler Dask is set to does the work. Nothing is held on the workers: what
a pass needs travels in its graph by value, so that whatever is lost is made again.

A chunk that is read at every pass is read and summed in one task, where it shares
nothing large with other chunks. Of two tasks, a scheduler may run many of the first
before the second of any, and their chunks fill the memory. A task of a cluster, which
costs as much as a small chunk, does so with several chunks.
"""

import math
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from skgmmot._blocks._parts import Add, Parts, Raw, Reading, Work, add_up, read
from skgmmot._checks import message, naming

_FAN_IN = 16  # sums that are added in one task
_BUNDLES = 2  # for each thread of a worker, of the chunks that it holds
_FREE_BUNDLES = 16  # for each thread of a cluster, of chunks that lie nowhere
_FRESH = 1.0  # seconds for which chunks are taken to lie where they lay
_SMALL = 2**20  # bytes that may go to every worker
_NUMBERS = "fiub"  # kinds of NumPy's types
_LABELS = _NUMBERS + "SUTO"


class _Pass:
    """What is done with every chunk in one pass; one value of its graph."""

    def __init__(self, work: Work, add: Add, reading: Reading) -> None:
        self.work, self.add, self.reading = work, add, reading


class _Recipe:
    """How a task makes the arrays of a chunk by itself; opaque to schedulers."""

    def __init__(
        self, graph: dict[Any, Any], keys: list[Any], inputs: list[Any]
    ) -> None:
        self.graph, self.keys, self.inputs = graph, keys, inputs

    def made(self, values: list[Any]) -> list[Any]:
        """The chunk's rows, weights and labels, from the values of the inputs."""
        from dask.core import get

        given = dict(zip(self.inputs, values, strict=True))
        keys = [key for key in self.keys if key in self.graph]
        found = dict(zip(keys, get(self.graph, keys, dict(given)), strict=True))
        found.update(given)
        return [found.get(key) for key in self.keys]


class _Stored(NamedTuple):
    """The rows and columns as Dask has them."""

    graph: dict[Any, Any]  # without what is in recipes
    keys: list[Any]  # of each chunk's rows
    raws: list[list[Any]]  # of each chunk: a recipe or None, keys, number


def _raw(recipe: _Recipe | None, values: list[Any], number: int) -> Raw:
    x, weights, labels = values if recipe is None else recipe.made(values)
    return Raw(x, weights, labels, number)


def _work_on(over: _Pass, raws: list[list[Any]]) -> Any:
    """The sum over the chunks of a bundle, one after another: what one task does."""
    values = (over.work(read(_raw(*raw), over.reading)) for raw in raws)
    return add_up(over.add, values)


def _sum_of(over: _Pass, values: list[Any]) -> Any:
    return add_up(over.add, values)


def _result_of(
    x: np.ndarray, held: np.ndarray, number: np.ndarray, labels: np.ndarray | None
) -> np.ndarray:
    """Results of the rows of one chunk."""
    over: _Pass = held[0]
    return over.work(read(Raw(x, None, labels, int(number[0])), over.reading))


class _Layout(NamedTuple):
    """Bundles, which two questions to the scheduler went into."""

    numbers: tuple[int, ...]
    bundles: list[list[list[Any]]]
    made_at: float  # where workers came and went since, chunks travel for a while


class DaskParts(Parts):
    """Chunks of a Dask array along its rows."""

    def __init__(self, x: Any, reading: Reading) -> None:
        super().__init__(reading)
        self._x = x
        self._layout: Any = None

    def column(self, values: Any, name: str, numbers: bool = True) -> Any:
        """A Dask array with the chunks of the rows."""
        rows = self._x.chunks[0]
        values = _as_column(values, name, rows, numbers)
        own = values.chunks[0]
        if own == rows:
            return values
        unknown = any(math.isnan(length) for length in (*own, *rows))
        if unknown and len(own) != len(rows):
            expected = f"{len(rows)} chunks, as in X, where their sizes are unknown"
            mend = "call compute_chunk_sizes() of both first"
            raise ValueError(message(name, expected, len(own), mend))
        if unknown:
            return values
        if sum(own) != sum(rows):
            expected = f"{sum(rows)} numbers, as X has rows"
            raise ValueError(message(name, expected, sum(own)))
        return values.rechunk((rows,))

    @cached_property
    def _stored(self) -> _Stored:
        from dask.highlevelgraph import HighLevelGraph

        columns = (self._x, self.weights, self.labels)
        arrays = [array for array in columns if array is not None]
        whole = HighLevelGraph.merge(*(array.__dask_graph__() for array in arrays))
        wanted = [array.__dask_keys__() for array in arrays]
        # Optimised graphs lack what already lies on a cluster.
        graph = {key: value for key, value in whole.items() if _is_held(value)}
        graph.update(self._x.__dask_optimize__(whole, wanted))
        nothing = [None] * len(self._x.chunks[0])
        keys = [
            nothing if array is None else _flat(array.__dask_keys__())
            for array in columns
        ]
        return _fused(graph, [list(chunk) for chunk in zip(*keys, strict=True)])

    def changed(self, **attributes: Any) -> "DaskParts":
        """The same rows with other attributes."""
        other = super().changed(**attributes)
        if other.weights is not self.weights or other.labels is not self.labels:
            other.__dict__.pop("_stored", None)
            other._layout = None
        return other

    def reduce(self, work: Work, add: Add, numbers: Sequence[int] | None = None) -> Any:
        """The sum of work(part) over chunks, by the scheduler that Dask is set to."""
        from dask.delayed import Delayed

        stored = self._stored
        numbers = self.chosen if numbers is None else numbers
        if numbers is None:
            numbers = range(len(stored.raws))
        name = f"skgmmot-{uuid4().hex}"
        graph = {**stored.graph, name: _Pass(work, add, self.reading)}
        keys: list[Any] = []
        for bundle in self._bundled(numbers):
            keys.append((f"{name}-part", len(keys)))
            graph[keys[-1]] = (_work_on, name, bundle)
        level = 0
        while len(keys) > 1:
            level += 1
            groups = _cut(keys, _FAN_IN)
            keys = [(f"{name}-sum-{level}", i) for i in range(len(groups))]
            for key, group in zip(keys, groups, strict=True):
                graph[key] = (_sum_of, name, group)
        return Delayed(keys[0], graph).compute() if keys else None

    def _bundled(self, numbers: Sequence[int]) -> list[list[list[Any]]]:
        """Bundles of chunks; those of the last second, if they are of the same."""
        known, numbers = self._layout, tuple(numbers)
        if (
            known is None
            or known.numbers != numbers
            or time.monotonic() - known.made_at > _FRESH
        ):
            found = _bundles(self._stored, numbers)
            self._layout = _Layout(numbers, found, time.monotonic())
        return self._layout.bundles

    def map(self, work: Work, trailing: tuple[int, ...], dtype: Any) -> Any:
        """A lazy Dask array with the chunks of the rows."""
        import dask.array as da

        numbers = da.arange(len(self._x.chunks[0]), chunks=1)
        held = np.empty(1, dtype=object)  # an array, to be one value for all tasks
        held[0] = _Pass(work, np.add, self.reading)
        held = da.from_array(held, chunks=1, name=False)
        axes = dict(zip("klm", trailing, strict=False))
        arguments = [self._x, "ij", held, "i", numbers, "i"]
        arguments += [None, None] if self.labels is None else [self.labels, "i"]
        return da.blockwise(
            _result_of,
            "i" + "".join(axes),
            *arguments,
            new_axes=axes,
            concatenate=True,
            align_arrays=False,
            meta=np.empty((0,) * (1 + len(trailing)), dtype),
            dtype=dtype,
        )


def _flat(keys: list[Any]) -> list[Any]:
    """Keys of chunks along the rows."""
    return [key[0] if isinstance(key, list) else key for key in keys]


def _is_held(value: Any) -> bool:
    """Whether it is a future of a cluster."""
    return hasattr(value, "client")


def _fused(graph: dict[Any, Any], chunks: list[list[Any]]) -> _Stored:
    """The graph with a recipe for each chunk whose making is its own affair."""
    from dask.core import get_deps

    dependencies, dependents = get_deps(graph)
    common = {key for key in graph if len(dependents[key]) > 1}
    common = {key for key in common if _is_small(graph[key], dependencies[key])}
    left, raws = dict(graph), []
    for number, keys in enumerate(chunks):
        own, inputs = _ancestors(graph, keys, dependencies, common)
        inside = own | inputs - common
        alone = all(dependents[key] <= own for key in inside)
        if own and alone and not any(_is_bound(graph[key], graph) for key in own):
            recipe = _Recipe({key: left.pop(key) for key in own}, keys, list(inputs))
            raws.append([recipe, recipe.inputs, number])
        else:
            raws.append([None, keys, number])
    return _Stored(left, [keys[0] for keys in chunks], raws)


def _ancestors(
    graph: dict[Any, Any],
    keys: list[Any],
    dependencies: dict[Any, set[Any]],
    common: set[Any],
) -> tuple[set[Any], set[Any]]:
    """What arrays are made by, and what of: common values and futures."""
    own: set[Any] = set()
    inputs: set[Any] = set()
    waiting = [key for key in keys if key is not None]
    while waiting:
        key = waiting.pop()
        if key in common or _is_held(graph[key]):
            inputs.add(key)
        elif key not in own:
            own.add(key)
            waiting += dependencies[key]
    return own, inputs


def _is_bound(value: Any, graph: dict[Any, Any]) -> bool:
    """Whether it has futures that are not in the graph: a scheduler must see these."""
    if isinstance(value, (tuple, list)):
        return any(_is_bound(inner, graph) for inner in value)
    if isinstance(value, dict):
        return any(_is_bound(inner, graph) for inner in value.values())
    if hasattr(value, "dsk"):  # many tasks in one, before Dask 2024.12
        return _is_bound(value.dsk, graph)
    needed = getattr(value, "dependencies", None)
    missing = isinstance(needed, (set, frozenset)) and not needed <= graph.keys()
    return missing or _is_held(value)


def _is_small(value: Any, dependencies: set[Any]) -> bool:
    """Whether it is a small value, as a file that is open; of tasks none is known."""
    from dask.core import istask
    from dask.sizeof import sizeof

    if dependencies or istask(value) or _is_held(value):
        return False
    return sizeof(value) <= _SMALL


def _bundles(stored: _Stored, numbers: Sequence[int]) -> list[list[list[Any]]]:
    """Chunks that one task works on, one after another.

    Those which lie on the same worker; those that a task of a cluster makes by itself;
    others are bundles of their own.
    """
    raws = [stored.raws[number] for number in numbers]
    held = [stored.graph.get(stored.keys[number]) for number in numbers]
    if held and all(map(_is_held, held)):
        return _lying_together(raws, held)
    free = [raw for raw in raws if _is_free(raw, stored.graph)]
    client = _client()
    threads = 0 if client is None else sum(client.nthreads().values())
    size = max(1, len(free) // (_FREE_BUNDLES * threads)) if threads else 1
    alone = [[raw] for raw in raws if not _is_free(raw, stored.graph)]
    return alone + _cut(free, size)


def _lying_together(raws: list[list[Any]], held: list[Any]) -> list[list[list[Any]]]:
    client = held[0].client
    holders = client.who_has(held)
    threads = client.nthreads()
    lying: dict[Any, list[list[Any]]] = {}
    for raw, value in zip(raws, held, strict=True):
        workers = holders.get(value.key) or (None,)
        lying.setdefault(min(workers, key=str), []).append(raw)
    bundles = []
    for worker, own in lying.items():
        size = math.ceil(len(own) / (_BUNDLES * threads.get(worker, len(own))))
        bundles += _cut(own, size)
    return bundles


def _cut(values: list[Any], size: int) -> list[list[Any]]:
    return [values[i : i + size] for i in range(0, len(values), size)]


def _is_free(raw: list[Any], graph: dict[Any, Any]) -> bool:
    """Whether any worker may make the chunk as well as another."""
    recipe, inputs, _ = raw
    return recipe is not None and not any(_is_held(graph[key]) for key in inputs)


def _client() -> Any:
    """The client of the cluster that Dask is set to, or None."""
    from dask.base import get_scheduler

    owner = getattr(get_scheduler(), "__self__", None)
    return owner if hasattr(owner, "nthreads") else None


# What users give


def is_dask(x: Any) -> bool:
    """Whether rows are a collection of Dask, told without importing it."""
    return type(x).__module__.split(".")[0] in ("dask", "dask_expr")


def _array_of(x: Any) -> Any:
    """The Dask array of a Dask array, dataframe or series."""
    return x.values if hasattr(x, "to_dask_array") else x


def _as_column(values: Any, name: str, rows: tuple[float, ...], numbers: bool) -> Any:
    """One number, or label, for each row; values in memory are cut as the rows are."""
    import dask.array as da

    if not is_dask(values):
        with naming(name, "real numbers" if numbers else "labels"):
            values = np.asarray(values)
        fits = values.ndim > 0 and sum(rows) == len(values)
        values = da.from_array(values, chunks={0: rows} if fits else -1)
    values = _array_of(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    kind = getattr(values.dtype, "kind", "O")
    if values.ndim != 1 or kind not in (_NUMBERS if numbers else _LABELS):
        got = f"shape {values.shape} of type {values.dtype}"
        expected = "one real number" if numbers else "one label"
        raise ValueError(message(name, f"{expected} for each row", got))
    return values


def dask_parts(x: Any) -> tuple[DaskParts, Any]:
    """The chunks of rows of Dask, and what tells their number and names of features.

    Raises
    ------
    ValueError
        Where X is not two-dimensional, or has chunks along the features.
    TypeError
        Where it has no real numbers, or no NumPy arrays for chunks.
    """
    told = x._meta if hasattr(x, "to_dask_array") else x
    x = _array_of(x)
    if not hasattr(x, "chunks"):
        expected = "a Dask array or a Dask dataframe"
        raise TypeError(message("X", expected, type(x).__name__))
    if x.ndim != 2:
        mend = "reshape your data, by X.reshape(-1, 1) where it has one feature"
        raise ValueError(message("X", "a 2D Dask array", f"{x.ndim}D array", mend))
    if x.numblocks[1] != 1:
        got = f"{x.numblocks[1]} chunks along the features"
        mend = "give X.rechunk({1: -1})"
        raise ValueError(message("X", "whole rows in each chunk", got, mend))
    if not isinstance(x._meta, np.ndarray):
        mend = "give X.map_blocks(numpy.asarray)"
        got = type(x._meta).__name__
        raise TypeError(message("X", "chunks that are NumPy arrays", got, mend))
    if x.dtype.kind not in "fiub":
        raise TypeError(message("X", "real numbers", f"type {x.dtype}"))
    dtype = np.dtype(np.float32 if x.dtype == np.float32 else np.float64)
    return DaskParts(x, Reading(x.shape[1], dtype)), told
