"""Optimal transport between Gaussian mixtures: MW2."""

from skgmmot.linalg._mixture import Mixture
from skgmmot.transport._map import mw2_map
from skgmmot.transport._mw2 import (
    component_costs,
    mw2_distance,
    mw2_gradient,
    mw2_plan,
)
from skgmmot.transport._plan import TransportPlan

__all__ = [
    "Mixture",
    "TransportPlan",
    "component_costs",
    "mw2_distance",
    "mw2_gradient",
    "mw2_map",
    "mw2_plan",
]
