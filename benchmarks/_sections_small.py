"""Sections on small problems, where to call costs more than what is computed."""

import numpy as np

from benchmarks._records import Job, Library, Section, repeated, seconds

_ITERATIONS = 41
_TIMES = 200  # calls in a run


def _rows():
    """500 rows of three groups in two features."""
    rng = np.random.default_rng(0)
    groups = [
        rng.normal(size=(200, 2)),
        0.7 * rng.normal(size=(150, 2)) + [2.5, 0.0],
        rng.normal(size=(150, 2)) * [0.5, 1.2] + [0.0, 3.0],
    ]
    return np.concatenate(groups)


def _start():
    """Weights, means and precisions from which all libraries go."""
    means = np.array([[-0.5, -0.5], [2.0, 0.5], [0.5, 2.0]])
    return np.full(3, 1.0 / 3.0), means, np.repeat(np.eye(2)[None], 3, axis=0)


def _mixtures():
    """Two mixtures of three components."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2):
        roots = rng.normal(size=(3, 2, 4))
        covariances = roots @ roots.swapaxes(1, 2)
        found.append((rng.dirichlet(np.ones(3)), rng.normal(size=(3, 2)), covariances))
    return found


def _job(case, model, fit):
    """A fit of so many iterations, or what a fitted mixture is asked."""
    X = _rows()
    if case["what"] == "fit":
        return Job(lambda: seconds(fit, X), lambda: fit(X).score(X), _ITERATIONS)
    fitted = fit(X)
    return repeated(lambda: getattr(fitted, case["what"])(X), _TIMES)


def _project(case):
    from skgmmot import SparseGaussianMixture

    weights, means, precisions = _start()

    def fit(X):
        model = SparseGaussianMixture(
            3, sparsity=0.0, tol=0.0, max_iter=_ITERATIONS,
            weights_init=weights, means_init=means, precisions_init=precisions,
        )  # fmt: skip
        return _silently(model.fit, X)

    return _job(case, SparseGaussianMixture, fit)


def _sklearn(case):
    from sklearn.mixture import GaussianMixture

    weights, means, precisions = _start()

    def fit(X):
        model = GaussianMixture(
            3, tol=0.0, max_iter=_ITERATIONS,
            weights_init=weights, means_init=means, precisions_init=precisions,
        )  # fmt: skip
        return _silently(model.fit, X)

    return _job(case, GaussianMixture, fit)


def _onedal(case):
    import daal4py

    if case["what"] != "fit":
        raise ValueError("it fits only")
    weights, means, precisions = _start()
    covariances, X = [np.linalg.inv(precision) for precision in precisions], _rows()
    daal4py.daalinit(1)

    def fit():
        em = daal4py.em_gmm(3, maxIterations=_ITERATIONS, accuracyThreshold=0.0)
        return em.compute(X, weights[None], means, covariances)

    def value():
        found = fit()
        if int(np.squeeze(found.nIterations)) != _ITERATIONS:
            raise RuntimeError("oneDAL stopped before")
        return float(np.squeeze(found.goalFunction)) / len(X)

    return Job(lambda: seconds(fit), value, _ITERATIONS)


def _project_pair(case):
    from skgmmot import transport

    call, (source, target) = getattr(transport, case["what"]), _mixtures()
    return repeated(lambda: call(source, target), _TIMES)


def _pot(case):
    import ot

    (a, means_s, covs_s), (b, means_t, covs_t) = _mixtures()
    if case["what"] == "component_costs":
        costs = ot.gmm.dist_bures_squared
        return repeated(lambda: costs(means_s, means_t, covs_s, covs_t), _TIMES)
    loss = ot.gmm.gmm_ot_loss
    return repeated(
        lambda: np.sqrt(loss(means_s, means_t, covs_s, covs_t, a, b)), _TIMES
    )


def _silently(call, *arguments):
    """A call whose warnings are not told: fits end after so many iterations."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments)


SMALL = Section(
    "Few rows",
    f"500 rows in two features and 3 components: an iteration of a fit of {_ITERATIONS}"
    " from a given start, checks of arguments included, and calls of a fitted mixture.",
    [{"what": "fit"}, {"what": "predict"}, {"what": "score_samples"}],
    {
        "skgmmot": Library(_project, ("skgmmot",)),
        "scikit-learn": Library(_sklearn, ("sklearn",)),
        "oneDAL": Library(_onedal, ("daal4py",)),
    },
    "mean of the result",
)

SMALL_PAIRS = Section(
    "Few components",
    "Two mixtures of 3 components in two features.",
    [{"what": "mw2_distance"}, {"what": "component_costs"}],
    {
        "skgmmot": Library(_project_pair, ("skgmmot",)),
        "POT": Library(_pot, ("ot",)),
    },
    "mean of the result",
)
