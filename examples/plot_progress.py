"""
===========================================
What a long fit says, and how to stop it
===========================================

A fit that takes minutes should say how far it is, and one that is stopped should leave
what it found. ``verbose`` does the first. The callbacks of scikit-learn, from version
1.9 on, do both.
"""

# %%
# Messages
# --------
# With ``verbose=1`` each message has the objective, the components that are left, the
# change and the time; ``verbose=2`` has more digits.

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import ObjectiveDisplay, SparseGaussianMixture
from skgmmot.datasets import make_spiral

X = make_spiral(3000, random_state=0)
settings = {"sparsity": 10.0, "random_state": 0}
mixture = SparseGaussianMixture(30, verbose=1, verbose_interval=20, **settings).fit(X)

# %%
# A callback
# ----------
# It is a class with four methods. ``on_fit_task_end`` is called after every step; what
# it asks for by name it is given, here a mixture that is fitted as far as the step. If
# it returns True, the fit ends there.


class StopWhenFew:
    """Keeps the latest mixture, and stops when few enough components are left."""

    def __init__(self, enough):
        self.enough, self.objectives, self.sizes = enough, [], []

    def setup(self, estimator, context):
        """Before the fit."""

    def teardown(self, estimator, context):
        """After the fit, also one that failed."""

    def on_fit_task_begin(self, estimator, context):
        """Before a step."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        """After a step."""
        if fitted_estimator is None:  # the end of a start, or of the fit
            return False
        self.latest = fitted_estimator
        self.objectives.append(fitted_estimator.lower_bound_)
        self.sizes.append(fitted_estimator.n_components_)
        return self.sizes[-1] <= self.enough


figure, ax = plt.subplots(layout="constrained")
callback = StopWhenFew(enough=8)
stopped = SparseGaussianMixture(30, **settings)
if hasattr(stopped, "set_callbacks"):
    stopped.set_callbacks(callback).fit(X)
    print(
        f"stopped after {stopped.n_iter_} of {mixture.n_iter_} steps, "
        f"with {stopped.n_components_} components"
    )
    ax.plot(callback.objectives, color="#0072B2")
    ax.set(xlabel="step", ylabel="objective")
    right = ax.twinx()
    right.step(np.arange(len(callback.sizes)), callback.sizes, color="#D55E00")
    right.set_ylabel("components left", color="#D55E00")

# %%
# Ctrl-C
# ------
# An interrupted fit leaves its estimator as it was before. What a callback kept is
# there all the same: after ``KeyboardInterrupt`` use ``callback.latest``. Without
# callbacks, fit in pieces with ``warm_start=True`` and a small ``max_iter``, as the
# guide to starts shows. scikit-learn's own ``ProgressBar`` is set in the same way.
#
# The objective of the whole fit:

ObjectiveDisplay.from_estimator(mixture)
plt.show()
