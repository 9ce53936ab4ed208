"""Section on one EM iteration beside oneDAL, the fastest peer on a CPU (x86 only)."""

import numpy as np

from benchmarks._data import mixed
from benchmarks._records import Job, Library, Section, seconds
from benchmarks._worker import usable_cores

_CHECKED = 4  # iterations after which likelihoods are compared
_ROWS = {2: 60_000, 3: 60_000, 8: 40_000, 16: 20_000, 32: 10_000, 64: 6_000}
_DTYPES = "float64", "float32"

CASES = [
    {"form": "full", "d": d, "n": n, "K": K, "dtype": dtype}
    for dtype in _DTYPES
    for d, n in _ROWS.items()
    for K in (16, 32)
] + [
    {"form": "diag", "d": d, "n": n, "K": K, "dtype": dtype}
    for dtype in _DTYPES
    for d in (16, 40, 64)
    for K, n in ((64, 20_000), (512, 4_000))
]


def _problem(case):
    """Rows of overlapping components and a start, with variances where diagonal."""
    data = mixed(case["n"], case["d"], case["K"], overlapping=True)
    spread = data.covariances
    if case["form"] == "diag":
        spread = np.ascontiguousarray(np.diagonal(spread, axis1=1, axis2=2))
    return data._replace(X=data.X.astype(case["dtype"]), covariances=spread)


def _steps(fit, score):
    """Time of some iterations: a fit with so many more than 1, less a fit with 1."""
    per = max(1, min(20, int(0.3 / max(seconds(fit, 3) - seconds(fit, 1), 1e-6))))

    def run():
        short = seconds(fit, 1)
        return seconds(fit, 1 + per) - short

    return Job(run, lambda: score(fit(_CHECKED)), per)


def _project(case):
    from skgmmot import SparseGaussianMixture

    data = _problem(case)
    diagonal = case["form"] == "diag"
    settings = {
        "n_components": case["K"],
        "covariance_type": case["form"],
        "sparsity": 0.0,
        "accelerate": False,
        "tol": 0.0,
        "weights_init": data.weights,
        "means_init": data.means,
        "precisions_init": 1.0 / data.covariances if diagonal else data.precisions,
    }

    def fit(max_iter):
        return SparseGaussianMixture(**settings, max_iter=max_iter).fit(data.X)

    fit(1)
    return _steps(fit, lambda model: float(np.abs(model.means_).mean()))


def _onedal(case):
    import daal4py

    # The worker's process has as many cores as threads.
    daal4py.daalinit(usable_cores())
    data, dtype = _problem(case), case["dtype"]
    storage = {"covarianceStorage": "diagonal"} if case["form"] == "diag" else {}
    weights, means = data.weights[None].astype(dtype), data.means.astype(dtype)
    shape = (1, -1) if storage else (case["d"], case["d"])
    covariances = [c.reshape(shape).astype(dtype) for c in data.covariances]

    def fit(max_iter):
        found = daal4py.em_gmm(
            case["K"],
            fptype="double" if dtype == "float64" else "float",
            maxIterations=max_iter,
            accuracyThreshold=0.0,
            **storage,
        ).compute(data.X, weights, means, covariances)
        if int(np.squeeze(found.nIterations)) != max_iter:
            raise RuntimeError("oneDAL stopped before")
        return found

    fit(1)
    return _steps(fit, lambda found: float(np.abs(found.means).mean()))


ONEDAL = Section(
    "One EM iteration beside oneDAL",
    "Overlapping components, all live; same rows, same start, as many iterations."
    " Each by the difference of two fits that differ in the number of iterations,"
    " divided by that. Versions differ: on an AMD processor with AVX-512 an iteration"
    " of daal 2024.7 takes half the time of 2026.2 in some cases.",
    CASES,
    {
        "skgmmot": Library(_project, ("skgmmot",)),
        "oneDAL": Library(_onedal, ("daal4py",)),
    },
    "mean size of an entry of the means after 4 iterations",
)
