"""What a refusal has to be: an error in words that name the argument."""

import re
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.utils._param_validation import InvalidParameterError

from skgmmot import SparseGaussianMixture
from skgmmot.kernels.numba import _primitives

KINDS = (ValueError, TypeError, InvalidParameterError, NotFittedError)
# What Python and NumPy say of their own operations names nothing that a user knows.
FOREIGN = re.compile(
    "not supported between|has no attribute|unsupported operand|not iterable|broadcast"
    "|could not convert|unexpected keyword|object is not callable|ufunc|inhomogeneous"
    "|cannot be interpreted|has no len|not subscriptable|ambiguous|required argument"
)
# The form of the package's own errors, made by skgmmot._checks.message.
FORM = re.compile(r"[\w\[\], ]+: expected .+, got ", re.DOTALL)
# What stays in scikit-learn's words, raised by it or matched by its public tests.
SKLEARN = re.compile(
    "The '.*' parameter of|The parameter '|Expected 2D array|Input .* contains"
    "|Found array with|X has .* features, but|Complex data not supported"
    "|Sparse data was passed|Negative values in data|Sample weights must be"
    "|sample_weight.shape|precision' should be|Invalid value for 'n_samples'"
    "|Expected n_samples|cannot be used to seed|Seed must be|is not fitted yet"
    "|not fitted yet|should be a 1d array|Singleton array|ill-defined empirical"
    "|Cannot clone object"
)
# scikit-learn's own words for data that are no table of numbers.
DATA_WORDS = {"X": ("X",), "sample_weight": ("ample",), "random_state": ("ran", "eed")}


def assert_refused(call, name):
    """The call raises, in words that name the argument; the message is returned."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    error, message = caught.value, str(caught.value)
    assert type(error) in KINDS, f"{type(error).__name__}: {message}"
    names = DATA_WORDS.get(name, (name,))
    assert any(word in message for word in names), message
    assert len(message) > 20, message
    assert "expected" in message or not FOREIGN.search(message), message
    assert FORM.match(message) or SKLEARN.search(message), message
    return message


@contextmanager
def no_work():
    """No kernel may run: what is refused is refused before any work."""
    begun = AssertionError("work was begun before the arguments were checked")
    with mock.patch.object(_primitives, "run_ranges", side_effect=begun):
        yield


def state_of(obj):
    """A copy of an estimator's attributes, to be compared later."""
    return dict(vars(obj))


def assert_unchanged(obj, before):
    """The attributes are the very same objects."""
    now = vars(obj)
    assert now.keys() == before.keys()
    assert all(now[key] is before[key] for key in before)


def good_mixture(n_components=2, d=2):
    """A mixture in general position, as a tuple."""
    rng = np.random.default_rng(n_components)
    weights = np.full(n_components, 1.0 / n_components)
    covariances = np.repeat(np.eye(d)[None], n_components, axis=0)
    return weights, rng.normal(size=(n_components, d)), covariances


def bad_mixtures():
    """What is no mixture of two components in two features, by name."""
    weights, means, covariances = good_mixture()
    skewed = covariances + [[0.0, 0.5], [0.0, 0.0]]
    indefinite = covariances + [[0.0, 2.0], [2.0, 0.0]]
    nan, inf = np.array([0.5, np.nan]), np.array([[0.0, np.inf], [0.0, 0.0]])
    return {
        "None": None,
        "a number": 3.0,
        "text": "mixture",
        "a pair": (weights, means),
        "an array": np.eye(2),
        "an empty tuple": (),
        "text inside": (["a", "b"], means, covariances),
        "complex": (weights, means + 1j, covariances),
        "ragged": (weights, [[0.0], [0.0, 1.0]], covariances),
        "None inside": (weights, None, covariances),
        "weights of sum 2": (2.0 * weights, means, covariances),
        "negative weights": ([1.5, -0.5], means, covariances),
        "NaN weights": (nan, means, covariances),
        "weights of another length": ([1.0], means, covariances),
        "weights with two axes": (weights[None], means, covariances),
        "infinite means": (weights, inf, covariances),
        "means with one axis": (weights, [0.0, 1.0], covariances),
        "means of another number": (weights, means[:1], covariances),
        "no components": (np.empty(0), np.empty((0, 2)), np.empty((0, 2, 2))),
        "no features": (weights, np.empty((2, 0)), np.empty((2, 0, 0))),
        "covariances with two axes": (weights, means, np.ones((2, 2))),
        "covariances of another size": (weights, means, np.ones((2, 3, 3))),
        "NaN covariances": (weights, means, covariances * np.nan),
        "asymmetric covariances": (weights, means, skewed),
        "negative variances": (weights, means, -covariances),
        "indefinite covariances": (weights, means, indefinite),
        "an unfitted mixture": GaussianMixture(),
        "an unfitted sparse mixture": SparseGaussianMixture(),
    }
