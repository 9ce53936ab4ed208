"""How often intervals hold the truth: python -m benchmarks.coverage [--sets N].

Three populations that are far apart, of known shares, means and plan; two samples of
them, a coupled fit with its defaults (but reg_m), a bootstrap; then the part of the
90 % intervals that hold the truth, over all entries and data sets. "plain" are
intervals of the fit itself, "debiased" those of its `debiased`; "limit" is the part of
plain intervals that hold what the same fit finds in very many rows.
"""

import argparse
import warnings
from typing import NamedTuple

import numpy as np

from benchmarks._tables import table

LEVEL = 0.9
_MEANS = np.array([[0.0, 0.0], [7.0, 1.0], [2.0, 8.0]])
_SHIFT = np.array([3.0, -2.0])  # of the whole domain
_MOVES = np.array([[0.0, 0.5], [0.6, 0.0], [-0.5, 0.4]])  # of each population
_MANY = 300_000
_LEAST = 1e-3  # of a share, which is taken for none


class Case(NamedTuple):
    """Shares on both sides, and the penalty on the marginals."""

    source: np.ndarray
    target: np.ndarray
    reg_m: float | None = None


_SHARES = np.array([0.5, 0.3, 0.2])
CASES = {
    "balanced, equal shares": Case(_SHARES, _SHARES),
    "balanced, other shares": Case(_SHARES, np.array([0.4, 0.3, 0.3])),
    "unbalanced": Case(_SHARES, np.array([0.3, 0.3, 0.4]), 1.0),
}
_ENDS = _MEANS, _MEANS + _MOVES + _SHIFT


def truth_of(case):
    """Shares, means and the exact plan, by public functions alone."""
    from skgmmot.transport import mw2_plan

    ends, shares = _ENDS, (case.source, case.target)
    spread = [w @ np.square(m - w @ m) + 1.0 for w, m in zip(shares, ends, strict=True)]
    roots = np.sqrt(2 * 0.5 * (spread[0] + spread[1]))  # d times the mean variance
    covariances = np.tile(np.diag(1 / roots**2), (3, 1, 1))
    shift = shares[1] @ ends[1] - shares[0] @ ends[0]
    for _ in range(200):
        pair = [
            (w, m / roots, covariances)
            for w, m in zip(shares, (ends[0] + shift, ends[1]), strict=True)
        ]
        plan = mw2_plan(*pair, reg_m=case.reg_m).coupling
        gaps = ends[1] - ends[0][:, None]
        shift = np.einsum("kl,kld->d", plan, gaps) / plan.sum()
    return {
        "shares": np.concatenate(shares),
        "means": np.concatenate([m.ravel() for m in ends]),
        "coupling, moved": plan[plan > 1e-9],
        "coupling, none": plan[plan <= 1e-9],
    }, plan > 1e-9


def samples(case, n, rng):
    """Rows of both domains, and their labels."""
    from skgmmot.datasets import stack_domains

    rows = []
    for share, means in (
        (case.source, _MEANS),
        (case.target, _MEANS + _MOVES + _SHIFT),
    ):
        labels = rng.choice(3, n, p=share)
        rows.append(means[labels] + rng.standard_normal((n, 2)))
    return stack_domains(*rows)


def fitted(case, X, sample_domain):
    """A fit whose components stand in the order of the truth."""
    from skgmmot import CoupledGaussianMixture

    starts = [
        (share, means, np.tile(np.eye(2), (3, 1, 1)))
        for share, means in zip((case.source, case.target), _ENDS, strict=True)
    ]
    fit = CoupledGaussianMixture(
        3, reg_m=case.reg_m, source_init=starts[0], target_init=starts[1], n_jobs=1
    )
    return fit.fit(X, sample_domain=sample_domain)


def arranged(weights, means, coupling, moved):
    """Entries by the names of `truth_of`; arrays may have leading axes."""
    flat = [m.reshape(*m.shape[:-2], -1) for m in means]
    return {
        "shares": np.concatenate(weights, axis=-1),
        "means": np.concatenate(flat, axis=-1),
        "coupling, moved": coupling[..., moved],
        "coupling, none": coupling[..., ~moved],
    }


def arranged_intervals(record, moved):
    """The intervals of a bootstrap, arranged."""
    parts = record.intervals
    weights = parts["source_weights"], parts["target_weights"]
    means = parts["source_means"], parts["target_means"]
    return arranged(weights, means, parts["coupling"], moved)


def arranged_fit(fit, moved):
    """What a fit found, arranged."""
    weights = fit.source_.weights_, fit.target_.weights_
    means = fit.source_.means_, fit.target_.means_
    return arranged(weights, means, fit.coupling_, moved)


def held(intervals, truth):
    """Which entries lie within their intervals."""
    return {
        name: (low - _LEAST <= truth[name]) & (truth[name] <= high + _LEAST)
        for name, (low, high) in intervals.items()
    }


def coverage(case, n, n_sets, n_bootstraps):
    """Coverage of each name: plain, limit, debiased."""
    truth, moved = truth_of(case)
    limit = arranged_fit(
        fitted(case, *samples(case, _MANY, np.random.default_rng(10**6))), moved
    )
    found = {name: [] for name in ("plain", "limit", "debiased")}
    for seed in range(n_sets):
        X, sample_domain = samples(case, n, np.random.default_rng(seed))
        fit = fitted(case, X, sample_domain)
        record = fit.bootstrap(
            X,
            sample_domain=sample_domain,
            n_bootstraps=n_bootstraps,
            confidence_level=LEVEL,
            random_state=seed,
            n_jobs=1,
        )
        plain = arranged_intervals(record, moved)
        found["plain"].append(held(plain, truth))
        found["limit"].append(held(plain, limit))
        debiased = arranged_intervals(record.debiased, moved)
        found["debiased"].append(held(debiased, truth))
    return {
        how: {name: 100 * np.mean([one[name] for one in sets]) for name in truth}
        for how, sets in found.items()
    }


def rows(cases, numbers, n_sets, n_bootstraps):
    """Rows of the table."""
    for case_name in cases:
        case = CASES[case_name]
        for n in numbers:
            result = coverage(case, n, n_sets, n_bootstraps)
            for how, parts in result.items():
                yield [case_name, n, how, *(f"{part:.1f}" for part in parts.values())]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=300, help="data sets of each case")
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--draws", type=int, default=200, help="draws of a bootstrap")
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=list(CASES))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    header = [
        "case",
        "rows a sample",
        "intervals",
        "shares",
        "means",
        "moved",
        "none",
    ]
    settings = arguments.case, arguments.rows, arguments.sets, arguments.draws
    print(table(header, list(rows(*settings))))


if __name__ == "__main__":
    main()
