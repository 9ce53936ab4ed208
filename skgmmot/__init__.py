"""Gaussian mixtures and the optimal transport between them."""

from skgmmot.display import (
    CouplingDisplay,
    MixtureDisplay,
    ObjectiveDisplay,
    PathDisplay,
)
from skgmmot.estimators._classifier import GMMOTClassifier
from skgmmot.estimators._coupled import CoupledGaussianMixture
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._transformer import GMMOTTransformer

__version__ = "0.1.0.dev0"

__all__ = [
    "CoupledGaussianMixture",
    "CouplingDisplay",
    "GMMOTClassifier",
    "GMMOTTransformer",
    "MixtureDisplay",
    "ObjectiveDisplay",
    "PathDisplay",
    "SparseGaussianMixture",
]
