"""
===========================================
Colours of one photograph onto another
===========================================

Each pixel of a photograph is a point in the cube of red, green and blue. To
give one photograph the colours of another is to move one such cloud of points
onto the other. A Gaussian mixture describes a cloud by a few clusters of
colour; optimal transport between the two mixtures says which cluster goes
where; and the map that comes with it moves every pixel, those that were never
seen before too.

Run as it is: no download, a picture is written beside this file.
"""

# %%
# Two photographs
# ---------------
# They come with scikit-learn. Colours are scaled to [0, 1], and the pixels are
# kept in single precision: sums are made in double precision all the same.

from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_sample_image

from skgmmot import GMMOTTransformer, SparseGaussianMixture
from skgmmot.datasets import stack_domains
from skgmmot.transport import mw2_distance

images = {
    name: load_sample_image(f"{name}.jpg").astype(np.float32) / 255
    for name in ("china", "flower")
}
china, flower = (image.reshape(-1, 3) for image in images.values())

# %%
# One mixture for each photograph, and the coupling between them
# --------------------------------------------------------------
# The transformer clones the mixture, fits a clone to the pixels of each domain
# and couples the two. Ten components are offered to each; a component that is
# not worth its price is removed.

X, sample_domain = stack_domains(china, flower)
mixture = SparseGaussianMixture(n_components=10, random_state=0)
transformer = GMMOTTransformer(mixture, method="barycentric")

start = perf_counter()
transformer.fit(X, sample_domain=sample_domain)
fitted = perf_counter()

# %%
# There and back
# --------------
# ``transform`` moves pixels of china to the colours of flower,
# ``inverse_transform`` those of flower to the colours of china. A conditional
# mean may leave the cube of colours by a little, hence the clipping.

china_in_flower = transformer.transform(china).clip(0, 1)
flower_in_china = transformer.inverse_transform(flower).clip(0, 1)
moved = perf_counter()

# %%
# What was found
# --------------
# The rows of the coupling are clusters of colour of china, its columns those of
# flower, its entries shares of all pixels. The bound is the mean log-likelihood
# of a pixel less the penalty on the weights.

source, target = transformer.source_, transformer.target_
for name, side in (("china", source), ("flower", target)):
    print(
        f"{name + ':':8}{side.n_components_} of 10 components kept, "
        f"bound {side.lower_bound_:.4f}, {side.n_iter_} iterations"
    )
print("coupling, in % of the pixels:")
for row in transformer.coupling_:
    print(
        "  " + " ".join(f"{100 * mass:5.1f}" if mass > 0 else "    ." for mass in row)
    )

# %%
# How near is the result? A mixture is fitted to the colours after the move and
# compared with the one that was aimed at. The distance does not go to zero: the
# barycentric map sends a pixel to the mean of where it should go, and a mean
# varies less than what it is the mean of. ``method="random"`` draws instead and
# loses nothing, at the price of grain: neighbours in the photograph may be sent
# to different clusters.


def distance_after(colours, aim):
    """MW2 from a mixture of moved colours, every eighth of them, to the aim."""
    return mw2_distance(clone(mixture).fit(colours[::8]), aim)


print(f"MW2 china to flower: {mw2_distance(source, target):.4f} before, ", end="")
print(f"{distance_after(china_in_flower, target):.4f} after")
print(f"MW2 flower to china: {mw2_distance(target, source):.4f} before, ", end="")
print(f"{distance_after(flower_in_china, source):.4f} after")
kept = china_in_flower.var(axis=0).sum() / flower.var(axis=0).sum()
print(f"variance of flower's colours reached: {100 * kept:.0f} %")
print(
    f"time: {fitted - start:.1f} s to fit both mixtures and couple them, "
    f"{moved - fitted:.2f} s to move {len(X)} pixels"
)

# %%
# The picture
# -----------
# Originals above, exchanged colours below. The steps in the sky are those of the
# compressed photograph: where a cluster is stretched, they are stretched too.

shape = images["china"].shape
panels = {
    "china": china,
    "flower": flower,
    "china in flower's colours": china_in_flower,
    "flower in china's colours": flower_in_china,
}
figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
for ax, (title, colours) in zip(axes.flat, panels.items(), strict=True):
    ax.imshow(colours.reshape(shape))
    ax.set_title(title)
    ax.set_axis_off()

here = Path(__file__).parent if "__file__" in globals() else Path()
picture = here / "color_transfer.jpg"
figure.savefig(picture, dpi=100, pil_kwargs={"quality": 88})
print(f"picture: {picture.name}")
