"""What all displays draw with. matplotlib is imported where something is drawn."""

from typing import Any

import numpy as np

from skgmmot._checks import message

INK = "0.35"  # of strokes and words beside a picture


def drawing_axes(ax: Any) -> Any:
    """The axes to draw on, in a new figure if there are none."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        mend = 'pip install "skgmmot[plot]"'
        raise ImportError(
            message("matplotlib", "an installed package", "none", mend)
        ) from error
    return plt.subplots()[1] if ax is None else ax


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


def halo_text(ax: Any, place: np.ndarray, text: str) -> None:
    """Small text that can be read on points and fills alike."""
    from matplotlib.patheffects import withStroke

    style = {"ha": "center", "va": "center", "fontsize": "small", "zorder": 3}
    halo = [withStroke(linewidth=2.5, foreground="white")]
    ax.text(*place, text, path_effects=halo, clip_on=True, **style)
