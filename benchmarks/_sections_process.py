"""Sections that look at whole processes: start-up time and peak memory."""

import os
import subprocess
import sys
import tempfile
from time import perf_counter

from benchmarks._records import Job, Library, Section

# Start-up

_IMPORT = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""
_FIT = """
import numpy as np
from {module} import {name}
X = np.random.default_rng(0).standard_normal((1000, 2))
model = {name}(10, {settings}random_state=0, max_iter=1000, tol=1e-4).fit(X)
print(model.score(X))
"""


def _child(code, **environment):
    """(last line of output as a number, wall time) of a new interpreter."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1]), perf_counter() - start


def _startup(case, module, name, settings):
    warm = tempfile.TemporaryDirectory()
    template = _IMPORT if case["what"] == "import" else _FIT
    code = template.format(module=module, name=name, settings=settings)
    printed = []

    def run():
        with tempfile.TemporaryDirectory() as empty:
            cache = empty if case.get("cache") == "cold" else warm.name
            number, wall = _child(code, NUMBA_CACHE_DIR=cache)
        printed.append(number)
        return number if case["what"] == "import" else wall

    return Job(run, lambda: float("nan") if case["what"] == "import" else printed[-1])


def _startup_project(case):
    settings = "" if case["what"] == "sparse fit" else "sparsity=0, "
    return _startup(case, "skgmmot", "SparseGaussianMixture", settings)


def _startup_sklearn(case):
    return _startup(case, "sklearn.mixture", "GaussianMixture", "")


STARTUP = Section(
    "Start-up",
    "Import: time inside a new interpreter, NumPy's import included. Fits: wall time"
    " of a new process that imports, fits 10 components to 1000 x 2 rows from the"
    " default start (k-means), and ends; cold: Numba's cache is empty. The sparse fit"
    " finds its own number of components, scikit-learn beside it keeps 10.",
    [
        {"what": "import"},
        {"what": "fit", "cache": "warm"},
        {"what": "fit", "cache": "cold"},
        {"what": "sparse fit", "cache": "warm"},
        {"what": "sparse fit", "cache": "cold"},
    ],
    {
        "skgmmot": Library(_startup_project, ("skgmmot",)),
        "scikit-learn": Library(_startup_sklearn, ("sklearn",)),
    },
    "mean log-likelihood",
)

# First fits

_FIRST_FIT = """
import sys
import time
# Numba imports these where they are found; it has no need of them.
sys.modules.update(coverage=None, yaml=None)
import numpy as np
X = np.random.default_rng(0).standard_normal((1000, 2))
sample_domain = np.repeat([1, -2], 500)
y = np.where(sample_domain > 0, X[:, 0] > 0.0, -1)
{fit}
print(time.process_time())
"""
_OURS = {
    "SparseGaussianMixture": "(3, random_state=0).fit(X)",
    "CoupledGaussianMixture": "(2, random_state=0).fit(X, sample_domain=sample_domain)",
    "LinkedGaussianMixture": "(2, random_state=0).fit(X, sample_domain=sample_domain)",
    "GMMOTTransformer": "(random_state=0).fit(X, sample_domain=sample_domain)",
    "GMMOTClassifier": "(random_state=0).fit(X, y, sample_domain=sample_domain)",
}
_SKLEARN = (
    "from sklearn.mixture import GaussianMixture\n"
    "GaussianMixture(3, random_state=0).fit(X)"
)


def _first_fit(fit):
    """CPU time of a process that fits once, Numba's cache empty."""

    def run():
        with tempfile.TemporaryDirectory() as empty:
            return _child(_FIRST_FIT.format(fit=fit), NUMBA_CACHE_DIR=empty)[0]

    return Job(run, lambda: 1.0)


def _first_fit_project(case):
    name = case["estimator"]
    return _first_fit(f"from skgmmot import {name}\n{name}{_OURS[name]}")


FIRST_FIT = Section(
    "First fits",
    "CPU time of a new process that imports, and fits 1000 x 2 rows once, with"
    " nothing in Numba's cache: the kernels come with the wheel, or are compiled where"
    " the package was not built. scikit-learn fits a mixture of 3 components.",
    [{"estimator": name} for name in _OURS],
    {
        "skgmmot": Library(_first_fit_project, ("skgmmot",)),
        "scikit-learn": Library(lambda case: _first_fit(_SKLEARN), ("sklearn",)),
    },
    "done",
    repeat=5,
)

# Memory

_PEAK = """
import resource
import sys
import warnings
import numpy as np
from {module} import {name}

def peak():  # kilobytes, but on macOS bytes
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
means = 3.0 * rng.standard_normal((32, 8))
X = np.empty(({n}, 8))
for block in np.array_split(X, 200):
    block[:] = rng.standard_normal(block.shape)
    block += means[rng.integers(32, size=len(block))]
start = {{}}
if {given}:
    start["weights_init"] = np.full(32, 1 / 32)
    start["means_init"] = means + 0.1
    start["precisions_init"] = np.tile(np.eye(8), (32, 1, 1))
before = peak()
model = {name}(32, {settings}max_iter=2, random_state=0, **start).fit(X)
print(model.lower_bounds_[-1], peak() - before)
"""


def _memory(case, module, name, settings):
    code = _PEAK.format(
        module=module,
        name=name,
        settings=settings,
        n=case["n"],
        given=case["start"] == "given",
    )
    bounds = []

    def run():
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        bound, megabytes = map(float, done.stdout.split()[-2:])
        bounds.append(bound)
        return megabytes

    return Job(run, lambda: bounds[-1])


def _memory_project(case):
    return _memory(case, "skgmmot", "SparseGaussianMixture", "sparsity=0, ")


def _memory_sklearn(case):
    return _memory(case, "sklearn.mixture", "GaussianMixture", "")


MEMORY = Section(
    "Peak memory beyond the data",
    "Growth of the largest resident size of a new process during a fit of n x 8 rows"
    " with 32 full components (two iterations), in megabytes.",
    [
        {"n": 500_000, "start": "given"},
        {"n": 4_000_000, "start": "given"},
        {"n": 4_000_000, "start": "k-means"},
    ],
    {
        "skgmmot": Library(_memory_project, ("skgmmot",)),
        "scikit-learn": Library(_memory_sklearn, ("sklearn",)),
    },
    "last lower bound",
    unit="MB",
    repeat=1,
)
