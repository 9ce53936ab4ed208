"""Units from 1e-150 to 1e150, and singular covariances, in all functions of MW2.

Squares of such units are still numbers, their fourth powers are not.
"""

import numpy as np
import pytest
import strategies

from skgmmot.transport import (
    Mixture,
    component_costs,
    mw2_barycenter,
    mw2_distance,
    mw2_flow,
    mw2_gradient,
    mw2_interpolation,
    mw2_map,
    mw2_plan,
    pairwise_mw2,
)

UNITS = [1e-150, 1e-100, 1e-75, 1e75, 1e100, 1e150]


# Each with the power of the unit that its results have.
FUNCTIONS = {
    "costs": (component_costs, 2),
    "coupling": (lambda *pair: mw2_plan(*pair).coupling, 0),
    "potentials": (lambda *pair: np.concatenate(mw2_plan(*pair).potentials), 2),
    "distance": (mw2_distance, 1),
    "mean gradient": (lambda *pair: mw2_gradient(*pair)[1].means, 1),
    "weight gradient": (lambda *pair: mw2_gradient(*pair)[1].weights, 2),
    "covariance gradient": (lambda *pair: mw2_gradient(*pair)[1].covariances, 0),
    "map": (lambda *pair: mw2_map(pair[0][1], *pair), 1),
    "interpolation": (lambda *pair: mw2_interpolation(*pair, 0.3).covariances, 2),
    "flow": (lambda *pair: mw2_flow(*pair, n_steps=20).losses, 2),
    "flow weights": (lambda *pair: mw2_flow(*pair).mixtures[-1].weights, 0),
    "pairwise": (lambda *pair: pairwise_mw2(pair), 1),
    "barycentre": (lambda *pair: mw2_barycenter(pair).means, 1),
    "descent": (
        lambda *pair: mw2_barycenter(pair, method="fixed_point", random_state=0)[2],
        2,
    ),
}


def power(values, unit, exponent):
    """values times a power of a unit, the square of which may be all that fits."""
    for _ in range(exponent):
        values = np.asarray(values) * unit
    return values


def in_unit(mixture, unit):
    weights, means, covariances = mixture
    return weights, power(means, unit, 1), power(covariances, unit, 2)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_units_do_not_matter(name, d, unit):
    rng = np.random.default_rng(d)
    pair = [strategies.random_mixture(rng, k, d) for k in (3, 4)]
    function, exponent = FUNCTIONS[name]
    wanted = function(*pair)
    found = function(*(in_unit(mixture, unit) for mixture in pair))
    found = power(found, 1.0 / unit, exponent)
    atol = 1e-12 * np.max(np.abs(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=atol)


@pytest.mark.parametrize("unit", UNITS)
def test_regularised_plans_in_any_unit(unit):
    rng = np.random.default_rng(0)
    pair = [strategies.random_mixture(rng, k, 2) for k in (3, 4)]
    moved = [in_unit(mixture, unit) for mixture in pair]
    for reg, reg_m in ((1.0, None), (1.0, 2.0), (0.0, 2.0)):
        wanted = mw2_plan(*pair, reg=reg, reg_m=reg_m)
        scale = None if reg_m is None else unit * unit * reg_m
        found = mw2_plan(*moved, reg=unit * unit * reg, reg_m=scale)
        np.testing.assert_allclose(found.coupling, wanted.coupling, atol=1e-9)


def singular(d):
    """Points, a stack of fewer samples than dimensions, a segment; one regular."""
    rng = np.random.default_rng(d)
    rows = rng.standard_normal((3, max(1, d // 2), d))
    return [
        Mixture(np.full(2, 0.5), rng.standard_normal((2, d)), np.zeros((2, d, d))),
        Mixture(
            np.array([0.2, 0.3, 0.5]),
            rng.standard_normal((3, d)),
            rows.swapaxes(1, 2) @ rows,
        ),
        Mixture(np.ones(1), np.zeros((1, d)), np.ones((1, d, d))),
        Mixture(*strategies.random_mixture(rng, 2, d)),
    ]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 2, 4, 6])
def test_singular_covariances_in_all_functions(d, dtype):
    mixtures = [Mixture(*(x.astype(dtype) for x in m)) for m in singular(d)]
    for source in mixtures:
        for target in mixtures:
            results = [
                component_costs(source, target),
                mw2_plan(source, target).coupling,
                *mw2_interpolation(source, target, 0.4),
                *mw2_flow(source, target, n_steps=3).mixtures[-1],
                *mw2_barycenter([source, target]),
                mw2_map(source.means, source, target),
                pairwise_mw2([source, target]),
            ]
            assert all(x.dtype == dtype for x in results)
            assert all(np.isfinite(x).all() for x in results)
    assert (np.diag(pairwise_mw2(mixtures, mixtures)) == 0.0).all()
