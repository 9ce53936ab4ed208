"""Every parameter of every public function, with what lies outside its domain."""

import numpy as np
import pytest
from refusals import assert_refused, bad_mixtures, good_mixture, no_work

from skgmmot import CouplingDisplay, MixtureDisplay
from skgmmot.datasets import (
    make_mixture,
    make_shifted_mixtures,
    make_spiral,
    stack_domains,
)
from skgmmot.transport import (
    Mixture,
    component_costs,
    mw2_barycenter,
    mw2_distance,
    mw2_flow,
    mw2_gradient,
    mw2_interpolation,
    mw2_map,
    mw2_plan,
    pairwise_mw2,
)

NAN, INF = float("nan"), float("inf")
SOURCE, TARGET, OTHER = good_mixture(), good_mixture(3), good_mixture(2, 3)
ROWS = np.zeros((4, 2))

NOT_POSITIVE_INTEGERS = (0, -1, 1.5, "3", NAN, (1,))
NOT_SEEDS = ("seed", -1, 1.5, [0])
PLANS = {
    "reg": (-1.0, NAN, INF, "1", None, (1.0,), 1j),
    "reg_m": (
        0.0,
        -1.0,
        NAN,
        "1",
        (1.0,),
        (1.0, 2.0, 3.0),
        (1.0, "1"),
        (1.0, -1.0),
        1j,
    ),
}
COUPLINGS = (np.ones((3, 2)), np.ones(3), np.full((2, 3), NAN), -np.ones((2, 3)), "ab",
             np.ones((2, 3)) * 1j, 3.0, [[1.0], [1.0, 2.0]])  # fmt: skip
BAD_ROWS = (np.zeros(2), np.zeros((4, 3)), np.full((4, 2), NAN), np.full((4, 2), INF),
            np.full((4, 2), "a"), np.zeros((4, 2)) + 1j, np.empty((0, 2)), None, 3.0,
            [[0.0], [0.0, 1.0]])  # fmt: skip
COUNTS = (0, -1, 1.5, "3", None, NAN)
SIZES = {"n_components": COUNTS, "n_features": COUNTS, "random_state": NOT_SEEDS}
SHARES = (
    [1.0],
    [0.5, 0.6],
    [1.5, -0.5],
    [NAN, 1.0],
    "ab",
    [[0.5, 0.5]],
    ["a", "b"],
    1j,
)
LENGTHS = (-1.0, NAN, INF, "1", None, (1.0,))

# (function, good keywords, {parameter: bad values}); mixtures come below.
FUNCTIONS = {
    "mw2_plan": (mw2_plan, {"source": SOURCE, "target": TARGET}, PLANS),
    "mw2_distance": (mw2_distance, {"source": SOURCE, "target": TARGET}, PLANS),
    "mw2_gradient": (mw2_gradient, {"source": SOURCE, "target": TARGET}, PLANS),
    "component_costs": (component_costs, {"source": SOURCE, "target": TARGET}, {}),
    "mw2_map": (
        mw2_map,
        {"X": ROWS, "source": SOURCE, "target": TARGET, "method": "random"},
        {"X": BAD_ROWS, "plan": COUPLINGS, "method": ("mean", None, 3, ["random"]),
         "strength": (-0.1, 1.1, NAN, "1", None, (1.0,)), "random_state": NOT_SEEDS},
    ),
    "mw2_interpolation": (
        mw2_interpolation,
        {"source": SOURCE, "target": TARGET, "t": 0.5},
        {"t": (-0.1, 1.1, NAN, "1", None, (1.0,)), "plan": COUPLINGS,
         "max_growth": (0.5, NAN, np.inf, "2", None)},
    ),
    "mw2_barycenter": (
        mw2_barycenter,
        {"mixtures": [SOURCE, TARGET], "method": "fixed_point"},
        {"mixtures": ([], [SOURCE, OTHER], None, 3.0, "ab", SOURCE),
         "weights": ([1.0], [1.0, -0.5], [0.0, 0.0], [NAN, 1.0], "ab", 1.0, [1j, 1j]),
         "n_components": NOT_POSITIVE_INTEGERS,
         "method": ("median", None, 3, ["exact"]),
         "init": (*bad_mixtures().values(), OTHER), "random_state": NOT_SEEDS,
         "tol": (-1.0, NAN, INF, "1", None), "max_iter": (-1, 1.5, "3", None, NAN)},
    ),
    "mw2_flow": (
        mw2_flow,
        {"source": SOURCE, "target": TARGET, "n_steps": 1},
        {"n_steps": (-1, 1.5, "3", None, NAN), "callback": (3, "print"),
         "step_size": (-0.1, NAN, INF, "1", None, (0.1, 0.1), (0.1, 0.1, "1"), 1j),
         **PLANS},
    ),
    "pairwise_mw2": (
        pairwise_mw2,
        {"mixtures": [SOURCE, TARGET]},
        {"mixtures": ([], [SOURCE, OTHER], None, 3.0, "ab", SOURCE),
         "others": ([], [OTHER], 3.0, "ab", SOURCE),
         "n_jobs": (0, 1.5, "all", NAN)},
    ),
    "make_spiral": (
        make_spiral, {},
        {"n_samples": COUNTS, "noise": LENGTHS, "random_state": NOT_SEEDS},
    ),
    "make_mixture": (
        make_mixture, {"n_components": 2},
        {"n_samples": COUNTS, "separation": LENGTHS, "weights": SHARES, **SIZES},
    ),
    "make_shifted_mixtures": (
        make_shifted_mixtures, {"n_components": 2},
        {"n_samples": (*COUNTS, (1,), (1, 2, 3), (0, 1)), "shift": LENGTHS,
         "separation": (0.0, *LENGTHS), "weights": SHARES,
         "growth": ([1.0], [-1.0, 1.0], [0.0, 0.0], [NAN, 1.0], [INF, 1.0], "ab", 1j),
         **SIZES},
    ),
    "stack_domains": (
        stack_domains, {"X_source": ROWS, "X_target": ROWS},
        {name: (np.zeros(2), np.zeros((4, 3)), np.empty((0, 2)), None, 3.0,
                [[0.0], [0.0, 1.0]]) for name in ("X_source", "X_target")},
    ),
}  # fmt: skip
CASES = [
    pytest.param(label, name, value, id=f"{label}-{name}-{number}")
    for label, (_, _, table) in FUNCTIONS.items()
    for name, values in table.items()
    for number, value in enumerate(values)
    if not (name == "init" and value is None)
]
MIXTURES = [
    pytest.param(label, side, mixture, id=f"{label}-{side}-{number}")
    for label, (_, keywords, _) in FUNCTIONS.items()
    for side in ("source", "target")
    if side in keywords
    for number, mixture in enumerate([*bad_mixtures().values(), OTHER])
]


@pytest.mark.parametrize(("label", "name", "value"), CASES + MIXTURES)
def test_arguments_outside_their_domain(label, name, value):
    function, keywords, _ = FUNCTIONS[label]
    with no_work():
        assert_refused(lambda: function(**{**keywords, name: value}), name)


@pytest.mark.parametrize("mixture", bad_mixtures().values(), ids=bad_mixtures())
@pytest.mark.parametrize("function", [pairwise_mw2, mw2_barycenter])
def test_lists_of_mixtures_name_the_element(function, mixture):
    assert_refused(lambda: function([SOURCE, mixture]), "mixtures[1]")


def test_a_gradient_at_a_singular_source_names_the_component():
    flat = Mixture(SOURCE[0], SOURCE[1], SOURCE[2] * [[[1.0]], [[0.0]]])
    message = assert_refused(lambda: mw2_gradient(flat, TARGET), "source")
    assert "a singular covariance 1" in message


DRAWN = {
    "weights": ([1.0], "ab", [[0.5, 0.5]]),
    "means": (np.zeros(2), np.zeros((2, 0)), "ab"),
    "covariances": (np.eye(2), np.zeros((2, 3, 3)), "ab"),
    "X": (np.zeros(2), np.zeros((4, 3)), "ab"),
}


@pytest.mark.parametrize(
    ("name", "value"), [(n, v) for n, values in DRAWN.items() for v in values]
)
def test_displays_of_what_is_no_mixture(name, value):
    parts = dict(zip(("weights", "means", "covariances"), SOURCE, strict=True))
    assert_refused(lambda: MixtureDisplay(**{**parts, name: value}), name)


@pytest.mark.parametrize("features", [(), (0, 2), ("a", "b"), (0, 1, 1), 3, 0.5])
def test_displays_of_features_that_are_not_there(features, pyplot):
    call = MixtureDisplay.from_estimator
    assert_refused(lambda: call(SOURCE, features=features), "features")


@pytest.mark.parametrize("mixture", bad_mixtures().values(), ids=bad_mixtures())
def test_displays_of_bad_mixtures(mixture, pyplot):
    assert_refused(lambda: MixtureDisplay.from_estimator(mixture), "estimator")


@pytest.mark.parametrize("coupling", [np.ones(3), 3.0, "ab", None, [[1.0], [1.0, 2.0]]])
def test_displays_of_what_is_no_coupling(coupling):
    assert_refused(lambda: CouplingDisplay(coupling), "coupling")


@pytest.mark.parametrize("estimator", [None, 3.0, "ab", object(), SOURCE])
def test_displays_of_what_has_no_coupling(estimator):
    assert_refused(lambda: CouplingDisplay.from_estimator(estimator), "coupling_")
