"""Accuracy on target rows without labels, beside maps followed by a classifier.

    python -m benchmarks.adaptation FOLDER [--groups FILE=GROUP,...] [--json PATH]

FOLDER holds tasks NAME.npz with arrays X_DOMAIN and y_DOMAIN; all ordered pairs of
domains are taken (of more than six domains, i to i + 1 and i + 4, cyclically). Without
a folder the pairs are those that packages ship: pixels of digits at two sizes of
strokes, and skada's simulated shifts if it is installed. Features are standardised on
both domains together, and reduced to 50 principal components where there are more.
Times are CPU times of a fit and a prediction, one thread.
"""

import argparse
import json
import time
import warnings
from importlib.util import find_spec
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks._machine import git
from skgmmot import GMMOTClassifier
from skgmmot.datasets import stack_domains

_MOST_DOMAINS, _MOST_FEATURES = 6, 50
_SHIFTS = ("conditional_shift", "covariate_shift", "target_shift")


class Pair(NamedTuple):
    """Source rows with labels, target rows, and target labels to judge by."""

    group: str
    name: str
    X_source: np.ndarray
    y_source: np.ndarray
    X_target: np.ndarray
    y_target: np.ndarray


# Pairs


def prepared(X_source, X_target):
    """Both domains, standardised together and reduced where they are wide."""
    both = StandardScaler().fit_transform(np.vstack([X_source, X_target]))
    if both.shape[1] > _MOST_FEATURES:
        reduction = PCA(_MOST_FEATURES, svd_solver="full", random_state=0)
        both = reduction.fit_transform(both)
    return both[: len(X_source)], both[len(X_source) :]


def _number(name):
    digits = "".join(c for c in name if c.isdigit())
    return (int(digits) if digits else 0, name)


def ordered_pairs(names):
    """Ordered pairs of domains; of many domains, near ones in cyclical order."""
    if len(names) <= _MOST_DOMAINS:
        return list(permutations(names, 2))
    names, n = sorted(names, key=_number), len(names)
    return [(names[i], names[(i + k) % n]) for k in (1, 4) for i in range(n)]


def pairs_of_file(path, group):
    """The pairs of one task."""
    with np.load(path, allow_pickle=True) as data:
        names = [key[2:] for key in data.files if key.startswith("X_")]
        rows = {n: data[f"X_{n}"].astype(float) for n in names}
        labels = {n: data[f"y_{n}"] for n in names}
    for a, b in ordered_pairs(names):
        sides = prepared(rows[a], rows[b])
        yield Pair(group, f"{a} to {b}", sides[0], labels[a], sides[1], labels[b])


def shipped_pairs():
    """Pairs made of what packages ship."""
    digits = load_digits()
    thin, bold = digits.images[::2], digits.images[1::2]
    bold = np.maximum(bold, np.roll(bold, 1, axis=2))  # strokes one pixel wider
    sides = [part.reshape(len(part), -1)[:400] for part in (thin, bold)]
    labels = digits.target[::2][:400], digits.target[1::2][:400]
    for a, b in ((0, 1), (1, 0)):
        X_source, X_target = prepared(sides[a], sides[b])
        yield Pair("digits", f"{a} to {b}", X_source, labels[a], X_target, labels[b])
    if find_spec("skada") is not None:
        yield from simulated_pairs()


def simulated_pairs():
    """Shifts of skada's make_shifted_datasets, eight seeds each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skada.datasets import make_shifted_datasets
    for shift in _SHIFTS:
        for seed in range(8):
            X, y, domain = make_shifted_datasets(
                20, 20, shift=shift, noise=0.5, random_state=seed
            )
            s = domain >= 0
            yield Pair(shift, f"seed {seed}", X[s], y[s], X[~s], y[~s])


# Methods: functions of a pair that return labels


def discriminant():
    """Linear discriminant analysis with Ledoit and Wolf's shrinkage."""
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


CLASSIFIERS = {
    "LDA": discriminant,
    "logistic": lambda: LogisticRegression(max_iter=2000),
    "1-NN": lambda: KNeighborsClassifier(1),
}


def ours(**parameters):
    """The classifier of this package."""

    def labels_of(pair):
        X, domain = stack_domains(pair.X_source, pair.X_target)
        classes, y = np.unique(pair.y_source, return_inverse=True)
        y = np.concatenate([y, np.full(len(pair.X_target), -1)])
        model = GMMOTClassifier(n_jobs=1, **parameters)
        model.fit(X, y, sample_domain=domain)
        return classes[model.predict(pair.X_target)]

    return labels_of


def moved(make_map, make_classifier):
    """A classifier of source rows that a map of POT has moved, or not moved."""

    def labels_of(pair):
        X = pair.X_source
        if make_map is not None:
            mapping = make_map().fit(Xs=X, Xt=pair.X_target)
            X = mapping.transform(X)
        return make_classifier().fit(X, pair.y_source).predict(pair.X_target)

    return labels_of


def methods():
    """All methods by name; those of POT where it is installed."""
    found = {
        "GMMOTClassifier": ours(),
        'GMMOTClassifier("bic")': ours(n_components_per_class="bic"),
        "GMMOTClassifier(align=None, reg_m=0)": ours(align=None, reg_m=0.0),
    }
    maps = {"none": None}
    if find_spec("ot") is not None:
        from ot import da

        maps["POT linear"] = lambda: da.LinearTransport(reg=1e-8)
        maps["POT EMD"] = da.EMDTransport
    for name, make_map in maps.items():
        for classifier, make in CLASSIFIERS.items():
            found[f"{name} + {classifier}"] = moved(make_map, make)
    return found


# Measuring and printing


def measured(pairs, found):
    """Accuracy and CPU seconds, by method: arrays over the pairs."""
    accuracy = {name: [] for name in found}
    seconds = {name: [] for name in found}
    for labels_of in found.values():  # compiles and loads
        labels_of(pairs[0])
    for pair in pairs:
        for name, labels_of in found.items():
            began = time.process_time()
            labels = labels_of(pair)
            seconds[name].append(time.process_time() - began)
            accuracy[name].append(float(np.mean(labels == pair.y_target)))
    return (
        {name: np.array(values) for name, values in accuracy.items()},
        {name: np.array(values) for name, values in seconds.items()},
    )


def difference(first, second):
    """Mean difference of accuracies in points, its standard error, wins, losses."""
    gaps = 100.0 * (first - second)
    error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    return float(gaps.mean()), float(error), wins, losses


def report(pairs, accuracy, seconds):
    """Print groups, their mean, times, and wins and losses of the default."""
    groups = np.array([pair.group for pair in pairs])
    names = list(dict.fromkeys(groups))
    width = max(map(len, accuracy))
    print(" " * width, *(f"{n[:10]:>10}" for n in names), "      mean        ms")
    for method, values in accuracy.items():
        means = [100.0 * values[groups == name].mean() for name in names]
        lapse = 1e3 * np.median(seconds[method])
        cells = (f"{m:10.1f}" for m in [*means, np.mean(means), lapse])
        print(f"{method:{width}}", *cells)
    base = next(iter(accuracy))
    print(f"\n{base} beside, over all pairs:")
    for method, values in accuracy.items():
        if method == base:
            continue
        mean, error, wins, losses = difference(accuracy[base], values)
        print(f"{method:{width}} {mean:+.2f} ± {error:.2f}, {wins} won, {losses} lost")


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--groups", default="", help="FILE=GROUP,... joins files")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    joined = dict(item.split("=") for item in options.groups.split(",") if item)
    if options.folder is None:
        pairs = list(shipped_pairs())
    else:
        pairs = [
            pair
            for path in sorted(options.folder.glob("*.npz"))
            for pair in pairs_of_file(path, joined.get(path.stem, path.stem))
        ]
    accuracy, seconds = measured(pairs, methods())
    report(pairs, accuracy, seconds)
    if options.json is not None:
        runs = [
            {"group": pair.group, "pair": pair.name, "method": name,
             "accuracy": accuracy[name][i], "seconds": seconds[name][i]}
            for i, pair in enumerate(pairs) for name in accuracy
        ]  # fmt: skip
        record = {"commit": git("rev-parse", "HEAD"), "runs": runs}
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
