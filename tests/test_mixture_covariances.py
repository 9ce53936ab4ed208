"""Covariance types: finishing, factors, derivatives, counts of parameters."""

import numpy as np
import pytest
import reference_mixture as reference
from sklearn.mixture import GaussianMixture
from strategies import spd_stack

from skgmmot.kernels import Moments
from skgmmot.linalg._covariances import TYPES
from skgmmot.linalg._forms import squared_length
from skgmmot.linalg._scatters import ILL_DEFINED, safe_counts
from skgmmot.linalg._spd import whiteners

NAMES = ["full", "tied", "diag", "spherical"]
K, D = 3, 4


def make_moments(seed=0, n=60, offset=0.0):
    """Rows, responsibilities, and their moments about means that are not theirs."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, D)) * [1.0, 2.0, 0.5, 3.0] + offset
    shares = rng.dirichlet(np.ones(K), n)
    means = offset + 0.3 * rng.standard_normal((K, D))
    counts, sums, outers = reference.given_moments(X, shares, means)
    return X, shares, Moments(0.0, float(n), counts, sums, outers, np.zeros(K))


def in_form(moments, kind):
    if kind.full_form:
        return moments
    return moments._replace(seconds=np.diagonal(moments.seconds, axis1=1, axis2=2))


def some_covariances(name, seed=0):
    rng = np.random.default_rng(seed)
    if name == "full":
        return spd_stack(rng, K, D)
    if name == "tied":
        return spd_stack(rng, 1, D)[0]
    return rng.uniform(0.5, 2.0, (K, D) if name == "diag" else K)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("name", NAMES)
def test_estimate_equals_the_reference(name, offset):
    kind = TYPES[name]
    X, shares, moments = make_moments(offset=offset)
    found = kind.estimate(in_form(moments, kind), 1e-3)
    assert found.shape == kind.shape(K, D)
    means = (shares.T @ X) / shares.sum(axis=0)[:, None]
    outers = reference.given_moments(X, shares, means)[2]
    expected = reference.finish_covariances(outers, shares.sum(axis=0), name, 1e-3)
    np.testing.assert_allclose(
        kind.dense(found, K, D), expected, rtol=1e-9, atol=1e-9 * expected.max()
    )


@pytest.mark.parametrize("name", NAMES)
def test_dense_covariances(name):
    covariances = some_covariances(name)
    expected = reference.dense(covariances, name, K, D)
    np.testing.assert_array_equal(TYPES[name].dense(covariances, K, D), expected)


@pytest.mark.parametrize("name", NAMES)
def test_factors_precisions_and_determinants_belong_together(name):
    kind, covariances = TYPES[name], some_covariances(name)
    factors = kind.precisions_cholesky(covariances)
    assert factors.shape == covariances.shape
    precisions = kind.precisions(factors)
    dense = kind.dense(covariances, K, D)
    inverses = np.linalg.inv(dense)
    np.testing.assert_allclose(kind.dense(precisions, K, D), inverses, rtol=1e-9)
    np.testing.assert_allclose(kind.factor_precisions(precisions), factors, rtol=1e-9)
    np.testing.assert_allclose(kind.covariances(factors), covariances, rtol=1e-9)
    weights = np.array([0.2, 0.8, 0.0])
    offsets, _, whiteners = kind.gaussians(weights, np.zeros((K, D)), factors)
    log_dets = -0.5 * np.linalg.slogdet(2.0 * np.pi * dense)[1]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(offsets, np.log(weights) + log_dets, rtol=1e-9)
    if not kind.full_form:
        whiteners = whiteners[:, :, None] * np.eye(D)
    np.testing.assert_array_equal(whiteners, np.tril(whiteners))
    squares = whiteners.swapaxes(1, 2) @ whiteners
    np.testing.assert_allclose(squares, inverses, rtol=1e-9, atol=1e-12)
    roots = kind.roots(covariances)
    np.testing.assert_allclose(kind.from_roots(roots), covariances, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_factors_and_counts_equal_scikit_learns(name):
    X = make_moments(n=200)[0]
    theirs = GaussianMixture(K, covariance_type=name, random_state=0).fit(X)
    kind = TYPES[name]
    factors = kind.precisions_cholesky(theirs.covariances_)
    np.testing.assert_allclose(
        factors, theirs.precisions_cholesky_, rtol=1e-8, atol=1e-12
    )
    n_parameters = kind.n_parameters(K, D) + K * D + K - 1
    assert n_parameters == theirs._n_parameters()


@pytest.mark.parametrize("name", NAMES)
def test_root_gradient_by_finite_differences(name):
    kind = TYPES[name]
    moments = in_form(make_moments()[2], kind)
    rng = np.random.default_rng(1)
    roots = kind.precisions_cholesky(some_covariances(name))
    if kind.full_form:  # any A will do, not only triangular ones
        roots = roots + 0.1 * rng.standard_normal(roots.shape)

    def likelihood(a):
        """The part of the expected log-likelihood that depends on A."""
        if kind.full_form:
            a = np.broadcast_to(a, (K, D, D))
            logs = np.linalg.slogdet(a)[1]
            squares = np.einsum("kij,kil,kjl->k", moments.seconds, a, a)
        else:
            a = np.broadcast_to(a if a.ndim == 2 else a[:, None], (K, D))
            logs = np.log(a).sum(axis=1)
            squares = (a**2 * moments.seconds).sum(axis=1)
        return moments.counts @ logs - 0.5 * squares.sum()

    gradient = kind.root_gradient(roots, moments)
    assert gradient.shape == roots.shape
    step = 1e-5
    for index in np.ndindex(roots.shape):
        change = np.zeros(roots.shape)
        change[index] = step
        slope = (likelihood(roots + change) - likelihood(roots - change)) / (2 * step)
        assert gradient[index] == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_length_of_a_step_equals_the_reference(name):
    """Compiled lengths, which acceleration compares, are those of plain formulas."""
    kind, covariances = TYPES[name], some_covariances(name)
    rng = np.random.default_rng(2)
    weights, logs = rng.dirichlet(np.ones(K)), rng.standard_normal(K)
    means = rng.standard_normal((K, D))
    roots = kind.roots(covariances) * rng.standard_normal(covariances.shape)
    stacks = kind.stack(covariances), logs, means, kind.stack(roots)
    dense = kind.dense(covariances, K, D)
    expected = reference.squared_length(weights, dense, logs, means, roots)
    assert squared_length(weights, *stacks) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5, 40])
def test_whiteners_of_features_in_all_units(d):
    """W Σ Wᵀ = I to rounding of the correlations, where numbers overflow squared."""
    rng = np.random.default_rng(d)
    units = 10.0 ** rng.uniform(-100, 100, d)
    correlated = spd_stack(rng, 2, d)
    found, log_dets = whiteners(correlated * units[:, None] * units)
    scaled = found * units
    identity = scaled @ correlated @ scaled.swapaxes(1, 2)
    np.testing.assert_allclose(identity, np.tile(np.eye(d), (2, 1, 1)), atol=1e-10)
    np.testing.assert_array_equal(found, np.tril(found))
    expected = -0.5 * np.linalg.slogdet(correlated)[1] - np.log(units).sum()
    np.testing.assert_allclose(log_dets, expected, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_components_without_rows_stay_finite(name):
    kind = TYPES[name]
    moments = in_form(make_moments()[2], kind)
    counts, sums, seconds = (np.array(p) for p in moments[2:5])
    counts[1], sums[1], seconds[1] = 0.0, 0.0, 0.0
    empty = moments._replace(counts=counts, sums=sums, seconds=seconds)
    covariances = kind.estimate(empty, 1e-6)
    assert np.isfinite(covariances).all()
    assert np.isfinite(kind.precisions_cholesky(covariances)).all()


def test_safe_counts_are_positive_and_scale_with_small_weights():
    assert (safe_counts(np.array([0.0, 5.0])) > 0.0).all()
    tiny = 1e-25 * np.array([1.0, 5.0])
    np.testing.assert_allclose(safe_counts(tiny), tiny, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["zero", "nan"])
def test_collapsed_covariances_are_refused(name, fault):
    covariances = some_covariances(name)
    covariances[..., 0] = 0.0 if fault == "zero" else np.nan
    with pytest.raises(ValueError, match="ill-defined") as caught:
        TYPES[name].precisions_cholesky(covariances)
    assert str(caught.value) == ILL_DEFINED


@pytest.mark.parametrize("name", ["full", "tied"])
def test_indefinite_covariances_are_refused(name):
    covariances = np.array(np.broadcast_to(np.eye(D), TYPES[name].shape(K, D)))
    covariances[..., 0, 1] = covariances[..., 1, 0] = 2.0
    with pytest.raises(ValueError, match="ill-defined"):
        TYPES[name].precisions_cholesky(covariances)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_precision_is_refused(name):
    kind, precisions = TYPES[name], some_covariances(name)
    kind.check_precisions(precisions)
    with pytest.raises(ValueError, match=f"'{name} precision' should be"):
        kind.check_precisions(-precisions)
    if kind.full_form:
        precisions[..., 0, 1] += 1.0
        with pytest.raises(ValueError, match="symmetric"):
            kind.check_precisions(precisions)


@pytest.mark.parametrize("name", NAMES)
def test_taking_components_keeps_what_is_shared(name):
    covariances = some_covariances(name)
    keep = np.array([True, False, True])
    taken = TYPES[name].take(covariances, keep)
    assert taken.shape == TYPES[name].shape(2, D)
    dense = TYPES[name].dense(taken, 2, D)
    np.testing.assert_array_equal(dense, TYPES[name].dense(covariances, K, D)[keep])


@pytest.mark.parametrize("name", NAMES)
def test_units_of_roots_are_those_of_deviations(name):
    scales = np.array([1.0, 10.0, 100.0, 0.1])
    units = TYPES[name].root_scales(scales)
    roots = np.ones(TYPES[name].shape(K, D))
    assert (roots / units).shape == roots.shape
    same = TYPES[name].root_scales(np.full(D, 5.0))
    np.testing.assert_allclose(same, 5.0)
