"""
===========================================
Rows where the map was never learnt
===========================================

A map between two mixtures is learnt where there are rows. Elsewhere it is an
extrapolation, and an affine one may run far. ``out_of_support`` says what is done with
such rows, ``support_score`` which ones they are.
"""

# %%
# A map that stretches
# --------------------
# Target components are three times as wide as those of the source.

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import GMMOTTransformer
from skgmmot.transport import Mixture

means = np.array([[-2.0, 0.0], [2.0, 0.0]])
narrow = np.tile(0.2 * np.eye(2), (2, 1, 1))
source = Mixture(np.array([0.5, 0.5]), means, narrow)
target = Mixture(np.array([0.5, 0.5]), means + [0.0, 3.0], 9.0 * narrow)
mover = GMMOTTransformer.from_mixtures(source, target)
rng = np.random.default_rng(0)
inside = means[rng.integers(2, size=300)] + np.sqrt(0.2) * rng.normal(size=(300, 2))

# %%
# Who is outside
# --------------
# The score is the chi-square distribution function of the distance to the nearest
# component: of the rows the mixture describes, one in a thousand lies above 0.999.

angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
ring = np.column_stack((5 * np.cos(angles), 2.5 * np.sin(angles)))
print(f"inside: {np.mean(mover.support_score(inside) > 0.999):.1%} above 0.999")
print(f"ring:   {np.mean(mover.support_score(ring) > 0.999):.1%} above 0.999")

# %%
# What can be done with them
# --------------------------
# *extrapolate*: the map as it is, stretched threefold out there too. *shrink*: the map
# at the edge of the nearest component, and beyond the edge a plain shift. *identity*:
# only the alignment of the two samples as wholes. *nan* leaves the rows out, *raise*
# refuses them.

figure, axes = plt.subplots(
    1, 3, figsize=(13, 5), sharex=True, sharey=True, layout="constrained"
)
for ax, way in zip(axes, ("extrapolate", "shrink", "identity"), strict=True):
    mover.set_params(out_of_support=way)
    ax.scatter(*inside.T, s=6, color="0.75", label="source rows")
    ax.scatter(*mover.transform(inside).T, s=6, color="#56B4E9", label="moved")
    goals = mover.transform(ring)
    for row, goal in zip(ring, goals, strict=True):
        ax.annotate("", goal, row, arrowprops={"arrowstyle": "->", "color": "0.5"})
    ax.scatter(*ring.T, s=22, color="#0072B2", label="rows outside")
    ax.scatter(*goals.T, s=30, marker="^", color="#D55E00", label="where they go")
    ax.set(title=way, aspect="equal")
axes[0].legend(loc="lower left", fontsize="small")

# %%
# A bound on the slope
# --------------------
# ``max_slope`` is another remedy: no direction is stretched by more than it says,
# inside the support too.

mover.set_params(out_of_support="extrapolate")
for slope in (None, 2.0, 1.0):
    bounded = GMMOTTransformer.from_mixtures(source, target, max_slope=slope)
    farthest = np.linalg.norm(bounded.transform(ring) - ring, axis=1).max()
    print(f"max_slope={slope}: the farthest move is {farthest:.1f}")
plt.show()
