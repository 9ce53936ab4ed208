"""Made-up samples whose truth is known, and the stacking of two domains."""

from skgmmot.datasets._domains import stack_domains
from skgmmot.datasets._mixtures import make_mixture, make_shifted_mixtures
from skgmmot.datasets._spiral import make_spiral

__all__ = ["make_mixture", "make_shifted_mixtures", "make_spiral", "stack_domains"]
