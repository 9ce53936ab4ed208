"""The linear system of a Newton step in the potentials of all marginals.

A sample bends the objective in its marginals s by the inverse of a compliance

    diag(d) + E N E^T,  E = (diag(e_link) of its links), N of size K;

with a new unknown y = N E^T p of each sample the system is as sparse as the links are,
and a tree of them is solved in time that grows as their number.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from skgmmot.mixture.coupled._graph_problem import GraphNodes, GraphProblem

LEAST_CURVATURE = 1e-8  # of entries that have none
_KEPT_CURVATURE = 0.1  # of the data, whatever the entropy takes away
_DENSE = 100  # marginals up to which the dense system is the faster one


class Compliance(NamedTuple):
    """How far the marginals of samples follow their potentials."""

    own: np.ndarray  # d: (g, m, K)
    arms: np.ndarray  # e: (g, m, K)
    joint: np.ndarray | None  # N: (g, K, K); None: of frozen samples


class Curves(NamedTuple):
    """Of the objective in the marginals."""

    slopes: np.ndarray  # (S,)
    compliances: list[Compliance]  # one for each stack of samples
    missing: np.ndarray  # (S,) by how much marginals miss what they should be


def node_weights(
    problem: GraphProblem, nodes: GraphNodes, marginals: np.ndarray
) -> np.ndarray:
    """Best weights (g, K) for given marginals: these, or a mean of them and counts."""
    if not nodes.free:
        return nodes.fixed
    weights = marginals[nodes.marginals]
    if problem.penalty.size > 0:
        both = (problem.penalty + problem.entropy)[nodes.marginals]
        weights = nodes.counts + (both * weights).sum(axis=1)
    else:
        weights = weights.mean(axis=1)
    return weights / weights.sum(axis=1, keepdims=True)


def curves_at(problem: GraphProblem, marginals: np.ndarray) -> Curves:
    """Slopes and compliances at given marginals."""
    size = len(marginals)
    curves = Curves(np.empty(size), [], np.zeros(size))
    fill = _balanced if problem.penalty.size == 0 else _penalised
    for nodes in problem.nodes:
        curves.compliances.append(fill(problem, nodes, marginals, curves))
    return curves


def _balanced(
    problem: GraphProblem, nodes: GraphNodes, marginals: np.ndarray, curves: Curves
) -> Compliance:
    places, entropy = nodes.marginals, problem.entropy[nodes.marginals]
    none = np.zeros(places.shape)
    if not nodes.free:
        fixed = nodes.fixed[:, None]
        curves.slopes[places] = -entropy * np.log(fixed)
        curves.missing[places] = fixed - marginals[places]
        return Compliance(none, none, None)
    # One vector of weights, which all the marginals follow: slopes are shared out.
    w, total = marginals[places].mean(axis=1), entropy.sum(axis=1)
    n = nodes.counts
    curves.slopes[places] = ((-n / w - total * np.log(w)) / places.shape[1])[:, None]
    curves.missing[places] = w[:, None] - marginals[places]
    bend = np.maximum(n - total * w, _KEPT_CURVATURE * n)
    compliance = w**2 / bend
    joint = compliance[:, :, None] * np.eye(w.shape[1])
    for g in np.flatnonzero(nodes.holds_mass):
        c = compliance[g]
        joint[g] -= np.outer(c, c) / c.sum()
        curves.missing[places[g]] += (1 - w[g].sum()) * c / c.sum()
    return Compliance(none, np.ones(places.shape), joint)


def _penalised(
    problem: GraphProblem, nodes: GraphNodes, marginals: np.ndarray, curves: Curves
) -> Compliance:
    places = nodes.marginals
    penalty, s = problem.penalty[places], marginals[places]
    both = penalty + problem.entropy[places]
    log_w = np.log(node_weights(problem, nodes, marginals))
    curves.slopes[places] = penalty * np.log(s) - both * log_w[:, None]
    own = s / penalty
    if not nodes.free:
        return Compliance(own, np.zeros(places.shape), None)
    # diag(penalty / s) - b b^T / c of each component, and 1 1^T / sum c over all.
    c = nodes.counts + (both * s).sum(axis=1)
    arms = both * own
    taken = (both * arms).sum(axis=1)
    left = np.maximum(c - taken, _KEPT_CURVATURE * nodes.counts)
    image = 1 + taken / left
    size = c.sum(axis=1) + (taken * image).sum(axis=1)
    joint = (1 / left)[:, :, None] * np.eye(c.shape[1])
    joint -= image[:, :, None] * image[:, None, :] / size[:, None, None]
    return Compliance(own, arms, joint)


def potentials(
    problem: GraphProblem, curves: Curves, mobility: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """Solve the system for entries of given mobility (N,)."""
    diagonal = problem.sums(mobility)
    for nodes, bend in zip(problem.nodes, curves.compliances, strict=True):
        diagonal[nodes.marginals] += bend.own
    diagonal[problem.grounded] += diagonal.mean()
    if len(right) > _DENSE:
        try:
            return _sparse(problem, curves, mobility, diagonal, right)
        except RuntimeError:  # exactly singular
            pass
    return _dense(problem, curves, mobility, diagonal, right)


def _dense(
    problem: GraphProblem,
    curves: Curves,
    mobility: np.ndarray,
    diagonal: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    system = np.diag(diagonal)
    system[problem.first, problem.second] += mobility
    system[problem.second, problem.first] += mobility
    for nodes, (_, arms, joint) in zip(problem.nodes, curves.compliances, strict=True):
        if joint is None:
            continue
        g, m, k = arms.shape
        blocks = arms[:, :, :, None, None] * joint[:, None, :, None, :]
        blocks = blocks * arms[:, None, None, :, :]
        places = nodes.marginals.reshape(g, m * k)
        system[places[:, :, None], places[:, None, :]] += blocks.reshape(
            g, m * k, m * k
        )
    try:
        return np.linalg.solve(system, right)
    except np.linalg.LinAlgError:  # plans so sparse that some potentials float
        return np.linalg.lstsq(system, right)[0]


def _sparse(
    problem: GraphProblem,
    curves: Curves,
    mobility: np.ndarray,
    diagonal: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    pattern = problem.pattern
    values = [diagonal, mobility, mobility]
    for _, arms, joint in curves.compliances:
        if joint is not None:
            ones = np.ones(joint.shape[0] * joint.shape[1])
            values += [(arms[..., None] * joint[:, None]).ravel(), -arms.ravel(), ones]
    n = len(pattern.starts) - 1
    entries = np.concatenate(values)[pattern.order]
    matrix = csc_array((entries, pattern.rows, pattern.starts), shape=(n, n))
    full = np.zeros(n)
    full[: len(right)] = right
    return splu(matrix).solve(full)[: len(right)]
