"""
============================================
A spiral: how many Gaussians describe it?
============================================

No number of Gaussians is the true one for points along a spiral. Thirty are offered,
and the fit finds which are worth their price. The problem is that of the tutorial
"Fitting a Gaussian Mixture Model" of the library KeOps, which goes down the same
objective by gradient descent.
"""

# %%
# Two ways to choose
# ------------------
# A *price*: each component costs :math:`\lambda \sqrt{w}` nats a sample, with
# :math:`\lambda` the parameter ``sparsity`` over the number offered. Components that
# are not worth it are removed exactly, while EM runs. A *criterion*: EM at every number
# from thirty down, of which the lowest BIC is kept.

import warnings
from time import perf_counter

import matplotlib.pyplot as plt
from sklearn.exceptions import ConvergenceWarning

from skgmmot import (
    MixtureDisplay,
    ObjectiveDisplay,
    PathDisplay,
    SparseGaussianMixture,
)
from skgmmot.datasets import make_spiral

warnings.simplefilter("ignore", ConvergenceWarning)  # Adam has 500 steps, no more
X = make_spiral(10_000, random_state=0)
SparseGaussianMixture(2, random_state=0).fit(X[:100])  # compiles
fits = {}
for name, settings in {
    "price, EM": {"sparsity": 20.0},
    "price, Adam": {"sparsity": 20.0, "solver": "adam", "max_iter": 500},
    "BIC": {"sparsity": "bic"},
}.items():
    start = perf_counter()
    fits[name] = SparseGaussianMixture(30, random_state=0, **settings).fit(X)
    seconds = perf_counter() - start
    print(
        f"{name:12} {fits[name].n_components_:2} components, mean log-likelihood "
        f"{fits[name].score(X):.4f}, {seconds:.2f} s"
    )

# %%
# What they found
# ---------------
# The price of 20 / 30 is high: four ellipses are all that is worth it. Adam's
# components fade without ever being gone, and what has faded is left wherever it was.
# BIC knows no price but the number of parameters, and with 10 000 rows it can afford to
# follow the curve closely.

figure, axes = plt.subplots(
    1, 3, figsize=(11, 3.8), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, mixture) in zip(axes, fits.items(), strict=True):
    MixtureDisplay.from_estimator(mixture, X[::5], ax=ax, labels=False)
    ax.set(
        title=f"{name}: {mixture.n_components_}", xlabel="", ylabel="", aspect="equal"
    )

# %%
# The objective on the way
# ------------------------
# EM has a closed form for the weights under the price, no step size, and never goes
# down between removals. Adam, after 500 steps, is still below.

priced = [fits["price, EM"], fits["price, Adam"]]
display = ObjectiveDisplay.from_estimators(priced, labels=["EM", "Adam"])
display.ax_.set_xscale("symlog")
print("objective:", *(f"{fit.lower_bound_:.4f}" for fit in priced))

# %%
# The path of the criterion
# -------------------------
# Every number on the way down has its mixture, kept in ``path_``. The likelihood goes
# on rising with more components, since none of these numbers is true; BIC says where
# their parameters stop paying. With more rows that is further to the right.

PathDisplay.from_estimator(fits["BIC"])
plt.show()
