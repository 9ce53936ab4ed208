"""Pictures of mixtures and of the coupling between two of them."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgmmot._checks import check_shape, is_integer, message, real_array
from skgmmot.linalg import as_mixture

__all__ = ["CouplingDisplay", "MixtureDisplay"]

_INK = "0.35"


class MixtureDisplay:
    """Ellipses of a mixture's components in two features.

    The constructor keeps the data, :meth:`plot` draws them. Use
    :meth:`from_estimator` to take them from a fitted estimator or from any
    other mixture-like object.

    Parameters
    ----------
    weights : array-like of shape (n_components,)
        Shares of the components.
    means : array-like of shape (n_components, 2)
        Their means in the two features that are drawn.
    covariances : array-like of shape (n_components, 2, 2)
        Their covariances in these two features.
    X : array-like of shape (n_samples, 2), default=None
        Points to draw underneath.
    feature_names : sequence of two str, default=None
        What the axes are called. None leaves them without a name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    ellipses_ : list of matplotlib Ellipse
        One for each component, in the order of `weights`.
    scatter_ : matplotlib PathCollection or None
        The points.

    See Also
    --------
    CouplingDisplay : The coupling of two mixtures as a labelled heat map.

    Examples
    --------
    >>> import numpy as np
    >>> from skgmmot import MixtureDisplay
    >>> mixture = (np.ones(1), np.zeros((1, 3)), np.diag([4.0, 1.0, 9.0])[None])
    >>> display = MixtureDisplay.from_estimator(mixture, features=(2, 1), n_std=1)
    >>> display.ax_.get_xlabel(), len(display.ellipses_)
    ('feature 2', 1)
    """

    def __init__(
        self,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        X: Any = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.weights = real_array(weights, "weights")
        self.means = real_array(means, "means")
        self.covariances = real_array(covariances, "covariances")
        self.X = None if X is None else real_array(X, "X")
        self.feature_names = feature_names
        n_components = len(self.means) if self.means.ndim else 0
        for name, expected in (
            ("weights", (n_components,)),
            ("means", (n_components, 2)),
            ("covariances", (n_components, 2, 2)),
        ):
            check_shape(getattr(self, name), name, expected)
        if self.X is not None:
            check_shape(self.X, "X", (*self.X.shape[:1], 2))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        features: Any = (0, 1),
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw two features of a mixture.

        Parameters
        ----------
        estimator : mixture-like
            A fitted mixture estimator, a Mixture, or a tuple of weights (K,),
            means (K, d) and covariances (K, d, d).
        X : array-like or DataFrame of shape (n_samples, n_features), default=None
            Points to draw underneath, with all features of the mixture.
        features : tuple of two int or str, default=(0, 1)
            The features on the two axes: columns, or names where the estimator
            was fitted on named columns or `X` has them.
        ax : matplotlib Axes, default=None
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
            If `features` are not two features of the mixture, or `X` has others.
        ImportError
            If matplotlib is not installed.
        """
        weights, means, covariances = as_mixture(estimator, name="estimator")
        names = _feature_names(estimator, X, means.shape[1])
        pair = _two_features(features, names)
        if X is not None:
            X = np.asarray(X)
            check_shape(X, "X", (len(X), means.shape[1]))
            X = X[:, pair]
        display = cls(
            weights,
            means[:, pair],
            covariances[:, pair][:, :, pair],
            X=X,
            feature_names=[names[feature] for feature in pair],
        )
        return display.plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        n_std: float = 2.0,
        colors: Sequence[Any] | None = None,
        labels: bool = True,
        ellipse_kwargs: dict[str, Any] | None = None,
        scatter_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the ellipses, and the points if there are any.

        The fill of an ellipse is the denser, the larger the component's share.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        n_std : float, default=2.0
            Half axes of the ellipses, in standard deviations.
        colors : sequence of matplotlib colours, default=None
            One for each component, repeated if there are fewer. None takes
            matplotlib's cycle of colours.
        labels : bool, default=True
            Whether the number of each component stands at its mean.
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
        ImportError
            If matplotlib is not installed.
        """
        ax = _axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        self.scatter_ = None
        if self.X is not None:
            self.scatter_ = self._plot_points(ax, self.X, scatter_kwargs or {})
        if colors is None:
            colors = [f"C{k % 10}" for k in range(10)]
        # Large components first, so that small ones lie on top of them.
        order = np.argsort(-self.weights, kind="stable")
        drawn = {}
        for k in order:
            style = self._style(k, colors[k % len(colors)]) | (ellipse_kwargs or {})
            drawn[k] = _ellipse(self.means[k], self.covariances[k], n_std, style)
            ax.add_patch(drawn[k])
            if labels:
                _halo_text(ax, self.means[k], str(k))
        self.ellipses_ = [drawn[k] for k in range(len(order))]
        ax.autoscale_view()
        if self.feature_names is not None:
            ax.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        return self

    def _style(self, component: int, color: Any) -> dict[str, Any]:
        """Fill by share, outline always visible."""
        from matplotlib.colors import to_rgba

        share = self.weights[component] / self.weights.max()
        return {
            "facecolor": to_rgba(color, 0.08 + 0.42 * share),
            "edgecolor": color,
            "linewidth": 1.5,
            "zorder": 2,
        }

    def _plot_points(
        self, ax: Any, X: np.ndarray, scatter_kwargs: dict[str, Any]
    ) -> Any:
        """Points that neither vanish when they are few nor cover when many."""
        size = np.clip(20000 / len(X), 1.0, 14.0)
        style = {"s": size, "color": "0.55", "linewidth": 0, "zorder": 1}
        return ax.scatter(X[:, 0], X[:, 1], **(style | scatter_kwargs))


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
        self, coupling: Any, *, source_weights: Any = None, target_weights: Any = None
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

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the coupling of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``coupling_``
            A fitted :class:`~skgmmot.CoupledGaussianMixture` or
            :class:`~skgmmot.GMMOTTransformer`, or another object with that
            attribute. Its ``source_`` and ``target_``, where it has them, give
            the shares.
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
            If the object has no ``coupling_`` and is no estimator.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        if not hasattr(estimator, "coupling_"):
            if hasattr(estimator, "fit"):
                check_is_fitted(estimator, "coupling_")
            mend = "pass a bare matrix to CouplingDisplay(...).plot()"
            raise TypeError(
                message(
                    "estimator", "one with coupling_", type(estimator).__name__, mend
                )
            )
        shares = {
            f"{side}_weights": as_mixture(getattr(estimator, f"{side}_"), side).weights
            for side in ("source", "target")
            if hasattr(estimator, f"{side}_")
        }
        return cls(estimator.coupling_, **shares).plot(ax=ax, **kwargs)

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
        ax = _axes(ax)
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
        size = np.clip(80 / max(self.coupling.shape), 5, 10)
        for (k, column), mass in np.ndenumerate(self.coupling):
            label = format(mass, values_format)
            if label == nothing:
                continue
            *rgb, _ = self.image_.cmap(self.image_.norm(mass))
            luminance = np.dot(rgb, [0.299, 0.587, 0.114])
            color = "black" if luminance > 0.55 else "white"
            style = {"ha": "center", "va": "center", "fontsize": size, "color": color}
            cells[k, column] = ax.text(column, k, label, **style)
        return cells

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
            right.vlines(self.source_weights, rows - 0.4, rows + 0.4, color=_INK)
        if self.target_weights is not None:
            above.hlines(self.target_weights, columns - 0.4, columns + 0.4, color=_INK)
        for margin in (right, above):
            margin.spines[["top", "right"]].set_visible(False)
            margin.tick_params(
                which="both", length=0, labelsize="small", labelcolor=_INK
            )
        right.tick_params(labelleft=False)
        above.tick_params(labelbottom=False)
        # One tick, at the largest share: the cells hold the exact numbers.
        right.set(
            xlim=(0, None), xticks=[sent.max()], xticklabels=[f"{sent.max():.2g}"]
        )
        label = f"{received.max():.2g}"
        above.set(ylim=(0, None), yticks=[received.max()], yticklabels=[label])
        above.set_ylabel("share", fontsize="small", color=_INK)
        right.set_xlabel("share", fontsize="small", color=_INK)
        return right, above


def _axes(ax: Any) -> Any:
    """The axes to draw on, in a new figure if there are none."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        mend = 'pip install "skgmmot[plot]"'
        raise ImportError(
            message("matplotlib", "an installed package", "none", mend)
        ) from error
    return plt.subplots()[1] if ax is None else ax


def _ellipse(
    mean: Any, covariance: np.ndarray, n_std: float, style: dict[str, Any]
) -> Any:
    """The line at `n_std` standard deviations around a mean."""
    from matplotlib.patches import Ellipse

    eigenvalues, vectors = np.linalg.eigh(covariance)
    # A singular covariance may come out a rounding error below zero.
    axes = 2.0 * n_std * np.sqrt(np.maximum(eigenvalues, 0.0))
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    return Ellipse(mean, width=axes[1], height=axes[0], angle=angle, **style)


def _halo_text(ax: Any, place: np.ndarray, text: str) -> None:
    """Small text that can be read on points and fills alike."""
    from matplotlib.patheffects import withStroke

    style = {"ha": "center", "va": "center", "fontsize": "small", "zorder": 3}
    halo = [withStroke(linewidth=2.5, foreground="white")]
    ax.text(*place, text, path_effects=halo, clip_on=True, **style)


def _feature_names(estimator: Any, X: Any, n_features: int) -> list[str]:
    """Names the estimator was fitted with, else those of X, else numbers."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None and hasattr(X, "columns"):
        names = X.columns
    if names is None or len(names) != n_features:
        names = [f"feature {feature}" for feature in range(n_features)]
    return [str(name) for name in names]


def _two_features(features: Any, names: list[str]) -> list[int]:
    """Two columns, given by number or by name."""
    features = list(features) if isinstance(features, Iterable) else [features]
    known = [
        feature in names
        if isinstance(feature, str)
        else is_integer(feature, -len(names)) and feature < len(names)
        for feature in features
    ]
    if len(features) != 2 or not all(known):
        expected = (
            f"two of the {len(names)} features of the mixture, by column number or by "
            f"name ({', '.join(names[:8])})"
        )
        raise ValueError(message("features", expected, features))
    return [
        names.index(feature) if isinstance(feature, str) else feature % len(names)
        for feature in features
    ]
