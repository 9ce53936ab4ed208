"""
======================================
Wells of a plate, as chain and as star
======================================

Four wells of one row of a plate of cytometry are four samples. They can be read as a
chain, well after well, which follows populations along the plate; or as batches around
a reference, which brings the events of all wells to one of them.
:class:`~skgmmot.LinkedGaussianMixture` fits both, and
:func:`~skgmmot.batch_report` tells in plain numbers what a correction did.

The data are those of the example on a plate of cytometry wells: every second event of
each, from the test data of FlowCytometryTools (MIT licence, Eugene Yurtsev and Jonathan
Friedman). The licence lies beside the data.
"""

# %%
# Four wells, three populations
# -----------------------------

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import (
    LinkedGaussianMixture,
    LinksDisplay,
    SparseGaussianMixture,
    batch_report,
)

here = Path(__file__).parent if "__file__" in globals() else Path()
channels, wells = ["Y2-A", "B1-A"], ["H1", "H3", "H7", "H12"]
with np.load(here / "data" / "plate02.npz") as plate:
    columns = [list(plate["channels"]).index(channel) for channel in channels]
    raw = [plate[well][::2, columns].astype(float) for well in wells]
inside = [(events < 262143).all(axis=1) for events in raw]
X = np.arcsinh(np.concatenate([r[i] for r, i in zip(raw, inside, strict=True)]) / 150)
place = np.repeat(range(4), [i.sum() for i in inside])
names = ["dim", "B1 bright", "Y2 bright"]


def gates(rows):
    """Populations by two straight gates, without any model."""
    y2 = rows[:, 0] > 2
    return np.where(y2, "Y2 bright", np.where(rows[:, 1] > 1.8, "B1 bright", "dim"))


# %%
# A start from all wells together, so that a well that lacks a population has a
# component where it would be.

together = SparseGaussianMixture(3, sparsity=0, random_state=0).fit(X)
y2, b1 = together.means_.argmax(axis=0)
order = [3 - y2 - b1, b1, y2]
start = tuple(
    part[order] for part in (together.weights_, together.means_, together.covariances_)
)
shared = {"reg_m": 0.5, "align": None, "random_state": 0}

# %%
# As a chain
# ----------
# Labels are the places along the row. All wells went through the same instrument, so
# that nothing moves all events alike: ``align=None``.

chain = LinkedGaussianMixture(
    3, inits=dict.fromkeys(range(4), start), transport_weight=0.3, **shared
)
chain.fit(X, sample_domain=place)
print("shares in %" + "".join(f"{name:>12}" for name in names))
for well, number, mixture in zip(wells, range(4), chain.mixtures_, strict=True):
    gated = gates(X[place == number])
    counted = [100 * np.mean(gated == name) for name in names]
    print(f"{well:6} fit  " + "".join(f"{100 * w:12.1f}" for w in mixture.weights_))
    print(f"{'':6} gates" + "".join(f"{share:12.1f}" for share in counted))
for (first, second), growth in zip(chain.links_, chain.growths_, strict=True):
    factors = ", ".join(f"{n} {g:.2g}" for n, g in zip(names, growth, strict=True))
    print(f"{wells[first]} to {wells[second]}, times: {factors}")

# %%
# How sure are the shares? A bootstrap of all wells at once.

record = chain.bootstrap(X, sample_domain=place, n_bootstraps=40, random_state=0)
low, high = 100 * record.intervals["weights"][2]
print("H7, 95 %:", ", ".join(
    f"{name} {a:.1f} to {b:.1f}" for name, a, b in zip(names, low, high, strict=True)
))  # fmt: skip

# %%
# As a star
# ---------
# To have a batch effect that is known, the wells H3 to H12 are measured by another
# instrument: other gains and offsets, the same for all populations of a well. H1 is the
# reference. Populations differ in share between the wells, which a correction must not
# touch. As before, all start at the three populations: left to itself, the fit of H1,
# which has no events bright in Y2, would split another population, and the events of
# the other wells that are bright in Y2 would be moved there: a share of 0 in place of
# 46 % in H12. Look at the report before trusting a correction.

rng = np.random.default_rng(0)
measured = X.copy()
for number in (1, 2, 3):
    gain, offset = rng.uniform(0.8, 1.2, 2), rng.uniform(-0.6, 0.6, 2)
    measured[place == number] = gain * X[place == number] + offset
star = LinkedGaussianMixture(
    3, links="star", reference=0, reg_m=0.5, random_state=0,
    inits=dict.fromkeys(range(4), start),
)  # fmt: skip
star.fit(measured, sample_domain=place)
corrected = star.to_reference(measured, place, min_events=50)
report = batch_report(measured, corrected, place, reference=0, gates=gates)
print("\ndistance from H1, before and after        share of Y2 bright, %")
for well, number in zip(wells, range(4), strict=True):
    before, after = report.distance_before[number], report.distance_after[number]
    k = report.populations.index("Y2 bright")
    told = 100 * report.share_before[number, k], 100 * report.share_after[number, k]
    true = 100 * np.mean(gates(X[place == number]) == "Y2 bright")
    print(
        f"{well:4} {before.round(2)} -> {after.round(2)}    measured {told[0]:.1f}, "
        f"corrected {told[1]:.1f}, without the effect {true:.1f}"
    )

# %%
# The picture
# -----------

figure, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
display = LinksDisplay.from_estimator(chain, ax=axes[0])
axes[0].set_xticks(range(4), wells)
axes[0].set_title("populations along the plate (share in %)")
display.plot_components(ax=axes[1])
axes[1].set(xlabel="Y2-A (arcsinh)", ylabel="B1-A (arcsinh)", title="where they are")
axes[1].legend(axes[1].get_legend().legend_handles, wells, title="well", frameon=False)

picture = here / "drawn" / "plate_batches.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"\npicture: {picture.name}")
