"""
========================================
Sample weights: rows that count for more
========================================

A weight says how many rows a row stands for. Binned data, surveys with unequal
probabilities of selection and samples that were thinned on purpose are all rows with
weights. In this package a weight is a frequency: a fit with weights of 2 is the fit on
rows that are there twice, to rounding.
"""

# %%
# Weights are repeats
# -------------------

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import MixtureDisplay, SparseGaussianMixture
from skgmmot.datasets import make_mixture

X = make_mixture(500, n_components=3, separation=4.0, random_state=0).X
counts = np.random.default_rng(0).integers(0, 4, size=len(X))
weighted = SparseGaussianMixture(8, random_state=0).fit(X, sample_weight=counts)
repeated = SparseGaussianMixture(8, random_state=0).fit(np.repeat(X, counts, axis=0))
gap = np.abs(weighted.means_ - repeated.means_).max()
print(f"largest difference of the means: {gap:.1e}")

# %%
# A histogram of a million rows
# -----------------------------
# Where there are far more rows than places, bins are a good stand-in: a million rows
# become 60 x 60 bins with their counts. Empty bins have weight 0 and do not count.

rows = make_mixture(1_000_000, n_components=4, separation=4.0, random_state=1)
heights, *edges = np.histogram2d(*rows.X.T, bins=60)
grid = np.stack(np.meshgrid(*[(e[1:] + e[:-1]) / 2 for e in edges], indexing="ij"), -1)
bins = grid.reshape(-1, 2)
mixture = SparseGaussianMixture(10, random_state=0)
mixture.fit(bins, sample_weight=heights.ravel())
true_means = rows.mixture[1]
order = np.argmin(np.linalg.norm(true_means[:, None] - mixture.means_, axis=2), axis=0)
error = np.abs(mixture.means_ - true_means[order]).max()
print(
    f"{mixture.n_components_} components from {np.sum(heights > 0)} bins that are not "
    f"empty; means off by {error:.3f} at most, bins are {np.diff(edges[0])[0]:.2f} wide"
)

# %%
# A sample that was taken unevenly
# --------------------------------
# Of one region every row was kept, of the rest one in ten. Unweighted, the mixture is
# that of what was kept; weighted by one over the probability, that of what there was.
# These weights are scaled to sum to the number of rows: as frequencies, weights of 10
# would claim ten rows of evidence for each that was seen, and a criterion would believe
# them and keep components for what is noise.

population = make_mixture(20_000, n_components=3, separation=4.0, random_state=2)
chance = np.where(population.labels == 0, 1.0, 0.1)
kept = np.random.default_rng(1).random(len(chance)) < chance
rows, weights = population.X[kept], 1.0 / chance[kept]
weights *= len(rows) / weights.sum()
fits = {
    "as kept": SparseGaussianMixture(8, random_state=0).fit(rows),
    "weighted": SparseGaussianMixture(8, random_state=0).fit(
        rows, sample_weight=weights
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, (name, fitted) in zip(axes, fits.items(), strict=True):
    MixtureDisplay.from_estimator(fitted, rows, ax=ax)
    shares = np.sort(fitted.weights_)[::-1]
    ax.set_title(f"{name}: shares {', '.join(f'{s:.2f}' for s in shares)}")
print("true shares: 0.33 each")
plt.show()
