"""Rows out of core: sequences of arrays, functions that make them, memory-mapped files.

One part is in memory at a time. Passes over the rows read it anew.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from skgmmot._blocks._parts import (
    Add,
    Parts,
    Raw,
    Reading,
    Work,
    add_up,
    check_column,
    read,
)
from skgmmot._checks import message, naming

_PART_BYTES = 2**26  # of a memory-mapped file

Factory = Callable[[], Iterable[Any]]


class _Results(Sequence[Any]):
    """Results of parts, made when they are asked for."""

    def __init__(self, n_parts: int, make: Callable[[int], np.ndarray]) -> None:
        self._n_parts, self._make = n_parts, make

    def __len__(self) -> int:
        return self._n_parts

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(self._n_parts))]
        if not -self._n_parts <= index < self._n_parts:
            raise IndexError(index)
        return self._make(index % self._n_parts)


class _Slices(Sequence[Any]):
    """Rows of a memory-mapped array in parts of a limited size."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        width = max(1, array.shape[1]) * np.dtype(np.float64).itemsize
        self._step = max(1, _PART_BYTES // width)

    def __len__(self) -> int:
        return -(-len(self._array) // self._step)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = index * self._step
        return np.asarray(self._array[start : start + self._step])


class SequenceParts(Parts):
    """Parts that are the arrays of a sequence, each read by its number."""

    def __init__(self, arrays: Sequence, reading: Reading) -> None:
        super().__init__(reading)
        self._arrays = arrays

    def column(self, values: Any, name: str, numbers: bool = True) -> Sequence:
        """A sequence of arrays as it is, an array of all rows cut as these are."""
        if _is_sequence(values, 1):
            if len(values) != len(self._arrays):
                expected = f"{len(self._arrays)} arrays, as in X"
                raise ValueError(message(name, expected, len(values)))
            return values
        if numbers:
            column = np.ravel(check_column(values, name))
        else:
            with naming(name, "one label for each row"):
                column = column_or_1d(np.asarray(values))
        lengths = [len(array) for array in self._arrays]
        if len(column) != sum(lengths):
            kind = "numbers" if numbers else "labels"
            expected = f"{sum(lengths)} {kind}, as X has rows"
            raise ValueError(message(name, expected, len(column)))
        return np.split(column, np.cumsum(lengths)[:-1])

    def _raw(self, number: int) -> Raw:
        weights, labels = (
            None if column is None else column[number]
            for column in (self.weights, self.labels)
        )
        return Raw(self._arrays[number], weights, labels, number)

    def reduce(self, work: Work, add: Add, numbers: Sequence[int] | None = None) -> Any:
        """The sum of work(part) over parts, one after another."""
        chosen = self.chosen if numbers is None else numbers
        if chosen is None:
            chosen = range(len(self._arrays))
        return add_up(
            add, (work(read(self._raw(number), self.reading)) for number in chosen)
        )

    def map(self, work: Work, trailing: tuple[int, ...], dtype: Any) -> Any:
        """A sequence of results, each made when it is read."""

        def make(number: int) -> np.ndarray:
            return work(read(self._raw(number), self.reading))

        return _Results(len(self._arrays), make)


class MappedParts(SequenceParts):
    """A memory-mapped array that can be read in slices alone."""

    def map(self, work: Work, trailing: tuple[int, ...], dtype: Any) -> Any:
        """One array in memory."""
        out = np.empty((sum(len(part) for part in self._arrays), *trailing), dtype)
        start = 0
        for part in super().map(work, trailing, dtype):
            out[start : start + len(part)] = part
            start += len(part)
        return out


class FactoryParts(Parts):
    """Parts that a function makes anew for each pass."""

    def __init__(self, factory: Factory, reading: Reading) -> None:
        super().__init__(reading)
        self._factory = factory

    def column(self, values: Any, name: str, numbers: bool = True) -> Factory:
        """A function as it is; an array of all rows would not be cut as they are."""
        if not callable(values):
            expected = "a function that gives an array for each block of X"
            raise TypeError(message(name, expected, type(values).__name__))
        return values

    def _raw(self) -> Iterator[Raw]:
        columns = [
            None if column is None else iter(column())
            for column in (self.weights, self.labels)
        ]
        for number, x in enumerate(self._factory()):
            weights, labels = (
                None if column is None else _next_of(column) for column in columns
            )
            yield Raw(x, weights, labels, number)
        for column in columns:
            if column is not None and next(column, None) is not None:
                raise ValueError(_wrong_number("more"))

    def reduce(self, work: Work, add: Add, numbers: Sequence[int] | None = None) -> Any:
        """The sum of work(part) over parts, one after another."""
        return add_up(add, (work(read(raw, self.reading)) for raw in self._raw()))

    def map(self, work: Work, trailing: tuple[int, ...], dtype: Any) -> Any:
        """A function that gives the results one after another."""

        def results() -> Iterator[np.ndarray]:
            for raw in self._raw():
                yield work(read(raw, self.reading))

        return results


def _next_of(column: Iterator[Any]) -> Any:
    try:
        return next(column)
    except StopIteration:
        raise ValueError(_wrong_number("fewer")) from None


def _wrong_number(got: str) -> str:
    return message("sample_weight or sample_domain", "as many blocks as X", got)


def _is_sequence(values: Any, ndim: int) -> bool:
    """Whether it is a sequence of arrays of some dimension."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not len(values):
        return False
    return getattr(values[0], "ndim", None) == ndim


def _reading_of(first: Any) -> Reading:
    dtype = np.dtype(getattr(first, "dtype", np.float64))
    if dtype not in (np.float32, np.float64):
        dtype = np.dtype(np.float64)
    return Reading(first.shape[1], dtype)


def in_sequence(x: Any) -> bool:
    """Whether rows are a sequence of arrays, a function or a file read in slices."""
    if isinstance(x, np.memmap):
        fits = x.dtype in (np.float32, np.float64) and x.flags.c_contiguous
        return x.ndim == 2 and x.dtype.kind in "fiub" and not fits
    if callable(x):
        return not hasattr(x, "__array__")
    return isinstance(x, Iterator) or _is_sequence(x, 2)


def sequence_of(x: Any) -> tuple[Parts, Any]:
    """The parts of rows out of core, and the first of them, which tells the names."""
    first: Any
    if isinstance(x, np.memmap):
        first = x[:0]
        return MappedParts(_Slices(x), _reading_of(first)), first
    if isinstance(x, Iterator):
        mend = "give a function that makes it anew, such as lambda: batches()"
        got = f"a {type(x).__name__}, which can be read once"
        raise TypeError(message("X", "rows that can be read again", got, mend))
    if not callable(x):
        return SequenceParts(x, _reading_of(x[0])), x[0]
    first = next(iter(x()), None)
    if getattr(first, "ndim", None) != 2:
        expected = "a function that gives arrays of shape (n, n_features)"
        raise TypeError(message("X", expected, f"one that gives {type(first)}"))
    return FactoryParts(x, _reading_of(first)), first
