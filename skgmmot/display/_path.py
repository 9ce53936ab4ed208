"""What a criterion chose the number of components by."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skgmmot._checks import check_shape, message, real_array
from skgmmot.display._drawing import INK, check_attribute, check_axes, halo, pyplot

# Told apart by colour-blind readers (the colours of Okabe and Ito), and in grey by
# markers and dashes.
_STYLES: list[dict[str, Any]] = [
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#000000", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
    {"color": "#009E73", "marker": "v", "linestyle": (0, (6, 2))},
    {"color": "#E69F00", "marker": "P", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
]
_MARGIN = 0.15  # of the height, above and below what a zoom shows


class PathDisplay:
    """Criterion and log-likelihood over the number of components.

    Two pictures above each other. The upper one shows the criterion of each size, the
    lower the better; a ring and its number mark the size that was chosen. The lower one
    shows the log-likelihood, which an added component can only raise: where its curve
    bends, further components describe less. Several paths, of covariance types say,
    are drawn into the same pictures; an upright line marks the best of all.

    Parameters
    ----------
    paths : sequence of records
        Each with ``n_components``, ``log_likelihood`` and ``criterion``, arrays of
        shape (n_sizes,) in any order, as the ``path_`` of an estimator has.
    labels : sequence of str, default=None
        What each path is called. None: no legend.
    criterion_name : str, default='criterion'
        The name on the upper vertical axis.

    Attributes
    ----------
    chosen : ndarray of shape (n_paths,)
        The size with the lowest criterion on each path, the smaller one of two.
    best : int
        The path with the lowest criterion of all.
    ax_ : matplotlib Axes
        Where the criterion was drawn.
    likelihood_ax_ : matplotlib Axes or None
        Where the log-likelihood was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    lines_ : list of matplotlib Line2D
        The criterion, one line for each path.
    likelihood_lines_ : list of matplotlib Line2D
        The log-likelihood, one line for each path.
    text_ : list of matplotlib Text
        The chosen sizes.

    See Also
    --------
    MixtureDisplay : The components of one mixture as ellipses.

    Examples
    --------
    >>> from skgmmot import PathDisplay, SparseGaussianMixture
    >>> from skgmmot.datasets import make_mixture
    >>> X = make_mixture(500, n_components=3, random_state=0).X
    >>> types = ("full", "diag")
    >>> display = PathDisplay.from_estimators(
    ...     SparseGaussianMixture(6, covariance_type=t, random_state=0).fit(X)
    ...     for t in types
    ... )
    >>> display.labels[display.best], int(display.chosen[display.best])
    ('full', 3)
    """

    def __init__(
        self,
        paths: Sequence[Any],
        *,
        labels: Sequence[str] | None = None,
        criterion_name: str = "criterion",
    ) -> None:
        self.paths = list(paths)
        self.labels = None if labels is None else [str(label) for label in labels]
        self.criterion_name = criterion_name
        if not self.paths:
            raise ValueError(message("paths", "one path or more", "none"))
        if self.labels is not None and len(self.labels) != len(self.paths):
            expected = f"{len(self.paths)} labels, one for each path"
            raise ValueError(message("labels", expected, len(self.labels)))
        self._curves = [_curves(path) for path in self.paths]
        # Sizes ascend, so that argmin takes the smaller one of two that are as good.
        lowest = [int(np.argmin(criterion)) for _, criterion, _ in self._curves]
        self.chosen = np.array(
            [curves[0][k] for curves, k in zip(self._curves, lowest, strict=True)]
        )
        self.best = int(
            np.argmin([criterion.min() for _, criterion, _ in self._curves])
        )

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the path of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``path_``
            A :class:`~skgmmot.SparseGaussianMixture` whose number of components a
            criterion chose.
        ax : matplotlib Axes or pair of them, default=None
            Where to draw, see :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        :class:`PathDisplay`
            The display, drawn.

        Raises
        ------
        TypeError
            If the object has no ``path_``, such as a mixture fitted at a price.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        return cls._from([estimator], None, ax, kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Sequence[Any],
        *,
        labels: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the paths of several fitted estimators into the same pictures.

        Parameters
        ----------
        estimators : sequence of estimators with ``path_``
            All fitted to the same rows by the same criterion.
        labels : sequence of str, default=None
            What each is called. None: their covariance types where these differ, else
            their numbers.
        ax : matplotlib Axes or pair of them, default=None
            Where to draw, see :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        :class:`PathDisplay`
            The display, drawn.

        Raises
        ------
        TypeError
            If one of them has no ``path_``.
        ValueError
            If their criteria differ.
        sklearn.exceptions.NotFittedError
            If one of them is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        estimators = list(estimators)
        if labels is None:
            labels = [str(getattr(e, "covariance_type", None)) for e in estimators]
            if len(set(labels)) < len(labels):
                labels = [str(number) for number in range(len(labels))]
        return cls._from(estimators, labels, ax, kwargs)

    @classmethod
    def _from(
        cls,
        estimators: list[Any],
        labels: Sequence[str] | None,
        ax: Any,
        kwargs: dict[str, Any],
    ) -> Self:
        """Draw the paths of estimators, named by their one criterion."""
        for estimator in estimators:
            mend = "fit a SparseGaussianMixture with sparsity='bic', 'icl' or 'aic'"
            check_attribute(estimator, "path_", mend)
        names = {str(getattr(e, "sparsity", "criterion")) for e in estimators}
        if len(names) > 1:
            got, mend = ", ".join(sorted(names)), "draw them in pictures of their own"
            raise ValueError(message("estimators", "one criterion", got, mend))
        name = "".join(names)
        if name != "criterion":
            name = name.upper()
        paths = [estimator.path_ for estimator in estimators]
        return cls(paths, labels=labels, criterion_name=name).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        zoom: bool = True,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw criterion and log-likelihood.

        Parameters
        ----------
        ax : matplotlib Axes or pair of them, default=None
            Where to draw. A pair takes the criterion and the log-likelihood, one Axes
            the criterion alone; None makes a new figure with both.
        zoom : bool, default=True
            Whether the vertical axes show the largest sizes and one component less
            than chosen, while lines of smaller sizes leave the picture. A single
            component is often so far off that the rest would look flat.
        line_kwargs : dict, default=None
            Passed to matplotlib's plot.

        Returns
        -------
        :class:`PathDisplay`
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_, self.likelihood_ax_ = _two_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_, self.likelihood_lines_, self.text_ = [], [], []
        for number, curves in enumerate(self._curves):
            style: dict[str, Any] = {"markersize": 5, "linewidth": 1.6}
            style |= _STYLES[number % len(_STYLES)] | (line_kwargs or {})
            if self.labels is not None:
                style["label"] = self.labels[number]
            sizes, criterion, likelihood = curves
            self.lines_ += self._plot_line(self.ax_, sizes, criterion, number, style)
            if self.likelihood_ax_ is not None:
                self.likelihood_lines_ += self._plot_line(
                    self.likelihood_ax_, sizes, likelihood, number, style
                )
            self.text_.append(self._plot_number(number))
        if zoom:
            self._zoom()
        self._finish()
        return self

    def _plot_line(
        self,
        ax: Any,
        sizes: np.ndarray,
        values: np.ndarray,
        number: int,
        style: dict[str, Any],
    ) -> list[Any]:
        """One curve, with a ring about the size that was chosen."""
        lines = ax.plot(sizes, values, **style)
        (where,) = np.flatnonzero(sizes == self.chosen[number])
        ring = {"marker": "o", "markersize": 12, "markeredgewidth": 1.6}
        color = lines[0].get_color()
        ax.plot(
            sizes[where], values[where], color=color, markerfacecolor="none", **ring
        )
        return lines

    def _plot_number(self, number: int) -> Any:
        """The chosen size below its ring; that the offer was the limit is said."""
        sizes, criterion, _ = self._curves[number]
        chosen = self.chosen[number]
        label = str(chosen)
        if chosen == sizes.max() and len(sizes) > 1:
            label += " (the largest)"
        return self.ax_.annotate(
            label,
            (chosen, criterion.min()),
            xytext=(0, -9),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize="small",
            path_effects=halo(),
        )

    def _zoom(self) -> None:
        """Vertical limits at the largest sizes and just below the chosen ones."""
        shown: tuple[list[float], list[float]] = ([], [])
        for (sizes, *values), chosen in zip(self._curves, self.chosen, strict=True):
            kept = np.flatnonzero(sizes < chosen)[-1:]
            first = kept[0] if len(kept) else 0
            for part, value in zip(shown, values, strict=True):
                part.extend(value[first:])
        for ax, part in zip((self.ax_, self.likelihood_ax_), shown, strict=True):
            low, high = min(part), max(part)
            if ax is not None and high > low:
                margin = _MARGIN * (high - low)
                ax.set_ylim(low - margin, high + margin)

    def _finish(self) -> None:
        """Names of the axes, whole numbers below them, the best of all, the legend."""
        from matplotlib.ticker import MaxNLocator

        axes = [ax for ax in (self.ax_, self.likelihood_ax_) if ax is not None]
        self.ax_.set_ylabel(self.criterion_name)
        if self.likelihood_ax_ is not None:
            self.likelihood_ax_.set_ylabel("log-likelihood")
        for ax in axes:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.grid(color="0.9", linewidth=0.8)
            ax.set_axisbelow(True)
            if len(self.paths) > 1:
                line = {"color": INK, "linewidth": 1.0, "linestyle": ":", "zorder": 1}
                ax.axvline(self.chosen[self.best], **line)
        axes[-1].set_xlabel("number of components")
        if self.labels is not None:
            # Of likelihoods the lower right corner is free, of criteria none for sure.
            axes[-1].legend(loc="lower right" if len(axes) == 2 else "best")


def _curves(path: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes from the smallest up, with their criterion and log-likelihood."""
    names = ("n_components", "criterion", "log_likelihood")
    missing = [name for name in names if not hasattr(path, name)]
    if missing:
        mend = "PathDisplay.from_estimator takes an estimator"
        expected = f"records with {', '.join(names)}"
        raise TypeError(message("paths", expected, type(path).__name__, mend))
    sizes, criterion, likelihood = (
        real_array(getattr(path, name), name) for name in names
    )
    check_shape(criterion, "criterion", (sizes.size,))
    check_shape(likelihood, "log_likelihood", (sizes.size,))
    order = np.argsort(sizes)
    return sizes[order].astype(np.int64), criterion[order], likelihood[order]


def _two_axes(ax: Any) -> tuple[Any, Any]:
    """Axes of the criterion and of the log-likelihood, None where it is not drawn."""
    if ax is None:
        style = {"figsize": (6.4, 6.4), "sharex": True, "layout": "constrained"}
        ax = pyplot().subplots(2, 1, **style)[1]
    expected = "Axes, or two of them for criterion and log-likelihood"
    if np.ndim(ax) == 0:
        return check_axes(ax, expected), None
    axes = np.ravel(ax)
    if len(axes) != 2:
        raise ValueError(message("ax", expected, len(axes)))
    return check_axes(axes[0], expected), check_axes(axes[1], expected)
