"""The HTML of estimators links to their pages, once there is a published site."""

from email.message import Message

import pytest
from sklearn.utils import estimator_html_repr

import skgmmot
from skgmmot.estimators import _documented

ESTIMATORS = [
    skgmmot.SparseGaussianMixture,
    skgmmot.CoupledGaussianMixture,
    skgmmot.LinkedGaussianMixture,
    skgmmot.GMMOTTransformer,
    skgmmot.GMMOTClassifier,
]
SITE = "https://docs.example.org/stable"


@pytest.fixture
def urls(monkeypatch):
    """The URLs of the installed project, to be filled."""
    known = Message()
    monkeypatch.setattr(_documented, "metadata", lambda name: known)
    return known


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_a_published_site_is_linked(kind, urls):
    urls["Project-URL"] = "Source, https://source.example.org"
    urls["Project-URL"] = f"Documentation, {SITE}/"
    page = f"{SITE}/generated/skgmmot.{kind.__name__}.html"
    assert kind()._get_doc_link() == page
    assert page in estimator_html_repr(kind())


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_without_a_site_nothing_is_linked(kind, urls):
    assert kind()._get_doc_link() == ""
    assert "generated/skgmmot" not in estimator_html_repr(kind())


def test_sources_that_were_never_installed_have_no_links(monkeypatch):
    def unknown(name):
        raise _documented.PackageNotFoundError(name)

    monkeypatch.setattr(_documented, "metadata", unknown)
    assert skgmmot.SparseGaussianMixture()._get_doc_link() == ""
