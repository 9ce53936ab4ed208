"""Pictures of fitted mixtures: one class for each kind, in scikit-learn's manner."""

from skgmmot.display._coupling import CouplingDisplay
from skgmmot.display._links import LinksDisplay
from skgmmot.display._mixture import MixtureDisplay
from skgmmot.display._objective import ObjectiveDisplay
from skgmmot.display._path import PathDisplay

__all__ = [
    "CouplingDisplay",
    "LinksDisplay",
    "MixtureDisplay",
    "ObjectiveDisplay",
    "PathDisplay",
]
