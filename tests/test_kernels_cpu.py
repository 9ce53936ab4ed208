"""The primitives against double loops, and where they could break.

Of the twin that is in use: with SKGMMOT_KERNELS=numpy, of the readable one.
"""

import numpy as np
import pytest
import reference_mixture as reference
from strategies import spd_stack

from skgmmot.kernels import Gaussians, Moments, kernels_for

DIMENSIONS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 33]
FORMS = ["full", "diagonal"]
RTOL = 1e-10
kernels = kernels_for(np.empty((0, 1)))


def gaussians_of(mixture, form):
    """A mixture (dense covariances) as the kernels read it."""
    weights, means, covariances = mixture
    d = means.shape[1]
    if form == "full":
        whiteners = np.linalg.inv(np.linalg.cholesky(covariances))
        roots = np.diagonal(whiteners, axis1=1, axis2=2)
    else:
        whiteners = roots = 1.0 / np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    with np.errstate(divide="ignore"):
        offsets = np.log(weights) + np.log(roots).sum(axis=1)
    return Gaussians(offsets - 0.5 * d * np.log(2 * np.pi), means, whiteners)


def make_problem(seed, n, d, n_components, form, spread=1.5):
    """Rows near a mixture, the mixture, and the mixture as kernels read it."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_components, 3.0))
    means = spread * rng.standard_normal((n_components, d))
    covariances = spd_stack(rng, n_components, d, condition=10.0)
    if form == "diagonal":
        covariances = covariances * np.eye(d)
    labels = rng.choice(n_components, n, p=weights)
    roots = np.linalg.cholesky(covariances)
    draws = rng.standard_normal((n, d))
    X = means[labels] + np.einsum("nij,nj->ni", roots[labels], draws)
    mixture = weights, means, covariances
    return X, mixture, gaussians_of(mixture, form)


def assert_close(found, expected, rtol=RTOL):
    """Equal to rtol of the largest entry: sums may cancel in single entries."""
    scale = max(1e-300, np.max(np.abs(expected), initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale)


def in_form(outers, form):
    return outers if form == "full" else np.diagonal(outers, axis1=1, axis2=2)


def assert_moments(found, X, sample_weight, mixture, form, rtol=RTOL):
    likelihood, mass, counts, sums, outers = reference.moments(
        X, sample_weight, mixture
    )
    np.testing.assert_allclose(found.log_likelihood, likelihood, rtol=rtol)
    np.testing.assert_allclose(found.mass, mass, rtol=1e-14)
    assert_close(found.counts, counts, rtol)
    assert_close(found.sums, sums, rtol)
    assert_close(found.seconds, in_form(outers, form), rtol)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_primitives_equal_the_reference(d, form):
    X, mixture, gaussians = make_problem(d, 30, d, 4, form)
    rng = np.random.default_rng(d)
    weights = rng.uniform(0.5, 2.0, len(X))
    assert_close(kernels.log_density(X, gaussians), reference.log_densities(X, mixture))
    expected = reference.posteriors(X, mixture)
    assert_close(kernels.posteriors(X, gaussians), expected)
    np.testing.assert_array_equal(kernels.labels(X, gaussians), expected.argmax(axis=1))
    found = kernels.moments(X, weights, gaussians, deletion=True)
    assert_moments(found, X, weights, mixture, form)
    assert_close(found.deletion, reference.deletion_sums(X, weights, mixture))
    assert not kernels.moments(X, weights, gaussians).deletion.any()


@pytest.mark.parametrize("spread", [1.0, 30.0])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", [1, 3, 4, 5, 9])
def test_rows_are_held_back_and_added(d, form, spread):
    # Apart, a component has few rows in a tile, and they wait for those of the next.
    X, mixture, gaussians = make_problem(d, 900, d, 6, form, spread)
    weights = np.random.default_rng(d).uniform(size=len(X))
    found = kernels.moments(X, weights, gaussians)
    assert_moments(found, X, weights, mixture, form)
    responsibilities = reference.posteriors(X, mixture) * weights[:, None]
    given = kernels.given_moments(X, responsibilities, mixture[1], form == "full")
    for name in ("counts", "sums", "seconds"):
        assert_close(getattr(given, name), getattr(found, name))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("d", DIMENSIONS)
def test_maps_equal_the_reference(d, form):
    X, mixture, gaussians = make_problem(d, 20, d, 3, form)
    rng = np.random.default_rng(d)
    linear, shifts = rng.standard_normal((3, d, d)), rng.standard_normal((3, d))
    if form == "diagonal":
        linear = linear * np.eye(d)
    given = linear if form == "full" else np.diagonal(linear, axis1=1, axis2=2)
    assert_close(
        kernels.apply_maps(X, gaussians, given, shifts),
        reference.apply_maps(X, mixture, linear, shifts),
    )
    index = rng.integers(3, size=len(X))
    expected = [
        linear[i] @ (x - mixture[1][i]) + shifts[i]
        for x, i in zip(X, index, strict=True)
    ]
    found = kernels.apply_selected(X, index, mixture[1], given, shifts)
    assert_close(found, np.array(expected))


@pytest.mark.parametrize("d", DIMENSIONS)
def test_nearest_equals_the_reference(d):
    rng = np.random.default_rng(d)
    X, centers = rng.standard_normal((140, d)), rng.standard_normal((5, d))
    labels, distances = kernels.nearest(X, centers)
    expected = reference.nearest(X, centers)
    np.testing.assert_array_equal(labels, expected[0])
    assert_close(distances, expected[1])
    assert labels.dtype == np.int64


@pytest.mark.parametrize("form", FORMS)
def test_given_moments_equal_the_reference(form):
    X, mixture, _ = make_problem(0, 150, 5, 3, form)
    given = np.random.default_rng(1).dirichlet(np.ones(3), len(X))
    given[:40, 1] = 0.0
    found = kernels.given_moments(X, given, mixture[1], form == "full")
    counts, sums, outers = reference.given_moments(X, given, mixture[1])
    assert_close(found.counts, counts)
    assert_close(found.sums, sums)
    assert_close(found.seconds, in_form(outers, form))
    np.testing.assert_allclose(found.mass, given.sum())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("n", "n_components"),
    [(1, 1), (1, 4), (3, 7), (127, 2), (128, 2), (129, 2), (255, 1), (257, 2)],
)
def test_sizes_around_the_tile_fewer_rows_than_components_one_component(
    n, n_components, form
):
    X, mixture, gaussians = make_problem(n, n, 3, n_components, form)
    found = kernels.moments(X, None, gaussians, deletion=n_components > 1)
    assert_moments(found, X, None, mixture, form)
    if n_components > 1:
        assert_close(found.deletion, reference.deletion_sums(X, None, mixture))
    assert_close(kernels.posteriors(X, gaussians), reference.posteriors(X, mixture))
    assert_close(kernels.log_density(X, gaussians), reference.log_densities(X, mixture))


@pytest.mark.parametrize("n", [1023, 1024, 1025, 40_001])
def test_no_row_is_lost_where_ranges_are_cut(n):
    X, mixture, gaussians = make_problem(0, n, 2, 3, "full")
    found = kernels.moments(X, None, gaussians)
    # The sums of rows one by one, from another primitive.
    shares = kernels.posteriors(X, gaussians)
    assert_close(found.counts, shares.sum(axis=0))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-14)
    likelihood = kernels.log_density(X, gaussians).sum()
    np.testing.assert_allclose(found.log_likelihood, likelihood, rtol=1e-12)
    for k in range(3):
        shifted = X - mixture[1][k]
        assert_close(found.sums[k], shares[:, k] @ shifted)
        assert_close(found.seconds[k], (shares[:, [k]] * shifted).T @ shifted)
    assert found.mass == n


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_give_empty_sums(form):
    X, _, gaussians = make_problem(0, 3, 2, 2, form)
    found = kernels.moments(X[:0], None, gaussians)
    assert found.mass == found.log_likelihood == 0.0
    assert not found.counts.any()
    assert not found.seconds.any()
    assert kernels.posteriors(X[:0], gaussians).shape == (0, 2)


@pytest.mark.parametrize("form", FORMS)
def test_repeated_points(form):
    X, mixture, gaussians = make_problem(1, 3, 4, 3, form)
    repeated = np.repeat(X, 50, axis=0)
    found = kernels.moments(repeated, None, gaussians, deletion=True)
    once = kernels.moments(X, np.full(3, 50.0), gaussians, deletion=True)
    for a, b in zip(found, once, strict=True):
        assert_close(a, b, 1e-12)
    assert_moments(once, X, np.full(3, 50.0), mixture, form)


@pytest.mark.parametrize("form", FORMS)
def test_weight_zero_is_a_row_that_is_not_there(form):
    X, mixture, gaussians = make_problem(2, 200, 3, 3, form)
    weights = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    found = kernels.moments(X, weights, gaussians, deletion=True)
    assert_moments(found, X, weights, mixture, form)
    kept = weights > 0
    expected = kernels.moments(X[kept], weights[kept], gaussians, deletion=True)
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, 1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("form", FORMS)
def test_moments_scale_with_the_weights(form, scale):
    X, _, gaussians = make_problem(3, 200, 3, 3, form)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    found = kernels.moments(X, scale * weights, gaussians, deletion=True)
    expected = kernels.moments(X, weights, gaussians, deletion=True)
    for a, b in zip(found, expected, strict=True):
        assert_close(np.asarray(a) / scale, b, 1e-12)
    shares = kernels.posteriors(X, gaussians) * weights[:, None]
    means = gaussians.means
    found = kernels.given_moments(X, scale * shares, means, form == "full")
    assert_close(found.seconds / scale, expected.seconds, 1e-10)


def test_near_singular_covariance():
    # x = m + L z with L = [[1, 0], [1, s]]: W = L^-1 is exact for s a power of two.
    s = 2.0**-20
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 2))
    X = np.column_stack([z[:, 0], z[:, 0] + s * z[:, 1]])
    whitener = np.array([[[1.0, 0.0], [-1.0 / s, 1.0 / s]]])
    offsets = np.array([-np.log(s) - np.log(2 * np.pi)])
    gaussians = Gaussians(offsets, np.zeros((1, 2)), whitener)
    y = np.column_stack([X[:, 0], (X[:, 1] - X[:, 0]) / s])
    expected = offsets[0] - 0.5 * (y**2).sum(axis=1)
    np.testing.assert_allclose(kernels.log_density(X, gaussians), expected, rtol=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_units_do_not_matter(form):
    X, mixture, gaussians = make_problem(5, 100, 3, 3, form)
    units = 2.0 ** np.array([-60, 0, 60])
    covariances = mixture[2] * np.outer(units, units)
    whiteners = gaussians.whiteners / units
    scaled = Gaussians(gaussians.offsets, mixture[1] * units, whiteners)
    assert np.isfinite(covariances).all()
    assert_close(
        kernels.log_density(X * units, scaled), kernels.log_density(X, gaussians)
    )
    assert_close(
        kernels.posteriors(X * units, scaled), kernels.posteriors(X, gaussians)
    )


@pytest.mark.parametrize("form", FORMS)
def test_huge_offset(form):
    X, mixture, _ = make_problem(6, 200, 3, 3, form)
    X, means = X + 1e8, mixture[1] + 1e8
    mixture = mixture[0], means, mixture[2]
    gaussians = gaussians_of(mixture, form)
    assert_close(kernels.log_density(X, gaussians), reference.log_densities(X, mixture))
    found = kernels.moments(X, None, gaussians, deletion=True)
    assert_moments(found, X, None, mixture, form)
    # The same rows without the offset: nothing is lost by it.
    back = X - 1e8
    near = gaussians._replace(means=means - 1e8)
    for a, b in zip(
        found, kernels.moments(back, None, near, deletion=True), strict=True
    ):
        assert_close(a, b)
    labels, distances = kernels.nearest(X, means)
    expected = reference.nearest(back, means - 1e8)
    np.testing.assert_array_equal(labels, expected[0])
    assert_close(distances, expected[1])


@pytest.mark.parametrize("form", FORMS)
def test_float32_rows_are_read_exactly_and_added_in_float64(form):
    X, mixture, gaussians = make_problem(7, 150, 5, 3, form)
    single = X.astype(np.float32)
    found = kernels.moments(single, None, gaussians, deletion=True)
    assert all(np.asarray(part).dtype == np.float64 for part in found)
    assert_moments(found, single.astype(np.float64), None, mixture, form)
    expected = reference.log_densities(single.astype(np.float64), mixture)
    density = kernels.log_density(single, gaussians)
    assert density.dtype == np.float64
    assert_close(density, expected)


def layouts(X):
    """The same rows, laid out in other ways."""
    read_only = X.copy()
    read_only.flags.writeable = False
    strided = np.empty((2 * len(X), 2 * X.shape[1]))[::2, ::2]
    strided[:] = X
    return {
        "read-only": read_only,
        "strided": strided,
        "reversed": X[::-1].copy()[::-1],
        "fortran": np.asfortranarray(X),
    }


@pytest.mark.compiled
@pytest.mark.parametrize("layout", ["read-only", "strided", "reversed", "fortran"])
@pytest.mark.parametrize("form", FORMS)
def test_layout_does_not_matter(form, layout):
    X, mixture, gaussians = make_problem(8, 150, 3, 3, form)
    other = layouts(X)[layout]
    weights = np.random.default_rng(0).uniform(size=len(X))
    other_weights = np.repeat(weights, 2)[::2]
    for a, b in zip(
        kernels.moments(other, other_weights, gaussians, deletion=True),
        kernels.moments(X, weights, gaussians, deletion=True),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    for primitive in (kernels.log_density, kernels.posteriors, kernels.labels):
        np.testing.assert_array_equal(
            primitive(other, gaussians), primitive(X, gaussians)
        )
    np.testing.assert_array_equal(
        kernels.nearest(other, mixture[1][:, ::-1]),
        kernels.nearest(X, mixture[1][:, ::-1]),
    )


def test_arguments_are_not_written_to():
    X, mixture, gaussians = make_problem(9, 50, 3, 3, "full")
    copies = [a.copy() for a in (X, *gaussians)]
    kernels.moments(X, None, gaussians, deletion=True)
    kernels.posteriors(X, gaussians)
    kernels.apply_maps(X, gaussians, gaussians.whiteners, mixture[1])
    for array, copy in zip((X, *gaussians), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
        assert array.flags.writeable


@pytest.mark.parametrize("distance", [1e3, 1e8, 1e20, 1e155, 1e200, 1e307])
@pytest.mark.parametrize("form", FORMS)
def test_far_away_points_stay_finite(form, distance):
    _, mixture, gaussians = make_problem(10, 5, 3, 4, form)
    directions = np.random.default_rng(0).standard_normal((200, 3)).clip(-5, 5)
    X = distance * directions
    X[::7] = -X[::7]
    posterior = kernels.posteriors(X, gaussians)
    assert np.isfinite(posterior).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-14)
    assert np.isfinite(kernels.log_density(X, gaussians)).all()
    labels = kernels.labels(X, gaussians)
    assert ((labels >= 0) & (labels < 4)).all()
    draws = kernels.draw_labels(X, gaussians, np.linspace(0, 1, 200, endpoint=False))
    assert ((draws >= 0) & (draws < 4)).all()
    zeros = np.zeros_like(gaussians.whiteners)
    images = kernels.apply_maps(X / 1e3, gaussians, zeros, mixture[1])
    assert np.isfinite(images).all()


@pytest.mark.parametrize("form", FORMS)
def test_component_of_weight_zero_takes_no_part(form):
    X, mixture, _ = make_problem(11, 100, 2, 3, form)
    weights = np.array([0.4, 0.0, 0.6])
    gaussians = gaussians_of((weights, *mixture[1:]), form)
    posterior = kernels.posteriors(X, gaussians)
    assert not posterior[:, 1].any()
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-14)
    assert not (kernels.labels(X, gaussians) == 1).any()
    uniforms = np.linspace(0, 1, len(X), endpoint=False)
    assert not (kernels.draw_labels(X, gaussians, uniforms) == 1).any()
    found = kernels.moments(X, None, gaussians, deletion=True)
    assert found.counts[1] == 0.0
    assert found.deletion[1] == 0.0
    far = kernels.posteriors(X + 1e200, gaussians)
    np.testing.assert_allclose(far.sum(axis=1), 1.0, rtol=1e-14)


def test_deletion_keeps_its_digits_where_a_posterior_is_nearly_one():
    X, mixture, gaussians = make_problem(12, 60, 2, 2, "full", spread=8.0)
    expected = reference.deletion_sums(X, None, mixture)
    assert expected.min() < -500.0  # 1 - r is far below the rounding of r
    found = kernels.moments(X, None, gaussians, deletion=True).deletion
    assert_close(found, expected)


def test_draws_follow_the_posterior():
    X, mixture, gaussians = make_problem(13, 4, 2, 3, "full", spread=0.5)
    n = 4000
    uniforms = (np.arange(n) + 0.5) / n
    for x in X:
        rows = np.repeat(x[None], n, axis=0)
        drawn = kernels.draw_labels(rows, gaussians, uniforms)
        assert (np.diff(drawn) >= 0).all()  # inverse CDF: monotone in the uniforms
        shares = np.bincount(drawn, minlength=3) / n
        expected = reference.posteriors(x[None], mixture)[0]
        np.testing.assert_allclose(shares, expected, atol=1.5 / n)


@pytest.mark.parametrize("form", FORMS)
def test_same_bits_for_every_number_of_threads(form):
    X, mixture, gaussians = make_problem(14, 20_000, 6, 16, form)
    weights = np.random.default_rng(0).uniform(size=len(X))
    uniforms = np.random.default_rng(1).uniform(size=len(X))
    shares = np.random.default_rng(2).dirichlet(np.ones(16), len(X))
    calls = [
        lambda t: kernels.moments(X, weights, gaussians, True, t),
        lambda t: kernels.given_moments(X, shares, mixture[1], form == "full", t),
        lambda t: [kernels.log_density(X, gaussians, t)],
        lambda t: [kernels.posteriors(X, gaussians, t)],
        lambda t: [kernels.labels(X, gaussians, t)],
        lambda t: [kernels.draw_labels(X, gaussians, uniforms, t)],
        lambda t: kernels.nearest(X, mixture[1], t),
        lambda t: [
            kernels.apply_maps(X, gaussians, gaussians.whiteners, mixture[1], t)
        ],
    ]
    for call in calls:
        expected = call(1)
        for threads in (2, 4):
            for a, b in zip(call(threads), expected, strict=True):
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_moments_of_two_parts_add_up_to_those_of_the_whole():
    X, _, gaussians = make_problem(15, 300, 4, 3, "full")
    parts = [kernels.moments(part, None, gaussians, True) for part in (X[:77], X[77:])]
    whole = kernels.moments(X, None, gaussians, True)
    for a, b, c in zip(*parts, whole, strict=True):
        assert_close(np.asarray(a) + b, c, 1e-12)
    assert isinstance(whole, Moments)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [1, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 3000])
def test_fourth_moments_equal_the_reference(n, d, dtype):
    rng = np.random.default_rng(d)
    X, center = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=d)
    weights, units = rng.uniform(size=n), rng.uniform(0.5, 2.0, d)
    for units[-1] in (1.0, np.inf):
        for given in (weights, None):
            found = kernels.fourth_moment(X, given, center, units)
            expected = reference.fourth_moment(X, given, center, units)
            np.testing.assert_allclose(found, expected, rtol=1e-12)
