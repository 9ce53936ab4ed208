"""Displays keep the data they are given and draw them where they are."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from skgmmot.datasets import make_mixture, make_shifted_mixtures
from skgmmot.display import CouplingDisplay, MixtureDisplay


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


@pytest.mark.parametrize("features", [(0,), (0, 4), (0, "CD4"), (0, 1, 2)])
def test_mixture_display_refuses_unknown_features(data, features):
    with pytest.raises(ValueError, match="features: expected two of the 4 features"):
        MixtureDisplay.from_estimator(data.mixture, features=features)


def test_mixture_display_refuses_other_shapes(data):
    with pytest.raises(ValueError, match=r"means: expected shape \(3, 2\)"):
        MixtureDisplay(*data.mixture)
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


class BaseCoupled(BaseEstimator):
    def fit(self, X):
        self.coupling_ = np.eye(1)
        return self


@pytest.mark.parametrize("base", [MixtureDisplay, CouplingDisplay])
def test_from_estimator_builds_subclasses(pyplot, data, fitted, base):
    subclass = type("Subclass", (base,), {})
    given = data.mixture if base is MixtureDisplay else fitted
    assert type(subclass.from_estimator(given)) is subclass


@pytest.mark.parametrize("draw", [MixtureDisplay, CouplingDisplay])
def test_without_matplotlib_says_how_to_get_it(monkeypatch, data, fitted, draw):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    given = data.mixture if draw is MixtureDisplay else fitted
    with pytest.raises(ImportError, match=r'pip install "skgmmot\[plot\]"'):
        draw.from_estimator(given)
