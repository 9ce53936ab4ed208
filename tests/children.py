"""Runs pieces of code in processes of their own, where a fault can do no harm."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import skgmmot

ROOT = Path(skgmmot.__file__).parent.parent

_PREAMBLE = """
import os, sys, threading, time
import numpy as np
from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture

def rows(n=20_000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 5.0 * rng.integers(0, 4, (n, 1))

def digest(fitted):
    return fitted.means_.tobytes() + fitted.covariances_.tobytes()

def fit(seed, n_jobs=None):
    mixture = SparseGaussianMixture(
        4, sparsity=0.0, random_state=seed, max_iter=5, tol=0.0, n_jobs=n_jobs
    )
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixture.fit(rows(seed=seed))
"""
# The smallest use of a kernel: one function to compile.
SCORE = """
from skgmmot import SparseGaussianMixture
mixture = SparseGaussianMixture.from_parameters(
    [0.5, 0.5], [[0.0], [3.0]], [1.0, 1.0], "spherical"
)
print(mixture.score([[0.0], [1.0]]))
"""


def start_child(code, *, preamble=_PREAMBLE, env=None, path=ROOT):
    """Begin a process that runs the code; `env` holds changes, None removes a name."""
    changed = {**os.environ, "PYTHONPATH": str(path), **(env or {})}
    environment = {name: value for name, value in changed.items() if value is not None}
    return subprocess.Popen(
        [sys.executable, "-c", preamble + textwrap.dedent(code)],
        env=environment, cwd=path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish_child(child, timeout=120):
    """What the process printed; an error, or no end in time, fails the test."""
    try:
        printed, errors = child.communicate(timeout=timeout)
    finally:
        child.kill()
    assert child.returncode == 0, f"exit status {child.returncode}\n{errors}"
    return printed.strip()


def run_child(code, **keywords):
    """Run the code to its end; what it printed."""
    return finish_child(start_child(code, **keywords))
