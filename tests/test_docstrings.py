"""Public docstrings follow numpydoc; the checks stand in pyproject.toml."""

import importlib
import inspect
import tomllib
from pathlib import Path

import pytest

validate = pytest.importorskip("numpydoc.validate").validate

MODULES = ["skgmmot", "skgmmot.transport", "skgmmot.datasets"]
SETTINGS = Path(__file__).parents[1] / "pyproject.toml"
CHECKS = set(
    tomllib.loads(SETTINGS.read_text(encoding="utf-8"))["tool"]["numpydoc_validation"][
        "checks"
    ]
)
# Methods are shown in use by the example of their class.
METHOD_CHECKS = CHECKS - {"EX01"}


def public_objects():
    """Dotted names of the public functions and classes."""
    return [
        f"{module}.{name}"
        for module in MODULES
        for name in importlib.import_module(module).__all__
        if callable(getattr(importlib.import_module(module), name))
    ]


def public_methods():
    """Dotted names of methods that are written in this package."""
    names = []
    for dotted in public_objects():
        module, name = dotted.rsplit(".", 1)
        owner = getattr(importlib.import_module(module), name)
        if not inspect.isclass(owner) or issubclass(owner, tuple):
            continue
        for method, function in inspect.getmembers(owner, callable):
            written_in = getattr(function, "__module__", None) or ""
            if written_in.startswith("skgmmot") and not method.startswith("_"):
                names.append(f"{dotted}.{method}")
    return names


def faults(name, checks):
    """What numpydoc finds, as text."""
    found = validate(name)["errors"]
    return "\n".join(f"{code}: {text}" for code, text in found if code in checks)


def test_there_is_something_public():
    assert "skgmmot.datasets.make_spiral" in public_objects()


@pytest.mark.parametrize("name", public_objects())
def test_public_docstring(name):
    assert not faults(name, CHECKS), faults(name, CHECKS)


@pytest.mark.parametrize("name", public_methods())
def test_method_docstring(name):
    assert not faults(name, METHOD_CHECKS), faults(name, METHOD_CHECKS)
