"""
=======================
Averages of four shapes
=======================

The mean of four pictures, pixel by pixel, shows all four of them faintly. Seen as
mixtures of Gaussians, shapes have another mean: the mixture with the least sum of
squared distances to them. With weights that change from place to place, such
barycentres lead from each shape to each other one.
"""

# %%
# Four binary shapes, as mixtures
# -------------------------------
# The points of a sample are the coordinates of the pixels inside a shape; twelve
# components without any penalty describe it.

from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import SparseGaussianMixture
from skgmmot.transport import mw2_barycenter, mw2_distance

side = np.linspace(-1, 1, 72)
x, y = np.meshgrid(side, side)
radius, angle = np.hypot(x, y), np.arctan2(y, x)
shapes = {
    "cross": ((abs(x) < 0.22) | (abs(y) < 0.22)) & (np.maximum(abs(x), abs(y)) < 0.8),
    "ring": (radius > 0.5) & (radius < 0.8),
    "star": radius < 0.36 + 0.5 * abs(np.cos(2.5 * (angle - np.pi / 2))) ** 3,
    "heart": (x**2 + (1.15 * y - 0.75 * abs(x) ** 0.7 + 0.1) ** 2) < 0.55,
}
pixels = np.column_stack([x.ravel(), y.ravel()])
fits = {
    name: SparseGaussianMixture(
        12, sparsity=0, reg_covar=1e-4, tol=1e-4, random_state=0
    ).fit(pixels[shape.ravel()])
    for name, shape in shapes.items()
}
for name, fit in fits.items():
    print(f"{name}: {shapes[name].sum()} pixels, {fit.n_iter_} iterations")

# %%
# Exact and nearly so
# -------------------
# The exact barycentre is the solution of a linear programme with one variable for each
# of the 12 x 12 x 12 x 12 = 20 736 tuples of components. A descent with a chosen number
# of components is not guaranteed to find it, but comes near in much less time.

mixtures, quarter = list(fits.values()), np.full(4, 0.25)
print(f"{'':12}{'components':>12}{'objective':>12}{'seconds':>10}")
for title, settings in {
    "exact": {},
    "descent": {"method": "fixed_point", "n_components": 20, "random_state": 0},
}.items():
    start = perf_counter()
    mean = mw2_barycenter(mixtures, quarter, **settings)
    seconds = perf_counter() - start
    objective = sum(mw2_distance(mean, fit, squared=True) for fit in mixtures) / 4
    print(f"{title:12}{len(mean.weights):12}{objective:12.5f}{seconds:10.2f}")

# %%
# The picture
# -----------
# Five by five barycentres, the shapes at the corners. Colour is full from half of the
# density that an even fill of the shapes would have.

steps, levels = np.linspace(0, 1, 5), np.linspace(0.1, 0.45, 6)
figure, axes = plt.subplots(5, 5, figsize=(9, 9), layout="constrained")
for row, down in zip(axes, steps, strict=True):
    for ax, right in zip(row, steps, strict=True):
        weights = np.outer([1 - down, down], [1 - right, right]).ravel()
        mean = mw2_barycenter(
            mixtures, weights, method="fixed_point", n_components=20, random_state=0
        )
        model = SparseGaussianMixture.from_parameters(*mean)
        density = np.exp(model.score_samples(pixels)).reshape(x.shape)
        ax.contourf(x, y, density, levels=levels, cmap="Purples", extend="max")
        ax.set(xticks=[], yticks=[], aspect="equal")
for name, place in zip(shapes, ((0, 0), (0, -1), (-1, 0), (-1, -1)), strict=True):
    axes[place].set_title(name)

here = Path(__file__).parent if "__file__" in globals() else Path()
picture = here / "drawn" / "barycenter_shapes.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"picture: {picture.name}")
