"""What a fit says while it runs, its callbacks, and what an interrupt leaves."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from recorder import Recorder
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skgmmot import CoupledGaussianMixture, GMMOTTransformer, SparseGaussianMixture
from skgmmot.datasets import make_mixture, make_shifted_mixtures, stack_domains


@pytest.fixture(scope="module")
def X():
    return make_mixture(600, n_components=4, separation=3.0, random_state=0).X


def watched(callback, **settings):
    pytest.importorskip("sklearn.callback")
    return SparseGaussianMixture(6, random_state=0, **settings).set_callbacks(callback)


def test_callbacks_see_every_start_and_iteration(X):
    seen = Recorder()
    mixture = watched(seen, sparsity=0.0, n_init=2).fit(X)
    assert seen.names.count("start") == 2
    assert seen.names.count("iteration") >= mixture.n_iter_
    assert seen.names[-1] == "fit"
    assert seen.ended == ["setup", "teardown"]
    bare = SparseGaussianMixture(6, sparsity=0.0, n_init=2, random_state=0).fit(X)
    # Steps that nobody watches are one compiled loop, with sums in another order.
    np.testing.assert_allclose(mixture.means_, bare.means_, rtol=1e-8)
    assert vars(mixture).keys() - {"_skl_callbacks"} == vars(bare).keys()


def test_callbacks_see_the_fit_of_every_covariance_type(X):
    seen = Recorder()
    mixture = watched(seen, covariance_type="auto").fit(X)
    assert seen.names.count("fit") == seen.names.count("start") == 4
    assert seen.ended == ["setup", "teardown"] * 4
    bare = SparseGaussianMixture(6, covariance_type="auto", random_state=0).fit(X)
    np.testing.assert_allclose(mixture.means_, bare.means_, rtol=1e-8)
    assert vars(mixture).keys() - {"_skl_callbacks"} == vars(bare).keys()


def test_callbacks_are_offered_a_fitted_estimator(X):
    seen = Recorder()
    mixture = watched(seen, sparsity=0.0, accelerate=False).fit(X)
    scores = [fitted.score(X) for fitted in seen.fitted]
    np.testing.assert_allclose(scores, mixture.lower_bounds_, rtol=1e-9)
    assert not hasattr(clone(mixture), "means_")


@pytest.mark.parametrize("sparsity", [0.0, 2.0])
def test_a_callback_can_stop_a_fit(X, sparsity):
    seen = Recorder(stop_after=3)
    mixture = watched(seen, sparsity=sparsity, tol=0.0).fit(X)  # and no warning
    assert mixture.n_iter_ == 3
    assert not mixture.converged_
    assert seen.names == ["iteration"] * 3 + ["start", "fit"]
    np.testing.assert_allclose(
        mixture.lower_bound_, mixture.lower_bounds_[-1], rtol=1e-12
    )


def test_a_callback_can_stop_a_path(X):
    seen = Recorder(stop_after=4, name="size")
    mixture = watched(seen).fit(X)
    assert seen.names.count("size") == 4
    assert not mixture.converged_
    assert len(mixture.path_.n_components) <= 4
    whole = SparseGaussianMixture(6, random_state=0).fit(X)
    assert len(whole.path_.n_components) == 6
    criterion = mixture.path_.criterion
    assert mixture.n_components_ == mixture.path_.n_components[criterion.argmin()]
    np.testing.assert_allclose(mixture.bic(X), criterion.min(), rtol=1e-9)


def test_a_path_on_a_sample_that_is_stopped_speaks_of_all_rows():
    X = make_mixture(50_000, n_components=3, random_state=0).X
    mixture = watched(Recorder(stop_after=3, name="size")).fit(X)
    np.testing.assert_allclose(mixture.bic(X), mixture.path_.criterion.min(), rtol=1e-9)


def test_the_best_point_outlives_an_interrupt(X):
    seen = Recorder(interrupt_after=5)
    mixture = watched(seen, sparsity=0.0, tol=0.0)
    before = dict(vars(mixture))
    with pytest.raises(KeyboardInterrupt):
        mixture.fit(X)
    assert vars(mixture) == before
    assert seen.ended == ["setup", "teardown"]
    reference = SparseGaussianMixture(
        6, sparsity=0.0, tol=0.0, random_state=0, max_iter=4
    )
    with pytest.warns(ConvergenceWarning):
        reference.fit(X)
    score = seen.fitted[-1].score(X)
    np.testing.assert_allclose(score, reference.lower_bound_, rtol=1e-9)


def test_pieces_of_a_warm_start_outlive_an_interrupt(X, monkeypatch):
    mixture = SparseGaussianMixture(
        6, sparsity=0.0, max_iter=5, warm_start=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        mixture.fit(X)
    kept = mixture.lower_bound_

    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for step in ("m_step", "small_steps"):
            patch.setattr(f"skgmmot.mixture._fit.{step}", interrupt)
        with pytest.raises(KeyboardInterrupt):
            mixture.fit(X)
    assert mixture.lower_bound_ == kept
    mixture.set_params(max_iter=500).fit(X)
    assert mixture.converged_
    assert mixture.lower_bound_ > kept


def test_a_coupled_fit_has_callbacks_and_can_be_stopped():
    pytest.importorskip("sklearn.callback")
    data = make_shifted_mixtures(200, n_components=3, random_state=0)
    rows, domain = stack_domains(data.X_source, data.X_target)
    seen = Recorder(stop_after=2)
    coupled = CoupledGaussianMixture(3, init_params="pooled", random_state=0)
    coupled.set_callbacks(seen).fit(rows, sample_domain=domain)
    assert coupled.n_iter_ == 2
    assert not coupled.converged_
    assert seen.names == ["iteration"] * 2 + ["start", "fit"]


@pytest.mark.parametrize("make", [SparseGaussianMixture, CoupledGaussianMixture])
def test_a_transformer_shows_the_progress_of_its_mixtures(make, capsys):
    pytest.importorskip("sklearn.callback")
    data = make_shifted_mixtures(100, n_components=2, random_state=0)
    rows, domain = stack_domains(data.X_source, data.X_target)
    seen = Recorder()
    inner = make(2, random_state=0, verbose=1).set_callbacks(seen)
    GMMOTTransformer(inner).fit(rows, sample_domain=domain)
    n_fits = 2 if make is SparseGaussianMixture else 1  # one a domain
    assert seen.names.count("fit") == n_fits
    assert seen.ended == ["setup", "teardown"] * n_fits
    assert "iteration" in seen.names
    assert capsys.readouterr().out.count("Initialization converged") == n_fits


def test_the_progress_bar_of_scikit_learn_runs(X, capsys):
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    watched(callback.ProgressBar()).fit(X)
    assert "SparseGaussianMixture" in capsys.readouterr().out


def test_every_message_has_objective_components_change_and_time(X, capsys):
    settings = {"sparsity": 2.0, "random_state": 0, "verbose_interval": 1}
    mixture = SparseGaussianMixture(6, verbose=1, **settings).fit(X)
    number = r"-?[0-9.]+(e[-+][0-9]+)?"
    pattern = re.compile(
        rf"  Iteration \d+\t objective {number}\t components \d+"
        rf"\t bound change (inf|{number})\t time lapse {number}s"
    )
    lines = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("  Iteration")
    ]
    assert lines
    assert all(pattern.fullmatch(line) for line in lines)
    assert f"components {mixture.n_components_}" in lines[-1]


def test_verbose_2_has_digits_and_speaks_of_starts(X, capsys):
    SparseGaussianMixture(6, verbose=2, random_state=0).fit(X)
    told = capsys.readouterr().out
    assert re.search(r"  start found\t time lapse", told)
    assert re.search(r"6 components: criterion [0-9.]{10,}\t time lapse", told)
    assert re.search(r"lower bound -[0-9]+\.[0-9]{10}\.", told)


@pytest.mark.compiled
def test_compilation_is_announced_once():
    code = (
        "import numpy as np\n"
        "from skgmmot import SparseGaussianMixture\n"
        "X = np.random.default_rng(0).normal(size=(50, 2))\n"
        "for _ in range(2):\n"
        "    print('fit')\n"
        "    SparseGaussianMixture(\n"
        "        1, sparsity=0, verbose=1, init_params='random_from_data'\n"
        "    ).fit(X)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"SKGMMOT_CACHE": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    told = [line.startswith("Compiling") for line in ran]
    assert sum(told) == 1
    assert told.index(True) < ran.index("fit", 1)
