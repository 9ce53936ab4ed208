"""The affine maps between components, ready to be applied to rows."""

from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks import MemoryBlocks, blocks_of
from skgmmot._blocks._row_arrays import (
    Rows,
    as_floats,
    copied,
    like_rows_of,
    narrowed_like,
)
from skgmmot.kernels import Gaussians
from skgmmot.linalg._bures import mean_maps, mean_ratios, pair_maps, pair_ratios
from skgmmot.linalg._mixture import Mixture
from skgmmot.linalg._spd import (
    diagonals,
    factor,
    is_diagonal,
    is_singular,
    transpose,
    whiteners,
)
from skgmmot.transport._frame import Passage, moved_covariances, moved_means
from skgmmot.transport._shrunk import Common
from skgmmot.transport._support import (
    SupportRule,
    clipped_slopes,
    largest_slope,
    move_supported,
)

# Part of the mean variance that makes a singular covariance have posteriors.
_RIDGE = 1e-6
_OWN_RIDGE = 1e-12
_EXTRAPOLATE = SupportRule()
_SHARE = 0.01  # of a component's mass, below which a pair's slope is of no interest


def mixture_gaussians(mixture: Mixture) -> Gaussians:
    """Return what kernels need for the posteriors of a mixture.

    Parameters
    ----------
    mixture : Mixture
        Checked, with positive weights. Singular covariances get a ridge of 1e-6 of the
        mean variance of the mixture.

    Returns
    -------
    gaussians : Gaussians
        In the diagonal form if all covariances are diagonal.
    """
    weights, means, covariances = (x.astype(np.float64) for x in mixture)
    d = means.shape[1]
    singular = is_singular(mixture.covariances)
    if singular.any():
        ridge = _RIDGE * _mean_variance(weights, means, covariances)
        # Factors have no negative eigenvalue; the part of its own variance is for a
        # component so wide that the ridge is below its rounding.
        factors = factor(mixture.covariances[singular])
        definite = factors @ transpose(factors) * (1.0 + _OWN_RIDGE * np.eye(d))
        covariances[singular] = definite + ridge * np.eye(d)
    if is_diagonal(covariances):
        factors = 1.0 / np.sqrt(diagonals(covariances))
        log_dets = np.log(factors).sum(axis=1)
    else:
        factors, log_dets = whiteners(covariances)
    offsets = np.log(weights) + log_dets - 0.5 * d * np.log(2.0 * np.pi)
    return Gaussians(offsets, means, factors)


def _mean_variance(weights: Any, means: Any, covariances: Any) -> float:
    """Mean variance of a feature within the components; of the means if that is 0."""
    within = weights @ diagonals(covariances).mean(axis=1)
    return within or means.var(axis=0).mean() or 1.0


def compared_covariances(
    source: Mixture, target: Mixture, passage: Passage | None
) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of both sides in the coordinates in which they are compared."""
    if passage is None:
        return source.covariances, target.covariances
    left = moved_covariances(source.covariances, passage.left)
    return left, moved_covariances(target.covariances, passage.entered)


class MixtureMap:
    """The maps from one mixture to another along a coupling, ready to be applied.

    What depends on the components alone is computed once, at the first use of a
    method, and kept: small arrays, which pickle.

    Parameters
    ----------
    source, target : Mixture
        Checked, of the same number of features.
    coupling : ndarray of shape (K0, K1)
        Not negative; the rows need not sum to the weights. Points of a component whose
        row has no mass go the way of the whole domain.
    passage : Passage, default=None
        The way of the whole domain, and the coordinates in which the maps of pairs are
        optimal. None: points stay in place, and maps are optimal as they are.
    compared : tuple of ndarrays of shape (K0, d, d) and (K1, d, d), default=None
        Covariances that the maps take, in the coordinates of the passage. None: those
        of the mixtures.
    max_slope : float, default=None
        Bound on the singular values of the maps of pairs in these coordinates: on how
        much they stretch beyond what the domain as a whole is stretched.
    common : Common, default=None
        The map in these coordinates to which those of pairs are drawn, and how far.
        None: they are not.
    """

    def __init__(
        self,
        source: Mixture,
        target: Mixture,
        coupling: Any,
        passage: Passage | None = None,
        compared: tuple[np.ndarray, np.ndarray] | None = None,
        max_slope: float | None = None,
        common: Common | None = None,
    ) -> None:
        self.passage, self.max_slope = passage, max_slope
        kept = source.weights > 0.0
        if compared is None:
            compared = compared_covariances(source, target, passage)
        # Of the type of the mixtures still: it says what is rounding.
        self._compared = (
            compared[0][kept].astype(source.covariances.dtype),
            compared[1].astype(target.covariances.dtype),
        )
        self.source = type(source)(*(array[kept] for array in source))
        self.target = target
        # Rows to unit maximum first: sums of masses near 1e-308 would be subnormal.
        coupling = np.asarray(coupling, dtype=np.float64)[kept]
        top = coupling.max(axis=1, keepdims=True)
        scaled = np.divide(coupling, top, out=np.zeros_like(coupling), where=top > 0)
        mass = scaled.sum(axis=1, keepdims=True)
        #: probability of target l for points of component k; a row of 0: as the whole
        self.conditional = np.divide(
            scaled, mass, out=np.zeros_like(scaled), where=mass > 0.0
        )
        self._common = None
        if common is not None:
            linear, *shares = common
            self._common = Common(linear, *(share[kept] for share in shares))
        self.diagonal = (
            common is None
            and is_diagonal(source.covariances)
            and all(map(is_diagonal, self._compared))
            and (passage is None or passage.whole.linear.ndim == 1)
        )

    @cached_property
    def gaussians(self) -> Gaussians:
        """Posteriors of the source, in the form that fits the maps."""
        gaussians = mixture_gaussians(self.source)
        if gaussians.whiteners.ndim == 2 and not self.diagonal:
            dense = gaussians.whiteners[:, :, None] * np.eye(gaussians.means.shape[1])
            return gaussians._replace(whiteners=dense)
        return gaussians

    @cached_property
    def mean_map(self) -> tuple[np.ndarray, np.ndarray]:
        """(linear, shifts): Σ_l p_kl T_kl, one affine map per source component."""
        maps = mean_ratios if self.diagonal else mean_maps
        own = self.conditional
        if self._common is not None:
            own = own * (1.0 - self._common.of_slopes)
        if self.max_slope is not None:
            linear = self._mean_clipped()
        else:
            linear = maps(*self._compared, own)
            if self._common is not None:
                shared = (self.conditional - own).sum(axis=1)
                linear += shared[:, None, None] * self._common.linear
        linear = self._told(linear)
        shifts = self._mean_images()
        alone = ~self.conditional.any(axis=1)
        linear[alone], shifts[alone] = self._whole(np.flatnonzero(alone))
        return linear, shifts

    def _mean_clipped(self) -> np.ndarray:
        """Σ_l p_kl of maps that are clipped pair by pair."""
        linear = np.zeros((len(self.conditional), *self._identity().shape))
        rows, columns = np.nonzero(self.conditional)
        maps = self._compared_maps(rows, columns)
        chances = self.conditional[rows, columns]
        np.add.at(linear, rows, chances.reshape(-1, *[1] * (maps.ndim - 1)) * maps)
        return linear

    @cached_property
    def steepest(self) -> float:
        """Largest singular value of the maps of pairs, in the compared coordinates.

        Of pairs that take at least a hundredth of the mass of the component they leave.
        """
        return largest_slope(
            self._compared_maps(*np.nonzero(self.conditional > _SHARE))
        )

    @cached_property
    def pairs(self) -> tuple[np.ndarray, ...]:
        """(rows, stops, cumulative, linear, shifts) of the pairs that carry mass.

        Pairs of row k lie together and end at stops[k]; cumulative is k plus the
        cumulative probability within the row, so that one search finds a pair.
        """
        # A pair below rounding is never drawn, but would cost a map.
        table = np.where(self.conditional > 1e-15, self.conditional, 0.0)
        stays = ~table.any(axis=1)
        table = np.column_stack([table, stays])
        rows, columns = np.nonzero(table)
        stops = np.cumsum(np.count_nonzero(table, axis=1))
        linear, shifts = self._maps(rows, columns)
        cumulative = np.cumsum(table, axis=1)
        cumulative = rows + (cumulative / cumulative[:, -1:])[rows, columns]
        return rows, stops, cumulative, linear, shifts

    @cached_property
    def best_map(self) -> tuple[np.ndarray, np.ndarray]:
        """(linear, shifts) towards the likeliest target of each source component."""
        columns = self.conditional.argmax(axis=1)
        columns[~self.conditional.any(axis=1)] = len(self.target.weights)
        return self._maps(np.arange(len(columns)), columns)

    def _identity(self) -> np.ndarray:
        d = self.source.means.shape[1]
        return np.ones(d) if self.diagonal else np.eye(d)

    def _maps(
        self, rows: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Affine maps of pairs; a column after the last one means: as the whole."""
        paired = columns < len(self.target.weights)
        linear = np.empty((len(rows), *self._identity().shape))
        shifts = np.empty((len(rows), self.source.means.shape[1]))
        linear[paired] = self._told(self._compared_maps(rows[paired], columns[paired]))
        shifts[paired] = self._images(rows[paired], columns[paired])
        linear[~paired], shifts[~paired] = self._whole(rows[~paired])
        return linear, shifts

    def _compared_maps(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Linear maps of pairs that carry mass, in the compared coordinates."""
        pairwise = pair_ratios if self.diagonal else pair_maps
        maps = pairwise(*self._compared, rows, columns)
        if self._common is not None:
            shares = self._common.of_slopes[rows, columns][:, None, None]
            maps = (1.0 - shares) * maps + shares * self._common.linear
        return clipped_slopes(maps, self.max_slope)

    def _mean_images(self) -> np.ndarray:
        """Where the mean map sends the means of the source."""
        images, own = self.target.means.astype(np.float64), self.conditional
        if self._common is None:
            return own @ images
        shared = own * self._common.of_means
        whole = self._whole(np.arange(len(own)))[1]
        return (own - shared) @ images + shared.sum(axis=1)[:, None] * whole

    def _images(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Where the maps of pairs that carry mass send the means of the source."""
        images = self.target.means[columns].astype(np.float64)
        if self._common is None:
            return images
        shares = self._common.of_means[rows, columns][:, None]
        return (1.0 - shares) * images + shares * self._whole(rows)[1]

    def _told(self, linear: np.ndarray) -> np.ndarray:
        """Linear maps of the compared coordinates, in those of the data."""
        if self.passage is None:
            return linear
        left, _, back, _ = self.passage
        if self.diagonal:
            return linear * (left * back)
        left, back = (x if x.ndim == 2 else np.diag(x) for x in (left, back))
        return back @ linear @ left

    def _whole(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The map of the whole domain, about the means of components."""
        linear, means = self._identity(), self.source.means[rows].astype(np.float64)
        if self.passage is None:
            return linear, means
        whole = self.passage.whole
        diagonal = self.diagonal or whole.linear.ndim == 2
        linear = whole.linear if diagonal else np.diag(whole.linear)
        return linear, moved_means(means, whole)

    def move(
        self,
        X: Rows,
        method: str = "barycentric",
        strength: float = 1.0,
        rng: Any = None,
        rule: SupportRule = _EXTRAPOLATE,
        n_threads: int | None = None,
    ) -> Rows:
        """Move rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), float64 or float32
            Passed by `check_movable`.
        method : {"barycentric", "random", "most_likely"}
        strength : float in [0, 1]
            x + strength (T(x) - x).
        rng : numpy.random.RandomState, default=None
            Needed by method="random": two uniforms a row.
        rule : SupportRule, default=SupportRule()
            What is done with rows outside the mixture.
        n_threads : int or None

        Returns
        -------
        moved : ndarray of shape (n_samples, n_features), of the type of X

        Raises
        ------
        ValueError
            Where the rule refuses rows.
        """
        if not X.shape[0]:
            return copied(X)

        def move(rows: Rows) -> Rows:
            blocks = blocks_of(rows, n_threads=n_threads)
            return narrowed_like(self._moved(blocks, method, strength, rng), X)

        def move_as_whole(rows: Rows) -> Rows:
            if self.passage is None:
                return rows
            linear, shift = (like_rows_of(X, part) for part in self.passage.whole)
            exact = as_floats(rows)
            images = exact @ linear.T if linear.ndim == 2 else exact * linear
            moved = (1.0 - strength) * exact + strength * (images + shift)
            return narrowed_like(moved, X)

        return move_supported(X, self.gaussians, move, move_as_whole, rule, n_threads)

    def _moved(
        self, blocks: MemoryBlocks, method: str, strength: float, rng: Any
    ) -> Rows:
        """Rows moved by the maps, wherever they are."""
        if strength == 0.0:
            return copied(blocks.rows())
        gaussians = self.gaussians
        centers = gaussians.means
        if method == "barycentric":
            maps = self._part(*self.mean_map, centers, strength)
            return blocks.apply_maps(gaussians, *maps)
        if method == "most_likely":
            index = blocks.labels(gaussians)
            linear, shifts = self.best_map
        else:
            rows, _, _, linear, shifts = self.pairs
            index = self._draw(blocks, rng)
            centers = centers[rows]
        maps = self._part(linear, shifts, centers, strength)
        return blocks.apply_selected(index, centers, *maps)

    def _draw(self, blocks: MemoryBlocks, rng: np.random.RandomState) -> Any:
        """Draw a component of the source, then a pair of its row."""
        _, stops, cumulative, _, _ = self.pairs
        x = blocks.rows()
        xp, uniforms = array_namespace(x), rng.random_sample((2, blocks.n_rows))
        first, second, cumulative, last = (
            like_rows_of(x, a) for a in (*uniforms, cumulative, stops - 1)
        )
        labels = blocks.draw_labels(self.gaussians, first)
        levels = xp.astype(labels, xp.float64) + second
        index = xp.searchsorted(cumulative, levels, side="right")
        # Rounding of label + uniform may reach the next integer.
        return xp.minimum(index, xp.take(last, labels))

    def _part(
        self,
        linear: np.ndarray,
        shifts: np.ndarray,
        centers: np.ndarray,
        strength: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fold the strength into the maps, so that it costs nothing for a sample."""
        if strength == 1.0:
            return linear, shifts
        rest = 1.0 - strength
        return (
            rest * self._identity() + strength * linear,
            rest * centers + strength * shifts,
        )
