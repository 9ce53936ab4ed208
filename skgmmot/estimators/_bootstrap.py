"""The Bayesian bootstrap: other weights of the rows, and what the draws say."""

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from skgmmot._blocks._row_arrays import has_any, like_rows_of, replaced
from skgmmot._checks import check_integer, is_integer, message


class CoupledBootstrap(NamedTuple):
    """What a coupled fit finds under other weights of the rows, draw by draw.

    Parameters
    ----------
    source_weights : ndarray of shape (n_bootstraps, n_source_components)
        Shares of the source's components.
    target_weights : ndarray of shape (n_bootstraps, n_target_components)
        Shares of the target's.
    coupling : ndarray of shape (n_bootstraps, n_source_components, n_target_components)
        Masses that go from component to component.
    source_reweighting : ndarray of shape (n_bootstraps, n_source_components)
        What leaving does to the weight of a point.
    target_reweighting : ndarray of shape (n_bootstraps, n_target_components)
        What arriving does to it.
    source_means : ndarray of shape (n_bootstraps, n_source_components, n_features)
        Means of the source's components.
    target_means : ndarray of shape (n_bootstraps, n_target_components, n_features)
        Means of the target's.
    transport_cost : ndarray of shape (n_bootstraps,)
        The transport term, in the units of the objective.
    mw2 : ndarray of shape (n_bootstraps,)
        MW2 distance between the two mixtures, in the units of the data, alignment and
        all.
    intervals : dict of str to ndarray of shape (2, ...)
        Lower and upper end for each name above.
    debiased : CoupledBootstrap or None
        The same draws without what regularises the fit: weights and means as the rows
        alone would have them, the plan between such mixtures without entropy. Balanced,
        its intervals of the coupling are mirrored about the plan of all rows. Its own
        `debiased` is None.
    """

    source_weights: np.ndarray
    target_weights: np.ndarray
    coupling: np.ndarray
    source_reweighting: np.ndarray
    target_reweighting: np.ndarray
    source_means: np.ndarray
    target_means: np.ndarray
    transport_cost: np.ndarray
    mw2: np.ndarray
    intervals: dict[str, np.ndarray]
    debiased: Any = None


class NumberBootstrap(NamedTuple):
    """How often each number of components was chosen.

    Parameters
    ----------
    n_components : ndarray of shape (n_bootstraps,)
        The number of each draw.
    counts : dict of int to int
        How many draws chose a number, from the smallest number up.
    """

    n_components: np.ndarray
    counts: dict[int, int]


class Draw(NamedTuple):
    """One draw: the arrays of `CoupledBootstrap` without their first axis."""

    source_weights: np.ndarray
    target_weights: np.ndarray
    coupling: np.ndarray
    source_reweighting: np.ndarray
    target_reweighting: np.ndarray
    source_means: np.ndarray
    target_means: np.ndarray
    transport_cost: float
    mw2: float


def row_weights(X: Any, weights: Any, rng: np.random.RandomState) -> Any:
    """Weights of a Bayesian bootstrap, of the same sum as those that were given.

    A row of weight w counts as w rows: its draw is gamma distributed with shape w, as
    the sum of w exponential ones is (Rubin 1981, doi 10.1214/aos/1176345338). They are
    of the kind of the rows, and where these are.
    """
    n_rows = X.shape[0]
    if weights is None:
        drawn = rng.standard_exponential(n_rows)
        return like_rows_of(X, drawn * (n_rows / drawn.sum()))
    xp, drawn = array_namespace(weights), _gammas(weights, rng)
    if not has_any(drawn > 0.0):  # weights so small that all draws are 0
        drawn = weights
    return drawn * (xp.sum(weights) / xp.sum(drawn))


def _gammas(shapes: Any, rng: np.random.RandomState) -> Any:
    """Gamma draws of shapes ≥ 0, where these are.

    By rejection from a cubed normal draw (Marsaglia and Tsang 2000, doi
    10.1145/358407.358414), of shape + 1 and then scaled by a power of a uniform draw.
    """
    xp = array_namespace(shapes)
    drawn, missing = xp.zeros_like(shapes), shapes > 0.0
    while has_any(missing):
        part = shapes[missing]
        n_rows, d = part.shape[0], part + (1.0 - 1.0 / 3.0)
        normal = like_rows_of(shapes, rng.standard_normal(n_rows))
        logs = like_rows_of(shapes, np.log(1.0 - rng.uniform(size=(2, n_rows))))
        root = 1.0 + normal / xp.sqrt(9.0 * d)
        cube = xp.where(root > 0.0, root, 1.0) ** 3
        bound = 0.5 * normal**2 + d * (1.0 - cube + xp.log(cube))
        taken = (root > 0.0) & (logs[0, :] < bound)
        found = d * cube * xp.exp(logs[1, :] / part)
        drawn = replaced(drawn, missing, found)
        missing = replaced(missing, missing, ~taken)
    return drawn


def check_n_jobs(n_jobs: Any) -> int | None:
    """Threads in joblib's sense: None, or an integer other than 0."""
    if n_jobs is not None and (not is_integer(n_jobs, -(2**31)) or n_jobs == 0):
        raise ValueError(message("n_jobs", "None or an integer but 0", repr(n_jobs)))
    return n_jobs


def checked_draws(n_bootstraps: Any, confidence_level: Any) -> tuple[int, float]:
    """The number of draws and the level of the intervals."""
    number = check_integer(n_bootstraps, "n_bootstraps", 2)
    if not isinstance(confidence_level, int | float | np.floating) or not (
        0.0 < confidence_level < 1.0
    ):
        expected = "a number between 0 and 1, neither included"
        raise ValueError(message("confidence_level", expected, repr(confidence_level)))
    return number, float(confidence_level)


def interval(draws: np.ndarray, level: float) -> np.ndarray:
    """Quantiles of draws (B, ...) that hold the middle `level`, (2, ...)."""
    ends = 0.5 - 0.5 * level, 0.5 + 0.5 * level
    # (B + 1) p: what the ends leave out on average is right for few draws as well.
    return np.quantile(draws, ends, axis=0, method="weibull").astype(draws.dtype)


def mirrored_interval(
    draws: np.ndarray, centre: np.ndarray, level: float
) -> np.ndarray:
    """Ends for plans: what draws lie above the centre, the truth lies below.

    An exact plan moves one way from a truth with few entries: an entry that is 0 can
    only grow, at the cost of others, in the sample and once more in its draws. Their
    quantiles would tell the same error twice; mirrored they take it back.
    """
    low, high = 2.0 * centre - interval(draws, level)[::-1]
    return np.clip([low, high], 0.0, centre.sum()).astype(draws.dtype)


def gathered(
    draws: list[Draw],
    level: float,
    debiased: Any = None,
    exact: np.ndarray | None = None,
) -> CoupledBootstrap:
    """Draws one above the other, with their intervals.

    `exact` is the plan about which intervals of the coupling are mirrored.
    """
    stacked = {
        name: np.stack([np.asarray(getattr(draw, name)) for draw in draws])
        for name in Draw._fields
    }
    intervals = {name: interval(values, level) for name, values in stacked.items()}
    if exact is not None:
        mirrored = mirrored_interval(stacked["coupling"], exact, level)
        intervals["coupling"] = mirrored
    return CoupledBootstrap(**stacked, intervals=intervals, debiased=debiased)
