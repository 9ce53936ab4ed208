"""What a measurement was made on."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks._records import ROOT
from benchmarks._worker import usable_cores


def _cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def git(*arguments):
    """Output of git in the project's folder."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit():
    """The commit, and whether the package differs from it."""
    try:
        changed = git("status", "--porcelain", "--", "skgmmot")
        return git("rev-parse", "--short", "HEAD") + (
            " with changes" if changed else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def described(threads):
    """Machine, versions and commit, for tables and JSON."""
    return {
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "threads": threads,
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "numba")},
        "commit": commit(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
