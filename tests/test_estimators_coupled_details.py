"""Promises of the coupled mixture that once could break without a test noticing."""

import numpy as np
import pytest

from skgmmot import CoupledGaussianMixture
from skgmmot.datasets import make_shifted_mixtures, stack_domains
from skgmmot.transport import Mixture


@pytest.fixture(name="small", scope="module")
def fixture_small():
    data = make_shifted_mixtures(400, n_components=3, random_state=1)
    return data, *stack_domains(data.X_source, data.X_target)


def weights_of(X):
    return np.where(X[:, 0] > np.median(X[:, 0]), 2.0, 1.0)


@pytest.mark.parametrize("former", [False, True])
def test_fit_predict_fits_these_rows_and_labels_each_by_its_domain(small, former):
    _, X, sample_domain = small
    weights = weights_of(X)
    model = CoupledGaussianMixture(3, random_state=0)
    if former:  # what an earlier fit found must not be what labels
        model.fit(X + 50.0, sample_domain=-sample_domain)
    given = {"sample_domain": sample_domain, "sample_weight": weights}
    labels = model.fit_predict(X, **given)
    alone = CoupledGaussianMixture(3, random_state=0).fit(X, **given)
    for side in ("source_", "target_"):
        found, expected = getattr(model, side), getattr(alone, side)
        np.testing.assert_array_equal(found.weights_, expected.weights_)
        np.testing.assert_array_equal(found.means_, expected.means_)
    expected = alone.predict(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(labels, expected)
    # The rows of the target are told apart by their own mixture.
    assert (expected != alone.predict(X, sample_domain=np.ones(len(X)))).any()


@pytest.mark.parametrize("frozen", ["source", "target"])
def test_a_warm_start_takes_a_new_start_of_the_frozen_side(small, frozen):
    data, X, sample_domain = small
    first = Mixture(*getattr(data, frozen))
    other = first._replace(means=first.means + 0.5, weights=first.weights[::-1])
    name = f"{frozen}_init"
    model = CoupledGaussianMixture(
        3, frozen=frozen, random_state=0, warm_start=True, **{name: first}
    )
    model.fit(X, sample_domain=sample_domain)
    model.set_params(**{name: other}).fit(X, sample_domain=sample_domain)
    side = getattr(model, f"{frozen}_")
    np.testing.assert_allclose(side.means_, other.means, rtol=1e-12)
    np.testing.assert_allclose(side.weights_, other.weights, rtol=1e-12)
    np.testing.assert_allclose(side.covariances_, other.covariances, rtol=1e-9)
    cold = CoupledGaussianMixture(
        3, frozen=frozen, random_state=0, tol=1e-9, **{name: other}
    ).fit(X, sample_domain=sample_domain)
    model.set_params(tol=1e-9).fit(X, sample_domain=sample_domain)
    assert model.lower_bound_ == pytest.approx(cold.lower_bound_, abs=1e-4)


def test_verbose_2_prints_the_changes_of_the_bound_and_its_end(small, capsys):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(
        3, init_params="pooled", random_state=0, verbose=2, verbose_interval=1
    ).fit(X, sample_domain=sample_domain)
    lines = capsys.readouterr().out.splitlines()
    told = [line.split("\t") for line in lines if "bound change" in line]
    changes = [float(parts[2].split()[-1]) for parts in told]
    expected = np.diff(model.lower_bounds_, prepend=-np.inf)
    np.testing.assert_allclose(changes, expected, rtol=1e-5, atol=1e-12)
    objectives = [float(parts[1].split()[-1]) for parts in told]
    np.testing.assert_allclose(objectives, model.lower_bounds_, atol=6e-11)
    assert lines[-1].split()[-1] == f"{model.lower_bound_:.10f}."


def test_of_several_starts_the_best_is_kept():
    data = make_shifted_mixtures(150, n_components=5, random_state=3)
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    bounds = [
        CoupledGaussianMixture(
            4, init_params="independent", n_init=n_init, random_state=5
        )
        .fit(X, sample_domain=sample_domain)
        .lower_bound_
        for n_init in range(1, 7)  # more starts begin with the same
    ]
    assert np.diff(bounds).min() >= 0.0
    assert bounds[-1] > bounds[0] + 0.01


def test_sample_draws_one_source_row_where_nothing_is_said(small):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0).fit(
        X, sample_domain=sample_domain
    )
    rows, labels = model.sample()
    assert rows.shape == (1, X.shape[1])
    np.testing.assert_array_equal(rows, model.source_.sample(1)[0])
    assert labels.shape == (1,)
