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
# these names.

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
        3, source_init=start, target_init=start, random_state=0, **parameters
    )
    return coupled.fit(X, sample_domain=sample_domain)


# %%
# H1 and H12: balanced and unbalanced
# -----------------------------------
# A balanced coupling (``reg_m=None``) has to bring all mass of H1 to H12. An
# unbalanced one may also give up mass where it leaves a component, and
# make mass where it arrives; both are charged by ``reg_m``, in units of
# ``cost_scale_``. From B1 bright to Y2 bright is 12 such units: far more than
# ``reg_m=1``, so that the shares are changed and nothing is carried across.
#
# Both are fitted with ``transport_weight=0.3`` and, for comparison, with 0, where
# the two mixtures are fitted as if the other were not there and are coupled
# afterwards.

kinds = {"balanced": None, "unbalanced": 1.0}
fits = {
    (weight, kind): fit("H12", transport_weight=weight, reg_m=reg_m)
    for weight in (0.3, 0.0)
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
    places = np.round(coupled.target_.means_, 1).tolist()
    print(f"  places in H12 ({', '.join(channels)}): {places}")


for (weight, kind), coupled in fits.items():
    print(f"\ntransport_weight={weight}, {kind}")
    describe(coupled)
