"""How near the kernels are to the machine: python -m benchmarks.roofline [--json FILE].

Useful operations only are counted: triangles and symmetric halves once, a
multiply-add as two. They are compared with what a matrix product reaches in the same
run on the same threads; exponentials with NumPy's own loop over an array in the cache.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks._data import live_components, mixed
from benchmarks._machine import described
from benchmarks._records import seconds
from benchmarks._tables import table, title
from benchmarks._worker import usable_cores

_SIZES = {2: 100_000, 4: 100_000, 8: 100_000, 16: 50_000, 32: 20_000, 128: 5_000}
_HEADER = [
    "d", "overlap", "density: ns", "GFLOP/s", "of a product",
    "moments: ns", "GFLOP/s", "of a product", "exp: G/s",
]  # fmt: skip
_TEXT = (
    "Time of a row and component, K = 32 (16 where d = 128). Below d = 8 exponentials, "
    "the choice of live rows and memory are what costs; from there on it is the "
    "multiply-adds."
)


def best(function, least=0.3):
    """Shortest time of some calls."""
    function()
    times = [seconds(function) for _ in range(3)]
    while sum(times) < least:
        times.append(seconds(function))
    return min(times)


def product_rate(threads):
    """Operations per second of a product of square matrices."""
    size = 1024
    a, b = np.random.default_rng(0).standard_normal((2, size, size))
    with threadpool_limits(threads):
        return 2.0 * size**3 / best(lambda: a @ b)


def exponential_rate():
    """Exponentials per second of NumPy's loop, one thread."""
    x = np.random.default_rng(0).uniform(-30.0, 0.0, 2048)
    out = np.empty_like(x)
    return len(x) / best(lambda: np.exp(x, out=out))


def problem(d, overlapping, n_rows):
    """A sample, and a mixture near it as kernels take it."""
    from skgmmot.kernels import Gaussians

    data = mixed(n_rows, d, 16 if d == 128 else 32, overlapping)
    whiteners = np.ascontiguousarray(data.factors.transpose(0, 2, 1))
    log_dets = np.log(np.diagonal(whiteners, axis1=1, axis2=2)).sum(axis=1)
    offsets = np.log(data.weights) + log_dets - 0.5 * d * np.log(2.0 * np.pi)
    return data, Gaussians(offsets, data.means, whiteners)


def kernel_rates(d, overlapping, threads):
    """Nanoseconds and useful operations, a row and component, of both passes."""
    from skgmmot.kernels import kernels_for

    data, mixture = problem(d, overlapping, _SIZES[d])
    kernels = kernels_for(data.X)
    work = len(data.X) * len(data.weights)
    density = best(lambda: kernels.log_density(data.X, mixture, threads)) / work
    moments = best(lambda: kernels.moments(data.X, None, mixture, False, threads))
    live = live_components(data) / len(data.weights)
    forward = d + d * (d + 1) + 2 * d
    backward = live * (d + 2 * d + d * (d + 1))
    return density, forward, moments / work, forward + backward, live


def measured(threads):
    """Rows of the table, and the rates that they are compared with."""
    product, rows = product_rate(threads), []
    for overlapping in (False, True):
        for d in _SIZES:
            density, forward, moments, both, live = kernel_rates(
                d, overlapping, threads
            )
            rates = forward / density, both / moments
            rows.append(
                [d, f"{100 * live:.0f} %", f"{1e9 * density:.2f}"]
                + [f"{rates[0] / 1e9:.1f}", f"{100 * rates[0] / product:.0f} %"]
                + [f"{1e9 * moments:.2f}", f"{rates[1] / 1e9:.1f}"]
                + [f"{100 * rates[1] / product:.0f} %", f"{1e-9 / density:.2f}"]
            )
    return {"threads": threads, "product": product, "rows": rows}


def tables(result):
    """The tables of all numbers of threads."""
    parts = [title("Roofline"), _TEXT]
    parts += [f"NumPy's exp: {result['exp'] / 1e9:.2f} G/s on one thread."]
    for part in result["parts"]:
        parts += [
            f"{part['threads']} thread{'s' * (part['threads'] > 1)}; a matrix product"
            f" reaches {part['product'] / 1e9:.0f} GFLOP/s:"
        ]
        parts += [table(_HEADER, part["rows"])]
    return "\n\n".join(part.strip("\n") for part in parts)


def main():
    """Measure on one thread and on all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    cores = usable_cores()
    parts = [measured(threads) for threads in sorted({1, cores})]
    result = {**described(cores), "exp": exponential_rate(), "parts": parts}
    print(tables(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
