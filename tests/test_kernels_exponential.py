"""The exponential of float32 where it is cut to 0."""

import numba
import numpy as np
import pytest

from skgmmot.kernels.numba import _emit_elementary as vectors
from skgmmot.kernels.numba._constants import TILE

SMALLEST = -126.5 * np.log(2.0)  # exp of less is 0: 2**-127 has no bits


@pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="the twin stands in for the operation"
)
def test_float32_exponentials_equal_their_twin_at_the_clamp():
    @numba.njit
    def exp_of_gaps(r, largest, total):
        vectors.exp_of_gaps(r, largest, total)

    gaps = np.linspace(-89.0, -86.0, 3 * TILE).astype(np.float32)
    gaps = gaps[np.abs(gaps - SMALLEST) > 1e-3]
    r = np.resize(gaps, (3, TILE))
    expected, largest = r.copy(), np.zeros(TILE, np.float32)
    totals = np.empty(TILE), np.empty(TILE)
    exp_of_gaps(r, largest, totals[0])
    vectors.exp_of_gaps.twin(expected, largest, totals[1])
    np.testing.assert_allclose(r, expected, rtol=3e-7, atol=0.0)
    np.testing.assert_array_equal(r == 0.0, expected == 0.0)
    assert (r == 0.0).any()
    np.testing.assert_allclose(totals[0], totals[1], rtol=3e-7)
