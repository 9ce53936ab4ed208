"""
===============================================
The number of components: one path or many fits
===============================================

The usual recipe with scikit-learn is a loop: fit each number, compute the BIC, keep the
lowest. Each fit of the loop starts anew and can miss. A descending path starts each
size from a good mixture of the size above, so that one fit does the work of all.
"""

# %%
# The loop and the path
# ---------------------

from time import process_time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture

from skgmmot import SparseGaussianMixture
from skgmmot.datasets import make_mixture

TRUE, OFFERED = 12, 20
X = make_mixture(
    3000, n_components=TRUE, n_features=3, separation=3.0, random_state=5
).X
SparseGaussianMixture(2, random_state=0).fit(X[:200])  # compiles

start = process_time()
loop = [
    GaussianMixture(k, random_state=0, max_iter=500).fit(X).bic(X)
    for k in range(1, OFFERED + 1)
]
seconds = {"loop, scikit-learn": process_time() - start}
start = process_time()
mixture = SparseGaussianMixture(OFFERED, random_state=0).fit(X)
seconds["path"] = process_time() - start
for name, spent in seconds.items():
    print(f"{name:20} {spent:.2f} s of CPU time")
print(f"lowest BIC: loop {min(loop):.1f} at {1 + np.argmin(loop)}, ", end="")
print(f"path {mixture.bic(X):.1f} at {mixture.n_components_}, true number {TRUE}")

# %%
# The two curves
# --------------
# Where the loop lies above the path, a fit of that size ended at a poorer optimum.

path = mixture.path_
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
sizes = np.arange(1, OFFERED + 1)
ax.plot(sizes, loop, "s--", color="#D55E00", label="one fit a size, scikit-learn")
ax.plot(path.n_components, path.criterion, "o-", color="#0072B2", label="one path")
ax.axvline(TRUE, color="0.6", linestyle=":", label="true number")
near = np.concatenate((loop[7:], path.criterion[path.n_components > 7]))
ax.set(
    xlabel="number of components",
    ylabel="BIC",
    ylim=(near.min() - 50, near.max() + 50),
    xlim=(7.5, OFFERED + 0.5),
)
ax.legend()

# %%
# How sure is the number?
# -----------------------
# Samples of eight other mixtures, of ten components each, by the path and by the loop.
# Groups of 2 % beside one of 25 % make it harder: a direct fit of the right size often
# ends with two components on a large group and none on a small one.

shares = np.array([5, 4, 3, 2, 2, 1, 1, 1, 0.6, 0.4]) / 20
counts, lower = {"path": [], "loop": []}, 0
for seed in range(8):
    rows = make_mixture(
        2000, n_components=10, separation=3.0, weights=shares, random_state=seed
    ).X
    path = SparseGaussianMixture(15, random_state=0).fit(rows)
    counts["path"].append(path.n_components_)
    bics = [
        GaussianMixture(k, random_state=0, max_iter=300).fit(rows).bic(rows)
        for k in range(1, 16)
    ]
    counts["loop"].append(1 + int(np.argmin(bics)))
    lower += path.bic(rows) < min(bics)
for name, found in counts.items():
    print(f"{name}: {found}, right in {np.mean(np.array(found) == 10):.0%}")
print(f"the path's BIC is the lower one in {lower} of 8")
plt.show()
