"""Pictures of mixtures show the sizes, densities and masses that they should."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2, multivariate_normal, norm
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture

from skgmmot import CoupledGaussianMixture, SparseGaussianMixture
from skgmmot.datasets import make_mixture, make_shifted_mixtures, stack_domains
from skgmmot.display import CouplingDisplay, MixtureDisplay, ObjectiveDisplay
from skgmmot.display._drawing import PALETTE


@pytest.fixture
def data():
    return make_mixture(300, n_components=3, n_features=3, random_state=0)


@pytest.fixture(scope="module")
def pair():
    data = make_shifted_mixtures(300, weights=[0.5, 0.3, 0.2], random_state=0)
    X, domain = stack_domains(data.X_source, data.X_target)
    fitted = CoupledGaussianMixture(3, random_state=0).fit(X, sample_domain=domain)
    return X, domain, fitted


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_an_ellipse_holds_the_share_of_the_chi_square_quantile(
    pyplot, covariance_type, share
):
    X = make_mixture(400, n_components=2, random_state=3).X
    fitted = SparseGaussianMixture(
        2, sparsity=0.0, covariance_type=covariance_type, random_state=0
    ).fit(X)
    n_std = np.sqrt(chi2.ppf(share, 2))
    display = MixtureDisplay.from_estimator(fitted, n_std=n_std, labels=False)
    rng = np.random.default_rng(0)
    for k, ellipse in enumerate(display.ellipses_):
        draws = rng.multivariate_normal(
            display.means[k], display.covariances[k], size=20_000
        )
        path = ellipse.get_patch_transform().transform_path(ellipse.get_path())
        inside = path.contains_points(draws).mean()
        assert abs(inside - share) < 4.0 * np.sqrt(share * (1 - share) / 20_000)


def test_curves_are_the_densities_and_their_sum(pyplot, data):
    weights, means, covariances = data.mixture
    display = MixtureDisplay.from_estimator(data.mixture, features=1)
    *curves, total = display.lines_
    expected = 0.0
    for k, curve in enumerate(curves):
        x = curve.get_xdata()
        density = weights[k] * norm.pdf(x, means[k, 1], covariances[k, 1, 1] ** 0.5)
        assert_allclose(curve.get_ydata(), density, rtol=1e-10, atol=1e-300)
        expected = expected + density
    assert_allclose(total.get_ydata(), expected, rtol=1e-10)
    assert display.ax_.get_xlabel() == "feature 1"
    assert display.ax_.get_ylabel() == "density"
    assert_allclose(np.trapezoid(total.get_ydata(), x), 1.0, atol=1e-3)


def test_a_mixture_of_one_feature_is_drawn_as_curves(pyplot):
    mixture = (np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
    display = MixtureDisplay.from_estimator(mixture, kind="log-density")
    assert len(display.lines_) == 2
    assert display.ax_.get_yscale() == "log"
    assert_allclose(display.lines_[-1].get_ydata().max(), norm.pdf(0.0), rtol=1e-9)


@pytest.mark.parametrize("kind", ["density", "log-density"])
def test_contours_lie_at_levels_of_the_density(pyplot, data, kind):
    weights, means, covariances = data.mixture
    display = MixtureDisplay.from_estimator(data.mixture, kind=kind)
    assert display.ellipses_ == []

    def log_density(points):
        return np.logaddexp.reduce(
            [
                np.log(w) + multivariate_normal(m[:2], c[:2, :2]).logpdf(points)
                for w, m, c in zip(weights, means, covariances, strict=True)
            ]
        )

    level, path = 6, display.contours_.get_paths()[6]
    points = path.vertices[path.codes != 79]  # those that close a line are (0, 0)
    expected = display.contours_.levels[level]
    got = log_density(points)
    if kind == "density":  # relative to its peak, filled from this level to the next
        low, high = np.log(display.contours_.levels[level : level + 2])
        got = got - log_density(means[:, :2]).max()
        assert_allclose(np.abs(got - low).max(), high - low, atol=0.15)
    else:
        assert_allclose(got, expected, atol=0.05)


def test_a_singular_mixture_has_a_density_too(pyplot):
    line = (np.ones(1), np.zeros((1, 2)), np.ones((1, 2, 2)))
    display = MixtureDisplay.from_estimator(line, kind="density")
    display.figure_.canvas.draw()
    assert display.contours_ is not None


def test_three_features_make_a_matrix_of_pairs(pyplot, data):
    display = MixtureDisplay.from_estimator(
        data.mixture, data.X, features=(0, 1, 2), by_component=True
    )
    assert display.axes_.shape == (3, 3)
    assert [ax.get_visible() for ax in display.axes_[0]] == [True, False, False]
    assert display.axes_[2, 1].get_xlabel() == "feature 1"
    assert display.axes_[2, 0].get_ylabel() == "feature 2"
    cell = display.axes_[2, 1]
    centers = sorted(tuple(patch.center) for patch in cell.patches)
    assert_allclose(centers, sorted(map(tuple, data.mixture[1][:, [1, 2]])))
    with pytest.raises(ValueError, match=r"ax: expected shape \(3, 3\)"):
        MixtureDisplay(*data.mixture).plot(pyplot.subplots()[1])


def test_points_by_component_have_colours_and_markers(pyplot, data):
    fitted = GaussianMixture(3, random_state=0).fit(data.X)
    display = MixtureDisplay.from_estimator(fitted, data.X, by_component=True)
    labels = fitted.predict(data.X)  # by all three features, not the two drawn
    for k, points in enumerate(display.scatter_):
        assert_array_equal(points.get_offsets(), data.X[labels == k][:, :2])
    assert len({tuple(points.get_facecolor()[0]) for points in display.scatter_}) == 3
    shapes = {points.get_paths()[0].vertices.tobytes() for points in display.scatter_}
    assert len(shapes) == 3


def test_points_without_their_component_are_refused(data):
    weights, means, covariances = data.mixture
    display = MixtureDisplay(
        weights, means[:, :2], covariances[:, :2, :2], X=data.X[:, :2]
    )
    with pytest.raises(ValueError, match="components: expected the component of each"):
        display.plot(by_component=True)
    with pytest.raises(ValueError, match="kind: expected one of ellipses, density"):
        display.plot(kind="heatmap")


def test_both_sides_of_a_coupled_mixture_are_told_apart(pyplot, pair):
    X, domain, fitted = pair
    display = MixtureDisplay.from_estimator(fitted, X, sample_domain=domain)
    other = display.counterpart_
    assert display.ax_ is other.ax_
    assert_array_equal(display.X, X[domain > 0])
    assert_array_equal(other.X, X[domain < 0])
    assert {e.get_linestyle() for e in display.ellipses_} == {"-"}
    assert {e.get_linestyle() for e in other.ellipses_} == {"--"}
    origins = fitted.coupling_.argmax(axis=0)
    for column, ellipse in enumerate(other.ellipses_):
        assert ellipse.get_edgecolor() == (
            display.ellipses_[origins[column]].get_edgecolor()
        )
    texts = {text.get_text() for text in display.ax_.texts}
    assert texts == {"0", "1", "2", "0′", "1′", "2′"}


def test_arcs_are_as_wide_as_the_mass(pyplot, pair):
    fitted = pair[2]
    display = CouplingDisplay.from_estimator(fitted, kind="arcs")
    masses = fitted.coupling_[fitted.coupling_ > 1e-3 * fitted.coupling_.max()]
    widths = np.array([arc.get_linewidth() for arc in display.arcs_])
    assert_allclose(widths / widths.max(), masses / masses.max())
    assert len(display.ax_.patches) == len(masses) + 6
    with pytest.raises(ValueError, match="mixtures: expected source and target"):
        CouplingDisplay(np.eye(2)).plot_arcs()
    with pytest.raises(ValueError, match="kind: expected 'heatmap' or 'arcs'"):
        CouplingDisplay.from_estimator(fitted, kind="chord")
    with pytest.raises(ValueError, match="features: expected two of them"):
        CouplingDisplay.from_estimator(fitted, kind="arcs", features=[0])


def test_objective_display_draws_bounds_and_what_is_left(pyplot, data):
    fitted = SparseGaussianMixture(4, sparsity=1.0, random_state=0).fit(data.X)
    display = ObjectiveDisplay.from_estimator(fitted)
    expected = [*fitted.lower_bounds_, fitted.lower_bound_]
    assert_allclose(display.lines_[0].get_ydata(), expected)
    gap = ObjectiveDisplay([[0.0, 1.0, 1.5, 2.0]], labels=["a"]).plot(gap=True)
    assert_allclose(gap.lines_[0].get_ydata(), [2.0, 1.0, 0.5, np.nan])
    assert gap.ax_.get_yscale() == "log"
    assert gap.ax_.get_legend().get_texts()[0].get_text() == "a"


def test_objective_display_says_what_it_expected(data):
    with pytest.raises(ValueError, match="curves: expected one curve or more"):
        ObjectiveDisplay([])
    with pytest.raises(ValueError, match="labels: expected 1 labels"):
        ObjectiveDisplay([[1.0]], labels=["a", "b"])
    with pytest.raises(TypeError, match="expected one with lower_bounds_, got Bunch"):
        ObjectiveDisplay.from_estimator(data)
    with pytest.raises(NotFittedError):
        ObjectiveDisplay.from_estimator(SparseGaussianMixture())


# Machado, Oliveira and Fernandes 2009 (doi 10.1109/TVCG.2009.113), severity 1.
BLIND = {
    "nothing": np.eye(3),
    "red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def lab(rgb):
    """CIE Lab of linear RGB."""
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    xyz = np.clip(rgb, 0, 1) @ np.transpose(to_xyz) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.column_stack((116 * y - 16, 500 * (x - y), 200 * (y - z)))


@pytest.mark.parametrize("kind", BLIND)
def test_colours_of_components_stay_apart_for_colour_blind_readers(pyplot, kind):
    from matplotlib.colors import to_rgb

    rgb = np.array([to_rgb(color) for color in PALETTE])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = lab(linear @ np.transpose(BLIND[kind]))
    gaps = np.linalg.norm(seen[:, None] - seen, axis=2)
    assert gaps[np.triu_indices(len(PALETTE), 1)].min() > 10.0


def test_neighbours_in_the_palette_differ_in_grey(pyplot):
    from matplotlib.colors import to_rgb

    grey = np.array([to_rgb(color) for color in PALETTE]) @ [0.299, 0.587, 0.114]
    assert np.abs(np.diff(grey)).min() > 0.1
