"""Accuracy on target rows without labels, beside maps followed by a classifier.

    python -m benchmarks.adaptation [FOLDER] [--groups FILE=GROUP,...] [--json PATH]
        [--from PATH] [--fast] [--only PEER ...] [--thin DRAWS] [--covariates]
        [--conditions]

FOLDER holds tasks NAME.npz with arrays X_DOMAIN and y_DOMAIN; all ordered pairs of
domains are taken (of more than six domains, i to i + 1 and i + 4, cyclically). Without
a folder the pairs are those that packages ship, see _adaptation_data. Features are
standardised on both domains together, and reduced to 50 principal components where
there are more. --covariates takes tables of packages that were cut by a measured
covariate, see _adaptation_covariates. --conditions takes the same things measured
under other conditions, see _adaptation_conditions, which says what FOLDER then holds;
no default was chosen by them. Peers are those
of _adaptation_peers; where one fails on a pair (it gives NaN, or raises) its rows stay
as they were, and the failures are counted. Times are CPU times of a fit and a
prediction, one thread. --fast leaves out the slow peers,
--only all but some; --thin makes half of the classes rare in the target, anew for each
of so many draws; --from prints a table that was measured before.
"""

import argparse
import json
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks._adaptation_conditions import condition_pairs
from benchmarks._adaptation_covariates import covariate_pairs
from benchmarks._adaptation_data import pairs_of_file, shipped_pairs, thinned
from benchmarks._adaptation_peers import (
    by_joint_transport,
    classifiers_after,
    failed,
    labels_of,
    moves,
    unmoved,
)
from benchmarks._machine import git
from skgmmot import GMMOTClassifier
from skgmmot.datasets import stack_domains

_MOST_COLUMNS = 12  # groups that are printed one by one
_SLOW = ("SinkhornTransport", "EMDLaplaceTransport")
OURS = {
    "GMMOTClassifier": {},
    'GMMOTClassifier("bic")': {"n_components_per_class": "bic"},
    "GMMOTClassifier(reg_m=1)": {"reg_m": 1.0},
    "GMMOTClassifier(align=None, reg_m=0)": {"align": None, "reg_m": 0.0},
}


def ours(pair, parameters):
    """Labels by the classifier of this package."""
    X, domain = stack_domains(pair.X_source, pair.X_target)
    classes, y = np.unique(pair.y_source, return_inverse=True)
    y = np.concatenate([y, np.full(len(pair.X_target), -1)])
    model = GMMOTClassifier(n_jobs=1, **parameters)
    model.fit(X, y, sample_domain=domain)
    return classes[model.predict(pair.X_target)]


def timed(call):
    """What a call returns, and its CPU seconds."""
    began = time.process_time()
    found = call()
    return found, time.process_time() - began


def rows_of(move, pair):
    """Moved rows, their seconds, and whether the peer failed."""
    rows, seconds = None, 0.0
    with suppress(ValueError, np.linalg.LinAlgError):
        rows, seconds = timed(lambda: move(pair))
    if rows is None or failed(rows):
        return unmoved(pair), seconds, True
    return rows, seconds, False


def runs_of(pair, found, joint):
    """Records of all methods on a pair."""
    runs = []

    def keep(method, labels, seconds, is_failed=False):
        accuracy = float(np.mean(labels == pair.y_target))
        runs.append(
            {"group": pair.group, "pair": pair.name, "method": method,
             "accuracy": accuracy, "seconds": seconds, "failed": is_failed}
        )  # fmt: skip

    for name, parameters in OURS.items():
        keep(name, *timed(lambda p=parameters: ours(pair, p)))
    for name, move in found.items():
        rows, before, is_failed = rows_of(move, pair)
        for classifier, make in classifiers_after(name).items():
            labels, after = timed(lambda r=rows, m=make: labels_of(r, m, pair.y_source))
            keep(f"{name} + {classifier}", labels, before + after, is_failed)
    if joint:
        keep("skada JDOTClassifier", *timed(lambda: by_joint_transport(pair)))
    return runs


def measured(pairs, fast=False, only=()):
    """Records of all methods on all pairs."""
    found = moves()
    joint = any(name.startswith("skada") for name in found)
    if fast:
        found = {n: m for n, m in found.items() if not n.endswith(_SLOW)}
    if only:
        found = {n: m for n, m in found.items() if n in only}
        joint = joint and "skada JDOTClassifier" in only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers that did not converge
        runs_of(pairs[0], found, joint)  # compiles and loads
        return [run for pair in pairs for run in runs_of(pair, found, joint)]


# Keeping and printing


def record_of(runs):
    """Runs as a table: the pairs once, then a list for each method."""
    methods = list(dict.fromkeys(run["method"] for run in runs))
    first = [run for run in runs if run["method"] == methods[0]]
    digits = {"accuracy": 4, "seconds": 5, "failed": 0}
    return {
        "commit": git("rev-parse", "HEAD"),
        "pairs": [[run["group"], run["pair"]] for run in first],
        "methods": {
            method: {
                key: np.round(column(runs, method, key).astype(float), n).tolist()
                for key, n in digits.items()
            }
            for method in methods
        },
    }


def runs_from(record):
    """Runs of a table that was kept."""
    return [
        {"group": group, "pair": pair, "method": method,
         **{key: values[i] for key, values in table.items()}}
        for method, table in record["methods"].items()
        for i, (group, pair) in enumerate(record["pairs"])
    ]  # fmt: skip


def difference(first, second, groups):
    """Mean difference of accuracies in points, with standard errors, wins, losses.

    The first error takes the pairs for independent, the second one the groups.
    """
    gaps = 100.0 * (first - second)
    error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
    names, numbers = np.unique(groups, return_inverse=True)
    sums = np.bincount(numbers, gaps - gaps.mean())
    n = len(names)
    scale = n / (n - 1) if n > 1 else np.nan
    clustered = np.sqrt(scale * np.square(sums).sum()) / len(gaps)
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    return f"{gaps.mean():+.2f} ± {error:.2f} ({clustered:.2f}), {wins}, {losses}"


def column(runs, method, key):
    """A value of all pairs, in their order."""
    return np.array([run[key] for run in runs if run["method"] == method])


def report(runs):
    """Print groups, their mean, times, and wins and losses of the default."""
    methods = list(dict.fromkeys(run["method"] for run in runs))
    base, width = methods[0], max(map(len, methods))
    groups = column(runs, base, "group")
    names = list(dict.fromkeys(groups))
    shown = names if len(names) <= _MOST_COLUMNS else []
    print(f"{len(groups)} pairs in {len(names)} groups; ± standard error of pairs (of "
          "groups), won, lost")  # fmt: skip
    print(
        " " * width, *(f"{n[:8]:>8}" for n in shown), "    mean      ms   beside ours"
    )
    own = column(runs, base, "accuracy")
    for method in methods:
        values = column(runs, method, "accuracy")
        means = [100.0 * values[groups == name].mean() for name in names]
        lapse = 1e3 * np.median(column(runs, method, "seconds"))
        cells = [f"{m:8.1f}" for m in [*(means if shown else ()), np.mean(means)]]
        beside = difference(own, values, groups)
        n_failed = int(column(runs, method, "failed").sum())
        beside += f", {n_failed} failed" if n_failed else ""
        print(
            f"{method:{width}}",
            *cells,
            f"{lapse:7.1f}",
            "" if method == base else beside,
        )
    pair = [f"POT {name}Transport + LDA" for name in ("Linear", "EMD")]
    if set(pair) <= set(methods):
        best = np.maximum(*(column(runs, method, "accuracy") for method in pair))
        print(f"{base} beside the better of {pair[0]} and {pair[1]} on each pair: "
              f"{difference(own, best, groups)}")  # fmt: skip


def pairs_by(options):
    """The pairs that were asked for."""
    if options.covariates:
        return list(covariate_pairs())
    if options.conditions:
        return list(condition_pairs(options.folder))
    if options.folder is None:
        return list(shipped_pairs())
    joined = dict(item.split("=") for item in options.groups.split(",") if item)
    return [
        pair
        for path in sorted(options.folder.glob("*.npz"))
        for pair in pairs_of_file(path, joined.get(path.stem, path.stem))
    ]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--groups", default="", help="FILE=GROUP,... joins files")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--from", dest="former", type=Path)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--only", nargs="+", default=(), metavar="PEER")
    parser.add_argument("--covariates", action="store_true")
    parser.add_argument("--conditions", action="store_true")
    parser.add_argument("--thin", type=int, default=0, metavar="DRAWS")
    options = parser.parse_args()
    if options.former is not None:
        report(runs_from(json.loads(options.former.read_text(encoding="utf-8"))))
        return
    pairs = pairs_by(options)
    if options.thin:
        pairs = [thinned(pair, draw) for pair in pairs for draw in range(options.thin)]
    runs = measured(pairs, options.fast, options.only)
    report(runs)
    if options.json is not None:
        text = json.dumps(record_of(runs)).replace('}, "', '},\n"')
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
