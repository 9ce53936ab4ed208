"""The coupled fit against restarts of a slow optimiser, on problems of all kinds.

What the restarts found is kept in data/coupled_restarts.json, since ten of them take
minutes a problem; `pytest --run-slow` finds it again.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import reference_coupled

from skgmmot import CoupledGaussianMixture
from skgmmot.datasets import stack_domains

PROGRAMMES = list(itertools.product((0.0, 1e-3, 1e-1), (None, 0.1, 10.0)))
FOUND = json.loads(
    (Path(__file__).parent / "data" / "coupled_restarts.json").read_text()
)
pytestmark = [
    pytest.mark.filterwarnings("ignore:Only .* of the mass is moved:UserWarning"),
    pytest.mark.filterwarnings("ignore:reg=.* is below 1e-6:UserWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def _lattice_points(rng, size, d):
    """Distinct points of {-2, ..., 2}^d: clusters that no spike can beat."""
    points = np.zeros((0, d))
    while len(points) < size:
        points = np.unique(rng.integers(-2, 3, (4 * size, d)), axis=0)
    return rng.permutation(points)[:size]


def random_problem(seed):
    """Samples of two mixtures (K 1 to 5, d 1 to 6, costs 1e-3 to 1e3), a programme."""
    rng = np.random.default_rng(seed)
    sizes, d = rng.integers(1, 6, 2), int(rng.integers(1, 7))
    scale = 10.0 ** rng.uniform(-2.5, 0.5)
    samples = []
    for size in sizes:
        means = 5.0 * _lattice_points(rng, size, d)
        labels = rng.permutation(np.arange(60 * size) % size)
        noise = rng.standard_normal((60 * size, d)) * rng.uniform(0.5, 1.0, d)
        samples.append(scale * (means[labels] + noise))
    reg, reg_m = PROGRAMMES[seed % len(PROGRAMMES)]
    weight = 10.0 ** rng.uniform(-3.0, -1.0)
    return samples, tuple(int(size) for size in sizes), weight, reg, reg_m


@pytest.mark.filterwarnings("ignore:The transport term costs:UserWarning")
@pytest.mark.parametrize("seed", range(20))
def test_within_1e_5_of_the_best_of_ten_restarts(seed):
    samples, sizes, weight, reg, reg_m = random_problem(seed)
    X, sample_domain = stack_domains(*samples)
    model = CoupledGaussianMixture(
        sizes, transport_weight=weight, reg=reg, reg_m=reg_m, align=None,
        cost_scale=1.0, n_init=5, tol=1e-8, reg_covar=0.0, max_iter=2000,
        random_state=0,
    ).fit(X, sample_domain=sample_domain)  # fmt: skip
    assert model.lower_bound_ > FOUND[str(seed)] - 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_what_ten_restarts_find(seed):
    samples, sizes, weight, reg, reg_m = random_problem(seed)
    pair = None if reg_m is None else (reg_m, reg_m)
    slow = reference_coupled.Coupled(*samples, sizes, weight, reg, pair)
    found = slow.fit(10, seed=seed, max_iter=1000)[0]
    np.testing.assert_allclose(found, FOUND[str(seed)], atol=1e-5)
