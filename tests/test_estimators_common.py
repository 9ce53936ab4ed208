"""scikit-learn's contract for estimators, without exceptions."""

import pytest
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skgmmot import SparseGaussianMixture

EXPECTED_FAILURES = {}  # name of a check: reason; empty, and to stay empty

pytestmark = [
    # The checks fit a dozen rows and few iterations: both warnings are right there.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:sample_weight is read as frequencies"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]

ESTIMATORS = [
    SparseGaussianMixture(),
    SparseGaussianMixture(3, sparsity=0.0),
    SparseGaussianMixture(3, sparsity=0.0, init_params="random", n_init=2),
    SparseGaussianMixture(3, sparsity="icl", covariance_type="diag", n_init=2),
    SparseGaussianMixture(3, sparsity=1.0),
    SparseGaussianMixture(2, covariance_type="auto"),
    SparseGaussianMixture(2, covariance_type="tied", init_params="k-means++"),
    SparseGaussianMixture(
        2,
        sparsity=1.0,
        covariance_type="diag",
        refit=True,
        init_params="random_from_data",
    ),
    SparseGaussianMixture(
        2, sparsity="aic", covariance_type="spherical", min_component_samples=0
    ),
    SparseGaussianMixture(2, sparsity=1.0, solver="adam", max_iter=40),
]


@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def skipped(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert not [r["check_name"] for r in results if r["status"] == "failed"]
    return {r["check_name"] for r in results if r["status"] == "skipped"}


def test_no_more_checks_are_skipped_than_for_gaussian_mixture():
    ours = skipped(SparseGaussianMixture(2, sparsity=0.0))
    assert ours <= skipped(GaussianMixture(2))


def test_no_tag_switches_a_check_off():
    ours = SparseGaussianMixture().__sklearn_tags__()
    theirs = GaussianMixture().__sklearn_tags__()
    assert not ours.no_validation
    assert not ours._skip_test
    assert not ours.non_deterministic
    assert ours.input_tags == theirs.input_tags
    assert ours.estimator_type == theirs.estimator_type
