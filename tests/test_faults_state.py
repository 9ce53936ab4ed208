"""What is fitted: the same bits from copies and threads, and plain values only."""

import copy
import pickle
from numbers import Number

import cloudpickle
import joblib
import numpy as np
import pytest
from children import run_child
from sklearn.base import BaseEstimator

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    LinkedGaussianMixture,
    SparseGaussianMixture,
)
from skgmmot.transport._map import MixtureMap

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(n=6000, d=3, dtype=np.float64):
    """Rows of two domains with labels."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, d)) + 4.0 * rng.integers(0, 3, (n, 1))
    sample_domain = np.where(np.arange(n) % 2, -1, 1)
    X[sample_domain < 0] += 1.0
    return X.astype(dtype), sample_domain


def makers(**common):
    """Estimators of all kinds, by name; `common` are parameters of the mixtures."""
    common = {"random_state": 5, "max_iter": 8, **common}
    sparse = {
        f"{solver} {kind}": SparseGaussianMixture(
            6, sparsity=1.0, covariance_type=kind, solver=solver, **common
        )
        for solver in ("em", "adam")
        for kind in ("full", "tied", "diag", "spherical")
    }
    random = SparseGaussianMixture(
        4, sparsity=1.0, init_params="random", refit=True, **common
    )
    coupled = CoupledGaussianMixture(3, **common)
    unbalanced = CoupledGaussianMixture(
        (2, 3), reg_m=1.0, covariance_type="diag", **common
    )
    return {
        **sparse,
        "random start": random,
        "coupled": coupled,
        "unbalanced": unbalanced,
        "linked": LinkedGaussianMixture(3, reg_m=1.0, **common),
        "mover": GMMOTTransformer(coupled, method="random", random_state=1),
        "mover by EM": GMMOTTransformer(random, map_to="source"),
        "classifier": GMMOTClassifier(2, **common),
    }


NAMES = list(makers())


def fitted(name, dtype=np.float64, n=6000, **common):
    """A fitted estimator of that name."""
    X, sample_domain = data(n, dtype=dtype)
    estimator = makers(**common)[name]
    if isinstance(estimator, SparseGaussianMixture):
        return estimator.fit(X)
    return estimator.fit(X, **fit_keywords(estimator, X, sample_domain))


def fit_keywords(estimator, X, sample_domain):
    """What fit needs beside X where there are domains."""
    if isinstance(estimator, GMMOTClassifier):
        y = (np.asarray(X).sum(axis=1) > 12.0).astype(int)
        return {"y": y, "sample_domain": sample_domain}
    return {"sample_domain": sample_domain}


def answers(estimator, dtype=np.float64):
    """Bytes of all that a fitted estimator answers."""
    X, sample_domain = data(dtype=dtype)
    keywords = {}
    if not isinstance(estimator, SparseGaussianMixture):
        keywords = {"sample_domain": sample_domain}
    names = ("predict", "predict_proba", "score_samples", "transform")
    return [
        getattr(estimator, name)(X, **keywords).tobytes()
        for name in names
        if hasattr(estimator, name)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_copies_give_the_same_bits(name, tmp_path):
    original = fitted(name)
    expected = answers(original)
    joblib.dump(original, tmp_path / "original")
    copies = [
        pickle.loads(pickle.dumps(original)),
        cloudpickle.loads(cloudpickle.dumps(original)),
        copy.deepcopy(original),
        joblib.load(tmp_path / "original"),
        joblib.load(tmp_path / "original", mmap_mode="r"),
    ]
    for other in copies:
        assert answers(other) == expected


def test_a_pickle_opens_in_another_process(tmp_path):
    original = fitted("coupled")
    path = tmp_path / "original"
    path.write_bytes(pickle.dumps(original))
    X, _ = data()
    printed = run_child(
        f"import pickle\nopened = pickle.load(open({str(path)!r}, 'rb'))\n"
        f"X = np.frombuffer(bytes.fromhex({X[:50].tobytes().hex()!r})).reshape(-1, 3)\n"
        "print(opened.score_samples(X).tobytes().hex())"
    )
    assert printed == original.score_samples(X[:50]).tobytes().hex()


def strange(value, path="fitted"):
    """Places of what is neither an array, a plain value, nor a record of such."""
    plain = (Number, str, bytes, type(None), np.dtype, np.generic)
    if isinstance(value, plain):
        return []
    if isinstance(value, np.ndarray):
        return (
            [path] if value.dtype == object and not path.endswith("names_in_") else []
        )
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, tuple | list):
        pairs = enumerate(value)
    elif isinstance(value, BaseEstimator | MixtureMap):
        pairs = vars(value).items()
    else:
        return [f"{path}: {type(value)}"]
    return [place for key, part in pairs for place in strange(part, f"{path}.{key}")]


@pytest.mark.parametrize("name", NAMES)
def test_fitted_state_is_arrays_and_plain_values(name):
    original = fitted(name)
    answers(original)  # what is computed at the first use is kept too
    assert not strange(vars(original))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, np.float64) for name in NAMES]
    + [
        (name, np.float32)
        for name in ("em full", "adam diag", "coupled", "mover", "classifier")
    ],
)
def test_any_number_of_threads_and_any_run_give_the_same_bits(name, dtype):
    expected = None
    for n_jobs in (1, 2, 4, 1):
        found = answers(fitted(name, dtype, 14_000, n_jobs=n_jobs), dtype)
        expected = found if expected is None else expected
        assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_order_and_layout_of_the_data_in_memory_do_not_matter(name):
    X, sample_domain = data(2000)
    keywords = fit_keywords(makers()[name], X, sample_domain)
    if isinstance(makers()[name], SparseGaussianMixture):
        keywords = {}
    wide = np.zeros((2000, 6))
    wide[:, ::2] = X
    layouts = [X, np.asfortranarray(X), wide[:, ::2], X.astype(">f8"), X.tolist()]
    states = [
        pickle.dumps(answers(makers()[name].fit(layout, **keywords)))
        for layout in layouts
    ]
    assert len(set(states)) == 1
