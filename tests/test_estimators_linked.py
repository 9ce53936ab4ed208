"""LinkedGaussianMixture: one fit of many samples against fits that are known."""

import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgmmot import (
    CoupledGaussianMixture,
    LinkedGaussianMixture,
    SparseGaussianMixture,
)
from skgmmot.datasets import make_shifted_mixtures, stack_domains
from skgmmot.linalg import as_mixture

MEANS = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])


def course(labels, n=200, seed=0, shares=None, drift=0.3):
    """Three populations that drift and are shifted as a whole, a sample a label."""
    rng = np.random.default_rng(seed)
    X, domains, means = [], [], MEANS
    for i, label in enumerate(labels):
        means = means + drift * rng.standard_normal(means.shape)
        share = None if shares is None else shares[i]
        groups = rng.choice(3, n, p=share)
        X.append(means[groups] + rng.standard_normal((n, 2)) + 2.0 * i)
        domains += [label] * n
    return np.concatenate(X), np.array(domains)


def starts_of(X, domains, size=3):
    """A mixture of each sample, to start from."""
    return {
        label: SparseGaussianMixture(size, sparsity=0.0, tol=1e-2, random_state=0)
        .fit(X[domains == label])
        for label in np.unique(domains).tolist()
    }  # fmt: skip


@pytest.fixture(name="small", scope="module")
def fixture_small():
    X, days = course([0, 1, 2, 4])
    return X, days, LinkedGaussianMixture(3, random_state=0).fit(X, sample_domain=days)


@parametrize_with_checks(
    [LinkedGaussianMixture(), LinkedGaussianMixture(2, reg_m=1.0, align="scale")]
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


# Against CoupledGaussianMixture


@pytest.mark.parametrize("reg_m", [None, 1.0])
@pytest.mark.parametrize("sizes", ["bic", 3, (2, 3)])
@pytest.mark.parametrize(
    ("align", "covariance_type"),
    [
        pair
        for pair in itertools.product(
            ["shift", "scale", "linear", None], ["full", "tied", "diag"]
        )
        if pair != ("linear", "diag")
    ],
)
def test_one_link_is_the_coupled_fit(align, covariance_type, sizes, reg_m):
    data = make_shifted_mixtures(200, n_components=3, random_state=1)
    X, labels = stack_domains(data.X_source, data.X_target)
    settings = {"align": align, "covariance_type": covariance_type, "random_state": 0}
    coupled = CoupledGaussianMixture(sizes, reg_m=reg_m, **settings)
    coupled.fit(X, sample_domain=labels)
    if isinstance(sizes, tuple):
        sizes = {1: sizes[0], -1: sizes[1]}
    linked = LinkedGaussianMixture(sizes, links=[(1, -1)], reg_m=reg_m, **settings)
    linked.fit(X, sample_domain=labels)
    assert linked.domains_ == [-1, 1]
    assert linked.n_iter_ == coupled.n_iter_
    pairs = [
        (linked.lower_bounds_, coupled.lower_bounds_),
        (linked.coupling(1, -1), coupled.coupling_),
        (linked.costs_[0], coupled.costs_),
        (linked.transport_costs_[0], coupled.transport_cost_),
        (linked.transported_masses_[0], coupled.transported_mass_),
        (linked.source_reweightings_[0], coupled.source_reweighting_),
        (linked.target_reweightings_[0], coupled.target_reweighting_),
        (linked.alignments_[0].linear, coupled.alignment_.linear),
        (linked.alignments_[0].shift, coupled.alignment_.shift),
        (linked.cost_scales_[0], coupled.cost_scale_),
    ]
    for method in ("predict_proba", "score_samples", "score", "bic", "aic"):
        pairs.append(
            tuple(
                getattr(m, method)(X, sample_domain=labels) for m in (linked, coupled)
            )
        )
    for side, other in zip(
        linked.mixtures_[::-1], (coupled.source_, coupled.target_), strict=True
    ):
        for name in ("weights_", "means_", "covariances_"):
            pairs.append((getattr(side, name), getattr(other, name)))
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("align", ["shift", "scale", "linear", None])
@pytest.mark.parametrize("reg_m", [None, 1.0])
def test_a_star_with_a_frozen_centre_is_many_frozen_fits(align, reg_m):
    X, labels = course(["a", "b", "c"])
    reference = starts_of(X, labels)["b"]
    inits = starts_of(X, labels)
    settings = {"align": align, "reg_m": reg_m, "tol": 1e-9, "max_iter": 2000}
    star = LinkedGaussianMixture(
        links="star", reference=reference, inits=inits, **settings
    ).fit(X, sample_domain=labels)
    assert star.links_ == [(label, "reference") for label in "abc"]
    for i, label in enumerate("abc"):
        alone = CoupledGaussianMixture(
            frozen="target", source_init=inits[label], target_init=reference, **settings
        ).fit(X[labels == label])
        np.testing.assert_allclose(star.couplings_[i], alone.coupling_, atol=1e-5)
        np.testing.assert_allclose(star.costs_[i], alone.costs_, atol=1e-4)
        mixture = star.mixtures_[i]
        np.testing.assert_allclose(mixture.means_, alone.source_.means_, atol=1e-4)
        np.testing.assert_allclose(
            star.alignments_[i].shift, alone.alignment_.shift, atol=1e-4
        )


def test_a_frozen_sample_is_a_reference_whatever_its_rows():
    X, labels = course(["a", "b", "c"])
    inits = starts_of(X, labels)
    settings = {"tol": 1e-9, "inits": inits}
    known = LinkedGaussianMixture(links="star", reference=inits["b"], tol=1e-9)
    known.set_params(inits={label: inits[label] for label in "ac"})
    known.fit(X[labels != "b"], sample_domain=labels[labels != "b"])
    model = LinkedGaussianMixture(links="star", reference="b", frozen=["b"], **settings)
    fits = [clone_with(model, X, labels), clone_with(model, X + 0 * X, labels)]
    other = X.copy()
    other[labels == "b"] *= 100.0
    fits.append(clone_with(model, other, labels))
    fits.append(clone_with(model, X[labels != "b"], labels[labels != "b"]))
    for fit in fits:
        assert fit.domains_ == ["a", "b", "c"]
        np.testing.assert_array_equal(fit.mixtures_[1].means_, inits["b"].means_)
        assert fit.lower_bound_ == fits[0].lower_bound_
        for one, two in zip(fit.couplings_, known.couplings_, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-9)
    bic = fits[0].bic(X, sample_domain=labels)
    other_rows = fits[0].bic(X[labels != "b"], sample_domain=labels[labels != "b"])
    assert bic == pytest.approx(other_rows)


def clone_with(model, X, labels):
    # Fitted estimators among the starts lose their fit in `clone`.
    return LinkedGaussianMixture(**model.get_params(deep=False)).fit(
        X, sample_domain=labels
    )


# Against independent fits


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_a_chain_without_weight_is_independent_fits(covariance_type):
    X, days = course([0, 1, 2])
    settings = {"tol": 1e-10, "max_iter": 2000, "covariance_type": covariance_type}
    linked = LinkedGaussianMixture(
        3, transport_weight=0.0, random_state=0, reg_covar=0.0, **settings
    ).fit(X, sample_domain=days)
    total = 0.0
    for day, mixture in enumerate(linked.mixtures_):
        rows = X[days == day]
        alone = SparseGaussianMixture(
            3, sparsity=0.0, reg_covar=0.0, weights_init=mixture.weights_,
            means_init=mixture.means_, precisions_init=mixture.precisions_, **settings
        ).fit(rows)  # fmt: skip
        np.testing.assert_allclose(alone.means_, mixture.means_, atol=1e-3)
        np.testing.assert_allclose(alone.weights_, mixture.weights_, atol=1e-4)
        total += alone.score(rows)
    assert linked.lower_bound_ == pytest.approx(total, abs=1e-6)


# What does not matter


def test_integer_weights_equal_repeated_rows():
    X, days = course([0, 1, 3])
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    inits = starts_of(X, days)
    model = LinkedGaussianMixture(inits=inits, tol=1e-10, max_iter=2000)
    weighted = clone_with(model, X, days)
    weighted.fit(X, sample_domain=days, sample_weight=weights)
    repeated = clone_with(model, X.repeat(weights, axis=0), days.repeat(weights))
    for one, other in zip(weighted.couplings_, repeated.couplings_, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
    for one, other in zip(weighted.mixtures_, repeated.mixtures_, strict=True):
        np.testing.assert_allclose(one.means_, other.means_, atol=1e-6)


@pytest.mark.parametrize("reg_m", [None, 1.0])
def test_the_order_of_rows_does_not_matter(reg_m):
    X, days = course([0, 1, 2, 4])
    order = np.random.default_rng(0).permutation(len(X))
    model = LinkedGaussianMixture(3, reg_m=reg_m, random_state=0, tol=1e-9)
    one = clone(model).fit(X, sample_domain=days)
    other = clone(model).fit(X[order], sample_domain=days[order])
    assert one.lower_bound_ == pytest.approx(other.lower_bound_, abs=1e-7)
    places = (
        np.argsort(one.mixtures_[0].means_[:, 0]),
        np.argsort(other.mixtures_[0].means_[:, 0]),
    )
    for left, right in zip(one.couplings_, other.couplings_, strict=True):
        np.testing.assert_allclose(
            left[places[0]][:, places[0]], right[places[1]][:, places[1]], atol=1e-4
        )


def test_names_of_labels_do_not_matter():
    X, days = course([0, 1, 2, 3])
    links = [(0, 1), (1, 2), (3, 1), (0, 2)]
    names = np.array(["late", "early", "z", "b"])
    model = LinkedGaussianMixture(3, reg_m=1.0, random_state=0)
    one = clone(model).set_params(links=links).fit(X, sample_domain=days)
    pairs = [(names[a], names[b]) for a, b in links]
    other = clone(model).set_params(links=pairs).fit(X, sample_domain=names[days])
    assert other.domains_ == sorted(names.tolist())
    assert other.links_ == pairs
    assert other.lower_bound_ == one.lower_bound_
    for left, right in zip(one.couplings_, other.couplings_, strict=True):
        np.testing.assert_array_equal(left, right)
    for i, name in enumerate(names):
        np.testing.assert_array_equal(
            one.mixtures_[i].means_, other.mixtures_[other.domains_.index(name)].means_
        )


@pytest.mark.parametrize("align", ["shift", "scale", "linear"])
def test_shifts_of_samples_and_units_of_features_change_nothing(align):
    X, days = course([0, 1, 2, 4])
    shifts = np.random.default_rng(3).normal(0, 50, (5, 2))
    model = LinkedGaussianMixture(3, align=align, random_state=0, tol=1e-8)
    one = clone(model).fit(X, sample_domain=days)
    moved = (X + shifts[days]) * np.array([7.0, 0.02])
    other = clone(model).fit(moved, sample_domain=days)
    for left, right in zip(one.couplings_, other.couplings_, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)
    for left, right in zip(one.costs_, other.costs_, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-4)


# Links


def test_a_chain_of_times_pulls_harder_where_it_is_short(small):
    X, days, model = small
    assert model.domains_ == [0, 1, 2, 4]
    assert model.links_ == [(0, 1), (1, 2), (2, 4)]
    value = model.score(X, sample_domain=days) * 4
    value -= 0.1 * model.transport_costs_ @ [1.0, 1.0, 0.5]
    assert model.lower_bound_ == pytest.approx(value, abs=1e-6)
    names = np.array(["d0", "d1", "d2", "", "d4"])[days]
    named = LinkedGaussianMixture(3, random_state=0).fit(X, sample_domain=names)
    value = named.score(X, sample_domain=names) * 4
    value -= 0.1 * named.transport_costs_.sum()
    assert named.lower_bound_ == pytest.approx(value, abs=1e-6)


def test_the_objective_never_falls(small):
    bounds = np.array([*small[2].lower_bounds_, small[2].lower_bound_])
    assert (np.diff(bounds) > -1e-9).all()


def test_labels_match_along_the_links(small):
    _, _, model = small
    for coupling in [*model.couplings_, model.coupling(0, 4), model.coupling(4, 0)]:
        assert np.trace(coupling) > 0.95


def test_couplings_compose_along_the_links(small):
    _, _, model = small
    weights = [mixture.weights_ for mixture in model.mixtures_]
    composed = model.coupling(0, 4)
    by_hand = (
        model.couplings_[0]
        @ np.diag(1 / weights[1])
        @ model.couplings_[1]
        @ np.diag(1 / weights[2])
        @ model.couplings_[2]
    )
    np.testing.assert_allclose(composed, by_hand, atol=1e-15)
    np.testing.assert_allclose(composed.sum(axis=1), weights[0], atol=1e-8)
    np.testing.assert_allclose(composed.sum(axis=0), weights[3], atol=1e-8)
    np.testing.assert_allclose(model.coupling(4, 0), composed.T, atol=1e-15)
    np.testing.assert_array_equal(model.coupling(1, 0), model.couplings_[0].T)
    np.testing.assert_array_equal(model.coupling(2, 2), np.diag(weights[2]))


def test_domains_that_no_links_join_have_no_coupling():
    X, days = course([0, 1, 2, 3])
    model = LinkedGaussianMixture(2, links=[(0, 1), (2, 3)], random_state=0)
    model.fit(X, sample_domain=days)
    with pytest.raises(ValueError, match="domains that links join"):
        model.coupling(0, 3)


def test_a_sample_without_links_is_fitted_by_itself():
    X, days = course([0, 1, 2])
    model = LinkedGaussianMixture(3, links=[(0, 1)], random_state=0, tol=1e-9)
    model.fit(X, sample_domain=days)
    alone = SparseGaussianMixture(3, sparsity=0.0, random_state=0, tol=1e-9, n_init=3)
    alone.fit(X[days == 2])
    assert model.mixtures_[2].score(X[days == 2]) == pytest.approx(
        alone.score(X[days == 2]), abs=1e-5
    )


@pytest.mark.parametrize("align", ["shift", "scale", "linear", None])
def test_a_pooled_reference_is_a_mixture_of_all_rows(align):
    X, batches = course(["p", "q", "r"], drift=0.05)
    if align is None:
        X -= np.repeat([0.0, 2.0, 4.0], 200)[:, None]
    model = LinkedGaussianMixture(
        links="star", reference="pooled", align=align, random_state=0
    ).fit(X, sample_domain=batches)
    assert model.domains_ == ["p", "q", "r", "pooled"]
    assert model.links_ == [(name, "pooled") for name in "pqr"]
    weights, means, covariances = as_mixture(model.mixtures_[3])
    centre = weights @ means
    np.testing.assert_allclose(centre, X.mean(axis=0), atol=1e-6)
    within = np.mean([np.cov(X[batches == name].T) for name in "pqr"], axis=0)
    offsets = means - centre
    total = np.einsum("k,kij->ij", weights, covariances)
    total += (weights[:, None] * offsets).T @ offsets
    np.testing.assert_allclose(np.diag(total), np.diag(within), rtol=0.02)
    assert len(weights) == 3
    for coupling in model.couplings_:
        assert np.trace(coupling) > 0.95


# Numbers of components


def test_numbers_by_order_and_by_label_are_the_same():
    X, days = course([0, 1, 2])
    fits = [
        LinkedGaussianMixture(sizes, random_state=0).fit(X, sample_domain=days)
        for sizes in ([1, 2, 3], (1, 2, 3), {2: 3, 0: 1, 1: 2})
    ]
    for fit in fits:
        assert [len(mixture.weights_) for mixture in fit.mixtures_] == [1, 2, 3]
        assert [coupling.shape for coupling in fit.couplings_] == [(1, 2), (2, 3)]
        assert fit.lower_bound_ == fits[0].lower_bound_
        assert fit.predict_proba(X, sample_domain=days).shape == (600, 3)


def test_the_number_is_that_of_all_samples_aligned():
    X, days = course([0, 1, 2, 4])
    model = LinkedGaussianMixture(random_state=0).fit(X, sample_domain=days)
    assert [len(mixture.weights_) for mixture in model.mixtures_] == [3] * 4


def test_the_number_is_that_of_the_nearest_start():
    X, days = course([0, 1, 2, 3])
    inits = {0: starts_of(X, days, 2)[0], 3: starts_of(X, days, 4)[3]}
    model = LinkedGaussianMixture(inits=inits, random_state=0)
    model.fit(X, sample_domain=days)
    assert [len(mixture.weights_) for mixture in model.mixtures_] == [2, 2, 4, 4]


def test_labels_match_across_a_sample_of_another_size():
    X, days = course([0, 1, 2])
    model = LinkedGaussianMixture([3, 4, 3], random_state=0)
    model.fit(X, sample_domain=days)
    assert np.trace(model.coupling(0, 2)) > 0.9


# Populations that grow, die and appear


def test_births_deaths_and_growth_are_plain_numbers():
    shares = [[0.6, 0.38, 0.02], [0.3, 0.68, 0.02], [0.02, 0.38, 0.6]]
    X, days = course([0, 1, 2], n=2000, shares=shares)
    model = LinkedGaussianMixture(3, reg_m=0.5, random_state=0).fit(
        X, sample_domain=days
    )
    kinds = []
    for day, mixture in enumerate(model.mixtures_):
        distances = np.square(mixture.means_[:, None] - MEANS - 2.0 * day).sum(axis=-1)
        kinds.append(distances.argmin(axis=0))
        np.testing.assert_allclose(mixture.weights_[kinds[day]], shares[day], atol=0.03)
    first, second = (
        growth[k] for growth, k in zip(model.growths_, kinds, strict=False)
    )
    assert first[0] == pytest.approx(0.5, abs=0.15)
    assert first[1] == pytest.approx(1.8, abs=0.3)
    assert second[0] < 0.5
    assert model.deaths_[1][kinds[1][0]] > 0.3  # from .3 to .02
    assert model.births_[1][kinds[2][2]] > 0.3  # from .02 to .6
    assert model.deaths_[1][kinds[1][1]] < 0.05


def test_changes_add_up_to_the_shares():
    X, days = course([0, 1], shares=[[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    model = LinkedGaussianMixture(3, reg_m=1.0, random_state=0)
    model.fit(X, sample_domain=days)
    source, target = (mixture.weights_ for mixture in model.mixtures_)
    leaving = source * (1 - model.deaths_[0])
    arriving = target * (1 - model.births_[0])
    assert leaving @ model.growths_[0] == pytest.approx(arriving.sum(), abs=1e-9)


def test_balanced_nothing_is_born_or_dies(small):
    for name, value in (("births_", 0.0), ("deaths_", 0.0), ("growths_", 1.0)):
        for part in getattr(small[2], name):
            np.testing.assert_allclose(part, value, atol=1e-7)


# Starts


@pytest.mark.parametrize("init_params", ["pooled", "independent", "neighbour", "auto"])
@pytest.mark.parametrize("links", ["chain", [(0, 1), (2, 1), (2, 3), (0, 3)]])
def test_every_way_to_start_finds_the_optimum(init_params, links):
    X, days = course([0, 1, 2, 3])
    model = LinkedGaussianMixture(3, links=links, init_params=init_params, n_init=2)
    model.set_params(random_state=0, tol=1e-8).fit(X, sample_domain=days)
    best = LinkedGaussianMixture(3, links=links, random_state=1, tol=1e-8, n_init=2)
    best.fit(X, sample_domain=days)
    assert model.lower_bound_ == pytest.approx(best.lower_bound_, abs=1e-5)


def test_a_neighbour_leads_where_populations_wander():
    # What moves by more than the gaps between populations is no pooled mixture.
    rng = np.random.default_rng(0)
    X, days = [], np.arange(6).repeat(300)
    for day in range(6):
        turn = 0.5 * day
        means = 6.0 * np.array(
            [[np.cos(turn + a), np.sin(turn + a)] for a in (0.0, 2.1, 4.2)]
        )
        X.append(means[rng.integers(3, size=300)] + rng.standard_normal((300, 2)))
    X = np.concatenate(X)
    model = LinkedGaussianMixture(3, init_params="neighbour", random_state=0)
    model.fit(X, sample_domain=days)
    assert np.trace(model.coupling(0, 5)) > 0.95
    angles = [
        np.arctan2(*m.means_[0][::-1]) for m in (model.mixtures_[0], model.mixtures_[5])
    ]
    assert np.exp(1j * (angles[1] - angles[0])) == pytest.approx(np.exp(2.5j), abs=0.2)


def test_warm_start_continues(small):
    X, days, cold = small
    model = LinkedGaussianMixture(3, warm_start=True, random_state=0)
    model.fit(X, sample_domain=days)
    model.fit(X, sample_domain=days)
    assert model.n_iter_ <= 2
    assert model.lower_bound_ >= cold.lower_bound_ - 1e-9
    with pytest.raises(ValueError, match="warm_start=False"):
        model.fit(X, sample_domain=days + 1)


def test_a_warm_start_with_another_number_of_components_is_refused(small):
    X, days, _ = small
    model = LinkedGaussianMixture(3, warm_start=True, random_state=0)
    model.fit(X, sample_domain=days)
    before = model.lower_bound_
    model.set_params(n_components=2)
    with pytest.raises(ValueError, match="n_components: expected the components of"):
        model.fit(X, sample_domain=days)
    assert model.lower_bound_ == before
    model.set_params(n_components="bic").fit(X, sample_domain=days)
    assert [m.n_components_ for m in model.mixtures_] == [3, 3, 3, 3]
    model.set_params(n_components=2, warm_start=False).fit(X, sample_domain=days)
    assert [m.n_components_ for m in model.mixtures_] == [2, 2, 2, 2]


@pytest.mark.parametrize("times", [(0, 1e-6, 1e6), (0, 1e-3, 1e3), (0, 1, 1e4)])
@pytest.mark.parametrize("reg_m", [None, 1.0])
def test_times_of_any_ratio_are_fitted(times, reg_m):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(200, 2)) + [6 * (i % 2), 0] for i in range(6)]
    labels = np.repeat(times, 400)
    model = LinkedGaussianMixture(2, reg_m=reg_m, random_state=0)
    model.fit(np.concatenate(rows), sample_domain=labels)
    for mixture in model.mixtures_:
        np.testing.assert_allclose(mixture.weights_, 0.5, atol=0.05)


def test_messages_tell_how_it_goes(small, capsys):
    X, days, _ = small
    LinkedGaussianMixture(3, verbose=2, verbose_interval=1, random_state=0).fit(
        X, sample_domain=days
    )
    said = capsys.readouterr().out
    assert "Initialization 0" in said
    assert "objective" in said


# Surface


def test_methods_are_those_of_the_mixtures(small):
    X, days, model = small
    order = np.random.default_rng(0).permutation(len(X))
    X, days = X[order], days[order]
    scores = []
    for label, mixture in zip(model.domains_, model.mixtures_, strict=True):
        rows = days == label
        for ours, theirs in (
            ("predict", "predict"),
            ("predict_proba", "predict_proba"),
            ("score_samples", "score_samples"),
        ):
            values = getattr(model, ours)(X, sample_domain=days)[rows]
            np.testing.assert_array_equal(values, getattr(mixture, theirs)(X[rows]))
        scores.append(mixture.score(X[rows]))
    assert model.score(X, sample_domain=days) == pytest.approx(np.mean(scores))
    part = np.isin(days, [1, 4])
    some = model.score(X[part], sample_domain=days[part])
    assert some == pytest.approx(np.mean([scores[1], scores[3]]))
    drawn, labels = model.sample(50, sample_domain=4)
    assert drawn.shape == (50, 2)
    assert (np.diff(labels) >= 0).all()
    np.testing.assert_allclose(drawn.mean(axis=0), X[days == 4].mean(axis=0), atol=2.0)


def test_without_labels_the_sample_is_linked_with_itself():
    X = course([0])[0]
    with pytest.warns(UserWarning, match="linked with itself"):
        model = LinkedGaussianMixture(3, random_state=0).fit(X)
    assert model.domains_ == [0, 1]
    np.testing.assert_allclose(
        model.coupling(0, 1), np.diag(model.mixtures_[0].weights_), atol=1e-2
    )
    assert model.predict(X).shape == (200,)
    assert model.sample(3)[0].shape == (3, 2)
    known = LinkedGaussianMixture(links="star", reference=model.mixtures_[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        known.fit(X)
    assert known.domains_ == [0, "reference"]


def test_types_and_names_of_features_are_kept(small):
    X, days, _ = small
    frame = pd.DataFrame(X.astype(np.float32), columns=["cd3", "cd4"])
    model = LinkedGaussianMixture(3, random_state=0)
    model.fit(frame, sample_domain=pd.Series(days))
    assert list(model.feature_names_in_) == ["cd3", "cd4"]
    assert list(model.mixtures_[2].feature_names_in_) == ["cd3", "cd4"]
    for part in (*model.couplings_, *model.costs_, *model.growths_):
        assert part.dtype in (np.float32, np.float64)
    assert model.mixtures_[0].means_.dtype == frame.to_numpy().dtype
    assert model.predict(frame, sample_domain=days).dtype == np.int64


def test_pickle_gives_the_same_bits(small):
    X, days, model = small
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict_proba(X, sample_domain=days),
        model.predict_proba(X, sample_domain=days),
    )
    np.testing.assert_array_equal(again.coupling(0, 4), model.coupling(0, 4))


def test_grid_search_with_routed_domains(small):
    X, days, _ = small
    order = np.random.default_rng(0).permutation(len(X))
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            LinkedGaussianMixture(random_state=0), {"n_components": [1, 3]}, cv=2
        ).fit(X[order], sample_domain=days[order])
    assert search.best_params_ == {"n_components": 3}


def test_saturation_is_announced_by_link():
    X, days = course([0, 1, 2])
    X -= 2.0 * days[:, None]
    X[days == 2] += 100.0
    model = LinkedGaussianMixture(
        3, reg=0.0, reg_m=0.1, align=None, cost_scale=1.0, random_state=0
    )
    with pytest.warns(UserWarning, match="is moved from domain 1 to domain 2"):
        model.fit(X, sample_domain=days)


REFUSED = [
    ({"links": "ring"}, "links"),
    ({"links": []}, "links"),
    ({"links": [(0, 0)]}, "two different domains once"),
    ({"links": [(0, 1), (1, 0)]}, "once.*twice"),
    ({"links": [(0, 9)]}, r"labels of domains, \[0, 1, 2, 4\], got 9"),
    ({"links": [(0, 1, 2)]}, "pairs of labels"),
    ({"links": "star"}, "reference: expected a label, a mixture or 'pooled'"),
    ({"links": "star", "reference": 7}, "reference: expected labels of domains"),
    ({"reference": 0}, "reference: expected None, since links='chain'"),
    ({"n_components": [2, 3]}, "n_components.*2 values for the domains"),
    ({"n_components": {0: 2}}, r"n_components.*none for \[1, 2, 4\]"),
    ({"n_components": [2, 3, 0, 1]}, "n_components"),
    ({"n_components": {0: 1, 1: 1, 2: 1, 4: 1, 5: 1}}, "n_components.*got 5"),
    ({"n_components": 500}, "n_samples >= n_components"),
    ({"reg_m": [1.0, -1.0, 1.0, 1.0]}, "reg_m"),
    ({"reg_m": {0: 1.0}}, "reg_m"),
    ({"frozen": [0]}, "inits: expected a mixture for 0, since it is frozen"),
    ({"frozen": [[0]]}, r"inits: expected a mixture for \[0\], since it is frozen"),
    ({"inits": {3: ([1.0], [[0.0, 0.0]], [np.eye(2)])}}, "inits.*got 3"),
    ({"inits": {0: ([1.0], [[0.0]], [[[1.0]]])}}, r"inits\[0\]: expected 2 features"),
    (
        {"inits": {0: ([1.0], [[0.0, 0.0]], [np.eye(2)])}, "n_components": 2},
        r"inits\[0\]: expected 2 components",
    ),
    ({"align": "linear", "covariance_type": "diag"}, "align"),
]


@pytest.mark.parametrize(("parameters", "words"), REFUSED)
def test_bad_parameters_are_refused_in_words(small, parameters, words):
    X, days, _ = small
    with pytest.raises(ValueError, match=words):
        LinkedGaussianMixture(**parameters).fit(X, sample_domain=days)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(800), "at least two domains, got the one label 0.0"),
        (np.zeros(3), "one label for each of the 800 rows"),
        (np.r_[np.nan, np.ones(799)], "finite labels"),
        ([0] * 400 + ["a"] * 399 + [None], "numbers or strings"),
        (np.zeros((800, 2)), "sample_domain"),
    ],
)
def test_bad_labels_are_refused_in_words(small, labels, words):
    with pytest.raises(ValueError, match=words):
        LinkedGaussianMixture(2).fit(small[0], sample_domain=labels)


def test_rows_of_unknown_domains_are_refused(small):
    X, days, model = small
    with pytest.raises(ValueError, match=r"\[0, 1, 2, 4\], got 3"):
        model.predict(X, sample_domain=days + 3)
    with pytest.raises(ValueError, match="a label for each row"):
        model.predict(X)
    with pytest.raises(ValueError, match="enable metadata routing"):
        model.score(X)


def test_a_domain_whose_weights_sum_to_zero_is_refused(small):
    X, days, _ = small
    with pytest.raises(ValueError, match="rows of 2 that sum to 0"):
        LinkedGaussianMixture(2).fit(
            X, sample_domain=days, sample_weight=(days != 2).astype(float)
        )


def test_unfitted_says_so():
    for call in (
        lambda model: model.coupling(0, 1),
        lambda model: model.sample(),
        lambda model: model.predict(np.zeros((2, 2))),
    ):
        with pytest.raises(NotFittedError):
            call(LinkedGaussianMixture())
