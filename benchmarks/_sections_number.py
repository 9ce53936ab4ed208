"""Section on the number of components: one path beside a search over all numbers."""

from importlib.util import find_spec

import numpy as np

from benchmarks._records import Job, Library, Section, seconds

_LARGEST = 15  # components
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
    """Bills, flippers and masses of the penguins that were measured."""
    from palmerpenguins import load_penguins

    columns = [
        "bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"
    ]  # fmt: skip
    return load_penguins()[columns].dropna().to_numpy(dtype=float)


def _rows(case):
    """The table, features standardised; of two, a few principal components."""
    if case["data"] == "made":
        from skgmmot.datasets import make_mixture

        X = make_mixture(
            case["n"],
            n_components=case["K"],
            n_features=case["d"],
            separation=case["apart"],
            random_state=100,
        ).X
    elif case["data"] == "penguins":
        X = _penguins()
    else:
        from sklearn import datasets
        from sklearn.decomposition import PCA

        X = getattr(datasets, _LOADERS[case["data"]])().data
        if case["data"] == "cancer":
            X = PCA(5, svd_solver="full").fit_transform(_standardised(X))
        elif case["data"] == "digits":
            X = PCA(10, svd_solver="full").fit_transform(X)
    return _standardised(X)


_LOADERS = {
    "iris": "load_iris",
    "wine": "load_wine",
    "cancer": "load_breast_cancer",
    "digits": "load_digits",
}


def _standardised(X):
    return np.ascontiguousarray((X - X.mean(axis=0)) / X.std(axis=0))


def _type(case):
    return case.get("type", "full")


def _project(case):
    from skgmmot import SparseGaussianMixture

    X = _rows(case)
    model = SparseGaussianMixture(_LARGEST, covariance_type=_type(case), random_state=0)
    return Job(lambda: seconds(model.fit, X), lambda: model.bic(X))


def _sklearn(case):
    from sklearn.mixture import GaussianMixture

    X, values = _rows(case), []
    settings = {"n_init": _STARTS, "max_iter": 1000, "random_state": 0}

    def search():
        values.clear()
        for size in range(1, _LARGEST + 1):
            model = GaussianMixture(size, covariance_type=_type(case), **settings)
            values.append(model.fit(X).bic(X))

    return Job(lambda: seconds(search), lambda: min(values))


NUMBER = Section(
    "The number of components",
    f"The mixture with the lowest BIC of at most {_LARGEST} components: a default fit,"
    f" and scikit-learn with every number from 1 to {_LARGEST}, the best of {_STARTS}"
    " starts each. Features are standardised; of the tables `cancer` and `digits`, 5"
    " and 10 principal components. A lower BIC of the search on `wine` is that of"
    " components on a handful of rows, which the project does not count on.",
    CASES,
    {
        "skgmmot": Library(_project, ("skgmmot",)),
        "scikit-learn": Library(_sklearn, ("sklearn",)),
    },
    "lowest BIC",
    repeat=3,
)
