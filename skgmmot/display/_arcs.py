"""Two mixtures with an arc for each mass that goes from one to the other."""

from typing import Any

import numpy as np

from skgmmot.display._drawing import PALETTE, ellipse, halo, legend_of_sides

_WIDEST = 12.0  # points, of the arc that carries the largest mass
_LEAST = 1e-3  # of the largest mass; thinner arcs are not drawn
_BEND = 0.18


def draw_arcs(
    ax: Any, coupling: np.ndarray, source: Any, target: Any, n_std: float
) -> list[Any]:
    """Ellipses of both sides, and arcs as wide as the mass."""
    origins = coupling.argmax(axis=0)
    sides = (
        (source, [PALETTE[k % len(PALETTE)] for k in range(len(coupling))], "-", ""),
        (target, [PALETTE[k % len(PALETTE)] for k in origins], "--", "′"),
    )
    arcs = [
        _arc(ax, source.means[k], target.means[column], mass / coupling.max(), k)
        for (k, column), mass in np.ndenumerate(coupling)
        if mass > _LEAST * coupling.max()
    ]
    for mixture, colors, linestyle, prime in sides:
        for k, color in enumerate(colors):
            look = {
                "facecolor": "none",
                "edgecolor": color,
                "linestyle": linestyle,
                "linewidth": 1.5,
                "zorder": 3,
            }
            ax.add_patch(ellipse(mixture.means[k], mixture.covariances[k], n_std, look))
            style = {"ha": "center", "va": "center", "fontsize": "small", "zorder": 4}
            ax.text(*mixture.means[k], f"{k}{prime}", path_effects=halo(), **style)
    ax.autoscale_view()
    legend_of_sides(ax)
    return arcs


def _arc(ax: Any, start: np.ndarray, end: np.ndarray, share: float, k: int) -> Any:
    """An arc whose width is in proportion to the mass."""
    from matplotlib.patches import FancyArrowPatch

    arc = FancyArrowPatch(
        tuple(start),
        tuple(end),
        connectionstyle=f"arc3,rad={_BEND}",
        arrowstyle="-",
        linewidth=_WIDEST * share,
        color=PALETTE[k % len(PALETTE)],
        alpha=0.45,
        capstyle="round",
        zorder=2,
    )
    return ax.add_patch(arc)
