"""Compile the kernels for levels of x86-64, for a wheel to carry.

    python build_tools/compile_kernels.py FOLDER

writes what Numba's cache would hold into FOLDER/LEVEL. The package must be importable.
Its uses in `use_everything` say for which types of arguments kernels are compiled. They
run, compiled for the lowest level, which this processor must have; for higher levels
the same kernels are compiled without being called.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

SEED = 0


def rows(n, d, dtype):
    """Rows of three groups."""
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(n, d)) + 4.0 * rng.integers(0, 3, (n, 1))
    return X.astype(dtype)


def use_mixtures(dtype):
    """Fits of all covariance types, and what fitted mixtures can do."""
    from skgmmot import SparseGaussianMixture

    for kind in ("full", "tied", "diag", "spherical"):
        for n, d in ((300, 2), (12_000, 6)):  # few rows in one range, many in several
            X = rows(n, d, dtype)
            fixed = {"covariance_type": kind, "random_state": SEED, "max_iter": 5}
            mixture = SparseGaussianMixture(3, sparsity=0.0, **fixed).fit(X)
            mixture.predict(X), mixture.predict_proba(X), mixture.score(X)
            SparseGaussianMixture(3, sparsity=0.0, tol=0.0, **fixed).fit(X, np.ones(n))
        X = rows(300, 2, dtype)
        for settings in (
            {"sparsity": "bic"},
            {"sparsity": 1.0},
            {"sparsity": 1.0, "solver": "adam"},
        ):
            SparseGaussianMixture(4, **settings, **fixed).fit(X)
        SparseGaussianMixture(2, **fixed).partial_fit(X).partial_fit(X)


def use_domains(dtype):
    """Coupled fits, maps of rows, label-aware adaptation."""
    from skgmmot import CoupledGaussianMixture, GMMOTClassifier, GMMOTTransformer

    for n, d in ((200, 2), (6000, 6)):
        X = rows(2 * n, d, dtype)
        sample_domain = np.repeat([1, -2], n)
        y = np.where(sample_domain > 0, (X[:, 0] > 4.0).astype(int), -1)
        for kind in ("full", "tied", "diag"):
            coupled = CoupledGaussianMixture(
                2, covariance_type=kind, random_state=SEED, max_iter=5
            )
            for settings in ({}, {"reg_m": 1.0}, {"reg": 0.0}):
                coupled.set_params(**settings)
                coupled.fit(X, sample_domain=sample_domain)
            for method in ("barycentric", "random"):
                mover = GMMOTTransformer(coupled, method=method, random_state=SEED)
                mover.fit(X, sample_domain=sample_domain)
                mover.transform(X, sample_domain=sample_domain)
        for kind in ("full", "tied", "diag"):
            labelled = GMMOTClassifier(covariance_type=kind, random_state=SEED)
            labelled.fit(X, y, sample_domain=sample_domain).predict_proba(X)


def use_transport():
    """Distances, plans, maps and what is made of them, of small and large mixtures."""
    from skgmmot import transport

    rng = np.random.default_rng(SEED)

    def mixture(n_components, d, diagonal=False):
        roots = rng.normal(size=(n_components, d, d + 2))
        covariances = roots @ roots.swapaxes(1, 2) / d
        if diagonal:
            covariances = covariances * np.eye(d)
        weights = rng.dirichlet(np.ones(n_components))
        return weights, rng.normal(size=(n_components, d)), covariances

    for k, d, diagonal in ((3, 2, False), (3, 2, True), (60, 6, False)):
        source, target = mixture(k, d, diagonal), mixture(k + 1, d, diagonal)
        for settings in ({}, {"reg": 0.1}, {"reg_m": 1.0}, {"reg": 0.1, "reg_m": 1.0}):
            transport.mw2_distance(source, target, **settings)
            transport.mw2_plan(source, target, **settings)
        transport.mw2_gradient(source, target)
        transport.mw2_interpolation(source, target, 0.5)
        transport.mw2_map(rows(50, d, np.float64), source, target)
    transport.mw2_barycenter([mixture(2, 2), mixture(3, 2)])
    transport.mw2_flow(mixture(2, 2), mixture(3, 2), n_steps=2)
    transport.pairwise_mw2([mixture(2, 2), mixture(3, 2), mixture(2, 2)])


def use_everything():
    """What users do, in both floating types."""
    for use in (use_mixtures, use_domains):
        for dtype in (np.float64, np.float32):
            use(dtype)
    use_transport()


def compiled_functions():
    """All functions that are compiled, by module and name."""
    from skgmmot import _jit
    from skgmmot.kernels import numba  # noqa: F401  with all else that is compiled

    return {(f.py_func.__module__, f.py_func.__qualname__): f for f in _jit.COMPILED}


def call(folder, signatures_file):
    """Compile whatever the uses need into a folder, and tell for which arguments."""
    functions = compiled_functions()
    for function in functions.values():
        function._cache.ship_to(folder)
    use_everything()
    used = {name: list(function.overloads) for name, function in functions.items()}
    signatures_file.write_bytes(pickle.dumps(used))


def compile_only(folder, signatures_file):
    """Compile for given signatures, without a call."""
    used = pickle.loads(signatures_file.read_bytes())
    for name, function in compiled_functions().items():
        function._cache.ship_to(folder)
        for signature in used[name]:
            function.compile(signature)


def compile_levels(folder):
    """Compile for all levels, each in a process that takes itself for one."""
    lowest, *higher = reversed(_known_levels())
    with tempfile.TemporaryDirectory() as scratch:
        signatures = Path(scratch) / "signatures"
        steps = [
            (lowest, "call", folder / lowest, signatures),
            *((name, "compile_only", folder / name, signatures) for name in higher),
        ]
        for level, *arguments in steps:
            environment = {
                **os.environ,
                "NUMBA_CACHE_DIR": scratch,
                "SKGMMOT_CACHE": "1",
                "SKGMMOT_QUIET": "1",
                "OMP_NUM_THREADS": "1",
            }
            print(f"compiling kernels for {level}, some minutes", flush=True)
            environment.update(NUMBA_CPU_NAME=level, NUMBA_CPU_FEATURES="")
            command = [sys.executable, __file__, *map(str, arguments)]
            subprocess.run(command, env=environment, check=True)
    counts = {level: len(list((folder / level).iterdir())) for level in _known_levels()}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        raise RuntimeError(f"kernels were not kept for all levels: {counts} files")


def _known_levels():
    from skgmmot._jit_cache import LEVELS

    return list(LEVELS)


def main(arguments):
    """Compile for all levels, or be one of the processes that do."""
    steps = {step.__name__: step for step in (call, compile_only)}
    warnings.simplefilter("ignore")
    if arguments[0] in steps:
        steps[arguments[0]](*map(Path, arguments[1:]))
    else:
        compile_levels(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
