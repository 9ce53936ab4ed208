"""Promises of the transformer that once could break without a test noticing."""

import numpy as np
import pytest
from refusals import assert_refused
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.preprocessing import StandardScaler

from skgmmot import GMMOTTransformer, LinkedGaussianMixture
from skgmmot.datasets import stack_domains


class Given(DensityMixin, BaseEstimator):
    """A mixture that is known: of two components, or three with an empty one."""

    covariance_type = "spherical"

    def __init__(self, empty=False):
        self.empty = empty

    def fit(self, X, y=None):
        """Fit the mixture of the source where X is centred, else of the target."""
        target = X.mean() > 1.0
        weights, means = ([0.7, 0.3], [1.5, 7.5]) if target else ([0.4, 0.6], [0, 6])
        if target and self.empty:
            weights, means = [*weights, 0.0], [*means, 3.0]
        self.weights_, self.means_ = np.array(weights), np.array(means, float)[:, None]
        self.covariances_ = np.ones(len(weights))
        self.n_features_in_ = 1
        return self


@pytest.mark.parametrize("reg_m", [None, 1.0])
@pytest.mark.parametrize("map_to", ["target", "source"])
def test_a_component_without_mass_changes_no_weights(reg_m, map_to):
    X, sample_domain = stack_domains(
        np.array([[-1.0], [1.0]]), np.array([[1.0], [3.0]])
    )
    rows = np.linspace(-2.0, 9.0, 23)[:, None]
    expected, found = (
        GMMOTTransformer(Given(empty), reg=0.1, reg_m=reg_m, map_to=map_to)
        .fit(X, sample_domain=sample_domain)
        .transport_weights(rows)
        for empty in (False, True)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (np.ptp(expected) > 0.1) == (reg_m is not None)


def test_estimators_that_are_no_mixture_of_a_domain():
    X, sample_domain = stack_domains(np.zeros((5, 1)), np.ones((5, 1)))
    X += np.arange(10.0)[:, None]
    for estimator in (LinkedGaussianMixture(1), StandardScaler()):
        moves = GMMOTTransformer(estimator)
        text = assert_refused(
            lambda: moves.fit(X, sample_domain=sample_domain),  # noqa: B023
            "estimator",
        )
        assert type(estimator).__name__ in text
