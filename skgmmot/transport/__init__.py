"""Optimal transport between Gaussian mixtures: MW2."""

from skgmmot.linalg._mixture import Mixture
from skgmmot.transport._barycenter import mw2_barycenter
from skgmmot.transport._flow import FlowPath, mw2_flow
from skgmmot.transport._interpolation import mw2_interpolation
from skgmmot.transport._map import mw2_map
from skgmmot.transport._mw2 import (
    component_costs,
    mw2_distance,
    mw2_gradient,
    mw2_plan,
)
from skgmmot.transport._pairwise import pairwise_mw2
from skgmmot.transport._plan import TransportPlan

__all__ = [
    "FlowPath",
    "Mixture",
    "TransportPlan",
    "component_costs",
    "mw2_barycenter",
    "mw2_distance",
    "mw2_flow",
    "mw2_gradient",
    "mw2_interpolation",
    "mw2_map",
    "mw2_plan",
    "pairwise_mw2",
]
