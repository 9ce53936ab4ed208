"""
=====================================
More rows than memory: from disk
=====================================

Rows that lie in files need not be in memory for a fit. EM needs sums over the rows
alone, and sums of pieces add up: Dask reads a file, the sums of its rows are taken, and
the file is forgotten. This example writes some files, finds the number of components
among all of their rows, and labels these, with a few files in memory at any time.

A cluster does the same work: start ``dask scheduler --scheduler-file cluster.json`` and
``dask worker --scheduler-file cluster.json --nworkers 2 --nthreads 1``, and set
``SKGMMOT_CLUSTER=cluster.json``.

By default there are 400 000 rows. ``SKGMMOT_ROWS=20000000 python plot_out_of_core.py``
takes 20 million, 480 MB in 40 files: 106 s of processor time in all, compilation, the
files and the picture included, on two threads of an AMD EPYC; the fit itself added 158
MB to the 303 MB that the process had. On a cluster of two workers of one thread, with
kernels compiled before and nothing else on the machine, it was done after 37 s, with at
most 315 MB in the client and 342 MB in a worker (``MALLOC_TRIM_THRESHOLD_=65536``,
which Dask's nannies set for their workers).
"""

# %%
# Files of rows
# -------------
# Four populations of different size in six features, in files of equal length. They
# stand for a table that some instrument wrote; nothing below depends on how the files
# were made.

import os
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("agg")

import dask
import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from dask.diagnostics import ProgressBar

from skgmmot import MixtureDisplay, SparseGaussianMixture
from skgmmot.datasets import make_mixture

N_ROWS = int(os.environ.get("SKGMMOT_ROWS", 400_000))
FILE_ROWS = max(20_000, min(N_ROWS // 20, 500_000))
_, means, covariances = make_mixture(
    10, n_components=4, n_features=6, separation=5.0, random_state=3
).mixture
folder = tempfile.TemporaryDirectory()
client = None
if "SKGMMOT_CLUSTER" in os.environ:
    from distributed import Client, progress

    client = Client(scheduler_file=os.environ["SKGMMOT_CLUSTER"])


def peak_megabytes():
    """Largest resident size of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)


def write(number, n_rows):
    """Write one file; its rows depend on its number alone."""
    rng = np.random.default_rng(number)
    labels = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1], size=n_rows)
    rows = rng.standard_normal((n_rows, 6), dtype=np.float32)
    roots = np.linalg.cholesky(covariances).astype(np.float32)
    for k, root in enumerate(roots):
        rows[labels == k] = rows[labels == k] @ root.T + means[k]
    path = Path(folder.name) / f"rows{number:04d}.npy"
    np.save(path, rows)
    return path


paths = [write(number, FILE_ROWS) for number in range(N_ROWS // FILE_ROWS)]
on_disk = sum(path.stat().st_size for path in paths) / 1e6
print(f"{len(paths)} files, {on_disk:.0f} MB")

# %%
# One lazy array
# --------------
# A chunk for each file. For Zarr it would be ``da.from_zarr(path)``, for Parquet
# ``dask.dataframe.read_parquet(path)``, which can be handed to the estimator as it is.

load = dask.delayed(np.load)
rows = da.concatenate(
    [da.from_delayed(load(path), (FILE_ROWS, 6), dtype=np.float32) for path in paths]
)
print(rows)

# %%
# The fit
# -------
# Ten components are offered. The search for their number works on a weighted sample of
# the rows; what it finds goes on with all of them, by passes over the files. With a
# ``distributed.Client`` in the process, the same lines run on its cluster. Were the
# rows to fit the memory of the workers, ``rows = rows.persist()`` before the fit would
# save the reading: that is for you to say.

before, start = peak_megabytes(), perf_counter()
mixture = SparseGaussianMixture(10, random_state=0).fit(rows)
print(
    f"{mixture.n_components_} components of ten in {perf_counter() - start:.1f} s, "
    f"{peak_megabytes() - before:.0f} MB beyond the {before:.0f} MB before"
)
print(f"weights {np.sort(mixture.weights_)[::-1].round(3)}")

# %%
# Labels
# ------
# Predictions are lazy arrays with the chunks of the rows. They could be written to disk
# as they are made; here they are counted. Dask's own bar shows how far it is.

labels = mixture.predict(rows)
counts = da.bincount(labels, minlength=mixture.n_components_)
if client is None:
    with ProgressBar(minimum=1.0):
        counts = counts.compute()
else:
    counts = counts.persist()
    progress(counts, notebook=False)
    counts = counts.compute()
    sizes = sorted(client.run(peak_megabytes).values())
    print(f"\nworkers at most {' and '.join(f'{size:.0f}' for size in sizes)} MB")
print(f"rows by component {counts}")
print(f"largest resident size {peak_megabytes():.0f} MB")

# %%
# A picture
# ---------
# Some rows of each file, with the components in the first two features.

some = rows[:: max(1, N_ROWS // 5000)].compute()
figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
MixtureDisplay.from_estimator(mixture, some, features=(0, 1), ax=ax)
ax.set_title(f"{counts.sum():,} rows from {len(paths)} files")

here = Path(__file__).parent if "__file__" in globals() else Path()
picture = here / "drawn" / "out_of_core.png"
picture.parent.mkdir(exist_ok=True)
figure.savefig(picture, dpi=80)
print(f"picture: {picture.name}")
folder.cleanup()
