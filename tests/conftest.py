"""Fixtures that all tests share."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

DATA = Path(__file__).parent / "data"

os.environ.setdefault("SKGMMOT_QUIET", "1")  # children that compile say nothing

# A run finds what the last one found. --hypothesis-profile=random searches anew.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("same")


def pytest_addoption(parser):
    parser.addoption(
        "--run-slow", action="store_true", help="run the tests marked slow too"
    )
    parser.addoption(
        "--all-seeds",
        action="store_true",
        help="run tests that take global_random_seed with ten seeds, not one",
    )
    parser.addoption(
        "--fuzz", type=int, default=200, help="random problems of each kind to try"
    )
    parser.addoption(
        "--fuzz-seed", type=int, default=0, help="the seed of the random problems"
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--run-slow"):
        return
    skip = pytest.mark.skip(reason="slow: runs with --run-slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


def pytest_generate_tests(metafunc):
    if "global_random_seed" in metafunc.fixturenames:
        seeds = range(10) if metafunc.config.getoption("--all-seeds") else [42]
        metafunc.parametrize("global_random_seed", seeds)


def _load(name):
    with np.load(DATA / f"{name}.npz") as archive:
        problem = {key: archive[key] for key in archive.files}
    for array in problem.values():
        # Shared by all tests of a session: nobody may write into it.
        array.setflags(write=False)
    return problem


@pytest.fixture(scope="session")
def spiral_problem():
    """10 000 points of a spiral `X` and 30 starting means `means_init`."""
    return _load("spiral_problem")


@pytest.fixture(scope="session")
def coupled_problem():
    """Two samples `X_source`, `X_target`; a pooled mixture of 3 to start from."""
    return _load("coupled_problem")


@pytest.fixture(scope="session")
def flow_problem():
    """A source mixture of 3 components (`source_logits`) and a target of 2."""
    return _load("flow_problem")


@pytest.fixture
def pyplot():
    """matplotlib.pyplot on a backend without windows; figures are closed after."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plt.close("all")
    yield plt
    plt.close("all")


@pytest.fixture
def transfers(monkeypatch):
    """Sizes of what comes to the host; whatever comes comes by `to_host`."""
    from skgmmot import kernels
    from skgmmot.kernels import _namespace  # loaded late: its name shall be replaced

    original, sizes = kernels.to_host, []
    assert _namespace.to_host is original

    def counted(array):
        if not isinstance(array, np.ndarray | np.generic):
            sizes.append(int(np.prod(array.shape)))
        return original(array)

    for name, module in list(sys.modules.items()):
        if name.startswith("skgmmot") and getattr(module, "to_host", None) is original:
            monkeypatch.setattr(module, "to_host", counted)
    return sizes


@pytest.fixture
def small_samples(monkeypatch):
    """Starts from some hundred rows, so that a few thousand are many."""
    from skgmmot import _rows
    from skgmmot.mixture import _path
    from skgmmot.mixture.coupled import _starts

    monkeypatch.setattr(_rows, "_SAMPLE_ROWS", 120)
    monkeypatch.setattr(_rows, "_ROWS_PER_COMPONENT", 30)
    monkeypatch.setattr(_path, "_LEAST_ROWS", 120)
    monkeypatch.setattr(_path, "_ROWS_PER_PARAMETER", 2)
    monkeypatch.setattr(_starts, "_START_ROWS", 120)


@pytest.fixture
def always_in_parts(monkeypatch):
    """Few rows are not taken into memory, as they would be."""
    from skgmmot._blocks import _many  # not before the settings above

    dask = pytest.importorskip("dask")
    monkeypatch.setattr(_many, "_FEW_ROWS", 0)
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def refusing():
    """A scheduler of Dask that refuses to compute."""

    def refuse(*args, **keywords):
        raise AssertionError("computed")

    with pytest.importorskip("dask").config.set(scheduler=refuse):
        yield
