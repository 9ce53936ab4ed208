"""Sums over rows that are read part by part, on one machine or on many."""

from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

import numpy as np

from skgmmot import _rows
from skgmmot._blocks._memory import MemoryBlocks, add_moments
from skgmmot._blocks._parts import Part, Parts
from skgmmot._checks import message
from skgmmot.kernels import Gaussians, Moments

_FEW_ROWS = 50_000  # that travel, rather than work to them
_FEW_ENTRIES = 2**22
_FINER = 8  # rows that travel for each row of a sample, at most
_FINER_ENTRIES = 2**19  # of these, where a sample itself has not more


class Survey(NamedTuple):
    """What the first pass over the rows finds."""

    numbers: tuple[int, ...]  # of the parts that have rows
    masses: tuple[float, ...]  # of these
    n_rows: int
    n_read: int  # with rows of weight 0, and of the other domain
    mass: float
    mean: np.ndarray  # (d,)
    squares: np.ndarray  # (d,) Σ w (x - mean)²


def _survey(part: Part) -> Survey:
    n_features = part.x.shape[1]
    if len(part.x) == 0:
        zeros = np.zeros(n_features)
        return Survey((), (), 0, part.n_read, 0.0, zeros, zeros)
    mean, variances = _rows.mean_and_variances(part.x, part.weights)
    mass = float(len(part.x) if part.weights is None else part.weights.sum())
    return Survey(
        (part.number,),
        (mass,),
        len(part.x),
        part.n_read,
        mass,
        mean,
        mass * variances,
    )


def _add_surveys(first: Survey, second: Survey) -> Survey:
    """Of two sets of parts together; Chan, Golub and LeVeque, 1983."""
    mass = first.mass + second.mass
    apart = second.mean - first.mean
    share = second.mass / mass if mass > 0.0 else 0.0
    return Survey(
        first.numbers + second.numbers,
        first.masses + second.masses,
        first.n_rows + second.n_rows,
        first.n_read + second.n_read,
        mass,
        first.mean + share * apart,
        first.squares + second.squares + first.mass * share * apart**2,
    )


Call = Callable[[MemoryBlocks], Any]
_Rows = tuple[list[np.ndarray], list[np.ndarray]]  # of each part, and their weights


def _on_blocks(part: Part, call: Call, n_threads: int | None) -> Any:
    """What a part's blocks answer to a call; nothing where it has no rows."""
    if len(part.x) == 0:
        return None
    return call(MemoryBlocks(part.x, part.weights, n_threads))


def _add_pairs(first: Any, second: Any) -> tuple[Any, Any]:
    """Sums of numbers; of lists, one behind the other."""
    return first[0] + second[0], first[1] + second[1]


def _all_rows(part: Part) -> _Rows:
    weights = np.ones(len(part.x)) if part.weights is None else part.weights
    return [part.x], [weights]


def _some_rows(part: Part, levels: dict[int, tuple[float, float]]) -> _Rows | None:
    """The part's rows of a systematic sample; levels are (first, step), by part."""
    if len(part.x) == 0:
        return None
    first, step = levels[part.number]
    x, weights = part.x, part.weights
    mass = float(len(x) if weights is None else weights.sum())
    drawn = _rows.draw_at(x, weights, np.arange(first, mass, step) / mass)
    return ([drawn[0]], [drawn[1]]) if len(drawn[0]) else None


class ManyBlocks:
    """Rows in parts, with their weights; offers what `MemoryBlocks` does of sums.

    Parameters
    ----------
    parts : Parts
    n_threads : int, default=None
        Threads for each part; None: the usable cores where the part is read.
    """

    def __init__(self, parts: Parts, n_threads: int | None = None) -> None:
        self._parts = parts
        self.n_threads = n_threads
        self._found: Survey | None = None

    @property
    def n_features(self) -> int:
        """How many features a row has."""
        return self._parts.reading.n_features

    @property
    def dtype(self) -> np.dtype:
        """Floating type of the rows."""
        return self._parts.dtype

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._surveyed().n_rows

    @property
    def mass(self) -> float:
        """Sum of the weights."""
        return self._surveyed().mass

    def at_hand(
        self, most_rows: int | None = None, n_samples: int = 1
    ) -> "MemoryBlocks | ManyBlocks":
        """The same rows in memory where they are few: passes would cost more.

        `most_rows` says what few is; None: 50 000, of not too many features, for each
        of two samples; more share what two would have.
        """
        found, most = self._surveyed(), most_rows
        if most is None:
            most = min(_FEW_ROWS, _FEW_ENTRIES // self.n_features)
            most = 2 * most // max(2, n_samples)
        if found.n_rows > most:
            return self
        return MemoryBlocks(*self._fetched(found), self.n_threads)

    def _fetched(self, found: Survey) -> tuple[np.ndarray, np.ndarray | None]:
        """All rows, and their weights where there are some."""
        rows, weights = self._parts.reduce(_all_rows, _add_pairs, found.numbers)
        alone = self._parts.weights is None
        return np.concatenate(rows), None if alone else np.concatenate(weights)

    # The first pass, in which values are checked

    def check(self) -> None:
        """Refuse wrong values, and too few rows."""
        self._surveyed()

    def _surveyed(self) -> Survey:
        if self._found is None:
            reading = self._parts.reading._replace(checked=True)
            found = self._parts.changed(reading=reading).reduce(_survey, _add_surveys)
            self._refuse_too_few(found)
            order = np.argsort(found.numbers)
            self._found = found._replace(
                numbers=tuple(found.numbers[i] for i in order),
                masses=tuple(found.masses[i] for i in order),
            )
        return self._found

    def _refuse_too_few(self, found: Survey | None) -> None:
        reading = self._parts.reading
        n_read = 0 if found is None else found.n_read
        if found is None or n_read < reading.least_rows:  # in scikit-learn's words
            raise ValueError(
                f"Found array with {n_read} sample(s) (shape=({n_read}, "
                f"{reading.n_features})) while a minimum of {reading.least_rows} is "
                "required; give more rows in X."
            )
        if found.n_rows > 0:
            return
        if reading.domain is not None and not reading.named:
            side = "source" if reading.domain else "target"
            got = f"no {side} row that counts among {n_read}"
            mend = "label source rows 1 and target rows -1"
            raise ValueError(
                message("sample_domain", "rows of both domains", got, mend)
            )
        mend = "drop sample_weight, or give rows that should count a positive one"
        raise ValueError(
            message("sample_weight", "at least one positive weight", "only zeros", mend)
        )

    # Sums over the rows

    def _sum(self, call: Call, add: Any) -> Any:
        work = partial(_on_blocks, call=call, n_threads=self.n_threads)
        return self._parts.reduce(work, add, self._surveyed().numbers)

    def moments(self, gaussians: Gaussians, deletion: bool = False) -> Moments:
        """Moments under a mixture, about its means."""
        return self._sum(methodcaller("moments", gaussians, deletion), add_moments)

    def nearest_moments(
        self, means: np.ndarray, full: bool, units: np.ndarray
    ) -> Moments:
        """Moments of the rows, each given to its nearest mean, about the means."""
        call = methodcaller("nearest_moments", means, full, units)
        return self._sum(call, add_moments)

    def scatter(self, center: np.ndarray) -> np.ndarray:
        """Σ w (x - center)(x - center)ᵀ, (d, d)."""
        return self._sum(methodcaller("scatter", center), np.add)

    def mean_and_variances(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean and variances of the features, (d,) each, in float64."""
        found = self._surveyed()
        return found.mean, found.squares / found.mass

    def fourth_moment(self, center: np.ndarray, units: np.ndarray) -> float:
        """Σ_i w_i |(x_i - center) / units|⁴, the units one for each feature."""
        return self._sum(methodcaller("fourth_moment", center, units), np.add)

    def log_likelihood(self, gaussians: Gaussians) -> tuple[float, float]:
        """Σ w log p(x), and Σ w; in one pass, in which values are checked too."""
        call = methodcaller("log_likelihood", gaussians)
        reading = self._parts.reading._replace(checked=self._found is None)
        work = partial(_on_blocks, call=call, n_threads=self.n_threads)
        found = self._parts.changed(reading=reading).reduce(work, _add_pairs)
        return (0.0, 0.0) if found is None else found

    # Rows themselves

    def sample_rows(
        self,
        n_components: int,
        random_state: np.random.RandomState,
        least: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As of rows in memory; of many, from a finer sample taken where they lie.

        A systematic sample runs through the parts, in the order of the values within
        each. Of few rows all travel, so that the sample is that of the same rows in
        memory.
        """
        found, size = self._surveyed(), _rows.sample_size(n_components, least)
        size = max(size, min(_FINER * size, _FINER_ENTRIES // self.n_features))
        if found.n_rows <= size:
            return _rows.sample_rows(
                *self._fetched(found), n_components, random_state, least
            )
        start = random_state.uniform()
        work = partial(_some_rows, levels=_levels(found, start, size))
        rows, repeats = self._parts.reduce(work, _add_pairs, found.numbers)
        size = _rows.sample_size(n_components, least)
        return _rows.systematic(
            np.concatenate(rows), np.concatenate(repeats), size, start
        )

    def rows(self) -> np.ndarray:
        """Refuse: the rows are not in memory."""
        raise ValueError(_not_in_memory("a callable"))

    def in_canonical_order(self) -> MemoryBlocks:
        """Refuse: an order needs all rows at once."""
        raise ValueError(_not_in_memory("'random'"))


def _not_in_memory(got: str) -> str:
    expected = "'kmeans', 'k-means++' or 'random_from_data' for rows read in parts"
    return message("init_params", expected, got, "or give means_init")


def _levels(found: Survey, start: float, size: int) -> dict[int, tuple[float, float]]:
    """The first level and the step of a systematic sample in each part's mass."""
    step = found.mass / size
    levels, before = {}, 0.0
    for number, mass in zip(found.numbers, found.masses, strict=True):
        first = np.ceil(before / step - start)
        levels[number] = (float((first + start) * step - before), step)
        before += mass
    return levels
