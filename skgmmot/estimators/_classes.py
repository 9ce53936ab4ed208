"""Labelled source rows as components of classes, and how they move as a whole."""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks import blocks_of
from skgmmot._blocks._row_arrays import (
    Rows,
    copied,
    everywhere,
    like_rows_of,
    replaced,
)
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.kernels import Gaussians
from skgmmot.linalg._covariances import CovarianceType
from skgmmot.linalg._shrinkage import (
    Affine,
    DomainMoments,
    ledoit_wolf,
    linear_alignment,
    scale_alignment,
)
from skgmmot.linalg._spd import diagonals
from skgmmot.mixture._pinned import Anchors, pooled_rows

_MOST_PER_CLASS = 10  # components that "bic" offers a class
_SMALLEST_VARIANCE = 1e-12  # part of the mean variance that a covariance keeps


class Labelled(NamedTuple):
    """Rows whose components are known."""

    X: Rows  # (n, d)
    weights: Any  # (n,)
    labels: Any  # (n,) component of each row
    n_components: int
    n_threads: int | None

    def one_hot(self, rows: slice) -> Any:
        """Which component a row of a slice belongs to, (c, K)."""
        xp = array_namespace(self.labels)
        columns = like_rows_of(self.labels, np.arange(self.n_components))
        return xp.astype(self.labels[rows][:, None] == columns, xp.float64)


class Subclasses(NamedTuple):
    """How classes are cut into components."""

    n_components: int | str  # per class, or "bic"
    covariance_type: str
    reg_covar: float
    random_state: np.random.RandomState
    n_jobs: int | None


class _OfOneClass(SparseGaussianMixture):
    """Components of one class; that it has few rows is ordinary."""

    def _warn_of_small_mass(
        self, problem: Any, sample_weight: Any, n_free: int
    ) -> None:
        """Say nothing."""


def domain_moments(X: Rows, weights: Any, n_threads: int | None) -> DomainMoments:
    """Moments of all rows of a domain, in the units of the data."""
    blocks = blocks_of(X, weights, n_threads)
    mean = blocks.mean_and_variances()[0]
    covariance = blocks.scatter(mean) / blocks.mass
    fourth = blocks.fourth_moment(mean, np.ones(len(mean)))
    return DomainMoments(mean, covariance, blocks.mass, fourth)


def alignment_of(
    align: str | None, source: DomainMoments, target: DomainMoments
) -> Affine:
    """The map of the source as a whole; the identity where one side is a point."""
    eye = np.eye(len(source.mean))
    flat = any(np.trace(side.covariance) <= 0.0 for side in (source, target))
    if align is None or flat:
        return Affine(eye, np.zeros(len(eye)))
    if align == "shift":
        return Affine(eye, target.mean - source.mean)
    if align == "scale":
        return scale_alignment(source, target)
    return linear_alignment(source, target, np.ones(len(eye)))


def moved(X: Rows, alignment: Affine, n_threads: int | None) -> Rows:
    """Rows under an affine map, in their floating type."""
    linear, shift = alignment
    one = Gaussians(np.zeros(1), np.zeros((1, len(shift))), np.eye(len(shift))[None])
    blocks = blocks_of(X, n_threads=n_threads)
    return blocks.apply_maps(one, linear[None], shift[None])


def components_of(
    X: Rows, y: Any, weights: Any, subclasses: Subclasses
) -> tuple[Any, np.ndarray]:
    """Component of each row, (n,), and class of each component, (K,)."""
    xp = array_namespace(y)
    n_classes = int(xp.max(y)) + 1
    if subclasses.n_components == 1:
        return y, np.arange(n_classes)
    labels = copied(y)
    classes: list[int] = []
    for c in range(n_classes):
        rows = y == c
        part = None if weights is None else weights[rows]
        found = _parts_of_class(X[rows], part, subclasses)
        kept, inner = xp.unique_inverse(found)
        labels = replaced(labels, rows, len(classes) + inner)
        classes += [c] * kept.shape[0]
    return labels, np.array(classes)


def _parts_of_class(X: Rows, weights: Any, subclasses: Subclasses) -> Any:
    """Component of each row of one class."""
    sparsity: float | str = subclasses.n_components
    offer, n_init = _MOST_PER_CLASS, 1
    if not isinstance(sparsity, str):
        offer, sparsity, n_init = int(sparsity), 0.0, 5
    offer = min(offer, _n_distinct(X))
    if offer == 1:
        return everywhere(X, 0)
    fit = _OfOneClass(
        offer,
        sparsity=sparsity,
        covariance_type=subclasses.covariance_type,
        reg_covar=subclasses.reg_covar,
        n_init=n_init,
        random_state=subclasses.random_state,
        n_jobs=subclasses.n_jobs,
    )
    return fit.fit(X, sample_weight=weights).predict(X)


def _n_distinct(X: Rows) -> int:
    """How many rows differ."""
    ordered = blocks_of(X).in_canonical_order().rows()
    xp = array_namespace(ordered)
    new = xp.any(ordered[1:, :] != ordered[:-1, :], axis=1)
    return 1 + int(xp.sum(xp.astype(new, xp.int64)))


def anchors_of(rows: Labelled, kind: CovarianceType, reg_covar: float) -> Anchors:
    r"""Weights, means and shrunk covariances of labelled components.

    The pooled covariance is that of Ledoit and Wolf about the means; the own ones of
    full and diagonal components count as their rows, the pooled one as some more.
    """
    blocks = blocks_of(rows.X, rows.weights, rows.n_threads)
    center = np.repeat(blocks.mean_and_variances()[0][None], rows.n_components, axis=0)
    sums = blocks.given_moments(rows.one_hot, center, full=False)
    means = center + sums.sums / sums.counts[:, None]
    weights = sums.counts / sums.mass
    pooled = _pooled_covariance(rows, means) + reg_covar * np.eye(means.shape[1])
    if kind.name == "tied":
        return Anchors(weights, means, pooled)
    if not kind.full_form:
        pooled = diagonals(pooled)
    seconds = blocks.given_moments(rows.one_hot, means, full=kind.full_form).seconds
    shape = (-1, 1, 1) if kind.full_form else (-1, 1)
    extra = pooled_rows(kind, means.shape[1])
    counts = sums.counts.reshape(shape)
    return Anchors(weights, means, (seconds + extra * pooled) / (counts + extra))


def _pooled_covariance(rows: Labelled, means: np.ndarray) -> np.ndarray:
    """Covariance about the means, shrunk; of all rows where there is nothing within."""
    within = domain_moments_about(rows, means)
    if np.trace(within.covariance) <= 0.0:
        within = domain_moments(rows.X, rows.weights, rows.n_threads)
    shrunk = ledoit_wolf(within.covariance, within.mass, within.fourth)
    level = np.trace(shrunk) / len(shrunk)
    return shrunk + _SMALLEST_VARIANCE * level * np.eye(len(shrunk))


def domain_moments_about(rows: Labelled, means: np.ndarray) -> DomainMoments:
    """Moments of rows about the means of their components."""
    zero = np.zeros(means.shape[1])
    centers = array_namespace(rows.X).take(
        like_rows_of(rows.X, means), rows.labels, axis=0
    )
    blocks = blocks_of(rows.X - centers, rows.weights, rows.n_threads)
    covariance = blocks.scatter(zero) / blocks.mass
    fourth = blocks.fourth_moment(zero, np.ones(len(zero)))
    return DomainMoments(zero, covariance, blocks.mass, fourth)
