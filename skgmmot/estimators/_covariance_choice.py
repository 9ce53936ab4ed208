"""Covariance types compared by the criterion that compares numbers of components."""

from typing import Any

from skgmmot._checks import message
from skgmmot.linalg._covariances import TYPES

AUTO = "auto"


def chooses_type(estimator: Any) -> bool:
    """Whether a fit has to choose its covariance type.

    Where it goes on from a mixture, the type of that stays.
    """
    return estimator.covariance_type == AUTO and not (
        estimator.warm_start and hasattr(estimator, "converged_")
    )


def adopt_best_type(estimator: Any, method: str, X: Any, sample_weight: Any) -> None:
    """Fit a mixture of every type; the estimator becomes the one of lowest criterion.

    Parameters
    ----------
    estimator : SparseGaussianMixture
    method : str
        The one that fits, `_fit` or `_partial_fit`.
    X, sample_weight
        As it takes them.

    Raises
    ------
    ValueError
        Where no criterion compares types, or precisions to start from have one.
    """
    if not isinstance(estimator.sparsity, str):
        mend = "give a criterion, such as 'bic', or a type, such as 'full'"
        expected = "a type where sparsity is a number"
        raise ValueError(message("covariance_type", expected, AUTO, mend))
    if estimator.precisions_init is not None:
        mend = "give the type that precisions_init has"
        expected = "a type where precisions are given"
        raise ValueError(message("covariance_type", expected, AUTO, mend))
    settings = estimator.get_params(deep=False)
    # Each type is a fit of its own to those who watch. A meta-estimator's callbacks
    # know of one fit only.
    watching: Any = ()
    if not hasattr(estimator, "_parent_callback_ctx"):
        watching = getattr(estimator, "_skl_callbacks", ())
    fits = []
    for name in TYPES:
        candidate = type(estimator)(**{**settings, "covariance_type": name})
        if watching:
            candidate.set_callbacks(*watching)
        getattr(candidate, method)(X, sample_weight)
        fits.append(candidate)
    best = min(fits, key=lambda fit: (fit.path_.criterion.min(), fit._n_parameters()))
    for name, value in vars(best).items():
        if name not in settings:
            setattr(estimator, name, value)
