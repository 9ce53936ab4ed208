"""
===========================================
What moved along a plate of cytometry wells
===========================================

A flow cytometer measures some colours of light for each particle of a sample. A
mixture calls the clusters of such events populations. Between two samples two
different things may happen: a population changes its place, or it stays where it
is and changes its share. A coupling of two mixtures can tell them apart, if it is
asked in the right way; this example shows how to ask.

The data are four wells of one row of a plate, 5000 events each, from the test data
of FlowCytometryTools (MIT licence, Eugene Yurtsev and Jonathan Friedman). The
licence lies beside the data.
"""

# %%
# Two channels, four wells
# ------------------------
# Two of the five channels separate the events, Y2-A and B1-A. The inverse
# hyperbolic sine is the usual scale: linear near 0, logarithmic far away.

from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import (
    CoupledGaussianMixture,
    CouplingDisplay,
    MixtureDisplay,
    SparseGaussianMixture,
)
from skgmmot.datasets import stack_domains
from skgmmot.transport import mw2_distance

here = Path(__file__).parent if "__file__" in globals() else Path()
channels, wells = ["Y2-A", "B1-A"], ["H1", "H3", "H7", "H12"]
with np.load(here / "data" / "plate02.npz") as plate:
    columns = [list(plate["channels"]).index(channel) for channel in channels]
    raw = {well: plate[well][:, columns].astype(float) for well in wells}
saturated = {well: (events >= 262143).any(axis=1) for well, events in raw.items()}
events = {well: np.arcsinh(raw[well][~saturated[well]] / 150) for well in wells}

# %%
# Counted by two straight gates, there are three populations: dim events, events
# bright in B1, events bright in Y2. H1 has none that is bright in Y2, H12 none that
# is bright in B1, and the wells between them have all three. Three events of all
# wells are at the end of the detector's range, and are left out.

populations = ["dim", "B1 bright", "Y2 bright"]


def gated(rows):
    """Shares of the populations by two gates, without any model."""
    y2 = rows[:, 0] > 2
    b1 = ~y2 & (rows[:, 1] > 1.8)
    return np.array([1 - y2.mean() - b1.mean(), b1.mean(), y2.mean()])


def percents(shares):
    """Numbers of a line of a table."""
    return "".join(f"{100 * share:11.1f}" for share in shares)


print("share of events by gates, in %")
print(f"{'':8}" + "".join(f"{name:>11}" for name in populations) + "  saturated")
for well in wells:
    n_saturated = saturated[well].sum()
    print(f"{well:8}" + percents(gated(events[well])) + f"{n_saturated:11}")

# %%
# One start for all fits
# ----------------------
# A well with two populations cannot say where the third would be. Hence a start
# from all wells together: one mixture of three components, put in the order of the
# names above. Every fit below starts both sides there, and its components keep
# these names. (Left to start by itself, a fit of H1 and H12 splits the populations
# that there are instead, none of them being quite Gaussian: the objective is 0.06 to
# 0.1 nats better, and the third component means something else in each well.)

together = SparseGaussianMixture(3, sparsity=0, random_state=0)
together.fit(np.concatenate(list(events.values())))
y2_bright, b1_bright = together.means_.argmax(axis=0)
order = [3 - y2_bright - b1_bright, b1_bright, y2_bright]
start = tuple(
    part[order] for part in (together.weights_, together.means_, together.covariances_)
)


def fit(target, rows=slice(None), **parameters):
    """H1 coupled with another well."""
    X, sample_domain = stack_domains(events["H1"][rows], events[target][rows])
    coupled = CoupledGaussianMixture(
        3,
        align=None,
        source_init=start,
        target_init=start,
        random_state=0,
        **parameters,
    )
    return coupled.fit(X, sample_domain=sample_domain)


# %%
# H1 and H12: balanced and unbalanced
# -----------------------------------
# A balanced coupling (``reg_m=None``) has to bring all mass of H1 to H12. An
# unbalanced one may also give up mass where it leaves a component, and
# make mass where it arrives; both are charged by ``reg_m``, in units of
# ``cost_scale_``. From B1 bright to Y2 bright is 5 such units: ten times
# ``reg_m=0.5``, so that the shares are changed and nothing is carried across.
#
# All wells went through the same instrument with the same settings: nothing moves all
# events alike. Hence ``align=None``. The default would allow for a common shift, and
# where one population vanishes and another appears, a shift explains both.
#
# Both are fitted with ``transport_weight=0.6`` and, for comparison, with 0, where
# the two mixtures are fitted as if the other were not there and are coupled
# afterwards.

kinds = {"balanced": None, "unbalanced": 0.5}
fits = {
    (weight, kind): fit("H12", transport_weight=weight, reg_m=reg_m)
    for weight in (0.6, 0.0)
    for kind, reg_m in kinds.items()
}


def describe(coupled):
    """Shares, coupling and reweightings of a fit, in numbers."""
    growth = coupled.source_reweighting_ * coupled.target_reweighting_
    lines = {
        "share in H1, %": 100 * coupled.source_.weights_,
        "share in H12, %": 100 * coupled.target_.weights_,
        "weight when leaving H1, x": coupled.source_reweighting_,
        "weight when arriving in H12, x": coupled.target_reweighting_,
        "both, x": growth,
    }
    print(f"{'':32}" + "".join(f"{name:>11}" for name in populations))
    for title, numbers in lines.items():
        print(f"  {title:30}" + "".join(f"{number:11.3g}" for number in numbers))
    print("  coupling, % (rows from H1, columns to H12)")
    for name, row in zip(populations, coupled.coupling_, strict=True):
        print(f"    {name:28}" + percents(row))
    print(
        f"  mass moved {coupled.transported_mass_:.2f}, "
        f"MW2 {mw2_distance(coupled.source_, coupled.target_):.2f}"
    )
    units = coupled.costs_[1, 2]
    print(f"  from B1 bright to Y2 bright: {units:.0f} units of cost_scale_")
    places = np.round(coupled.target_.means_, 1).tolist()
    print(f"  places in H12 ({', '.join(channels)}): {places}")


for (weight, kind), coupled in fits.items():
    print(f"\ntransport_weight={weight}, {kind}")
    describe(coupled)

# %%
# What the couplings say
# ----------------------
# *Unbalanced, coupled.* No mass goes from one population to another. The factors
# are read so: a point that leaves B1 bright has its weight multiplied by 0.24, and
# by 0.34 where it arrives, by 0.082 in all; B1 bright all but vanishes. Y2 bright
# grows by a factor of 17, and dim events by 1.1. Their places stay.
#
# *Balanced, two independent fits.* The shares are within 4 points of those of the
# gates, and the mass of B1 bright must go somewhere: 45 % of all mass goes to Y2
# bright and 7 % to dim. Taken as biology, this says that events changed colour.
#
# *Balanced, coupled.* The transport is expensive, and so the fit avoids it by
# giving both wells the same shares: 23 % of H1 are now Y2 bright, and 29 % of H12
# are B1 bright, where the gates find none. The coupling looks perfect
# and the mixtures are wrong. Compare shares with those of ``transport_weight=0``
# before reading a coupling.
#
# *What the coupling changed.* With weight 0 the components of the populations that
# a well has not are free: in H1 the third is left with a share of 0, and in H12 the
# second goes to the few events between dim and Y2 bright, at (1.9, 0.6). Labels 1
# then mean different things in the two wells. Coupled, each label stays with its
# population: at (0.5, 2.4), somewhat stretched by the events between, and at
# (4.7, 0.8) in H12. The price are shares that no event stands behind, 2 % of Y2
# bright in H1 and 4 % of B1 bright in H12, and these also make the factors milder
# than the gates.
#
# Likelihood of rows that were not fitted
# ---------------------------------------
# Every second event is fitted, the others are scored. Unbalanced, the coupling
# with weight 0.6 costs 0.03 nats a row in each well; balanced, 0.32 in H1 and 0.29
# in H12, since it bends the shares. A balanced weight of 0.2 even gains in H1, where
# it has bent 4 % of the events to a population that is not there: the held-out
# likelihood may warn of a bent fit, but it does not choose the weight.

print("\nfitted on every second event, mean log-likelihood of the others")
print(f"{'':24}{'H1':>9}{'H12':>9}{'MW2':>9}{'Y2 bright in H1, %':>22}")
for kind, reg_m in kinds.items():
    for weight in (0.0, 0.2, 0.6):
        coupled = fit("H12", slice(0, None, 2), transport_weight=weight, reg_m=reg_m)
        source, target = coupled.source_, coupled.target_
        print(
            f"{kind:12}weight {weight:<5g}"
            f"{source.score(events['H1'][1::2]):9.3f}"
            f"{target.score(events['H12'][1::2]):9.3f}"
            f"{mw2_distance(source, target):9.2f}"
            f"{100 * source.weights_[2]:22.2f}"
        )

# %%
# All four wells
# --------------
# H1 is the source of each fit, unbalanced and with the weight 0.6. B1 bright
# shrinks along the plate and Y2 bright grows, while dim events stay near half. The
# factors of B1 bright are nearer to 1 than the ratios of gated shares: the coupling
# draws the two sides together. The factor of Y2 bright is about the same in
# all wells, though its share is not: the share in H1 that it divides by has no
# events behind it and follows the target. Read it as "new", not as a number.

series = {well: fit(well, transport_weight=0.6, reg_m=0.5) for well in wells[1:]}
shares = {"H1": gated(events["H1"])}
growths = {}
print(f"\n{'':10}{'share in the well, %':^33}  {'H1 to the well, x':^33}  moved")
print(f"{'':10}" + 2 * ("".join(f"{name:>11}" for name in populations) + "  "))
for well, coupled in series.items():
    shares[well] = coupled.target_.weights_
    growths[well] = coupled.source_reweighting_ * coupled.target_reweighting_
    with np.errstate(divide="ignore"):
        ratios = gated(events[well]) / gated(events["H1"])
    for title, share, growth, moved in (
        (f"{well} fit", shares[well], growths[well], coupled.transported_mass_),
        (f"{well} gates", gated(events[well]), ratios, np.nan),
    ):
        numbers = "".join(f"{number:11.3g}" for number in growth)
        end = "" if np.isnan(moved) else f"{moved:5.2f}"
        print(f"{title:10}" + percents(share) + "  " + numbers + "  " + end)

# %%
# The picture
# -----------
# Above, the coupled fit of H1 and H12, below the two independent ones: events and
# components (0 is dim, 1 B1 bright, 2 Y2 bright; two standard deviations; the denser
# the fill, the larger the share), and the couplings. At the right, what happens along
# the plate.

colors = ["0.35", "C0", "C3"]
figure = plt.figure(figsize=(17, 8.2), layout="constrained")
grid = figure.add_gridspec(2, 5, width_ratios=(1, 1, 1, 1, 1.15))


def draw_well(ax, mixture, well, title):
    """Events of a well and the components that were fitted to it."""
    display = MixtureDisplay.from_estimator(mixture, events[well], ax=ax, colors=colors)
    display.scatter_.set_rasterized(True)
    ax.set(xlim=(-1.5, 8), ylim=(-2, 6), title=title)
    ax.set(xlabel="Y2-A (arcsinh)", ylabel="B1-A (arcsinh)")


def draw_coupling(ax, coupled, title):
    """A coupling with the names of the populations."""
    display = CouplingDisplay(coupled.coupling_).plot(ax=ax, margins=False)
    display.image_.set_clim(0, 0.55)
    names = [name.replace(" ", "\n") for name in populations]
    ax.set_xticks(range(3), names)
    ax.set_yticks(range(3), names)
    ax.set(xlabel="to H12", ylabel="from H1", title=title)


for i, weight in enumerate((0.6, 0.0)):
    coupled = fits[weight, "unbalanced"]
    prefix = "coupled" if weight else "independent"
    for j, (well, side) in enumerate((("H1", "source_"), ("H12", "target_"))):
        ax = figure.add_subplot(grid[i, j])
        draw_well(ax, getattr(coupled, side), well, f"{well}, {prefix}")
    for j, kind in enumerate(kinds):
        mass = fits[weight, kind].transported_mass_
        title = f"{prefix}, {kind}:\n{100 * mass:.0f} % of the mass moved"
        draw_coupling(figure.add_subplot(grid[i, 2 + j]), fits[weight, kind], title)

ax = figure.add_subplot(grid[0, 4])
for k, name in enumerate(populations):
    style = {"color": colors[k]}
    fitted = [100 * shares[well][k] for well in wells]
    counted = [100 * gated(events[well])[k] for well in wells]
    ax.plot(range(1, 4), fitted[1:], "o-", label=name, **style)
    ax.plot(range(4), counted, "x:", markersize=8, **style)
ax.set_xticks(range(4), wells)
ax.set(title="share of a population\n(lines: fit; crosses: gates)", ylabel="%")
ax.legend()
ax = figure.add_subplot(grid[1, 4])
for k in range(len(populations)):
    ax.plot(wells[1:], [growths[w][k] for w in wells[1:]], "o-", color=colors[k])
ax.axhline(1, color="0.7", linewidth=1, zorder=0)
ax.set(yscale="log", title="factor of a weight from H1\nto the well, unbalanced")

picture = here / "drawn" / "cytometry_shift.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"\npicture: {picture.name}")
