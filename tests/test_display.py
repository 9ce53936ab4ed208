"""Displays keep the data they are given and draw them where they are."""

import sys
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from skgmmot import SparseGaussianMixture
from skgmmot.datasets import make_mixture, make_shifted_mixtures
from skgmmot.display import CouplingDisplay, MixtureDisplay, PathDisplay


@pytest.fixture
def data():
    return make_mixture(
        200, n_components=3, n_features=4, weights=[0.5, 0.3, 0.2], random_state=0
    )


def outline(ellipse):
    """Points on an ellipse, in data coordinates."""
    return ellipse.get_patch_transform().transform(ellipse.get_path().vertices)


@pytest.mark.parametrize("n_std", [1.0, 2.5])
def test_ellipses_lie_at_n_std(pyplot, data, n_std):
    display = MixtureDisplay.from_estimator(
        data.mixture, features=(3, 1), n_std=n_std, labels=False
    )
    _, means, covariances = data.mixture
    for k, ellipse in enumerate(display.ellipses_):
        # The curve's control points at the ends of its axes lie on the curve.
        ends = outline(ellipse)[[0, 6, 12, 18]] - means[k, [3, 1]]
        precision = np.linalg.inv(covariances[k][np.ix_([3, 1], [3, 1])])
        distances = np.sqrt(np.einsum("ni,ij,nj->n", ends, precision, ends))
        assert_allclose(distances, n_std)


def test_fill_is_denser_for_larger_shares(pyplot, data):
    display = MixtureDisplay.from_estimator(data.mixture)
    alphas = [ellipse.get_facecolor()[3] for ellipse in display.ellipses_]
    assert alphas == sorted(alphas, reverse=True)
    assert len(set(alphas)) == 3


def test_mixture_display_draws_points_on_given_axes(pyplot, data):
    figure, ax = pyplot.subplots()
    display = MixtureDisplay.from_estimator(
        data.mixture, data.X, features=(0, 2), ax=ax, scatter_kwargs={"s": 3}
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert_array_equal(display.scatter_.get_offsets(), data.X[:, [0, 2]])
    assert_array_equal(display.scatter_.get_sizes(), [3])
    assert ax.get_xlabel() == "feature 0"
    assert ax.get_ylabel() == "feature 2"
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2"]


def test_mixture_display_shows_all_of_each_ellipse(pyplot, data):
    display = MixtureDisplay.from_estimator(data.mixture)
    box = display.ax_.viewLim
    for ellipse in display.ellipses_:
        points = outline(ellipse)
        assert points.min(axis=0)[0] >= box.x0
        assert points.max(axis=0)[1] <= box.y1


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_mixture_display_reads_estimators(pyplot, data, covariance_type):
    estimator = GaussianMixture(2, covariance_type=covariance_type, random_state=0)
    estimator.fit(data.X)
    display = MixtureDisplay.from_estimator(estimator)
    assert len(display.ellipses_) == 2
    assert_allclose(display.means, estimator.means_[:, :2])


def test_mixture_display_finds_features_by_name(pyplot, data):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(data.X, columns=["CD3", "CD4", "CD8", "CD19"])
    display = MixtureDisplay.from_estimator(data.mixture, X, features=("CD8", -1))
    assert display.ax_.get_xlabel() == "CD8"
    assert display.ax_.get_ylabel() == "CD19"
    assert_array_equal(display.X, data.X[:, [2, 3]])


def test_mixture_display_takes_styles(pyplot, data):
    display = MixtureDisplay.from_estimator(
        data.mixture, colors=["red", "blue"], ellipse_kwargs={"linewidth": 4}
    )
    edges = [ellipse.get_edgecolor()[:3] for ellipse in display.ellipses_]
    assert edges == [(1, 0, 0), (0, 0, 1), (1, 0, 0)]
    assert {ellipse.get_linewidth() for ellipse in display.ellipses_} == {4}


def test_mixture_display_draws_singular_covariances(pyplot):
    line = np.array([[[1.0, 1.0], [1.0, 1.0]]])
    display = MixtureDisplay.from_estimator((np.ones(1), np.zeros((1, 2)), line))
    display.figure_.canvas.draw()
    assert_allclose(display.ellipses_[0].width, 4 * np.sqrt(2))
    assert_allclose(display.ellipses_[0].height, 0.0, atol=1e-7)


@pytest.mark.parametrize("features", [(), (0, 4), (0, "CD4"), (0, 1, 1), (0, -4)])
def test_mixture_display_refuses_unknown_features(data, features):
    with pytest.raises(ValueError, match="features: expected one or more of the 4"):
        MixtureDisplay.from_estimator(data.mixture, features=features)


def test_mixture_display_refuses_other_shapes(data):
    weights, means, covariances = data.mixture
    with pytest.raises(ValueError, match=r"covariances: expected shape \(3, 2, 2\)"):
        MixtureDisplay(weights, means[:, :2], covariances)
    with pytest.raises(ValueError, match=r"X: expected shape \(200, 4\)"):
        MixtureDisplay.from_estimator(data.mixture, data.X[:, :3])


@pytest.fixture
def fitted():
    data = make_shifted_mixtures(10, weights=[0.5, 0.3, 0.2], random_state=0)
    return SimpleNamespace(
        coupling_=data.coupling, source_=data.source, target_=data.target
    )


def test_coupling_display_writes_the_masses(pyplot, fitted):
    display = CouplingDisplay.from_estimator(fitted)
    assert display.text_[0, 0].get_text() == "0.50"
    assert display.text_[0, 0].get_position() == (0, 0)
    assert display.text_[0, 1] is None
    assert_array_equal(display.image_.get_array(), fitted.coupling_)
    assert display.ax_.get_xlabel() == "target component"
    assert display.ax_.get_ylabel() == "source component"


def test_coupling_display_writes_intervals(pyplot, fitted):
    intervals = fitted.coupling_ * np.array([0.8, 1.1])[:, None, None]
    intervals[1, 0, 1] = 0.04
    display = CouplingDisplay.from_estimator(fitted, intervals=intervals)
    assert display.text_[0, 0].get_text() == "0.50\n(0.40, 0.55)"
    assert display.text_[0, 1].get_text() == "0.00\n(0.00, 0.04)"
    assert display.text_[0, 2] is None
    with pytest.raises(ValueError, match=r"intervals: expected shape \(2, 3, 3\)"):
        CouplingDisplay(np.eye(3), intervals=np.eye(3))


def test_coupling_display_text_contrasts_with_its_cell(pyplot):
    display = CouplingDisplay([[0.01, 0.99]]).plot()
    assert display.text_[0, 0].get_color() == "black"
    assert display.text_[0, 1].get_color() == "white"


def test_coupling_display_margins_hold_shares(pyplot, fitted):
    display = CouplingDisplay.from_estimator(fitted)
    right, above = display.margins_
    moved = [bar.get_width() for bar in right.patches]
    assert_allclose(moved, fitted.coupling_.sum(axis=1))
    moved = [bar.get_height() for bar in above.patches]
    assert_allclose(moved, fitted.coupling_.sum(axis=0))
    strokes = [stroke[0, 0] for stroke in right.collections[0].get_segments()]
    assert_allclose(strokes, fitted.source_[0])
    strokes = [stroke[0, 1] for stroke in above.collections[0].get_segments()]
    assert_allclose(strokes, fitted.target_[0])


def test_coupling_display_can_be_bare(pyplot):
    figure, ax = pyplot.subplots()
    display = CouplingDisplay(np.eye(3)[:, :2]).plot(
        ax=ax, text=False, margins=False, cmap="viridis"
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.text_ is None
    assert display.margins_ is None
    assert display.image_.cmap.name == "viridis"


def test_coupling_display_says_what_it_expected(data):
    with pytest.raises(ValueError, match="coupling: expected two dimensions"):
        CouplingDisplay([1.0])
    with pytest.raises(ValueError, match=r"source_weights: expected shape \(2,\)"):
        CouplingDisplay(np.eye(2), source_weights=[1.0])
    with pytest.raises(
        TypeError, match="estimator: expected one with coupling_, got Bunch"
    ):
        CouplingDisplay.from_estimator(data)
    with pytest.raises(NotFittedError):
        CouplingDisplay.from_estimator(BaseCoupled())


def test_a_fitted_mixture_has_no_coupling_but_is_fitted(data):
    mixture = GaussianMixture(2, random_state=0).fit(data.X)
    with pytest.raises(TypeError, match="one with coupling_, got GaussianMixture"):
        CouplingDisplay.from_estimator(mixture)


class BaseCoupled(BaseEstimator):
    def fit(self, X):
        self.coupling_ = np.eye(1)
        return self


class Path(NamedTuple):
    """The fields that the display reads, of the record that estimators have."""

    n_components: np.ndarray
    log_likelihood: np.ndarray
    criterion: np.ndarray


FULL = Path(
    np.array([5, 4, 3, 2, 1]),
    np.array([-401.0, -402.0, -404.0, -430.0, -700.0]),
    np.array([840.0, 830.0, 822.0, 862.0, 1390.0]),
)
DIAG = Path(
    np.array([6, 5, 4, 3, 2, 1]),
    np.array([-396.0, -401.0, -409.0, -440.0, -520.0, -710.0]),
    np.array([815.0, 817.0, 826.0, 880.0, 1040.0, 1420.0]),
)


def with_path(path, covariance_type="full", sparsity="bic"):
    return SimpleNamespace(
        path_=path, covariance_type=covariance_type, sparsity=sparsity
    )


def rings(ax):
    """Where sizes are marked as chosen."""
    return [
        line.get_xydata()[0].tolist()
        for line in ax.lines
        if line.get_markerfacecolor() == "none"
    ]


def test_path_display_draws_criterion_and_likelihood(pyplot):
    display = PathDisplay.from_estimator(with_path(FULL))
    (line,), (likelihood,) = display.lines_, display.likelihood_lines_
    assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5])
    assert_array_equal(line.get_ydata(), FULL.criterion[::-1])
    assert_array_equal(likelihood.get_ydata(), FULL.log_likelihood[::-1])
    assert line.axes is display.ax_
    assert likelihood.axes is display.likelihood_ax_
    assert display.ax_.get_ylabel() == "BIC"
    assert display.likelihood_ax_.get_ylabel() == "log-likelihood"
    assert display.likelihood_ax_.get_xlabel() == "number of components"
    assert display.likelihood_ax_.get_legend() is None


def test_path_display_marks_the_chosen_size(pyplot):
    display = PathDisplay.from_estimator(with_path(FULL))
    assert display.chosen.tolist() == [3]
    assert rings(display.ax_) == [[3, 822.0]]
    assert rings(display.likelihood_ax_) == [[3, -404.0]]
    assert [text.get_text() for text in display.text_] == ["3"]


def test_path_display_says_that_the_offer_was_the_limit(pyplot):
    display = PathDisplay.from_estimator(with_path(DIAG))
    assert display.text_[0].get_text() == "6 (the largest)"
    single = Path(np.array([1]), np.array([-700.0]), np.array([1390.0]))
    display = PathDisplay([single]).plot()
    assert display.text_[0].get_text() == "1"


def test_path_display_takes_the_smaller_of_two_that_are_as_good(pyplot):
    tie = FULL._replace(criterion=np.array([840.0, 822.0, 822.0, 862.0, 1390.0]))
    assert PathDisplay([tie]).chosen.tolist() == [3]
    upward = Path(*(field[::-1] for field in tie))
    assert PathDisplay([upward]).chosen.tolist() == [3]


def test_path_display_draws_covariance_types_beside_each_other(pyplot):
    pair = [with_path(FULL), with_path(DIAG, "diag")]
    display = PathDisplay.from_estimators(pair)
    legend = display.likelihood_ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["full", "diag"]
    assert display.chosen.tolist() == [3, 6]
    assert display.best == 1
    for ax in (display.ax_, display.likelihood_ax_):
        uprights = [line for line in ax.lines if line.get_linestyle() == ":"]
        assert [list(line.get_xdata()) for line in uprights] == [[6, 6]]
    same = PathDisplay.from_estimators([with_path(FULL), with_path(FULL)])
    assert same.labels == ["0", "1"]
    assert same.best == 0
    named = PathDisplay.from_estimators(pair, labels=["A", "B"])
    assert named.labels == ["A", "B"]


def test_path_display_lines_differ_without_colour(pyplot):
    display = PathDisplay([FULL] * 6).plot()
    assert len({line.get_marker() for line in display.lines_}) == 6


def test_path_display_zooms_to_the_sizes_about_the_chosen_one(pyplot):
    display = PathDisplay([FULL]).plot()
    low, high = display.ax_.get_ylim()
    assert low < 822.0
    assert 862.0 < high < 1390.0
    low, high = display.likelihood_ax_.get_ylim()
    assert -700.0 < low < -430.0
    assert high > -401.0
    whole = PathDisplay([FULL]).plot(zoom=False)
    assert whole.ax_.get_ylim()[1] > 1390.0
    assert whole.likelihood_ax_.get_ylim()[0] < -700.0


def test_path_display_draws_on_given_axes(pyplot):
    figure, (left, right) = pyplot.subplots(1, 2)
    display = PathDisplay([FULL]).plot([left, right], line_kwargs={"linewidth": 4})
    assert display.ax_ is left
    assert display.likelihood_ax_ is right
    assert display.figure_ is figure
    assert display.lines_[0].get_linewidth() == 4
    figure, ax = pyplot.subplots()
    display = PathDisplay.from_estimator(with_path(FULL), ax=ax)
    assert display.ax_ is ax
    assert display.likelihood_ax_ is None
    assert display.likelihood_lines_ == []
    with pytest.raises(ValueError, match="ax: expected Axes, or two of them"):
        PathDisplay([FULL]).plot([left, right, ax])


def test_path_display_says_what_it_expected(data):
    with pytest.raises(ValueError, match="paths: expected one path or more"):
        PathDisplay([])
    with pytest.raises(TypeError, match="paths: expected records with n_components"):
        PathDisplay([data])
    with pytest.raises(ValueError, match=r"criterion: expected shape \(5,\)"):
        PathDisplay([FULL._replace(criterion=np.ones(4))])
    with pytest.raises(ValueError, match="labels: expected 2 labels"):
        PathDisplay([FULL, DIAG], labels=["one"])
    with pytest.raises(ValueError, match="one criterion, got bic, icl"):
        PathDisplay.from_estimators([with_path(FULL), with_path(DIAG, sparsity="icl")])
    with pytest.raises(NotFittedError):
        PathDisplay.from_estimator(GaussianMixture(2))
    mixture = GaussianMixture(2, random_state=0).fit(data.X)
    with pytest.raises(TypeError, match="one with path_, got GaussianMixture; fit a"):
        PathDisplay.from_estimator(mixture)


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic"])
def test_path_display_reads_the_paths_of_fits(pyplot, data, criterion):
    mixture = SparseGaussianMixture(6, sparsity=criterion, random_state=0).fit(data.X)
    display = PathDisplay.from_estimator(mixture)
    assert display.chosen.tolist() == [mixture.n_components_]
    assert display.ax_.get_ylabel() == criterion.upper()
    ((size, value),) = rings(display.ax_)
    assert_allclose(value, mixture.path_.criterion.min())
    ((_, value),) = rings(display.likelihood_ax_)
    assert_allclose(value, len(data.X) * mixture.score(data.X), rtol=1e-9)
    assert_allclose(
        value, len(data.X) * mixture.path_.mixture(int(size)).score(data.X), rtol=1e-9
    )
    priced = SparseGaussianMixture(6, sparsity=1.0, random_state=0).fit(data.X)
    with pytest.raises(TypeError, match="with sparsity='bic', 'icl' or 'aic'"):
        PathDisplay.from_estimator(priced)


def given_to(display, data, fitted):
    """What a display is drawn from."""
    if display is PathDisplay:
        return with_path(FULL)
    return data.mixture if display is MixtureDisplay else fitted


DISPLAYS = [MixtureDisplay, CouplingDisplay, PathDisplay]


@pytest.mark.parametrize("base", DISPLAYS)
def test_from_estimator_builds_subclasses(pyplot, data, fitted, base):
    subclass = type("Subclass", (base,), {})
    given = given_to(base, data, fitted)
    assert type(subclass.from_estimator(given)) is subclass


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_says_how_to_get_it(monkeypatch, data, fitted, display):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "skgmmot\[plot\]"'):
        display.from_estimator(given_to(display, data, fitted))
