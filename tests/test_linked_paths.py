"""Between linked samples: mixtures at any time, moved rows, velocities, graphs."""

import sys
import types

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from refusals import assert_refused
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTTransformer,
    LinkedGaussianMixture,
    SparseGaussianMixture,
    cross_validate_links,
)
from skgmmot.datasets import make_shifted_mixtures, make_time_course, stack_domains
from skgmmot.estimators._holdout import sliced_distance
from skgmmot.linalg import Mixture
from skgmmot.linalg._shrinkage import Affine
from skgmmot.transport import mw2_interpolation, mw2_plan
from skgmmot.transport._frame import Frame
from skgmmot.transport._framed_interpolation import framed_interpolation

SIZES = [2, 3, 3, 4, 4]


@pytest.fixture(name="course", scope="module")
def fixture_course():
    return make_time_course(400, kind="growing", random_state=0)


@pytest.fixture(name="linked", scope="module")
def fixture_linked(course):
    linked = LinkedGaussianMixture(SIZES, reg_m=1.0, random_state=0)
    return linked.fit(course.X, sample_domain=course.sample_domain)


def moments(mixture):
    weights, means, covariances = mixture
    mean = weights @ means
    centred = means - mean
    spread = np.einsum("k,ki,kj->ij", weights, centred, centred)
    return mean, np.einsum("k,kij->ij", weights, covariances) + spread


# Interpolation in a frame


def two_mixtures():
    rng = np.random.default_rng(0)
    ends = []
    for k in (2, 3):
        roots = rng.standard_normal((k, 2, 2))
        covariances = roots @ roots.transpose(0, 2, 1) + np.eye(2)
        weights = rng.dirichlet(np.full(k, 5.0))
        ends.append(Mixture(weights, 4 * rng.standard_normal((k, 2)), covariances))
    return ends


FRAMES = {
    "shift": Frame(Affine(np.ones(2), np.array([5.0, -3.0])), np.array([2.0, 9.0])),
    "scale": Frame(Affine(np.array([2.0, 0.5]), np.array([1.0, 2.0])), np.ones(2)),
    "linear": Frame(
        Affine(np.array([[1.5, 0.3], [0.1, 0.8]]), np.array([1.0, 2.0])), np.ones(2)
    ),
}


def test_without_a_frame_it_is_mw2_interpolation():
    source, target = two_mixtures()
    plan = mw2_plan(source, target).coupling
    plain = Frame(Affine(np.ones(2), np.zeros(2)), np.ones(2))
    for t in (0.0, 0.3, 1.0):
        found = framed_interpolation(source, target, t, plan, plain, 1.5)
        expected = mw2_interpolation(source, target, t, plan=plan)
        for part, other in zip(found, expected, strict=True):
            assert_allclose(part, other, atol=1e-12)


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("balanced", [True, False])
def test_ends_are_the_mixtures_themselves(frame, balanced):
    source, target = two_mixtures()
    plan = mw2_plan(source, target, reg_m=None if balanced else 5.0).coupling
    for t, end in ((0.0, source), (1.0, target)):
        found = framed_interpolation(source, target, t, plan, frame, 1.5)
        for value, expected in zip(moments(found), moments(end), strict=True):
            assert_allclose(value, expected, atol=1e-10)


def test_a_domain_that_moved_as_a_whole_moves_evenly():
    source, _ = two_mixtures()
    for frame in FRAMES.values():
        linear, shift = frame.alignment
        matrix = np.diag(linear) if linear.ndim == 1 else linear
        target = Mixture(
            source.weights,
            source.means @ matrix.T + shift,
            matrix @ source.covariances @ matrix.T,
        )
        half = np.eye(2) * 0.75 + 0.25 * matrix
        found = framed_interpolation(
            source, target, 0.25, np.diag(source.weights), frame, 1.5
        )
        assert_allclose(found.means, source.means @ half.T + 0.25 * shift, atol=1e-10)
        expected = half @ source.covariances @ half.T
        assert_allclose(found.covariances, expected, atol=1e-10)


def test_what_fades_goes_with_the_domain():
    source = Mixture(np.array([0.5, 0.5]), np.array([[0.0], [9.0]]), np.ones((2, 1, 1)))
    target = Mixture(np.array([1.0]), np.array([[5.0]]), np.ones((1, 1, 1)))
    frame = Frame(Affine(np.ones(1), np.array([5.0])), np.ones(1))
    plan = np.array([[0.5], [0.0]])  # the second dies
    found = framed_interpolation(source, target, 0.5, plan, frame, 1.0)
    assert_allclose(found.means[-3:, 0], [0.0 + 2.5, 9.0 + 2.5, 5.0 - 2.5])


# Methods


def test_interpolation_at_labels_and_near_them(linked):
    for i, label in enumerate(linked.domains_):
        mixture = linked.interpolate(label)
        assert_array_equal(mixture.means, linked.mixtures_[i].means_)
        for side in (-1e-9, 1e-9):
            if 0.0 <= label + side <= 4.0:
                near = moments(linked.interpolate(label + side))
                for value, expected in zip(near, moments(mixture), strict=True):
                    assert_allclose(value, expected, atol=1e-6)


def test_interpolation_finds_a_time_that_was_left_out(course):
    kept = course.sample_domain != 2
    fit = LinkedGaussianMixture([2, 3, 4, 4], reg_m=3.0, random_state=0)
    fit.fit(course.X[kept], sample_domain=course.sample_domain[kept])
    rows = course.X[~kept]
    halfway = fit.score_holdout(rows, 2.0, metric="sliced")
    for other in (1.0, 3.0):
        assert halfway > fit.score_holdout(rows, other, metric="sliced") + 0.1
        assert fit.score_holdout(rows, 2.0) > fit.score_holdout(rows, other) + 0.1
    assert abs(fit.locate(rows) - 2.0) < 0.3
    assert fit.locate(rows, between=(1.0, 3.0)) == fit.locate(rows)


def test_locate_finds_the_dose_of_a_mixture_on_the_path():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (800, 2)), rng.normal(8, 1, (800, 2))])
    fit = LinkedGaussianMixture(1, random_state=0)
    fit.fit(X, sample_domain=np.repeat([0.0, 10.0], 800))
    for share in (0.2, 0.7):
        rows = rng.normal(8 * share, 1, (2000, 2))
        assert abs(fit.locate(rows) - 10 * share) < 0.15


def test_one_link_moves_rows_as_a_transformer_does():
    data = make_shifted_mixtures(300, n_components=3, shift=4.0, random_state=0)
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    mover = GMMOTTransformer(CoupledGaussianMixture(3, random_state=0))
    mover.fit(X, sample_domain=sample_domain)
    fit = LinkedGaussianMixture(3, links=[("a", "b")], random_state=0)
    fit.fit(X, sample_domain=np.where(sample_domain > 0, "a", "b"))
    moved = fit.move(data.X_source, "a", "b")
    assert_allclose(moved, mover.transform(data.X_source), atol=1e-6)
    back = fit.move(data.X_target, "b", "a")
    assert_allclose(back, mover.inverse_transform(data.X_target), atol=1e-6)


def test_rows_move_along_the_links(linked, course):
    rows = course.X[course.sample_domain == 0]
    step = linked.move(linked.move(rows, 0, 1), 1, 2)
    assert_allclose(linked.move(rows, 0, 2), step)
    assert_array_equal(linked.move(rows, 3, 3), rows)
    drawn = linked.move(rows, 0, 1, method="random", random_state=0)
    assert_array_equal(drawn, linked.move(rows, 0, 1, method="random", random_state=0))
    assert linked.move(rows.astype(np.float32), 0, 1).dtype == np.float32


def test_rows_that_stay_are_copied(linked, course):
    rows = course.X[:5].copy()
    moved = linked.move(rows, 0, 0)
    assert_array_equal(moved, rows)
    assert not np.shares_memory(moved, rows)


def test_velocity_is_displacement_by_time(linked, course):
    rows = course.X[course.sample_domain == 0]
    assert_allclose(linked.velocity(rows, 0), linked.move(rows, 0, 1) - rows)
    later = course.X[course.sample_domain == 4]
    assert_allclose(linked.velocity(later, 4), later - linked.move(later, 4, 3))
    middle = course.X[course.sample_domain == 2]
    expected = 0.5 * (linked.move(middle, 2, 3) - linked.move(middle, 2, 1))
    assert_allclose(linked.velocity(middle, 2), expected)
    twice = LinkedGaussianMixture(SIZES, reg_m=1.0, random_state=0)
    twice.fit(course.X, sample_domain=2 * course.sample_domain)
    assert_allclose(twice.velocity(middle, 4.0), 0.5 * expected, atol=1e-6)


def test_graph_has_populations_and_masses(linked, monkeypatch):
    class DiGraph:
        def __init__(self):
            self.nodes, self.edges = {}, {}

        def add_node(self, node, **data):
            self.nodes[node] = data

        def add_edge(self, first, second, **data):
            self.edges[first, second] = data

    monkeypatch.setitem(sys.modules, "networkx", types.SimpleNamespace(DiGraph=DiGraph))
    graph = linked.to_networkx()
    assert len(graph.nodes) == sum(SIZES)
    assert_allclose(graph.nodes[0.0, 1]["share"], linked.mixtures_[0].weights_[1])
    mass = sum(data["mass"] for data in graph.edges.values())
    assert_allclose(mass, sum(plan.sum() for plan in linked.couplings_), atol=1e-4)
    assert all(data["mass"] >= 1e-6 for data in graph.edges.values())
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="pip install networkx"):
        linked.to_networkx()


def test_sliced_distance_of_a_shift_is_its_length():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 3))
    shift = np.array([1.0, -2.0, 0.5])
    found = sliced_distance(rows, rows + shift, np.random.RandomState(0))
    assert_allclose(found, np.linalg.norm(shift), rtol=0.08)
    same = sliced_distance(rows, rows[::-1], np.random.RandomState(0))
    assert_allclose(same, 0.0, atol=1e-14)


def test_bad_input(linked, course):
    rows = course.X[:5]
    assert_refused(lambda: linked.interpolate(9.0), "t")
    assert_refused(lambda: linked.interpolate("late"), "t")
    assert_refused(lambda: linked.interpolate(0.5, max_growth=0.5), "max_growth")
    assert_refused(lambda: linked.move(rows, 0, 17), "target")
    assert_refused(lambda: linked.move(rows, 0, 1, method="best"), "method")
    assert_refused(lambda: linked.move(rows[:, :1], 0, 1), "X")
    assert_refused(lambda: linked.velocity(rows, "day 1"), "domain")
    assert_refused(lambda: linked.score_holdout(rows, 1.0, metric="r2"), "metric")
    for between in (3, (0, 1, 2), (0, 17), (), "01"):
        assert_refused(lambda: linked.locate(rows, between=between), "between")  # noqa: B023
    for least in (None, "a", -1.0):
        assert_refused(lambda: linked.to_networkx(min_mass=least), "min_mass")  # noqa: B023
    words = LinkedGaussianMixture(2, random_state=0)
    words.fit(course.X, sample_domain=[f"t{t:.0f}" for t in course.sample_domain])
    assert_refused(lambda: words.interpolate(0.5), "t")
    assert_refused(lambda: words.locate(rows), "between")


# Settings


def test_selection_scores_what_was_left_out(course):
    fit = LinkedGaussianMixture(dict(enumerate(SIZES)), reg_m=1.0, random_state=0)
    selection = cross_validate_links(
        fit, course.X, course.sample_domain, left_out=[2],
        param_grid={"reg_m": [0.01, 3.0], "max_growth": [1.5]},
    )  # fmt: skip
    assert selection.scores.shape == (2, 1)
    kept = course.sample_domain != 2
    again = LinkedGaussianMixture([2, 3, 4, 4], reg_m=3.0, random_state=0)
    again.fit(course.X[kept], sample_domain=course.sample_domain[kept])
    expected = again.score_holdout(course.X[~kept], 2.0, metric="sliced")
    assert_allclose(selection.scores[1, 0], expected)
    assert selection.best == {"max_growth": 1.5, "reg_m": 3.0}


def test_selection_says_what_it_expected(course):
    fit = LinkedGaussianMixture(2, random_state=0)
    X, times = course.X, course.sample_domain
    star = LinkedGaussianMixture(2, links="star", reference=0.0)
    assert_refused(lambda: cross_validate_links(star, X, times), "estimator")
    assert_refused(lambda: cross_validate_links(fit, X, times > 1), "sample_domain")
    assert_refused(lambda: cross_validate_links(fit, X, times[:3]), "sample_domain")
    assert_refused(
        lambda: cross_validate_links(fit, X, times, left_out=[0]), "left_out"
    )
    assert_refused(lambda: cross_validate_links(fit, X, times, metric="r2"), "metric")
    for left_out in ([], 1, ["late"]):
        assert_refused(
            lambda: cross_validate_links(fit, X, times, left_out=left_out),  # noqa: B023
            "left_out",
        )


def test_selection_tells_of_fits_that_failed(course):
    fit = LinkedGaussianMixture(2, random_state=0)

    def select(fit, grid):
        X, times = course.X, course.sample_domain
        return cross_validate_links(fit, X, times, param_grid=grid, left_out=[2])

    with pytest.warns(FitFailedWarning, match="1 of 2 fits failed.*transport_weight"):
        selection = select(fit, {"transport_weight": [-1.0, 0.1]})
    assert_array_equal(np.isnan(selection.scores), [[True], [False]])
    assert selection.best == {"transport_weight": 0.1}
    # A list has a value for the sample that is left out too: no fit can take it.
    listed = LinkedGaussianMixture([2] * len(SIZES), random_state=0)
    text = assert_refused(lambda: select(listed, {"reg": [0.1]}), "param_grid")
    assert f"{len(SIZES)} values for the domains" in text


def test_selection_leaves_out_a_frozen_sample(course):
    kept = course.sample_domain == 2
    start = SparseGaussianMixture(2, sparsity=0, random_state=0).fit(course.X[kept])
    fit = LinkedGaussianMixture(2, random_state=0)
    inits, scores = {2: FrozenEstimator(start)}, []
    for settings in ({}, {"inits": inits, "frozen": [2]}):
        selection = cross_validate_links(
            fit.set_params(**settings), course.X, course.sample_domain,
            param_grid={"reg": [0.1]}, left_out=[2],
        )  # fmt: skip
        scores.append(selection.scores)
    assert_array_equal(*scores)
