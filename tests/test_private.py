"""What other packages do not promise to keep. A test here says which one broke."""

import inspect
import pickle
import subprocess
import sys
from numbers import Real

import numpy as np
import pytest
import sklearn
from numba.core import cgutils
from numba.core.caching import FunctionCache

TRIED = "scikit-learn 1.6 to 1.9"


def broken(package, version, tried, error):
    """Say whose private interface changed, and where it is used."""
    return (
        f"{package} {version} changed what is private to it (tried: {tried}): {error}"
    )


def test_scikit_learn_private_names():
    try:
        from skgmmot.estimators._sklearn_private import (
            HasMethods,
            Interval,
            StrOptions,
            check_sample_weight,
            fit_context,
        )

        interval = Interval(Real, 0.0, None, closed="neither")
        weights = check_sample_weight(
            [1.0, 2.0], np.ones((2, 1)), dtype=np.float64, ensure_non_negative=True
        )
        decorated = fit_context(prefer_skip_nested_validation=True)(lambda self: self)
        satisfied = [
            interval.is_satisfied_by(1.0),
            not interval.is_satisfied_by(0.0),
            StrOptions({"a"}).is_satisfied_by("a"),
            not StrOptions({"a"}).is_satisfied_by("b"),
            HasMethods("fit").is_satisfied_by(sklearn.base.BaseEstimator()) is False,
        ]
    except (ImportError, AttributeError, TypeError) as error:
        pytest.fail(broken("scikit-learn", sklearn.__version__, TRIED, error))
    assert all(satisfied)
    assert callable(decorated)
    np.testing.assert_array_equal(weights, [1.0, 2.0])
    with pytest.raises(ValueError, match="Negative values"):
        check_sample_weight([1.0, -1.0], np.ones((2, 1)), ensure_non_negative=True)


def test_scikit_learn_validates_parameters_by_their_constraints():
    from skgmmot import SparseGaussianMixture

    estimator = SparseGaussianMixture(tol=-1.0)
    assert hasattr(estimator, "_validate_params"), (
        f"scikit-learn {sklearn.__version__} has no _validate_params (tried: {TRIED})"
    )
    with pytest.raises(ValueError, match="'tol' parameter"):
        estimator._validate_params()


def test_pot_compiled_simplex():
    import ot

    try:
        from ot.lp.emd_wrap import emd_c

        costs = np.array([[0.0, 2.0], [3.0, 1.0]])
        a, b = np.array([0.25, 0.75]), np.array([0.5, 0.5])
        coupling, value, u, v, code = emd_c(a, b, costs, 10**9, 1)
    except (ImportError, TypeError, ValueError) as error:
        pytest.fail(broken("POT", ot.__version__, "0.9.5 and later", error))
    assert code == 1
    np.testing.assert_allclose(coupling, [[0.25, 0.0], [0.25, 0.5]])
    np.testing.assert_allclose(value, 1.25)
    np.testing.assert_allclose((u[:, None] + v)[coupling > 0], costs[coupling > 0])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unpack_tuple", ["builder", "tup", "count"]),
        ("get_or_insert_function", ["module", "fnty", "name"]),
        ("alloca_once", ["builder", "ty", "size"]),
        ("for_range_slice", ["builder", "start", "stop", "step"]),
    ],
)
def test_helpers_of_code_generation(name, arguments):
    found = list(inspect.signature(getattr(cgutils, name)).parameters)
    assert found[: len(arguments)] == arguments, f"cgutils.{name} is called otherwise"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("load_overload", ["self", "sig", "target_context"]),
        ("save_overload", ["self", "sig", "data"]),
        ("flush", ["self"]),
    ],
)
def test_methods_of_the_cache_on_disk(name, arguments):
    found = list(inspect.signature(getattr(FunctionCache, name)).parameters)
    assert found == arguments, f"FunctionCache.{name} is called otherwise"


def test_what_shipped_kernels_need_of_numba():
    """Files of an index, how they are read back, and where there is no place."""
    from numba.core.caching import CompileResultCacheImpl, IndexDataCacheFile
    from numba.core.registry import cpu_target

    found = list(inspect.signature(IndexDataCacheFile.__init__).parameters)
    assert found == ["self", "cache_path", "filename_base", "source_stamp"]
    assert callable(IndexDataCacheFile.load)
    found = list(inspect.signature(CompileResultCacheImpl.rebuild).parameters)
    assert len(found) == 3, "rebuild(self, target_context, data) is called otherwise"
    assert isinstance(CompileResultCacheImpl._locator_classes, list)
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    assert "-" in triple
    assert isinstance(cpu, str)
    assert isinstance(features, str)


def test_a_dispatcher_has_a_cache_that_can_be_replaced(tmp_path, monkeypatch):
    import numba

    from skgmmot._jit_cache import QuietCache, keep_on_disk

    def one():
        return 1

    compiled = numba.njit(one)
    assert hasattr(compiled, "_cache"), "Dispatcher._cache has another name"
    keep_on_disk(compiled, one)
    assert isinstance(compiled._cache, QuietCache)
    assert compiled() == 1


def test_what_is_called_within_is_lowered_only(monkeypatch):
    """A kernel that another calls is neither optimised alone nor known to Python."""
    from numba.core.codegen import JITCodeLibrary

    from skgmmot._jit_inner import Kernel

    settings = {"no_cfunc_wrapper": True, "_nrt": False}
    optimised = []
    optimise = JITCodeLibrary._optimize_final_module

    def watched(library):
        optimised.append(library.name)
        optimise(library)

    monkeypatch.setattr(JITCodeLibrary, "_optimize_final_module", watched)

    def scaled(x, factor):
        return factor * x

    inner = Kernel(scaled, {}, settings)

    def calls(x):
        return inner(x, 2) + inner(x, 3)

    outer = Kernel(calls, {}, settings)
    assert outer(1.5) == 7.5
    assert [name.rsplit(".", 1)[-1] for name in optimised] == ["calls"]
    assert not inner.overloads
    assert len(inner._inner) == 1, "constants made versions of their own"
    assert inner(1.5, 4.0) == 6.0  # from Python it is compiled in whole
    assert outer.overloads
    assert len(inner.overloads) == 1


def test_a_kernel_travels_to_another_process():
    """Numba rebuilds a dispatcher by its constructor, but for one it remembers."""
    from skgmmot.kernels.numba._tiles import load_tile

    code = (
        "import pickle, sys, numpy as np\n"
        "load_tile = pickle.load(sys.stdin.buffer)\n"
        "tile = np.zeros((2, 128))\n"
        "load_tile(np.arange(6.0).reshape(3, 2), 0, 3, tile)\n"
        "print(tile[:, :3].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(load_tile), capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == "[[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]"


def test_parameters_are_accepted_by_type_and_by_class():
    from skgmmot import SparseGaussianMixture

    class Strict(SparseGaussianMixture):
        _parameter_constraints = {  # noqa: RUF012
            **SparseGaussianMixture._parameter_constraints,
            "n_components": [str],
        }

    SparseGaussianMixture(1, tol=0.0)._validate_params()
    for estimator in SparseGaussianMixture(1.0), Strict(1):
        with pytest.raises(ValueError, match="'n_components' parameter of"):
            estimator._validate_params()
    SparseGaussianMixture(1, tol=0)._validate_params()
    with pytest.raises(ValueError, match="'tol' parameter of"):
        SparseGaussianMixture(1, tol=np.nan)._validate_params()


def test_parameters_have_the_names_of_the_signature():
    from skgmmot import CoupledGaussianMixture, SparseGaussianMixture

    for kind in SparseGaussianMixture, CoupledGaussianMixture:
        names = sorted(inspect.signature(kind).parameters)
        assert kind._get_param_names() == names
        kind._get_param_names().clear()  # a list of the caller's
        assert sorted(kind().get_params(deep=False)) == names
