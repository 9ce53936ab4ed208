"""Linked samples side by side: who comes from whom, and where."""

from typing import Any, Self

import numpy as np

from skgmmot._checks import message
from skgmmot.display._drawing import (
    INK,
    check_attribute,
    drawing_axes,
    ellipse,
    halo,
    pyplot,
)
from skgmmot.display._features import chosen_features
from skgmmot.linalg import Mixture, as_mixture

# Okabe and Ito's colours, which those who see red and green alike tell apart; without
# black, and yellow last.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_GAP = 0.07  # between components of a sample, in shares
_BAND_POINTS = 40
_LEAST_BAND = 2e-3  # mass below which a band is not seen


class LinksDisplay:
    """Linked samples side by side, with what goes between them.

    Each column is a sample. A dot is a component, its area is its share, and bands are
    the masses that the couplings move, as wide as they are large: where bands leave a
    dot narrower than its bar, part of the population dies, where they arrive narrower,
    part of it is new. A band has the colour of where it comes from, and a component
    that of the one that most of its mass comes from.

    Parameters
    ----------
    labels : list
        Names of the samples, in the order of the columns.
    mixtures : list of mixture-like
        Their mixtures.
    links : list of pairs of int
        Indices of the two samples of each link.
    couplings : list of array-like of shape (K_a, K_b)
        What goes between their components.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    dots_ : list of matplotlib PathCollection
        The components of each sample.
    bands_ : list of matplotlib PolyCollection
        What goes along the links.
    colors_ : list of list of str
        The colour of each component of each sample.

    See Also
    --------
    CouplingDisplay : One coupling, with its numbers.

    Examples
    --------
    >>> from skgmmot import LinkedGaussianMixture, LinksDisplay
    >>> from skgmmot.datasets import make_time_course
    >>> course = make_time_course(200, random_state=0)
    >>> linked = LinkedGaussianMixture([2, 3, 3, 4, 4], random_state=0)
    >>> linked = linked.fit(course.X, sample_domain=course.sample_domain)
    >>> display = LinksDisplay.from_estimator(linked)
    >>> len(display.dots_)
    5
    """

    def __init__(self, labels: Any, mixtures: Any, links: Any, couplings: Any) -> None:
        self.labels = list(labels)
        self.mixtures = [
            as_mixture(mixture, f"mixtures[{i}]") for i, mixture in enumerate(mixtures)
        ]
        self.links = [tuple(link) for link in links]
        self.couplings = [np.asarray(coupling, np.float64) for coupling in couplings]
        if len(self.labels) != len(self.mixtures):
            got = f"{len(self.mixtures)} for {len(self.labels)} labels"
            raise ValueError(message("mixtures", "one for each label", got))
        if len(self.links) != len(self.couplings):
            got = f"{len(self.couplings)} for {len(self.links)} links"
            raise ValueError(message("couplings", "one for each link", got))
        for (first, second), coupling in zip(self.links, self.couplings, strict=True):
            shape = (
                len(self.mixtures[first].weights),
                len(self.mixtures[second].weights),
            )
            if coupling.shape != shape:
                raise ValueError(message("couplings", f"shape {shape}", coupling.shape))

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw a fitted estimator of linked samples.

        Parameters
        ----------
        estimator : LinkedGaussianMixture
            Fitted.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        :class:`LinksDisplay`
            The display, drawn.

        Raises
        ------
        TypeError
            If the object has no ``couplings_``.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        check_attribute(estimator, "couplings_", "draw a pair by CouplingDisplay")
        labels = list(estimator.domains_)
        links = [(labels.index(a), labels.index(b)) for a, b in estimator.links_]
        display = cls(labels, estimator.mixtures_, links, estimator.couplings_)
        return display.plot(ax=ax, **kwargs)

    # Order and colours

    def _parents(self) -> list[np.ndarray]:
        """For each sample, (K, 2): the sample and component most of it comes from."""
        parents = [np.full((len(m.weights), 2), -1) for m in self.mixtures]
        masses = [np.zeros(len(m.weights)) for m in self.mixtures]
        for (first, second), coupling in zip(self.links, self.couplings, strict=True):
            if first > second:
                first, second, coupling = second, first, coupling.T
            for k, column in enumerate(coupling.T):
                best = int(column.argmax())
                if column[best] > max(masses[second][k], _LEAST_BAND):
                    masses[second][k] = column[best]
                    parents[second][k] = first, best
        return parents

    def _colors(self) -> list[list[str]]:
        """The largest descendant keeps its parent's colour, others get a new one."""
        parents, used = self._parents(), 0
        colors: list[list[str]] = []
        for t, mixture in enumerate(self.mixtures):
            mine = [""] * len(mixture.weights)
            taken: set[tuple[int, int]] = set()
            for k in np.argsort(-mixture.weights):
                sample, component = (int(x) for x in parents[t][k])
                if sample >= 0 and (sample, component) not in taken:
                    taken.add((sample, component))
                    mine[k] = colors[sample][component]
                else:
                    mine[k] = COLOURS[used % len(COLOURS)]
                    used += 1
            colors.append(mine)
        return colors

    def _heights(self) -> list[np.ndarray]:
        """Where the components of each sample stand: near those they come from."""
        parents = self._parents()
        heights: list[np.ndarray] = []
        for t, mixture in enumerate(self.mixtures):
            wanted = np.array(
                [
                    heights[s][c] if s >= 0 else 1e3 + k
                    for k, (s, c) in enumerate(parents[t])
                ]
            )
            order = np.lexsort((-mixture.weights, wanted))
            sizes = mixture.weights[order] + _GAP
            ends = np.cumsum(sizes)
            place = np.empty(len(order))
            place[order] = ends - 0.5 * sizes - 0.5 * ends[-1]
            heights.append(place)
        return heights

    # Pictures

    def plot(self, ax: Any = None, *, text: bool = True, alpha: float = 0.45) -> Self:
        """Draw samples side by side.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        text : bool, default=True
            Whether shares are written beside the dots, in per cent.
        alpha : float, default=0.45
            Opacity of the bands.

        Returns
        -------
        :class:`LinksDisplay`
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = drawing_axes(ax, (max(4.0, 1.9 * len(self.labels)), 4.2))
        self.ax_, self.figure_ = ax, ax.figure
        self.colors_ = self._colors()
        heights = self._heights()
        self.bands_ = [
            band
            for link, coupling in zip(self.links, self.couplings, strict=True)
            for band in self._bands(ax, link, coupling, heights, alpha)
        ]
        self.dots_ = []
        for t, mixture in enumerate(self.mixtures):
            sizes = 1600.0 * mixture.weights
            ax.vlines(
                np.full(len(sizes), t),
                heights[t] - 0.5 * mixture.weights,
                heights[t] + 0.5 * mixture.weights,
                color=INK,
                linewidth=1.5,
                zorder=3,
            )
            self.dots_.append(
                ax.scatter(
                    np.full(len(sizes), t),
                    heights[t],
                    s=sizes,
                    c=self.colors_[t],
                    edgecolors="white",
                    zorder=4,
                )
            )
            if text:
                self._write(ax, t, mixture, heights[t])
        ax.set_xticks(range(len(self.labels)), [str(label) for label in self.labels])
        ax.set(yticks=[], xlim=(-0.5, len(self.labels) - 0.5))
        ax.spines[["left", "right", "top"]].set_visible(False)
        ax.tick_params(length=0)
        return self

    def _write(self, ax: Any, t: int, mixture: Mixture, heights: np.ndarray) -> None:
        """Shares in per cent, on their dots or beside small ones."""
        for share, height in zip(mixture.weights, heights, strict=True):
            ax.annotate(
                f"{100 * share:.0f}",
                (t, height),
                ha="center",
                va="center",
                fontsize=8,
                color="black",
                path_effects=halo(),
                zorder=5,
            )

    def _bands(
        self,
        ax: Any,
        link: tuple[int, int],
        coupling: np.ndarray,
        heights: list[np.ndarray],
        alpha: float,
    ) -> list[Any]:
        """Bands of a link, stacked at both ends in the order of the other side."""
        first, second = link
        starts = _stacked(coupling, heights[first], heights[second])
        stops = _stacked(coupling.T, heights[second], heights[first]).T
        u = np.linspace(0.0, 1.0, _BAND_POINTS)
        ease = u * u * (3.0 - 2.0 * u)
        x = first + (second - first) * u
        bands = []
        for (k, column), mass in np.ndenumerate(coupling):
            if mass < _LEAST_BAND:
                continue
            middle = starts[k, column] + (stops[k, column] - starts[k, column]) * ease
            color = (
                self.colors_[first][k]
                if first < second
                else self.colors_[second][column]
            )
            bands.append(
                ax.fill_between(
                    x,
                    middle - 0.5 * mass,
                    middle + 0.5 * mass,
                    color=color,
                    alpha=alpha,
                    linewidth=0,
                    zorder=2,
                )
            )
        return bands

    def plot_components(
        self, features: tuple[int, int] = (0, 1), ax: Any = None, *, n_std: float = 1.5
    ) -> Self:
        """Draw the components of all samples in two features, as ellipses.

        Parameters
        ----------
        features : tuple of two int, default=(0, 1)
            Which features.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        n_std : float, default=1.5
            Standard deviations at which an ellipse lies.

        Returns
        -------
        :class:`LinksDisplay`
            The display itself. Samples go from dark to light; lines join components
            that mass goes between, the wider the more.

        Raises
        ------
        ValueError
            Where a feature is not there.
        ImportError
            If matplotlib is not installed.
        """
        d = self.mixtures[0].means.shape[1]
        chosen = chosen_features(features, [f"feature {f}" for f in range(d)])
        if len(chosen) != 2:
            raise ValueError(message("features", "two of them", features))
        ax = drawing_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        colors = pyplot().get_cmap("viridis")(np.linspace(0.0, 0.9, len(self.mixtures)))
        for (first, second), coupling in zip(self.links, self.couplings, strict=True):
            ends = self.mixtures[first].means, self.mixtures[second].means
            for (k, column), mass in np.ndenumerate(coupling):
                if mass >= _LEAST_BAND:
                    pair = np.array([ends[0][k, chosen], ends[1][column, chosen]])
                    width = 0.6 + 8.0 * mass
                    ax.plot(*pair.T, color="0.6", linewidth=width, alpha=0.6, zorder=1)
        for mixture, color, label in zip(
            self.mixtures, colors, self.labels, strict=True
        ):
            self._ellipses(ax, mixture, color, (chosen, n_std), str(label))
        ax.legend(title="sample", fontsize="small", frameon=False)
        ax.set(xlabel=f"feature {chosen[0]}", ylabel=f"feature {chosen[1]}")
        ax.autoscale_view()
        return self

    def _ellipses(
        self,
        ax: Any,
        mixture: Mixture,
        color: Any,
        where: tuple[list[int], float],
        label: str,
    ) -> None:
        chosen, n_std = where
        rgb = tuple(color[:3])
        for k, share in enumerate(mixture.weights):
            covariance = mixture.covariances[k][np.ix_(chosen, chosen)]
            style = {
                "edgecolor": rgb,
                "facecolor": (*rgb, 0.08 + 0.5 * float(share)),
                "linewidth": 1.5,
                "zorder": 2,
            }
            if k == 0:
                style["label"] = label
            ax.add_patch(ellipse(mixture.means[k, chosen], covariance, n_std, style))


def _stacked(coupling: np.ndarray, own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Middles of the bands at the rows' components, stacked as the others stand."""
    order = np.argsort(others)
    sorted_masses = coupling[:, order]
    ends = np.cumsum(sorted_masses, axis=1)
    middles = np.empty_like(coupling)
    middles[:, order] = own[:, None] + ends - 0.5 * sorted_masses - 0.5 * ends[:, -1:]
    return middles
