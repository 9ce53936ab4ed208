"""align="linear": maps of pairs are drawn to the one they share, by their noise."""

import numpy as np
import pytest
import reference
from sklearn.base import clone

import skgmmot.estimators._transfer as transfer
from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.datasets import stack_domains

D = 4
MATRIX = np.diag([1.4, 0.7, 1.0, 1.2]) + 0.2 * np.eye(D)[::-1]
CENTRES = 4.0 * np.eye(3, D)
SHIFT = np.array([7.0, -3.0, 0.0, 1.0])


def clusters(rng, n, apart=1.0, moved=None):
    """Rows of three clusters and the image of others of the same kind; their labels."""
    sides = []
    for by in (np.zeros((3, D)), np.zeros((3, D)) if moved is None else moved):
        labels = rng.integers(3, size=n)
        sides += [(apart * CENTRES + by)[labels] + rng.standard_normal((n, D)), labels]
    sides[2] = sides[2] @ MATRIX.T + SHIFT
    return sides


def without(monkeypatch):
    """Let pairs have the maps of their own."""

    def alone(*args):
        none = np.zeros(args[2].shape)
        return tuple(
            x._replace(of_means=table, of_slopes=table)
            for x, table in zip(common(*args), (none, none.T), strict=True)
        )

    common = transfer.common_maps
    monkeypatch.setattr(transfer, "common_maps", alone)


def plain(n_components=3):
    return SparseGaussianMixture(
        n_components, sparsity=0.0, reg_covar=0.0, random_state=0
    )


@pytest.fixture(name="fitted")
def fixture_fitted():
    X0, _, X1, y1 = clusters(np.random.default_rng(0), 150)
    centre = X1[y1 == 0].mean(axis=0)
    X1[y1 == 0] = centre + (X1[y1 == 0] - centre) * [2.0, 1.0, 1.0, 0.4]
    X, sample_domain = stack_domains(X0, X1)
    mover = GMMOTTransformer(plain(), align="linear", reg=0.3)
    return mover.fit(X, sample_domain=sample_domain), X0, X1


def seen_ends(mover, n):
    """Means and drawn covariances of both sides where they are compared."""
    (linear, shift), units = mover.alignment_, np.sqrt(mover.cost_scale_)
    ends = []
    for side, matrix, by in (
        (mover.source_, linear, shift), (mover.target_, np.eye(D), 0.0),
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
        common, *both = reference.common_shares(
            left, entered, (weights0, weights1), (k, j), means1[j] - means0[k],
            (n * weights0[k], n * weights1[j]),
        )  # fmt: skip
        pair, here, there, c = (left[k], entered[j]), means0[k], means1[j], k
        if not forward:
            pair, here, there, c = pair[::-1], there, here, j
            common = np.linalg.inv(common)
        placed = both[0] * here + (1.0 - both[0]) * there
        linear_part = both[1] * common
        linear_part += (1.0 - both[1]) * reference.linear_map(*pair)
        chance = coupling[c, j if forward else k] / coupling[c].sum()
        mixed = placed + (seen - here) @ linear_part.T
        moved += posteriors[:, [c]] * chance * mixed
        shares.append(both)
    assert (np.max(shares, axis=0) > 0.2).all()
    assert (np.min(shares, axis=0) < 0.5).all()
    moved *= units
    if not forward:
        moved = np.linalg.solve(linear, (moved - shift).T).T
    found = mover.transform(X) if forward else mover.inverse_transform(X)
    np.testing.assert_allclose(found, moved, atol=1e-8)


def moved_both_ways(monkeypatch, estimator, X0, X1):
    """Source rows moved, and moved by maps of pairs that are not drawn."""
    X, sample_domain = stack_domains(X0, X1)
    mover = GMMOTTransformer(estimator, align="linear", random_state=0)
    drawn = mover.fit(X, sample_domain=sample_domain).transform(X0)
    with monkeypatch.context() as context:
        without(context)
        alone = mover.fit(X, sample_domain=sample_domain).transform(X0)
    return drawn, alone


def test_where_one_linear_map_moves_overlapping_groups_rows_come_nearer(monkeypatch):
    errors = []
    for seed in range(8):
        X0, _, X1, _ = clusters(np.random.default_rng(seed), 120, 0.6)
        estimator = CoupledGaussianMixture(3, align="linear")
        moved = moved_both_ways(monkeypatch, estimator, X0, X1)
        truth = X0 @ MATRIX.T + SHIFT
        errors.append([np.square(rows - truth).mean() for rows in moved])
    drawn, alone = np.mean(errors, axis=0)
    assert drawn < 0.9 * alone


@pytest.mark.parametrize("estimator", ["coupled", "plain"])
def test_clusters_that_move_by_themselves_are_moved(monkeypatch, estimator):
    by = 2.0 * np.eye(3, D, k=1)
    X0, y0, X1, _ = clusters(np.random.default_rng(0), 3000, 2.0, by)
    estimator = plain() if estimator == "plain" else None
    drawn, alone = moved_both_ways(monkeypatch, estimator, X0, X1)
    for k in range(3):
        gap = (drawn - alone)[y0 == k].mean(axis=0)
        assert np.linalg.norm(gap) < 0.02 * 2.0


@pytest.mark.parametrize("factor", [1.0, 2.0**10])
def test_units_and_shifts_of_both_sides_move_with_the_rows(fitted, factor):
    mover, X0, X1 = fitted
    units = np.array([factor, 1.0 / factor, 1.0, factor])
    by = np.array([64.0, -32.0, 0.0, 16.0])
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
