"""A wheel carries compiled kernels: nothing is compiled where it is installed."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IMPORTS = """
import sys, time
# Numba imports these where they are found; users have no need of them.
sys.modules.update(coverage=None, yaml=None)
import numpy as np
X = np.random.default_rng(0).normal(size=(1000, 2))
sample_domain = np.repeat([1, -2], 500)
y = np.where(sample_domain > 0, X[:, 0] > 0.0, -1)
"""
USES = {
    "SparseGaussianMixture": "(3, random_state=0).fit(X)",
    "CoupledGaussianMixture": "(2, random_state=0).fit(X, sample_domain=sample_domain)",
    "LinkedGaussianMixture": "(2, random_state=0).fit(X, sample_domain=sample_domain)",
    "GMMOTTransformer": "(random_state=0).fit(X, sample_domain=sample_domain)",
    "GMMOTClassifier": "(random_state=0).fit(X, y, sample_domain=sample_domain)",
}
PEER = """
from sklearn.mixture import GaussianMixture
GaussianMixture(3, random_state=0).fit(X)
"""
# Of the peer's time, imports included: Numba's import is .2 of it, and fits of pairs
# of samples, of which these rows are hard ones, take another .25.
TIMES = dict.fromkeys(USES, 1.5)
TIMES.update(CoupledGaussianMixture=1.7, LinkedGaussianMixture=1.7)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        platform.machine().lower() not in ("x86_64", "amd64"),
        reason="kernels are compiled for x86-64",
    ),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of a wheel that was built from the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    given = os.environ.get("SKGMMOT_WHEEL")  # one that was built before
    if given is None:
        built = [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
        subprocess.run(built, check=True)
    else:
        shutil.copy(given, folder)
    (wheel,) = folder.glob("*.whl")
    assert "none-any" not in wheel.name
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "-t", target, wheel], check=True)
    return target


def cpu_time(code, folder, cache):
    """CPU seconds of a new process, and what it wrote on stderr."""
    code = f"{IMPORTS}\n{code}\nprint(time.process_time())"
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    environment.update(NUMBA_CACHE_DIR=str(cache), SKGMMOT_QUIET="0")
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment, cwd=cache, check=True, text=True, capture_output=True,
    )  # fmt: skip
    return float(child.stdout), child.stderr


@pytest.mark.parametrize("name", USES)
def test_nothing_is_compiled_at_the_first_fit(name, installed, tmp_path):
    ours = f"from skgmmot import {name}\n{name}{USES[name]}"
    times, peers = [], []
    for _ in range(3):
        found, errors = cpu_time(ours, installed, tmp_path)
        assert "compiling" not in errors
        assert not list(tmp_path.rglob("*.nbi"))
        times.append(found)
        peers.append(cpu_time(PEER, installed, tmp_path)[0])
    assert min(times) <= TIMES[name] * min(peers)
