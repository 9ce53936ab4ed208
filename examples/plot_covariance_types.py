"""
====================================
Covariance types on the iris flowers
====================================

The form of the components is a choice between what it can describe and how many rows it
needs. Three species of iris, four measurements of each flower: the criterion chooses
the number of components for each form, and between the forms too.
"""

# %%
# Four forms
# ----------
# BIC counts parameters, so that its values can be compared across forms as well as
# across numbers.

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from skgmmot import MixtureDisplay, PathDisplay, SparseGaussianMixture

X, species = load_iris(return_X_y=True, as_frame=True)
kinds = ("full", "tied", "diag", "spherical")
fits = {
    kind: SparseGaussianMixture(8, covariance_type=kind, random_state=0).fit(X)
    for kind in kinds
}
print("form        kept    BIC    agreement with the species")
for kind, mixture in fits.items():
    agreement = adjusted_rand_score(species, mixture.predict(X))
    print(f"{kind:12}{mixture.n_components_:3}{mixture.bic(X):9.1f}{agreement:8.2f}")

# %%
# What they look like
# -------------------
# Two of the four measurements. Balls need many components to lie along one species;
# tied ellipses do with fewer; two full ones take two species together, the known answer
# of BIC on these data.

figure, axes = plt.subplots(2, 2, figsize=(9, 7.5), sharex=True, layout="constrained")
for ax, (kind, mixture) in zip(axes.flat, fits.items(), strict=True):
    MixtureDisplay.from_estimator(mixture, X, features=(0, 2), by_component=True, ax=ax)
    ax.set(title=f"{kind}: {mixture.n_components_} components", xlabel="")

# %%
# The paths beside each other
# ---------------------------

PathDisplay.from_estimators(list(fits.values()))

# %%
# All pairs of features, for the form with the lowest BIC:

best = min(fits, key=lambda kind: fits[kind].bic(X))
MixtureDisplay.from_estimator(fits[best], X, features=(0, 1, 2, 3), by_component=True)
plt.show()
