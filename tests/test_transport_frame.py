"""Frames: alignments, units, the cheapest shift, and maps that go through them."""

import numpy as np
import pytest
import reference
import reference_coupled
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from skgmmot._blocks import blocks_of
from skgmmot.linalg import as_mixture
from skgmmot.linalg._shrinkage import Affine, common_units
from skgmmot.transport import mw2_plan
from skgmmot.transport._component_maps import MixtureMap
from skgmmot.transport._frame import (
    Frame,
    frame_of,
    gaps_and_spreads,
    mixture_moments,
    moved_means,
    passages,
    row_moments,
)
from skgmmot.transport._map import METHODS
from skgmmot.transport._shift import Gaps, cheapest_shift

every_method = pytest.mark.parametrize("method", METHODS)


def random_frame(rng, d, diagonal=False):
    """An alignment in general position, and units far from one another."""
    linear = rng.uniform(0.5, 2.0, d)
    if not diagonal:
        linear = rng.standard_normal((d, d)) + 2.0 * np.eye(d)
    metric = 10.0 ** rng.uniform(-2.0, 2.0, d)
    return Frame(Affine(linear, 3.0 * rng.standard_normal(d)), metric)


def dense(frame):
    """Matrix, shift and metric as the references take them."""
    linear, shift = frame.alignment
    return linear if linear.ndim == 2 else np.diag(linear), shift, frame.metric


def draw(rng, sizes=(3, 4), d=2, diagonal=False):
    """Two mixtures, a frame, rows, and a coupling with a row of no mass."""
    ends = [strategies.random_mixture(rng, n, d) for n in sizes]
    if diagonal:
        ends = [(w, m, c * np.eye(d)) for w, m, c in ends]
    coupling = rng.random(sizes) * (rng.random(sizes) < 0.7)
    coupling[-1] = 0.0
    X = as_mixture(ends[0]).sample(8, random_state=0)[0]
    return X, ends, coupling, random_frame(rng, d, diagonal)


# Maps


@given(strategies.seeds, st.integers(1, 3), st.booleans())
@settings(max_examples=25, deadline=None)
def test_maps_through_a_frame_against_reference(seed, d, diagonal):
    rng = np.random.default_rng(seed)
    X, ends, coupling, frame = draw(rng, (3, 2), d, diagonal)
    maps = MixtureMap(*map(as_mixture, ends), coupling, passages(frame)[0])
    expected = reference.framed_map(
        reference.barycentric_map, X, *ends, coupling, *dense(frame)
    )
    np.testing.assert_allclose(maps.move(X), expected, rtol=1e-8, atol=1e-8)
    coupling = rng.random(coupling.shape)  # the other reference needs mass in all rows
    maps = MixtureMap(*map(as_mixture, ends), coupling, passages(frame)[0])
    expected = reference.framed_map(
        reference.likeliest_map, X, *ends, coupling, *dense(frame)
    )
    moved = maps.move(X, "most_likely")
    np.testing.assert_allclose(moved, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("flat", [False, True])
def test_maps_of_single_components_undo_each_other(seed, way, flat):
    rng = np.random.default_rng(seed)
    _, ends, coupling, frame = draw(rng, (1, 1), 3)
    if flat:  # diagonal covariances, and an alignment that is none
        ends = [(w, m, c * np.eye(3)) for w, m, c in ends]
    coupling[0] = 1.0
    X = as_mixture(ends[0]).sample(9, random_state=1)[0]
    there, back = passages(frame)
    source, target = map(as_mixture, ends)
    forward = MixtureMap(source, target, coupling, there)
    home = MixtureMap(target, source, coupling.T, back)
    for method in METHODS:
        rng = np.random.RandomState(0)
        first, second = (forward, home) if way == 0 else (home, forward)
        moved = first.move(X, method, rng=rng)
        again = second.move(moved, method, rng=rng)
        np.testing.assert_allclose(again, X, rtol=1e-8, atol=1e-8)


@every_method
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_rows_without_mass_go_the_way_of_the_whole(method, diagonal, strength):
    X, ends, coupling, frame = draw(np.random.default_rng(1), diagonal=diagonal)
    coupling[:] = 0.0
    source, target = map(as_mixture, ends)
    for side, way in ((source, 0), (target, 1)):
        other = target if way == 0 else source
        table = coupling if way == 0 else coupling.T
        passage = passages(frame)[way]
        maps = MixtureMap(side, other, table, passage)
        moved = maps.move(X, method, strength, np.random.RandomState(0))
        expected = X + strength * (moved_means(X, passage.whole) - X)
        np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-9)
    linear, shift, _ = dense(frame)
    np.testing.assert_allclose(
        moved_means(X @ linear.T + shift, passages(frame)[1].whole), X, atol=1e-9
    )


@every_method
def test_a_diagonal_frame_is_the_dense_one(method):
    X, ends, coupling, frame = draw(np.random.default_rng(2), diagonal=True)
    linear, shift = frame.alignment
    full = frame._replace(alignment=Affine(np.diag(linear), shift))
    source, target = map(as_mixture, ends)
    pair = [
        MixtureMap(source, target, coupling, passages(f)[0], max_slope=1.1).move(
            X, method, rng=np.random.RandomState(0)
        )
        for f in (frame, full)
    ]
    np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-9)


@every_method
def test_equal_units_and_no_alignment_are_the_map_of_mw2(method):
    X, ends, coupling, _ = draw(np.random.default_rng(3))
    frame = Frame(Affine(np.ones(2), np.zeros(2)), np.full(2, 7.0))
    source, target = map(as_mixture, ends)
    moved = [
        MixtureMap(source, target, coupling, passage).move(
            X, method, rng=np.random.RandomState(0)
        )
        for passage in (None, passages(frame)[0])
    ]
    np.testing.assert_allclose(*moved, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("diagonal", [False, True])
def test_bounded_slopes_are_those_after_the_alignment(diagonal):
    X, ends, coupling, frame = draw(np.random.default_rng(4), diagonal=diagonal)
    source, target = map(as_mixture, ends)
    passage = passages(frame)[0]
    wild = MixtureMap(source, target, coupling, passage)
    assert wild.steepest > 1.5
    tame = MixtureMap(source, target, coupling, passage, max_slope=1.5)
    assert tame.steepest == pytest.approx(1.5)
    # Units are no slope: what was 1 before is 1 after.
    scales = np.array([1e3, 1e-3])
    scaled = [
        as_mixture((w, m * scales, c * np.outer(scales, scales))) for w, m, c in ends
    ]
    linear, shift, metric = dense(frame)
    linear = scales[:, None] * linear / scales
    if diagonal:
        linear = np.diag(linear)
    other = Frame(Affine(linear, scales * shift), metric * scales**2)
    moved = MixtureMap(*scaled, coupling, passages(other)[0], max_slope=1.5)
    assert moved.steepest == pytest.approx(1.5)
    np.testing.assert_allclose(
        moved.move(X * scales), tame.move(X) * scales, rtol=1e-8, atol=1e-8
    )


# Costs and frames


@pytest.mark.parametrize("seed", range(4))
def test_gaps_and_spreads_make_the_costs_of_the_reference(seed):
    rng = np.random.default_rng(seed)
    _, ends, _, frame = draw(rng, d=3)
    if seed % 2:
        frame.metric[1] = np.inf
    costs = Gaps(*gaps_and_spreads(*map(as_mixture, ends), frame), frame.metric)
    shift = rng.standard_normal(3)
    matrix, offset, metric = dense(frame)
    expected = reference_coupled.framed_costs(*ends, matrix, offset + shift, metric)
    np.testing.assert_allclose(costs.costs(shift), expected, rtol=1e-9)


def rows(seed, n=60, d=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + seed


def moments(*sides):
    return row_moments(*(blocks_of(side) for side in sides))


def test_moments_of_rows_and_of_a_mixture_of_points_are_the_same():
    X, Y = rows(1), rows(2)
    points = as_mixture((np.full(60, 1 / 60), X, np.zeros((60, 3, 3))))
    of_rows, of_mixture = moments(X, Y)[0], mixture_moments(points)
    np.testing.assert_allclose(of_mixture.mean, of_rows.mean)
    np.testing.assert_allclose(of_mixture.covariance, of_rows.covariance)
    units = common_units(X.var(axis=0), Y.var(axis=0))
    lengths = np.square((X - X.mean(axis=0)) / units).sum(axis=1)
    assert of_rows.fourth == pytest.approx(np.square(lengths).sum())
    assert (of_rows.mass, of_mixture.mass) == (60.0, np.inf)


@pytest.mark.parametrize("align", [None, "shift", "scale", "linear"])
def test_the_units_are_those_of_the_moved_rows(align):
    X, Y = rows(1), rows(2)
    frame = frame_of(*moments(X, Y), align, "auto")
    moved = moved_means(X, frame.alignment)
    if align is not None:
        np.testing.assert_allclose(moved.mean(axis=0), Y.mean(axis=0))
    variances = 0.5 * (moved.var(axis=0) + Y.var(axis=0))
    np.testing.assert_allclose(frame.metric, 3 * variances)
    number = frame_of(*moments(X, Y), align, 7.0)
    np.testing.assert_array_equal(number.metric, [7.0, 7.0, 7.0])


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_a_feature_that_never_varies_takes_no_part(offset):
    X, Y = rows(1), rows(2)
    X[:, 1], Y[:, 1] = 0.1 + offset, 0.3 + offset
    frame = frame_of(*moments(X, Y), "shift", "auto")
    assert frame.metric[1] == np.inf
    without = frame_of(*moments(X[:, [0, 2]], Y[:, [0, 2]]), "shift", "auto")
    np.testing.assert_allclose(frame.metric[[0, 2]], without.metric)


def test_domains_that_are_known_and_flat_go_there_and_back():
    flat = np.diag([1.0, 0.0])[None]
    ends = [as_mixture(([1.0], [[0.0, 0.0]], flat)),
            as_mixture(([1.0], [[5.0, 2.0]], 4.0 * flat))]  # fmt: skip
    frame = frame_of(*map(mixture_moments, ends), "linear", "auto")
    there, back = passages(frame)
    X = np.array([[1.0, 0.0], [-2.0, 0.0]])
    moved = MixtureMap(*ends, np.eye(1), there).move(X)
    np.testing.assert_allclose(moved, [[7.0, 2.0], [1.0, 2.0]], atol=1e-5)
    again = MixtureMap(*ends[::-1], np.eye(1), back).move(moved)
    np.testing.assert_allclose(again, X, atol=1e-5)


# The cheapest shift


def gaps_of(ends, metric):
    d = len(metric)
    frame = Frame(Affine(np.ones(d), np.zeros(d)), np.asarray(metric))
    return Gaps(*gaps_and_spreads(*map(as_mixture, ends), frame), frame.metric)


@pytest.mark.parametrize("reg_m", [None, (1.0, 1.0), (0.5, 3.0)])
@pytest.mark.parametrize("reg", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_the_cheapest_shift_is_that_of_the_reference(seed, reg, reg_m):
    rng = np.random.default_rng(seed)
    ends = [strategies.random_mixture(rng, n, 2, 4.0) for n in (3, 2)]
    value, _, _ = reference_coupled.shifted_transport(*ends, reg, reg_m)
    found = cheapest_shift(
        gaps_of(ends, [1.0, 1.0]), (ends[0][0], ends[1][0]), reg=reg, reg_m=reg_m
    )
    assert found.plan.value <= value + 1e-6 * (1.0 + value)
    moved = ends[0][0], ends[0][1] + found.shift, ends[0][2]
    at_it = mw2_plan(moved, ends[1], reg=reg, reg_m=reg_m)
    assert found.plan.value == pytest.approx(at_it.value, rel=1e-9)


@pytest.mark.parametrize("reg_m", [None, 1.0])
def test_shifts_and_units_of_both_sides_change_no_plan(reg_m):
    rng = np.random.default_rng(5)
    ends = [strategies.random_mixture(rng, n, 2, 4.0) for n in (3, 4)]
    weights, metric = (ends[0][0], ends[1][0]), np.array([1.0, 9.0])
    first = cheapest_shift(gaps_of(ends, metric), weights, reg=0.1, reg_m=reg_m)
    scales, by = np.array([1e3, 1e-2]), np.array([40.0, -7.0])
    moved = [(w, m * scales, c * np.outer(scales, scales)) for w, m, c in ends]
    moved[0] = moved[0][0], moved[0][1] + by, moved[0][2]
    second = cheapest_shift(
        gaps_of(moved, metric * scales**2), weights, reg=0.1, reg_m=reg_m
    )
    np.testing.assert_allclose(second.plan.coupling, first.plan.coupling, atol=1e-8)
    np.testing.assert_allclose(second.shift + by, first.shift * scales, rtol=1e-6)


def test_a_population_that_grew_is_no_shift():
    means = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    covariances = np.repeat(np.eye(2)[None], 3, axis=0)
    ends = (
        (np.array([0.6, 0.2, 0.2]), means, covariances),
        (np.array([0.2, 0.6, 0.2]), means + [30.0, -20.0], covariances),
    )
    found = cheapest_shift(
        gaps_of(ends, [20.0, 20.0]), (ends[0][0], ends[1][0]), reg=0.01, reg_m=1.0
    )
    np.testing.assert_allclose(found.shift, [30.0, -20.0], atol=0.1)
    sums = found.plan.coupling.sum(axis=1), found.plan.coupling.sum(axis=0)
    growth = sums[0] / ends[0][0] * ends[1][0] / sums[1]
    np.testing.assert_allclose(growth, [1 / 3, 3.0, 1.0], rtol=0.25)
