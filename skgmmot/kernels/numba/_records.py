"""What travels between compiled functions, read by the names of its fields."""

from typing import NamedTuple

import numpy as np


class Components(NamedTuple):
    """A mixture as ranges read it: `Gaussians` with whiteners of either precision."""

    offsets: np.ndarray  # (K,) less `top`
    means: np.ndarray  # (K, d)
    whiteners: np.ndarray  # (K, d, d) or (K, d), float32 or float64
    top: float  # to be added to log densities


class Sums(NamedTuple):
    """What a range adds to."""

    counts: np.ndarray  # (K,)
    firsts: np.ndarray  # (K, d)
    seconds: np.ndarray  # (K, D, D) with D >= d, lower triangles; or (K, d)


class Parts(NamedTuple):
    """The sums of each range, or without the first axis those of all."""

    likelihood: np.ndarray  # (ranges,)
    counts: np.ndarray  # (ranges, K)
    firsts: np.ndarray  # (ranges, K, d)
    seconds: np.ndarray  # (ranges, K, D, D) or (ranges, K, d), as of `Sums`
    deletions: np.ndarray  # (ranges, K)


class TileRoom(NamedTuple):
    """Room for the densities of one tile; all but the total of the whiteners' dtype."""

    tile: np.ndarray  # (d, TILE) rows, transposed
    centered: np.ndarray  # (2 d, GROUP) a group of centred rows, parts of the mean
    r: np.ndarray  # (K, TILE) log densities, then their exponentials
    largest: np.ndarray  # (TILE,) the largest log density of each row
    total: np.ndarray  # (TILE,) the sum of the exponentials


class HeldRows(NamedTuple):
    """Live rows of all components that wait until there are enough to be added."""

    numbers: np.ndarray  # (K, room) numbers of rows
    weights: np.ndarray  # (K, room) their weighted responsibilities
    counts: np.ndarray  # (K,) how many


class SumRoom(NamedTuple):
    """Room for what one tile adds to the sums."""

    held: HeldRows
    masks: np.ndarray  # bits of the live rows of one component
    n_live: np.ndarray  # (K,) live rows of the tile
    weights: np.ndarray  # (TILE,) of one component
    scaled_tile: np.ndarray  # (D, TILE), or empty where sums need no such room
    gathered: np.ndarray  # (d, room) held rows of one component
    scaled_rows: np.ndarray  # (D, room), or empty


class RowScales(NamedTuple):
    """Factors of the rows of a tile."""

    of_r: np.ndarray  # (TILE,) what makes r weighted responsibilities
    weights: np.ndarray  # (TILE,) sample weights, 0 beyond the rows


class DeletionRoom(NamedTuple):
    """Room for what a deletion loses, of one tile."""

    best: np.ndarray  # (TILE,) the largest component
    others: np.ndarray  # (TILE,) the sum without it
    log_others: np.ndarray  # (TILE,) log(1 - its responsibility)
    gaps: np.ndarray  # (TILE,) log density of the second less that of the best


class MapRoom(NamedTuple):
    """Room for the maps of one tile."""

    scaled: np.ndarray  # (d, GROUP) centred rows times their posteriors
    scale: np.ndarray  # (TILE,) what makes r posteriors
    share: np.ndarray  # (TILE,) posterior of one component
