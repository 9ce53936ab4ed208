"""The two twins of the primitives: same signatures, same values, any kind of array."""

import inspect

import numpy as np
import pytest
from devices import KINDS
from test_kernels_cpu import FORMS, make_problem

from skgmmot import kernels
from skgmmot.kernels import _arrays, to_host
from skgmmot.kernels import _namespace as readable
from skgmmot.kernels import numba as compiled

NAMES = sorted(compiled.__all__)
RTOL = {np.float64: 1e-10, np.float32: 1e-4}


def problem(form, dtype, n=3000, n_components=5):
    """Rows, and the arguments of every primitive by its name."""
    X, _, gaussians = make_problem(3, n, 4, n_components, form)
    rng = np.random.default_rng(0)
    X, weights = X.astype(dtype), rng.integers(0, 3, n).astype(float)
    linear = rng.normal(size=gaussians.whiteners.shape)
    shifts, means = rng.normal(size=(n_components, 4)), gaussians.means
    shares = rng.dirichlet(np.ones(n_components), n)
    index, uniforms = rng.integers(0, n_components, n), rng.uniform(size=n)
    return X, {
        "log_density": (gaussians,),
        "labels": (gaussians,),
        "posteriors": (gaussians,),
        "draw_labels": (gaussians, uniforms),
        "moments": (weights, gaussians, True),
        "given_moments": (shares, means, form == "full"),
        "nearest": (means,),
        "apply_maps": (gaussians, linear, shifts),
        "apply_selected": (index, means, linear, shifts),
        "fourth_moment": (weights, shifts[0], np.array([1.0, 2.0, np.inf, 0.5])),
    }


def parts(result):
    """What a primitive returns, as NumPy arrays."""
    results = result if isinstance(result, tuple) else (result,)
    return [np.asarray(part) for part in results]


def assert_equal(found, expected, rtol):
    for a, b in zip(parts(found), parts(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        scale = np.max(np.abs(b), initial=1e-300)
        if b.dtype.kind == "i":
            assert np.count_nonzero(a != b) <= rtol * a.size
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("name", NAMES)
def test_signatures_agree(name):
    assert inspect.signature(getattr(readable, name)).parameters.keys() == (
        inspect.signature(getattr(compiled, name)).parameters.keys()
    )
    defaults = [
        [p.default for p in inspect.signature(getattr(twin, name)).parameters.values()]
        for twin in (readable, compiled)
    ]
    assert defaults[0] == defaults[1]


def test_no_twin_has_a_primitive_more():
    public = {
        name
        for name, value in vars(readable).items()
        if inspect.isfunction(value)
        and value.__module__ == readable.__name__
        and not name.startswith("_")
    }
    assert public == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "n_components"), [(3000, 5), (20, 1), (0, 2)])
def test_values_agree(name, form, dtype, n, n_components):
    X, arguments = problem(form, dtype, n, n_components)
    found, expected = (
        getattr(twin, name)(X, *arguments[name]) for twin in (readable, compiled)
    )
    if name == "fourth_moment":
        assert found == pytest.approx(expected, rel=RTOL[dtype])
    else:
        assert_equal(found, expected, RTOL[dtype])


@pytest.mark.parametrize("name", NAMES)
def test_chunks_do_not_matter(name, monkeypatch):
    X, arguments = problem("full", np.float64)
    whole = getattr(readable, name)(X, *arguments[name])
    monkeypatch.setattr(_arrays, "_NEAR_ENTRIES", 20 * 7)  # 7 rows of 5 times 4
    assert_equal(getattr(readable, name)(X, *arguments[name]), whole, 1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_other_libraries(name, form, dtype, kind):
    X, arguments = problem(form, dtype, 300)
    expected = getattr(compiled, name)(X, *arguments[name])
    up = KINDS[kind]
    others = [
        up(a) if isinstance(a, np.ndarray) and len(a) == 300 else a
        for a in arguments[name]
    ]
    like = up(X)
    found = getattr(readable, name)(like, *others)
    results = [found] if not isinstance(found, tuple) else list(found)
    if name in ("moments", "given_moments", "fourth_moment"):
        assert all(isinstance(part, np.ndarray | float) for part in results)
    else:
        assert all(type(part) is type(like) for part in results)
        assert all(part.device == like.device for part in results)
        found = tuple(to_host(part) for part in results)
    assert_equal(found, expected, RTOL[dtype])


def test_kernels_are_chosen_by_the_type_of_the_data_and_the_environment(monkeypatch):
    X = np.zeros((2, 2))
    for value, twin in (("numba", compiled), ("numpy", readable)):
        monkeypatch.setenv("SKGMMOT_KERNELS", value)
        assert kernels.kernels_for(X) is twin
    monkeypatch.setenv("SKGMMOT_KERNELS", "fast")
    with pytest.raises(ValueError, match=r"SKGMMOT_KERNELS: expected .*'fast'"):
        kernels.kernels_for(X)
    monkeypatch.delenv("SKGMMOT_KERNELS")
    assert kernels.kernels_for(X) is compiled
    for up in KINDS.values():
        assert kernels.kernels_for(up(X)) is readable
    with pytest.raises(TypeError, match=r"expected a NumPy array.*got list.*asarray"):
        kernels.kernels_for([[1.0]])
