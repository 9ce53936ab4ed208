"""Compiles the kernels into wheels; everything else is in pyproject.toml.

``pip install .`` takes a few minutes more for it. With SKGMMOT_COMPILE=0 in the
environment, for an editable install and on other processors than x86-64 nothing is
compiled: kernels are then compiled where they are first used.
"""

import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def needed():
    """What compiling needs: the package is imported, and used, for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["dependencies"]


def compiles():
    """Whether kernels are to be compiled."""
    wanted = os.environ.get("SKGMMOT_COMPILE", "1") != "0"
    return wanted and platform.machine().lower() in ("x86_64", "amd64")


class WithKernels(build_py):
    """Builds the package, then lets it compile its kernels into itself."""

    def run(self):
        super().run()
        if self.editable_mode or not compiles():
            return
        print("compiling kernels; SKGMMOT_COMPILE=0 skips this", file=sys.stderr)
        library = Path(self.build_lib).resolve()
        tool = ROOT / "build_tools" / "compile_kernels.py"
        command = [sys.executable, str(tool), str(library / "skgmmot" / "_compiled")]
        # Modules of an isolated build are found through this process's own paths.
        paths = os.pathsep.join([str(library), *filter(None, sys.path)])
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths})


class OfOneKind(Distribution):
    """A distribution that fits one version of Python and one kind of processor."""

    def has_ext_modules(self):
        return compiles()


setup(
    cmdclass={"build_py": WithKernels},
    distclass=OfOneKind,
    setup_requires=needed() if compiles() else [],
)
