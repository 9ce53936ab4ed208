"""Numbers that may not change unseen.

``python tests/test_golden.py`` writes tests/data/golden.json anew. Whoever does says so
in the changelog, under "Numbers changed". Versions of BLAS differ in the last digits.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.datasets import make_mixture, make_shifted_mixtures, stack_domains
from skgmmot.transport import (
    mw2_barycenter,
    mw2_distance,
    mw2_flow,
    mw2_gradient,
    mw2_interpolation,
    mw2_map,
    mw2_plan,
)

FILE = Path(__file__).parent / "data" / "golden.json"


def pair():
    """A problem of two domains that correspond."""
    return make_shifted_mixtures(
        (600, 500), n_components=3, growth=[1.0, 0.5, 2.0], random_state=1
    )


def sparse(**parameters):
    """Numbers of a fit to three clusters in two features."""
    X = make_mixture(900, n_components=3, random_state=0).X
    mixture = SparseGaussianMixture(6, max_iter=40, random_state=0, **parameters)
    mixture.fit(X)
    order = np.argsort(mixture.means_[:, 0])
    return {
        "lower_bound": mixture.lower_bound_,
        "weights": mixture.weights_[order],
        "means": mixture.means_[order],
        "precisions": np.sort(mixture.precisions_.ravel()),
        "score": mixture.score(X[::7]),
        "bic": mixture.bic(X),
    }


def aligned(**parameters):
    """Numbers of a coupled fit with its own units."""
    data = pair()
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    fitted = CoupledGaussianMixture(random_state=0, **parameters)
    fitted.fit(X, sample_domain=sample_domain)
    mover = GMMOTTransformer(FrozenEstimator(fitted))
    mover.fit(X, sample_domain=sample_domain)
    return {
        "lower_bound": fitted.lower_bound_,
        "transport_cost": fitted.transport_cost_,
        "coupling": np.sort(fitted.coupling_.ravel()),
        "shift": fitted.alignment_.shift,
        "moved": mover.transform(data.X_source[:4]),
        "bic": fitted.bic(X, sample_domain=sample_domain),
    }


def coupled(**parameters):
    """Numbers of a coupled fit of absolute costs, and of rows moved along it."""
    data = pair()
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    scale = np.mean([rows.var(axis=0) for rows in (data.X_source, data.X_target)])
    estimator = CoupledGaussianMixture(
        3, random_state=0, align=None, cost_scale=scale, **parameters
    )
    mover = GMMOTTransformer(estimator).fit(X, sample_domain=sample_domain)
    fitted = estimator.fit(X, sample_domain=sample_domain)
    return {
        "lower_bound": fitted.lower_bound_,
        "transport_cost": scale * fitted.transport_cost_,
        "coupling": np.sort(fitted.coupling_.ravel()),
        "moved": mw2_map(
            data.X_source[:4], fitted.source_, fitted.target_, plan=fitted.coupling_
        ),
        "weights": mover.transport_weights(data.X_source[:4]),
    }


def toolbox():
    """Numbers of the functions on two known mixtures."""
    data = pair()
    source, target = data.source, data.target
    value, slopes = mw2_gradient(source, target, reg=0.3)
    flow = mw2_flow(source, target, n_steps=5)
    between = mw2_interpolation(source, target, 0.3)
    three = [source, target, between]
    center = mw2_barycenter(three, method="fixed_point", random_state=0)
    return {
        "distance": mw2_distance(source, target),
        "entropic": mw2_plan(source, target, reg=0.3).coupling,
        "unbalanced": mw2_plan(source, target, reg_m=2.0).coupling,
        "value": value,
        "slopes": slopes.covariances,
        "moved": mw2_map(data.X_source[:3], source, target),
        "flow": flow.losses,
        "between": between.covariances,
        "center": np.sort(center.means.ravel()),
    }


CASES = {
    "sparse": lambda: sparse(sparsity=1.0),
    "bic": lambda: sparse(sparsity="bic"),
    "plain": lambda: sparse(sparsity=0.0),
    "diag": lambda: sparse(
        sparsity=1.0, covariance_type="diag", init_params="k-means++"
    ),
    "tied": lambda: sparse(sparsity=1.0, covariance_type="tied", init_params="random"),
    "spherical": lambda: sparse(sparsity=1.0, covariance_type="spherical", refit=True),
    "adam": lambda: sparse(sparsity=1.0, solver="adam"),
    "coupled": lambda: coupled(),
    "unbalanced": lambda: coupled(reg_m=1.0),
    "coupled diag": lambda: coupled(covariance_type="diag", reg=0.0),
    "aligned": lambda: aligned(),
    "aligned unbalanced": lambda: aligned(reg_m=1.0),
    "aligned tied": lambda: aligned(covariance_type="tied", align="linear"),
    "toolbox": toolbox,
}


def numbers_of(name):
    """The case's numbers as lists."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = CASES[name]()
    return {key: np.asarray(value).tolist() for key, value in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_what_they_were(name):
    expected = json.loads(FILE.read_text(encoding="utf-8"))[name]
    found = numbers_of(name)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(
            found[key], values, rtol=1e-6, atol=1e-9, err_msg=f"{name}: {key}"
        )


if __name__ == "__main__":
    golden = {name: numbers_of(name) for name in CASES}
    FILE.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
