"""Ctrl-C during a long fit: it stops, its threads end, the estimator is as before."""

import pytest
from children import run_child

_INTERRUPTED = """
import signal, warnings
from skgmmot.datasets import stack_domains
warnings.simplefilter("ignore")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
small, large = rows(400), rows(1_000_000)
domain = np.where(np.arange(len(large)) % 2, -1, 1)
keywords = {{}} if {kind!r} == "sparse" else {{"sample_domain": domain}}

def few(keywords):
    return {{name: values[:400] for name, values in keywords.items()}}

def make(**changes):
    return {make}

def interrupted(estimator, delay):
    before = dict(vars(estimator))
    sent = []

    def send():
        time.sleep(delay)
        sent.append(time.time())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send).start()
    try:
        estimator.fit(large, **keywords)
        return "ended by itself"
    except KeyboardInterrupt:
        late = time.time() - sent[0]
    now = vars(estimator)
    same = now.keys() == before.keys() and all(now[k] is before[k] for k in before)
    start = time.process_time()
    time.sleep(0.3)
    busy = time.process_time() - start
    return late < 5.0 and same and busy < 0.1

former = make().fit(small, **few(keywords))
expected = {predict}
print([interrupted(former, delay) for delay in (0.02, 0.8)])
print({predict} == expected)
print(interrupted(make(), 0.3))
former.fit(small, **few(keywords))
"""
ESTIMATORS = {
    "sparse": (
        "SparseGaussianMixture(10, sparsity=0.0, random_state=0, tol=0.0)",
        "former.score(small)",
    ),
    "coupled": (
        "CoupledGaussianMixture(10, random_state=0, tol=0.0)",
        "former.predict_proba(small).tobytes()",
    ),
    "transformer": (
        "GMMOTTransformer("
        "SparseGaussianMixture(10, sparsity=1.0, tol=0.0, random_state=0))",
        "former.transform(small).tobytes()",
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_interrupted_fit_leaves_everything_as_it_was(name):
    make, predict = ESTIMATORS[name]
    code = _INTERRUPTED.format(kind=name, make=make, predict=predict)
    assert run_child(code).split("\n") == ["[True, True]", "True", "True"]
