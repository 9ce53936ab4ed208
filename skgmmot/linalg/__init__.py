"""What a mixture is, and the algebra of its covariances."""

from skgmmot.linalg._mixture import Mixture, as_mixture

__all__ = ["Mixture", "as_mixture"]
