"""The coupling of two mixtures as a heat map."""

from typing import Any, Self

import numpy as np

from skgmmot._checks import check_shape, message, real_array
from skgmmot.display._drawing import INK, check_attribute, drawing_axes
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
        cls, estimator: Any, *, intervals: Any = None, ax: Any = None, **kwargs: Any
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
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        :class:`CouplingDisplay`
            The display, drawn.

        Raises
        ------
        TypeError
            If the object has no ``coupling_``, such as a fitted mixture.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        mend = "pass a bare matrix to CouplingDisplay(...).plot()"
        check_attribute(estimator, "coupling_", mend)
        shares = {
            f"{side}_weights": as_mixture(getattr(estimator, f"{side}_"), side).weights
            for side in ("source", "target")
            if hasattr(estimator, f"{side}_")
        }
        display = cls(estimator.coupling_, intervals=intervals, **shares)
        return display.plot(ax=ax, **kwargs)

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
