"""Gaussian mixtures and the optimal transport between them."""

from skgmmot.display import (
    CouplingDisplay,
    LinksDisplay,
    MixtureDisplay,
    ObjectiveDisplay,
    PathDisplay,
)
from skgmmot.estimators._batch_report import batch_report
from skgmmot.estimators._classifier import GMMOTClassifier
from skgmmot.estimators._coupled import CoupledGaussianMixture
from skgmmot.estimators._link_selection import cross_validate_links
from skgmmot.estimators._linked import LinkedGaussianMixture
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.estimators._transformer import GMMOTTransformer

__version__ = "0.1.0.dev0"

__all__ = [
    "CoupledGaussianMixture",
    "CouplingDisplay",
    "GMMOTClassifier",
    "GMMOTTransformer",
    "LinkedGaussianMixture",
    "LinksDisplay",
    "MixtureDisplay",
    "ObjectiveDisplay",
    "PathDisplay",
    "SparseGaussianMixture",
    "batch_report",
    "cross_validate_links",
]
