"""Links between samples on affine maps: costs, rotations, and the quadratic form.

A component is the affine map z -> L z + m of standard normal z; Y = [L | m] is its
matrix. A link's frame turns Y into D^-1/2 (A Y + [0 | b]) on its first side and into
D^-1/2 Y on its second, D its metric; call both U. With the rotations R_kl held, its
transport term

    w sum_kl gamma_kl |U_k - U_l diag(R_kl, 1)|^2

is quadratic in all matrices of both samples together.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skgmmot.linalg._bures import rotations
from skgmmot.linalg._spd import transpose
from skgmmot.mixture.coupled._records import (
    AffineMaps,
    CoupledProblem,
    Link,
    link_rows,
)
from skgmmot.transport._shift import Gaps

_NO_MASS = 1e-100  # below which a plan says nothing


class LinkFrame(NamedTuple):
    """A link among stacked components: whose they are, and how they are compared.

    `rows` picks the first sample's K0 components, then the second's K1.
    """

    rows: slice | np.ndarray  # all components, in order, where it is a slice
    k0: int
    rate: float  # nats per unit of squared distance
    unit: float  # squared distance of a cost of 1
    whiteners: np.ndarray | None = None  # (F, K0 + K1, p, p); None: identity
    shifts: np.ndarray | None = None  # (F, K0 + K1, p), of what the frame has moved
    roots: np.ndarray | None = None  # (d,) of the metric, where the shift is free


class Comparison(NamedTuple):
    """The components of a link's two sides, side by side.

    A common shift of the first side, in units of the metric, is added to `steps`: it
    changes no rotation.
    """

    rotations: np.ndarray  # (F, K0, K1, p, p)
    spreads: np.ndarray  # (K0, K1) squared distances but for the means
    steps: np.ndarray  # (F, K0, K1, p) from the second side's means to the first's

    def costs(self, shift: np.ndarray | None = None) -> np.ndarray:
        """Squared distances (K0, K1)."""
        steps = self.steps
        if shift is not None:
            steps = steps + shift.reshape(len(steps), 1, 1, -1)
        return self.spreads + np.einsum("fkli,fkli->kl", steps, steps)

    def gaps(self, unit: float) -> Gaps:
        """The same as a function of the shift, in units of costs."""
        k0, k1 = self.spreads.shape
        gaps = -self.steps.transpose(1, 2, 0, 3).reshape(k0, k1, -1)
        return Gaps(gaps, self.spreads / unit, np.full(gaps.shape[2], unit))

    def best_shift(self, plan: np.ndarray, former: np.ndarray) -> np.ndarray:
        """The shift that is cheapest for a plan; the former one where it is empty."""
        mass = plan.sum()
        if not mass > _NO_MASS:
            return former
        return -np.einsum("kl,fkli->fi", plan / mass, self.steps).ravel()


class LinkTerm(NamedTuple):
    """The quadratic form of a link: tr(U H U^T) / 2, U all matrices side by side."""

    frame: LinkFrame
    matrix: np.ndarray  # H: (F or 1, (K0 + K1) q, (K0 + K1) q), q = p + 1


def link_frames(
    problem: CoupledProblem, slices: Sequence[slice], centres: np.ndarray
) -> list[LinkFrame]:
    """The links of a problem; `slices` say where each sample's components stand."""
    frames = []
    for link in problem.links:
        first, second = slices[link.first], slices[link.second]
        k0, k1 = first.stop - first.start, second.stop - second.start
        rows = link_rows(first, second, slices[-1].stop)
        rate = problem.transport_weight * link.weight / link.unit
        frame = LinkFrame(rows, k0, rate, link.unit)
        apart = centres[link.first] != centres[link.second]
        if link.has_frame or apart.any():
            full = problem.kind.full_form
            frame = _framed(frame, link, centres, (k0, k1), full)
        frames.append(frame)
    return frames


def _framed(
    frame: LinkFrame,
    link: Link,
    centres: np.ndarray,
    sizes: tuple[int, int],
    full: bool,
) -> LinkFrame:
    d = centres.shape[1]
    matrix = np.ones(d) if link.matrix is None else np.asarray(link.matrix, float)
    scales = np.ones(d)
    if np.ndim(link.metric) > 0:
        scales = 1 / np.sqrt(np.asarray(link.metric, float))
    origin, other = centres[link.first], centres[link.second]
    moved = matrix @ origin if matrix.ndim == 2 else matrix * origin
    shift = moved - other
    if link.shift is not None:
        shift = shift + link.shift
    shift = scales * shift
    if full:
        matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
        pair = (scales[:, None] * matrix)[None, None], np.diag(scales)[None, None]
        shift = shift[None, None]
    else:
        pair = (scales * matrix)[:, None, None, None], scales[:, None, None, None]
        shift = shift[:, None, None]
    return frame._replace(
        roots=_roots(link, d) if link.free_shift else None,
        whiteners=np.concatenate(
            [np.repeat(w, k, axis=1) for w, k in zip(pair, sizes, strict=True)], axis=1
        ),
        shifts=np.concatenate(
            [
                np.repeat(s, k, axis=1)
                for s, k in zip((shift, 0 * shift), sizes, strict=True)
            ],
            axis=1,
        ),
    )


def _roots(link: Link, d: int) -> np.ndarray:
    if np.ndim(link.metric) > 0:
        return np.sqrt(np.asarray(link.metric, float))
    return np.ones(d)


def compare(maps: AffineMaps, frame: LinkFrame) -> Comparison:
    """Rotations and squared distances of all pairs of a link."""
    k0 = frame.k0
    factors, means = maps.factors[:, frame.rows], maps.means[:, frame.rows]
    if frame.whiteners is not None:
        factors = frame.whiteners @ factors
        means = (frame.whiteners @ means[..., None])[..., 0] + frame.shifts
    left, right = factors[:, :k0, None], factors[:, None, k0:]
    steps = means[:, :k0, None] - means[:, None, k0:]
    if left.shape[-1] > 1:
        turned = rotations(left, right)
        gaps = left - right @ turned
    elif frame.whiteners is None:
        turned = np.ones((1, *right.shape[1:]))
        turned = np.broadcast_to(turned, (1, k0, *right.shape[2:]))
        gaps = left - right
    else:  # a frame may turn a feature round
        turned = np.copysign(1.0, left * right)
        gaps = left - right * turned
    return Comparison(turned, np.einsum("fklij,fklij->kl", gaps, gaps), steps)


def coupling_matrix(
    plan: np.ndarray, turned: np.ndarray, free_shift: bool = False
) -> np.ndarray:
    """Return H of a link; `plan` is in nats per unit of squared distance.

    With a free shift, H is that of the least over shifts: its part for the means loses
    (2 / mass) c c^T, c = (row sums, -column sums), and stays positive semidefinite.
    """
    k0, k1 = plan.shape
    p, q, k = turned.shape[-1], turned.shape[-1] + 1, k0 + k1
    matrix = np.zeros((len(turned), k, q, k, q))
    weighted = -2 * plan[..., None, None] * turned
    matrix[:, k0:, :p, :k0, :p] = weighted.transpose(0, 2, 3, 1, 4)
    matrix[:, :k0, :p, k0:, :p] = weighted.transpose(0, 1, 4, 2, 3)
    matrix[:, k0:, p, :k0, p] = -2 * plan.T
    matrix[:, :k0, p, k0:, p] = -2 * plan
    matrix = matrix.reshape(len(turned), k * q, k * q)
    mass = 2 * np.concatenate([plan.sum(1), plan.sum(0)])
    matrix[:, np.arange(k * q), np.arange(k * q)] = np.repeat(mass, q)
    if free_shift and plan.sum() > _NO_MASS:
        c = np.concatenate([plan.sum(1), -plan.sum(0)])
        matrix[:, p::q, p::q] -= 2 / plan.sum() * np.outer(c, c)
    return matrix


def pull(
    matrices: np.ndarray, terms: Sequence[LinkTerm], position: bool = False
) -> np.ndarray:
    """Slope of all terms at matrices (F, K, p, q), or at a change of them.

    Parameters
    ----------
    matrices : ndarray of shape (F, K, p, q)
    terms : list of LinkTerm
    position : bool, default=False
        Whether the matrices are those of components, which the links' shifts move,
        and not a change of them.
    """
    if len(terms) == 1 and isinstance(terms[0].frame.rows, slice):
        return _pull_of(matrices, terms[0], position)
    result = np.zeros_like(matrices)
    for term in terms:
        rows = term.frame.rows
        result[:, rows] += _pull_of(matrices[:, rows], term, position)
    return result


def _pull_of(matrices: np.ndarray, term: LinkTerm, position: bool) -> np.ndarray:
    frame = term.frame
    if frame.whiteners is not None:
        matrices = frame.whiteners @ matrices
        if position:
            matrices[..., -1] += frame.shifts
    f, k, p, q = matrices.shape
    wide = matrices.transpose(0, 2, 1, 3).reshape(f, p, k * q)
    result = (wide @ term.matrix).reshape(f, p, k, q).transpose(0, 2, 1, 3)
    return result if frame.whiteners is None else transpose(frame.whiteners) @ result


def stiffness(
    factors: np.ndarray, lengths: np.ndarray, terms: Sequence[LinkTerm]
) -> np.ndarray:
    """Diagonal (F, K, p) of the terms' curvature in G, L <- L (I + G)."""
    p = lengths.shape[-1]
    result = np.zeros_like(lengths)
    for frame, matrix in terms:
        mass = np.einsum("fii->fi", matrix)[0, :: p + 1]
        squares = lengths[:, frame.rows]
        if frame.whiteners is not None:
            moved = frame.whiteners @ factors[:, frame.rows]
            squares = np.square(moved).sum(axis=-2)
        result[:, frame.rows] += mass[:, None] * squares
    return result
