"""What a fit or a flow gained from step to step."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skgmmot._checks import message, real_array
from skgmmot.display._drawing import PALETTE, check_attribute, drawing_axes

_LINES = ("-", "--", "-.", ":")


class ObjectiveDisplay:
    """Curves of an objective or a loss, over the steps of a fit or a flow.

    Parameters
    ----------
    curves : sequence of array-like of shape (n_steps,)
        One for each fit.
    labels : sequence of str, default=None
        What they are called. None: no legend.
    ylabel : str, default="objective"
        What is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    lines_ : list of matplotlib Line2D
        One for each curve.

    See Also
    --------
    PathDisplay : What a criterion chose the number of components by.

    Examples
    --------
    >>> from skgmmot import ObjectiveDisplay, SparseGaussianMixture
    >>> from skgmmot.datasets import make_mixture
    >>> X = make_mixture(500, random_state=0).X
    >>> mixture = SparseGaussianMixture(8, sparsity=1.0, random_state=0)
    >>> fits = [mixture.fit(X), SparseGaussianMixture(5, random_state=0).fit(X)]
    >>> display = ObjectiveDisplay.from_estimators(fits, labels=["price", "BIC"])
    >>> len(display.lines_)
    2
    """

    def __init__(
        self,
        curves: Sequence[Any],
        *,
        labels: Sequence[str] | None = None,
        ylabel: str = "objective",
    ) -> None:
        self.curves = [real_array(curve, "curves") for curve in curves]
        if not self.curves or any(curve.ndim != 1 for curve in self.curves):
            expected = "one curve or more, each of one dimension"
            raise ValueError(message("curves", expected, f"{len(self.curves)}"))
        if labels is not None and len(labels) != len(self.curves):
            expected = f"{len(self.curves)} labels, one for each curve"
            raise ValueError(message("labels", expected, len(labels)))
        self.labels = labels
        self.ylabel = ylabel

    @classmethod
    def from_estimators(
        cls,
        estimators: Sequence[Any],
        *,
        labels: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the objective of fits beside each other.

        Parameters
        ----------
        estimators : sequence of estimators with ``lower_bounds_``
            Fitted mixtures, coupled ones too.
        labels : sequence of str, default=None
            What they are called. None: no legend.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        :class:`ObjectiveDisplay`
            The display, drawn.

        Raises
        ------
        TypeError
            If one has no ``lower_bounds_``.
        sklearn.exceptions.NotFittedError
            If one is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        for estimator in estimators:
            check_attribute(estimator, "lower_bounds_", "fit a mixture of this package")
        curves = [[*each.lower_bounds_, each.lower_bound_] for each in estimators]
        return cls(curves, labels=labels).plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the objective of one fit.

        Parameters
        ----------
        estimator : estimator with ``lower_bounds_``
            A fitted mixture, a coupled one too.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        :class:`ObjectiveDisplay`
            The display, drawn.

        Raises
        ------
        TypeError
            If it has no ``lower_bounds_``.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        return cls.from_estimators([estimator], ax=ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        gap: bool = False,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        gap : bool, default=False
            Whether to draw, on a logarithmic axis, what is left to the best value of
            all curves: of an objective to the highest, which is its last.
        line_kwargs : dict, default=None
            Passed to matplotlib's plot.

        Returns
        -------
        :class:`ObjectiveDisplay`
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = drawing_axes(ax)
        self.figure_ = self.ax_.figure
        best = max(curve.max() for curve in self.curves)
        self.lines_ = []
        for k, curve in enumerate(self.curves):
            style = {
                "color": PALETTE[k % len(PALETTE)],
                "linestyle": _LINES[k % len(_LINES)],
                "label": None if self.labels is None else self.labels[k],
            } | (line_kwargs or {})
            shown = np.where(curve < best, best - curve, np.nan) if gap else curve
            self.lines_ += self.ax_.plot(np.arange(len(curve)), shown, **style)
        ylabel = f"{self.ylabel} left to gain" if gap else self.ylabel
        self.ax_.set(xlabel="step", ylabel=ylabel)
        if gap:
            self.ax_.set_yscale("log")
        self.ax_.grid(color="0.9", linewidth=0.8)
        if self.labels is not None:
            self.ax_.legend()
        return self
