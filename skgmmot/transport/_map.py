"""Maps that move samples from one mixture to another along a coupling."""

from functools import cached_property
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state

from skgmmot._blocks import MemoryBlocks, blocks_of
from skgmmot._checks import (
    check_choice,
    check_real,
    check_shape,
    check_size,
    message,
    naming,
    real_array,
)
from skgmmot.kernels import Gaussians
from skgmmot.linalg._bures import mean_maps, mean_ratios, pair_maps, pair_ratios
from skgmmot.linalg._mixture import Mixture, narrowed
from skgmmot.linalg._spd import (
    diagonals,
    factor,
    is_diagonal,
    is_singular,
    transpose,
    whiteners,
)
from skgmmot.transport._mw2 import checked_pair, mw2_plan
from skgmmot.transport._plan import TransportPlan
from skgmmot.transport._support import clipped_slopes, largest_slope

METHODS = ("barycentric", "random", "most_likely")
# Part of the mean variance that makes a singular covariance have posteriors.
_RIDGE = 1e-6
_LARGEST = 1e153  # beyond it rows have no squares
_OWN_RIDGE = 1e-12


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
        row has no mass stay in place.
    max_slope : float, default=None
        Bound on the singular values of the maps T_kl of pairs.
    """

    def __init__(
        self,
        source: Mixture,
        target: Mixture,
        coupling: Any,
        max_slope: float | None = None,
    ) -> None:
        self.max_slope = max_slope
        kept = source.weights > 0.0
        self.source = type(source)(*(array[kept] for array in source))
        self.target = target
        # Rows to unit maximum first: sums of masses near 1e-308 would be subnormal.
        coupling = np.asarray(coupling, dtype=np.float64)[kept]
        top = coupling.max(axis=1, keepdims=True)
        scaled = np.divide(coupling, top, out=np.zeros_like(coupling), where=top > 0)
        mass = scaled.sum(axis=1, keepdims=True)
        #: probability of target l for points of source component k; a row of 0: stays
        self.conditional = np.divide(
            scaled, mass, out=np.zeros_like(scaled), where=mass > 0.0
        )
        self.diagonal = is_diagonal(source.covariances) and is_diagonal(
            target.covariances
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
        if self.max_slope is None:
            linear = maps(
                self.source.covariances, self.target.covariances, self.conditional
            )
        else:
            linear = self._mean_clipped()
        shifts = self.conditional @ self.target.means.astype(np.float64)
        stays = ~self.conditional.any(axis=1)
        linear[stays] = self._identity()
        shifts[stays] = self.gaussians.means[stays]
        return linear, shifts

    def _mean_clipped(self) -> np.ndarray:
        """Σ_l p_kl T_kl of maps that are clipped pair by pair."""
        linear = np.zeros((len(self.conditional), *self._identity().shape))
        rows, columns = np.nonzero(self.conditional)
        maps, _ = self._maps(rows, columns)
        chances = self.conditional[rows, columns]
        np.add.at(linear, rows, chances.reshape(-1, *[1] * (maps.ndim - 1)) * maps)
        return linear

    @cached_property
    def steepest(self) -> float:
        """Largest singular value of the maps of pairs that carry mass."""
        return largest_slope(self.pairs[3])

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
        """Affine maps of pairs; a column after the last one means: stay."""
        moved = columns < len(self.target.weights)
        linear = np.empty((len(rows), *self._identity().shape))
        shifts = np.empty((len(rows), self.source.means.shape[1]))
        maps = pair_ratios if self.diagonal else pair_maps
        chosen = maps(
            self.source.covariances,
            self.target.covariances,
            rows[moved],
            columns[moved],
        )
        linear[moved] = clipped_slopes(chosen, self.max_slope)
        shifts[moved] = self.target.means[columns[moved]]
        linear[~moved] = self._identity()
        shifts[~moved] = self.source.means[rows[~moved]]
        return linear, shifts

    def move(
        self,
        X: np.ndarray,
        method: str = "barycentric",
        strength: float = 1.0,
        rng: Any = None,
        n_threads: int | None = None,
    ) -> np.ndarray:
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
        n_threads : int or None

        Returns
        -------
        moved : ndarray of shape (n_samples, n_features), of the type of X
        """
        if strength == 0.0 or not len(X):
            return X.copy()
        blocks = blocks_of(X, n_threads=n_threads)
        gaussians = self.gaussians
        centers = gaussians.means
        if method == "barycentric":
            maps = self._part(*self.mean_map, centers, strength)
            moved = blocks.apply_maps(gaussians, *maps)
            return narrowed(moved, X.dtype)
        if method == "most_likely":
            index = blocks.labels(gaussians)
            linear, shifts = self.best_map
        else:
            rows, _, _, linear, shifts = self.pairs
            index = self._draw(blocks, rng)
            centers = centers[rows]
        maps = self._part(linear, shifts, centers, strength)
        moved = blocks.apply_selected(index, centers, *maps)
        return narrowed(moved, X.dtype)

    def _draw(self, blocks: MemoryBlocks, rng: np.random.RandomState) -> np.ndarray:
        """Draw a component of the source, then a pair of its row."""
        _, stops, cumulative, _, _ = self.pairs
        uniforms = rng.random_sample((2, blocks.n_rows))
        labels = blocks.draw_labels(self.gaussians, uniforms[0])
        index = np.searchsorted(cumulative, labels + uniforms[1], side="right")
        # Rounding of label + uniform may reach the next integer.
        return np.minimum(index, stops[labels] - 1)

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


def check_movable(X: np.ndarray) -> np.ndarray:
    """Return the rows; raise if one is so far that its distances overflow."""
    if X.dtype == np.float32:
        return X
    reason = "whose distances from the components can be squared"
    mend = "drop these rows, or divide all features by their widths before the fit"
    return check_size(X, "X", _LARGEST, reason, mend)


def checked_strength(strength: float) -> float:
    """Return the strength; raise unless it lies in [0, 1]."""
    return check_real(strength, "strength", 0.0, 1.0)


def checked_method(method: str) -> str:
    """Return the method; raise if there is none of that name."""
    return check_choice(method, "method", METHODS)


def checked_coupling(plan: Any, source: Mixture, target: Mixture) -> np.ndarray:
    """Return the coupling of a plan or an array, checked against two mixtures."""
    coupling = plan.coupling if isinstance(plan, TransportPlan) else plan
    coupling = real_array(coupling, "plan")
    shape = len(source.weights), len(target.weights)
    mend = "give a row per source and a column per target component"
    check_shape(coupling, "plan", shape, mend)
    if not (np.isfinite(coupling).all() and (coupling >= 0.0).all()):
        wrong = coupling[~(np.isfinite(coupling) & (coupling >= 0.0))][0]
        expected = "masses that are finite and not negative"
        raise ValueError(message("plan", expected, f"{wrong:.6g}"))
    return coupling


def mw2_map(
    X: Any,
    source: Any,
    target: Any,
    *,
    plan: Any = None,
    method: str = "barycentric",
    strength: float = 1.0,
    random_state: Any = None,
) -> np.ndarray:
    r"""Move samples of the source mixture to the target mixture.

    With posteriors :math:`p_k(x)`, a coupling :math:`\gamma` and the optimal affine
    maps :math:`T_{kl}` between components,

    .. math::
        T_{mean}(x) = \sum_k p_k(x) \sum_l \frac{\gamma_{kl}}{\sum_l \gamma_{kl}}
        T_{kl}(x)

    while :math:`T_{rand}(x)` is :math:`T_{kl}(x)` for a pair drawn with probability
    :math:`p_k(x) \gamma_{kl} / \sum_l \gamma_{kl}`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows to be moved.
    source, target : mixture-like
        A Mixture, a tuple (weights, means, covariances) or a fitted estimator, with K0
        and K1 components.
    plan : TransportPlan or array-like of shape (K0, K1), default=None
        Coupling of the components; None: the plan of MW2. Points of a component whose
        row has no mass stay in place.
    method : {"barycentric", "random", "most_likely"}, default="barycentric"
        T_mean; T_rand; or the map of the component with the largest posterior to the
        largest entry of its row.
    strength : float, default=1.0
        Between 0 and 1: the result is x + strength (T(x) - x).
    random_state : int, RandomState instance or None, default=None
        For method="random".

    Returns
    -------
    moved : ndarray of shape (n_samples, n_features)
        Of type float32 if X is, float64 otherwise.

    Raises
    ------
    ValueError
        If the numbers of features differ, X holds NaN, infinity or values beyond
        1e153, or method, strength or plan is not valid; and what `mw2_plan` raises.

    Notes
    -----
    T_mean is a conditional mean: it is continuous, but the moved points have less
    variance than the target. T_rand pushes the source forward to the target exactly.
    The maps of singular covariances use the pseudo-inverse, hence reach only what the
    source spans; posteriors then use a ridge of 1e-6 of the mean variance.

    References
    ----------
    Delon and Desolneux (2020), doi 10.1137/19M1301047.

    Examples
    --------
    >>> from skgmmot.transport import mw2_map
    >>> source = [1.0], [[0.0]], [[[1.0]]]
    >>> target = [1.0], [[1.0]], [[[4.0]]]
    >>> mw2_map([[-1.0], [0.0], [2.0]], source, target)
    array([[-1.],
           [ 1.],
           [ 5.]])
    """
    method, strength = checked_method(method), checked_strength(strength)
    source, target = checked_pair(source, target)
    # NumPy would warn of infinities, which are refused in words.
    with np.errstate(invalid="ignore"), naming("X", "rows of real numbers"):
        X = check_array(X, dtype=[np.float64, np.float32], order="C", input_name="X")
    if X.shape[1] != source.means.shape[1]:
        expected = f"{source.means.shape[1]} features, as source and target have"
        raise ValueError(message("X", expected, X.shape[1]))
    check_movable(X)
    if plan is None:
        plan = mw2_plan(source, target)
    coupling = checked_coupling(plan, source, target)
    rng = check_random_state(random_state)
    return MixtureMap(source, target, coupling).move(X, method, strength, rng)
