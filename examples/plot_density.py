"""
=============================================
Densities, curves and contours of a mixture
=============================================

One mixture, drawn in the ways that :class:`~skgmmot.MixtureDisplay` knows: ellipses say
where components are, the filled density what they add up to, lines of equal log-density
how fast it falls where there is nothing. The last is where outliers are told apart.
"""

# %%
# A mixture in three features
# ---------------------------

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import MixtureDisplay, SparseGaussianMixture
from skgmmot.datasets import make_mixture

data = make_mixture(
    800,
    n_components=4,
    n_features=3,
    separation=3.5,
    weights=[0.4, 0.3, 0.2, 0.1],
    random_state=4,
)
X = data.X
mixture = SparseGaussianMixture(10, random_state=0).fit(X)
print(f"{mixture.n_components_} components with weights {mixture.weights_.round(2)}")

# %%
# Three kinds
# -----------

figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
for ax, kind in zip(axes, ("ellipses", "density", "log-density"), strict=True):
    points = None if kind == "density" else X
    MixtureDisplay.from_estimator(mixture, points, kind=kind, ax=ax)
    ax.set_title(kind)

# %%
# One feature: curves
# -------------------
# Each component's density times its weight, the sum, and the histogram of the rows.

MixtureDisplay.from_estimator(mixture, X, features=0)

# %%
# All features: a matrix
# ----------------------

MixtureDisplay.from_estimator(mixture, X, features=(0, 1, 2), by_component=True)

# %%
# Rows that do not belong
# -----------------------
# ``score_samples`` is the log-density. Of ten rows put in at random, the least likely
# rows of all find most.

rng = np.random.default_rng(0)
strangers = rng.uniform(X.min(axis=0) - 2, X.max(axis=0) + 2, size=(10, 3))
rows = np.vstack((X, strangers))
least_likely = np.argsort(mixture.score_samples(rows))[:10]
print(f"{np.sum(least_likely >= len(X))} of the 10 least likely rows were put in")

display = MixtureDisplay.from_estimator(mixture, X, kind="log-density")
display.ax_.scatter(
    *rows[least_likely, :2].T,
    s=80,
    facecolor="none",
    edgecolor="black",
    label="unlikely",
)
display.ax_.scatter(*strangers[:, :2].T, marker="x", color="#D55E00", label="put in")
display.ax_.legend()
plt.show()
