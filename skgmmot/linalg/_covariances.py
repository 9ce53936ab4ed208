"""Covariance types: one class each, which finishes moments, factors and counts.

Kernels know two forms, full and diagonal. Tied and spherical covariances are finishing
rules on top of them: compiled algebra sees them all as a `stack` of one of the two
forms, in which what is shared stands once. `TYPES` is the one registry of names: fits,
estimators, and the mixtures of others that are read as dense matrices all look there.
Factors have scikit-learn's shapes: precisions_cholesky U with precision = U Uᵀ.
"""

import numpy as np

from skgmmot._checks import check_choice
from skgmmot.kernels import Gaussians, Moments, plain
from skgmmot.linalg._forms import covariances_of, densities_of, factorise, roots_of
from skgmmot.linalg._scatters import ILL_DEFINED, safe_counts
from skgmmot.linalg._spd import transpose


def _are_close(a: np.ndarray, b: np.ndarray) -> bool:
    """numpy.allclose, at once where they are equal."""
    return bool((a == b).all()) or np.allclose(a, b)


class _Form:
    """What all types have in common: their stacks go through the same algebra."""

    full_form: bool

    @staticmethod
    def shape(n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances_ and precisions_."""
        raise NotImplementedError

    @staticmethod
    def stack(values: np.ndarray) -> np.ndarray:
        """Covariances, factors or roots as compiled functions read them: a view."""
        return values

    @classmethod
    def estimate(cls, moments: Moments, reg_covar: float | np.ndarray) -> np.ndarray:
        """Maximum-likelihood covariances plus reg_covar on the diagonal."""
        d = moments.sums.shape[1]
        covariances = np.empty(cls.shape(*moments.sums.shape))
        sums = (safe_counts(moments.counts), moments.sums, moments.seconds)
        covariances_of(
            *(plain(part) for part in sums),
            np.full(d, reg_covar, dtype=np.float64),
            cls.stack(covariances),
        )
        return covariances

    @classmethod
    def precisions_cholesky(cls, covariances: np.ndarray) -> np.ndarray:
        """Upper triangular U with Σ⁻¹ = U Uᵀ, or 1 / standard deviation.

        Raises
        ------
        ValueError
            In scikit-learn's words, where a covariance has no inverse.
        """
        factors = np.empty(covariances.shape)
        stacked = cls.stack(plain(covariances))
        d = stacked.shape[-1]
        if not factorise(stacked, cls.stack(factors), np.empty((d + 1, d))):
            raise ValueError(ILL_DEFINED)
        return factors

    @classmethod
    def gaussians(
        cls, weights: np.ndarray, means: np.ndarray, factors: np.ndarray
    ) -> Gaussians:
        """A mixture as kernels read it."""
        n_components, d = means.shape
        offsets = np.empty(n_components)
        shape = (n_components, d, d) if cls.full_form else (n_components, d)
        whiteners = np.empty(shape)
        weights, factors = (plain(v) for v in (weights, factors))
        densities_of(weights, cls.stack(factors), offsets, whiteners)
        return Gaussians(offsets, means, whiteners)

    @classmethod
    def roots(cls, covariances: np.ndarray) -> np.ndarray:
        """Cholesky factors, or deviations: steps are extrapolated in them."""
        roots = np.empty(covariances.shape)
        stacked = cls.stack(plain(covariances))
        if not roots_of(stacked, cls.stack(roots)):
            raise ValueError(ILL_DEFINED)
        return roots


class Full(_Form):
    """One matrix per component, (K, d, d)."""

    name = "full"
    full_form = True

    @staticmethod
    def shape(n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances_ and precisions_."""
        return (n_components, n_features, n_features)

    @staticmethod
    def n_parameters(n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""
        return n_components * n_features * (n_features + 1) // 2

    @staticmethod
    def least_rows(n_features: int, factor: int) -> int:
        """Effective rows that a component needs; here in proportion to its shape."""
        return factor * (n_features + 1)

    @staticmethod
    def factor_precisions(precisions: np.ndarray) -> np.ndarray:
        """U from precisions: the reversed Cholesky factor is upper triangular."""
        flipped = np.linalg.cholesky(precisions[..., ::-1, ::-1])
        return np.ascontiguousarray(flipped[..., ::-1, ::-1])

    @staticmethod
    def precisions(factors: np.ndarray) -> np.ndarray:
        """U Uᵀ."""
        return factors @ transpose(factors)

    @staticmethod
    def covariances(factors: np.ndarray) -> np.ndarray:
        """(U Uᵀ)⁻¹ from the factor."""
        inverse = np.linalg.inv(factors)
        return transpose(inverse) @ inverse

    @staticmethod
    def root_gradient(roots: np.ndarray, moments: Moments) -> np.ndarray:
        """Derivative of the summed log-likelihood in A, precision = A Aᵀ."""
        inverse = np.linalg.inv(roots)
        expected = moments.counts[:, None, None] * (transpose(inverse) @ inverse)
        return (expected - moments.seconds) @ roots

    @staticmethod
    def root_scales(scales: np.ndarray) -> np.ndarray:
        """Units of a root from the units of the features."""
        return scales[:, None]

    @staticmethod
    def from_roots(roots: np.ndarray) -> np.ndarray:
        """The covariances of `roots`."""
        return roots @ transpose(roots)

    @staticmethod
    def take(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Values of the components that are kept."""
        return values[keep]

    @staticmethod
    def spread(shift: np.ndarray) -> np.ndarray:
        """Covariance of two points at ± shift."""
        return np.outer(shift, shift)

    @staticmethod
    def dense(
        covariances: np.ndarray, n_components: int, n_features: int
    ) -> np.ndarray:
        """Covariance matrices of shape (K, d, d)."""
        return covariances

    @staticmethod
    def check_precisions(precisions: np.ndarray) -> None:
        """Raise ValueError, in scikit-learn's words, for what is no precision."""
        close = _are_close(precisions, transpose(precisions))
        if not (close and np.all(np.linalg.eigvalsh(precisions) > 0.0)):
            raise ValueError("'full precision' should be symmetric, positive-definite")


class Tied(Full):
    """One matrix for all components, (d, d)."""

    name = "tied"

    @staticmethod
    def shape(n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances_ and precisions_."""
        return (n_features, n_features)

    @staticmethod
    def n_parameters(n_components: int, n_features: int) -> int:
        """Free parameters of the covariance."""
        return n_features * (n_features + 1) // 2

    @staticmethod
    def least_rows(n_features: int, factor: int) -> int:
        """Few: a covariance that all share cannot collapse onto them."""
        return 10

    @staticmethod
    def stack(values: np.ndarray) -> np.ndarray:
        """The shared matrix as a stack of one."""
        return values[None]

    @staticmethod
    def root_gradient(roots: np.ndarray, moments: Moments) -> np.ndarray:
        """Derivative of the summed log-likelihood in A, precision = A Aᵀ."""
        inverse = np.linalg.inv(roots)
        expected = moments.counts.sum() * (inverse.T @ inverse)
        return (expected - moments.seconds.sum(axis=0)) @ roots

    @staticmethod
    def take(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Values of the components that are kept: the shared ones."""
        return values

    @staticmethod
    def dense(
        covariances: np.ndarray, n_components: int, n_features: int
    ) -> np.ndarray:
        """Covariance matrices of shape (K, d, d)."""
        return np.repeat(covariances[None], n_components, axis=0)

    @staticmethod
    def check_precisions(precisions: np.ndarray) -> None:
        """Raise ValueError, in scikit-learn's words, for what is no precision."""
        close = _are_close(precisions, precisions.T)
        if not (close and np.all(np.linalg.eigvalsh(precisions) > 0.0)):
            raise ValueError("'tied precision' should be symmetric, positive-definite")


class Diag(_Form):
    """Variances per component and feature, (K, d)."""

    name = "diag"
    full_form = False

    @staticmethod
    def shape(n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances_ and precisions_."""
        return (n_components, n_features)

    @staticmethod
    def n_parameters(n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""
        return n_components * n_features

    @staticmethod
    def least_rows(n_features: int, factor: int) -> int:
        """Effective rows that a component needs: few hold a variance."""
        return 10

    @staticmethod
    def factor_precisions(precisions: np.ndarray) -> np.ndarray:
        """Roots of the precisions."""
        return np.sqrt(precisions)

    @staticmethod
    def precisions(factors: np.ndarray) -> np.ndarray:
        """Squares of the factors."""
        return factors**2

    @staticmethod
    def covariances(factors: np.ndarray) -> np.ndarray:
        """Variances from the factor."""
        return 1.0 / factors**2

    @staticmethod
    def root_gradient(roots: np.ndarray, moments: Moments) -> np.ndarray:
        """Derivative of the summed log-likelihood in a, precision = a²."""
        return moments.counts[:, None] / roots - roots * moments.seconds

    @staticmethod
    def root_scales(scales: np.ndarray) -> np.ndarray:
        """Units of a root from the units of the features."""
        return scales

    @staticmethod
    def from_roots(roots: np.ndarray) -> np.ndarray:
        """The covariances of `roots`."""
        return roots**2

    @staticmethod
    def take(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Values of the components that are kept."""
        return values[keep]

    @staticmethod
    def spread(shift: np.ndarray) -> np.ndarray:
        """Variances of two points at ± shift."""
        return shift**2

    @staticmethod
    def dense(
        covariances: np.ndarray, n_components: int, n_features: int
    ) -> np.ndarray:
        """Covariance matrices of shape (K, d, d)."""
        return covariances[:, :, None] * np.eye(n_features, dtype=covariances.dtype)

    @classmethod
    def check_precisions(cls, precisions: np.ndarray) -> None:
        """Raise ValueError, in scikit-learn's words, for what is no precision."""
        if not np.all(precisions > 0.0):
            raise ValueError(f"'{cls.name} precision' should be positive")


class Spherical(Diag):
    """One variance per component, (K,)."""

    name = "spherical"

    @staticmethod
    def shape(n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances_ and precisions_."""
        return (n_components,)

    @staticmethod
    def n_parameters(n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""
        return n_components

    @staticmethod
    def stack(values: np.ndarray) -> np.ndarray:
        """The variance that all features share as a column of one."""
        return values[:, None]

    @staticmethod
    def root_gradient(roots: np.ndarray, moments: Moments) -> np.ndarray:
        """Derivative of the summed log-likelihood in a, precision = a²."""
        d = moments.seconds.shape[1]
        return d * moments.counts / roots - roots * moments.seconds.sum(axis=1)

    @staticmethod
    def root_scales(scales: np.ndarray) -> np.ndarray:
        """Unit of a root from the units of the features: their root mean square."""
        return np.sqrt(np.mean(scales**2))

    @staticmethod
    def spread(shift: np.ndarray) -> np.ndarray:
        """Mean variance of two points at ± shift."""
        return np.mean(shift**2)

    @staticmethod
    def dense(
        covariances: np.ndarray, n_components: int, n_features: int
    ) -> np.ndarray:
        """Covariance matrices of shape (K, d, d)."""
        return covariances[:, None, None] * np.eye(n_features, dtype=covariances.dtype)


CovarianceType = type[Full] | type[Diag]

TYPES: dict[str, CovarianceType] = {
    cls.name: cls for cls in (Full, Tied, Diag, Spherical)
}


def covariance_type_of(name: object) -> CovarianceType:
    """The class of a name that a user gave.

    Raises
    ------
    ValueError
        If there is no covariance type of that name.
    """
    return TYPES[check_choice(name, "covariance_type", TYPES)]
