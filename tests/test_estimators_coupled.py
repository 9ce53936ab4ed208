"""CoupledGaussianMixture: objective, readings, units, labels, bad input."""

import pickle

import numpy as np
import pandas as pd
import pytest
import reference_coupled
import sklearn
from scipy.spatial.transform import Rotation
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.datasets import make_shifted_mixtures, stack_domains
from skgmmot.transport import mw2_plan

BALANCED = {"transport_weight": 0.01}
UNBALANCED = {"transport_weight": 0.1, "reg_m": 1.0}


def on_scale_one(n_components=3, **parameters):
    settings = {
        "align": None, "cost_scale": 1.0, "reg": 0.01, "random_state": 0, **parameters
    }  # fmt: skip
    return CoupledGaussianMixture(n_components, **settings)


def parts_of(side):
    return side.weights_, side.means_, side._kind.dense(
        side.covariances_, *side.means_.shape
    )  # fmt: skip


def recomputed(model, X_source, X_target):
    """The objective of the reference at the fitted parameters."""
    reg_m = model.reg_m
    reg_m = (reg_m, reg_m) if isinstance(reg_m, float) else reg_m
    frame = model.alignment_ if model.align in ("scale", "linear") else None
    return reference_coupled.objective(
        X_source, X_target, parts_of(model.source_), parts_of(model.target_),
        model.transport_weight, model.reg, reg_m, model.cost_scale_, model.align, frame,
    )  # fmt: skip


@pytest.fixture(name="stacked", scope="module")
def fixture_stacked(coupled_problem):
    X, sample_domain = stack_domains(
        coupled_problem["X_source"], coupled_problem["X_target"]
    )
    return X.astype(np.float64), sample_domain


@pytest.fixture(name="small", scope="module")
def fixture_small():
    data = make_shifted_mixtures(400, n_components=3, random_state=1)
    return data, *stack_domains(data.X_source, data.X_target)


@pytest.mark.filterwarnings("ignore:No sample_domain was given:UserWarning")
@pytest.mark.filterwarnings("ignore:fit_transform was given y:UserWarning")
@parametrize_with_checks(
    [
        CoupledGaussianMixture(),
        CoupledGaussianMixture((2, 3), covariance_type="diag", reg_m=1.0, reg=0.0),
        GMMOTTransformer(),
        GMMOTTransformer(CoupledGaussianMixture(reg_covar=1e-4)),
    ],
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("settings", "least"), [(BALANCED, -7.2829), (UNBALANCED, -7.2633)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_reaches_the_known_optimum_from_both_sides(stacked, settings, least, sign):
    X, sample_domain = stacked
    model = on_scale_one(**settings).fit(X, sample_domain=sign * sample_domain)
    assert model.lower_bound_ >= least
    assert model.converged_
    assert np.diff(model.lower_bounds_).min() > -1e-8


@pytest.mark.parametrize("settings", [BALANCED, UNBALANCED])
def test_the_bound_is_the_objective_and_the_coupling_its_plan(
    coupled_problem, stacked, settings
):
    X, sample_domain = stacked
    model = on_scale_one(**settings).fit(X, sample_domain=sample_domain)
    rows = coupled_problem["X_source"], coupled_problem["X_target"]
    assert abs(recomputed(model, *rows) - model.lower_bound_) < 1e-5
    plan = mw2_plan(model.source_, model.target_, reg=0.01, reg_m=model.reg_m)
    np.testing.assert_allclose(model.coupling_, plan.coupling, atol=1e-7)
    assert abs(plan.value - model.transport_cost_) < 1e-7
    assert abs(model.coupling_.sum() - model.transported_mass_) < 1e-12


def rotated_clusters(n_samples=1000, shift=(1.0, 6.0), seed=0):
    """Two unit clusters 4 apart; the target turned by 0.9 rad and shifted."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=(2, n_samples))
    X = (
        rng.standard_normal((2, n_samples, 2))
        + np.array([4.0, 0.0]) * labels[..., None]
    )
    turn = Rotation.from_euler("z", 0.9).as_matrix()[:2, :2]
    return X[0], X[1] @ turn.T + shift, labels[0], labels[1]


def test_the_default_start_reaches_what_the_independent_start_reaches():
    X, sample_domain = stack_domains(*rotated_clusters()[:2])
    bounds = [
        on_scale_one(2, transport_weight=0.01, init_params=start)
        .fit(X, sample_domain=sample_domain)
        .lower_bound_
        for start in ("auto", "independent", "pooled")
    ]
    assert max(bounds) - min(bounds) < 1e-5


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_without_weight_it_is_two_independent_fits(small, covariance_type):
    data, X, sample_domain = small
    starts = {"source_init": data.source, "target_init": data.target}
    if covariance_type == "diag":
        starts = {
            name: (w, m, c * np.eye(2)) for name, (w, m, c) in starts.items()
        }  # fmt: skip
    model = CoupledGaussianMixture(
        3, transport_weight=0.0, tol=1e-10, covariance_type=covariance_type, **starts
    ).fit(X, sample_domain=sample_domain)
    rows = (data.X_source, data.X_target)
    for side, x, start in zip(
        (model.source_, model.target_), rows, starts.values(), strict=True
    ):
        precisions = np.linalg.inv(start[2])
        if covariance_type == "diag":
            precisions = np.diagonal(precisions, axis1=1, axis2=2)
        alone = SparseGaussianMixture(
            3, sparsity=0.0, tol=1e-10, weights_init=start[0], means_init=start[1],
            precisions_init=precisions, covariance_type=covariance_type,
        ).fit(x)  # fmt: skip
        np.testing.assert_allclose(side.means_, alone.means_, atol=1e-4)
        assert abs(side.score(x) - alone.score(x)) < 1e-7


def test_transport_and_likelihoods_fall_as_the_weight_grows(small):
    _, X, sample_domain = small
    costs, scores = [], []
    model = CoupledGaussianMixture(3, reg=0.0, random_state=0, warm_start=True)
    for weight in (0.0, 0.01, 0.1, 0.5):
        model.set_params(transport_weight=weight)
        model.fit(X, sample_domain=sample_domain)
        costs.append(model.transport_cost_)
        scores.append(model.score(X, sample_domain=sample_domain))
    assert np.all(np.diff(costs) < 0.0)
    assert np.all(np.diff(scores) < 0.0)


def test_without_alignment_a_shift_of_one_sample_hardly_moves_the_coupling(small):
    # The shift adds v (mean of the target mixture - mean of the source mixture) to the
    # cost. The means of the samples are what likelihood wants for these, so that the
    # coupling changes by no more than in proportion to transport_weight.
    data, X, sample_domain = small
    shifted, _ = stack_domains(data.X_source, data.X_target + [1.0, -0.5])
    for weight, change in ((1e-2, 1e-2), (1e-3, 1e-3), (1e-4, 1e-4)):
        model = CoupledGaussianMixture(
            3, random_state=0, tol=1e-10, transport_weight=weight, align=None
        )
        before = clone(model).fit(X, sample_domain=sample_domain)
        after = clone(model).fit(shifted, sample_domain=sample_domain)
        np.testing.assert_allclose(before.coupling_, after.coupling_, atol=change)


@pytest.mark.parametrize("reg_m", [None, 1.0])
def test_units_change_nothing_but_the_scale_of_the_answer(small, reg_m):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0, reg_m=reg_m)
    one = clone(model).fit(X, sample_domain=sample_domain)
    thousand = clone(model).fit(1000.0 * X, sample_domain=sample_domain)
    np.testing.assert_allclose(thousand.coupling_, one.coupling_, atol=1e-6)
    np.testing.assert_allclose(thousand.costs_, one.costs_, rtol=1e-5)
    np.testing.assert_allclose(thousand.source_.means_, 1e3 * one.source_.means_,
                               rtol=1e-5, atol=1e-3)  # fmt: skip
    np.testing.assert_allclose(thousand.cost_scale_, 1e6 * one.cost_scale_, rtol=1e-8)


@pytest.mark.parametrize("align", ["shift", "scale", "linear", None])
def test_swapping_the_sides_transposes_the_answer(small, align):
    data, X, sample_domain = small
    two = SparseGaussianMixture(2, sparsity=0.0, random_state=0).fit(data.X_target)
    model = CoupledGaussianMixture(
        align=align, tol=1e-9, reg_m=(1.0, 3.0), source_init=data.source,
        target_init=FrozenEstimator(two),
    )  # fmt: skip
    one = clone(model).fit(X, sample_domain=sample_domain)
    model.set_params(
        reg_m=(3.0, 1.0), source_init=FrozenEstimator(two), target_init=data.source
    )
    other = model.fit(X, sample_domain=-sample_domain)
    if align in ("shift", None):  # maps of both ways are optimal in other units
        assert abs(one.lower_bound_ - other.lower_bound_) < 1e-6
        np.testing.assert_allclose(one.coupling_, other.coupling_.T, atol=1e-4)
    there, back = one.alignment_, other.alignment_
    linear = (
        np.diag(a.linear) if a.linear.ndim == 1 else a.linear for a in (there, back)
    )
    np.testing.assert_allclose(np.matmul(*linear), np.eye(2), atol=1e-6)


def test_integer_weights_equal_repeated_rows(small):
    _, X, sample_domain = small
    weights = np.random.default_rng(0).integers(0, 3, len(X))
    model = CoupledGaussianMixture(3, random_state=0)
    weighted = clone(model).fit(X, sample_domain=sample_domain, sample_weight=weights)
    repeated = clone(model).fit(
        np.repeat(X, weights, axis=0), sample_domain=np.repeat(sample_domain, weights)
    )
    np.testing.assert_allclose(weighted.coupling_, repeated.coupling_, atol=1e-6)
    assert abs(weighted.lower_bound_ - repeated.lower_bound_) < 1e-8


@pytest.mark.parametrize("settings", [
    {"reg": 0.0}, {"reg": 0.0, "reg_m": 0.5}, {"reg": 0.1, "reg_m": (0.5, 5.0)},
    {"covariance_type": "diag"}, {"n_components": (2, 4)}, {"accelerate": False},
    {"covariance_type": "tied"}, {"covariance_type": "tied", "reg_m": 1.0},
    {"covariance_type": "tied", "align": "linear", "transport_weight": 3.0},
    {"covariance_type": "diag", "align": "scale", "reg_m": 1.0},
    {"align": "linear", "reg_m": 1.0}, {"align": None}, {"align": "scale"},
    {"transport_weight": 3.0, "n_components": (3, 2)},
    {"transport_weight": 3.0, "reg_m": 0.3}, {"cost_scale": 2.0, "reg_m": 0.3},
])  # fmt: skip
def test_every_programme_is_monotone_and_its_bound_is_right(small, settings):
    data, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0).set_params(**settings)
    model.fit(X, sample_domain=sample_domain)
    assert np.diff(model.lower_bounds_).min() > -1e-6
    value = recomputed(model, data.X_source, data.X_target)
    assert abs(value - model.lower_bound_) < 1e-5


@pytest.mark.parametrize("frozen", ["source", "target"])
def test_a_frozen_side_stays_at_its_start(small, frozen):
    data, X, sample_domain = small
    start = getattr(data, frozen)
    model = CoupledGaussianMixture(
        3, frozen=frozen, random_state=0, **{f"{frozen}_init": start}
    ).fit(X, sample_domain=sample_domain)
    side = getattr(model, f"{frozen}_")
    for part, given in zip(parts_of(side), start, strict=True):
        np.testing.assert_allclose(part, given, rtol=1e-12)
    assert model.converged_


def test_labels_correspond_where_the_sides_match(small):
    data, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0, transport_weight=0.01)
    model.fit(X, sample_domain=sample_domain)
    assert np.trace(model.coupling_) > 0.95
    source = model.predict(data.X_source)
    target = model.predict(data.X_target, sample_domain=-np.ones(400))
    # label j is the same population on both sides
    table = np.zeros((3, 3))
    np.add.at(table, (source, data.labels_source), 1)
    populations = table.argmax(axis=1)
    assert np.mean(populations[source] == data.labels_source) > 0.95
    assert np.mean(populations[target] == data.labels_target) > 0.95


def test_reweightings_read_the_coupling(small):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(3, reg_m=0.5, random_state=0)
    model.fit(X, sample_domain=sample_domain)
    leaving = model.coupling_.sum(axis=1) / model.source_.weights_
    arriving = model.target_.weights_ / model.coupling_.sum(axis=0)
    np.testing.assert_allclose(model.source_reweighting_, leaving, rtol=1e-10)
    np.testing.assert_allclose(model.target_reweighting_, arriving, rtol=1e-10)
    assert model.transported_mass_ < 1.0


def test_saturation_is_announced():
    X, sample_domain = stack_domains(*rotated_clusters(300, (100.0, 0.0))[:2])
    model = CoupledGaussianMixture(2, reg_m=0.1, random_state=0, align=None)
    with pytest.warns(UserWarning, match="of the mass is moved: every cost is"):
        model.fit(X, sample_domain=sample_domain)
    assert model.transported_mass_ < 0.01
    assert model.set_params(align="shift").fit(
        X, sample_domain=sample_domain
    ).transported_mass_ > 0.5  # fmt: skip


def test_scores_are_means_over_the_domains_present(small):
    data, X, sample_domain = small
    model = CoupledGaussianMixture((2, 3), random_state=0)
    model.fit(X, sample_domain=sample_domain)
    source, target = (
        model.source_.score(data.X_source), model.target_.score(data.X_target)
    )  # fmt: skip
    ones = np.ones(len(data.X_source))
    assert abs(model.score(data.X_source, sample_domain=ones) - source) < 1e-12
    both = model.score(X, sample_domain=sample_domain)
    assert abs(both - (source + target) / 2) < 1e-12
    weights = np.where(sample_domain > 0, 5.0, 1.0)
    weighted = model.score(X, sample_domain=sample_domain, sample_weight=weights)
    assert abs(weighted - both) < 1e-12
    log_density = model.score_samples(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(
        log_density[:400], model.source_.score_samples(data.X_source)
    )


def test_posteriors_have_the_columns_of_the_larger_side(small):
    _, X, sample_domain = small
    model = CoupledGaussianMixture((2, 4), random_state=0)
    posteriors = model.fit(X, sample_domain=sample_domain).predict_proba(
        X, sample_domain=sample_domain
    )
    assert posteriors.shape == (800, 4)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0)
    assert not posteriors[:400, 2:].any()


def test_warm_start_continues(small):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0, max_iter=2, warm_start=True)
    bounds = []
    for _ in range(30):
        with pytest.warns(ConvergenceWarning) if not bounds else _maybe():
            model.fit(X, sample_domain=sample_domain)
        bounds.append(model.lower_bound_)
    assert np.diff(bounds).min() > -1e-8
    assert model.converged_


def test_a_warm_start_with_another_number_of_components_is_refused(small):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0, warm_start=True)
    model.fit(X, sample_domain=sample_domain).set_params(n_components=2)
    with pytest.raises(ValueError, match=r"of the last fit, 3 \(source\), 3 \(target"):
        model.fit(X, sample_domain=sample_domain)
    model.set_params(warm_start=False).fit(X, sample_domain=sample_domain)
    assert model.coupling_.shape == (2, 2)


class _maybe:
    def __enter__(self):
        import warnings

        self.catcher = warnings.catch_warnings()
        self.catcher.__enter__()
        warnings.simplefilter("ignore", ConvergenceWarning)

    def __exit__(self, *error):
        return self.catcher.__exit__(*error)


def test_sample_draws_from_the_side_asked_for(small):
    data, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0)
    model.fit(X, sample_domain=sample_domain)
    for domain, rows in ((1, data.X_source), (-1, data.X_target)):
        drawn, labels = model.sample(4000, sample_domain=domain)
        assert labels.shape == (4000,)
        np.testing.assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=0.5)


def test_float32_and_pandas(small):
    _, X, sample_domain = small
    frame = pd.DataFrame(X.astype(np.float32), columns=["a", "b"])
    model = CoupledGaussianMixture(3, random_state=0)
    model.fit(frame, sample_domain=sample_domain)
    assert model.source_.means_.dtype == model.coupling_.dtype == np.float32
    np.testing.assert_array_equal(model.feature_names_in_, ["a", "b"])
    assert model.predict_proba(frame).dtype == np.float32


def test_pickle_gives_the_same_bits(small):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(3, random_state=0)
    model.fit(X, sample_domain=sample_domain)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


def test_grid_search_with_routed_domains(small):
    _, X, sample_domain = small
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            CoupledGaussianMixture(3, random_state=0, align=None),
            {"transport_weight": [0.0, 0.01, 1.0]},
            cv=list(folds.split(X, sample_domain)),
        ).fit(X, sample_domain=sample_domain)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["transport_weight"] < 1.0


def test_the_transformer_uses_the_fitted_coupling(small):
    _, X, sample_domain = small
    model = CoupledGaussianMixture(3, reg_m=1.0, random_state=0)
    mover = GMMOTTransformer(model).fit(X, sample_domain=sample_domain)
    fitted = model.fit(X, sample_domain=sample_domain)
    np.testing.assert_array_equal(mover.coupling_, fitted.coupling_)
    np.testing.assert_array_equal(mover.plan_.costs, fitted.costs_)
    exact = GMMOTTransformer(model, reg=0.0, reg_m=None)
    exact.fit(X, sample_domain=sample_domain)
    plan = mw2_plan(fitted.source_, fitted.target_)
    np.testing.assert_allclose(exact.coupling_, plan.coupling, atol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"frozen": "source"},
            "source_init: .* frozen='source', got None",
        ),
        (
            {"source_init": ([1.0], [[0.0, 0.0]], [np.eye(2)]), "n_components": 3},
            "expected 3 components",
        ),
        ({"align": "linear", "covariance_type": "diag"}, "align: expected None"),
        ({"align": "mean"}, "align"),
        ({"n_components": "aic"}, "n_components"),
        ({"target_init": 3}, "target_init"),
        ({"cost_scale": "mean"}, "cost_scale"),
        ({"cost_scale": 0.0}, "cost_scale"),
        ({"reg_m": 0.0}, "reg_m"),
        ({"reg_m": -1.0}, "reg_m"),
        ({"reg_m": (1.0, 0.0)}, "reg_m"),
        ({"reg_m": (1.0, 2.0, 3.0)}, "reg_m"),
        ({"reg": -0.1}, "reg"),
        ({"reg": np.nan}, "reg"),
        ({"transport_weight": -1.0}, "transport_weight"),
        ({"n_components": 0}, "n_components"),
        ({"n_components": (2, 0)}, "n_components"),
        ({"n_components": (2, 3, 4)}, "n_components"),
        ({"covariance_type": "spherical"}, "covariance_type"),
        ({"init_params": "kmeans"}, "init_params"),
        ({"frozen": "both"}, "frozen"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_bad_parameters_are_refused_in_words(small, parameters, message):
    _, X, sample_domain = small
    with pytest.raises((ValueError, TypeError), match=message):
        CoupledGaussianMixture().set_params(**parameters).fit(
            X, sample_domain=sample_domain
        )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones(800), "no target row among 800"),
        (np.full(800, np.nan), "expected finite labels"),
        (np.r_[-np.ones(2), np.ones(798)], "Expected n_samples >= n_components"),
    ],
)
def test_bad_labels_are_refused_in_words(small, labels, message):
    _, X, _ = small
    with pytest.raises(ValueError, match=message):
        CoupledGaussianMixture(3).fit(X, sample_domain=labels)


def test_a_domain_whose_weights_sum_to_zero_is_refused(small):
    _, X, sample_domain = small
    with pytest.raises(ValueError, match="weights of the source rows that sum to 0"):
        CoupledGaussianMixture().fit(
            X, sample_domain=sample_domain, sample_weight=1.0 * (sample_domain < 0)
        )


def test_unfitted_says_so(small):
    _, X, _ = small
    for method in ("predict", "predict_proba", "score_samples", "score"):
        with pytest.raises(NotFittedError, match="CoupledGaussianMixture"):
            getattr(CoupledGaussianMixture(), method)(X)


@pytest.mark.parametrize("align", ["shift", "scale", "linear", None])
def test_the_value_of_a_constant_feature_does_not_matter(align):
    # Its mean is rounded, which is no variance to take units from.
    rng = np.random.default_rng(0)
    sides = [rng.normal(size=(400, 2)) for _ in range(2)]
    sides[0][:200] += [5.0, 1.0]
    sides[1][:120] += [5.0, 2.0]
    costs = []
    for constants in ((0.0, 0.0), (3.3, 3.3), (3.3, 5.1)):
        pairs = zip(sides, constants, strict=True)
        wide = [np.column_stack([side, np.full(400, c)]) for side, c in pairs]
        X, sample_domain = stack_domains(*wide)
        model = CoupledGaussianMixture(2, align=align, random_state=0)
        costs.append(model.fit(X, sample_domain=sample_domain).transport_cost_)
    np.testing.assert_allclose(costs[1:], costs[0], rtol=1e-5)
