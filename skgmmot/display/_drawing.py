"""What all displays draw with. matplotlib is imported where something is drawn."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgmmot._checks import message

INK = "0.35"  # of strokes and words beside a picture
# Colours of components, after Okabe and Ito: they stay apart for colour-blind readers,
# and neighbours in the list differ in lightness. Markers tell them apart in grey.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#117733",
    "#CC79A7",
    "#882255",
    "#56B4E9",
    "#D55E00",
    "#332288",
)
MARKERS = "o^sDvP*X"


def check_attribute(estimator: Any, attribute: str, mend: str) -> None:
    """Refuse what is not fitted, and what has no such attribute once it is."""
    if hasattr(estimator, attribute):
        return
    if hasattr(estimator, "fit"):
        check_is_fitted(estimator)
    expected, got = f"one with {attribute}", type(estimator).__name__
    raise TypeError(message("estimator", expected, got, mend))


def pyplot() -> Any:
    """matplotlib.pyplot; where it is missing, how to get it."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        mend = 'pip install "skgmmot[plot]"'
        raise ImportError(
            message("matplotlib", "an installed package", "none", mend)
        ) from error
    return plt


def drawing_axes(ax: Any, figsize: tuple[float, float] | None = None) -> Any:
    """The axes to draw on, in a new figure if there are none."""
    if ax is None:
        return pyplot().subplots(figsize=figsize)[1]
    return check_axes(ax)


def check_axes(ax: Any, expected: str = "None or a matplotlib Axes") -> Any:
    """Return Axes, and refuse anything else."""
    pyplot()
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return ax
    got = f"{type(ax).__name__} of {np.size(ax)}" if np.ndim(ax) else repr(ax)
    mend = "matplotlib.pyplot.subplots() gives a figure and its Axes"
    raise TypeError(message("ax", expected, got, mend))


def ellipse(
    mean: Any, covariance: np.ndarray, n_std: float, style: dict[str, Any]
) -> Any:
    """The line at `n_std` standard deviations around a mean."""
    from matplotlib.patches import Ellipse

    eigenvalues, vectors = np.linalg.eigh(covariance)
    # A singular covariance may come out a rounding error below zero.
    axes = 2.0 * n_std * np.sqrt(np.maximum(eigenvalues, 0.0))
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    return Ellipse(mean, width=axes[1], height=axes[0], angle=angle, **style)


def halo() -> list[Any]:
    """A white rim, with which text can be read on points, lines and fills alike."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.5, foreground="white")]


def legend_of_sides(ax: Any) -> None:
    """Which lines are the source's and which the target's."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=INK, linestyle="-", label="source"),
        Line2D([], [], color=INK, linestyle="--", label="target"),
    ]
    ax.legend(handles=handles, fontsize="small")
