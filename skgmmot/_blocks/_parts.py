"""Rows in several arrays, read one after another: what streams and clusters share.

A kind of data that is not one array in memory is a subclass of `Parts`. It knows how
to do some work on each part and add up the results, and how to do some work on each
row, in its own kind. Both are all that fits and predictions ask for.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.utils.validation import check_array

from skgmmot._checks import check_size, message, naming

FLOATS = (np.float64, np.float32)
LARGEST = 1e140  # of a value whose squares are summed


class Part(NamedTuple):
    """Rows of one part with what stands beside them."""

    x: np.ndarray  # (n, d), floating, in C order
    weights: np.ndarray | None  # (n,)
    labels: np.ndarray | None  # (n,) of the domains
    number: int
    n_read: int  # rows, before some were left out


class Reading(NamedTuple):
    """How a part is read."""

    n_features: int
    dtype: np.dtype
    least_rows: int = 1  # of all parts together
    fitting: bool = False  # whether squares of the rows are summed
    checked: bool = False  # whether values are looked at
    domain: Any = None  # take the rows of this one: a label, or True of the source
    named: bool = False  # whether labels name domains; else their signs tell
    weightless: bool = False  # take rows of weight 0, too


class Raw(NamedTuple):
    """What is stored of a part."""

    x: Any
    weights: Any
    labels: Any
    number: int


def read(raw: Raw, reading: Reading) -> Part:
    """A part as numbers; rows of weight 0 and of the other domain are left out."""
    x = _rows(raw.x, reading)
    n_read = len(x)
    weights = _column(raw.weights, "sample_weight", n_read)
    labels = _column(raw.labels, "sample_domain", n_read, not reading.named)
    if reading.checked and weights is not None:
        weights = check_column(weights, "sample_weight")
        if weights.size and weights.min() < 0.0:
            raise ValueError(
                message("sample_weight", "no negative number", f"{weights.min():.3g}")
            )
    if reading.checked and labels is not None and not reading.named:
        labels = check_column(labels, "sample_domain")
    keep = np.ones(n_read, dtype=bool)
    if weights is not None and not reading.weightless:
        keep &= weights > 0.0
    if labels is not None and reading.domain is not None:
        found: Any = labels if reading.named else labels >= 0
        keep &= found == reading.domain
    if not keep.all():
        x = x[keep]
        weights, labels = (
            None if values is None else values[keep] for values in (weights, labels)
        )
    return Part(x, weights, labels, raw.number, n_read)


def _rows(x: Any, reading: Reading) -> np.ndarray:
    if reading.checked:
        with np.errstate(invalid="ignore"), naming("X", "rows of real numbers"):
            x = check_array(
                x, dtype=FLOATS, order="C", ensure_min_samples=0, input_name="X"
            )
    x = np.asarray(x, dtype=reading.dtype, order="C")
    if x.ndim != 2 or x.shape[1] != reading.n_features:
        expected = f"blocks of {reading.n_features} features"
        raise ValueError(message("X", expected, f"one of shape {x.shape}"))
    if reading.checked and reading.fitting:
        reason = "whose squares can be summed"
        check_size(x, "X", LARGEST, reason, "divide the features by their widths")
    return x


def _column(
    values: Any, name: str, n_rows: int, numbers: bool = True
) -> np.ndarray | None:
    if values is None:
        return None
    values = np.asarray(values, dtype=np.float64 if numbers else None)
    if values.ndim != 1 or len(values) != n_rows:
        kind = "numbers" if numbers else "labels"
        expected = f"{n_rows} {kind} beside a block of {n_rows} rows"
        raise ValueError(message(name, expected, f"shape {values.shape}"))
    return values


def check_column(values: Any, name: str) -> np.ndarray:
    """Finite numbers beside rows, (n,) in float64."""
    with np.errstate(invalid="ignore"), naming(name, "real numbers"):
        return check_array(
            values,
            dtype=np.float64,
            ensure_2d=False,
            ensure_min_samples=0,
            input_name=name,
        )


Work = Callable[[Part], Any]
Add = Callable[[Any, Any], Any]


def add_up(add: Add, values: Iterable[Any]) -> Any:
    """The sum of some values; None is nothing."""
    total = None
    for value in values:
        if total is None:
            total = value
        elif value is not None:
            total = add(total, value)
    return total


class Parts(ABC):
    """Rows in several arrays. Nothing is read before a sum or a result is asked for.

    Attributes
    ----------
    reading : Reading
    weights, labels : object
        Columns beside the rows in the kind of these, as `column` made them, or None.
    chosen : sequence of int or None
        Numbers of the parts that sums are taken over; None: all.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.weights: Any = None
        self.labels: Any = None
        self.chosen: Sequence[int] | None = None

    @property
    def shape(self) -> tuple[float, int]:
        """Number of rows, which is not known, and of features."""
        return float("nan"), self.reading.n_features

    @property
    def dtype(self) -> np.dtype:
        """Floating type in which rows are read."""
        return self.reading.dtype

    def changed(self, **attributes: Any) -> Self:
        """The same rows with other attributes."""
        other = object.__new__(type(self))
        other.__dict__.update(vars(self), **attributes)
        return other

    def labelled(self, labels: Any, named: bool = False) -> Self:
        """The same rows with labels of their domains, numbers whose signs tell.

        Named: labels are numbers or strings, each the name of a domain.
        """
        column = self.column(labels, "sample_domain", not named)
        return self.changed(labels=column, reading=self.reading._replace(named=named))

    def of_domain(self, domain: Any, chosen: Sequence[int] | None = None) -> Self:
        """Rows of one domain: of a label, or True of the source, False of the target.

        `chosen` are the numbers of the parts that have some, where they are known.
        """
        reading = self.reading._replace(domain=domain)
        return self.changed(reading=reading, chosen=chosen)

    @abstractmethod
    def column(self, values: Any, name: str, numbers: bool = True) -> Any:
        """Numbers, or labels, that a user gave beside the rows, cut as these are."""

    @abstractmethod
    def reduce(self, work: Work, add: Add, numbers: Sequence[int] | None = None) -> Any:
        """The sum of work(part) over parts; of those with these numbers.

        None: of those that are chosen. Work returns None of a part that adds nothing,
        as does the sum of such.
        """

    @abstractmethod
    def map(self, work: Work, trailing: tuple[int, ...], dtype: Any) -> Any:
        """Results (n, *trailing) of work(part), made later, in the kind of the rows."""
