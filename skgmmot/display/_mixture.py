"""The ellipses of a mixture."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from skgmmot._checks import check_shape, is_integer, message, real_array
from skgmmot.display._drawing import drawing_axes, ellipse, halo
from skgmmot.linalg import as_mixture


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
    PathDisplay : What a criterion chose the number of components by.

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
        ax = drawing_axes(ax)
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
            drawn[k] = ellipse(self.means[k], self.covariances[k], n_std, style)
            ax.add_patch(drawn[k])
            if labels:
                _number(ax, self.means[k], k)
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


def _number(ax: Any, place: np.ndarray, component: int) -> None:
    """The number of a component, at its mean."""
    style = {"ha": "center", "va": "center", "fontsize": "small", "zorder": 3}
    ax.text(*place, str(component), path_effects=halo(), clip_on=True, **style)


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
