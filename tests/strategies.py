"""Hypothesis strategies that draw a problem, and where it is known its answer."""

import numpy as np
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)
dimensions = st.integers(1, 5)
counts = st.integers(1, 5)


def spd_stack(rng, n, d, condition=100.0):
    """Rotations times bounded eigenvalues: SPD matrices of bounded condition."""
    rotations = np.linalg.qr(rng.standard_normal((n, d, d)))[0]
    values = condition ** rng.uniform(-0.5, 0.5, (n, 1, d))
    return symmetric((rotations * values) @ rotations.swapaxes(1, 2))


def symmetric(matrices):
    """The symmetric part."""
    return 0.5 * (matrices + matrices.swapaxes(-1, -2))


def random_mixture(rng, n, d, spread=2.0):
    """A mixture in general position, as a tuple."""
    weights = rng.dirichlet(np.full(n, 3.0))
    return weights, spread * rng.standard_normal((n, d)), spd_stack(rng, n, d)


@st.composite
def spd_pairs(draw):
    """Two stacks of SPD matrices of one dimension."""
    rng, d = np.random.default_rng(draw(seeds)), draw(dimensions)
    return spd_stack(rng, draw(counts), d), spd_stack(rng, draw(counts), d)


@st.composite
def mixtures(draw, d=None):
    """One mixture."""
    rng = np.random.default_rng(draw(seeds))
    return random_mixture(rng, draw(counts), d or draw(dimensions))


@st.composite
def mixture_pairs(draw, max_components=5, max_dimension=5):
    """Two mixtures of one dimension, numbers of components drawn for each."""
    rng, d = np.random.default_rng(draw(seeds)), draw(st.integers(1, max_dimension))
    sizes = st.integers(1, max_components)
    return random_mixture(rng, draw(sizes), d), random_mixture(rng, draw(sizes), d)


@st.composite
def permuted_pairs(draw):
    """A pair whose plan is a known permutation: (source, target, order).

    Component k of the source is component order[k] of the target, moved by little
    compared with the distances between components.
    """
    rng, d, n = np.random.default_rng(draw(seeds)), draw(dimensions), draw(counts)
    weights, means, covariances = random_mixture(rng, n, d)
    means[:, 0] = 100.0 * np.arange(n)
    order = rng.permutation(n)
    inverse = np.argsort(order)
    moved = means + rng.uniform(-1.0, 1.0, means.shape)
    others = spd_stack(rng, n, d)
    target = weights[inverse], moved[inverse], others[inverse]
    return (weights, means, covariances), target, order


@st.composite
def programmes(draw):
    """(costs, a, b) with positive weights of sum 1 and costs of order 1."""
    rng = np.random.default_rng(draw(seeds))
    k0, k1 = draw(counts), draw(counts)
    a, b = rng.dirichlet(np.ones(k0)), rng.dirichlet(np.ones(k1))
    if draw(st.booleans()):
        a, b = np.full(k0, 1.0 / k0), np.full(k1, 1.0 / k1)
    points, others = rng.standard_normal((k0, 2)), rng.standard_normal((k1, 2))
    return ((points[:, None] - others) ** 2).sum(axis=2), a, b
