"""What scikit-learn's estimators use and its public interface does not offer.

Everything private of scikit-learn is imported here and nowhere else. It was tried with
scikit-learn 1.6 to 1.9; tests/test_private.py says what a version has changed.
"""

from functools import cache
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: this scikit-learn has no callbacks."""

    def with_callbacks(method: Any) -> Any:
        """The method as it is."""
        return method


# Values of which one that was accepted once is accepted always.
_PLAIN = frozenset({bool, int, float, str, type(None)})
_MOST_KEPT = 1000  # accepted values of a class


@cache
def _names_of(estimator: type) -> list[str]:
    return list(BaseEstimator._get_param_names.__func__(estimator))  # type: ignore[attr-defined]


@cache
def _accepted_by(estimator: type) -> set[tuple]:
    """Names, types and values of parameters that were found valid."""
    return set()


class Estimator(BaseEstimator):
    """scikit-learn's, whose parameters are looked at in a fraction of the time.

    To read the signature and to look at every constraint takes as long as ten
    iterations of EM on a small table.
    """

    _parameter_constraints: Any

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return list(_names_of(cls))

    def _validate_params(self) -> None:
        accepted, asked = _accepted_by(type(self)), {}
        for name in _names_of(type(self)):
            value = getattr(self, name)
            if type(value) not in _PLAIN or (name, type(value), value) not in accepted:
                asked[name] = value
        if not asked:
            return
        validate_parameter_constraints(
            self._parameter_constraints, asked, caller_name=type(self).__name__
        )
        if len(accepted) > _MOST_KEPT:
            accepted.clear()
        accepted.update(
            (name, type(value), value)
            for name, value in asked.items()
            if type(value) in _PLAIN
        )


__all__ = [
    "CallbackSupportMixin",
    "Estimator",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "with_callbacks",
]
