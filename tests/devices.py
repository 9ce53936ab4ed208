"""Arrays of other libraries for the tests, and what they are compared with."""

import array_api_strict
import numpy as np
import pytest

from skgmmot.kernels import to_host

SECOND = array_api_strict.Device("device1")  # what is copied from it unasked raises
RTOL = {np.float64: 1e-8, np.float32: 1e-4}  # of fits from the same start


def torch_or_skip():
    return pytest.importorskip("torch")


def _strict(array):
    return array_api_strict.asarray(array)


def _second(array):
    return array_api_strict.asarray(array, device=SECOND)


def _torch(array):
    return torch_or_skip().asarray(np.array(array))


KINDS = {"strict": _strict, "second device": _second, "torch": _torch}


def most_sums(n_components, n_features):
    """Numbers that an iteration may bring to the host: sums of the mixture's size.

    For each component second and first moments, its count, what its removal costs; the
    log-likelihood, the mass and the lowest log density beside.
    """
    return n_components * (n_features**2 + n_features + 2) + 3


def assert_like(found, expected, like, rtol):
    """Results of rows: of the kind, place and type of X, with the expected values."""
    assert type(found) is type(like)
    assert found.device == like.device
    host = to_host(found)
    assert (host.shape, host.dtype) == (expected.shape, expected.dtype)
    if expected.dtype.kind in "iub":
        assert np.mean(host != expected) <= (1e-3 if rtol > 1e-6 else 0.0)
        return
    scale = np.nanmax(np.abs(expected), initial=1e-300)
    np.testing.assert_allclose(host, expected, rtol=rtol, atol=rtol * scale)
