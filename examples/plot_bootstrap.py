"""
==========================================
How sure is a coupling? Ask the bootstrap
==========================================

A coupling says that three tenths of the mass went from here to there. Another sample of
the same populations would have said .27 or .34. The bootstrap gives the rows other
weights, as another sample would have, fits again from where the fit stands, and reports
how far each number varies.
"""

# %%
# A population that grew
# ----------------------
# Three populations with shares of .4, .3 and .3; in the second sample they are .2, .5
# and .3. ``reg_m`` lets the fit pair shares that are not equal.

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import CoupledGaussianMixture, CouplingDisplay
from skgmmot.datasets import make_shifted_mixtures, stack_domains

SHARES = np.array([0.2, 0.5, 0.3])  # of the second sample


def samples(n):
    return make_shifted_mixtures(
        n, n_components=3, weights=[0.4, 0.3, 0.3], growth=[1 / 2, 5 / 3, 1],
        shift=1.0, random_state=0,
    )  # fmt: skip


def fitted(data):
    """A coupled fit, and what two hundred draws say of it."""
    X, sample_domain = stack_domains(data.X_source, data.X_target)
    fit = CoupledGaussianMixture(3, reg_m=1.0, random_state=0)
    fit = fit.fit(X, sample_domain=sample_domain)
    draws = {"n_bootstraps": 200, "confidence_level": 0.9, "random_state": 0}
    return fit, fit.bootstrap(X, sample_domain=sample_domain, **draws)


few, many = samples(200), samples(3200)
fit, record = fitted(few)

# %%
# The coupling and its intervals
# ------------------------------
# A record holds all draws of shares, means and coupling, and the interval of each.

low, high = record.intervals["coupling"]
for k, column in np.argwhere(fit.coupling_ > 0.01):
    print(
        f"mass from {k} to {column}: {fit.coupling_[k, column]:.2f}, "
        f"90 %: {low[k, column]:.2f} to {high[k, column]:.2f}"
    )

# %%
# Sixteen times as many rows
# --------------------------
# Intervals should be a quarter as wide. Two kinds are told: those of the fit, and the
# *debiased* ones, without the pull of the transport term on the shares. Only the latter
# mean the populations themselves, and with many rows the difference shows.

sure, record_of_many = fitted(many)
widths = {}
for name, drawn in (("200", record), ("3200", record_of_many)):
    low, high = drawn.debiased.intervals["target_weights"]
    widths[name] = (high - low).mean()
    print(f"{name} rows a sample: intervals of shares {widths[name]:.3f} wide")
print(f"ratio {widths['200'] / widths['3200']:.1f}")

# %%
# On the left the coupling of the small samples, with its intervals; on the right the
# shares in the second sample, the true ones as strokes.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
CouplingDisplay.from_estimator(
    fit, intervals=record.intervals["coupling"], ax=left, margins=False
)
left.set_title("200 rows a sample: mass, 90 % interval")

_, means, _ = few.source
looks = (
    ("200 rows", fit, record, -0.15, "#E69F00", "o"),
    ("3200 rows", sure, record_of_many, 0.15, "#0072B2", "s"),
)
for name, found, drawn, aside, color, marker in looks:
    distances = np.linalg.norm(means[:, None] - found.source_.means_, axis=2)
    order = distances.argmin(axis=1)  # components in the order of the truth
    low, high = drawn.debiased.intervals["target_weights"][:, order]
    middle = np.median(drawn.debiased.target_weights[:, order], axis=0)
    right.errorbar(
        np.arange(3) + aside, middle, [middle - low, high - middle],
        fmt=marker, color=color, capsize=4, label=name,
    )  # fmt: skip
right.hlines(SHARES, np.arange(3) - 0.35, np.arange(3) + 0.35, color="0.35", ls="--")
right.set(xlabel="population", ylabel="share in the second sample", xticks=range(3))
right.set(ylim=(0.0, None), title="debiased 90 % intervals")
right.legend()
plt.show()
