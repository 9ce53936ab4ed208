"""
==========================================
Four wells of a plate and their distances
==========================================

Samples that are clouds of points have no obvious distance. Described by mixtures they
have one, MW2, and with a matrix of distances all methods of scikit-learn and SciPy that
take ``metric="precomputed"`` are at hand: trees, embeddings, neighbours.

The data are four wells of one row of a plate, 5000 events each, from the test data
of FlowCytometryTools (MIT licence, Eugene Yurtsev and Jonathan Friedman). The
licence lies beside the data.
"""

# %%
# One mixture for each half of a well
# -----------------------------------
# Every well is split at random into two halves. The halves of one well differ by chance
# alone, and so their distance says how large a difference between wells must be to mean
# something.

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from skgmmot import MixtureDisplay, SparseGaussianMixture
from skgmmot.transport import pairwise_mw2

here = Path(__file__).parent if "__file__" in globals() else Path()
channels, wells = ["Y2-A", "B1-A"], ["H1", "H3", "H7", "H12"]
with np.load(here / "data" / "plate02.npz") as plate:
    columns = [list(plate["channels"]).index(channel) for channel in channels]
    raw = {well: plate[well][:, columns].astype(float) for well in wells}
events = {
    well: np.arcsinh(rows[(rows < 262143).all(axis=1)] / 150)
    for well, rows in raw.items()
}

rng = np.random.default_rng(0)
halves = {}
for well in wells:
    order = rng.permutation(len(events[well]))
    for name, half in zip("ab", np.array_split(order, 2), strict=True):
        halves[f"{well}{name}"] = events[well][half]
fits = {
    name: SparseGaussianMixture(6, sparsity=0.2, random_state=0).fit(rows)
    for name, rows in halves.items()
}

# %%
# The matrix
# ----------
# Factors of the covariances are computed once for each component, and each pair once.

distances = pairwise_mw2(list(fits.values()))
names = list(fits)
print(f"{'':6}" + "".join(f"{name:>7}" for name in names))
for name, row in zip(names, distances, strict=True):
    print(f"{name:6}" + "".join(f"{distance:7.2f}" for distance in row))
within = distances[::2, 1::2].diagonal()
print(f"halves of one well: at most {within.max():.2f}")
between = distances[np.arange(8)[:, None] // 2 != np.arange(8) // 2]
print(f"different wells: at least {between.min():.2f}")

# %%
# An embedding
# ------------
# Classical scaling: the leading eigenvectors of the centred squared distances. The
# first axis is what changes along the plate.

centred = distances**2
centred = centred - centred.mean(axis=0) - centred.mean(axis=1)[:, None]
values, vectors = np.linalg.eigh(-0.5 * (centred + (distances**2).mean()))
points = vectors[:, :-3:-1] * np.sqrt(values[:-3:-1])
points[:, 0] *= np.sign(points[-1, 0] - points[0, 0])

# %%
# The picture
# -----------

figure = plt.figure(figsize=(16, 7.6), layout="constrained")
above, below = figure.subfigures(2, 1)
for ax, well in zip(above.subplots(1, 4), wells, strict=True):
    fit = fits[f"{well}a"]
    MixtureDisplay.from_estimator(fit, halves[f"{well}a"], ax=ax)
    ax.set(xlim=(-1.5, 8), ylim=(-2, 6), title=f"{well}, first half")
    ax.set(xlabel="Y2-A (arcsinh)", ylabel="B1-A (arcsinh)")

ax, beside, last = below.subplots(1, 3)
image = ax.imshow(distances, cmap="Blues")
ax.set_xticks(range(8), names, rotation=45)
ax.set_yticks(range(8), names)
ax.set_title("MW2")
below.colorbar(image, ax=ax, label="distance")

tree = linkage(squareform(distances, checks=False), "average")
style = {"color_threshold": 0, "above_threshold_color": "0.3"}
dendrogram(tree, labels=names, ax=beside, **style)
beside.set(title="average linkage", ylabel="MW2")

for i, well in enumerate(wells):
    last.plot(*points[2 * i : 2 * i + 2].T, "o-", label=well)
last.axis("equal")
last.set(title="classical scaling", xlabel="axis 0", ylabel="axis 1")
last.legend()

picture = here / "drawn" / "distance_matrix.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"picture: {picture.name}")
