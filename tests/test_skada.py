"""skada's pipelines: they label rows themselves and pass the labels on."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from test_estimators_coupled import rotated_clusters

from skgmmot import CoupledGaussianMixture, GMMOTTransformer
from skgmmot.datasets import stack_domains

SHIFT = (8.0, 6.0)  # a classifier of the source gives every target row one label
COUPLED = {"n_components": 2, "transport_weight": 0.001}

# In a process of its own: importing skada switches metadata routing on everywhere.
SKADA = """
import warnings
import numpy as np
from sklearn.linear_model import LogisticRegression
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skada import make_da_pipeline
from skgmmot import CoupledGaussianMixture, GMMOTClassifier, GMMOTTransformer
from skgmmot.datasets import stack_domains
with np.load(r"{path}") as data:
    source, target, y_source, y_target = (data[f"arr_{{i}}"] for i in range(4))
X, sample_domain = stack_domains(source, target)
mover = GMMOTTransformer(CoupledGaussianMixture(**{coupled!r}), random_state=0)
pipe = make_da_pipeline(mover, LogisticRegression())
pipe.fit(X, np.concatenate([y_source, y_target]), sample_domain=sample_domain)
labels = pipe.predict(target, sample_domain=-np.ones(len(target)))
print(np.mean(labels == y_target))
pipe = make_da_pipeline(GMMOTClassifier())
pipe.fit(X, np.concatenate([y_source, y_target]), sample_domain=sample_domain)
labels = pipe.predict(target, sample_domain=-np.ones(len(target)))
print(np.mean(labels == y_target))
"""


@pytest.mark.skipif(find_spec("skada") is None, reason="skada is not installed")
def test_a_skada_pipeline_adapts(tmp_path):
    problem = rotated_clusters(shift=SHIFT)
    path = tmp_path / "problem.npz"
    np.savez(path, *problem)
    program = SKADA.format(path=path, coupled=COUPLED)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    transformed, label_aware = map(float, done.stdout.split()[-2:])
    assert transformed > 0.95
    assert label_aware > 0.85  # .5 without adaptation


def test_without_adaptation_the_classifier_is_at_chance():
    source, target, y_source, y_target = rotated_clusters(shift=SHIFT)
    plain = LogisticRegression().fit(source, y_source)
    assert abs(plain.score(target, y_target) - 0.5) < 0.05


def test_a_plain_pipeline_adapts_towards_the_source():
    source, target, y_source, y_target = rotated_clusters(shift=SHIFT)
    X, sample_domain = stack_domains(source, target)
    pipe = make_pipeline(
        GMMOTTransformer(
            CoupledGaussianMixture(**COUPLED), map_to="source", random_state=0
        ),
        LogisticRegression(),
    )
    pipe.fit(
        X,
        np.concatenate([y_source, np.zeros(len(target))]),
        gmmottransformer__sample_domain=sample_domain,
        logisticregression__sample_weight=(sample_domain > 0).astype(float),
    )
    assert pipe.score(target, y_target) > 0.95
