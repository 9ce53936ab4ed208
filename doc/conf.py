"""Sphinx settings. README.rst in this folder has the command."""

import importlib
import inspect
import os
import re
import shutil
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError

import matplotlib

import skgmmot

matplotlib.use("agg")

project = "skgmmot"
author = "The skgmmot developers"
copyright = f"2026, {author}"
version = release = skgmmot.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "README.rst",
    "auto_examples/*.ipynb",
    "**/sg_execution_times.rst",  # it loads scripts from elsewhere
    "sg_execution_times.rst",
]
templates_path = ["_templates"]
default_role = "literal"
suppress_warnings = ["config.cache"]  # a function is handed to a template

# Reference: a page for each class with all methods that are written in this package.
# What is inherited from scikit-learn (get_params, set_output, ...) is documented there.
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"


def written_methods(dotted: str) -> list[str]:
    """Public methods of a class that this package wrote, in the order of reading."""
    module, name = dotted.rsplit(".", 1)
    owner = getattr(importlib.import_module(module), name)
    found = [
        method
        for method, function in inspect.getmembers(owner, callable)
        if not method.startswith("_")
        and (getattr(function, "__module__", None) or "").startswith("skgmmot")
    ]
    first = ["fit", "from_estimator", "from_estimators", "plot"]
    return sorted(found, key=lambda x: (first.index(x) if x in first else 9, x))


autosummary_context = {"written_methods": written_methods}


# Links to other projects, as far as they can be reached: offline there are none.
def reachable(inventory: str) -> bool:
    """Whether an inventory answers within seconds."""
    try:
        with urllib.request.urlopen(inventory, timeout=3.0):
            return True
    except (URLError, OSError, ValueError):
        return False


intersphinx_mapping = {
    name: (url, None)
    for name, url in {
        "numpy": "https://numpy.org/doc/stable",
        "scipy": "https://docs.scipy.org/doc/scipy",
        "sklearn": "https://scikit-learn.org/stable",
    }.items()
    if os.environ.get("SKGMMOT_DOC_OFFLINE") != "1" and reachable(f"{url}/objects.inv")
}

# Formulas are set by a copy of MathJax that is part of the site: no network is needed.
mathjax_path = "mathjax/tex-svg-full.js"
mathjax3_config = {
    "svg": {"fontCache": "global"},
    "options": {"enableMenu": False},
    "tex": {"packages": {"[+]": ["textmacros"]}},  # \\_ within \\text
}


def ship_mathjax(app: Any) -> None:
    """Copy the one file of MathJax that pages load."""
    spec = find_spec("mathjax")
    if spec is None or spec.origin is None:
        raise RuntimeError('MathJax is missing: pip install -e ".[doc]"')
    source = Path(spec.origin).parent / "static" / "mathjax" / "es5" / "tex-svg-full.js"
    goal = Path(app.outdir) / "_static" / "mathjax"
    goal.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, goal)


def escape_shapes(*event: Any) -> None:
    """A name in a shape, as in (n_components_,), is no reference of reST."""
    lines = event[-1]
    lines[:] = [
        re.sub(r"(\w)_(?=[,)])", r"\1\\_", line) if " of shape (" in line else line
        for line in lines
    ]


def setup(app: Any) -> None:
    """Register what this file adds to the build."""
    # After numpydoc, which has 500.
    app.connect("autodoc-process-docstring", escape_shapes, priority=900)
    app.connect("builder-inited", ship_mathjax)


html_theme = "pydata_sphinx_theme"
html_title = f"skgmmot {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skgmmot"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {name: [] for name in ("index", "changelog", "benchmarks", "developer")}
html_context = {"default_mode": "light"}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "reference_url": {"skgmmot": None},
    "doc_module": ("skgmmot",),
    "backreferences_dir": "generated/backreferences",
    "min_reported_time": 5,
    "show_memory": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}
