"""What scikit-learn's estimators use and its public interface does not offer.

Everything private of scikit-learn is imported here and nowhere else. It was tried with
scikit-learn 1.6 to 1.9; tests/test_private.py says what a version has changed.
"""

from typing import Any, ClassVar, NamedTuple

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


class _Known(NamedTuple):
    """What is known of the parameters of a class."""

    names: list[str]
    accepted: set[tuple]  # names, types and values that were found valid


_KNOWN: dict[type, _Known] = {}


class Estimator(BaseEstimator):
    """scikit-learn's, whose parameters are looked at in a fraction of the time.

    To read the signature and to look at every constraint takes as long as ten
    iterations of EM on a small table.
    """

    _parameter_constraints: ClassVar[Any]

    @classmethod
    def _known(cls) -> _Known:
        if cls not in _KNOWN:
            _KNOWN[cls] = _Known(super()._get_param_names(), set())
        return _KNOWN[cls]

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return list(cls._known().names)

    def _validate_params(self) -> None:
        (names, accepted), asked = self._known(), {}
        for name in names:
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
