"""What else a classifier asks where the target rows tell little of a move.

Components that follow target rows are followed into mistakes where classes overlap and
the domains hardly differ. There the source speaks too: its components, moved and in
place, and its rows under a kernel, whose classes may have any form.
"""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from skgmmot._blocks._row_arrays import (
    Rows,
    as_floats,
    canonical_order,
    everywhere,
    like_rows_of,
)
from skgmmot.estimators._classes import Labelled, anchors_of
from skgmmot.kernels import chunks, to_host
from skgmmot.linalg._covariances import TYPES

_MOST_ROWS = 2000  # of the source that a kernel looks at
_CONFIDENCE = 0.5  # power of a kernel's probabilities, for rows of another domain
_SOURCE_PART = 0.3  # of each that speaks for the source, beside the gain of the map
_FADING = 2.0  # how fast what was not moved falls silent, with the gain
_LEAST_PART = 0.02  # less is not asked


class Blend(NamedTuple):
    """Parts of the probabilities that do not come from the followed components."""

    anchors: float  # of the source's components, moved, of one covariance
    moved_rows: float
    source: float  # of the source's components in place
    rows: float


NOTHING = Blend(0.0, 0.0, 0.0, 0.0)


def blend_of(gain: float) -> Blend:
    r"""Parts of the source's voices by what the alignment gains on the target rows.

    With the gain g in nats a row, followed components have the weight g + .3, moved
    components and moved rows .3 each, and those in place :math:`.3 e^{-2 g}` each,
    divided by their sum; what is below .02 then is left out. Where g is not above 0
    nothing was moved, and components and rows of the source have one half each.

    Parameters
    ----------
    gain : float
        Infinite: all is left to the followed components.

    Returns
    -------
    parts : Blend
        Less than 1 together: the rest is that of the followed components.
    """
    if gain <= 0.0:
        return Blend(0.0, 0.0, 0.0, 0.5)
    if gain == np.inf:
        return NOTHING
    stayed = _SOURCE_PART * float(np.exp(-_FADING * gain))
    total = gain + 3.0 * _SOURCE_PART + 2.0 * stayed
    aligned, stayed = (
        part if part >= _LEAST_PART else 0.0
        for part in (_SOURCE_PART / total, stayed / total)
    )
    return Blend(aligned, aligned, stayed, stayed)


class KernelClasses(NamedTuple):
    """Labelled rows that tell classes by their nearness."""

    center: np.ndarray  # (d,)
    whitening: np.ndarray  # (d, d), a bandwidth has the length 1
    rows: Any  # (m, d) of the source, whitened
    masses: Any  # (m, n_classes) weight of a row, in the column of its class

    def on_host(self) -> "KernelClasses":
        """The same in NumPy's arrays."""
        return self._replace(rows=to_host(self.rows), masses=to_host(self.masses))


def kernel_of(source: Labelled, reg_covar: float) -> KernelClasses:
    r"""Gaussian kernels on rows of classes.

    Their covariance is :math:`h^2 W` with the pooled, shrunk W within classes and the
    factor :math:`h = (n / C)^{-1 / (d + 4)}` of Scott (1992, doi
    10.1002/9780470316849) for n rows of C classes. Of more than 2000 rows an even
    sample, in the order of their values, is kept.

    Parameters
    ----------
    source : Labelled
        Rows whose components are classes.
    reg_covar : float

    Returns
    -------
    kernel : KernelClasses
    """
    X, n_classes = source.X, source.n_components
    xp = array_namespace(X)
    weights = everywhere(X, 1.0) if source.weights is None else source.weights
    anchors = anchors_of(source, TYPES["tied"], reg_covar)
    values, vectors = np.linalg.eigh(anchors.covariances)
    mass, d = float(to_host(xp.sum(weights))), len(values)
    bandwidth = (mass / n_classes) ** (-1.0 / (d + 4))
    whitening = vectors / (bandwidth * np.sqrt(values))
    center = anchors.weights @ anchors.means
    if X.shape[0] > _MOST_ROWS:
        places = np.linspace(0, X.shape[0] - 1, _MOST_ROWS).astype(np.intp)
        kept = xp.take(canonical_order(X), like_rows_of(X, places))
        X, weights = xp.take(X, kept, axis=0), xp.take(weights, kept)
        source = source._replace(labels=xp.take(source.labels, kept))
    rows = (as_floats(X) - like_rows_of(X, center)) @ like_rows_of(X, whitening)
    masses = source.one_hot(slice(None)) * weights[:, None]
    return KernelClasses(center, whitening, rows, masses)


def kernel_probabilities(kernel: KernelClasses, X: Rows) -> Any:
    r"""Probabilities of the classes, (n, n_classes), for rows of another domain.

    .. math:: q_c(x) \propto \sqrt{\sum_{i \in c} w_i e^{-|V^T (x - x_i)|^2 / 2}}

    with V V^T the inverse of the kernels' covariance. The root halves log-odds, which
    are those of a sample from the source itself.
    """
    xp = array_namespace(X)
    center, whitening, others, masses = (_where_rows_are(X, part) for part in kernel)
    squares = 0.5 * xp.sum(others * others, axis=1)
    parts = []
    for block in chunks(X, others.shape[0]):
        rows = (as_floats(X[block, :]) - center) @ whitening
        near = rows @ others.T - squares
        near = xp.exp(near - xp.max(near, axis=1, keepdims=True))
        found = (near @ masses) ** _CONFIDENCE
        parts.append(found / xp.sum(found, axis=1, keepdims=True))
    return xp.concat(parts)


def _where_rows_are(X: Rows, values: Any) -> Any:
    """Values of a fit on rows of whatever kind, as those of X are."""
    if type(values) is type(X) and device(values) == device(X):
        return values
    return like_rows_of(X, to_host(values))
