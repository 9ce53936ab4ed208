"""Batches around a reference, bootstraps of linked fits, their picture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from refusals import assert_refused, assert_unchanged, state_of

from skgmmot import (
    CoupledGaussianMixture,
    LinkedGaussianMixture,
    LinksDisplay,
    batch_report,
)

MEANS = np.array([[0.0, 0.0], [6.0, 1.0], [1.0, 7.0]])
SHIFTS = {"a": np.zeros(2), "b": np.array([2.0, -1.0]), "c": np.array([-1.0, 3.0])}


def batches(n=300, names="abc", seed=0, shares=(0.5, 0.3, 0.2)):
    rng = np.random.default_rng(seed)
    rows, labels, populations = [], [], []
    for name in names:
        y = rng.choice(3, n, p=shares)
        rows.append(MEANS[y] + rng.standard_normal((n, 2)) + SHIFTS[name])
        labels += [name] * n
        populations.append(y)
    return np.concatenate(rows), np.array(labels), np.concatenate(populations)


@pytest.fixture(name="data", scope="module")
def fixture_data():
    return batches()


@pytest.fixture(name="star", scope="module")
def fixture_star(data):
    star = LinkedGaussianMixture(3, links="star", reference="a", random_state=0)
    return star.fit(data[0], sample_domain=data[1])


def test_batches_come_to_the_reference(star, data):
    X, labels, populations = data
    moved = star.to_reference(X, labels, min_events=0)
    assert_array_equal(moved[labels == "a"], X[labels == "a"])
    for name in "bc":
        for k in range(3):
            rows = moved[(labels == name) & (populations == k)]
            there = X[(labels == "a") & (populations == k)]
            assert_allclose(rows.mean(axis=0), there.mean(axis=0), atol=0.6)
        own = labels == name
        assert_allclose(moved[own], star.move(X[own], name, "a"), atol=1e-12)


def test_rare_populations_keep_the_map_of_the_whole(star, data):
    X, labels, _ = data
    own = X[labels == "b"]
    rare = star.to_reference(own, ["b"] * len(own), min_events=1000)
    number = star.links_.index(("b", "a"))
    linear, shift = star.alignments_[number]
    assert_allclose(rare, own * linear + shift, atol=1e-9)
    some = star.to_reference(own, ["b"] * len(own), min_events=80)
    counts = star.mixtures_[1].predict_proba(own).sum(axis=0)
    k = int(counts.argmin())
    assert counts[k] < 80 < np.sort(counts)[1]
    inside = star.mixtures_[1].predict_proba(own)[:, k] > 1 - 1e-9
    assert inside.sum() > 20
    assert_allclose(some[inside], rare[inside], atol=1e-6)
    large = star.mixtures_[1].predict_proba(own)[:, counts.argmax()] > 1 - 1e-9
    assert_allclose(some[large], star.move(own[large], "b", "a"), atol=1e-6)


def test_batches_go_through_the_control_that_they_share(data):
    X, labels, _ = data
    chain = LinkedGaussianMixture(3, links=[("c", "b"), ("b", "a")], random_state=0)
    chain.fit(X, sample_domain=labels)
    rows = X[labels == "c"]
    moved = chain.to_reference(rows, ["c"] * len(rows), reference="a", min_events=0)
    through = chain.move(chain.move(rows, "c", "b"), "b", "a")
    assert_allclose(moved, through)
    assert_refused(lambda: chain.to_reference(rows, ["c"] * len(rows)), "reference")


@pytest.mark.parametrize("reg_m", [None, 1.0])
def test_a_new_batch_changes_nothing_that_was_fitted(data, reg_m):
    X, labels, populations = data
    old = labels != "c"
    star = LinkedGaussianMixture(
        3, links="star", reference="a", reg_m=reg_m, random_state=0
    )
    star.fit(X[old], sample_domain=labels[old])
    kept = [side.means_.copy() for side in star.mixtures_]
    star.add_sample(X[~old], "c")
    assert star.domains_ == ["a", "b", "c"]
    assert star.links_[-1] == ("c", "a")
    for side, means in zip(star.mixtures_, kept, strict=False):
        assert_array_equal(side.means_, means)
    # The same as a fit of the new batch alone with the reference frozen.
    reference = star.mixtures_[0]
    alone = CoupledGaussianMixture(
        3, reg_m=reg_m, frozen="target", random_state=0,
        target_init=(reference.weights_, reference.means_, reference.covariances_),
    ).fit(X[~old])  # fmt: skip
    found = np.sort(star.mixtures_[2].weights_)
    assert_allclose(found, np.sort(alone.source_.weights_), atol=1e-5)
    assert_allclose(star.transport_costs_[-1], alone.transport_cost_, atol=1e-5)
    # Labels are those of the reference, and all methods know the batch.
    assert star.couplings_[-1].trace() > 0.9
    moved = star.to_reference(X[~old], ["c"] * (~old).sum(), min_events=0)
    for k in range(3):
        rows = moved[populations[~old] == k]
        there = X[(labels == "a") & (populations == k)]
        assert_allclose(rows.mean(axis=0), there.mean(axis=0), atol=0.6)
    assert star.predict(X[~old], sample_domain=labels[~old]).shape == ((~old).sum(),)
    for name in ("births_", "deaths_", "growths_", "costs_", "alignments_"):
        assert len(getattr(star, name)) == 2


def test_new_batches_that_are_refused(star, data):
    X, labels, _ = data
    before = state_of(star)
    assert_refused(lambda: star.add_sample(X[:50], "b"), "label")
    assert_refused(lambda: star.add_sample(X[:50, :1], "d"), "X")
    assert_refused(lambda: star.add_sample(X[:50], "d", reference="z"), "reference")
    for label in (None, 3, np.nan, ["d"], np.array(["d", "e"])):
        assert_refused(lambda: star.add_sample(X[:50], label), "label")  # noqa: B023
    assert_refused(lambda: star.to_reference(X, labels[:9]), "sample_domain")
    assert_refused(lambda: star.to_reference(X, ["z"] * len(X)), "sample_domain")
    assert_refused(lambda: star.to_reference(X, labels, min_events=-1), "min_events")
    assert_refused(lambda: star.to_reference(X, labels, method="random"), "method")
    assert_unchanged(star, before)


def test_a_star_keeps_its_reference(data):
    X, labels, _ = data
    star = LinkedGaussianMixture(3, links="star", reference="a", random_state=0)
    star.fit(X[labels != "c"], sample_domain=labels[labels != "c"])
    before = star.to_reference(X[labels == "b"], ["b"] * 300)
    star.add_sample(X[labels == "c"], "c", reference="b")
    assert_array_equal(star.to_reference(X[labels == "b"], ["b"] * 300), before)


# The report


def test_report_is_plain_distances_and_shares(star, data):
    X, labels, _ = data
    moved = star.to_reference(X, labels)
    report = batch_report(
        X, moved, labels, reference="a", gates=star.mixtures_[0].predict
    )
    assert report.batches == ["a", "b", "c"]
    assert_array_equal(report.distance_before[0], 0.0)
    # Of as many rows, distances of the sorted values.
    gaps = np.sort(X[labels == "b"], axis=0) - np.sort(X[labels == "a"], axis=0)
    assert_allclose(report.distance_before[1], np.abs(gaps).mean(axis=0))
    gaps = np.sort(moved[labels == "b"], axis=0) - np.sort(X[labels == "a"], axis=0)
    assert_allclose(report.distance_after[1], np.abs(gaps).mean(axis=0))
    assert (report.distance_after < 0.4 * report.distance_before)[1:].all()
    assert_allclose(report.share_after.sum(axis=1), 1.0)
    gated = star.mixtures_[0].predict(moved[labels == "c"])
    assert_allclose(report.share_after[2], np.bincount(gated, minlength=3) / 300)
    pooled = batch_report(X, moved, labels)
    assert pooled.populations == []
    assert pooled.share_before.shape == (3, 0)
    assert pooled.distance_before.min() > 0.0


def test_report_says_what_it_expected(data):
    X, labels, _ = data
    assert_refused(lambda: batch_report(X[0], X[0], labels), "before")
    assert_refused(lambda: batch_report(X, X[:9], labels), "after")
    assert_refused(lambda: batch_report(X, X, labels[:9]), "sample_domain")
    assert_refused(lambda: batch_report(X, X, labels, reference="z"), "reference")
    assert_refused(lambda: batch_report(X, X, labels, gates=lambda rows: 1), "gates")
    assert_refused(lambda: batch_report(X, X, labels, gates=3), "gates")
    mixed = np.array([None] + ["x"] * (len(X) - 1), dtype=object)
    assert_refused(lambda: batch_report(X, X, labels, gates=lambda _: mixed), "gates")
    assert_refused(lambda: batch_report(X, X, mixed), "sample_domain")
    assert_refused(lambda: batch_report(X[:0], X[:0], labels[:0]), "before")
    assert_refused(lambda: batch_report(X, np.full_like(X, np.nan), labels), "after")
    missing = np.where(labels == "a", np.nan, 1.0)
    assert_refused(lambda: batch_report(X, X, missing), "sample_domain")


# Bootstrap


def test_bootstrap_of_one_link_is_the_coupled_one(data):
    X, labels, _ = data
    own = labels != "c"
    X, labels = X[own], labels[own]
    sides = np.where(labels == "a", 1, -1)
    coupled = CoupledGaussianMixture(3, random_state=0).fit(X, sample_domain=sides)
    linked = LinkedGaussianMixture(3, random_state=0).fit(X, sample_domain=labels)
    how = {"n_bootstraps": 4, "random_state": 0}
    first = coupled.bootstrap(X, sample_domain=sides, **how)
    second = linked.bootstrap(X, sample_domain=labels, **how)
    for one, other in ((first, second), (first.debiased, second.debiased)):
        assert_allclose(other.weights[0], one.source_weights, atol=1e-7)
        assert_allclose(other.means[1], one.target_means, atol=1e-6)
        assert_allclose(other.couplings[0], one.coupling, atol=1e-7)
        assert_allclose(other.transport_costs[0], one.transport_cost, atol=1e-7)
        ends = other.intervals["couplings"][0]
        assert_allclose(ends, one.intervals["coupling"], atol=1e-7)


@pytest.mark.parametrize("reference", ["b", "pooled"])
def test_bootstrap_of_a_star(data, reference):
    X, labels, _ = data
    star = LinkedGaussianMixture(3, links="star", reference=reference, random_state=0)
    star.fit(X, sample_domain=labels)
    before = state_of(star)
    record = star.bootstrap(X, sample_domain=labels, n_bootstraps=30, random_state=0)
    assert_unchanged(star, before)
    for side, weights, means in zip(
        star.mixtures_, record.weights, record.means, strict=True
    ):
        assert weights.shape == (30, 3)
        assert_allclose(weights.mean(axis=0), side.weights_, atol=0.03)
        assert_allclose(means.mean(axis=0), side.means_, atol=0.2)
    for plan, draws in zip(star.couplings_, record.couplings, strict=True):
        assert_allclose(draws.mean(axis=0), plan, atol=0.03)
    if reference == "pooled":  # it stays as it is
        assert np.ptp(record.weights[-1], axis=0).max() == 0.0
        assert np.ptp(record.debiased.weights[-1], axis=0).max() == 0.0
    else:
        assert np.ptp(record.weights[1], axis=0).min() > 0.0


def test_bootstrap_refuses_other_samples(star, data):
    X, labels, _ = data
    assert_refused(lambda: star.bootstrap(X), "sample_domain")
    own = labels != "c"
    assert_refused(
        lambda: star.bootstrap(X[own], sample_domain=labels[own]), "sample_domain"
    )
    assert_refused(
        lambda: star.bootstrap(X, sample_domain=labels, n_bootstraps=1), "n_bootstraps"
    )


# The picture


def test_links_display_draws_masses(pyplot, star):
    display = LinksDisplay.from_estimator(star)
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == list("abc")
    for dots, side in zip(display.dots_, star.mixtures_, strict=True):
        assert_allclose(dots.get_sizes(), 1600 * side.weights_)
    thick = [
        np.ptp(
            band.get_paths()[0].vertices[:, 1][band.get_paths()[0].vertices[:, 0] == 0]
        )
        for band in display.bands_[:3]
    ]
    masses = np.concatenate([plan[plan >= 2e-3] for plan in star.couplings_])
    assert len(display.bands_) == len(masses)
    assert_allclose(thick, star.couplings_[0][star.couplings_[0] >= 2e-3], atol=1e-9)


def test_descendants_keep_the_colour(pyplot):
    one = ([1.0], [[0.0]], [[[1.0]]])
    two = ([0.7, 0.3], [[0.0], [3.0]], [[[1.0]], [[1.0]]])
    display = LinksDisplay(["x", "y", "z"], [one, two, two], [(0, 1), (1, 2)],
                           [[[0.7, 0.3]], [[0.7, 0.0], [0.0, 0.0]]]).plot()  # fmt: skip
    first, second, third = display.colors_
    assert second[0] == first[0] != second[1]
    assert third[0] == second[0]
    assert third[1] not in (second[0], second[1])  # comes from nowhere


def test_links_display_draws_components_over_time(pyplot, star):
    display = LinksDisplay.from_estimator(star).plot_components((1, 0))
    assert len(display.ax_.patches) == 9
    assert display.ax_.get_xlabel() == "feature 1"
    assert_refused(lambda: display.plot_components((0, 2)), "features")


def test_links_display_says_what_it_expected():
    one = ([1.0], [[0.0]], [[[1.0]]])
    assert_refused(lambda: LinksDisplay(["x"], [one, one], [], []), "mixtures")
    assert_refused(
        lambda: LinksDisplay(["x", "y"], [one] * 2, [(0, 1)], []), "couplings"
    )
    assert_refused(
        lambda: LinksDisplay(["x", "y"], [one] * 2, [(0, 1)], [np.eye(2)]), "couplings"
    )
