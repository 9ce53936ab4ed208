"""Section on whole fits: time until the likelihood is as high as a peer's."""

import numpy as np

from benchmarks._records import Job, Library, Section, seconds

_NEAR = 1e-4  # of the peer's mean log-likelihood
_TOL = 1e-3  # of the peer's fit, its default
_MAX_ITER = 1000

CASES = [
    {"data": "pixels", "n": 150_000, "d": 3, "K": 20},
    {"data": "patches", "n": 36_000, "d": 16, "K": 20},
]


def _rows(case):
    """Colours of a photograph, or its brightness in squares of 4 x 4, shuffled."""
    from sklearn.datasets import load_sample_image

    picture = load_sample_image("china.jpg") / 255.0
    rng = np.random.default_rng(0)
    if case["data"] == "pixels":
        rows = picture.reshape(-1, 3)
    else:
        windows = np.lib.stride_tricks.sliding_window_view(picture.mean(axis=2), (4, 4))
        rows = windows.reshape(-1, 16)
    rows = rows[rng.choice(len(rows), case["n"], replace=False)]
    # Steps of 1/255 would let components fall onto lines.
    return rows + rng.uniform(-0.5, 0.5, rows.shape) / 255.0


def _start(case, X):
    rng = np.random.default_rng(1)
    precision = 4.0 * np.linalg.inv(np.cov(X.T))
    return {
        "n_components": case["K"],
        "weights_init": np.full(case["K"], 1.0 / case["K"]),
        "means_init": X[rng.choice(len(X), case["K"], replace=False)],
        "precisions_init": np.tile(precision, (case["K"], 1, 1)),
    }


def _peer_fit(case, X):
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(**_start(case, X), tol=_TOL, max_iter=_MAX_ITER)
    return model.fit(X)


def _sklearn(case):
    X = _rows(case)
    found = []

    def run():
        return seconds(lambda: found.append(_peer_fit(case, X)))

    return Job(run, lambda: found[-1].score(X))


def _project(case):
    from skgmmot import SparseGaussianMixture

    X = _rows(case)
    wanted = _peer_fit(case, X).score(X) - _NEAR
    settings = {**_start(case, X), "sparsity": 0.0, "tol": 0.0, "accelerate": True}
    path = SparseGaussianMixture(**settings, max_iter=_MAX_ITER // 2).fit(X)
    bounds = np.append(path.lower_bounds_[1:], path.lower_bound_)
    reached = np.flatnonzero(bounds >= wanted)
    if len(reached) == 0:
        raise RuntimeError(f"bound {bounds.max():.6f}, wanted {wanted:.6f}")
    model = SparseGaussianMixture(**settings, max_iter=int(reached[0]) + 1)
    return Job(lambda: seconds(model.fit, X), lambda: model.score(X))


BOUND = Section(
    "Time to a given bound",
    "A whole fit from the same start (rows as means): scikit-learn until it converges"
    f" (tol {_TOL:g}), skgmmot, accelerated, until its mean log-likelihood is within"
    f" {_NEAR:g} of that. Pixels and squares of pixels of the photograph `china` that"
    " comes with scikit-learn.",
    CASES,
    {
        "skgmmot": Library(_project, ("skgmmot",)),
        "scikit-learn": Library(_sklearn, ("sklearn", "PIL")),
    },
    "mean log-likelihood",
    repeat=3,
)
