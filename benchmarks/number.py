"""BIC and agreement beside a search over all numbers: python -m benchmarks.number.

Fifteen tables, of data and made, as they are and standardised: the default fit from
five seeds, and scikit-learn's lowest BIC over 1 to 15 components with ten starts each.
Agreement with the classes is the adjusted Rand index. `wine` has too few rows for full
covariances of its three classes: it is there in tied and diag form as well, and the
mean is given with wine's full covariances or with those two.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._machine import described
from benchmarks._sections_number import (
    LARGEST,
    best_of_search,
    labelled,
    standardised,
)
from benchmarks._tables import table, title

_MADE = [  # rows, features, components, distance of neighbours in deviations
    (300, 1, 2, 4.0),
    (300, 2, 3, 6.0),
    (500, 5, 4, 3.0),
    (1000, 2, 1, 6.0),
    (1000, 10, 4, 4.0),
    (2000, 3, 6, 2.5),
    (3000, 2, 12, 5.0),
    (5000, 20, 5, 3.0),
    (10_000, 4, 8, 3.0),
    (20_000, 8, 10, 4.0),
]
_REAL = ("iris", "wine", "cancer", "digits", "penguins")
_FORMS = ("standardised", "raw")
_OTHER_TYPES = ("tied", "diag")  # of wine
_SEEDS = 5
_ROUNDING = 1e-6  # of a BIC


def cases() -> Iterator[dict[str, Any]]:
    """Tables and covariance types."""
    for name in _REAL:
        yield {"data": name, "type": "full"}
    for number, (n, d, k, apart) in enumerate(_MADE):
        made = {"n": n, "d": d, "K": k, "apart": apart, "seed": 100 + number}
        yield {"data": "made", "type": "full", **made}
    for name in _OTHER_TYPES:
        yield {"data": "wine", "type": name}


def measured(case: dict[str, Any], form: str) -> dict[str, Any]:
    """The search's best mixture, and the default fits."""
    from sklearn.metrics import adjusted_rand_score

    from skgmmot import SparseGaussianMixture

    X, y = labelled(case)
    X = standardised(X) if form == "standardised" else np.ascontiguousarray(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that have not converged
        peer, bic = best_of_search(X, case["type"])
    fits = [
        SparseGaussianMixture(
            LARGEST, covariance_type=case["type"], random_state=seed, n_jobs=1
        ).fit(X)
        for seed in range(_SEEDS)
    ]
    return {
        "case": case,
        "form": form,
        "search": {
            "bic": bic,
            "size": peer.n_components,
            "least_rows": float(peer.predict_proba(X).sum(axis=0).min()),
            "agreement": adjusted_rand_score(y, peer.predict(X)),
        },
        "bic": [fit.bic(X) for fit in fits],
        "size": [fit.n_components_ for fit in fits],
        "agreement": [adjusted_rand_score(y, fit.predict(X)) for fit in fits],
    }


def _name(case: dict[str, Any]) -> str:
    if case["data"] == "made":
        return f"made: n={case['n']:,}, d={case['d']}, K={case['K']}"
    return case["data"] + ("" if case["type"] == "full" else f", {case['type']}")


def _gap(result: dict[str, Any]) -> float:
    """BIC less the search's, the median of the seeds."""
    return float(np.median(result["bic"]) - result["search"]["bic"])


def _gain(result: dict[str, Any]) -> float:
    """Agreement less the search's, the mean of the seeds."""
    return float(np.mean(result["agreement"]) - result["search"]["agreement"])


def _row(result: dict[str, Any]) -> list[str]:
    search, gap, gain = result["search"], _gap(result), _gain(result)
    low, high = (f"{f(result['bic']) - search['bic']:+.2f}" for f in (min, max))
    sizes = "/".join(map(str, sorted(set(result["size"]))))
    return [
        _name(result["case"]),
        str(search["size"]),
        f"{search['least_rows']:.0f}",
        sizes,
        f"{gap:+.2f}" + (f" ({low} to {high})" if low != high else ""),
        f"{search['agreement']:.3f}",
        f"{search['agreement'] + gain:.3f}",
    ]


def _summary(results: list[dict[str, Any]]) -> str:
    """How many are lower, and the mean gain in agreement by both readings."""
    full = [r for r in results if r["case"]["type"] == "full"]
    wine = [r for r in results if r["case"]["type"] != "full"]
    gaps = np.array([_gap(r) for r in full])
    lower, higher = (gaps < -_ROUNDING).sum(), (gaps > _ROUNDING).sum()
    text = (
        f"Of {len(full)} tables with full covariances BIC is lower on {lower}, the same"
        f" to 1e-6 on {len(full) - lower - higher}, higher on {higher}. Agreement less"
        f" the search's, on average: {np.mean([_gain(r) for r in full]):+.4f}"
    )
    if wine:
        others = [_gain(r) for r in full if r["case"]["data"] != "wine"]
        mean = np.mean([*others, np.mean([_gain(r) for r in wine])])
        text += f"; with wine in its tied and diag forms instead: {mean:+.4f}"
    return text + "."


def tabulated(found: dict[str, Any]) -> str:
    """Both tables, and what they come to."""
    parts = [
        title("The number of components and the classes"),
        "The default fit from five seeds beside the mixture with the lowest BIC of "
        f"scikit-learn's with 1 to {LARGEST} components, ten starts each: components, "
        "rows of the search's lightest one, BIC less the search's (median, least and "
        "largest), adjusted Rand index with the classes.",
    ]
    header = [
        "table",
        "search",
        "least rows",
        "components",
        "BIC",
        "search",
        "agreement",
    ]
    for form in _FORMS:
        results = [r for r in found["agreement"] if r["form"] == form]
        if results:
            parts += [
                f"Features {form}:" if form != "raw" else "Features as they are:",
                table(header, [_row(result) for result in results]),
                _summary(results),
            ]
    return "\n\n".join(part.strip("\n") for part in parts)


def main() -> None:
    """Measure what was asked for; a file that is there is added to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--tables", help="parts of names of tables, with | between")
    parser.add_argument("--forms", default=",".join(_FORMS))
    parser.add_argument("--json", type=Path, help="file for all figures")
    arguments = parser.parse_args()
    found = {**described(1), "agreement": []}
    if arguments.json and arguments.json.exists():
        found = json.loads(arguments.json.read_text())
    parts = arguments.tables.split("|") if arguments.tables else [""]
    for form in arguments.forms.split(","):
        for case in cases():
            if any(part in _name(case) for part in parts):
                found["agreement"].append(measured(case, form))
                if arguments.json:
                    arguments.json.write_text(json.dumps(found, indent=1))
    print(tabulated(found))


if __name__ == "__main__":
    main()
