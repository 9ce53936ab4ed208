"""GMMOTTransformer: shifts and units of domains, known mixtures, support, warnings."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.datasets import stack_domains

SHIFTS = (0, 0.5, 1, 3, 8, 10, 30, 100, 1000)
IDENTITY = np.eye(2)
DIRECTIONS = np.array([[1e3, 0.0], [0.0, 1e-2]])


def plain(n_components=3, **parameters):
    return SparseGaussianMixture(
        n_components, sparsity=0.0, random_state=0, **parameters
    )


ESTIMATORS = {"default": None, "plain": plain(), "sparse": SparseGaussianMixture()}
every_estimator = pytest.mark.parametrize("name", list(ESTIMATORS))
every_penalty = pytest.mark.parametrize("reg_m", [None, 1.0])


def clusters(n_clusters, shift, seed=0, n=600):
    """Labelled rows of both domains, the target moved by `shift` in each feature."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])[:n_clusters]
    sides = []
    for by in (0.0, shift):
        labels = rng.integers(n_clusters, size=n)
        rows = centres[labels] + rng.standard_normal((n, 2)) + by
        sides += [rows, labels]
    return sides


def three_mixtures(seed=0, means=((0.0, 0.0), (8.0, 0.0), (0.0, 8.0))):
    """Two mixtures of three components, of shares that change."""
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((6, 2, 2))
    covariances = roots @ roots.swapaxes(1, 2) + 0.3 * np.eye(2)
    means = np.array(means)
    moved = means + rng.normal(0.0, 0.3, (3, 2))
    return (
        (np.array([0.6, 0.2, 0.2]), means, covariances[:3]),
        (np.array([0.2, 0.6, 0.2]), moved, covariances[3:]),
    )


def changed(mixture, linear=IDENTITY, shift=(0.0, 0.0)):
    weights, means, covariances = mixture
    return weights, means @ linear.T + shift, linear @ covariances @ linear.T


def move(source, target, X, **parameters):
    return GMMOTTransformer.from_mixtures(source, target, **parameters).transform(X)


# Shifts


@every_estimator
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_is_carried_however_far(name, shift):
    rng = np.random.default_rng(0)
    source = rng.standard_normal((1000, 1))
    target = rng.standard_normal((1000, 1)) + shift
    X, sample_domain = stack_domains(source, target)
    mover = GMMOTTransformer(ESTIMATORS[name], random_state=0)
    moved = mover.fit(X, sample_domain=sample_domain).transform(source)
    gone, wanted = (moved - source).mean(), target.mean() - source.mean()
    assert abs(gone - wanted) <= max(0.02 * shift, 0.05)


@every_estimator
@pytest.mark.parametrize("n_clusters", [2, 3])
@pytest.mark.parametrize("shift", [3, 8, 30, 100, 1000])
def test_a_classifier_of_moved_rows_serves_the_target(name, n_clusters, shift):
    X0, y0, X1, y1 = clusters(n_clusters, shift)
    X, sample_domain = stack_domains(X0, X1)
    mover = GMMOTTransformer(ESTIMATORS[name], random_state=0)
    moved = mover.fit(X, sample_domain=sample_domain).transform(X0)
    assert NearestCentroid().fit(moved, y0).score(X1, y1) >= 0.99


@every_penalty
@pytest.mark.parametrize("align", ["shift", "scale", "linear"])
def test_shifts_and_units_of_both_sides_move_with_the_rows(align, reg_m):
    source, target = three_mixtures()
    X = np.random.default_rng(1).normal(3.0, 5.0, (50, 2))
    how = {"align": align, "reg": 0.05, "reg_m": reg_m}
    expected = move(source, target, X, **how)
    by = np.array([30.0, -20.0])
    ends = changed(source, DIRECTIONS, by), changed(target, DIRECTIONS, -by)
    moved = move(*ends, X @ DIRECTIONS.T + by, **how)
    np.testing.assert_allclose(
        moved, expected @ DIRECTIONS.T - by, rtol=1e-6, atol=1e-6
    )


@every_penalty
def test_positive_factors_of_one_side_are_undone(reg_m):
    source, target = three_mixtures()
    X = np.random.default_rng(1).normal(3.0, 5.0, (50, 2))
    how = {"align": "scale", "reg": 0.05, "reg_m": reg_m}
    expected = move(source, target, X, **how)
    linear, by = np.diag([3.0, 0.2]), np.array([1.0, 7.0])
    moved = move(changed(source, linear, by), target, X @ linear.T + by, **how)
    np.testing.assert_allclose(moved, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("estimator", [None, plain(2, reg_covar=0.0)])
def test_rows_in_other_units_are_moved_alike(estimator):
    X0, _, X1, _ = clusters(2, 4.0)
    X, sample_domain = stack_domains(X0, X1 * [1.0, 2.0])
    mover = GMMOTTransformer(estimator, random_state=0)
    moved = mover.fit(X, sample_domain=sample_domain).transform(X0)
    factor = 2.0**10  # exact, so that starts are the same
    other = clone(mover).fit(factor * X, sample_domain=sample_domain)
    np.testing.assert_allclose(other.transform(factor * X0), factor * moved, rtol=1e-6)


@pytest.mark.parametrize(
    ("align", "kind"),
    [(None, "full"), ("shift", "full"), ("scale", "full"), ("linear", "full"),
     (None, "diag"), ("shift", "diag"), ("scale", "diag")],
)  # fmt: skip
def test_one_component_gives_the_target_its_moments_in_every_alignment(align, kind):
    rng = np.random.default_rng(3)
    source = rng.standard_normal((4000, 2)) @ np.array([[2.0, 0.7], [0.0, 0.5]])
    target = 3.0 * rng.standard_normal((4000, 2)) + [50.0, -9.0]
    X, sample_domain = stack_domains(source, target)
    mover = GMMOTTransformer(plain(1, covariance_type=kind), align=align)
    moved = mover.fit_transform(X, sample_domain=sample_domain)[: len(source)]
    np.testing.assert_allclose(moved.mean(axis=0), target.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moved.std(axis=0), target.std(axis=0), rtol=0.02)
    back = mover.inverse_transform(moved)
    np.testing.assert_allclose(back, source, atol=1e-6)


@pytest.mark.parametrize("reg", [0.0, 0.1])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_component_without_counterpart_goes_the_way_of_its_domain(reg, strength):
    source, target = three_mixtures(means=((0.0, 0.0), (8.0, 0.0), (0.0, 80.0)))
    left = np.array([0.75, 0.25]), target[1][:2], target[2][:2]
    by = np.array([500.0, -300.0])
    mover = GMMOTTransformer.from_mixtures(
        source, changed(left, shift=by), cost_scale=1.0, reg=reg, reg_m=3.0,
        strength=strength,
    )  # fmt: skip
    np.testing.assert_allclose(mover.alignment_.shift, by, atol=1.0)
    X = source[1][[2]] + [[0.0, 0.0], [0.3, -0.4]]
    moved = mover.transform(X)
    np.testing.assert_allclose(moved, X + strength * mover.alignment_.shift)


def test_a_coupled_estimator_keeps_its_own_alignment_and_units():
    X0, _, X1, _ = clusters(2, 30.0)
    X, sample_domain = stack_domains(X0, X1)
    coupled = CoupledGaussianMixture(2, align="scale", random_state=0)
    mover = GMMOTTransformer(coupled, align=None, cost_scale=1.0)
    mover.fit(X, sample_domain=sample_domain)
    alone = clone(coupled).fit(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(mover.alignment_.linear, alone.alignment_.linear)
    np.testing.assert_array_equal(mover.alignment_.shift, alone.alignment_.shift)
    np.testing.assert_array_equal(mover.cost_scale_, alone.cost_scale_)
    np.testing.assert_array_equal(mover.coupling_, alone.coupling_)
    asked = clone(mover).set_params(reg=5.0).fit(X, sample_domain=sample_domain)
    assert np.abs(asked.coupling_ - alone.coupling_).max() > 0.05
    np.testing.assert_array_equal(asked.alignment_.shift, alone.alignment_.shift)


def test_the_default_estimator_is_given_align_and_cost_scale():
    X0, _, X1, _ = clusters(2, 30.0)
    X, sample_domain = stack_domains(X0, X1)
    for parameters in ({"align": "scale"}, {"align": "linear", "cost_scale": 3.0}):
        mover = GMMOTTransformer(random_state=0, **parameters)
        mover.fit(X, sample_domain=sample_domain)
        alone = CoupledGaussianMixture(random_state=0, **parameters)
        alone.fit(X, sample_domain=sample_domain)
        np.testing.assert_array_equal(mover.coupling_, alone.coupling_)
        np.testing.assert_array_equal(mover.cost_scale_, alone.cost_scale_)


# Known mixtures


def test_known_mixtures_make_the_transformer_of_their_fit():
    X0, _, X1, _ = clusters(3, 8.0)
    X, sample_domain = stack_domains(X0, X1)
    mover = GMMOTTransformer(plain(reg_covar=0.0), map_to="source", strength=0.5)
    mover.fit(X, sample_domain=sample_domain)
    known = GMMOTTransformer.from_mixtures(
        mover.source_, mover.target_, map_to="source", strength=0.5
    )
    assert known.source_ is mover.source_
    np.testing.assert_allclose(known.coupling_, mover.coupling_, atol=1e-9)
    np.testing.assert_allclose(known.alignment_.shift, mover.alignment_.shift)
    np.testing.assert_allclose(known.cost_scale_, mover.cost_scale_, rtol=1e-5)
    # The fit takes the noise of covariances into account, which are known here.
    np.testing.assert_allclose(known.transform(X1), mover.transform(X1), atol=0.1)


def test_tuples_become_fitted_estimators():
    source, target = three_mixtures()
    mover = GMMOTTransformer.from_mixtures(source, target)
    assert mover.n_features_in_ == 2
    assert mover.source_.predict(source[1]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": plain()}, "estimator: expected None"),
        ({"align": "mean"}, "align"),
        ({"reg_m": -1.0}, "reg_m"),
    ],
)
def test_known_mixtures_refuse_parameters_in_words(parameters, message):
    with pytest.raises(ValueError, match=message):
        GMMOTTransformer.from_mixtures(*three_mixtures(), **parameters)


def test_known_mixtures_have_as_many_features_as_each_other():
    source, _ = three_mixtures()
    with pytest.raises(ValueError, match="same number of features"):
        GMMOTTransformer.from_mixtures(source, ([1.0], [[0.0]], [[[1.0]]]))


# Support


@pytest.fixture(name="known")
def fixture_known():
    source, target = three_mixtures()
    by = np.array([100.0, 0.0])
    return source, GMMOTTransformer.from_mixtures(source, changed(target, shift=by))


def test_scores_are_those_of_the_nearest_component_of_the_own_domain(known):
    source, mover = known
    X = np.array([[1.0, 2.0], [8.0, 1.0], [50.0, 50.0]])
    gaps = X[:, None] - source[1]
    squares = np.einsum("nki,kij,nkj->nk", gaps, np.linalg.inv(source[2]), gaps)
    expected = chi2.cdf(squares.min(axis=1), 2)
    np.testing.assert_allclose(mover.support_score(X), expected)
    labels = np.array([1, -1, 1])
    mixed = mover.support_score(X, sample_domain=labels)
    np.testing.assert_allclose(mixed[[0, 2]], expected[[0, 2]])
    assert mixed[1] > 1.0 - 1e-9  # the target is a hundred to the right
    back = clone(mover).set_params(map_to="source")
    back = GMMOTTransformer.from_mixtures(
        mover.source_, mover.target_, **back.get_params(deep=False)
    )
    np.testing.assert_allclose(back.support_score(X)[1], mixed[1])


def test_rows_out_of_support_are_moved_as_asked(known):
    source, mover = known
    X = np.concatenate([source[1], [[300.0, -40.0]]])
    moved, far = mover.transform(X), X[3]
    kept = {}
    for how in ("extrapolate", "shrink", "identity", "nan"):
        kept[how] = mover.set_params(out_of_support=how).transform(X)
        np.testing.assert_allclose(kept[how][:3], moved[:3])
    assert np.isnan(kept["nan"][3]).all()
    np.testing.assert_allclose(kept["identity"][3], far + mover.alignment_.shift)
    # Beyond the edge one step is one step.
    farther = mover.set_params(out_of_support="shrink").transform([far + [5.0, 0.0]])
    assert np.abs(farther[0] - kept["shrink"][3] - [5.0, 0.0]).max() < 0.2
    assert np.abs(kept["shrink"][3] - kept["extrapolate"][3]).max() > 1.0


def test_refused_rows_are_named_by_their_number(known):
    source, mover = known
    mover.set_params(out_of_support="raise")
    X = np.concatenate([[[1e4, 0.0]], source[1], [[300.0, -40.0]]])
    labels = np.array([-1, 1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"got 1 of 4 .* \(row 4 the first\)"):
        mover.transform(X, sample_domain=labels)
    mover.set_params(support_level=1.0 - 1e-12).transform(source[1])


def test_the_largest_slope_is_told_and_bounded():
    source = [1.0], [[0.0, 0.0]], [[[1.0, 0.0], [0.0, 1e-6]]]
    target = [1.0], [[5.0, 5.0]], [np.eye(2)]
    wild = GMMOTTransformer.from_mixtures(source, target)
    assert wild.max_slope_ == pytest.approx(1000.0)
    back = GMMOTTransformer.from_mixtures(source, target, map_to="source")
    assert back.max_slope_ == pytest.approx(1.0)
    tame = GMMOTTransformer.from_mixtures(source, target, max_slope=2.0)
    assert tame.max_slope_ == pytest.approx(2.0)
    np.testing.assert_allclose(tame.transform([[1.0, 1.0]]), [[6.0, 7.0]])


def test_a_component_of_a_handful_of_rows_does_not_stretch():
    rng = np.random.default_rng(5)
    source = np.concatenate(
        [rng.standard_normal((400, 2)), rng.normal(9.0, 1e-4, (4, 2))]
    )
    target = np.concatenate(
        [rng.standard_normal((400, 2)), rng.normal(9.0, 1.0, (9, 2))]
    )
    X, sample_domain = stack_domains(source, target)
    mover = GMMOTTransformer(plain(2)).fit(X, sample_domain=sample_domain)
    assert mover.max_slope_ < 2.0
    known = GMMOTTransformer.from_mixtures(mover.source_, mover.target_)
    assert known.max_slope_ > 500.0


# Warnings


def test_moving_training_rows_of_a_plain_pipeline_warns_at_the_users_line():
    X0, y0, X1, y1 = clusters(2, 5.0)
    X, sample_domain = stack_domains(X0, X1)
    y = np.concatenate([y0, y1])
    pipe = make_pipeline(GMMOTTransformer(plain(2)), LogisticRegression())
    with pytest.warns(UserWarning, match="metadata routing is off") as record:
        pipe.fit(X, y, gmmottransformer__sample_domain=sample_domain)
    assert record[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe.set_params(gmmottransformer__map_to="source")
        pipe.fit(X, y, gmmottransformer__sample_domain=sample_domain)
        GMMOTTransformer(plain(2)).fit_transform(X, sample_domain=sample_domain)
        with sklearn.config_context(enable_metadata_routing=True):
            pipe.set_params(gmmottransformer__map_to="target")
            pipe.fit(X, y, sample_domain=sample_domain)


def test_other_warnings_point_at_the_users_line_too():
    X0, _, X1, _ = clusters(2, 5.0)
    X, sample_domain = stack_domains(X0, X1)
    with pytest.warns(UserWarning, match="coupled with itself") as record:
        GMMOTTransformer(plain(2)).fit(X)
    assert record[0].filename == __file__
    with pytest.warns(UserWarning, match="computed without entropy") as record:
        GMMOTTransformer(plain(2), reg=1e-12).fit(X, sample_domain=sample_domain)
    assert record[0].filename == __file__
