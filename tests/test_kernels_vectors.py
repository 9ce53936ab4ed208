"""Operations written as vectors do what their NumPy twins do."""

import numba
import numpy as np
import pytest

from skgmmot.kernels.numba import _constants as constants
from skgmmot.kernels.numba import (
    _emit_densities,
    _emit_elementary,
    _emit_maps,
    _emit_rows,
    _emit_sums,
)
from skgmmot.kernels.numba import _emitter as emitter

TILE = constants.TILE
K = 3
OFFSETS = np.array([-0.7, -np.inf, 1.5])

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="the twins stand in for the operations"
)


def compiled(operation, n_arguments):
    """The operation as a function that Python can call."""
    names = ", ".join(f"a{i}" for i in range(n_arguments))
    scope = {"operation": operation}
    exec(f"def call({names}):\n    return operation({names})", scope)
    return numba.njit(scope["call"])


def check(operation, *arguments, rtol=1e-13):
    """Same changes of all arrays, same value returned."""
    first, second = (
        [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
        for _ in range(2)
    )
    value = compiled(operation, len(arguments))(*first)
    assert value == operation.twin(*second)
    for found, expected in zip(first, second, strict=True):
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=0.01 * rtol)


def workspace(d, dtype=float):
    return np.empty((2 * d, constants.GROUP), dtype)


def mixture(d, seed=0):
    rng = np.random.default_rng(seed)
    tile, means = rng.normal(size=(d, TILE)), rng.normal(size=(K, d))
    return rng, tile, means, np.tril(rng.normal(size=(K, d, d)))


@pytest.mark.parametrize("stop", [1, TILE - 3, TILE + 40, 3 * TILE])
@pytest.mark.parametrize("d", [1, 3, 4, 6, 8])
def test_rows_of_a_tile(d, stop):
    x, start = np.random.default_rng(d).normal(size=(3 * TILE, d)), min(stop - 1, 40)
    for rows, tile in (("f8", "f8"), ("f4", "f8"), ("f4", "f4")):
        there = np.zeros((d, TILE), tile)
        check(_emit_rows.load_turned, x.astype(rows), start, stop, there, rtol=0.0)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 23])
def test_densities_of_full_whiteners(d):
    rng, tile, means, whiteners = mixture(d)
    r, largest = np.zeros((K, TILE)), rng.normal(size=TILE) - 3.0
    arguments = [tile, means, whiteners, OFFSETS, r, largest, workspace(d)]
    first = [np.copy(a) for a in arguments]
    compiled(_emit_densities.densities_full, 7)(*first)
    _emit_densities.densities_full.twin(*arguments)
    np.testing.assert_allclose(first[4], r, rtol=1e-13)
    np.testing.assert_allclose(first[5], largest, rtol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 5, 16])
def test_densities_of_diagonal_whiteners(d):
    rng, tile, means, whiteners = mixture(d)
    diagonals = np.ascontiguousarray(np.abs(whiteners[:, -1]))
    r, largest = np.zeros((K, TILE)), rng.normal(size=TILE)
    check(
        _emit_densities.densities_diagonal, tile, means, diagonals, OFFSETS, r, largest
    )


def test_a_component_without_weight_has_no_density():
    _, tile, means, whiteners = mixture(2)
    r, largest = np.zeros((K, TILE)), np.zeros(TILE)
    full = compiled(_emit_densities.densities_full, 7)
    full(tile, means, whiteners, OFFSETS, r, largest, workspace(2))
    assert (r[1] == -np.inf).all()
    assert np.isfinite(r[::2]).all()


def test_distances_beyond_all_numbers_are_cut():
    _, tile, means, whiteners = mixture(2)
    r, largest = np.zeros((K, TILE)), np.full(TILE, -np.inf)
    full = compiled(_emit_densities.densities_full, 7)
    full(1e200 * tile, means, whiteners, np.zeros(K), r, largest, workspace(2))
    assert (r == -0.5 * constants.LARGEST).all()
    assert (largest == r[0]).all()


def test_exponentials_and_logarithms():
    rng = np.random.default_rng(1)
    r, largest = rng.uniform(-800, 0, (K, TILE)), rng.uniform(0, 3, TILE)
    check(_emit_elementary.exp_of_gaps, r, largest, rng.uniform(size=TILE), rtol=2e-15)
    total, out = 10.0 ** rng.uniform(0, 5, TILE), np.empty(TILE)
    check(_emit_elementary.log_of_sums, largest, total, np.zeros_like(out), rtol=2e-15)


def test_sums_of_what_a_deletion_loses():
    rng = np.random.default_rng(5)
    r = 10.0 ** rng.uniform(-30, 0, (K, TILE))
    best, others = rng.integers(0, K, TILE), -rng.uniform(size=TILE)
    total, weight = r.sum(axis=0), rng.integers(0, 3, TILE) * 1.0
    for part in (r, 1e-20 * r):  # tiny ones keep their digits
        sums = np.array([1.0, 0.0, 0.0])
        check(_emit_elementary.add_deletion, part, 1, best, others, total, weight, sums)
        alone = np.full(TILE, 2)
        check(
            _emit_elementary.add_deletion, part, 1, alone, others, total, weight, sums
        )


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_live_rows_are_marked(share):
    rng = np.random.default_rng(2)
    r = rng.uniform(size=(K, TILE)) * (rng.uniform(size=(K, TILE)) < share)
    scale, row_weight = rng.uniform(size=TILE), rng.integers(0, 2, TILE) * 1.0
    masks = np.zeros(TILE // 16, np.int64)
    check(_emit_sums.mark_live, r, 1, scale, row_weight, masks)


def test_lowest_bit():
    call = compiled(_emit_sums.lowest_bit, 1)
    for mask in (1, 2, 12, 1 << 15, 0b1010000):
        assert call(mask) == _emit_sums.lowest_bit.twin(mask)


@pytest.mark.parametrize("d", [1, 2, 4, 8, 9, 15, 24])
@pytest.mark.parametrize("form", ["full", "diagonal"])
def test_densities_in_float32(d, form):
    # Rows far from 0: what the means lose in float32 is given back by their rests.
    _, tile, means, whiteners = mixture(d)
    tile, means = (tile + 1e3).astype(np.float32), means + 1e3
    whiteners = (
        whiteners if form == "full" else np.diagonal(whiteners, axis1=1, axis2=2)
    )
    r, largest = np.zeros((K, TILE)), np.full(TILE, -np.inf)
    operands = (tile, means, np.ascontiguousarray(whiteners), OFFSETS, r, largest)
    single = [np.copy(a) for a in operands]
    single[2:] = [single[2].astype("f4"), OFFSETS, r.astype("f4"), largest.astype("f4")]
    operation = (
        _emit_densities.densities_full
        if form == "full"
        else _emit_densities.densities_diagonal
    )
    operation.twin(*operands)
    if form == "full":
        single.append(workspace(d, "f4"))
    compiled(operation, len(single))(*single)
    np.testing.assert_allclose(single[4], r, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(single[5], single[4].max(axis=0))


def test_densities_in_float32_stay_finite():
    _, tile, means, whiteners = mixture(3)
    tile = np.full((3, TILE), 3e38, np.float32)
    r, largest = np.zeros((K, TILE), "f4"), np.full(TILE, -np.inf, "f4")
    operands = tile, means, whiteners.astype("f4"), np.zeros(K), r, largest
    compiled(_emit_densities.densities_full, 7)(*operands, workspace(3, "f4"))
    assert (r == np.float32(-0.5e37)).all()


def test_exponentials_in_float32():
    gaps = np.concatenate([-np.logspace(-9, 2.2, 3 * TILE - 2), [0.0, -np.inf]])
    r = np.float32(gaps).reshape(K, TILE)
    expected = np.exp(r.astype(np.float64))
    total = np.empty(TILE)
    compiled(_emit_elementary.exp_of_gaps, 3)(r, np.zeros(TILE, np.float32), total)
    np.testing.assert_allclose(r, expected, rtol=3e-7, atol=2e-38)
    assert r[-1, -2:].tolist() == [1.0, 0.0]
    np.testing.assert_allclose(total, r.astype(np.float64).sum(axis=0), rtol=1e-15)
    r[:] = np.nan
    compiled(_emit_elementary.exp_of_gaps, 3)(r, np.zeros(TILE, np.float32), total)
    assert np.isnan(r).all()
    assert np.isnan(total).all()


def weighted_rows(d, count, dtype):
    """Rows (d, 192), weights of which some are 0, means, and sums to add to."""
    rng = np.random.default_rng(3)
    rows, means = rng.normal(size=(d, 192)).astype(dtype), rng.normal(size=(K, d))
    weights = np.maximum(0.0, rng.uniform(-0.3, 1.0, 192))
    return rows, weights, count, means, 1, rng.normal(size=(K, d))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", range(1, constants.FEW + 1))
@pytest.mark.parametrize("count", [0, 16, TILE])
def test_sums_of_few_features(dtype, d, count):
    *operands, firsts = weighted_rows(d, count, dtype)
    seconds = np.ones((K, d, d))
    expected = (firsts.copy(), seconds.copy())
    _emit_sums.add_sums.twin(*operands, *expected)
    compiled(_emit_sums.add_sums, 7)(*operands, firsts, seconds)
    np.testing.assert_allclose(firsts, expected[0], rtol=1e-12)
    np.testing.assert_allclose(np.tril(seconds), np.tril(expected[1]), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 4, 5, 20, 23])
@pytest.mark.parametrize("count", [0, 16, TILE])
def test_sums_of_squares(dtype, d, count):
    *operands, firsts = weighted_rows(d, count, dtype)
    check(_emit_sums.add_sums, *operands, firsts, np.ones((K, d)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [5, 8, 14, 23])
@pytest.mark.parametrize("count", [0, 16, 192])
def test_sums_of_outer_products(dtype, d, count):
    rows, weights, count, means, k, firsts = weighted_rows(d, count, dtype)
    width = -(-d // 4) * 4
    operands = [
        rows,
        np.sqrt(weights[:count]),
        means,
        k,
        np.zeros((width, 192)),
        firsts,
    ]
    seconds = np.zeros((K, width, width))
    expected = [np.copy(operand) for operand in (*operands, seconds)]
    _emit_sums.add_outers.twin(*expected)
    compiled(_emit_sums.add_outers, 7)(*operands, seconds)
    np.testing.assert_allclose(firsts, expected[-2], rtol=1e-12)
    np.testing.assert_allclose(np.tril(seconds), np.tril(expected[-1]), atol=1e-12)
    assert not seconds[[0, 2]].any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 6, 7, 8, 9, 14])
def test_maps(dtype, full, d):
    rng, tile, means, linear = mixture(d)
    share = np.where(rng.uniform(size=TILE) < 0.3, 0.0, rng.uniform(size=TILE))
    linear = linear + 0.1 if full else linear[:, 0] + 2.0
    shifts, mapped = rng.normal(size=(K, d)), rng.normal(size=(d, TILE))
    operands = tile.astype(dtype), share, means, 2, linear, shifts
    expected = mapped.copy()
    _emit_maps.add_map.twin(*operands, np.empty(0), expected)
    compiled(_emit_maps.add_map, 8)(*operands, workspace(d)[:d], mapped)
    np.testing.assert_allclose(mapped, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8, 9, 23])
@pytest.mark.parametrize("form", ["full", "diagonal"])
@pytest.mark.parametrize("far", [0.0, 1e3])
def test_sums_in_float32(d, form, far):
    # Rows far from 0: what the means lose in float32 is given back by their rests.
    rows, weights, count, means, k, firsts = weighted_rows(d, 192, np.float64)
    rows, means = (rows + far).astype(np.float32), means + far
    few = form == "diagonal" or d <= constants.FEW
    width = d if few else -(-d // 4) * 4
    seconds = np.zeros((K, width) if form == "diagonal" else (K, width, width))
    room = [] if few else [np.zeros((width, 192))]
    weights = weights if few else np.sqrt(weights)
    operation = _emit_sums.add_sums if few else _emit_sums.add_outers
    head = [rows, weights, count, means, k] if few else [rows, weights, means, k]
    expected = [np.copy(a) for a in (*head, *room, firsts, seconds)]
    operation.twin(*expected)
    head[1] = weights.astype(np.float32)
    room = [array.astype(np.float32) for array in room]
    compiled(operation, 7)(*head, *room, firsts, seconds)
    np.testing.assert_allclose(firsts, expected[-2], atol=1e-5 * np.abs(firsts).max())
    found, wanted = seconds[k], expected[-1][k]
    if form == "full":
        found, wanted = np.tril(found), np.tril(wanted)
    np.testing.assert_allclose(found, wanted, atol=2e-6 * np.abs(wanted).max())
    assert not seconds[[0, 2]].any()


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("n", [1, 3, 4, 6])
def test_sums_of_lanes(lanes, n):
    @emitter.operation(None)
    def add(typingctx, rows, totals):
        def emit(e, rows, totals):
            indices = [e.integer(i) for i in range(n)]
            vectors = [e.load(rows, e.integer(lanes * i)) for i in range(n)]
            e.add_up(vectors, totals, indices)
            e.add_up_row(vectors[:4], totals, e.integer(n))

        return emitter.signature_and_code((rows, totals), emit, lanes)

    rng = np.random.default_rng(n)
    rows, totals = rng.normal(size=(n, lanes)), rng.normal(size=n + 5)
    sums = rows.sum(axis=1)
    row = np.zeros(5)
    row[: min(n, 4)] = sums[:4]
    expected = totals + np.concatenate([sums, row])
    compiled(add, 2)(rows, totals)
    np.testing.assert_allclose(totals, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("wide", [False, True])
def test_shapes_for_other_registers(wide, monkeypatch):
    """What is written for AVX2 and for AVX-512 runs on any processor."""
    monkeypatch.setattr(emitter.private, "has_wide_registers", lambda context: wide)
    for d, dtype in [(3, "f8"), (8, "f4"), (8, "f8"), (9, "f8"), (9, "f4")]:
        rows, weights, count, means, k, firsts = weighted_rows(d, 192, dtype)
        few = d <= constants.FEW
        width = d if few else -(-d // 4) * 4
        seconds, weights = np.zeros((K, width, width)), weights.astype(dtype)
        head = [rows, weights, count, means, k] if few else [rows, weights, means, k]
        head += [] if few else [np.zeros((width, 192), dtype)]
        operation = _emit_sums.add_sums if few else _emit_sums.add_outers
        expected = [np.copy(a) for a in (*head, firsts, seconds)]
        operation.twin(*expected)
        compiled(operation, 7)(*head, firsts, seconds)
        rtol = 1e-5 if dtype == "f4" else 1e-12
        scale = np.abs(expected[-1]).max()
        np.testing.assert_allclose(
            np.tril(seconds), np.tril(expected[-1]), rtol=rtol, atol=rtol * scale
        )
