"""A cluster of Dask: where data lie, workers that are lost and that join, joblib."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skgmmot import (
    CoupledGaussianMixture,
    GMMOTClassifier,
    GMMOTTransformer,
    LinkedGaussianMixture,
    SparseGaussianMixture,
    _threads,
)
from skgmmot._blocks import _dask, _many, parts_of

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

CHUNK = 500


def made(number):
    """A chunk of the rows, which needs nothing but its number."""
    rng = np.random.default_rng(number)
    centers = np.array([0.0, 3.0, 6.0])[rng.integers(3, size=CHUNK)]
    return centers[:, None] + 1.5 * rng.standard_normal((CHUNK, 3))


N_CHUNKS = 12
X = np.concatenate([made(number) for number in range(N_CHUNKS)])
MODEL = {"sparsity": 0.0, "means_init": X[:4], "tol": 0.0, "max_iter": 40}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*did not converge"),
    # What a worker that was killed leaves open.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """Two workers, a process each."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=50,
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster, monkeypatch):
    """A client; few rows are not taken into memory."""
    monkeypatch.setattr(_many, "_FEW_ROWS", 0)
    cluster.scale(2)
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def made_by_workers(persisted=False):
    """The rows as chunks that a lost worker's successor can make again."""
    numbers = da.arange(N_CHUNKS, chunks=1)
    rows = numbers.map_blocks(
        lambda number: made(int(number[0])),
        chunks=((CHUNK,) * N_CHUNKS, (3,)),
        new_axis=1,
        dtype=float,
    )
    return rows.persist() if persisted else rows


def assert_same(found, expected):
    np.testing.assert_allclose(found.means_, expected.means_, atol=1e-8)
    np.testing.assert_allclose(found.covariances_, expected.covariances_, atol=1e-8)


@pytest.mark.parametrize("persisted", [False, True], ids=["lazy", "persisted"])
def test_a_fit_on_a_cluster_is_that_in_memory(client, persisted):
    model = {**MODEL, "max_iter": 10}
    rows = made_by_workers(persisted)
    found = SparseGaussianMixture(4, **model).fit(rows)
    assert_same(found, SparseGaussianMixture(4, **model).fit(X))
    labels = found.predict(rows)
    np.testing.assert_array_equal(labels.compute(), found.predict(X))


def test_coupled_domains_on_a_cluster(client):
    domains = np.where(np.arange(len(X)) < 3 * CHUNK, 1, -1)
    model = CoupledGaussianMixture(3, random_state=0, init_params="independent")
    expected = model.fit(X, sample_domain=domains).coupling_
    rows = made_by_workers(persisted=True)
    found = model.fit(rows, sample_domain=domains).coupling_
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_chunks_that_lie_on_a_worker_are_one_task(client):
    rows = made_by_workers(persisted=True).rechunk((50, 3)).persist()
    distributed.wait(rows)
    stored = parts_of(rows)[0]._stored
    bundles = _dask._bundles(stored, range(120))
    assert len(stored.raws) == 120
    assert len(bundles) <= 2 * (_dask._BUNDLES + 1)
    assert sorted(raw[2] for bundle in bundles for raw in bundle) == list(range(120))
    futures = [stored.graph[key] for key in stored.keys]
    held = client.who_has(futures)
    for bundle in bundles:
        assert len({held[futures[raw[2]].key] for raw in bundle}) == 1


def test_chunks_that_are_read_are_few_tasks(client):
    rows = made_by_workers().rechunk((5, 3))  # of which many share what they are cut of
    stored = parts_of(rows)[0]._stored
    assert max(map(len, _dask._bundles(stored, range(1200)))) == 1
    rows = da.random.default_rng(0).normal(size=(6000, 3), chunks=(5, 3))
    stored = parts_of(rows)[0]._stored
    assert stored.graph == {}
    bundles = _dask._bundles(stored, range(1200))
    assert 2 * _dask._FREE_BUNDLES <= len(bundles) <= 2 * _dask._FREE_BUNDLES + 2
    assert [raw[2] for bundle in bundles for raw in bundle] == list(range(1200))


def test_rows_may_be_made_with_futures(client):
    factor = client.submit(float, 3)
    for given in ({"by": factor}, {"by": dask.delayed(factor)}):
        rows = made_by_workers()
        rows = rows.map_blocks(lambda x, by: by * x, meta=X[:0], **given)
        total = parts_of(rows)[0].reduce(lambda part: part.x.sum(axis=0), np.add)
        np.testing.assert_allclose(total, 3.0 * X.sum(axis=0))


def test_what_is_made_of_persisted_rows_is_right(client):
    rows = made_by_workers(persisted=True)
    for made, expected in ((2.0 * rows, 2.0 * X), (rows.rechunk((300, 3)), X)):
        parts = parts_of(made)[0]
        total = parts.reduce(lambda part: part.x.sum(axis=0), np.add)
        np.testing.assert_allclose(total, expected.sum(axis=0))


def kill_one(client, after):
    """Kill a worker's process after some seconds."""
    thread = threading.Timer(after, os.kill, (one_of(client), signal.SIGKILL))
    thread.start()
    return thread


def one_of(client):
    """The process of a worker; one that has just been lost may still be listed."""
    for _ in range(20):
        found = client.run(os.getpid, on_error="ignore")
        if found:
            return next(iter(found.values()))
        time.sleep(0.5)
    raise AssertionError("no worker answers")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
@pytest.mark.parametrize("persisted", [False, True], ids=["lazy", "persisted"])
def test_a_worker_that_is_lost_costs_time_alone(client, persisted):
    expected = SparseGaussianMixture(4, **MODEL).fit(X)
    rows = made_by_workers(persisted)
    before = set(client.nthreads())
    thread = kill_one(client, 0.3)
    found = SparseGaussianMixture(4, **MODEL).fit(rows)
    assert not thread.is_alive()
    thread.join()
    assert_same(found, expected)
    after = set(client.nthreads())
    assert after != before


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_twenty_fits_end_whoever_is_lost_or_joins(client, cluster):
    """Of lazy and persisted rows by turns; a worker joins every fourth."""
    expected = SparseGaussianMixture(4, **MODEL).fit(X)
    lost = 0
    for number in range(20):
        client.wait_for_workers(2, timeout=120)
        rows = made_by_workers(persisted=number % 2 == 1)
        thread = kill_one(client, 0.1 + 0.1 * (number % 5))
        if number % 4 == 3:
            cluster.scale(3)
        start = time.perf_counter()
        found = SparseGaussianMixture(4, **MODEL).fit(rows)
        print(f"{number}: {time.perf_counter() - start:.2f} s")
        lost += not thread.is_alive()
        thread.join()
        np.testing.assert_allclose(found.means_, expected.means_, atol=1e-10)
        cluster.scale(2)
    assert lost >= 15  # in the middle of a fit, not after it


def test_a_worker_that_joins_takes_part(client, cluster):
    rows = made_by_workers(persisted=True)
    thread = threading.Timer(0.1, cluster.scale, [3])
    thread.start()
    found = SparseGaussianMixture(4, **MODEL).fit(rows)
    thread.join()
    assert_same(found, SparseGaussianMixture(4, **MODEL).fit(X))
    client.wait_for_workers(3, timeout=60)
    again = SparseGaussianMixture(4, **MODEL).fit(rows)
    assert_same(again, found)


def test_an_error_in_a_task_names_the_argument(client):
    with pytest.raises(ValueError, match="Input X contains NaN"):
        SparseGaussianMixture(2, sparsity=0.0).fit(made_by_workers() * np.nan)


def test_a_task_has_the_threads_of_its_worker(client):
    assert client.submit(_threads.usable_cores).result() == 1


def test_workers_in_one_process_have_their_own_threads(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with distributed.Client(
        processes=False, n_workers=2, threads_per_worker=3, dashboard_address=":0"
    ) as client:
        assert client.submit(_threads.usable_cores).result() == 3


DOMAINS = np.tile([1, -1], len(X) // 2)
LABELS = np.where(DOMAINS > 0, X[:, 0] > 3.0, -1)


def by_labels(model, rows, labels):
    """How well a classifier labels the source rows; a score without routing."""
    return np.mean(model.predict(rows) == labels)


def by_distance(model, rows, labels=None):
    """How near the mean of moved rows is to that of the target."""
    return -np.abs(model.transform(rows).mean() - X[DOMAINS < 0].mean())


@pytest.mark.parametrize(
    ("model", "grid", "scoring", "labels"),
    [
        (CoupledGaussianMixture(random_state=0), {"n_components": [1, 3]}, None, None),
        (LinkedGaussianMixture(random_state=0), {"n_components": [1, 3]}, None, None),
        (GMMOTTransformer(random_state=0), {"align": [None]}, by_distance, None),
        (GMMOTClassifier(random_state=0), {"align": [None]}, by_labels, LABELS),
    ],
    ids=["coupled", "linked", "transformer", "classifier"],
)
def test_a_grid_search_of_domains_runs_on_a_cluster(
    client, model, grid, scoring, labels
):
    folds = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(model, grid, scoring=scoring, cv=folds)
    with sklearn.config_context(enable_metadata_routing=True):
        expected = clone(search).fit(X, labels, sample_domain=DOMAINS)
        with joblib.parallel_config(backend="dask"):
            search.fit(X, labels, sample_domain=DOMAINS)
    found = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(found, expected.cv_results_["mean_test_score"])
    assert np.isfinite(found).all()
    assert search.best_params_ == expected.best_params_


def test_a_grid_search_runs_on_a_cluster(client):
    search = GridSearchCV(
        SparseGaussianMixture(sparsity=0.0, random_state=0),
        {"n_components": [1, 3]},
        cv=2,
    )
    with joblib.parallel_config(backend="dask"):
        search.fit(X)
    assert search.best_params_ == {"n_components": 3}
    expected = search.best_estimator_.score(X)
    assert search.best_estimator_.score(made_by_workers()) == pytest.approx(expected)
