"""The flow: the problem it was made for, its metric, its promises, refusals."""

import numpy as np
import pytest
import reference
import reference_toolbox
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from skgmmot.transport import (
    FlowPath,
    Mixture,
    mw2_distance,
    mw2_flow,
    mw2_gradient,
    mw2_plan,
)

kinds = st.sampled_from(
    [{}, {"reg": 0.3}, {"reg_m": 2.0}, {"reg": 0.5, "reg_m": (None, 1.0)}]
)


def flow_mixtures(problem):
    """The problem in float64; the weights of the source are a softmax."""
    shares = np.exp(problem["source_logits"].astype(np.float64))
    mixtures = []
    for side, weights in (
        ("source", shares / shares.sum()),
        ("target", problem["target_weights"]),
    ):
        means = problem[f"{side}_means"].astype(np.float64)
        mixtures.append((weights, means, problem[f"{side}_covariances"].astype(float)))
    return mixtures


def fall(source, target, step_size):
    """By how much one step lowers the loss, and the loss."""
    losses = mw2_flow(source, target, n_steps=1, step_size=step_size).losses
    return losses[0] - losses[1], losses[0]


def test_flow_problem_is_solved_in_a_hundred_steps(flow_problem):
    source, target = flow_mixtures(flow_problem)
    path = mw2_flow(source, target)
    assert isinstance(path, FlowPath)
    assert len(path.mixtures) == len(path.losses) == 101
    assert path.losses[0] == pytest.approx(5.27178, abs=1e-5)
    assert path.losses[-1] < 1e-6
    assert (np.diff(path.losses) <= 0.0).all()
    assert all(len(mixture.weights) == 3 for mixture in path.mixtures)
    assert mw2_distance(path.mixtures[-1], target) < 1e-3


@pytest.mark.parametrize("step_size", [0.02, 0.1, 0.3, 0.5, 3.0])
def test_flow_problem_never_rises_whatever_the_step(flow_problem, step_size):
    source, target = flow_mixtures(flow_problem)
    path = mw2_flow(source, target, step_size=step_size, n_steps=300)
    assert (np.diff(path.losses) <= 0.0).all()
    assert path.losses[-1] < 1e-6


def test_losses_are_those_of_the_mixtures(flow_problem):
    source, target = flow_mixtures(flow_problem)
    path = mw2_flow(source, target, n_steps=12)
    for mixture, loss in zip(path.mixtures, path.losses, strict=True):
        wanted = reference_toolbox.squared_mw2(mixture, target)
        assert loss == pytest.approx(wanted, rel=1e-8)


@settings(max_examples=30, deadline=None)
@given(strategies.mixture_pairs(), kinds)
def test_losses_never_rise_and_components_stay(pair, kind):
    source, target = pair
    path = mw2_flow(source, target, n_steps=15, step_size=0.2, **kind)
    assert (np.diff(path.losses) <= 0.0).all()
    assert path.losses[-1] == pytest.approx(
        mw2_distance(path.mixtures[-1], target, squared=True, **kind), rel=1e-6
    )
    for mixture in path.mixtures:
        assert mixture.means.shape == source[1].shape
        assert mixture.weights.sum() == pytest.approx(1.0, rel=1e-12)
        assert np.linalg.eigvalsh(mixture.covariances).min() > 0.0


def test_small_steps_fall_by_the_squared_length_of_the_gradient():
    rng = np.random.default_rng(0)
    source, target = (strategies.random_mixture(rng, k, 3) for k in (3, 4))
    plan = mw2_plan(source, target)
    lengths = reference_toolbox.flow_directions(
        source, target, plan.coupling, plan.potentials[0]
    )[-1]
    # The unit of Fisher's metric of the weights: the cost of the independent coupling.
    lengths[0] /= source[0] @ plan.costs @ target[0]
    step = 1e-5
    for block in range(3):
        steps = [0.0, 0.0, 0.0]
        steps[block] = step
        assert fall(source, target, steps)[0] == pytest.approx(
            step * lengths[block], rel=1e-2
        )
    assert fall(source, target, step)[0] == pytest.approx(step * sum(lengths), rel=1e-2)


@pytest.mark.parametrize("kind", [{"reg": 0.5}, {"reg_m": 3.0}])
def test_small_steps_fall_as_the_gradient_says(kind):
    rng = np.random.default_rng(3)
    source, target = (strategies.random_mixture(rng, k, 2) for k in (3, 2))
    value, slopes = mw2_gradient(source, target, **kind)
    step = 1e-5
    path = mw2_flow(source, target, n_steps=1, step_size=step, **kind)
    after = path.mixtures[1]
    change = sum(
        np.vdot(slope, new - old)
        for slope, new, old in zip(slopes, after, source, strict=True)
    )
    assert path.losses[1] - value == pytest.approx(change, rel=1e-2)
    assert change < 0.0


def test_one_step_follows_its_formula():
    rng = np.random.default_rng(5)
    source, target = (strategies.random_mixture(rng, k, 2) for k in (2, 3))
    plan = mw2_plan(source, target)
    steps = np.array([1e-4, 0.05, 0.1])
    after = mw2_flow(source, target, n_steps=1, step_size=steps).mixtures[1]
    slopes = plan.potentials[0] / (source[0] @ plan.costs @ target[0])
    weights = source[0] * np.exp(-steps[0] * slopes)
    np.testing.assert_allclose(after.weights, weights / weights.sum(), rtol=1e-10)
    _, velocities, fields, _ = reference_toolbox.flow_directions(
        source, target, plan.coupling, plan.potentials[0]
    )
    means = source[1] + steps[1] * velocities
    np.testing.assert_allclose(after.means, means, rtol=1e-9)
    for k, field in enumerate(fields):
        linear = np.eye(2) + steps[2] * field
        wanted = linear @ source[2][k] @ linear
        np.testing.assert_allclose(after.covariances[k], wanted, rtol=1e-9)


def test_units_of_the_data_do_not_matter(flow_problem):
    source, target = flow_mixtures(flow_problem)
    small, large = (
        mw2_flow(
            *((w, unit * m, unit**2 * s) for w, m, s in (source, target)), n_steps=50
        )
        for unit in (1.0, 1e6)
    )
    np.testing.assert_allclose(large.losses, 1e12 * small.losses, rtol=1e-6)


def test_kinks_of_the_weights_do_not_stop_the_flow():
    # Two groups of components, each of which must end with the weight of one target.
    source = [0.4, 0.35, 0.25], [[0.0], [1.0], [9.0]], np.ones((3, 1, 1))
    target = [0.5, 0.5], [[-1.0], [12.0]], np.ones((2, 1, 1))
    path = mw2_flow(source, target, n_steps=200)
    assert path.losses[-1] < 1e-6
    assert path.mixtures[-1].weights[:2].sum() == pytest.approx(0.5, abs=1e-8)


def test_steps_of_zero_keep_the_parameters(flow_problem):
    source, target = flow_mixtures(flow_problem)
    path = mw2_flow(source, target, n_steps=5, step_size=(0.0, 0.1, 0.0))
    np.testing.assert_allclose(path.mixtures[-1].weights, source[0], rtol=1e-15)
    np.testing.assert_allclose(path.mixtures[-1].covariances, source[2], rtol=1e-12)
    assert np.abs(path.mixtures[-1].means - source[1]).max() > 0.1


def test_singular_covariances_flow():
    source = [0.5, 0.5], [[0.0, 0.0], [3.0, 0.0]], [np.zeros((2, 2)), np.eye(2)]
    target = [0.5, 0.5], [[0.0, 1.0], [3.0, 1.0]], [np.eye(2), np.diag([1.0, 0.0])]
    path = mw2_flow(source, target)
    assert path.losses[-1] < 1e-8


def test_components_without_weight_stay():
    source = [0.0, 1.0], [[5.0], [0.0]], np.ones((2, 1, 1))
    target = [1.0], [[2.0]], np.ones((1, 1, 1))
    last = mw2_flow(source, target).mixtures[-1]
    assert last.weights[0] == 0.0
    assert last.means[0, 0] == 5.0
    assert last.means[1, 0] == pytest.approx(2.0, abs=1e-4)


def test_a_flow_that_has_arrived_stays(flow_problem):
    _, target = flow_mixtures(flow_problem)
    path = mw2_flow(target, target, n_steps=3)
    assert (path.losses < 1e-30).all()
    assert mw2_distance(path.mixtures[-1], target) < 1e-7


def test_callback_sees_every_step_and_may_end_the_flow(flow_problem):
    source, target = flow_mixtures(flow_problem)
    seen = []

    def look(step, mixture, loss):
        assert isinstance(mixture, Mixture)
        seen.append((step, loss))
        return step == 4

    path = mw2_flow(source, target, callback=look)
    assert [step for step, _ in seen] == [1, 2, 3, 4]
    np.testing.assert_array_equal([loss for _, loss in seen], path.losses[1:])
    assert len(path.mixtures) == 5


def test_float32_is_kept():
    rng = np.random.default_rng(2)
    pair = [strategies.random_mixture(rng, k, 2) for k in (2, 3)]
    single = [Mixture(*(x.astype(np.float32) for x in mixture)) for mixture in pair]
    path = mw2_flow(*single, n_steps=10)
    for mixture in path.mixtures:
        assert {array.dtype for array in mixture} == {np.dtype(np.float32)}
    np.testing.assert_allclose(path.losses, mw2_flow(*pair, n_steps=10).losses, 1e-4)


def test_no_steps_return_the_start(flow_problem):
    source, target = flow_mixtures(flow_problem)
    path = mw2_flow(source, target, n_steps=0)
    assert len(path.mixtures) == 1
    value = reference.exact_value(
        reference.component_costs(source, target), source[0], target[0]
    )
    np.testing.assert_allclose(path.losses, [value], rtol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"n_steps": -1}, "n_steps"),
        ({"step_size": -0.1}, "step_size"),
        ({"step_size": np.inf}, "step_size"),
        ({"step_size": (0.1, 0.1)}, "three"),
        ({"reg": -1.0}, "reg"),
        ({"reg_m": 0.0}, "reg_m"),
    ],
)
def test_wrong_parameters_are_refused(flow_problem, wrong, match):
    with pytest.raises(ValueError, match=match):
        mw2_flow(*flow_mixtures(flow_problem), **wrong)
