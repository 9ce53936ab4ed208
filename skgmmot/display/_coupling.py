"""The coupling of two mixtures as a heat map."""

from typing import Any, Self

import numpy as np

from skgmmot._checks import check_shape, message, real_array
from skgmmot.display._arcs import draw_arcs
from skgmmot.display._drawing import INK, check_attribute, drawing_axes
from skgmmot.display._features import chosen_features
from skgmmot.linalg import as_mixture


class CouplingDisplay:
    """The coupling of two mixtures as a labelled heat map.

    Row k, column l holds the mass that source component k sends to target
    component l. Beside the rows and above the columns stand the shares of the
    components: bars are the mass that the coupling moves, strokes the weight
    in the mixture; where a stroke is off the end of its bar the component grew
    or shrank.

    Parameters
    ----------
    coupling : array-like of shape (n_source_components, n_target_components)
        The masses.
    source_weights : array-like of shape (n_source_components,), default=None
        Shares in the source mixture. None: no strokes beside the rows.
    target_weights : array-like of shape (n_target_components,), default=None
        Shares in the target mixture. None: no strokes above the columns.
    mixtures : pair of mixture-likes, default=None
        Source and target, for :meth:`plot_arcs`.
    intervals : array-like of shape (2, n_source_components, n_target_components), \
            default=None
        Lower and upper ends, such as ``bootstrap(...).intervals["coupling"]``, written
        below the masses. None: no such line.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the heat map was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    image_ : matplotlib AxesImage
        The heat map.
    text_ : ndarray of matplotlib Text or None
        The number in each cell, None where it would read zero.
    margins_ : tuple of two matplotlib Axes or None
        The bars of the source and of the target.
    arcs_ : list of matplotlib FancyArrowPatch
        What :meth:`plot_arcs` drew, row by row of the coupling.

    See Also
    --------
    MixtureDisplay : The components of one mixture as ellipses.

    Examples
    --------
    >>> from skgmmot import CouplingDisplay
    >>> display = CouplingDisplay([[0.25, 0.25], [0.0, 0.5]]).plot()
    >>> display.text_[0, 1].get_text()
    '0.25'
    """

    def __init__(
        self,
        coupling: Any,
        *,
        source_weights: Any = None,
        target_weights: Any = None,
        mixtures: Any = None,
        intervals: Any = None,
    ) -> None:
        self.coupling = real_array(coupling, "coupling")
        if self.coupling.ndim != 2:
            expected = "two dimensions, one row for each source component"
            raise ValueError(
                message("coupling", expected, f"shape {self.coupling.shape}")
            )
        self.source_weights = source_weights
        self.target_weights = target_weights
        self.mixtures = mixtures
        for axis, name in enumerate(("source_weights", "target_weights")):
            if getattr(self, name) is not None:
                setattr(self, name, real_array(getattr(self, name), name))
                check_shape(getattr(self, name), name, (self.coupling.shape[axis],))
        self.intervals = intervals
        if intervals is not None:
            self.intervals = real_array(intervals, "intervals")
            check_shape(self.intervals, "intervals", (2, *self.coupling.shape))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        intervals: Any = None,
        ax: Any = None,
        kind: str = "heatmap",
        **kwargs: Any,
    ) -> Self:
        """Draw the coupling of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``coupling_``
            A fitted :class:`~skgmmot.CoupledGaussianMixture` or
            :class:`~skgmmot.GMMOTTransformer`, or another object with that
            attribute. Its ``source_`` and ``target_``, where it has them, give
            the shares.
        intervals : array-like, default=None
            As for the class.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        kind : {"heatmap", "arcs"}, default="heatmap"
            A matrix, or source and target with arcs between their components.
        **kwargs : dict
            Passed to :meth:`plot`, or to :meth:`plot_arcs`.

        Returns
        -------
        :class:`CouplingDisplay`
            The display, drawn.

        Raises
        ------
        TypeError
            If the object has no ``coupling_``, such as a fitted mixture.
        ValueError
            If `kind` is neither of the two.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        mend = "pass a bare matrix to CouplingDisplay(...).plot()"
        check_attribute(estimator, "coupling_", mend)
        if kind not in ("heatmap", "arcs"):
            raise ValueError(message("kind", "'heatmap' or 'arcs'", repr(kind)))
        sides = {
            side: as_mixture(getattr(estimator, f"{side}_"), side)
            for side in ("source", "target")
            if hasattr(estimator, f"{side}_")
        }
        shares = {f"{side}_weights": known.weights for side, known in sides.items()}
        both = tuple(sides.values()) if len(sides) == 2 else None
        display = cls(estimator.coupling_, mixtures=both, intervals=intervals, **shares)
        draw = display.plot if kind == "heatmap" else display.plot_arcs
        return draw(ax=ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        cmap: Any = "Blues",
        values_format: str = ".2f",
        text: bool = True,
        margins: bool = True,
        im_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        cmap : str or matplotlib Colormap, default="Blues"
            Colours from no mass to the largest.
        values_format : str, default=".2f"
            How the numbers are written. Cells that it would write as zero stay
            empty.
        text : bool, default=True
            Whether the numbers are written into the cells.
        margins : bool, default=True
            Whether the bars of the shares are drawn.
        im_kwargs : dict, default=None
            Passed to matplotlib's imshow.

        Returns
        -------
        :class:`CouplingDisplay`
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = drawing_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        style = {"cmap": cmap, "vmin": 0.0, "aspect": "auto"} | (im_kwargs or {})
        self.image_ = ax.imshow(self.coupling, **style)
        n_source, n_target = self.coupling.shape
        ax.set(
            xlabel="target component",
            ylabel="source component",
            xticks=np.arange(n_target),
            yticks=np.arange(n_source),
        )
        ax.set_xticks(np.arange(n_target + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(n_source + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="0.85", linewidth=0.8)
        ax.tick_params(which="both", length=0)
        self.text_ = self._plot_text(ax, values_format) if text else None
        self.margins_ = self._plot_margins(ax) if margins else None
        return self

    def plot_arcs(
        self, ax: Any = None, *, features: Any = (0, 1), n_std: float = 1.0
    ) -> Self:
        """Draw source and target with arcs as wide as the mass.

        Source components have full lines, target components dashed ones, primed
        numbers and the colour of the source component that most of their mass comes
        from. An arc has the colour of the component it leaves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        features : tuple of two int, default=(0, 1)
            The columns on the two axes.
        n_std : float, default=1.0
            Half axes of the ellipses, in standard deviations.

        Returns
        -------
        :class:`CouplingDisplay`
            The display itself.

        Raises
        ------
        ValueError
            If the display has no mixtures, or they have no such features.
        ImportError
            If matplotlib is not installed.
        """
        if self.mixtures is None:
            mend = "CouplingDisplay.from_estimator finds them"
            raise ValueError(message("mixtures", "source and target", None, mend))
        source, target = (as_mixture(m, "mixtures") for m in self.mixtures)
        d = source.means.shape[1]
        pair = chosen_features(features, [f"feature {f}" for f in range(d)])
        if len(pair) != 2:
            raise ValueError(message("features", "two of them", features))
        ax = drawing_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        sides = [
            mixture._replace(
                means=mixture.means[:, pair],
                covariances=mixture.covariances[:, pair][:, :, pair],
            )
            for mixture in (source, target)
        ]
        self.arcs_ = draw_arcs(ax, self.coupling, sides[0], sides[1], n_std)
        ax.set(xlabel=f"feature {pair[0]}", ylabel=f"feature {pair[1]}")
        return self

    def _plot_text(self, ax: Any, values_format: str) -> np.ndarray:
        """Write masses in black or white, whichever is read better."""
        cells = np.full(self.coupling.shape, None, dtype=object)
        nothing = format(0.0, values_format)
        widest = 80 if self.intervals is None else 40
        size = np.clip(widest / max(self.coupling.shape), 5, 10)
        for (k, column), mass in np.ndenumerate(self.coupling):
            label = self._label(k, column, values_format)
            if label == nothing:
                continue
            *rgb, _ = self.image_.cmap(self.image_.norm(mass))
            luminance = np.dot(rgb, [0.299, 0.587, 0.114])
            color = "black" if luminance > 0.55 else "white"
            style = {"ha": "center", "va": "center", "fontsize": size, "color": color}
            cells[k, column] = ax.text(column, k, label, **style)
        return cells

    def _label(self, k: int, column: int, values_format: str) -> str:
        """The number of a cell, with its interval on a second line."""
        label = format(self.coupling[k, column], values_format)
        if self.intervals is None:
            return label
        low, high = (format(end, values_format) for end in self.intervals[:, k, column])
        nothing = format(0.0, values_format)
        return label if high == nothing == label else f"{label}\n({low}, {high})"

    def _plot_margins(self, ax: Any) -> tuple[Any, Any]:
        """Bars of what is moved, strokes of the weights, on both sides."""
        from mpl_toolkits.axes_grid1 import make_axes_locatable

        divider = make_axes_locatable(ax)
        right = divider.append_axes("right", size="16%", pad=0.08, sharey=ax)
        above = divider.append_axes("top", size="16%", pad=0.08, sharex=ax)
        color = self.image_.cmap(0.4)
        sent, received = self.coupling.sum(axis=1), self.coupling.sum(axis=0)
        rows, columns = np.arange(sent.size), np.arange(received.size)
        right.barh(rows, sent, height=0.7, color=color)
        above.bar(columns, received, width=0.7, color=color)
        if self.source_weights is not None:
            right.vlines(self.source_weights, rows - 0.4, rows + 0.4, color=INK)
        if self.target_weights is not None:
            above.hlines(self.target_weights, columns - 0.4, columns + 0.4, color=INK)
        for margin in (right, above):
            margin.spines[["top", "right"]].set_visible(False)
            margin.tick_params(
                which="both", length=0, labelsize="small", labelcolor=INK
            )
        right.tick_params(labelleft=False)
        above.tick_params(labelbottom=False)
        # One tick, at the largest share: the cells hold the exact numbers.
        right.set(
            xlim=(0, None), xticks=[sent.max()], xticklabels=[f"{sent.max():.2g}"]
        )
        label = f"{received.max():.2g}"
        above.set(ylim=(0, None), yticks=[received.max()], yticklabels=[label])
        above.set_ylabel("share", fontsize="small", color=INK)
        right.set_xlabel("share", fontsize="small", color=INK)
        return right, above
