"""The recipe of the guide for AnnData, run as it stands there."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from skgmmot import LinkedGaussianMixture
from skgmmot.datasets import make_time_course

GUIDE = Path(__file__).parent.parent / "doc" / "guide_linked.rst"


def recipe():
    """The lines between the sentence about AnnData and the next paragraph."""
    _, _, rest = GUIDE.read_text().partition("ten lines go in and out::\n\n")
    lines = rest.splitlines()
    end = next(i for i, line in enumerate(lines) if line and line[0] != " ")
    return textwrap.dedent("\n".join(lines[:end]))


def test_anndata_goes_in_and_out():
    anndata = pytest.importorskip("anndata")
    course = make_time_course(150, n_features=3, kind="growing", random_state=0)
    adata = anndata.AnnData(course.X)
    adata.obs["day"] = course.sample_domain
    adata.obsm["X_pca"] = course.X
    names = {
        "adata": adata,
        "np": np,
        "LinkedGaussianMixture": LinkedGaussianMixture,
    }
    code = recipe()
    assert len(code.strip().splitlines()) == 10
    exec(code, names)
    linked = names["linked"]
    day = course.sample_domain
    wanted = linked.predict(course.X, sample_domain=day)
    np.testing.assert_array_equal(adata.obs["population"], wanted)
    for t in linked.domains_:
        found = adata.obsm["velocity_pca"][day == t]
        np.testing.assert_allclose(found, linked.velocity(course.X[day == t], t))
    plans = adata.uns["couplings"]
    np.testing.assert_array_equal(plans["(0.0, 1.0)"], linked.coupling(0.0, 1.0))
