"""The E-step on arrays of CuPy and torch: python -m benchmarks.device [--json FILE].

On every device that CuPy and torch offer, this machine's CPU included: whether results
equal those of the compiled kernels, and what one E-step costs beside these kernels on
one core, beside an E-step as one writes it in torch, and beside what the device reaches
in its own matrix product and its own copy. Times are those of the wall on a GPU and of
one core on a CPU.
"""

import argparse
import json
import math
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np

from benchmarks._machine import described
from benchmarks._tables import table, title
from benchmarks.roofline import problem

_CASES = [(2, True), (16, False), (16, True), (64, True)]  # features, overlapping
_ROWS = {"cpu": 50_000, "gpu": 2_000_000}
_ENTRIES = {"cpu": 4_000_000, "gpu": 128_000_000}  # of the rows, at most
_HEADER = [
    "type", "d", "overlap", "error", "ns", "GFLOP/s", "of a product", "GB/s",
    "compiled, one core", "as written in torch",
]  # fmt: skip
_TEXT = (
    "An E-step with its moments, full covariances, K = 32; ns for a row and component. "
    "Useful operations are counted, triangles once; GB/s are those of the rows, which "
    "are read once. Error: of moments and log densities beside the compiled kernels in "
    "float64, relative to the largest. The last two columns: how many times as long "
    "these take."
)


class Place(NamedTuple):
    """A library of arrays on a device."""

    name: str
    xp: Any
    device: Any
    is_gpu: bool

    def array(self, values):
        """An array there."""
        return self.xp.asarray(values, device=self.device)

    def wait(self):
        """Until all is done."""
        if self.is_gpu and "torch" in self.name:
            self.xp.cuda.synchronize(self.device)
        elif self.is_gpu:
            import cupy

            cupy.cuda.Device().synchronize()


def places():
    """What CuPy and torch offer."""
    found = []
    try:
        import array_api_compat.torch as torch

        torch.set_num_threads(1)
        found.append(Place("torch, cpu", torch, torch.device("cpu"), False))
        if torch.cuda.is_available():
            device = torch.device("cuda")
            name = torch.cuda.get_device_name(device)
            found.append(Place(f"torch, {name}", torch, device, True))
    except ImportError:
        pass
    try:
        import array_api_compat.cupy as cupy

        properties = cupy.cuda.runtime.getDeviceProperties(0)
        name = properties["name"].decode()
        found.append(Place(f"CuPy, {name}", cupy, cupy.cuda.Device(), True))
    except Exception:  # no CuPy, or no GPU that it could use
        pass
    return found


def best(function, place, least=0.4):
    """Shortest time of some calls: of the wall on a GPU, of the core on a CPU."""
    clock = perf_counter if place.is_gpu else process_time
    times = []

    def call():
        place.wait()
        start = clock()
        function()
        place.wait()
        times.append(clock() - start)

    call()
    del times[:]
    while len(times) < 3 or sum(times) < least:
        call()
    return min(times)


def product_rate(place, dtype):
    """Operations per second of a product of square matrices."""
    size = 8192 if place.is_gpu else 1024
    a = place.array(
        np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    )
    return 2.0 * size**3 / best(lambda: place.xp.matmul(a, a), place)


def copy_rate(place):
    """Bytes per second that a copy reads and writes."""
    size = 2**27 if place.is_gpu else 2**24
    a = place.array(np.zeros(size))
    return 16.0 * size / best(lambda: place.xp.asarray(a, copy=True), place)


def as_written(X, weights, mixture):
    """Moments as one writes them in torch: all densities of all rows at once."""
    import torch

    offsets, means, whiteners = (
        torch.asarray(part, dtype=X.dtype, device=X.device) for part in mixture
    )
    gaps = X[None] - means[:, None]
    joint = offsets[:, None] - 0.5 * ((gaps @ whiteners.mT) ** 2).sum(dim=2)
    total = torch.logsumexp(joint, dim=0)
    shares = torch.exp(joint - total) * weights
    weighted = shares[:, :, None] * gaps
    seconds = weighted.mT @ gaps
    return (weights @ total).item(), shares.sum(1), weighted.sum(1), seconds


def error(found, expected):
    """The largest difference, relative to the largest value of its array."""
    return max(
        float(np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b)))
        for a, b in zip(found, expected, strict=True)
    )


def measured(place, dtype, d, overlapping, rates):
    """A line of the table."""
    from skgmmot.kernels import kernels_for, to_host
    from skgmmot.kernels import numba as compiled

    kind = "gpu" if place.is_gpu else "cpu"
    n_rows = min(_ROWS[kind], _ENTRIES[kind] // d)
    data, mixture = problem(d, overlapping, n_rows)
    n_components = len(data.weights)
    rows = data.X.astype(dtype)
    X, weights = place.array(rows), place.array(np.ones(n_rows))
    kernels = kernels_for(X)
    moments = kernels.moments(X, None, mixture)
    density = to_host(kernels.log_density(X, mixture))
    exact = rows.astype(np.float64)
    expected = compiled.moments(exact, None, mixture, False, 1)
    off = error(
        (*moments[:2], moments.counts, moments.seconds, density),
        (*expected[:2], expected.counts, expected.seconds,
         compiled.log_density(exact, mixture, 1)),
    )  # fmt: skip
    here = best(lambda: kernels.moments(X, None, mixture), place)
    core = Place("core", np, None, False)
    there = best(lambda: compiled.moments(rows, None, mixture, False, 1), core)
    written = math.nan
    if "torch" in place.name:
        part = slice(0, min(n_rows, 2**27 // (8 * n_components * d)))
        ones = weights[part].to(X.dtype)
        written = best(lambda: as_written(X[part], ones, mixture), place)
        written *= n_rows / part.stop
    work = n_rows * n_components
    operations = 2 * (d + d * (d + 1)) + 4 * d
    rate = operations * work / here
    return [
        np.dtype(dtype).name, d, "yes" if overlapping else "no", f"{off:.0e}",
        f"{1e9 * here / work:.3f}", f"{rate / 1e9:.0f}",
        f"{100 * rate / rates[np.dtype(dtype).name]:.0f} %",
        f"{rows.nbytes / here / 1e9:.2f}", f"{there / here:.2f}",
        "" if math.isnan(written) else f"{written / here:.2f}",
    ]  # fmt: skip


def measured_on(place):
    """All of one device."""
    types = (np.float64, np.float32)
    rates = {np.dtype(dtype).name: product_rate(place, dtype) for dtype in types}
    lines = [
        measured(place, dtype, d, overlapping, rates)
        for dtype in types
        for d, overlapping in _CASES
    ]
    return {
        "place": place.name,
        "products": rates,
        "copy": copy_rate(place),
        "rows": lines,
    }


def tables(result):
    """The tables of all devices."""
    parts = [title("Devices"), _TEXT]
    for part in result["parts"]:
        rates = part["products"]
        parts += [
            f"{part['place']}; matrix products reach {rates['float64'] / 1e12:.3f} "
            f"TFLOP/s in float64 and {rates['float32'] / 1e12:.3f} in float32, a copy "
            f"{part['copy'] / 1e9:.0f} GB/s:",
            table(_HEADER, part["rows"]),
        ]
    if not any("cpu" not in part["place"] for part in result["parts"]):
        parts += [f"No GPU was there: these are figures of a CPU, {result['cpu']}."]
    return "\n\n".join(part.strip("\n") for part in parts)


def main():
    """Measure on every device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    found = places()
    if not found:
        raise SystemExit(
            "neither torch nor a GPU with CuPy is there: pip install torch"
        )
    result = {**described(1), "parts": [measured_on(place) for place in found]}
    print(tables(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
