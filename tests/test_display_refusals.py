"""What every display refuses, in words and before it draws; rows it can draw."""

import array_api_strict as strict
import numpy as np
import pytest

from skgmmot import (
    CoupledGaussianMixture,
    LinkedGaussianMixture,
    SparseGaussianMixture,
)
from skgmmot.datasets import make_shifted_mixtures, stack_domains
from skgmmot.display import (
    CouplingDisplay,
    LinksDisplay,
    MixtureDisplay,
    ObjectiveDisplay,
    PathDisplay,
)

DATA = make_shifted_mixtures(200, n_components=2, random_state=0)
X, DOMAIN = stack_domains(DATA.X_source, DATA.X_target)
THREE = SparseGaussianMixture.from_parameters(
    [0.5, 0.5], [[0.0, 0.0, 0.0], [3.0, 1.0, 2.0]], np.stack([np.eye(3)] * 2)
)


@pytest.fixture(name="fits", scope="module")
def fixture_fits():
    return (
        SparseGaussianMixture(3, random_state=0).fit(X),
        CoupledGaussianMixture(2, random_state=0).fit(X, sample_domain=DOMAIN),
        LinkedGaussianMixture(2, random_state=0).fit(X, sample_domain=DOMAIN),
    )


DRAWN = {
    "mixture": lambda fits, ax: MixtureDisplay.from_estimator(fits[0], ax=ax),
    "line": lambda fits, ax: MixtureDisplay.from_estimator(
        fits[0], features=[0], ax=ax
    ),
    "sides": lambda fits, ax: MixtureDisplay.from_estimator(fits[1], ax=ax),
    "pairs": lambda fits, ax: MixtureDisplay.from_estimator(
        THREE, features=[0, 1, 2], ax=ax
    ),
    "coupling": lambda fits, ax: CouplingDisplay.from_estimator(fits[1], ax=ax),
    "arcs": lambda fits, ax: CouplingDisplay.from_estimator(
        fits[1], ax=ax, kind="arcs"
    ),
    "path": lambda fits, ax: PathDisplay.from_estimator(fits[0], ax=ax),
    "objective": lambda fits, ax: ObjectiveDisplay.from_estimator(fits[0], ax=ax),
    "links": lambda fits, ax: LinksDisplay.from_estimator(fits[2], ax=ax),
    "components": lambda fits, ax: LinksDisplay(
        fits[2].domains_, fits[2].mixtures_, [(0, 1)], fits[2].couplings_
    ).plot_components(ax=ax),
}


@pytest.mark.parametrize("draw", DRAWN)
def test_every_display_refuses_what_is_no_axes(pyplot, fits, draw):
    figure, axes = pyplot.subplots(2, 4)
    for ax in (3, "ax", [], [None], [3, 4], np.full((3, 3), 3), figure, axes):
        with pytest.raises((TypeError, ValueError), match=r"^ax: expected .*, got "):
            DRAWN[draw](fits, ax)
    assert pyplot.get_fignums() == [figure.number]  # none was begun
    assert not any(ax.has_data() for ax in axes.ravel())


@pytest.mark.parametrize("features", [3, (0, 7), (0,), "height"])
def test_links_display_refuses_unknown_features(pyplot, fits, features):
    display = LinksDisplay.from_estimator(fits[2])
    with pytest.raises(ValueError, match="features: expected"):
        display.plot_components(features)


def test_points_of_another_library_are_drawn(pyplot, fits):
    there = strict.asarray(X, device=strict.Device("device1"))
    display = MixtureDisplay.from_estimator(fits[0], X=there)
    np.testing.assert_array_equal(display.scatter_.get_offsets(), X)
