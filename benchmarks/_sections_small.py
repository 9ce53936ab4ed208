"""Section on small problems, where to call costs more than what is computed."""

import warnings
from functools import partial

import numpy as np

from benchmarks._records import Job, Library, Section, cpu_seconds, repeated

_SHORT, _LONG = 41, 241  # iterations of fits
_TIMES = 200  # calls in a run
_FITS = 20

_FIT, _ITERATION, _COUPLED = "fit", "iteration", "coupled fit"
_OF_ROWS = "predict", "score_samples"
_OF_PAIRS = "mw2_distance", "component_costs"


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


def _fits(case, fit, score):
    """Whole fits of 41 iterations, or an iteration as a difference of fits."""
    fit(_SHORT)

    def value():
        return score(fit(_SHORT))

    if case["what"] == _FIT:
        return Job(partial(cpu_seconds, partial(fit, _SHORT), _FITS), value, _FITS)

    def run():
        short = cpu_seconds(partial(fit, _SHORT), _FITS)
        return cpu_seconds(partial(fit, _LONG), _FITS) - short

    return Job(run, value, _FITS * (_LONG - _SHORT))


def _of_rows(case, fit):
    """A fit, or what a fitted mixture is asked."""
    X = _rows()
    if case["what"] in (_FIT, _ITERATION):
        return _fits(case, partial(fit, X), lambda fitted: fitted.score(X))
    call = getattr(fit(X, _SHORT), case["what"])
    return repeated(lambda: call(X), _TIMES, cpu_seconds)


def _project(case):
    from skgmmot import SparseGaussianMixture, transport

    if case["what"] == _COUPLED:
        return _coupled()
    if case["what"] in _OF_PAIRS:
        call, (source, target) = getattr(transport, case["what"]), _mixtures()
        return repeated(lambda: call(source, target), _TIMES, cpu_seconds)
    return _of_rows(case, partial(_mixture_fit, SparseGaussianMixture, sparsity=0.0))


def _sklearn(case):
    from sklearn.mixture import GaussianMixture

    return _of_rows(case, partial(_mixture_fit, GaussianMixture))


def _mixture_fit(kind, X, max_iter, **settings):
    """A fit that goes through so many iterations."""
    weights, means, precisions = _start()
    model = kind(
        3, tol=0.0, max_iter=max_iter, **settings,
        weights_init=weights, means_init=means, precisions_init=precisions,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it ends before it has converged
        return model.fit(X)


def _coupled():
    """A coupled fit by the default settings, from a start of its own."""
    from skgmmot import CoupledGaussianMixture
    from skgmmot.datasets import make_shifted_mixtures, stack_domains

    data = make_shifted_mixtures((500, 500), n_components=3, random_state=1)
    X, sample_domain = stack_domains(data.X_source, data.X_target)

    def fit():
        model = CoupledGaussianMixture(3, random_state=0)
        return model.fit(X, sample_domain=sample_domain)

    run = partial(cpu_seconds, fit, _FITS // 2)
    return Job(run, lambda: fit().lower_bound_, _FITS // 2)


def _onedal(case):
    import daal4py

    weights, means, precisions = _start()
    covariances, X = [np.linalg.inv(precision) for precision in precisions], _rows()
    daal4py.daalinit(1)

    def fit(max_iter):
        em = daal4py.em_gmm(3, maxIterations=max_iter, accuracyThreshold=0.0)
        return em.compute(X, weights[None], means, covariances)

    def score(found):
        if int(np.squeeze(found.nIterations)) != _SHORT:
            raise RuntimeError("oneDAL stopped before")
        return float(np.squeeze(found.goalFunction)) / len(X)

    return _fits(case, fit, score)


def _pot(case):
    import ot

    (a, means_s, covs_s), (b, means_t, covs_t) = _mixtures()
    moments = means_s, means_t, covs_s, covs_t
    if case["what"] == "component_costs":
        call = partial(ot.gmm.dist_bures_squared, *moments)
    else:

        def call():
            return np.sqrt(ot.gmm.gmm_ot_loss(*moments, a, b))

    return repeated(call, _TIMES, cpu_seconds)


def _among(*names):
    """Whether a case is one of these."""
    return lambda case: case["what"] in names


SMALL = Section(
    "Small problems",
    f"CPU time. 500 rows in two features and 3 components: a whole fit of {_SHORT}"
    " iterations from a given start, checks of arguments included; an iteration, as"
    f" the difference to fits of {_LONG}; calls of a fitted mixture. Two mixtures of 3"
    " components in two features. A coupled fit of two samples of 500 rows in two"
    " features, 3 components, for which there is no peer.",
    [{"what": what} for what in (_FIT, _ITERATION, *_OF_ROWS, *_OF_PAIRS, _COUPLED)],
    {
        "skgmmot": Library(_project, ("skgmmot",)),
        "scikit-learn": Library(
            _sklearn, ("sklearn",), _among(_FIT, _ITERATION, *_OF_ROWS)
        ),
        "oneDAL": Library(_onedal, ("daal4py",), _among(_FIT, _ITERATION)),
        "POT": Library(_pot, ("ot",), _among(*_OF_PAIRS)),
    },
    "mean of the result, log-likelihood of fits",
)
