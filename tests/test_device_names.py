"""What the package asks of a library of arrays, against what CuPy has.

CuPy needs a GPU to compute, not to be listed. The names below are those of
`array_api_compat.cupy` (1.16, on CuPy 14.2), as far as they are used.
"""

import importlib
import pkgutil
import sys
import warnings

import array_api_compat
import numpy as np
import pytest
from devices import KINDS

import skgmmot
from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    SparseGaussianMixture,
)

_NAMES = """
    abs all any arange argmax argmin argsort asarray astype bool broadcast_to clip
    concat cumulative_sum empty exp finfo float32 float64 full_like int64 isdtype
    isfinite log log1p matmul matrix_transpose max maximum mean min minimum nonzero
    ones reshape searchsorted sqrt stack sum take unique_counts unique_inverse
    unique_values where zeros zeros_like
"""
CUPY = frozenset(_NAMES.split())


class Recorder:
    """A namespace that remembers what it was asked for."""

    def __init__(self, namespace, names):
        self.namespace, self.names = namespace, names

    def __getattr__(self, name):
        self.names.add(name)
        return getattr(self.namespace, name)


@pytest.fixture
def names(monkeypatch):
    """Names that modules of the package take from namespaces of arrays."""
    for module in pkgutil.walk_packages(skgmmot.__path__, "skgmmot."):
        if not module.name.startswith("skgmmot.display"):
            importlib.import_module(module.name)
    original, found = array_api_compat.array_namespace, set()

    def recorded(*arrays, **keywords):
        return Recorder(original(*arrays, **keywords), found)

    for name, module in list(sys.modules.items()):
        own = getattr(module, "array_namespace", None)
        if name.startswith("skgmmot") and own is original:
            monkeypatch.setattr(module, "array_namespace", recorded)
    return found


def use_everything(up):
    """Call what takes rows, in the ways that go different ways."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 240)
    X = np.round(4.0 * y[:, None] + rng.standard_normal((240, 3)), 1)
    labels, weights = np.where(rng.uniform(size=240) < 0.5, 1, -1), y + 0.5
    X32, X, labels, y = up(X.astype(np.float32)), up(X), up(labels), up(y)
    weights = up(weights)
    for init in ("kmeans", "random"):
        mixture = SparseGaussianMixture(4, init_params=init, random_state=0)
        mixture.fit(X32, sample_weight=weights).predict_proba(X)
    for covariance_type in ("diag", "tied"):
        mixture = SparseGaussianMixture(
            3, sparsity=1.0, covariance_type=covariance_type, random_state=0
        )
        mixture.partial_fit(X).fit(X).score_samples(X32)
        mixture.predict(X), mixture.bic(X, weights)
    keywords = {"sample_domain": labels, "sample_weight": weights}
    coupled = CoupledGaussianMixture(3, align="linear", random_state=0)
    coupled.fit(X, **keywords).score(X, **keywords)
    coupled.predict_proba(X, sample_domain=labels)
    for method in ("random", "most_likely", "barycentric"):
        for outside in ("shrink", "nan"):
            mover = GMMOTTransformer(
                SparseGaussianMixture(3, sparsity=0.0),
                method=method,
                out_of_support=outside,
                support_level=0.5,
                random_state=0,
            )
            mover.fit_transform(X, **keywords)
    mover.support_score(X, sample_domain=labels)
    mover.transport_weights(X)
    for number in (1, 2):
        model = GMMOTClassifier(number).fit(X, y, **keywords)
        model.score(X, y, **keywords), model.transform(X, y, sample_domain=labels)


def test_cupy_has_what_is_used(names, transfers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        use_everything(KINDS["second device"])
    assert transfers
    assert len(names) > 30
    names.discard("Device")  # of array-api-strict, on the way from its second device
    assert names <= CUPY, f"not known of CuPy: {sorted(names - CUPY)}"


def test_names_are_those_of_cupy():
    with warnings.catch_warnings():  # of a machine without CUDA
        warnings.simplefilter("ignore")
        pytest.importorskip("cupy", exc_type=ImportError)
        cupy = importlib.import_module("array_api_compat.cupy")
    assert [name for name in CUPY if not hasattr(cupy, name)] == []
