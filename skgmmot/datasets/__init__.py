"""Made-up samples whose truth is known, and the stacking of domains."""

from skgmmot.datasets._course import make_time_course
from skgmmot.datasets._domains import stack_domains
from skgmmot.datasets._mixtures import make_mixture, make_shifted_mixtures
from skgmmot.datasets._spiral import make_spiral

__all__ = [
    "make_mixture",
    "make_shifted_mixtures",
    "make_spiral",
    "make_time_course",
    "stack_domains",
]
