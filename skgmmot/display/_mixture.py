"""Mixtures as curves, ellipses and densities."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skgmmot._checks import check_shape, message, real_array
from skgmmot.display._drawing import (
    PALETTE,
    check_axes,
    drawing_axes,
    legend_of_sides,
    pyplot,
)
from skgmmot.display._features import chosen_features, feature_names
from skgmmot.display._shapes import (
    Side,
    Style,
    components_of,
    draw_curves,
    draw_density,
    draw_ellipses,
    draw_points,
)
from skgmmot.kernels import is_device_array, to_host
from skgmmot.linalg import as_mixture

_KINDS = ("ellipses", "density", "log-density")


class MixtureDisplay:
    """A mixture in one feature, in two, or in all pairs of several.

    One feature is drawn as curves: each component's density times its weight, and
    the sum of all. Two are drawn as ellipses, as a filled density or as lines of equal
    log-density. Of more features there is a matrix: pairs below the diagonal, curves
    on it. The constructor keeps the data, :meth:`plot` draws them. Use
    :meth:`from_estimator` to take them from a fitted estimator or from any other
    mixture-like object.

    Parameters
    ----------
    weights : array-like of shape (n_components,)
        Shares of the components.
    means : array-like of shape (n_components, n_features)
        Their means in the features that are drawn.
    covariances : array-like of shape (n_components, n_features, n_features)
        Their covariances in these features.
    X : array-like of shape (n_samples, n_features), default=None
        Points to draw underneath.
    components : array-like of shape (n_samples,), default=None
        The component of each point, for ``plot(by_component=True)``.
    feature_names : sequence of str, default=None
        What the axes are called. None leaves them without a name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn; the first of a matrix.
    axes_ : ndarray of matplotlib Axes or None
        The matrix of more than two features; above its diagonal None.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    ellipses_ : list of matplotlib Ellipse
        One for each component, in the order of `weights`; empty where none are drawn.
    lines_ : list of matplotlib Line2D
        The curves of the components, and that of their sum; empty in two features.
    contours_ : matplotlib QuadContourSet or None
        The density.
    scatter_ : matplotlib PathCollection, list of them or None
        The points; a list, one for each component, with ``by_component=True``.
    counterpart_ : MixtureDisplay or None
        Of a coupled estimator, the target's display; this one is the source's.

    See Also
    --------
    CouplingDisplay : The coupling of two mixtures as a labelled heat map.
    PathDisplay : What a criterion chose the number of components by.

    Notes
    -----
    In two features the ellipse at s standard deviations holds the share
    :math:`1 - e^{-s^2 / 2}` of its component, 86.5 % at the default of 2; for a share
    q it is ``n_std=scipy.stats.chi2.ppf(q, 2) ** 0.5``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot import MixtureDisplay
    >>> mixture = (np.ones(1), np.zeros((1, 3)), np.diag([4.0, 1.0, 9.0])[None])
    >>> display = MixtureDisplay.from_estimator(mixture, features=(2, 1), n_std=1)
    >>> display.ax_.get_xlabel(), len(display.ellipses_)
    ('feature 2', 1)
    >>> display = MixtureDisplay.from_estimator(mixture, features=0)
    >>> len(display.lines_)
    2
    """

    def __init__(
        self,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        X: Any = None,
        components: Any = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.weights = real_array(weights, "weights")
        self.means = real_array(means, "means")
        self.covariances = real_array(covariances, "covariances")
        self.X = None if X is None else real_array(X, "X")
        self.components = None if components is None else np.asarray(components)
        self.feature_names = feature_names
        shape = self.means.shape
        if len(shape) != 2 or shape[1] == 0:
            expected = "shape (n_components, n_features), with a feature at least"
            raise ValueError(message("means", expected, f"shape {shape}"))
        check_shape(self.weights, "weights", shape[:1])
        check_shape(self.covariances, "covariances", (*shape, shape[1]))
        if self.X is not None:
            check_shape(self.X, "X", (*self.X.shape[:1], shape[1]))
        if self.components is not None:
            n_rows = 0 if self.X is None else len(self.X)
            check_shape(self.components, "components", (n_rows,))
        self._linestyle = "-"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        sample_domain: Any = None,
        features: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw some features of a mixture, or of the two of a coupled estimator.

        Of a fitted :class:`~skgmmot.CoupledGaussianMixture` or
        :class:`~skgmmot.GMMOTTransformer` both sides are drawn: the source with full
        lines, the target with dashed ones and primed numbers, a target component in
        the colour of the source component that most of its mass comes from.

        Parameters
        ----------
        estimator : mixture-like or coupled estimator
            A fitted mixture estimator, a Mixture, a tuple of weights (K,), means
            (K, d) and covariances (K, d, d), or an estimator with ``source_``,
            ``target_`` and ``coupling_``.
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Points to draw underneath, with all features of the mixture.
        sample_domain : array-like of shape (n_samples,), default=None
            Of a coupled estimator, the side of each row of `X`: from 0 on source,
            below it target. None: all are source rows.
        features : int, str or sequence of them, default=None
            The features to draw: columns, or names where the estimator was fitted on
            named columns or `X` has them. None: the first two.
        ax : matplotlib Axes or array of them, default=None
            Where to draw. None makes a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        :class:`MixtureDisplay`
            The display, drawn.

        Raises
        ------
        ValueError
            If `features` are not features of the mixture, or `X` has others.
        ImportError
            If matplotlib is not installed.
        """
        if not all(
            hasattr(estimator, f"{s}_") for s in ("source", "target", "coupling")
        ):
            display = cls._of(estimator, X, features, kwargs)
            return display.plot(ax=ax, **kwargs)
        rows: list[Any] = [X, None]
        if X is not None and sample_domain is not None:
            is_source = np.asarray(sample_domain) >= 0
            rows = [X[is_source], X[~is_source]]
        source = cls._of(estimator.source_, rows[0], features, kwargs)
        target = cls._of(estimator.target_, rows[1], features, kwargs)
        colors = _cycled(kwargs.pop("colors", None), len(source.weights))
        source.plot(ax=ax, colors=colors, **kwargs)
        target._linestyle = "--"
        origins = np.asarray(estimator.coupling_).argmax(axis=0)
        where = source.ax_ if source.axes_ is None else source.axes_
        colors = [colors[k] for k in origins]
        source.counterpart_ = target.plot(ax=where, colors=colors, **kwargs)
        legend_of_sides(source.ax_)
        return source

    @classmethod
    def _of(cls, mixture: Any, X: Any, features: Any, looks: dict[str, Any]) -> Self:
        """The display of a mixture, not yet drawn."""
        known = as_mixture(mixture, name="estimator")
        names = feature_names(mixture, X, known.means.shape[1])
        columns = chosen_features(features, names)
        components = None
        if X is not None:
            X = to_host(X) if is_device_array(X) else np.asarray(X)
            check_shape(X, "X", (len(X), len(names)))
            if looks.get("by_component"):
                components = components_of(known, X)
        side = Side(*known, X, components).of(columns)
        return cls(
            *side[:3],
            X=side.X,
            components=components,
            feature_names=[names[column] for column in columns],
        )

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "ellipses",
        n_std: float = 2.0,
        colors: Sequence[Any] | None = None,
        labels: bool = True,
        by_component: bool = False,
        ellipse_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the mixture, and the points if there are any.

        The fill of an ellipse is the denser, the larger the component's share.

        Parameters
        ----------
        ax : matplotlib Axes or array of shape (n_features, n_features), default=None
            Where to draw: an array for three features or more. None makes a new
            figure.
        kind : {"ellipses", "density", "log-density"}, default="ellipses"
            Two features: an ellipse for each component, the density filled, or lines
            of equal log-density down to 8 nats below the peak. One feature: curves in
            any case, on a logarithmic axis with "log-density".
        n_std : float, default=2.0
            Half axes of the ellipses, in standard deviations.
        colors : sequence of matplotlib colours, default=None
            One for each component, repeated if there are fewer. None takes eight that
            colour-blind readers can tell apart.
        labels : bool, default=True
            Whether the number of each component stands at its mean.
        by_component : bool, default=False
            Whether points have the colour and a marker of their component.
        ellipse_kwargs : dict, default=None
            Passed to each matplotlib Ellipse.
        scatter_kwargs : dict, default=None
            Passed to matplotlib's scatter.

        Returns
        -------
        :class:`MixtureDisplay`
            The display itself.

        Raises
        ------
        ValueError
            If `kind` is none of the three, or axes are missing for the features.
        ImportError
            If matplotlib is not installed.
        """
        if kind not in _KINDS:
            raise ValueError(message("kind", f"one of {', '.join(_KINDS)}", repr(kind)))
        self.counterpart_: Self | None = None
        self.contours_: Any = None
        self.scatter_: Any = None
        self.axes_: Any = None
        self.ellipses_: list[Any] = []
        self.lines_: list[Any] = []
        colors = _cycled(colors, len(self.weights))
        prime = "" if self._linestyle == "-" else "′"
        numbers = [f"{k}{prime}" for k in range(len(self.weights))] if labels else None
        style = Style(colors, numbers, self._linestyle)
        side = Side(self.weights, self.means, self.covariances, self.X, self.components)
        looks = (ellipse_kwargs or {}, scatter_kwargs or {})
        setting = (kind, n_std, by_component, looks)
        if self.means.shape[1] > 2:
            self._plot_matrix(ax, side, style, setting)
            return self
        self.ax_ = drawing_axes(ax)
        self.figure_ = self.ax_.figure
        if self.means.shape[1] == 1:
            self.lines_ = draw_curves(self.ax_, side, style, kind)
            self.ax_.set_ylabel("density")
        else:
            self._plot_pair(self.ax_, side, style, setting)
        if self.feature_names is not None:
            setters = (self.ax_.set_xlabel, self.ax_.set_ylabel)
            for put, name in zip(setters, self.feature_names, strict=False):
                put(name)
        return self

    def _plot_pair(self, ax: Any, side: Side, style: Style, setting: Any) -> None:
        """Two features."""
        kind, n_std, by_component, (ellipse_kwargs, scatter_kwargs) = setting
        if kind != "ellipses":
            self.contours_ = draw_density(ax, side, style, kind)
        if side.X is not None:
            points = draw_points(ax, side, style, by_component, scatter_kwargs)
            self.scatter_ = points if by_component else points[0]
        if kind == "ellipses":
            self.ellipses_ = draw_ellipses(ax, side, style, n_std, ellipse_kwargs)

    def _plot_matrix(self, axes: Any, side: Side, style: Style, setting: Any) -> None:
        """Pairs of features below the diagonal, single ones on it."""
        d = self.means.shape[1]
        names = self.feature_names or [""] * d
        if axes is None:
            size = 1.6 + 1.6 * d
            layout = {"figsize": (size, size), "sharex": "col", "layout": "constrained"}
            axes = pyplot().subplots(d, d, **layout)[1]
        axes = np.array(axes, dtype=object)
        check_shape(axes, "ax", (d, d), f"{d} features make a matrix of pairs")
        for place in zip(*np.tril_indices(d), strict=True):
            check_axes(axes[place], f"a {d} x {d} array of matplotlib Axes")
        self.axes_, self.ax_ = axes, axes[0, 0]
        self.figure_ = self.ax_.figure
        for row in range(d):
            for column in range(row + 1):
                ax = axes[row, column]
                if row == column:
                    bare = style._replace(labels=None)
                    draw_curves(ax, side.of([row]), bare, setting[0])
                    ax.set_yticks([], minor=False)
                else:
                    self._plot_pair(ax, side.of([column, row]), style, setting)
                if row == d - 1:
                    ax.set_xlabel(names[column])
                if column == 0 and row > 0:
                    ax.set_ylabel(names[row])
            for column in range(row + 1, d):
                if axes[row, column] is not None:
                    axes[row, column].set_visible(False)


def _cycled(colors: Sequence[Any] | None, n_components: int) -> list[Any]:
    """One colour for each component."""
    colors = PALETTE if colors is None else colors
    return [colors[k % len(colors)] for k in range(n_components)]
