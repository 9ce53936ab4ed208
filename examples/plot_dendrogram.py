"""
========================================
A tree of samples, by their mixtures
========================================

Whole samples can be clustered like rows, once there is a distance between them. MW2
compares the mixtures of two samples in their own units, and all pairs of many samples
are one call. Here sixty samples of digits, each a few dozen pictures by the same rule,
find back to their digit.
"""

# %%
# One mixture for each sample
# ---------------------------
# The handwritten digits of scikit-learn in ten principal components. Each sample is 30
# pictures of one digit, drawn at random.

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import dendrogram, fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from skgmmot import SparseGaussianMixture
from skgmmot.transport import pairwise_mw2

X, digits = load_digits(return_X_y=True)
X = PCA(10, random_state=0).fit_transform(X)
rng = np.random.default_rng(0)
samples, names = [], []
for digit in range(10):
    rows = X[digits == digit]
    for _ in range(6):
        samples.append(rows[rng.choice(len(rows), 30, replace=False)])
        names.append(digit)
names = np.array(names)
mixtures = [
    SparseGaussianMixture(4, covariance_type="diag", reg_covar=1.0, random_state=0).fit(
        x
    )
    for x in samples
]
print("components:", np.bincount([m.n_components_ for m in mixtures])[1:])

# %%
# All pairs
# ---------

distances = pairwise_mw2(mixtures)
print(f"{distances.shape} distances, largest {distances.max():.1f}")

# %%
# The tree
# --------
# Average linkage of the distances; scikit-learn's clusterings take the matrix with
# ``metric="precomputed"``.

tree = linkage(squareform(distances, checks=False), method="average")
found = fcluster(tree, 10, criterion="maxclust")
agreement = adjusted_rand_score(names, found)
print(f"agreement of ten clusters with the digits: {agreement:.2f}")

figure, (above, below) = plt.subplots(
    2,
    1,
    figsize=(9, 9),
    height_ratios=[1, 1.6],
    layout="constrained",
)
drawn = dendrogram(tree, labels=names, ax=above, color_threshold=0, leaf_rotation=0)
above.set(ylabel="MW2", title="one leaf is a sample, its name the digit")
order = drawn["leaves"]
image = below.imshow(distances[np.ix_(order, order)], cmap="viridis_r")
below.set(xticks=range(60), yticks=range(60))
below.set_xticklabels(names[order], fontsize=6)
below.set_yticklabels(names[order], fontsize=6)
figure.colorbar(image, ax=below, label="MW2")
plt.show()
