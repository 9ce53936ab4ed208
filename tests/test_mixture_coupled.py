"""The M-step of the coupled mixture: it raises Q, and ends where Q is stationary."""

import warnings
from typing import NamedTuple

import numpy as np
import pytest
import reference_coupled as reference
from numpy.testing import assert_allclose, assert_array_equal

from skgmmot.linalg._covariances import Diag, Full
from skgmmot.mixture._em import Parameters
from skgmmot.mixture.coupled._links import (
    LinkFrame,
    LinkTerm,
    compare,
    coupling_matrix,
    pull,
)
from skgmmot.mixture.coupled._m_step import m_step, total_transport, transport_plans
from skgmmot.mixture.coupled._newton import newton_step, whiten_moments
from skgmmot.mixture.coupled._records import (
    AffineMaps,
    CoupledProblem,
    Link,
    SampleMoments,
    StackedMoments,
    parameters_of,
)
from skgmmot.transport._programme import (
    TransportProgramme,
    evaluate,
    solve_programme,
)

REGS = [0.0, 1e-3, 1e-1]
REG_MS = [None, (0.1, 0.1), (10.0, 10.0)]
FROZEN = [(False, False), (True, False), (False, True)]
FREE = FROZEN[0]
SEEDS = range(40)
PLAIN = LinkFrame(slice(None), 2, 1.0, 1.0)  # of two and three components


class Case(NamedTuple):
    """One random M-step."""

    moments: tuple
    sides: tuple
    problem: CoupledProblem

    @property
    def arguments(self):
        """Arguments of `m_step`."""
        return self.moments, self.sides, self.problem


def random_covariances(rng, k, d, diagonal):
    values = np.exp(rng.uniform(-1, 1, (k, d)))
    if diagonal:
        return values
    vectors = np.linalg.qr(rng.standard_normal((k, d, d)))[0]
    return (vectors * values[:, None]) @ np.swapaxes(vectors, 1, 2)


def random_case(seed, diagonal=False, spread=None, **changes):
    """K 1 to 5, d 1 to 6, costs from 1e-3 to 1e3, every kind of programme."""
    rng = np.random.default_rng(seed)
    sizes, d = rng.integers(1, 6, 2), rng.integers(1, 7)
    drawn = 10 ** rng.uniform(-1.5, 1.5)
    spread = drawn if spread is None else spread
    kind = Diag if diagonal else Full
    moments, sides = [], []
    for k in sizes:
        covariances = spread**2 * random_covariances(rng, k, d, diagonal)
        scatters = spread**2 * random_covariances(rng, k, d, diagonal)
        means = spread * rng.standard_normal((2, k, d))
        moments.append(
            SampleMoments(rng.dirichlet(np.full(k, 2.0)), means[0], scatters)
        )
        weights = rng.dirichlet(np.full(k, 2.0))
        sides.append(parameters_of(kind, weights, means[1], covariances))
    problem = CoupledProblem(
        kind,
        (Link(0, 1),),
        transport_weight=10 ** rng.uniform(-3, 0.5),
        reg=REGS[rng.integers(3)],
        reg_m=REG_MS[rng.integers(3)],
        frozen=FROZEN[rng.integers(3)],
    )
    return Case(tuple(moments), tuple(sides), problem._replace(**changes))


def dense(side):
    """Triple of a side, its covariances as matrices."""
    covariances = side.covariances
    if covariances.ndim == 2:
        covariances = np.array([np.diag(row) for row in covariances])
    return side.weights, side.means, covariances


def likelihood_part(moments, side):
    """Expected mean log-likelihood of a domain, up to a constant."""
    scatters = dense(Parameters(None, None, moments.scatters, None))[2]
    value = 0.0
    for n, x, scatter, w, m, cov in zip(
        moments.counts, moments.means, scatters, *dense(side), strict=True
    ):
        second = scatter + np.outer(x - m, x - m)
        log_det = np.linalg.slogdet(cov)[1]
        value += n * (
            np.log(w) - 0.5 * (log_det + np.trace(np.linalg.solve(cov, second)))
        )
    return value


def q_value(case, sides, transport):
    """Q of the M-step."""
    likelihoods = map(likelihood_part, case.moments, sides)
    return sum(likelihoods) - case.problem.transport_weight * transport


def objective_at(case, sides):
    """Q with a transport programme solved from nothing."""
    with warnings.catch_warnings():
        # A tiny reg is left out there, and says so.
        warnings.simplefilter("ignore", UserWarning)
        plans = [found.plan for found in transport_plans(sides, case.problem)]
    values = [plan.value for plan in plans]
    return q_value(case, sides, total_transport(case.problem, values))


def repeat(case, n_steps, **changes):
    """M-steps on the same moments: sides, state, Q after every step."""
    problem = case.problem._replace(**changes)
    sides, state, values = case.sides, None, [objective_at(case, case.sides)]
    for _ in range(n_steps):
        sides, state = m_step(case.moments, sides, problem, state)
        values.append(q_value(case, sides, state.transport))
    return sides, state, np.array(values)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_q_never_falls(seed, diagonal):
    case = random_case(seed, diagonal)
    *_, values = repeat(case, 4)
    assert np.diff(values).min() >= -1e-9 * (1 + np.abs(values).max())


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("reg_m", REG_MS)
@pytest.mark.parametrize("reg", [0.0, 0.1, 0.3])
def test_transport_is_the_programme_solved_afresh(reg, reg_m, frozen):
    case = random_case(7, spread=0.5, reg=reg, reg_m=reg_m, frozen=frozen)
    (source, target), state = m_step(*case.arguments)
    table = reference.costs(dense(source), dense(target))
    assert_allclose(state.plans[0].costs, table, rtol=1e-10, atol=1e-10)
    plan = reference.transport_plan(table, source.weights, target.weights, reg, reg_m)
    value = reference.transport_value(
        plan, table, source.weights, target.weights, reg, reg_m
    )
    assert_allclose(state.transport, value, rtol=1e-7, atol=1e-9)
    ((_, afresh),) = transport_plans((source, target), case.problem)
    assert_allclose(state.transport, afresh.value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("frozen", FROZEN)
def test_transport_weight_0_is_the_plain_m_step(frozen, diagonal):
    case = random_case(3, diagonal, transport_weight=0.0, frozen=frozen, reg_covar=0.01)
    sides, state = m_step(*case.arguments)
    assert state is None
    for stays, found, moments, old in zip(
        frozen, sides, case.moments, case.sides, strict=True
    ):
        if stays:
            for new_part, old_part in zip(found, old, strict=True):
                assert_array_equal(new_part, old_part)
            continue
        ridge = 0.01 if diagonal else 0.01 * np.eye(moments.means.shape[1])
        assert_allclose(found.weights, moments.counts, rtol=1e-12)
        assert_allclose(found.means, moments.means, rtol=1e-12, atol=1e-12)
        assert_allclose(
            found.covariances, moments.scatters + ridge, rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("reg_m", REG_MS)
def test_small_transport_weight_is_near_the_plain_m_step(reg_m):
    case = random_case(3, spread=1.0, reg_m=reg_m, frozen=FREE, transport_weight=1e-9)
    sides, _, _ = repeat(case, 2)
    for found, moments in zip(sides, case.moments, strict=True):
        for part, plain in zip(found[:3], moments, strict=True):
            assert_allclose(part, plain, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("frozen", FROZEN[1:])
def test_a_frozen_side_stays(seed, frozen):
    case = random_case(seed, frozen=frozen)
    sides, _, values = repeat(case, 3)
    side = frozen.index(True)
    for new_part, old_part in zip(sides[side], case.sides[side], strict=True):
        assert_array_equal(new_part, old_part)
    assert values[-1] > values[0]


def moved(side, name, index, step, diagonal):
    """A side with one free number moved; weights by their logits, S stays positive."""
    parts, kind = side._asdict(), Diag if diagonal else Full
    if name == "weights":
        logits = np.log(side.weights)
        logits[index] += step
        parts[name] = np.exp(logits) / np.exp(logits).sum()
    elif name == "covariances" and not diagonal:
        k, i, j = index
        parts[name] = side.covariances.copy()
        parts[name][k, i, j] += step
        if i != j:
            parts[name][k, j, i] += step
    else:
        parts[name] = parts[name].copy()
        parts[name][index] += step
    return parameters_of(kind, *list(parts.values())[:3])


def slopes(case, sides, diagonal):
    """Largest slope of Q in any free number, by central differences.

    In units in which all numbers are of order 1.  The programme is solved afresh at
    every point, so that the plan is followed.
    """
    largest = 0.0
    for s, frozen in enumerate(case.problem.frozen):
        if frozen:
            continue
        for name in ("weights", "means", "covariances"):
            part = getattr(sides[s], name)
            scale = 1.0 if name == "weights" else np.abs(part).max()
            for index in np.ndindex(part.shape):
                values = []
                for step in (1e-5, -1e-5):
                    near = list(sides)
                    near[s] = moved(sides[s], name, index, step * scale, diagonal)
                    values.append(objective_at(case, near))
                largest = max(largest, abs(values[0] - values[1]) / 2e-5)
    return largest


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("reg_m", REG_MS)
@pytest.mark.parametrize("diagonal", [False, True])
def test_ends_where_q_is_stationary(diagonal, reg_m, frozen):
    # Entropy makes the transport cost differentiable in the weights.
    case = random_case(11, diagonal, spread=0.5, reg=0.1, reg_m=reg_m, frozen=frozen)
    sides, _, values = repeat(case, 60, max_sweeps=50, gain_fraction=0.0)
    assert values[-1] - values[-2] < 1e-12
    assert slopes(case, case.sides, diagonal) > 1e-2
    assert slopes(case, sides, diagonal) < 2e-6


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_swapped_sides_swap_the_result(seed, diagonal):
    case = random_case(seed, diagonal)
    problem = case.problem
    swapped = case._replace(
        moments=case.moments[::-1],
        sides=case.sides[::-1],
        problem=problem._replace(
            frozen=problem.frozen[::-1],
            reg_m=None if problem.reg_m is None else problem.reg_m[::-1],
        ),
    )
    converged = {"max_sweeps": 40, "gain_fraction": 0.0}
    _, state, values = repeat(case, 6, **converged)
    _, state_swapped, values_swapped = repeat(swapped, 6, **converged)
    assert_allclose(values, values_swapped, rtol=1e-7)
    costs, costs_swapped = state.plans[0].costs, state_swapped.plans[0].costs
    tolerance = 1e-4 * max(1.0, costs.max())
    assert_allclose(costs, costs_swapped.T, rtol=1e-3, atol=tolerance)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_units_and_origin_do_not_matter(seed, diagonal):
    case = random_case(seed, diagonal)
    unit, shift = 1000.0, 1e4
    moments = tuple(
        m._replace(means=unit * m.means + shift, scatters=unit**2 * m.scatters)
        for m in case.moments
    )
    sides = tuple(
        parameters_of(
            case.problem.kind,
            s.weights,
            unit * s.means + shift,
            unit**2 * s.covariances,
        )
        for s in case.sides
    )
    scaled = Case(
        moments, sides, case.problem._replace(links=(Link(0, 1, metric=unit**2),))
    )
    *_, values = repeat(case, 4)
    *_, values_scaled = repeat(scaled, 4)
    dimensions = case.sides[0].means.shape[1]
    # Either domain's density falls by the volume.
    drop = 2 * dimensions * np.log(unit)
    assert_allclose(values_scaled + drop, values, rtol=1e-6, atol=1e-6)


def test_one_feature_is_the_same_full_and_diagonal():
    case = random_case(5, diagonal=True, frozen=FREE)
    case = Case(
        tuple(m._replace(means=m.means[:, :1], scatters=m.scatters[:, :1])
              for m in case.moments),
        tuple(parameters_of(Diag, s.weights, s.means[:, :1], s.covariances[:, :1])
              for s in case.sides),
        case.problem,
    )  # fmt: skip
    full = case._replace(
        moments=tuple(m._replace(scatters=m.scatters[..., None]) for m in case.moments),
        sides=tuple(
            parameters_of(Full, s.weights, s.means, s.covariances[..., None])
            for s in case.sides
        ),
        problem=case.problem._replace(kind=Full),
    )
    found_sides, wanted_sides = (m_step(*c.arguments)[0] for c in (full, case))
    for found, wanted in zip(found_sides, wanted_sides, strict=True):
        assert_allclose(found.covariances[..., 0], wanted.covariances, rtol=1e-10)
        assert_allclose(found.means, wanted.means, rtol=1e-10, atol=1e-12)


def test_a_strong_coupling_makes_the_components_equal():
    case = random_case(2, spread=1.0, reg=0.0, reg_m=None, frozen=FREE)
    case = case._replace(
        moments=(case.moments[0], case.moments[0]._replace(
            means=case.moments[0].means + 1.0)),
        sides=(case.sides[0], case.sides[0]),
    )  # fmt: skip
    sides, state, _ = repeat(case, 20, transport_weight=1e6)
    assert state.transport < 1e-8
    assert_allclose(sides[0].means, sides[1].means, atol=1e-4)


def test_an_empty_component_is_kept_finite():
    case = random_case(8, spread=1.0, frozen=FREE, reg_covar=1e-6)
    first = case.moments[0]
    counts = np.zeros_like(first.counts)
    counts[0] = 1.0
    case = case._replace(moments=(first._replace(counts=counts), case.moments[1]))
    sides, state, values = repeat(case, 3)
    assert np.isfinite(values).all()
    assert all(np.isfinite(part).all() for side in sides for part in side)
    assert np.isfinite(state.plans[0].coupling).all()


@pytest.mark.parametrize("transport_weight", [0.0, 0.1])
def test_singular_scatter_is_refused(transport_weight):
    case = random_case(8, frozen=FREE, transport_weight=transport_weight)
    first = case.moments[0]
    flat = first._replace(scatters=np.zeros_like(first.scatters))
    case = case._replace(moments=(flat, case.moments[1]))
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        m_step(*case.arguments)
    # A frozen side is not fitted.
    problem = case.problem._replace(frozen=(True, False))
    (_, target), _ = m_step(case.moments, case.sides, problem)
    assert np.isfinite(target.means).all()


# The blocks of a sweep.


def weight_problem(rng, sizes, w, reg, reg_m, frozen):
    counts = [rng.dirichlet(np.full(k, 2.0)) for k in sizes]
    free = 1.0 - np.repeat(frozen, sizes)
    drawn = np.concatenate([rng.dirichlet(np.full(k, 2.0)) for k in sizes])
    pair = (np.inf, np.inf) if reg_m is None else reg_m
    penalties = np.repeat(w * np.asarray(pair), sizes)
    return TransportProgramme(
        w * reg, penalties, np.concatenate(counts), (1 - free) * drawn, free, sizes[0]
    )


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("reg_m", REG_MS)
@pytest.mark.parametrize("reg", REGS)
@pytest.mark.parametrize("level", [1e-3, 1.0, 1e3])
def test_no_other_plan_is_better(level, reg, reg_m, frozen):
    w = 0.3
    rng = np.random.default_rng(0)
    problem = weight_problem(rng, (3, 4), w, reg, reg_m, frozen)
    costs = w * level * rng.random((3, 4))
    best = solve_programme(problem, costs)
    assert best.plan.min() >= 0
    k0 = problem.k0
    if reg_m is None:
        assert_allclose(best.plan.sum(1), best.weights[:k0], atol=1e-12)
        assert_allclose(best.plan.sum(0), best.weights[k0:], atol=1e-12)
    # The programme is convex here: a minimum against small moves is the minimum.
    for _ in range(200):
        noise = np.exp(10 ** rng.uniform(-4, 0) * rng.standard_normal((3, 4)))
        plan = best.plan * noise
        if reg_m is None and frozen == (True, False):
            plan *= (problem.fixed[:k0] / plan.sum(1))[:, None]
        elif reg_m is None and frozen == (False, True):
            plan *= problem.fixed[k0:] / plan.sum(0)
        elif reg_m is None:
            plan /= plan.sum()
        other = evaluate(problem, costs, plan, plan)
        assert other.loss >= best.loss - 1e-10 * (1 + abs(best.loss))


@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("reg_m", REG_MS)
@pytest.mark.parametrize("reg", REGS)
def test_warm_and_cold_plans_agree(reg, reg_m, frozen):
    w = 0.3
    rng = np.random.default_rng(1)
    problem = weight_problem(rng, (4, 3), w, reg, reg_m, frozen)
    costs = w * rng.random((4, 3))
    start = solve_programme(problem, costs)
    for change in (1e-3, 0.1, 10.0):
        near = costs * (1 + change * rng.random((4, 3)))
        warm = solve_programme(problem, near, start[:2])
        assert_allclose(warm.loss, solve_programme(problem, near).loss, atol=1e-9)


def random_stack(rng, blocks, k, p):
    factors = np.linalg.svd(rng.standard_normal((blocks, k, p, p)))[0]
    factors = factors * np.exp(rng.uniform(-0.5, 0.5, (blocks, k, 1, p)))
    return AffineMaps(factors, rng.standard_normal((blocks, k, p)))


@pytest.mark.parametrize(("blocks", "p"), [(1, 3), (4, 1)])
def test_coupling_matrix_is_the_transport_cost(blocks, p):
    rng = np.random.default_rng(2)
    stack = random_stack(rng, blocks, 5, p)
    if p == 1:
        stack = stack._replace(factors=np.abs(stack.factors))
    plan = rng.random((2, 3))
    compared = compare(stack, PLAIN)
    turned, costs = compared.rotations, compared.costs()
    term = LinkTerm(PLAIN, coupling_matrix(plan, turned))
    wide = np.concatenate([stack.factors, stack.means[..., None]], axis=-1)
    value = 0.5 * np.sum(pull(wide, [term]) * wide)
    assert_allclose(value, np.sum(plan * costs), rtol=1e-12)


def test_costs_are_those_of_the_slow_truth():
    rng = np.random.default_rng(4)
    stack = random_stack(rng, 1, 5, 3)
    covariances = stack.factors[0] @ np.swapaxes(stack.factors[0], 1, 2)
    sides = [
        (None, stack.means[0][part], covariances[part])
        for part in (slice(None, 2), slice(2, None))
    ]
    table = reference.costs(*(([1] * len(s[1]), *s[1:]) for s in sides))
    assert_allclose(compare(stack, PLAIN).costs(), table, rtol=1e-10)


@pytest.mark.parametrize(("blocks", "p"), [(1, 3), (4, 1)])
def test_newton_steps_end_at_a_stationary_point(blocks, p):
    rng = np.random.default_rng(3)
    stack = random_stack(rng, blocks, 5, p)
    if p == 1:
        stack = stack._replace(factors=np.abs(stack.factors))
    far = random_stack(rng, blocks, 5, p)
    moments = StackedMoments(
        np.full(5, 0.4),
        far.means,
        far.factors @ np.swapaxes(far.factors, -1, -2),
        np.array([True, True, True, True, False]),
        None,
    )
    plan = rng.random((2, 3))
    losses, expected = [], 1.0
    for _ in range(30):
        compared = compare(stack, PLAIN)
        turned, costs = compared.rotations, compared.costs()
        whitened = whiten_moments(moments, stack)
        losses.append(whitened.loss + np.sum(plan * costs))
        before = stack
        stack, fall, expected = newton_step(
            moments,
            stack,
            whitened,
            [LinkTerm(PLAIN, coupling_matrix(plan, turned))],
        )
        assert fall >= 0
        assert_allclose(stack.means[:, 4], before.means[:, 4], rtol=1e-14)
    assert np.diff(losses).max() < 1e-12
    assert expected < 1e-14


def test_reference_gradient_is_its_slope():
    rng = np.random.default_rng(5)
    X0, X1 = rng.standard_normal((30, 2)), 1 + rng.standard_normal((40, 2))
    for reg, reg_m in [(0.1, None), (0.1, (1.0, 2.0)), (0.0, (1.0, 2.0))]:
        slow = reference.Coupled(X0, X1, (2, 3), 0.3, reg, reg_m)
        x = slow.start(rng)
        direction = rng.standard_normal(len(x))
        ahead, behind = (slow.loss(x + t * direction)[0] for t in (1e-6, -1e-6))
        assert_allclose((ahead - behind) / 2e-6, slow.loss(x)[1] @ direction, rtol=1e-6)
