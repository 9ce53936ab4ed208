"""align="linear": maps of pairs are drawn to the one they share, by what may be noise."""

import numpy as np
import pytest
import reference
from sklearn.base import clone

import skgmmot.estimators._transfer as transfer
from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.datasets import stack_domains

MATRIX = np.array([[1.4, 0.5], [-0.2, 0.7]])
CENTRES = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])


def clusters(rng, n, apart=1.0, moved=None):
    """Rows of three clusters and the image of others of the same kind; their labels."""
    sides = []
    for by in (np.zeros((3, 2)), np.zeros((3, 2)) if moved is None else moved):
        labels = rng.integers(3, size=n)
        sides += [(apart * CENTRES + by)[labels] + rng.standard_normal((n, 2)), labels]
    sides[2] = sides[2] @ MATRIX.T + [7.0, -3.0]
    return sides


def without(monkeypatch):
    """Let pairs have the maps of their own."""

    def alone(*args):
        return tuple(x._replace(shares=0.0 * x.shares) for x in common(*args))

    common = transfer.common_maps
    monkeypatch.setattr(transfer, "common_maps", alone)


def plain(n_components=3):
    return SparseGaussianMixture(n_components, sparsity=0.0, random_state=0)


@pytest.fixture(name="fitted")
def fixture_fitted():
    X0, _, X1, _ = clusters(np.random.default_rng(0), 150)
    X, sample_domain = stack_domains(X0, X1)
    mover = GMMOTTransformer(plain(), align="linear", reg=0.3)
    return mover.fit(X, sample_domain=sample_domain), X0, X1


def seen_ends(mover, n):
    """Means and drawn covariances of both sides where they are compared."""
    (linear, shift), units = mover.alignment_, np.sqrt(mover.cost_scale_)
    ends = []
    for side, matrix, by in (
        (mover.source_, linear, shift), (mover.target_, np.eye(2), 0.0),
    ):  # fmt: skip
        matrix = matrix / units[:, None]
        covariances = np.array([matrix @ c @ matrix.T for c in side.covariances_])
        ends.append([side.weights_, side.means_ @ matrix.T + by / units, covariances])
    common = 0.5 * sum(np.einsum("k,kij->ij", w, c) for w, _, c in ends)
    for end in ends:
        end[2] = reference.shrunk_covariances(end[2], common, n * end[0])
    return ends


@pytest.mark.parametrize("forward", [True, False])
def test_rows_move_as_the_reference_says(fitted, forward):
    mover, X0, X1 = fitted
    n = len(X0)
    (weights0, means0, left), (weights1, means1, entered) = seen_ends(mover, n)
    (linear, shift), units = mover.alignment_, np.sqrt(mover.cost_scale_)
    X = X0 if forward else X1
    seen = (X @ linear.T + shift if forward else X) / units
    coupling = mover.coupling_ if forward else mover.coupling_.T
    posteriors = (mover.source_ if forward else mover.target_).predict_proba(X)
    moved, shares = np.zeros(X.shape), []
    for k, j in np.ndindex(mover.coupling_.shape):
        common, share = reference.common_share(
            left, entered, (weights0, weights1), (k, j), means1[j] - means0[k],
            (n * weights0[k], n * weights1[j]),
        )  # fmt: skip
        pair, here, there, c = (left[k], entered[j]), means0[k], means1[j], k
        if not forward:
            pair, here, there, c = pair[::-1], there, here, j
            common = np.linalg.inv(common)
        own = there + (seen - here) @ reference.linear_map(*pair).T
        shared = here + (seen - here) @ common.T
        chance = coupling[c, j if forward else k] / coupling[c].sum()
        mixed = share * shared + (1.0 - share) * own
        moved += posteriors[:, [c]] * chance * mixed
        shares.append(share)
    assert max(shares) > 0.3
    assert min(shares) < 0.1
    moved *= units
    if not forward:
        moved = np.linalg.solve(linear, (moved - shift).T).T
    found = mover.transform(X) if forward else mover.inverse_transform(X)
    np.testing.assert_allclose(found, moved, atol=1e-8)


@pytest.mark.parametrize("apart", [0.6, 1.0])
def test_where_one_linear_map_moves_all_rows_they_move_nearer_to_it(monkeypatch, apart):
    errors = []
    for seed in range(12):
        X0, _, X1, _ = clusters(np.random.default_rng(seed), 120, apart)
        X, sample_domain = stack_domains(X0, X1)
        truth = X0 @ MATRIX.T + [7.0, -3.0]
        estimator = CoupledGaussianMixture(3, align="linear", random_state=0)
        row = []
        for patched in (False, True):
            with monkeypatch.context() as context:
                if patched:
                    without(context)
                mover = clone(GMMOTTransformer(estimator))
                mover.fit(X, sample_domain=sample_domain)
                row.append(np.square(mover.transform(X0) - truth).mean())
        errors.append(row)
    drawn, alone = np.mean(errors, axis=0)
    assert drawn < 0.95 * alone


@pytest.mark.parametrize("estimator", ["coupled", "plain"])
def test_clusters_that_move_by_themselves_are_moved(estimator):
    by = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])
    X0, y0, X1, y1 = clusters(np.random.default_rng(0), 3000, 2.0, by)
    X, sample_domain = stack_domains(X0, X1)
    mover = GMMOTTransformer(
        plain() if estimator == "plain" else None, align="linear", random_state=0
    )
    moved = mover.fit(X, sample_domain=sample_domain).transform(X0)
    for k in range(3):
        found, wanted = moved[y0 == k].mean(axis=0), X1[y1 == k].mean(axis=0)
        np.testing.assert_allclose(found, wanted, atol=0.15)


@pytest.mark.parametrize("factor", [1.0, 2.0**10])
def test_units_and_shifts_of_both_sides_move_with_the_rows(fitted, factor):
    mover, X0, X1 = fitted
    units, by = np.array([factor, 1.0 / factor]), np.array([64.0, -32.0])
    X, sample_domain = stack_domains(X0 * units + by, X1 * units - by)
    other = clone(mover).fit(X, sample_domain=sample_domain)
    np.testing.assert_allclose(
        (other.transform(X0 * units + by) + by) / units,
        mover.transform(X0),
        atol=1e-6,
    )


def test_one_component_and_other_alignments_are_as_they_were(monkeypatch):
    X0, _, X1, _ = clusters(np.random.default_rng(1), 60)
    X, sample_domain = stack_domains(X0, X1)
    movers = [
        GMMOTTransformer(plain(1), align="linear"),
        GMMOTTransformer(plain(), align="shift"),
        GMMOTTransformer(plain(), align="scale"),
        GMMOTTransformer(plain(), align=None),
    ]
    drawn = [m.fit(X, sample_domain=sample_domain).transform(X0) for m in movers]
    without(monkeypatch)
    for mover, moved in zip(movers, drawn, strict=True):
        alone = mover.fit(X, sample_domain=sample_domain).transform(X0)
        np.testing.assert_allclose(moved, alone, atol=1e-8)


def test_known_mixtures_keep_the_maps_of_their_pairs(fitted, monkeypatch):
    mover, X0, _ = fitted
    ends = mover.source_, mover.target_
    moved = GMMOTTransformer.from_mixtures(*ends, align="linear").transform(X0)
    without(monkeypatch)
    other = GMMOTTransformer.from_mixtures(*ends, align="linear").transform(X0)
    np.testing.assert_array_equal(moved, other)
