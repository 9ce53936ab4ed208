"""Section on the number of components: one path beside a search over all numbers."""

from importlib.util import find_spec

import numpy as np

from benchmarks._records import Job, Library, Section, cpu_seconds

LARGEST = 15  # components
_STARTS = 10  # of the peer, at each number
_MADE = [  # rows, features, components, distance of neighbours in deviations
    (300, 1, 2, 4.0),
    (500, 5, 4, 3.0),
    (1000, 10, 4, 4.0),
    (2000, 3, 6, 2.5),
    (3000, 2, 12, 5.0),
    (10_000, 4, 8, 3.0),
]

CASES = [{"data": name} for name in ("iris", "wine", "cancer", "digits")]
# Its three classes have too few rows for full covariances.
CASES += [{"data": "wine", "type": name} for name in ("tied", "diag")]
if find_spec("palmerpenguins") is not None:
    CASES.append({"data": "penguins"})
CASES += [{"data": "made", "n": n, "d": d, "K": k, "apart": a} for n, d, k, a in _MADE]


def _penguins():
    """Bills, flippers and masses of the penguins that were measured, and species."""
    from palmerpenguins import load_penguins

    columns = [
        "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"
    ]  # fmt: skip
    known = load_penguins().dropna(subset=columns)
    return known[columns].to_numpy(dtype=float), known["species"].to_numpy(dtype=str)


def labelled(case):
    """A table and its classes; of two tables, a few principal components."""
    if case["data"] == "made":
        from skgmmot.datasets import make_mixture

        made = make_mixture(
            case["n"],
            n_components=case["K"],
            n_features=case["d"],
            separation=case["apart"],
            random_state=case.get("seed", 100),
        )
        return made.X, made.labels
    if case["data"] == "penguins":
        return _penguins()
    from sklearn import datasets
    from sklearn.decomposition import PCA

    X, y = getattr(datasets, f"load_{_LOADED[case['data']]}")(return_X_y=True)
    if case["data"] == "cancer":
        X = PCA(5, svd_solver="full").fit_transform(standardised(X))
    elif case["data"] == "digits":
        X = PCA(10, svd_solver="full").fit_transform(X)
    return X, y


_LOADED = {
    "iris": "iris",
    "wine": "wine",
    "cancer": "breast_cancer",
    "digits": "digits",
}


def standardised(X):
    """Features of mean 0 and standard deviation 1."""
    return np.ascontiguousarray((X - X.mean(axis=0)) / X.std(axis=0))


def _rows(case):
    return standardised(labelled(case)[0])


def _type(case):
    return case.get("type", "full")


def _project(case):
    from skgmmot import SparseGaussianMixture

    X = _rows(case)
    model = SparseGaussianMixture(LARGEST, covariance_type=_type(case), random_state=0)
    return Job(lambda: cpu_seconds(lambda: model.fit(X)), lambda: model.bic(X))


def best_of_search(X, covariance_type):
    """scikit-learn's mixture of the lowest BIC, and that BIC."""
    from sklearn.mixture import GaussianMixture

    found = [
        GaussianMixture(
            size,
            covariance_type=covariance_type,
            n_init=_STARTS,
            max_iter=1000,
            random_state=0,
        ).fit(X)
        for size in range(1, LARGEST + 1)
    ]
    values = [model.bic(X) for model in found]
    best = int(np.argmin(values))
    return found[best], values[best]


def _sklearn(case):
    X, found = _rows(case), []

    def search():
        found[:] = best_of_search(X, _type(case))

    return Job(lambda: cpu_seconds(search), lambda: found[1])


NUMBER = Section(
    "The number of components",
    f"The mixture with the lowest BIC of at most {LARGEST} components: a default fit,"
    f" and scikit-learn with every number from 1 to {LARGEST}, the best of {_STARTS}"
    " starts each; time of the processor. Features are standardised; of the tables"
    " `cancer` and `digits`, 5 and 10 principal components. A lower BIC of the search"
    " on `wine` is that of components on a handful of rows, which the project does not"
    " count on.",
    CASES,
    {
        "skgmmot": Library(_project, ("skgmmot",)),
        "scikit-learn": Library(_sklearn, ("sklearn",)),
    },
    "lowest BIC",
    repeat=3,
)
