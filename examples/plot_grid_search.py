"""
==================================================
A grid over the price, by cross-validation
==================================================

Where the number of components is chosen by a price, ``GridSearchCV`` can choose the
price: ``score`` is the mean log-likelihood of rows that were left out, never penalised,
so that prices can be compared by it.
"""

# %%
# The grid
# --------
# The price of a component is ``sparsity / n_components``: a comfortable number is
# offered once, and only ``sparsity`` varies.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from skgmmot import MixtureDisplay, SparseGaussianMixture
from skgmmot.datasets import make_mixture

X = make_mixture(
    600,
    n_components=5,
    separation=3.0,
    weights=[0.4, 0.3, 0.15, 0.1, 0.05],
    random_state=7,
).X
prices = np.geomspace(0.05, 20, 10)
search = GridSearchCV(
    SparseGaussianMixture(15, refit=True, random_state=0),
    {"sparsity": prices},
    cv=5,
).fit(X)
best = search.best_estimator_
print(f"best sparsity {search.best_params_['sparsity']:.2f}: {best.n_components_} kept")

# %%
# Two curves
# ----------
# Left-out rows tell too many components from enough. The number kept falls as the
# price rises. The true number is 5.

kept = [
    SparseGaussianMixture(15, sparsity=price, random_state=0).fit(X).n_components_
    for price in prices
]
figure, (above, below) = plt.subplots(
    2, 1, figsize=(7, 5.5), sharex=True, layout="constrained"
)
means = search.cv_results_["mean_test_score"]
errors = search.cv_results_["std_test_score"] / np.sqrt(5)
above.errorbar(prices, means, errors, marker="o", color="#0072B2", capsize=3)
above.axvline(search.best_params_["sparsity"], color="0.6", linestyle=":")
above.set(ylabel="log-likelihood of rows left out", xscale="log")
below.step(prices, kept, where="mid", color="#0072B2")
below.axhline(5, color="0.6", linestyle=":")
below.set(xlabel="sparsity", ylabel="components kept")

# %%
# A criterion needs no grid
# -------------------------
# BIC asks how many Gaussians there are, cross-validation how well new rows are
# predicted. The second is the weaker question: more components than there are cost it
# little.

criterion = SparseGaussianMixture(15, random_state=0).fit(X)
print(f"BIC keeps {criterion.n_components_}")
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, (name, mixture) in zip(
    axes, {"cross-validated price": best, "BIC": criterion}.items(), strict=True
):
    MixtureDisplay.from_estimator(mixture, X, ax=ax)
    ax.set_title(f"{name}: {mixture.n_components_}")
plt.show()
