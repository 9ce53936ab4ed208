"""Estimators whose HTML in a notebook links to the page of their class."""

from importlib.metadata import PackageNotFoundError, metadata

from skgmmot.estimators._sklearn_private import Estimator


class DocumentedEstimator(Estimator):
    """scikit-learn's base class, with links to the published documentation.

    Where that stands is said once, by the URL "Documentation" of the project
    (pyproject.toml). As long as there is none, the HTML has no links.
    """

    @property
    def _doc_link_module(self) -> str:
        return "skgmmot" if _site() else "no site"

    @property
    def _doc_link_template(self) -> str:
        return f"{_site()}/generated/skgmmot.{{estimator_name}}.html"


def _site() -> str:
    """Address of the published documentation, "" if there is none."""
    try:
        urls = metadata("skgmmot").get_all("Project-URL") or []
    except PackageNotFoundError:  # sources that were never installed
        urls = []
    parts = (url.partition(",") for url in urls)
    found = (site for name, _, site in parts if name.strip().lower() == "documentation")
    return next(found, "").strip().rstrip("/")
