"""A section about time courses: one linked fit beside scEGOT's steps."""

from itertools import pairwise
from time import perf_counter, process_time

import numpy as np

from benchmarks._data import draw, random_covariances
from benchmarks._records import Job, Library, Section

_SIZES = (1, 2, 4, 5, 5)  # populations at each time, each from one of the time before
_PARENTS = ((0,), (0, 0), (0, 0, 1, 1), (0, 1, 2, 3, 3), (0, 1, 2, 3, 4))
_ROWS = 11_771
_APART, _DRIFT = 14.0, 2.0  # deviations between populations, and in a step of time
_CLOCKS = {"CPU": process_time, "wall": perf_counter}


def _course(d):
    """Rows of five times, as many components as populations."""
    rng = np.random.default_rng(0)
    means, covariances = np.zeros((1, d)), random_covariances(rng, 1, d)
    counts = [len(part) for part in np.array_split(np.arange(_ROWS), len(_SIZES))]
    samples = []
    for n, size, parents in zip(counts, _SIZES, _PARENTS, strict=True):
        step = rng.standard_normal((size, d)) / np.sqrt(d)
        first = np.array([k == parents.index(p) for k, p in enumerate(parents)])
        length = np.where(first, _DRIFT, _APART)  # who stays, and who leaves
        means = means[list(parents)] + length[:, None] * step
        covariances = covariances[list(parents)]
        samples.append(draw(rng, n, means, covariances))
    return samples


def _timed(case, work, value):
    """A job by the clock of the case."""
    found, clock = [], _CLOCKS[case["clock"]]

    def run():
        start = clock()
        found[:] = [work()]
        return clock() - start

    return Job(run, lambda: value(found[0]))


def _project(case):
    from skgmmot import LinkedGaussianMixture
    from skgmmot.transport import mw2_plan

    samples = _course(case["d"])
    times = np.repeat(np.arange(len(samples)), [len(X) for X in samples])
    X = np.concatenate(samples)
    model = LinkedGaussianMixture(
        list(_SIZES),
        transport_weight=0.0 if case["part"] == "apart" else 0.1,
        tol=1e-3,
        random_state=0,
        n_jobs=1,
    )

    def fit():
        return model.fit(X, sample_domain=times).mixtures_

    def likelihood(mixtures):
        return np.mean([m.score(X) for m, X in zip(mixtures, samples, strict=True)])

    def plans():
        return [mw2_plan(*pair) for pair in pairwise(mixtures)]

    if case["part"] != "plans":
        return _timed(case, fit, likelihood)
    mixtures = fit()
    return _timed(case, plans, lambda found: np.mean([_largest(p[0]) for p in found]))


def _scegot(case):
    from pandas import DataFrame
    from scegot import scEGOT

    samples = _course(case["d"])
    frames = [DataFrame(X) for X in samples]
    names = [str(t) for t in range(len(samples))]
    model = scEGOT(frames, day_names=names, verbose=False)
    model.X_pca = frames  # the rows are taken as they are

    def mixtures():
        return model.fit_gmm(list(_SIZES), n_init=case["starts"], random_state=0)

    def fit():
        found = mixtures()
        model.calculate_solutions(found)
        return found

    def likelihood(found):
        return np.mean([m.score(X) for m, X in zip(found, samples, strict=True)])

    if case["part"] != "plans":
        return _timed(case, fit, likelihood)
    found = mixtures()
    return _timed(
        case,
        lambda: model.calculate_solutions(found),
        lambda plans: np.mean([_largest(plan) for plan in plans]),
    )


def _largest(plan):
    """Mass of the largest entry of each row: who goes mainly where."""
    return float(np.max(plan, axis=1).sum())


COURSE = Section(
    "A time course",
    f"{_ROWS:,} made rows of five times with {_SIZES} populations. all: mixtures and"
    " plans; skgmmot fits them together (LinkedGaussianMixture), scEGOT a mixture of"
    " scikit-learn for each time, from its own default of 10 starts or from one, then"
    " entropic plans; skgmmot has one of each of its ways to start. Both end by a gain"
    " below 1e-3. CPU or wall time, by the case's clock."
    " apart: the same with transport_weight=0, where skgmmot's mixtures do not pull on"
    " each other either. plans: between fitted mixtures, exact ones of mw2_plan and"
    " scEGOT's. The value of plans is the mean mass of the largest entry of each row.",
    [
        {"part": "all", "d": 150, "starts": 10, "clock": "CPU"},
        {"part": "all", "d": 150, "starts": 1, "clock": "CPU"},
        {"part": "apart", "d": 150, "starts": 10, "clock": "CPU"},
        {"part": "plans", "d": 150, "starts": 1, "clock": "CPU"},
    ],
    {
        "skgmmot": Library(_project, ("skgmmot",)),
        "scEGOT": Library(_scegot, ("scegot", "pandas")),
    },
    "mean log-likelihood of the times",
    repeat=2,
)
