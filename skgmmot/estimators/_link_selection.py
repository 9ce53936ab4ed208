"""Settings of linked fits, chosen by samples that were left out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid
from sklearn.utils.validation import check_array

from skgmmot._blocks._device_checks import checked_device_rows, is_foreign
from skgmmot._blocks._row_arrays import like_rows_of
from skgmmot._checks import check_choice, message, warn_caller
from skgmmot.estimators._holdout import METRICS
from skgmmot.estimators._linked import LinkedGaussianMixture
from skgmmot.estimators._linked_graph import Labelled, labelled_rows
from skgmmot.estimators._linked_paths import is_time
from skgmmot.estimators._validation import check_at_hand

# What is tried where the user says nothing.
_GRID = {"transport_weight": [0.03, 0.1, 0.3], "reg_m": [None, 0.3, 1.0, 3.0]}


class LinkSelection(NamedTuple):
    """Scores of settings on samples that were left out.

    Parameters
    ----------
    settings : list of dict
        What was tried.
    left_out : list
        Labels of the samples that were left out, one after the other.
    scores : ndarray of shape (n_settings, n_left_out)
        The larger the better; nan where a fit failed.
    best : dict
        The setting with the best mean score.
    """

    settings: list[dict[str, Any]]
    left_out: list[Any]
    scores: np.ndarray
    best: dict[str, Any]


def cross_validate_links(
    estimator: LinkedGaussianMixture,
    X: Any,
    sample_domain: Any,
    *,
    param_grid: Any = None,
    metric: str = "sliced",
    left_out: Sequence[Any] | None = None,
) -> LinkSelection:
    """Leave out one time after the other and score what is interpolated there.

    Parameters
    ----------
    estimator : LinkedGaussianMixture
        With links='chain'; cloned for each fit. Dicts by label, and `frozen`, may name
        the samples that are left out.
    X : array-like of shape (n_samples, n_features)
        Rows of all samples.
    sample_domain : array-like of shape (n_samples,)
        Their times.
    param_grid : dict of str to list or list of such dicts, default=None
        As for `ParameterGrid` of scikit-learn: values of parameters of the estimator,
        and of `max_growth` of `interpolate`.
        None: transport_weight .03, .1, .3 with reg_m None, .3, 1, 3.
    metric : {'sliced', 'likelihood'}, default='sliced'
        As in `LinkedGaussianMixture.score_holdout`. 'likelihood' also weighs how well
        the neighbours' own mixtures fit, 'sliced' where the mass is.
    left_out : list of labels, default=None
        Times between the first and the last; None: all of them.

    Returns
    -------
    selection : LinkSelection
        Settings, scores and the best setting.

    Raises
    ------
    ValueError
        Where labels are no numbers, there are fewer than three, links are no chain, or
        with every setting a fit failed.

    Warns
    -----
    FitFailedWarning
        Where fits with some of the settings failed.

    Examples
    --------
    >>> from skgmmot import LinkedGaussianMixture, cross_validate_links
    >>> from skgmmot.datasets import make_time_course
    >>> course = make_time_course(100, kind="growing", random_state=0)
    >>> selection = cross_validate_links(
    ...     LinkedGaussianMixture(3, random_state=0), course.X, course.sample_domain,
    ...     param_grid={"reg_m": [None, 1.0]}, left_out=[2])
    >>> selection.scores.shape
    (2, 1)
    """
    check_choice(metric, "metric", METRICS)
    if not isinstance(estimator, LinkedGaussianMixture) or estimator.links != "chain":
        expected = "a LinkedGaussianMixture with links='chain'"
        raise ValueError(message("estimator", expected, repr(estimator)))
    check_at_hand(X)
    if is_foreign(X):
        X = checked_device_rows(X, fitting=True, least_rows=2)
    else:
        X = check_array(X, dtype=(np.float64, np.float32), input_name="X")
    found = labelled_rows(sample_domain, X)
    times = found.labels
    if len(times) < 3 or not all(map(is_time, times)):
        expected = "at least three labels, all numbers"
        raise ValueError(message("sample_domain", expected, times))
    omitted = _omitted(left_out, times[1:-1])
    settings = list(ParameterGrid(_GRID if param_grid is None else param_grid))
    failures: list[ValueError] = []
    scores = np.array(
        [
            [
                _score(estimator, X, found, (time, metric), setting, failures)
                for time in omitted
            ]
            for setting in settings
        ]
    )
    failed = np.isnan(scores).any(axis=1)
    if failed.all():
        expected, got = "a setting with which all fits succeed", "none"
        mend = f"the first failure: {failures[0]}"
        raise ValueError(message("param_grid", expected, got, mend)) from failures[0]
    if failures:
        warn_caller(
            f"{len(failures)} of {scores.size} fits failed; their scores are nan. The "
            f"first failure: {failures[0]}",
            FitFailedWarning,
        )
    means = np.where(failed, -np.inf, scores.mean(axis=1))
    return LinkSelection(settings, omitted, scores, settings[int(means.argmax())])


def _omitted(left_out: Any, inner: list[Any]) -> list[Any]:
    """The times to leave out, one after the other."""
    if left_out is None:
        return inner
    omitted = list(left_out) if np.iterable(left_out) else []
    if not omitted or not all(time in inner for time in omitted):
        expected = f"a list of some of {inner}"
        raise ValueError(message("left_out", expected, repr(left_out)))
    return omitted


def _score(
    estimator: LinkedGaussianMixture,
    X: Any,
    found: Labelled,
    left_out: tuple[float, str],
    setting: Mapping[str, Any],
    failures: list[ValueError],
) -> float:
    """The score of one setting where one time is left out; nan where the fit failed."""
    time, metric = left_out
    parameters = dict(setting)
    how = (
        {"max_growth": parameters.pop("max_growth")}
        if "max_growth" in parameters
        else {}
    )
    kept = found.codes != found.labels.index(time)
    xp, times = array_namespace(X), like_rows_of(X, np.asarray(found.labels))
    fit = clone(estimator).set_params(**parameters)
    for name in ("n_components", "reg_m", "inits"):
        value = getattr(fit, name)
        if isinstance(value, Mapping):
            fit.set_params(**{name: {k: v for k, v in value.items() if k != time}})
    if isinstance(fit.frozen, list | tuple):
        fit.set_params(frozen=[label for label in fit.frozen if label != time])
    try:
        fit.fit(X[kept], sample_domain=xp.take(times, found.codes[kept]))
    except ValueError as error:  # a component collapsed, or a setting is not allowed
        failures.append(error)
        return float("nan")
    return fit.score_holdout(X[~kept], time, metric=metric, **how)
