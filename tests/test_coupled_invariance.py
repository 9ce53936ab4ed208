"""What no fit may depend on: a common shift, units, the order of features."""

import itertools

import numpy as np
import pytest

from skgmmot import CoupledGaussianMixture
from skgmmot.datasets import make_shifted_mixtures, stack_domains

FACTORS = np.array([7.0, 0.02])
SHIFT = np.array([300.0, -40.0])
SETTINGS = [
    {"covariance_type": kind, "reg_m": reg_m, "n_components": sizes}
    for kind, reg_m, sizes in itertools.product(
        ["full", "tied", "diag"], [None, 1.0], [3, (3, 2), "bic"]
    )
]


def rows(seed=1, n=300):
    data = make_shifted_mixtures(n, n_components=3, random_state=seed)
    return data.X_source, data.X_target


def fitted(source, target, **settings):
    X, sample_domain = stack_domains(source, target)
    model = CoupledGaussianMixture(tol=1e-7, random_state=0).set_params(**settings)
    model.fit(X, sample_domain=sample_domain)
    return model, model.predict(X, sample_domain=sample_domain)


def assert_same(one, other, atol=1e-6):
    (model, labels), (after, new_labels) = one, other
    np.testing.assert_allclose(after.coupling_, model.coupling_, atol=atol)
    np.testing.assert_allclose(after.costs_, model.costs_, rtol=atol, atol=atol)
    assert abs(after.transport_cost_ - model.transport_cost_) < atol
    for side in ("source_", "target_"):
        weights = (getattr(fit, side).weights_ for fit in (model, after))
        np.testing.assert_allclose(*weights, atol=atol)
    np.testing.assert_array_equal(new_labels, labels)


@pytest.mark.parametrize("settings", SETTINGS)
def test_shifts_and_units_of_both_sides_change_nothing(settings):
    source, target = rows()
    before = fitted(source, target, **settings)
    assert_same(before, fitted(source + SHIFT, target, **settings))
    assert_same(before, fitted(source, target - SHIFT, **settings))
    after = fitted(FACTORS * source, FACTORS * target + SHIFT, **settings)
    assert_same(before, after)
    shift = FACTORS * before[0].alignment_.shift + SHIFT
    np.testing.assert_allclose(after[0].alignment_.shift, shift, rtol=1e-5)
    scales = np.square(FACTORS) * before[0].cost_scale_
    np.testing.assert_allclose(after[0].cost_scale_, scales, rtol=1e-9)


@pytest.mark.parametrize("reg_m", [None, 1.0])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_the_order_of_features_changes_nothing(covariance_type, reg_m):
    data = make_shifted_mixtures(300, n_components=3, n_features=3, random_state=1)
    order = [2, 0, 1]
    settings = {"covariance_type": covariance_type, "reg_m": reg_m, "tol": 1e-12}
    starts = {"source_init": data.source, "target_init": data.target}
    if covariance_type != "full":
        for name, (weights, means, _) in starts.items():
            starts[name] = weights, means, np.array([np.eye(3)] * 3)
    turned = {
        name: (w, m[:, order], c[:, order][:, :, order])
        for name, (w, m, c) in starts.items()
    }
    before = fitted(data.X_source, data.X_target, **settings, **starts)
    turned_rows = data.X_source[:, order], data.X_target[:, order]
    after = fitted(*turned_rows, **settings, **turned)
    assert_same(before, after)
    shift = before[0].alignment_.shift[order]
    np.testing.assert_allclose(after[0].alignment_.shift, shift, atol=1e-5)


@pytest.mark.parametrize("reg_m", [None, 1.0])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
@pytest.mark.parametrize("align", ["scale", "linear"])
def test_factors_of_one_side_change_nothing(align, covariance_type, reg_m):
    if align == "linear" and covariance_type == "diag":
        pytest.skip("linear is for full and tied")
    settings = {"align": align, "covariance_type": covariance_type, "reg_m": reg_m}
    source, target = rows()
    before = fitted(source, target, **settings)
    if align == "scale":
        changed = [(FACTORS * source + SHIFT, target), (source, FACTORS * target)]
    else:  # optimal in common units: one factor of each feature on both sides
        changed = [(FACTORS * source + SHIFT, FACTORS * target), (source, 5.0 + target)]
    for after in changed:
        assert_same(before, fitted(*after, **settings))


def test_the_order_of_features_turns_a_linear_alignment_only():
    data = make_shifted_mixtures(300, n_components=3, n_features=3, random_state=1)
    order = [2, 0, 1]
    sides = data.X_source, data.X_target @ np.diag([1.0, 2.0, 0.5])
    settings = {"align": "linear", "n_components": 1}
    before, _ = fitted(*sides, **settings)
    after, _ = fitted(*(side[:, order] for side in sides), **settings)
    turned = before.alignment_.linear[np.ix_(order, order)]
    np.testing.assert_allclose(after.alignment_.linear, turned, atol=1e-8)


def test_a_feature_without_variance_takes_no_part():
    source, target = rows()
    before = fitted(source, target, n_components=3, tol=1e-12)
    wide = [np.column_stack([x, np.full(len(x), c)]) for x, c in
            ((source, 2.0), (target, 5.0))]  # fmt: skip
    after = fitted(*wide, n_components=3, tol=1e-12)
    np.testing.assert_array_equal(np.isinf(after[0].cost_scale_), [False, False, True])
    assert_same(before, after, atol=1e-5)
    assert after[0].alignment_.shift[2] == pytest.approx(3.0)


def normals(seed, n, shift):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1)), rng.standard_normal((n, 1)) + shift


@pytest.mark.parametrize("shift", [0, 0.5, 1, 3, 8, 10, 30, 100, 1000])
def test_one_dimensional_shifts_are_found_whatever_their_size(shift):
    source, target = normals(0, 1000, shift)
    model, _ = fitted(source, target)
    expected = target.mean() - source.mean()
    np.testing.assert_allclose(model.alignment_.shift, expected, atol=1e-6)
    moved = model.coupling_.sum(axis=1) @ model.source_.means_ + model.alignment_.shift
    np.testing.assert_allclose(moved, target.mean(), atol=1e-6 * max(1, shift))


def three_populations(shift, n=2000, seed=0):
    rng = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    sides = []
    for shares, by in (([0.6, 0.2, 0.2], (0, 0)), ([0.2, 0.6, 0.2], shift)):
        labels = rng.choice(3, n, p=shares)
        sides.append(means[labels] + 0.5 * rng.standard_normal((n, 2)) + by)
    return sides


def test_growth_is_told_from_a_shift():
    results = []
    for shift in ((0.0, 0.0), (3.0, -2.0), (30.0, -20.0)):
        model, _ = fitted(*three_populations(shift), n_components=3, reg_m=1.0)
        order = np.argsort(model.source_.means_ @ [1.0, 2.0])  # 1st, 2nd, 3rd
        growth = (model.source_reweighting_ * model.target_reweighting_)[order]
        np.testing.assert_allclose(growth / [1 / 3, 3.0, 1.0], 1.0, atol=0.25)
        np.testing.assert_allclose(model.alignment_.shift, shift, atol=0.1)
        results.append(model)
    for model in results[1:]:
        np.testing.assert_allclose(model.coupling_, results[0].coupling_, atol=1e-6)


def test_raw_columns_of_very_different_units():
    # Three kinds, told apart by columns in mm and in g; sexes differ by a shift.
    rng = np.random.default_rng(0)
    means = np.array([[38.8, 18.3, 190, 3700], [48.8, 18.4, 196, 3733],
                      [47.5, 15.0, 217, 5076]], dtype=float)  # fmt: skip
    labels = np.tile(np.arange(3).repeat(57), (2, 1))
    spread = np.array([2.2, 0.8, 5.0, 250.0])
    sexes = means[labels] + spread * rng.standard_normal((2, 171, 4))
    sexes[1] += [3.0, 1.2, 6.0, 600.0]
    model, found = fitted(*sexes, n_components=3)
    assert np.trace(model.coupling_) > 0.98
    table = np.zeros((3, 3))
    np.add.at(table, (found, labels.ravel()), 1)
    assert len(set(table.argmax(axis=1))) == 3
    for side, kinds in zip(np.split(found, 2), labels, strict=True):
        assert np.mean(table.argmax(axis=1)[side] == kinds) > 0.95
