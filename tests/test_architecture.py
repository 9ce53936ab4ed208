"""What importing loads, and how large the pieces are."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skgmmot

ROOT = Path(skgmmot.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in FILES]

HEAVY = ["ot", "dask", "distributed", "matplotlib", "torch", "cupy", "jax"]
MAX_FILE_LINES = 400
LONGER_FILES = {"estimators/_coupled.py": 500}
MAX_FUNCTION_LINES = 80
MAX_ARGUMENTS = 8


def functions(path):
    """Functions of a file, those within functions and classes too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(function, source):
    """Lines of a function that are neither blank, comment nor docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    if not body:
        return 0
    lines = source.splitlines()[body[0].lineno - 1 : function.end_lineno]
    return sum(
        1 for line in lines if line.strip() and not line.lstrip().startswith("#")
    )


def arguments(function):
    """Names of the arguments, without self and cls and Numba's own first one."""
    given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    implied = ("self", "cls", "typingctx")
    return [argument.arg for argument in given if argument.arg not in implied]


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_loads_nothing_heavy():
    loaded = run_python(
        "import sys, skgmmot, skgmmot.transport, skgmmot.datasets, skgmmot.display\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_import_does_not_load_the_peers_in_scikit_learn():
    loaded = run_python(
        "import sys, skgmmot, skgmmot.transport, skgmmot.datasets\n"
        "print([n for n in ('sklearn.mixture', 'sklearn.cluster') if n in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_files_are_short(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    allowed = LONGER_FILES.get(path.relative_to(ROOT).as_posix(), MAX_FILE_LINES)
    assert n_lines <= allowed, f"split it: {n_lines} lines"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_functions_are_short(path):
    source = path.read_text(encoding="utf-8")
    lengths = {f.name: code_lines(f, source) for f in functions(path)}
    long = {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES}
    assert not long, f"split them: {long}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_functions_take_few_arguments(path):
    counts = {
        f.name: len(arguments(f)) for f in functions(path) if f.name != "__init__"
    }
    many = {name: n for name, n in counts.items() if n > MAX_ARGUMENTS}
    assert not many, f"make a record of some: {many}"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_input_is_not_checked_by_assert(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not lines, f"gone under python -O: lines {lines}"


def importers_of(name):
    """Files of the package that import a name, as paths below its root."""
    return {
        str(path.relative_to(ROOT))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and name in [alias.name for alias in node.names]
    }


def test_blocks_are_the_only_door_to_rows():
    assert importers_of("kernels_for") == {"_blocks/_memory.py"}


def test_rows_in_memory_are_read_by_blocks_alone():
    assert importers_of("sample_rows") == set()
    reaching = [
        str(path.relative_to(ROOT))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("_x", "_sample_weight")
        and path.parent.name != "_blocks"
    ]
    assert not reaching
