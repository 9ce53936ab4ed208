"""
====================================
Starts compared, on a grid of groups
====================================

EM climbs to the nearest optimum, and the start decides which one that is. Sixteen
groups on a grid, in features of very different units, are easy to see and easy to miss.
This example counts how often each start finds all of them.
"""

# %%
# Sixteen groups, one feature a thousand times as wide
# ----------------------------------------------------

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import MixtureDisplay, SparseGaussianMixture

rng = np.random.default_rng(0)
centers = np.stack(np.meshgrid(np.arange(4), np.arange(4)), axis=-1).reshape(-1, 2)
X = np.repeat(centers, 50, axis=0) + 0.1 * rng.standard_normal((800, 2))
X *= [1.0, 1000.0]

# %%
# One start each, twenty seeds
# ----------------------------
# ``sparsity=0`` is an ordinary mixture with exactly sixteen components: nothing mends a
# bad start. The last row is the default of the package, where a criterion goes down
# from thirty components instead: from there no group is missed.

seeds = range(20)
starts = ("random", "random_from_data", "k-means++", "kmeans")
settings = {"covariance_type": "diag", "max_iter": 300}
bounds = {
    start: [
        SparseGaussianMixture(
            16, sparsity=0, init_params=start, random_state=seed, tol=1e-4, **settings
        )
        .fit(X)
        .lower_bound_
        for seed in seeds
    ]
    for start in starts
}
path = [
    SparseGaussianMixture(30, random_state=seed, **settings).fit(X) for seed in seeds
]
bounds["path of BIC\nfrom 30"] = [fit.score(X) for fit in path]
best = max(map(max, bounds.values()))
for start, found in bounds.items():
    hits = np.sum(np.array(found) > best - 0.05)
    print(f"{start!r:28} best optimum in {hits:2} of {len(seeds)}")
print("sizes that the criterion chose:", sorted({fit.n_components_ for fit in path}))

# %%
# How far from the best each was, in nats a row: one dot is one seed.

figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for place, found in enumerate(bounds.values()):
    jitter = rng.uniform(-0.18, 0.18, len(found))
    ax.scatter(best - np.array(found), place + jitter, s=22, alpha=0.7, color="#0072B2")
ax.set(
    yticks=range(len(bounds)),
    yticklabels=list(bounds),
    xlabel="mean log-likelihood below the best",
)
ax.grid(axis="x", color="0.9")

# %%
# A good one and a bad one
# ------------------------
# The usual picture of a bad start: a component across two groups, two on one.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
worst = int(np.argmin(bounds["random_from_data"]))
bad = SparseGaussianMixture(
    16, sparsity=0, init_params="random_from_data", random_state=worst, **settings
).fit(X)
for ax, (title, mixture) in zip(
    axes,
    {"one start from drawn rows": bad, "path of BIC": path[0]}.items(),
    strict=True,
):
    MixtureDisplay.from_estimator(mixture, X, labels=False, ax=ax)
    ax.set_title(title)
plt.show()
