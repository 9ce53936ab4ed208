"""The one record of a Gaussian mixture, and how to make it of what users have."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skgmmot._checks import check_integer, message
from skgmmot.linalg._covariances import covariance_type_of
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


def narrowed(array: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """An array in a floating type, cut at the type's range rather than infinite."""
    if array.dtype == dtype:
        return array
    largest = np.finfo(dtype).max
    return np.clip(array, -largest, largest).astype(dtype)


def as_mixture(obj: Any, name: str = "source") -> Mixture:
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
            raise ValueError(message(name, f"finite {field}", "NaN or infinity"))
    tolerance = _TOLERANCES[mixture.weights.dtype]
    _check_weights(mixture.weights, tolerance, name)
    _check_covariances(mixture.covariances, tolerance, name)
    return mixture._replace(covariances=symmetrise(mixture.covariances))


def _read(obj: Any, name: str) -> Mixture:
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
        kind = getattr(obj, "covariance_type_", kind)
        covariances = covariance_type_of(kind).dense(
            np.asarray(obj.covariances_), *np.shape(obj.means_)
        )
        return Mixture(obj.weights_, obj.means_, covariances)
    expected = (
        "a Mixture, a tuple (weights, means, covariances) or a fitted estimator with "
        "weights_, means_ and covariances_"
    )
    raise TypeError(message(name, expected, type(obj).__name__))


def _common_dtype(mixture: Mixture, name: str) -> Mixture:
    """Bring the arrays to float32 if all are, to float64 otherwise."""
    try:
        arrays = [np.asarray(array) for array in mixture]
    except ValueError as error:
        expected = "weights, means and covariances that are arrays"
        raise ValueError(message(name, expected, "ragged lists")) from error
    for field, array in zip(Mixture._fields, arrays, strict=True):
        if array.dtype.kind not in "fiub":
            expected = f"{field} that are real numbers"
            raise TypeError(message(name, expected, f"type {array.dtype}"))
    single = all(array.dtype == np.float32 for array in arrays)
    dtype = np.float32 if single else np.float64
    return Mixture(*(np.ascontiguousarray(a, dtype=dtype) for a in arrays))


def _check_shapes(mixture: Mixture, name: str) -> None:
    """Raise unless the shapes are (K,), (K, d), (K, d, d) with K, d >= 1."""
    weights, means, covariances = mixture
    k, d = means.shape if means.ndim == 2 else (0, 0)
    if k and d and weights.shape == (k,) and covariances.shape == (k, d, d):
        return
    expected = (
        "weights, means and covariances of shapes (K,), (K, d) and (K, d, d) with at "
        "least one component and one feature"
    )
    got = f"{weights.shape}, {means.shape} and {covariances.shape}"
    raise ValueError(message(name, expected, got))


def _check_weights(weights: np.ndarray, tolerance: float, name: str) -> None:
    """Raise unless the weights are non-negative and sum to 1."""
    if (weights < 0.0).any():
        k = int(np.argmin(weights))
        got = f"{weights[k]:.6g} as weight {k}"
        raise ValueError(message(name, "weights that are not negative", got))
    total = weights.sum(dtype=np.float64)
    if abs(total - 1.0) > max(tolerance, _PRINTED * len(weights)):
        got, mend = f"a sum of {total:.9g}", "divide them by their sum"
        raise ValueError(message(name, "weights that sum to 1", got, mend))


def _check_covariances(covariances: np.ndarray, tolerance: float, name: str) -> None:
    """Raise unless each covariance is symmetric and positive semi-definite."""
    covariances = covariances.astype(np.float64, copy=False)
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    if (variances < 0.0).any():
        k = int(np.argmin(variances.min(axis=1)))
        got = f"{variances[k].min():.6g} in covariance {k}"
        raise ValueError(message(name, "variances that are not negative", got))
    # Relative to the standard deviations, so that no unit of a feature matters.
    roots = np.sqrt(variances)
    largest = roots[:, :, None] * roots[:, None, :]
    largest += np.finfo(np.float64).eps * largest.max(axis=(1, 2), keepdims=True)
    slack = tolerance * largest
    skew = np.abs(covariances - covariances.swapaxes(1, 2))
    wrong = (skew > slack).any(axis=(1, 2))
    if wrong.any():
        k = int(np.argmax(wrong))
        got = f"covariance {k} with differences of {skew[k].max():.6g}"
        mend = "take (C + C.T) / 2"
        raise ValueError(message(name, "symmetric covariances", got, mend))
    _check_definite(symmetrise(covariances), largest + slack, tolerance, name)


def _check_definite(
    covariances: np.ndarray, largest: np.ndarray, tolerance: float, name: str
) -> None:
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
            expected = "positive semi-definite covariances"
            got = (
                f"covariance {k}, whose correlations have eigenvalue {smallest[k]:.3g}"
            )
            raise ValueError(message(name, expected, got)) from None
