"""EM of few rows as one compiled loop: plain steps, by maximum likelihood alone.

Where an E-step takes microseconds, steps of the interpreter between E-steps would take
most of the time. Here is only the order of the steps, which is that of `_fit.run`; each
of them is what larger fits call too.
"""

from typing import NamedTuple

import numpy as np

from skgmmot._blocks import MemoryBlocks
from skgmmot.kernels import read_only
from skgmmot.kernels.numba import _primitives as primitives
from skgmmot.linalg._scatters import ILL_DEFINED
from skgmmot.mixture._em import Parameters, Problem
from skgmmot.mixture._penalty import NoPenalty
from skgmmot.mixture._small_loop import COLLAPSED, GOES_ON, SETTLED, iterate

_AT_ONCE = 100  # iterations, some ms, between which a fit can be interrupted


class Steps(NamedTuple):
    """What steps of EM found."""

    parameters: Parameters
    bounds: list[float]  # the objective before each step
    converged: bool


class Rows(NamedTuple):
    """Rows in memory, as compiled loops read them."""

    x: np.ndarray  # (n, d)
    sample_weight: np.ndarray  # (n,), or empty where all weigh 1


def small_rows(problem: Problem, parameters: Parameters) -> Rows | None:
    """The rows where compiled steps will do: no penalty, and one range in memory."""
    blocks = problem.blocks
    if problem.prune or type(problem.penalty) is not NoPenalty:
        return None
    shape, full = parameters.means.shape, problem.kind.full_form
    if not isinstance(blocks, MemoryBlocks) or not primitives.in_one_range(
        blocks.n_rows, shape, full
    ):
        return None
    rows = blocks.compiled_rows()
    if rows is None:
        return None
    return Rows(read_only(rows[0]), primitives.weights_of(rows[1]))


def small_steps(
    problem: Problem,
    rows: Rows,
    start: Parameters,
    tol: float,
    max_iter: int,
    previous: float,
) -> Steps:
    """M-steps until the objective changes by less than tol; the last E-step is left."""
    parameters = Parameters(*(np.array(p, np.float64, order="C") for p in start))
    arguments = tuple(rows), *_arguments(problem, parameters)
    bounds: list[float] = []
    status = GOES_ON
    while status == GOES_ON and len(bounds) < max_iter:
        found = np.empty(min(_AT_ONCE, max_iter - len(bounds)))
        control = problem.blocks.mass, tol, float(previous)
        n_steps, status = iterate(*arguments, control, found)
        if status == COLLAPSED:
            raise ValueError(ILL_DEFINED)
        bounds += found[:n_steps].tolist()
        previous = bounds[-1]
    return Steps(parameters, bounds, status == SETTLED)


def _arguments(problem: Problem, parameters: Parameters) -> tuple:
    """Mixture, ridge and room, as `iterate` takes them."""
    kind, (n_components, d) = problem.kind, parameters.means.shape
    weights, means, covariances, factors = parameters
    shape = (n_components, d, d) if kind.full_form else (n_components, d)
    return (
        (weights, means, kind.stack(covariances), kind.stack(factors)),
        (np.empty(n_components), np.empty(shape)),
        primitives.room_of_sums(1, means.shape, kind.full_form),
        np.full(d, problem.reg_covar, dtype=np.float64),
        (np.empty(n_components), np.empty((d + 1, d))),
    )
