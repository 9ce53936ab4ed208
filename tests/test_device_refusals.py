"""What is refused of arrays of other libraries, in words, before any work."""

import array_api_strict as strict
import numpy as np
import pytest
from devices import KINDS, torch_or_skip

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    LinkedGaussianMixture,
    SparseGaussianMixture,
)
from skgmmot.kernels import to_host
from skgmmot.transport import mw2_map

X = np.random.default_rng(0).standard_normal((60, 2))
LABELS = np.where(np.arange(60) < 30, 1, -1)
MODELS = [
    SparseGaussianMixture(2),
    CoupledGaussianMixture(2),
    LinkedGaussianMixture(2),
    GMMOTTransformer(),
    GMMOTClassifier(),
]
IDS = [type(model).__name__ for model in MODELS]


def fit(model, rows, **keywords):
    if isinstance(model, GMMOTClassifier):
        return model.fit(rows, np.arange(60) % 2, **keywords)
    return model.fit(rows, **keywords)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda x: x[:, 0], ValueError, r"Expected 2D array, got 1D array.*reshape"),
        (lambda x: x[:0], ValueError, r"Found array with 0 sample\(s\)"),
        (lambda x: x[:, :0], ValueError, r"Found array with 0 feature\(s\)"),
        (lambda x: np.where(x > 2, np.nan, x), ValueError, "contains NaN, infinity"),
        (lambda x: np.where(x > 2, -np.inf, x), ValueError, "contains NaN, infinity"),
        (lambda x: x * 1e200, ValueError, r"X: expected values within 1e\+140.*width"),
        (lambda x: x + 0j, TypeError, "X: expected rows of real numbers, got type"),
    ],
    ids=["1D", "no rows", "no features", "NaN", "infinity", "huge", "complex"],
)
def test_rows(kind, model, change, error, match):
    assert (X > 2).any()
    rows = KINDS[kind](change(X))
    before = dict(vars(model))
    with pytest.raises(error, match=match):
        fit(model, rows)
    assert vars(model) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.ones(59), "sample_weight: expected 60 numbers"),
        (-np.ones(60), "Negative values in data passed to `sample_weight`"),
        (np.full(60, np.nan), "sample_weight contains NaN"),
        (np.zeros(60), "sample_weight: expected at least one positive weight"),
    ],
    ids=["too few", "negative", "NaN", "zeros"],
)
def test_weights(kind, model, weights, match):
    up = KINDS[kind]
    with pytest.raises(ValueError, match=match):
        fit(model, up(X), sample_weight=up(weights))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_weights_of_another_kind(kind, model):
    like, weights = KINDS[kind](X), np.ones(60)
    with pytest.raises(TypeError, match=r"sample_weight: .*like X \(.*, got NumPy"):
        fit(model, like, sample_weight=weights)
    with pytest.raises(TypeError, match=r"sample_weight: .*like X \(NumPy\), got "):
        fit(model, X, sample_weight=KINDS[kind](weights))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS[1:], ids=IDS[1:])
def test_labels_of_another_kind(kind, model):
    with pytest.raises(TypeError, match=r"sample_domain: .*like X \(NumPy\), got "):
        fit(model, X, sample_domain=KINDS[kind](LABELS))
    with pytest.raises(ValueError, match="sample_domain: expected one label for each"):
        fit(model, KINDS[kind](X), sample_domain=KINDS[kind](LABELS[:-1]))
    with pytest.raises(
        ValueError, match=r"sample_domain: expected (rows of both|at least two)"
    ):
        fit(model, KINDS[kind](X), sample_domain=KINDS[kind](np.ones(60)))


@pytest.mark.parametrize("kind", KINDS)
def test_classes(kind):
    up, words = KINDS[kind], np.array(["no", "yes"])[np.arange(60) % 2]
    model = GMMOTClassifier().fit(up(X), words, sample_domain=LABELS)
    assert model.score(up(X), words) == pytest.approx(model.score(X, words))
    assert model.predict_proba(up(X)).shape == (60, 2)
    assert set(model.predict(X)) <= {"no", "yes"}
    with pytest.raises(TypeError, match=r"classes_: expected .*numbers.*predict_proba"):
        model.predict(up(X))
    with pytest.raises(ValueError, match="y: expected labels out of classes_"):
        model.transform(up(X), np.full(60, "maybe"))
    with pytest.raises(TypeError, match="sample_domain: expected NumPy labels"):
        GMMOTClassifier().fit(up(X), words, sample_domain=up(LABELS))
    with pytest.raises(TypeError, match=r"y: .*like X \(NumPy\), got "):
        GMMOTClassifier().fit(X, up(np.arange(60) % 2), sample_domain=LABELS)
    with pytest.raises(ValueError, match="y: expected 60 labels, as X has rows"):
        GMMOTClassifier().fit(up(X), up(np.arange(59) % 2), sample_domain=LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_knows_its_features_and_numpy_rows_too(kind):
    up = KINDS[kind]
    model = SparseGaussianMixture(2, sparsity=0.0, random_state=0).fit(up(X))
    assert model.n_features_in_ == 2
    np.testing.assert_array_equal(model.predict(X).shape, (60,))
    with pytest.raises(ValueError, match=r"3 features, but .* expecting 2 features"):
        model.predict(up(np.ones((4, 3))))


def test_integers_are_read_as_float64():
    up, whole = KINDS["second device"], np.round(10 * X).astype(np.int64)
    models = [
        SparseGaussianMixture(2, sparsity=0.0, random_state=0).fit(rows)
        for rows in (up(whole), whole.astype(float))
    ]
    np.testing.assert_allclose(models[0].means_, models[1].means_, rtol=1e-8)


def test_devices_without_float64():
    names = str(strict.__array_namespace_info__().devices())
    if "no_float64" not in names:
        pytest.skip("this version has no such device")
    rows = strict.asarray(X.astype(np.float32), device=strict.Device("no_float64"))
    with pytest.raises(TypeError, match="X: expected rows on a device that computes"):
        SparseGaussianMixture(2).fit(rows)


def test_tensors_that_ask_for_gradients():
    torch = torch_or_skip()
    rows = torch.asarray(X).requires_grad_()
    with pytest.raises(ValueError, match=r"X: expected a tensor without.*X.detach()"):
        SparseGaussianMixture(2).fit(rows)
    SparseGaussianMixture(2, random_state=0).fit(rows.detach())


def test_sparse_tensors():
    torch = torch_or_skip()
    with pytest.raises(TypeError, match=r"X: expected a dense tensor.*to_dense"):
        SparseGaussianMixture(2).fit(torch.asarray(X).to_sparse())


class OnGpu:
    """What a library other than CuPy and torch gives for an array on a GPU."""

    __cuda_array_interface__ = None
    shape = (60, 2)


def test_arrays_on_a_gpu_that_no_library_here_reads():
    with pytest.raises(
        TypeError, match=r"X: expected rows of NumPy, CuPy or torch.*pip"
    ):
        SparseGaussianMixture(2).fit(OnGpu())


def test_mixtures_of_others_are_not_fitted_to_such_rows():
    from sklearn.mixture import GaussianMixture

    mover = GMMOTTransformer(GaussianMixture(2))
    with pytest.raises(ValueError, match="estimator: expected a mixture of this"):
        mover.fit(KINDS["second device"](X), sample_domain=LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_between_known_mixtures(kind):
    source = [0.5, 0.5], [[0.0, 0.0], [3.0, 0.0]], [np.eye(2), np.eye(2)]
    target = [0.5, 0.5], [[1.0, 0.0], [4.0, 2.0]], [2.0 * np.eye(2), np.eye(2)]
    like = KINDS[kind](X)
    found = mw2_map(like, source, target)
    assert type(found) is type(like)
    np.testing.assert_allclose(to_host(found), mw2_map(X, source, target), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_dask_that_are_not_numpys(kind):
    """Dask makes single chunks of such arrays, but cannot put them together.

    Where the second part fails, Dask has learnt it, and such chunks could be taken.
    """
    da, up = pytest.importorskip("dask.array"), KINDS[kind]
    rows = da.from_array(X, chunks=(30, 2)).map_blocks(up)
    with pytest.raises(TypeError, match="X: expected chunks that are NumPy arrays"):
        SparseGaussianMixture(2).fit(rows)
    assert type(rows.blocks[0].compute(scheduler="synchronous")) is type(up(X))
    for whole in (
        lambda: rows.compute(scheduler="synchronous"),
        rows.sum,
        lambda: da.from_array(up(X)),
    ):
        with pytest.raises(TypeError, match=r"Cannot interpret .*float64"):
            whole()
