"""Promises of the sparse mixture that once could break without a test noticing."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skgmmot import SparseGaussianMixture
from skgmmot.estimators import _progress


def blobs(seed=0, n=200, centers=((-6.0, 0.0), (0.0, 6.0), (6.0, 0.0))):
    """n rows of unit variance about each center."""
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(c, 1.0, (n, len(c))) for c in centers])


def test_partial_fit_may_starve_two_components_down_to_one():
    start = {
        "weights_init": [0.5, 0.5],
        "means_init": [[0.0, 0.0], [30.0, 0.0]],
        "precisions_init": [np.eye(2), np.eye(2)],
    }
    mixture = SparseGaussianMixture(
        2, sparsity=1.0, min_component_samples=20.0, **start
    )
    X = np.random.default_rng(0).normal(size=(100, 2))
    mixture.partial_fit(X)
    assert mixture.n_components_ == 1
    assert mixture.n_starved_ == 1
    assert mixture.weights_.tolist() == [1.0]
    np.testing.assert_allclose(mixture.means_[0], X.mean(axis=0), atol=1e-12)
    mixture.partial_fit(X)  # the last one stays, and the stream goes on
    assert mixture.n_components_ == 1
    np.testing.assert_allclose(mixture.means_[0], X.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_random_starts_differ_before_a_penalty_chooses(covariance_type):
    # Equal responsibilities make nearly equal components: a penalty at once would
    # keep one of them, whatever the data.
    mixture = SparseGaussianMixture(
        8, sparsity=1.0, covariance_type=covariance_type, init_params="random",
        random_state=0,
    ).fit(blobs())  # fmt: skip
    assert mixture.n_components_ >= 3
    nearest = np.abs(mixture.means_[:, None] - [[-6.0, 0.0], [0.0, 6.0], [6.0, 0.0]])
    assert nearest.sum(axis=2).min(axis=0).max() < 0.6


def test_no_iterations_return_the_random_start_itself():
    X = blobs()
    settings = {"init_params": "random", "max_iter": 0, "random_state": 0}
    with_price = SparseGaussianMixture(4, sparsity=1.0, **settings).fit(X)
    without = SparseGaussianMixture(4, sparsity=0.0, **settings).fit(X)
    np.testing.assert_array_equal(with_price.means_, without.means_)


def test_verbose_2_prints_the_numbers_of_the_fit(capsys, monkeypatch):
    clock = iter(np.arange(0.0, 100.0, 0.25))
    monkeypatch.setattr(_progress, "perf_counter", lambda: next(clock))
    mixture = SparseGaussianMixture(
        3, sparsity=0.0, max_iter=5, tol=0.0, random_state=0, verbose=2,
        verbose_interval=2, means_init=[[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]],
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        mixture.fit(blobs())
    changes = np.diff(mixture.lower_bounds_)
    assert changes[[0, 2]].min() > 1e-3
    assert capsys.readouterr().out.splitlines() == [
        "Initialization 0",
        "  start found\t time lapse 0.250s",
        *(
            f"  Iteration {i}\t objective {mixture.lower_bounds_[i - 1]:.10f}"
            f"\t components 3\t bound change {changes[i - 2]:.5e}"
            f"\t time lapse {lapse}s"
            for i, lapse in ((2, "0.500"), (4, "0.750"))
        ),
        "Initialization did not converge. time lapse 1.000s\t lower bound "
        f"{mixture.lower_bound_:.10f}.",
    ]


def test_only_components_below_an_even_share_go_without_a_trial():
    # Two equal components share the rows of one blob: either is superfluous, but both
    # are above 1 / n_components, and only a trial may remove such a one.
    X = blobs(centers=((-6.0, 0.0),) * 6 + ((0.0, 9.0), (9.0, 0.0)))
    mixture = SparseGaussianMixture(
        4, sparsity=2.0, min_component_samples=0.0, max_iter=1, accelerate=False,
        weights_init=[0.4, 0.35, 0.125, 0.125],
        means_init=[[-6.0, 0.0], [-6.0, 0.0], [0.0, 9.0], [9.0, 0.0]],
        precisions_init=[np.eye(2)] * 4,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        mixture.fit(X)
    assert mixture.n_components_ == 4
    assert mixture.set_params(max_iter=1000).fit(X).n_components_ == 3


def test_partial_fit_starves_none_before_all_could_have_had_their_rows():
    # Twice the 20 rows that each of 5 components needs: 200 rows, two batches.
    start = {
        "weights_init": np.full(5, 0.2),
        "means_init": [
            [0.0, 0.0],
            [90.0, 0.0],
            [0.0, 90.0],
            [-90.0, 0.0],
            [0.0, -90.0],
        ],
        "precisions_init": [np.eye(2)] * 5,
    }
    mixture = SparseGaussianMixture(5, sparsity=1.0, min_component_samples=20, **start)
    X = np.random.default_rng(0).normal(size=(100, 2))
    assert mixture.partial_fit(X[:99]).n_components_ == 5
    assert mixture.partial_fit(X).n_components_ == 5
    assert mixture.partial_fit(X[:1]).n_components_ == 1
    assert mixture.n_starved_ == 4


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score", "bic", "aic"])
def test_weights_that_sum_to_0_are_refused_by_name(method):
    X = blobs(n=20)
    mixture = SparseGaussianMixture(2, sparsity=0.0, random_state=0).fit(X)
    with pytest.raises(ValueError, match="sample_weight"):
        getattr(mixture, method)(X, sample_weight=np.zeros(len(X)))
