"""scikit-learn's checks of arrays that follow the array API, with SciPy's switch on.

The switch has to be there before SciPy is imported: each estimator has a process of its
own. One thing that these checks ask for is against what this package promises, and they
are not shown it: fitted attributes are NumPy arrays whatever the rows were, so that a
model fitted on a GPU takes rows of any kind elsewhere.
"""

import re

import pytest
import scipy
from children import finish_child, start_child
from devices import torch_or_skip
from sklearn.utils import estimator_checks
from sklearn.utils.fixes import parse_version

pytestmark = pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.14")
    or not hasattr(estimator_checks, "check_array_api_mixed_inputs"),
    reason="SciPy and scikit-learn have these checks since 1.14 and 1.9",
)

MODELS = {
    "sparse": "SparseGaussianMixture(2, sparsity=0.0)",
    "criterion": "SparseGaussianMixture(3, covariance_type='auto')",
    "coupled": "CoupledGaussianMixture(2)",
    "linked": "LinkedGaussianMixture(2, reg_m=1.0)",
    "transformer": "GMMOTTransformer()",
    "classifier": "GMMOTClassifier()",
    "subclasses": "GMMOTClassifier(2, covariance_type='diag', align='scale')",
}
_BEGINNING = """
import warnings
from skgmmot import *
from sklearn.utils import estimator_checks as checks
from sklearn.utils._array_api import (
    yield_namespace_device_dtype_combinations as combinations,
)

warnings.simplefilter("ignore")
"""


def run(code):
    child = start_child(_BEGINNING + code, preamble="", env={"SCIPY_ARRAY_API": "1"})
    return finish_child(child, timeout=500)


@pytest.mark.parametrize("model", MODELS)
def test_checks_of_scikit_learn(model):
    code = f"""
model = {MODELS[model]}
results = checks.check_estimator(model, on_fail=None, on_skip=None)
for result in results:
    if "array_api" in result["check_name"] or result["status"] == "failed":
        print(result["check_name"], result["status"], result["exception"])
checks.vars = lambda estimator: {{}}  # fitted attributes are not compared
for place in combinations():
    if place[0] not in ("numpy", "array_api_strict"):
        continue
    for weighted in (False, True):
        checks.check_array_api_input("", model, *place, check_sample_weight=weighted)
        print(place[0], place[2])
"""
    passed = run(code).split("\n")
    assert passed[0] == "check_array_api_input passed None"
    for kind in ("numpy None", "array_api_strict float64", "array_api_strict float32"):
        assert passed.count(kind) == 2


@pytest.mark.parametrize("model", MODELS)
def test_checks_with_torch(model):
    torch_or_skip()
    code = f"""
checks.vars = lambda estimator: {{}}
for dtype in ("float64", "float32"):
    for weighted in (False, True):
        checks.check_array_api_input(
            "", {MODELS[model]}, "torch", "cpu", dtype, check_sample_weight=weighted
        )
        print("passed")
"""
    assert run(code).split() == 4 * ["passed"]


def test_mixed_inputs_are_refused_with_both_kinds_named():
    code = f"""
first, second, host = (
    checks.NamespaceAndDevice("array_api_strict", "CPU_DEVICE"),
    checks.NamespaceAndDevice("array_api_strict", "device1"),
    checks.NamespaceAndDevice("numpy", None),
)
for model in ({", ".join(MODELS.values())}):
    for place, other in ((first, second), (host, first), (second, host)):
        try:
            checks.check_array_api_mixed_inputs("", model, place, other)
        except TypeError as error:
            print(error)
"""
    refusals = run(code).split("\n")
    assert len(refusals) == 3 * len(MODELS)
    expected = r"(sample_weight|y): expected .*an array like X \(.+\), got .+; give"
    assert [words for words in refusals if not re.match(expected, words)] == []
