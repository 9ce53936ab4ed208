"""Bootstraps: draws are fits under other weights, intervals are their quantiles."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from refusals import assert_refused, assert_unchanged, state_of

from skgmmot import CoupledGaussianMixture, SparseGaussianMixture
from skgmmot.datasets import make_mixture, stack_domains
from skgmmot.estimators._bootstrap import (
    CoupledBootstrap,
    interval,
    mirrored_interval,
    row_weights,
)
from skgmmot.transport import mw2_distance
from skgmmot.transport._plan import solve_plan

MEANS = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 9.0]])
NAMES = [
    name for name in CoupledBootstrap._fields if name not in ("intervals", "debiased")
]
UNBALANCED = {"reg_m": 1.0, "transport_weight": 0.3}


def two_samples(n=600, source=(0.5, 0.3, 0.2), target=(0.5, 0.3, 0.2), seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        means[rng.choice(3, n, p=shares)] + rng.standard_normal((n, 2))
        for shares, means in ((source, MEANS), (target, MEANS + [3.0, 1.0]))
    ]
    return stack_domains(*rows)


@pytest.fixture(name="data", scope="module")
def fixture_data():
    return two_samples()


@pytest.fixture(name="fit", scope="module")
def fixture_fit(data):
    X, sample_domain = data
    fit = CoupledGaussianMixture(3, random_state=0)
    return fit.fit(X, sample_domain=sample_domain)


@pytest.fixture(name="record", scope="module")
def fixture_record(fit, data):
    X, sample_domain = data
    return fit.bootstrap(X, sample_domain=sample_domain, random_state=0)


def test_shapes_and_intervals(record):
    shapes = {"coupling": (3, 3), "source_means": (3, 2), "target_means": (3, 2),
              "transport_cost": (), "mw2": ()}  # fmt: skip
    for part in (record, record.debiased):
        assert set(part.intervals) == set(NAMES)
        for name in NAMES:
            draws = getattr(part, name)
            assert draws.shape == (200, *shapes.get(name, (3,)))
            if part is record.debiased and name == "coupling":
                continue  # mirrored
            ends = np.quantile(draws, [0.025, 0.975], axis=0, method="weibull")
            assert_allclose(part.intervals[name], ends)
    assert record.debiased.debiased is None


def test_a_draw_is_the_fit_under_its_weights(fit, data, record):
    X, sample_domain = data
    rng = np.random.RandomState(0)
    weights = np.empty(len(X))
    weights[sample_domain > 0] = row_weights(np.ones((600, 1)), None, rng)
    weights[sample_domain < 0] = row_weights(np.ones((600, 1)), None, rng)
    again = copy.deepcopy(fit).set_params(warm_start=True, tol=1e-10)
    again.fit(X, sample_domain=sample_domain, sample_weight=weights)
    assert_allclose(record.source_weights[0], again.source_.weights_, atol=1e-5)
    assert_allclose(record.target_means[0], again.target_.means_, atol=1e-4)
    assert_allclose(record.coupling[0], again.coupling_, atol=1e-5)
    assert_allclose(record.target_reweighting[0], again.target_reweighting_, atol=1e-4)
    assert_allclose(record.transport_cost[0], again.transport_cost_, atol=1e-5)
    distance = mw2_distance(again.source_, again.target_)
    assert_allclose(record.mw2[0], distance, atol=1e-4)


def test_weights_are_those_of_a_bayesian_bootstrap():
    drawn = np.array(
        [
            row_weights(np.ones((50, 1)), None, np.random.RandomState(i))
            for i in range(999)
        ]
    )
    assert_allclose(drawn.sum(axis=1), 50.0)
    # Dirichlet(1, ..., 1) times n: variance (n - 1) / (n + 1).
    assert_allclose(drawn.mean(), 1.0)
    assert_allclose(drawn.var(), 49 / 51, rtol=0.02)


def test_a_row_of_weight_two_varies_as_two_rows():
    rng = np.random.RandomState(0)
    twice = np.array(
        [row_weights(np.ones((20, 1)), np.full(20, 2.0), rng) for _ in range(3000)]
    )
    pairs = np.array([row_weights(np.ones((40, 1)), None, rng) for _ in range(3000)])
    pairs = pairs.reshape(-1, 20, 2).sum(axis=2)
    assert_allclose(twice.var(), pairs.var(), rtol=0.03)


def test_shares_vary_as_counts_do(data):
    X, sample_domain = data
    fit = CoupledGaussianMixture(3, transport_weight=0.0, random_state=0)
    fit.fit(X, sample_domain=sample_domain)
    record = fit.bootstrap(
        X, sample_domain=sample_domain, n_bootstraps=400, random_state=1
    )
    shares = fit.source_.weights_
    assert_allclose(
        record.source_weights.std(axis=0),
        np.sqrt(shares * (1 - shares) / 600),
        rtol=0.12,
    )
    expected = np.sqrt(1.0 / (600 * shares))  # variance 1 within
    assert_allclose(
        record.source_means.std(axis=0), expected[:, None] * [1, 1], rtol=0.2
    )
    assert_allclose(record.source_weights.mean(axis=0), shares, atol=0.003)


def test_balanced_draws_have_the_marginals(record):
    for part in (record, record.debiased):
        assert_allclose(part.coupling.sum(axis=2), part.source_weights, atol=1e-7)
        assert_allclose(part.coupling.sum(axis=1), part.target_weights, atol=1e-7)
        assert_allclose(part.source_reweighting, 1.0, atol=1e-6)


@pytest.mark.parametrize("parameters", [{}, UNBALANCED], ids=["balanced", "unbalanced"])
def test_names_of_labels_do_not_matter(data, parameters):
    X, sample_domain = data
    fit = CoupledGaussianMixture(3, random_state=0, **parameters)
    fit.fit(X, sample_domain=sample_domain)
    order = [2, 0, 1]
    renamed = copy.deepcopy(fit)
    for side in (renamed.source_, renamed.target_):
        for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
            setattr(side, name, getattr(side, name)[order])
    renamed.coupling_ = renamed.coupling_[np.ix_(order, order)]
    records = [
        one.bootstrap(X, sample_domain=sample_domain, n_bootstraps=3, random_state=4)
        for one in (fit, renamed)
    ]
    assert_allclose(
        records[1].source_means, records[0].source_means[:, order], atol=1e-6
    )
    expected = records[0].coupling[:, order][:, :, order]
    assert_allclose(records[1].coupling, expected, atol=1e-6)


def test_debiased_shares_are_those_of_the_rows():
    X, sample_domain = two_samples(2000, (0.5, 0.3, 0.2), (0.2, 0.3, 0.5))
    fit = CoupledGaussianMixture(3, random_state=0, **UNBALANCED)
    fit.fit(X, sample_domain=sample_domain)
    record = fit.bootstrap(
        X, sample_domain=sample_domain, n_bootstraps=100, random_state=0
    )
    mine = np.bincount(fit.source_.predict(X[sample_domain > 0]), minlength=3) / 2000
    pulled = np.abs(record.source_weights.mean(axis=0) - mine).max()
    free = np.abs(record.debiased.source_weights.mean(axis=0) - mine).max()
    assert free < 0.003
    assert pulled > 3 * free


def test_a_frozen_side_does_not_vary(fit, data):
    X, sample_domain = data
    frozen = CoupledGaussianMixture(
        3, frozen="source", source_init=(fit.source_.weights_, fit.source_.means_,
                                         fit.source_.covariances_), random_state=0
    )  # fmt: skip
    target = X[sample_domain < 0]
    record = frozen.fit(target).bootstrap(target, n_bootstraps=5, random_state=0)
    assert np.ptp(record.source_weights, axis=0).max() == 0.0
    assert np.ptp(record.source_means, axis=0).max() == 0.0
    assert np.ptp(record.target_means, axis=0).min() > 0.0


def test_bootstrap_changes_nothing_and_repeats(fit, data, record):
    X, sample_domain = data
    before = state_of(fit)
    again = fit.bootstrap(X, sample_domain=sample_domain, random_state=0, n_jobs=1)
    assert_unchanged(fit, before)
    assert_array_equal(again.coupling, record.coupling)


def test_float32_stays(data):
    X, sample_domain = data
    fit = CoupledGaussianMixture(3, random_state=0, covariance_type="tied")
    fit.fit(X.astype(np.float32), sample_domain=sample_domain)
    record = fit.bootstrap(
        X.astype(np.float32), sample_domain=sample_domain, n_bootstraps=2
    )
    assert record.source_means.dtype == np.float32
    assert record.intervals["coupling"].dtype == np.float32


def test_progress_is_told(fit, data, capsys):
    X, sample_domain = data
    fit.bootstrap(X, sample_domain=sample_domain, n_bootstraps=20, verbose=1)
    assert "Iteration 20" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        ("n_bootstraps", {"n_bootstraps": 1}),
        ("n_bootstraps", {"n_bootstraps": 2.5}),
        ("confidence_level", {"confidence_level": 1.0}),
        ("confidence_level", {"confidence_level": "high"}),
        ("sample_domain", {"sample_domain": None}),
        ("sample_domain", {"sample_domain": np.ones(3)}),
        ("sample_weight", {"sample_weight": np.zeros(1200)}),
        ("random_state", {"random_state": "seed"}),
    ],
)
def test_bad_input(fit, data, name, keywords):
    X, sample_domain = data
    keywords = {"sample_domain": sample_domain, **keywords}
    assert_refused(lambda: fit.bootstrap(X, **keywords), name)
    assert_refused(lambda: fit.bootstrap(X[:, :1], sample_domain=sample_domain), "X")


# The number of components


def test_number_of_components_is_counted():
    X = make_mixture(600, n_components=3, random_state=0).X
    fit = SparseGaussianMixture(5, random_state=0).fit(X)
    before = state_of(fit)
    record = fit.bootstrap(X, n_bootstraps=12, random_state=0)
    assert_unchanged(fit, before)
    assert record.n_components.shape == (12,)
    assert sum(record.counts.values()) == 12
    assert max(record.counts, key=record.counts.get) == fit.n_components_ == 3
    for number, count in record.counts.items():
        assert count == (record.n_components == number).sum()


def test_what_chooses_no_number_is_refused():
    X = make_mixture(100, n_components=2, random_state=0).X
    fit = SparseGaussianMixture(2, sparsity=0.0, random_state=0).fit(X)
    assert_refused(lambda: fit.bootstrap(X), "sparsity")
    chosen = SparseGaussianMixture(2, random_state=0).fit(X)
    assert_refused(lambda: chosen.bootstrap(X, n_bootstraps=0), "n_bootstraps")


# Intervals of exact plans


def exact_plan(costs, weights):
    return solve_plan(costs, *weights).coupling


def coverage(shares, costs, n_rows, mirrored):
    """How often 90 % intervals hold the entries of the exact plan, in parts."""
    truth = exact_plan(costs, shares)
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = [rng.multinomial(n_rows, w) / n_rows for w in shares]
        draws = np.array(
            [
                exact_plan(costs, [rng.dirichlet(n_rows * w) for w in found])
                for _ in range(60)
            ]
        )
        if mirrored:
            low, high = mirrored_interval(draws, exact_plan(costs, found), 0.9)
        else:
            low, high = interval(draws, 0.9)
        held.append((low - 1e-9 <= truth) & (truth <= high + 1e-9))
    return np.mean(held, axis=0)[truth > 1e-9].mean()


def test_mirrored_intervals_hold_plans_that_quantiles_miss():
    costs = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 1.5], [2.0, 1.5, 0.0]])
    equal = [np.array([0.45, 0.35, 0.2])] * 2
    assert coverage(equal, costs, 2000, mirrored=False) < 0.8
    assert 0.85 < coverage(equal, costs, 2000, mirrored=True) < 0.96
    other = [equal[0], np.array([0.3, 0.35, 0.35])]
    assert 0.85 < coverage(other, costs, 2000, mirrored=True) < 0.96


def test_mirrored_intervals_are_those_of_the_opposite_draws():
    rng = np.random.default_rng(0)
    draws, centre = rng.gamma(20.0, size=(99, 2, 3)), np.full((2, 3), 20.0)
    opposite = interval(2 * centre - draws, 0.8)
    assert_allclose(mirrored_interval(draws, centre, 0.8), opposite)
    # What is never below 0 has no interval below 0.
    low, high = mirrored_interval(draws, 0.0 * centre, 0.8)
    assert_array_equal([low, high], np.zeros((2, 2, 3)))
    # Nor has an entry of a plan more than all mass.
    plan = np.array([[0.9, 0.0], [0.0, 0.1]])
    draws = np.linspace(0.2, 1.0, 99)[:, None, None] * plan
    high = mirrored_interval(draws, plan, 0.8)[1]
    assert_allclose(high, [[1.0, 0.0], [0.0, 0.2 - 0.1 * draws[9, 0, 0] / 0.9]])


def test_debiased_plans_are_exact_ones_and_their_intervals_mirrored(record):
    assert_allclose(record.debiased.coupling.min(), 0.0, atol=1e-12)
    assert ((record.debiased.coupling > 1e-12).sum(axis=(1, 2)) <= 5).all()
    low, high = record.debiased.intervals["coupling"]
    least, most = np.quantile(
        record.debiased.coupling, [0.025, 0.975], axis=0, method="weibull"
    )
    large = low > 0.0
    assert np.diag(large[:, record.coupling[0].argmax(axis=1)]).all()
    assert_allclose((high - low)[large], (most - least)[large])
    assert (high >= low).all()
