"""
===================================
Between two mixtures: move, not mix
===================================

What lies halfway between two distributions? The plain answer mixes them: half of the
samples from one, half from the other. Nothing moves; the first fades out where it is,
the second fades in. Optimal transport moves each component to its counterpart, so that
what lies between looks like both.
"""

# %%
# Two mixtures, and the plan between them
# ---------------------------------------
# Four components in a cross become three in a fan. The numbers differ, hence some
# components split or join: the plan says which.

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import SparseGaussianMixture
from skgmmot.transport import Mixture, mw2_distance, mw2_interpolation, mw2_plan


def ellipse(angle, long, short):
    """Covariance with these standard deviations, turned."""
    axis = np.array([np.cos(angle), np.sin(angle)])
    other = np.array([-axis[1], axis[0]])
    return long**2 * np.outer(axis, axis) + short**2 * np.outer(other, other)


angles = np.pi / 2 * np.arange(4)
source = Mixture(
    np.array([0.3, 0.2, 0.3, 0.2]),
    1.6 * np.column_stack([np.cos(angles), np.sin(angles)]) - [3, 0],
    np.array([ellipse(angle, 0.7, 0.15) for angle in angles]),
)
target = Mixture(
    np.array([0.25, 0.5, 0.25]),
    np.array([[3, 1.8], [3, 0], [3, -1.8]]),
    np.array([ellipse(turn, 0.8, 0.2) for turn in (0.3, 0.0, -0.3)]),
)
plan = mw2_plan(source, target)
print("plan:")
print(plan.coupling.round(3))
print(f"components on the way: {np.count_nonzero(plan.coupling)}")

# %%
# Along both ways
# ---------------
# On the geodesic the distance from the start grows in proportion to time, to the last
# digit. Mixing is a detour: halfway it is far more than half of the distance from
# either end.

times = np.linspace(0, 1, 5)


def mixed(t):
    """Plain mixing."""
    weights = np.concatenate([(1 - t) * source.weights, t * target.weights])
    parts = zip(source[1:], target[1:], strict=True)
    return Mixture(weights, *(np.concatenate(pair) for pair in parts))


ways = {
    "MW2 geodesic": lambda t: mw2_interpolation(source, target, t, plan=plan),
    "plain mixing": mixed,
}
whole = mw2_distance(source, target)
print(f"{'time':14}" + "".join(f"{t:8.2f}" for t in times))
for name, way in ways.items():
    shares = [mw2_distance(source, way(t)) / whole for t in times]
    print(f"{name:14}" + "".join(f"{share:8.3f}" for share in shares))

# %%
# The picture
# -----------
# Densities, and the means of the components.

x, y = np.meshgrid(np.linspace(-7.2, 6.2, 168), np.linspace(-3.5, 3.5, 88))
grid = np.column_stack([x.ravel(), y.ravel()])


def density(mixture):
    """Density on the grid; components without weight are left out."""
    parts = (part[mixture.weights > 0] for part in mixture)
    model = SparseGaussianMixture.from_parameters(*parts)
    return np.exp(model.score_samples(grid)).reshape(x.shape)


figure, axes = plt.subplots(2, 5, figsize=(16, 4.4), layout="constrained")
for row, (name, way) in zip(axes, ways.items(), strict=True):
    for ax, t in zip(row, times, strict=True):
        mixture = way(t)
        ax.contourf(x, y, np.sqrt(density(mixture)), levels=12, cmap="Blues")
        shown = mixture.means[mixture.weights > 0]
        ax.scatter(*shown.T, s=10, color="C3")
        ax.set(aspect="equal", xticks=[], yticks=[], title=f"{name}, t = {t:g}")

here = Path(__file__).parent if "__file__" in globals() else Path()
picture = here / "drawn" / "interpolation.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"picture: {picture.name}")
