"""
================================================
A time course: branches, growth, death, new ones
================================================

Cells, particles or customers are measured at several times, each time others: no row is
seen twice. :class:`~skgmmot.LinkedGaussianMixture` fits one mixture for each time and
couples neighbours in time, each sample pulled from both sides. The couplings say who
comes from whom; between two times they say what there was.

The data are made, so that the truth is known: at time 0 two populations; one branches
twice, one dies out between times 1 and 3, and another appears.
"""

# %%
# Five times, and one of them left out
# ------------------------------------

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import LinkedGaussianMixture, LinksDisplay, cross_validate_links
from skgmmot.datasets import make_time_course

here = Path(__file__).parent if "__file__" in globals() else Path()
course = make_time_course(1000, kind="replaced", random_state=0)
X, times = course.X, course.sample_domain
sizes = {
    time: len(found)
    for time, found in zip(course.times.tolist(), course.populations, strict=True)
}
print("populations at each time:", sizes)

# %%
# All five times
# --------------
# ``reg_m`` lets populations grow and fade: without it (balanced), the mass of the one
# that dies has to become something else.

fits = {
    name: LinkedGaussianMixture(sizes, reg_m=reg_m, random_state=0).fit(
        X, sample_domain=times
    )
    for name, reg_m in (("balanced", None), ("reg_m=1", 1.0))
}


def population(fit, label, k):
    """The lineages of the rows that a component describes, as a text."""
    rows = times == label
    labels = fit.predict(X[rows], sample_domain=times[rows])
    found = np.bincount(course.lineage[rows][labels == k], minlength=5)
    return "".join(
        str(lineage) for lineage in np.flatnonzero(found > 0.1 * found.sum())
    )


def lineages_mixed(fit):
    """Mass that goes between populations without a lineage in common."""
    wrong = total = 0.0
    for (first, second), plan in zip(fit.links_, fit.couplings_, strict=True):
        for (k, column), mass in np.ndenumerate(plan):
            ends = population(fit, first, k), population(fit, second, column)
            total += mass
            wrong += mass * (not set(ends[0]) & set(ends[1]))
    return wrong / total


for name, fit in fits.items():
    print(
        f"{name}: {100 * lineages_mixed(fit):.1f} % of the mass on impossible lineages"
    )

# %%
# Births and deaths are told by link: the part of a population that comes from nowhere,
# or goes nowhere.

fit = fits["reg_m=1"]
for (first, second), births, deaths in zip(
    fit.links_, fit.births_, fit.deaths_, strict=True
):
    for what, label, parts in (("dies", first, deaths), ("is new", second, births)):
        for k, part in enumerate(parts):
            if part > 0.2:
                print(
                    f"from {first:g} to {second:g}: {100 * part:.0f} % of lineage "
                    f"{population(fit, label, k)} {what}"
                )

# %%
# What there was at a time that nobody measured
# ---------------------------------------------
# Time 2 is left out, and interpolated from times 1 and 3. The distance is that of
# Wasserstein, sliced, in standard deviations; two halves of the rows of time 2 show how
# small it can be.

kept = times != 2
some = {time: size for time, size in sizes.items() if time != 2}
held_out = X[~kept]
linked = LinkedGaussianMixture(some, reg_m=1.0, random_state=0)
alone = LinkedGaussianMixture(some, transport_weight=0.0, random_state=0)
print("\ndistance from the rows of time 2")
for name, model in (("linked, reg_m=1", linked), ("independent, balanced", alone)):
    model.fit(X[kept], sample_domain=times[kept])
    score = model.score_holdout(held_out, 2.0, metric="sliced")
    print(f"  {name:24}{-score:.3f}")

# %%
# Other times that can be left out compare settings too. They need not agree: at time 2,
# left out above, ``reg_m=1`` is nearer than independent mixtures, at times 1 and 3
# balanced links are. At time 2 half of the dying population is left, as interpolation
# between its neighbours says. At time 1 all of it is there, at time 3 nothing: what
# fades is half wrong, over the whole way between two populations. A balanced plan is
# wholly wrong, but over half the way, which squared distances prefer. What is best
# depends on whether the change is even at the times one asks about.

selection = cross_validate_links(
    LinkedGaussianMixture(sizes, random_state=0),
    X,
    times,
    param_grid={"reg_m": [None, 1.0, 3.0]},
    left_out=[1, 3],
)
for setting, scores in zip(selection.settings, selection.scores, strict=True):
    print(f"  reg_m {setting['reg_m']!s:5} distances {np.round(-scores, 3)}")
print("best at times 1 and 3:", selection.best)

# %%
# The picture
# -----------
# Left, who comes from whom: dots are populations with their share in per cent, bands
# the mass that goes. Right, where they are, from dark to light in time; the dashed
# ellipses are the interpolation of time 2 that never saw its rows (grey).

figure, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
display = LinksDisplay.from_estimator(fit, ax=axes[0])
axes[0].set(xlabel="time", title="who comes from whom (share in %)")
axes[1].plot(*held_out.T, ".", color="0.8", markersize=3, zorder=0)
display.plot_components(ax=axes[1])
between = linked.interpolate(2.0)
for weight, mean, covariance in zip(*between, strict=True):
    if weight > 0.03:
        angles = np.linspace(0, 2 * np.pi, 60)
        circle = np.array([np.cos(angles), np.sin(angles)])
        outline = 1.5 * np.linalg.cholesky(covariance) @ circle + mean[:, None]
        axes[1].plot(*outline, "k--", linewidth=1)
axes[1].set_title("components over time; dashed: time 2 interpolated")

picture = here / "drawn" / "time_course.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"\npicture: {picture.name}")
