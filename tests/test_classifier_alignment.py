"""Whether a shift is told from changed shares, and who may watch a classifier's fit."""

import numpy as np
import pytest
import reference_classifier
from recorder import Recorder

from skgmmot import GMMOTClassifier
from skgmmot.datasets import stack_domains
from skgmmot.estimators._class_evidence import gain_of_alignment
from skgmmot.estimators._classes import Labelled
from skgmmot.linalg._shrinkage import Affine


def rows_of(rng, counts, d=4):
    """Three classes at corners, with labels."""
    y = np.repeat(np.arange(3), counts)
    return 3.0 * np.eye(3, d)[y] + rng.standard_normal((len(y), d)), y


def fitted(X_source, y, X_target, callback=None, **parameters):
    X, sample_domain = stack_domains(X_source, X_target)
    labels = np.concatenate([y, np.full(len(X_target), -1)])
    model = GMMOTClassifier(**parameters)
    if callback is not None:
        model.set_callbacks(callback)
    return model.fit(X, labels, sample_domain=sample_domain)


def gain(X_source, y, X_target, alignment, weight=None, free=True):
    source = Labelled(X_source, None, y, 3, 1)
    return gain_of_alignment(source, X_target, weight, alignment, 0.0, free)


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("d", [2, 4])
def test_the_gain_is_that_of_the_reference(d, free):
    rng = np.random.default_rng(d)
    y = np.repeat(np.arange(3), (30, 20, 25))
    X_source = 2.0 * rng.standard_normal((3, d))[y] + rng.standard_normal((75, d))
    X_target = X_source[10:60] + 0.3 * rng.standard_normal((50, d)) + 0.4
    linear = np.eye(d) + 0.2 * rng.standard_normal((d, d))
    shift = rng.standard_normal(d)
    found = gain(X_source, y, X_target, Affine(linear, shift), free=free)
    expected = reference_classifier.gain_of_alignment(
        X_source, y, X_target, linear, shift, free
    )
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_gain_does_not_depend_on_units_and_counts_weights():
    rng = np.random.default_rng(0)
    X_source, y = rows_of(rng, (30, 20, 25))
    X_target = rows_of(rng, (10, 20, 15))[0] + 0.5
    counts = rng.integers(1, 4, len(X_target))
    alignment = Affine(np.eye(4), np.full(4, 0.5))
    repeated = gain(X_source, y, np.repeat(X_target, counts, axis=0), alignment)
    weighted = gain(X_source, y, X_target, alignment, counts.astype(float))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-9)
    larger = Affine(np.eye(4), np.full(4, 512.0))
    scaled = gain(1024.0 * X_source, y, 1024.0 * X_target, larger)
    np.testing.assert_allclose(scaled, gain(X_source, y, X_target, alignment))


def test_nothing_moves_where_only_shares_change():
    rng = np.random.default_rng(1)
    X_source, y = rows_of(rng, (80, 80, 80))
    X_target, y_target = rows_of(rng, (200, 10, 40))
    model = fitted(X_source, y, X_target)
    np.testing.assert_array_equal(model.alignment_.linear, np.eye(4))
    np.testing.assert_array_equal(model.alignment_.shift, np.zeros(4))
    np.testing.assert_allclose(model.target_.means_, model.source_.means_, rtol=1e-12)
    assert model.n_iter_ == 1
    assert model.converged_
    np.testing.assert_allclose(model.class_shares_, [0.8, 0.04, 0.16], atol=0.05)
    always = fitted(X_source, y, X_target, align="linear")
    lead = model.score(X_target, y_target) - always.score(X_target, y_target)
    assert lead > 0.02


def test_a_shift_is_followed_though_shares_change():
    rng = np.random.default_rng(2)
    X_source, y = rows_of(rng, (80, 80, 80))
    X_target, y_target = rows_of(rng, (60, 40, 50))
    X_target = 1.5 * X_target + [4.0, -3.0, 2.0, 0.0]
    found, linear = (fitted(X_source, y, X_target, align=a) for a in ("auto", "linear"))
    np.testing.assert_array_equal(found.target_.means_, linear.target_.means_)
    assert found.score(X_target, y_target) > 0.9


def test_a_single_class_is_aligned():
    rng = np.random.default_rng(3)
    X_source, X_target = rng.normal(size=(2, 50, 2))
    model = fitted(X_source, np.zeros(50, dtype=int), X_target + 3.0)
    np.testing.assert_allclose(model.alignment_.shift, 3.0, atol=0.8)


@pytest.fixture(name="moved", scope="module")
def fixture_moved():
    rng = np.random.default_rng(4)
    X_source, y = rows_of(rng, (50, 40, 30))
    return X_source, y, 1.5 * rows_of(rng, (30, 40, 50))[0] + 2.0


@pytest.mark.parametrize("align", ["linear", None])
def test_callbacks_see_every_alignment_and_round(moved, align):
    pytest.importorskip("sklearn.callback")
    seen = Recorder()
    model = fitted(*moved, seen, align=align)
    bare = fitted(*moved, align=align)
    np.testing.assert_array_equal(model.target_.means_, bare.target_.means_)
    assert vars(model).keys() - {"_skl_callbacks"} == vars(bare).keys()
    assert seen.names.count("start") == (1 if align is None else 2)
    last = "".join(name[0] for name in seen.names[:-2]).split("s")[-1]
    assert last == "i" * model.n_iter_
    assert seen.names[-2:] == ["start", "fit"]
    assert seen.ended == ["setup", "teardown"]
    # The last of them is the fit itself, earlier ones are its rounds.
    expected = model.predict_proba(moved[2])
    np.testing.assert_array_equal(seen.fitted[-1].predict_proba(moved[2]), expected)
    early = seen.fitted[-model.n_iter_]
    assert early.n_iter_ == 1
    assert not early.converged_


def test_a_callback_can_stop_a_classifier(moved):
    pytest.importorskip("sklearn.callback")
    seen = Recorder(stop_after=3)
    model = fitted(*moved, seen, align=None)
    assert seen.names == ["iteration"] * 3 + ["start", "fit"]
    assert model.n_iter_ == 3
    assert not model.converged_
    posteriors = model.target_.predict_proba(moved[2])
    np.testing.assert_allclose(posteriors.mean(axis=0), model.class_shares_, atol=1e-9)


def test_a_callback_that_stops_the_first_alignment_stops_the_second(moved):
    pytest.importorskip("sklearn.callback")
    seen = Recorder(stop_after=2)
    model = fitted(*moved, seen, align="linear")
    tasks = ["iteration"] * 2 + ["start", "iteration", "start", "fit"]
    assert seen.names == tasks
    assert model.n_iter_ == 1
    assert not model.converged_
