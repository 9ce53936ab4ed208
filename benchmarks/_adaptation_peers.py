"""Methods of POT and skada, each in the setting that its signature documents.

A peer moves or reweights the rows; a classifier is trained on what it gives for the
source and asked for the target. Rows alone are moved: labels of the source are given
to those that read them. Parameters without a default are those of the examples in the
documentation (`gamma=1` of MMDTarSReweightAdapter).
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from benchmarks._adaptation_data import Pair
from skgmmot.datasets import stack_domains


class Moved(NamedTuple):
    """Rows to train on and rows to classify."""

    X_source: np.ndarray
    X_target: np.ndarray
    weights: np.ndarray | None = None  # of the source rows


Move = Callable[[Pair], Moved]


def discriminant() -> Any:
    """Linear discriminant analysis with Ledoit and Wolf's shrinkage."""
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "LDA": discriminant,
    "logistic": lambda: LogisticRegression(max_iter=2000),
    "1-NN": lambda: KNeighborsClassifier(1),
}
POT = ("LinearTransport", "EMDTransport", "SinkhornTransport", "SinkhornLpl1Transport",
       "EMDLaplaceTransport")  # fmt: skip
SKADA: dict[str, dict[str, float]] = {
    "CORALAdapter": {},
    "SubspaceAlignmentAdapter": {},
    "TransferComponentAnalysisAdapter": {},
    "OTMappingAdapter": {},
    "MMDTarSReweightAdapter": {"gamma": 1.0},
    "DensityReweightAdapter": {},
}


def unmoved(pair: Pair) -> Moved:
    """Rows as they are."""
    return Moved(pair.X_source, pair.X_target)


def moved_by_pot(name: str) -> Move:
    """Source rows under a map of POT."""
    from ot import da

    def move(pair: Pair) -> Moved:
        mapping = getattr(da, name)()
        labels = np.unique(pair.y_source, return_inverse=True)[1]
        mapping.fit(Xs=pair.X_source, ys=labels, Xt=pair.X_target)
        return Moved(mapping.transform(pair.X_source), pair.X_target)

    return move


def moved_by_skada(name: str, parameters: dict[str, float]) -> Move:
    """Rows, or weights of rows, by an adapter of skada."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skada

    def move(pair: Pair) -> Moved:
        X, domain = stack_domains(pair.X_source, pair.X_target)
        labels = np.unique(pair.y_source, return_inverse=True)[1]
        y = np.concatenate([labels, np.full(len(pair.X_target), -1)])
        adapter = getattr(skada, name)(**parameters)
        found = adapter.fit_transform(X, y, sample_domain=domain)
        n, weights = len(labels), None
        if isinstance(found, tuple):
            found, other = found
            weights = other["sample_weight"][:n]
        return Moved(found[:n], found[n:], weights)

    return move


def by_joint_transport(pair: Pair) -> np.ndarray:
    """Labels by skada's JDOTClassifier with its default, logistic regression."""
    from skada import JDOTClassifier

    X, domain = stack_domains(pair.X_source, pair.X_target)
    classes, labels = np.unique(pair.y_source, return_inverse=True)
    y = np.concatenate([labels, np.full(len(pair.X_target), -1)])
    model = JDOTClassifier(LogisticRegression(max_iter=2000))
    model.fit(X, y, sample_domain=domain)
    return classes[model.predict(pair.X_target).astype(int)]


def moves() -> dict[str, Move]:
    """All peers that are installed, by name."""
    found: dict[str, Move] = {"none": unmoved}
    if find_spec("ot") is not None:
        found.update({f"POT {name}": moved_by_pot(name) for name in POT})
    if find_spec("skada") is not None:
        for name, parameters in SKADA.items():
            found[f"skada {name}"] = moved_by_skada(name, parameters)
    return found


def failed(rows: Moved) -> bool:
    """Whether a peer gave what no classifier can read."""
    parts = [rows.X_source, rows.X_target]
    parts += [] if rows.weights is None else [rows.weights]
    weightless = rows.weights is not None and not rows.weights.sum() > 0.0
    return weightless or not all(np.isfinite(part).all() for part in parts)


def classifiers_after(name: str) -> dict[str, Callable[[], Any]]:
    """Classifiers behind a peer; weights need one that reads them."""
    if "Reweight" in name:
        return {"logistic": CLASSIFIERS["logistic"]}
    return CLASSIFIERS


def labels_of(rows: Moved, make: Callable[[], Any], y: np.ndarray) -> np.ndarray:
    """What a classifier that was trained on moved rows says of the target."""
    keywords = {} if rows.weights is None else {"sample_weight": rows.weights}
    return make().fit(rows.X_source, y, **keywords).predict(rows.X_target)
