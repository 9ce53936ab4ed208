"""Checks of what a coupled fit is given: penalties, and mixtures to start from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from skgmmot._checks import is_real, message
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._mixture import as_mixture
from skgmmot.linalg._spd import is_diagonal
from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._starts import given_parameters


def checked_penalties(reg_m: Any) -> tuple[float, ...]:
    """`reg_m` of both sides."""
    pair: Any = (reg_m, reg_m) if is_real(reg_m) else reg_m
    pair = tuple(pair) if np.iterable(pair) else ()
    if len(pair) != 2 or not all(is_real(rho) and rho > 0.0 for rho in pair):
        expected = "None, a positive number or a pair (source, target) of them"
        raise ValueError(message("reg_m", expected, repr(reg_m)))
    return tuple(float(rho) for rho in pair)


def warm_sizes(
    sizes: tuple[int, ...] | None, former: tuple[int, ...], names: Sequence[str]
) -> tuple[int, ...]:
    """Numbers of components of a warm start: it goes on with those of the last fit."""
    if sizes is not None and sizes != former:
        kept = ", ".join(f"{k} ({name})" for k, name in zip(former, names, strict=True))
        expected = f"the components of the last fit, {kept}, to start from"
        got = ", ".join(map(str, sizes))
        mend = "set warm_start=False"
        raise ValueError(message("n_components", expected, got, mend))
    return former


def checked_start(start: Any, name: str, covariance_type: str) -> Parameters:
    """A mixture that the user gave, as Parameters of the covariance type."""
    kind = TYPES[covariance_type]
    try:
        mixture = as_mixture(start, name)
    except NotFittedError:
        expected = "a fitted mixture, which clone() leaves unfitted"
        mend = (
            "pass its parameters, Mixture(weights, means, covariances), or "
            "FrozenEstimator(mixture)"
        )
        raise NotFittedError(message(name, expected, repr(start), mend)) from None
    covariances = mixture.covariances
    if not kind.full_form and not is_diagonal(covariances):
        expected = "diagonal covariances, since covariance_type is 'diag'"
        mend = "give such, or set covariance_type='full'"
        raise ValueError(message(name, expected, "others", mend))
    if kind is TYPES["tied"] and not np.allclose(covariances, covariances[:1]):
        expected = "one covariance for all, since covariance_type is 'tied'"
        mend = "give such, or set covariance_type='full'"
        raise ValueError(message(name, expected, "several", mend))
    return given_parameters(kind, mixture)


def check_linear_form(align: str | None, covariance_type: str) -> None:
    """Refuse a linear alignment of diagonal covariances."""
    if align == "linear" and not TYPES[covariance_type].full_form:
        expected = "None, 'shift' or 'scale', since covariance_type is 'diag'"
        mend = "set covariance_type='full' or 'tied'"
        raise ValueError(message("align", expected, "'linear'", mend))
