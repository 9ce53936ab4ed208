"""Curves, ellipses and densities of a mixture in one or two features."""

from typing import Any, NamedTuple

import numpy as np

from skgmmot._checks import message
from skgmmot.display._drawing import INK, MARKERS, ellipse, halo
from skgmmot.estimators._sparse import SparseGaussianMixture
from skgmmot.linalg import Mixture

_REACH = 3.5  # standard deviations about the means that a picture shows
_N_GRID = 160  # points of a grid on each axis
_LEVELS = 12
_DEPTH = 8.0  # nats below the peak that contours of the log-density reach
_LEAST_WIDTH = 1e-4  # of a singular density, relative to the picture


class Style(NamedTuple):
    """How the components of one mixture look."""

    colors: list[Any]  # one for each component
    labels: list[str] | None  # what stands at the means
    linestyle: str = "-"


class Side(NamedTuple):
    """A mixture in the features that are drawn, with its rows."""

    weights: np.ndarray  # (K,)
    means: np.ndarray  # (K, d)
    covariances: np.ndarray  # (K, d, d)
    X: np.ndarray | None  # (n, d)
    components: np.ndarray | None  # (n,), of the rows

    def of(self, features: list[int]) -> "Side":
        """The same in some of the features."""
        return Side(
            self.weights,
            self.means[:, features],
            self.covariances[:, features][:, :, features],
            None if self.X is None else self.X[:, features],
            self.components,
        )


def _number(ax: Any, place: Any, label: str) -> None:
    """The label of a component, at its mean."""
    style = {"ha": "center", "va": "center", "fontsize": "small", "zorder": 4}
    ax.text(*place, label, path_effects=halo(), clip_on=True, **style)


def draw_points(
    ax: Any, side: Side, style: Style, by_component: bool, scatter_kwargs: Any
) -> list[Any]:
    """Points that neither vanish when they are few nor cover when many."""
    X = np.asarray(side.X)
    size = np.clip(20000 / len(X), 1.0, 14.0)
    marker = "o" if style.linestyle == "-" else "^"
    base = {"s": size, "color": "0.55", "linewidth": 0, "zorder": 1, "marker": marker}
    if not by_component:
        return [ax.scatter(X[:, 0], X[:, 1], **(base | scatter_kwargs))]
    if side.components is None:
        expected = "the component of each row beside X"
        mend = "MixtureDisplay.from_estimator finds it"
        raise ValueError(message("components", expected, None, mend))
    drawn = []
    for k, color in enumerate(style.colors):
        rows = X[side.components == k]
        own = {"color": color, "marker": MARKERS[k % len(MARKERS)], "s": 1.5 * size}
        drawn.append(
            ax.scatter(rows[:, 0], rows[:, 1], **(base | own | scatter_kwargs))
        )
    return drawn


def draw_ellipses(
    ax: Any, side: Side, style: Style, n_std: float, ellipse_kwargs: dict[str, Any]
) -> list[Any]:
    """One ellipse for each component, the fill the denser the larger its share."""
    from matplotlib.colors import to_rgba

    drawn: dict[int, Any] = {}
    # Large components first, so that small ones lie on top of them.
    for k in np.argsort(-side.weights, kind="stable"):
        share = side.weights[k] / side.weights.max()
        alpha = 0.08 + 0.42 * share if style.linestyle == "-" else 0.0
        look = {
            "facecolor": to_rgba(style.colors[k], alpha),
            "edgecolor": style.colors[k],
            "linewidth": 1.5,
            "linestyle": style.linestyle,
            "zorder": 2,
        } | ellipse_kwargs
        drawn[k] = ellipse(side.means[k], side.covariances[k], n_std, look)
        ax.add_patch(drawn[k])
    draw_labels(ax, side, style)
    ax.autoscale_view()
    return [drawn[k] for k in range(len(drawn))]


def draw_labels(ax: Any, side: Side, style: Style) -> None:
    """The label of each component at its mean."""
    if style.labels is not None:
        for place, label in zip(side.means, style.labels, strict=True):
            _number(ax, place, label)


def draw_curves(ax: Any, side: Side, style: Style, kind: str) -> list[Any]:
    """Densities of the components, each times its weight, and their sum above."""
    mean, deviation = side.means[:, 0], np.sqrt(np.abs(side.covariances[:, 0, 0]))
    low, high = _span(side, 0)
    deviation = np.maximum(deviation, _LEAST_WIDTH * (high - low))
    about = mean + deviation * np.linspace(-4.0, 4.0, 41)[:, None]
    grid = np.union1d(np.linspace(low, high, 400), about)
    offsets = (grid - mean[:, None]) / deviation[:, None]
    heights = np.exp(-0.5 * offsets**2) / (np.sqrt(2.0 * np.pi) * deviation[:, None])
    heights *= side.weights[:, None]
    if side.X is not None:
        bins = {"bins": "auto", "density": True, "color": "0.85", "zorder": 0}
        ax.hist(side.X[:, 0], **bins)
    total = heights.sum(axis=0)
    drawn = []
    for height, color in zip(heights, style.colors, strict=True):
        look = {"color": color, "linestyle": style.linestyle, "linewidth": 1.5}
        drawn += ax.plot(grid, height, **look)
        if style.linestyle == "-":
            ax.fill_between(grid, height, color=color, alpha=0.2, linewidth=0)
    drawn += ax.plot(grid, total, color=INK, linestyle=style.linestyle, linewidth=1.0)
    if style.labels is not None:
        for x, height, label in zip(mean, heights, style.labels, strict=True):
            _number(ax, (x, height.max()), label)
    if kind == "log-density":
        ax.set(yscale="log", ylim=(total.max() * np.exp(-_DEPTH), 2.0 * total.max()))
    else:
        ax.set_ylim(bottom=0.0)
    return drawn


def draw_density(ax: Any, side: Side, style: Style, kind: str) -> Any:
    """The density filled, or lines of equal log-density."""
    axes = [np.linspace(*_span(side, feature), _N_GRID) for feature in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1)
    values = _log_density(side, grid.reshape(-1, 2)).reshape(grid.shape[:2])
    is_filled = kind == "density" and style.linestyle == "-"
    if is_filled:
        density = np.exp(values - values.max())
        drawn = ax.contourf(
            *axes, density, levels=np.linspace(0.02, 1, _LEVELS), cmap="Blues"
        )
    else:
        levels = values.max() - np.linspace(_DEPTH, 0.0, _LEVELS, endpoint=False)
        look = {"linestyles": style.linestyle, "linewidths": 0.9}
        drawn = ax.contour(*axes, values, levels=levels, cmap="viridis_r", **look)
    draw_labels(ax, side, style)
    return drawn


def _log_density(side: Side, rows: np.ndarray) -> np.ndarray:
    """Log density; what is singular gets a width that can just be seen."""
    return _fitted(
        side, np.ptp([_span(side, f) for f in (0, 1)], axis=1)
    ).score_samples(rows)


def components_of(mixture: Mixture, X: np.ndarray) -> np.ndarray:
    """The component with the largest posterior, of each row with all features."""
    side = Side(*mixture, X, None)
    spans = np.ptp([_span(side, f) for f in range(X.shape[1])], axis=1)
    return _fitted(side, spans).predict(X)


def _fitted(side: Side, spans: np.ndarray) -> SparseGaussianMixture:
    """The mixture as an estimator, never singular at the scale of the picture."""
    floor = np.diag((_LEAST_WIDTH * spans) ** 2)
    return SparseGaussianMixture.from_parameters(
        side.weights, side.means, side.covariances + floor
    )


def _span(side: Side, feature: int) -> tuple[float, float]:
    """What of a feature is shown: components and rows."""
    mean = side.means[:, feature]
    reach = _REACH * np.sqrt(np.abs(side.covariances[:, feature, feature]))
    low, high = (mean - reach).min(), (mean + reach).max()
    if side.X is not None:
        low, high = (
            min(low, side.X[:, feature].min()),
            max(high, side.X[:, feature].max()),
        )
    return (low, high) if high > low else (low - 0.5, high + 0.5)
