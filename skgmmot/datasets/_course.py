"""A time course of populations that move, branch, grow, die and appear."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skgmmot._checks import check_choice, check_integer
from skgmmot.datasets._mixtures import (
    _draw,
    _random_covariances,
    _random_directions,
    _separated_points,
)

_TIMES = np.arange(5.0)
_LINEAGES = 5
# Lineages that are one population until a time, and the last of each set after it.
_BRANCHES = ((0.25, (0, 1), (2,)), (2.25, (0,), (1,)))
_SPEED = 1.2  # deviations that a population moves in a unit of time
_APART = 7.0  # deviations between populations
_START = {
    "stable": np.array([0.3, 0.3, 0.2, 0.2, 0.0]),
    "growing": np.array([0.2, 0.2, 0.1, 0.5, 0.0]),
    "replaced": np.array([0.3, 0.3, 0.2, 0.2, 0.0]),
}
_GROWTH = {  # factors in a unit of time
    "stable": np.ones(_LINEAGES),
    "growing": np.array([1.0, 1.4, 2.0, 0.8, 1.0]),
    "replaced": np.ones(_LINEAGES),
}
# What is left of lineage 3 and what there is of lineage 4, one dying, one appearing.
_LEFT = np.array([1.0, 1.0, 0.5, 0.0, 0.0])
_SHARE_OF_NEW = 0.2


def make_time_course(
    n_samples: int = 1000,
    *,
    n_features: int = 2,
    kind: str = "stable",
    random_state: Any = None,
) -> Bunch:
    """Generate samples of five times from populations whose lineages are known.

    Five lineages move along curves. Lineages 0, 1 and 2 are one population until time
    0.25, when 2 leaves; 0 and 1 part at time 2.25. Lineage 3 is a population of its
    own, and so is 4 where there is one.

    Parameters
    ----------
    n_samples : int, default=1000
        Rows at each time.
    n_features : int, default=2
        Features.
    kind : {'stable', 'growing', 'replaced'}, default='stable'
        What becomes of shares. 'stable': they stay; 'growing': in a unit of time
        lineage 1 grows by a factor of 1.4, 2 by 2 and 3 by 0.8, before all are divided
        by their sum; 'replaced': lineage 3 dies out between times 1 and 3, and
        lineage 4 appears.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    course : Bunch
        - X : ndarray of shape (5 * n_samples, n_features), rows in order of time;
        - sample_domain : ndarray of shape (5 * n_samples,), the time of each row;
        - lineage : ndarray of shape (5 * n_samples,), the lineage of each row;
        - times : ndarray of shape (5,);
        - shares : ndarray of shape (5, 5), of times and lineages;
        - means : ndarray of shape (5, 5, n_features), of times and lineages;
        - covariances : ndarray of shape (5, n_features, n_features), of the lineages;
        - populations : list of list of tuple, the lineages in each population, for each
          time.

    Raises
    ------
    ValueError
        If a count is below 1 or there is no such kind.

    See Also
    --------
    make_shifted_mixtures : Two samples.

    Examples
    --------
    >>> from skgmmot.datasets import make_time_course
    >>> course = make_time_course(100, kind="replaced", random_state=0)
    >>> course.X.shape
    (500, 2)
    >>> course.populations[0], course.populations[4]
    ([(0, 1, 2), (3,)], [(0,), (1,), (2,), (4,)])
    >>> course.shares[2].round(2)
    array([0.3, 0.3, 0.2, 0.1, 0.1])
    """
    check_integer(n_samples, "n_samples", 1)
    check_integer(n_features, "n_features", 1)
    check_choice(kind, "kind", _GROWTH)
    rng = check_random_state(random_state)
    shares = _shares(kind)
    means = _paths(n_features, rng)
    covariances = _random_covariances(_LINEAGES, n_features, rng)
    covariances[[1, 2]] = covariances[0]  # they are one population at first
    rows, lineages = zip(
        *(
            _draw(n_samples, (s, m, covariances), rng)
            for s, m in zip(shares, means, strict=True)
        ),
        strict=True,
    )
    return Bunch(
        X=np.concatenate(rows),
        sample_domain=np.repeat(_TIMES, n_samples),
        lineage=np.concatenate(lineages),
        times=_TIMES.copy(),
        shares=shares,
        means=means,
        covariances=covariances,
        populations=[_populations(t, s) for t, s in zip(_TIMES, shares, strict=True)],
    )


def _shares(kind: str) -> np.ndarray:
    """Shares (times, lineages)."""
    grown = _START[kind] * _GROWTH[kind] ** _TIMES[:, None]
    if kind == "replaced":
        grown[:, 3] *= _LEFT
        grown[:, 4] = _SHARE_OF_NEW * (1.0 - _LEFT)
    return grown / grown.sum(axis=1, keepdims=True)


def _paths(n_features: int, rng: Any) -> np.ndarray:
    """Means (times, lineages, features): curves that agree until they part."""
    homes = _separated_points(3, n_features, _APART, rng)
    start = homes[[0, 0, 0, 1, 2]]
    drift, turn = _SPEED * _random_directions(2, n_features, rng)
    times = _TIMES[:, None, None]
    means = start + drift * times + 0.1 * turn * times**2
    for begin, stay, leave in _BRANCHES:
        away = _random_directions(1, n_features, rng)[0]
        after = np.maximum(_TIMES - begin, 0.0)[:, None, None]
        step = 0.5 * _APART * after / (1.0 + 0.1 * after) * away
        means[:, list(stay)] += 0.5 * step
        means[:, list(leave)] -= 0.5 * step
    return means


def _populations(time: float, shares: np.ndarray) -> list[tuple[int, ...]]:
    """Lineages that are one population at a time, those that there are."""
    groups = [(0, 1, 2), (3,), (4,)]
    if time > _BRANCHES[0][0]:
        groups = [(0, 1), (2,), (3,), (4,)]
    if time > _BRANCHES[1][0]:
        groups = [(0,), (1,), (2,), (3,), (4,)]
    return [group for group in groups if shares[list(group)].sum() > 0.0]
