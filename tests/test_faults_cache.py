"""The cache of compiled kernels: absent, closed to writing, damaged, or shared."""

import os
import pickle
import platform
import shutil

import pytest
from children import ROOT, SCORE, finish_child, run_child, start_child

EXPECTED = "-1.75585520234"


# Little optimisation: what is tried here is where code is kept, not how fast it is.
QUICK = {"NUMBA_OPT": "0"}


def score(env, code=SCORE, **keywords):
    """The score that a new process finds."""
    return run_child(code, preamble="", env={**QUICK, **env}, **keywords)


def cache(folder):
    return {"NUMBA_CACHE_DIR": str(folder)}


def test_no_folder_for_a_cache_and_no_home(tmp_path):
    package = tmp_path / "skgmmot"
    shutil.copytree(
        ROOT / "skgmmot", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    # A file in the folder's place: nobody can write there, the administrator included.
    for folder in ("kernels", "kernels/numba", "linalg"):
        (package / folder / "__pycache__").write_text("")
    closed = os.devnull + "/no"
    nowhere = {"NUMBA_CACHE_DIR": closed, "HOME": None, "XDG_CACHE_HOME": closed}
    code = SCORE + "print(mixture.score.__func__.__code__.co_filename)"
    found, file = score(nowhere, code, path=tmp_path).split()
    assert found.startswith(EXPECTED)
    assert file.startswith(str(tmp_path))


def test_a_cache_that_closes_after_it_was_opened(tmp_path):
    folder = tmp_path / "cache"
    closing = f"""
import shutil
import skgmmot
from skgmmot._jit import COMPILED
assert all({str(folder)!r} in kernel._cache.cache_path for kernel in COMPILED)
shutil.rmtree({str(folder)!r})
open({str(folder)!r}, "w").close()
"""
    assert score(cache(folder), closing + SCORE).startswith(EXPECTED)


def reach(folder):
    """Begin a process that compiles, or finds compiled, one small kernel."""
    code = """
from skgmmot.transport._interior import _reach
print(_reach(-2.0))
"""
    return start_child(code, preamble="", env=cache(folder))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    """A folder that two processes began to fill at once, and what they found."""
    folder = tmp_path_factory.mktemp("cache")
    children = [reach(folder) for _ in range(2)]
    return folder, [finish_child(child) for child in children]


def test_two_processes_compile_at_once(shared_cache):
    found = [float(value) for value in shared_cache[1]]
    assert found == pytest.approx([0.995 / 2.0] * 2, rel=1e-15)


@pytest.mark.parametrize(
    ("end", "damage"),
    [
        ("nbi", lambda whole: b"\x00damaged"),
        ("nbi", lambda whole: whole[:9]),
        ("nbi", lambda whole: pickle.dumps("0.1") + pickle.dumps(("stamp", {}))),
        ("nbc", lambda whole: whole[:100]),
    ],
    ids=["text", "cut short", "of another version", "data cut short"],
)
def test_a_damaged_cache_is_replaced(tmp_path, shared_cache, end, damage):
    folder = shutil.copytree(shared_cache[0], tmp_path / "cache")
    (path,) = folder.rglob(f"*.{end}")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert finish_child(reach(folder)) == shared_cache[1][0]
    assert len(path.read_bytes()) > 0.5 * len(whole)  # written anew


def test_the_cache_can_be_switched_off(tmp_path):
    code = "import skgmmot.transport._interior as w; print(type(w._reach._cache))"
    environment = {**cache(tmp_path), "SKGMMOT_CACHE": "0"}
    assert "NullCache" in run_child(code, preamble="", env=environment)


def reached(folder, level, code="", **env):
    """What a new process finds by a small kernel, with kernels shipped in a folder."""
    code = f"""
from pathlib import Path
from skgmmot import _jit_cache
_jit_cache.SHIPPED = Path({str(folder / "shipped")!r})
from skgmmot.transport._interior import _reach
{code.format(level=level)}
print(_reach(-2.0))
"""
    environment = {**cache(folder / "cache"), "SKGMMOT_QUIET": "0", **env}
    child = start_child(code, preamble="", env=environment)
    printed, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    return float(printed), errors


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="levels of x86-64"
)
def test_shipped_kernels_are_found_by_level_and_sources(tmp_path):
    from skgmmot._jit_cache import LEVELS, has_level

    level = "x86-64-v3"
    if not has_level(level):
        pytest.skip("a processor without AVX2")
    expected = pytest.approx(0.995 / 2.0, rel=1e-15)
    ship = "_reach._cache.ship_to(_jit_cache.SHIPPED / '{level}')"
    as_level = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": ""}
    assert reached(tmp_path, level, ship, **as_level)[0] == expected
    found, errors = reached(tmp_path, level)
    assert found == expected
    assert "compiling" not in errors
    assert not list((tmp_path / "cache").rglob("*.nbi"))
    # Of other sources, or for a processor with more: not found, compiled, said once.
    for stale in (
        "_reach.py_func.__qualname__ += 'other'",
        f"_jit_cache.levels = lambda: {tuple(set(LEVELS) - {level})}",
    ):
        found, errors = reached(tmp_path, level, stale)
        assert found == expected
        assert errors.count("compiling") == 1
        for kept in (tmp_path / "cache").rglob("*.nb*"):
            kept.unlink()


def test_the_word_on_compiling_can_be_silenced(tmp_path):
    assert "compiling" not in reached(tmp_path, "", SKGMMOT_QUIET="1")[1]
