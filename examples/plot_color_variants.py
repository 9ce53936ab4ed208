"""
========================================
Colour transfer: mean, draw or halfway
========================================

A plan between two mixtures says how much of each cluster of colours goes where. When a
cluster goes to several, a pixel has a choice: the mean of the places, one of them
drawn, or the likeliest. The same plan gives all of them, and any strength between
nothing and the whole way.
"""

# %%
# One plan
# --------
# Mixtures are fitted to every twentieth pixel of two photographs, and coupled.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from skgmmot import CoupledGaussianMixture, GMMOTTransformer
from skgmmot.datasets import stack_domains

china, flower = (
    load_sample_image(f"{name}.jpg")[::2, ::2].astype(np.float32) / 255
    for name in ("china", "flower")
)
colours = [image.reshape(-1, 3)[::5] for image in (china, flower)]
X, sample_domain = stack_domains(*colours)
mover = GMMOTTransformer(
    CoupledGaussianMixture(8, reg_covar=1e-2, tol=1e-4, random_state=0), random_state=0
).fit(X, sample_domain=sample_domain)


def moved(**changes):
    """china with its colours moved, as the parameters say."""
    pixels = mover.set_params(**changes).transform(china.reshape(-1, 3))
    return pixels.reshape(china.shape).clip(0, 1)


# %%
# What a pixel may do
# -------------------
# The mean is smooth and loses contrast, since it averages over the places. The draw
# has flower's colours exactly, and grain: neighbours go different ways. The likeliest
# place is a function of the pixel again, with seams where one cluster ends.

pictures = {
    "china": china,
    "flower": flower,
    "the mean": moved(method="barycentric"),
    "a draw": moved(method="random"),
    "the likeliest": moved(method="most_likely"),
    "half strength": moved(method="barycentric", strength=0.5),
}
mover.set_params(strength=1.0)
figure, axes = plt.subplots(2, 3, figsize=(11, 5.2), layout="constrained")
for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=True):
    ax.imshow(picture)
    ax.set_title(name)
    ax.set_axis_off()

# %%
# How much variance arrives
# -------------------------

goal = flower.reshape(-1, 3).var(axis=0).sum()
for name in ("the mean", "a draw", "the likeliest"):
    reached = pictures[name].reshape(-1, 3).var(axis=0).sum() / goal
    print(f"{name:14} {reached:6.1%} of the variance of flower's colours")

# %%
# Strength
# --------
# ``strength`` moves each pixel a part of its way.

figure, axes = plt.subplots(1, 4, figsize=(12, 2.4), layout="constrained")
for ax, strength in zip(axes, (0.25, 0.5, 0.75, 1.0), strict=True):
    ax.imshow(moved(method="barycentric", strength=strength))
    ax.set_title(f"strength {strength}")
    ax.set_axis_off()
plt.show()
