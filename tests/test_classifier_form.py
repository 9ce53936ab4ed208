"""Where target rows tell little of a move, the source speaks: rows under a kernel."""

import numpy as np
import pytest
import reference_classifier

from skgmmot import GMMOTClassifier
from skgmmot.datasets import stack_domains
from skgmmot.estimators._class_evidence import gain_of_alignment
from skgmmot.estimators._class_form import (
    NOTHING,
    blend_of,
    kernel_of,
    kernel_probabilities,
)
from skgmmot.estimators._classes import Labelled, alignment_of, domain_moments


def rows_of(rng, counts, d=4, spread=1.0):
    """Three classes at corners, with labels."""
    y = np.repeat(np.arange(3), counts)
    return 2.0 * np.eye(3, d)[y] + spread * rng.standard_normal((len(y), d)), y


def fitted(X_source, y, X_target, **parameters):
    X, sample_domain = stack_domains(X_source, X_target)
    labels = np.concatenate([y, np.full(len(X_target), -1)])
    return GMMOTClassifier(**parameters).fit(X, labels, sample_domain=sample_domain)


def kernels(X, y, weights=None):
    return kernel_of(Labelled(X, weights, y, 3, 1), 0.0)


def gain(X_source, y, X_target):
    source, target = (domain_moments(X, None, 1) for X in (X_source, X_target))
    alignment = alignment_of("linear", source, target)
    rows = Labelled(X_source, None, y, 3, 1)
    return gain_of_alignment(rows, X_target, None, alignment, 1e-6, True)


def test_probabilities_of_kernels_are_those_of_the_reference():
    rng = np.random.default_rng(0)
    X, y = rows_of(rng, (30, 20, 25))
    target = rows_of(rng, (10, 10, 10))[0] + 0.5
    found = kernel_probabilities(kernels(X, y), target)
    expected = reference_classifier.kernel_probabilities(X, y, target)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert kernel_probabilities(kernels(X, y), target[:0]).shape == (0, 3)


def test_kernels_count_weights_and_see_no_units():
    rng = np.random.default_rng(1)
    X, y = rows_of(rng, (12, 20, 15))
    counts = rng.integers(1, 4, len(X))
    target = rows_of(rng, (10, 10, 10))[0]
    repeated = kernels(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    weighted = kernels(X, y, counts.astype(float))
    expected = kernel_probabilities(repeated, target)
    found = kernel_probabilities(weighted, target)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    larger = kernels(512.0 * X, y, counts.astype(float))
    found = kernel_probabilities(larger, 512.0 * target)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_far_rows_have_probabilities_too():
    rng = np.random.default_rng(2)
    X, y = rows_of(rng, (12, 20, 15))
    found = kernel_probabilities(kernels(X, y), np.full((1, 4), 1e8))
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_of_many_rows_kernels_keep_an_even_sample_in_any_order():
    rng = np.random.default_rng(3)
    X, y = rows_of(rng, (3000, 2000, 1000))
    order = rng.permutation(len(X))
    target = rows_of(rng, (10, 10, 10))[0]
    first, second = kernels(X, y), kernels(X[order], y[order])
    assert len(first.rows) == 2000
    shares = first.masses.sum(axis=0) / 2000.0
    np.testing.assert_allclose(shares, [0.5, 1 / 3, 1 / 6], atol=0.03)
    found = kernel_probabilities(second, target)
    np.testing.assert_allclose(found, kernel_probabilities(first, target), atol=1e-7)


def test_parts_of_the_source_fall_with_the_gain():
    assert blend_of(np.inf) == NOTHING
    assert sum(blend_of(1e4)) == 0.0
    assert blend_of(-1.0) == blend_of(0.0) == (0.0, 0.0, 0.0, 0.5)
    gains = np.geomspace(1e-6, 10.0, 40)
    parts = np.array([blend_of(g) for g in gains])
    assert (np.diff(parts.sum(axis=1)) < 0.0).all()
    np.testing.assert_allclose(parts[0], 0.2, atol=1e-5)
    expected = np.array([0.3, 0.3, 0.3 * np.exp(-1.0), 0.3 * np.exp(-1.0)])
    expected /= 0.5 + 0.3 + expected.sum()
    np.testing.assert_allclose(blend_of(0.5), expected)


@pytest.mark.parametrize("offset", [0.6, 1.5, 6.0])
def test_probabilities_are_means_of_all_that_speaks(offset):
    rng = np.random.default_rng(4)
    X, y = rows_of(rng, (40, 30, 50))
    target = rows_of(rng, (40, 40, 20))[0] @ np.diag([1.2, 0.8, 1.0, 1.1]) + offset
    model = fitted(X, y, target)
    g = gain(X, y, target)
    assert g > 0.0
    A, b = model.alignment_
    there = X @ A.T + b
    tied = GMMOTClassifier(align=None, covariance_type="tied", reg_m=None)
    sample_domain = np.repeat([1, -1], [len(X), 1])
    labels = np.append(y, -1)
    tied.fit(np.vstack([there, target[:1]]), labels, sample_domain=sample_domain)
    stayed = 0.3 * np.exp(-2.0 * g)
    parts = np.array([g + 0.3, 0.3, 0.3, stayed, stayed])
    parts = np.where(parts / parts.sum() >= 0.02, parts, 0.0) / parts.sum()
    parts[0] = 1.0 - parts[1:].sum()
    reference = reference_classifier.kernel_probabilities
    expected = reference_classifier.blended(
        parts,
        [
            model.target_.predict_proba(target),
            tied.source_.predict_proba(target),
            reference(there, y, target),
            model.source_.predict_proba(target),
            reference(X, y, target),
        ],
    )
    expected **= 1.0 - parts[0] * (1.0 - 0.75)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(target), expected, atol=1e-5)


def test_where_nothing_moves_rows_and_components_share_the_say():
    rng = np.random.default_rng(5)
    X, y = rows_of(rng, (40, 40, 40))
    few = np.flatnonzero((y == 0) | (np.arange(len(y)) % 8 == 0))
    target = X[few] + 0.01
    model = fitted(X, y, target)
    np.testing.assert_array_equal(model.alignment_.linear, np.eye(4))
    expected = reference_classifier.blended(
        (0.5, 0.5),
        (
            model.target_.predict_proba(target),
            reference_classifier.kernel_probabilities(X, y, target),
        ),
    )
    expected **= 1.0 - 0.5 * (1.0 - 0.75)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(target), expected, atol=1e-5)


def test_an_alignment_that_is_asked_for_leaves_all_to_the_components():
    rng = np.random.default_rng(6)
    X, y = rows_of(rng, (40, 30, 50))
    target = X[::2] + 0.4
    for parameters in ({"align": "linear"}, {"n_components_per_class": 2}):
        model = fitted(X, y, target, **parameters)
        posteriors = model.target_.predict_proba(target)
        classes = np.eye(3)[model.component_classes_]
        expected = (posteriors @ classes) ** 0.75
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict_proba(target), expected, atol=1e-7)


def test_classes_of_any_form_are_told_apart_where_little_moves():
    rng = np.random.default_rng(7)

    def rings(n):
        y = np.repeat([0, 1], n)
        angle = rng.uniform(0.0, 2.0 * np.pi, 2 * n)
        radius = np.where(y == 0, 1.0, 2.5) + 0.1 * rng.standard_normal(2 * n)
        return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), y

    (X, y), (target, y_target) = rings(150), rings(150)
    X[:, 0] += 0.5 * y  # lest means be equal
    target[:, 0] += 0.5 * y_target
    linear = fitted(X, y, target, align="linear")
    assert fitted(X, y, target).score(target, y_target) > linear.score(target, y_target)
