"""The one record of a Gaussian mixture, and how to make it of what users have."""

from typing import NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._checks import check_integer
from skgmmot.linalg._spd import factor, scaled_eigh, symmetrise

# Weights that were rounded to single precision, or printed, still pass as float64.
_TOLERANCES = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3}
# What a weight loses where it is printed with six digits, and a hair more.
_PRINTED = 0.500001e-6


class Mixture(NamedTuple):
    """Parameters of a Gaussian mixture.

    Parameters
    ----------
    weights : ndarray of shape (n_components,)
        Non-negative, of sum 1.
    means : ndarray of shape (n_components, n_features)
        Mean of each component.
    covariances : ndarray of shape (n_components, n_features, n_features)
        Covariance of each component; singular ones are allowed.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot.transport import Mixture
    >>> mixture = Mixture(np.array([1.0]), np.zeros((1, 2)), np.eye(2)[None])
    >>> mixture.means.shape
    (1, 2)
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows.

        Parameters
        ----------
        n_samples : int, default=1
            At least 1.
        random_state : int, RandomState instance or None, default=None
            Where the draws come from.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows ordered by component, of the type of the means.
        y : ndarray of shape (n_samples,)
            The component of each row.

        Raises
        ------
        ValueError
            If n_samples is not an integer from 1 on, or the parameters are no mixture.

        Examples
        --------
        >>> from skgmmot.linalg import as_mixture
        >>> mixture = as_mixture(([0.5, 0.5], [[0.0], [9.0]], [[[1.0]], [[0.0]]]))
        >>> X, y = mixture.sample(4, random_state=0)
        >>> X.shape, y
        ((4, 1), array([0, 0, 1, 1]))
        """
        check_integer(n_samples, "n_samples", 1)
        weights, means, covariances = as_mixture(self, "mixture")
        rng = check_random_state(random_state)
        shares = weights.astype(np.float64)
        counts = rng.multinomial(n_samples, shares / shares.sum())
        y = np.repeat(np.arange(len(weights)), counts)
        noise = rng.standard_normal((n_samples, means.shape[1]))
        # Roots, not Cholesky factors: singular covariances have them too.
        factors = factor(covariances)
        parts = np.split(noise, np.cumsum(counts)[:-1])
        steps = [part @ root.T for part, root in zip(parts, factors, strict=True)]
        return narrowed(means[y] + np.concatenate(steps), means.dtype), y


def narrowed(array, dtype):
    """An array in a floating type, cut at the type's range rather than infinite."""
    if array.dtype == dtype:
        return array
    largest = np.finfo(dtype).max
    return np.clip(array, -largest, largest).astype(dtype)


def as_mixture(obj, name="source"):
    """Make a checked Mixture of dense covariances of any mixture-like object.

    Parameters
    ----------
    obj : Mixture, tuple of three arrays, or fitted estimator
        An estimator needs `weights_`, `means_`, `covariances_` and, unless its
        covariances are full, `covariance_type`.
    name : str, default="source"
        What error messages call the object.

    Returns
    -------
    mixture : Mixture
        In float32 if all arrays are float32, in float64 otherwise.

    Raises
    ------
    TypeError
        If the object is not mixture-like.
    ValueError
        If shapes do not agree, a value is NaN or infinite, the weights are negative
        or do not sum to 1, or a covariance is not symmetric positive semi-definite.
    sklearn.exceptions.NotFittedError
        If the object is an estimator that is not fitted.

    Examples
    --------
    >>> from skgmmot.linalg import as_mixture
    >>> as_mixture(([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[2.0]]])).weights
    array([0.5, 0.5])
    """
    mixture = _common_dtype(_read(obj, name), name)
    _check_shapes(mixture, name)
    for field, array in zip(Mixture._fields, mixture, strict=True):
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: {field} contain NaN or infinity.")
    tolerance = _TOLERANCES[mixture.weights.dtype]
    _check_weights(mixture.weights, tolerance, name)
    _check_covariances(mixture.covariances, tolerance, name)
    return mixture._replace(covariances=symmetrise(mixture.covariances))


def _read(obj, name):
    """Return the three parameters as they come, covariances made dense."""
    if isinstance(obj, tuple | list) and len(obj) == 3:
        return Mixture(*obj)
    if hasattr(obj, "fit") and hasattr(obj, "get_params"):
        try:
            check_is_fitted(obj)
        except NotFittedError as error:
            raise NotFittedError(f"{name}: {error}") from None
    if all(hasattr(obj, a) for a in ("weights_", "means_", "covariances_")):
        # Estimators of this package remember the type that they were fitted with.
        kind = getattr(obj, "covariance_type", "full")
        kind = getattr(obj, "_fitted_type", kind)
        covariances = dense_covariances(obj.covariances_, kind, np.shape(obj.means_))
        return Mixture(obj.weights_, obj.means_, covariances)
    raise TypeError(
        f"{name} must be a Mixture, a tuple (weights, means, covariances) or a fitted "
        f"estimator with weights_, means_ and covariances_; got {type(obj).__name__}."
    )


def dense_covariances(covariances, covariance_type, shape):
    """Expand covariances as estimators store them to (n_components, d, d).

    Parameters
    ----------
    covariances : ndarray
        In scikit-learn's shape for its `covariance_type`.
    covariance_type : {"full", "tied", "diag", "spherical"}
        How to read them.
    shape : tuple of int
        (n_components, n_features), the shape of the means.

    Returns
    -------
    covariances : ndarray of shape (n_components, n_features, n_features)
    """
    n_components, d = shape
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return np.tile(covariances, (n_components, 1, 1))
    if covariance_type == "diag":
        variances = np.asarray(covariances)
    elif covariance_type == "spherical":
        variances = np.repeat(np.asarray(covariances)[:, None], d, axis=1)
    else:
        raise ValueError(
            "covariance_type must be 'full', 'tied', 'diag' or 'spherical'; got "
            f"{covariance_type!r}."
        )
    return variances[:, :, None] * np.eye(d, dtype=variances.dtype)


def _common_dtype(mixture, name):
    """Bring the arrays to float32 if all are, to float64 otherwise."""
    try:
        arrays = [np.asarray(array) for array in mixture]
    except ValueError as error:
        raise ValueError(f"{name}: the parameters are ragged lists.") from error
    for field, array in zip(Mixture._fields, arrays, strict=True):
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name}: {field} must be real numbers; got {array.dtype}.")
    single = all(array.dtype == np.float32 for array in arrays)
    dtype = np.float32 if single else np.float64
    return Mixture(*(np.ascontiguousarray(a, dtype=dtype) for a in arrays))


def _check_shapes(mixture, name):
    """Raise unless the shapes are (K,), (K, d), (K, d, d) with K, d >= 1."""
    weights, means, covariances = mixture
    k, d = means.shape if means.ndim == 2 else (0, 0)
    if k and d and weights.shape == (k,) and covariances.shape == (k, d, d):
        return
    raise ValueError(
        f"{name}: weights, means and covariances must have shapes (K,), (K, d) and "
        "(K, d, d) with at least one component and one feature; got "
        f"{weights.shape}, {means.shape} and {covariances.shape}."
    )


def _check_weights(weights, tolerance, name):
    """Raise unless the weights are non-negative and sum to 1."""
    if (weights < 0.0).any():
        k = int(np.argmin(weights))
        raise ValueError(
            f"{name}: weights must not be negative; weight {k} is {weights[k]:.6g}."
        )
    total = weights.sum(dtype=np.float64)
    if abs(total - 1.0) > max(tolerance, _PRINTED * len(weights)):
        raise ValueError(
            f"{name}: weights must sum to 1; they sum to {total:.9g}. Divide them by "
            "their sum."
        )


def _check_covariances(covariances, tolerance, name):
    """Raise unless each covariance is symmetric and positive semi-definite."""
    covariances = covariances.astype(np.float64, copy=False)
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    if (variances < 0.0).any():
        k = int(np.argmin(variances.min(axis=1)))
        raise ValueError(
            f"{name}: covariance {k} has a negative variance, {variances[k].min():.6g}."
        )
    # Relative to the standard deviations, so that no unit of a feature matters.
    roots = np.sqrt(variances)
    largest = roots[:, :, None] * roots[:, None, :]
    largest += np.finfo(np.float64).eps * largest.max(axis=(1, 2), keepdims=True)
    slack = tolerance * largest
    skew = np.abs(covariances - covariances.swapaxes(1, 2))
    wrong = (skew > slack).any(axis=(1, 2))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ValueError(
            f"{name}: covariance {k} is not symmetric; the largest difference is "
            f"{skew[k].max():.6g}. Use (C + C.T) / 2."
        )
    _check_definite(symmetrise(covariances), largest + slack, tolerance, name)


def _check_definite(covariances, largest, tolerance, name):
    """Raise if a covariance has a negative eigenvalue beyond rounding."""
    try:
        # Three times faster than eigenvalues, and the answer for nearly all users.
        np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        smallest = scaled_eigh(covariances)[1][:, 0]
        # A feature without variance has no correlations that could tell.
        wrong = (np.abs(covariances) > largest).any(axis=(1, 2))
        smallest = np.where(wrong, np.minimum(smallest, -1.0), smallest)
        k = int(np.argmin(smallest))
        if smallest[k] < -tolerance:
            raise ValueError(
                f"{name}: covariance {k} is not positive semi-definite; the smallest "
                "eigenvalue of its correlations is about "
                f"{smallest[k]:.3g}."
            ) from None
