"""
==================================================
The same code in memory, on Dask and on a device
==================================================

Where rows are is the business of the array that holds them. One function fits a mixture
and labels rows; it is given the same rows as a NumPy array, as a Dask array and as an
array of a library for GPUs, and finds the same mixture each time.
"""

# %%
# One function
# ------------
# Nothing in it knows what kind of array it is given. Results of rows come back in the
# kind of the rows, fitted attributes are NumPy's.

import matplotlib.pyplot as plt
import numpy as np

from skgmmot import MixtureDisplay, SparseGaussianMixture
from skgmmot.datasets import make_mixture


def fitted(X):
    mixture = SparseGaussianMixture(10, random_state=0).fit(X)
    return mixture, mixture.predict(X)


rows = make_mixture(60_000, n_components=5, n_features=2, random_state=4).X

# %%
# Three kinds of rows
# -------------------
# Dask's array is in twelve chunks, which a cluster would spread over its workers. For
# the device the example takes torch, on a GPU if there is one, else on the CPU. Where
# torch is missing, array-api-strict stands in: it computes on the CPU too, but its
# second device lets nothing go to NumPy unasked, as a GPU would. What is not installed
# is left out.

kinds = {"NumPy": rows}
try:
    import dask.array as da
except ImportError:
    print("Dask is not installed: its part is left out")
else:
    kinds["Dask"] = da.from_array(rows, chunks=(5000, 2))

try:
    import torch
except ImportError:
    try:
        import array_api_strict as strict
    except ImportError:
        print("neither torch nor array-api-strict is installed: no device")
    else:
        second = strict.Device("device1")
        kinds["array-api-strict"] = strict.asarray(rows, device=second)
else:
    place = "cuda" if torch.cuda.is_available() else "cpu"
    kinds[f"torch, {place}"] = torch.asarray(rows, device=place)

# %%
# Three fits
# ----------
# Sums over chunks are added in another order, and a device multiplies matrices in its
# own way: mixtures agree to rounding, not to the last digit. Time is no matter here:
# these rows are few, and without a GPU all of this runs on the processor.

fits = {}
for name, X in kinds.items():
    fits[name] = mixture, labels = fitted(X)
    print(f"{name}: {mixture.n_components_} components, labels {type(labels).__name__}")

first, _ = fits["NumPy"]
for name, (mixture, _) in fits.items():
    gap = np.abs(mixture.means_ - first.means_).max()
    print(f"{name}: means differ by {gap:.1e} from those of NumPy")

# %%
# Three pictures
# --------------
# A mixture is NumPy's wherever it was fitted, and is drawn as any other.

figure, axes = plt.subplots(
    1, len(fits), figsize=(3.4 * len(fits), 3.4), sharey=True, layout="constrained"
)
for ax, (name, (mixture, _)) in zip(np.atleast_1d(axes), fits.items(), strict=True):
    style = {"s": 1, "alpha": 0.3, "rasterized": True}
    MixtureDisplay.from_estimator(mixture, rows[::20], ax=ax, scatter_kwargs=style)
    ax.set_title(name)
plt.show()
