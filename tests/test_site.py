"""The built site: every method has its place, links lead somewhere, search finds.

Skipped where the site is not built; doc/README.rst has the command.
"""

import http.server
import importlib
import inspect
import json
import os
import re
import shutil
import socketserver
import subprocess
import threading
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import skgmmot
import skgmmot.datasets
import skgmmot.transport

ROOT = Path(__file__).parents[1]
SITE = Path(os.environ.get("SKGMMOT_SITE", ROOT / "doc" / "_build" / "html"))
MODULES = ["skgmmot", "skgmmot.transport", "skgmmot.datasets"]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(
    not (SITE / "objects.inv").exists(), reason="the site is not built"
)


def documented(kind):
    """Dotted names of a kind that have a place on the pages."""
    raw = (SITE / "objects.inv").read_bytes()
    lines = zlib.decompress(raw.split(b"\n", 4)[4]).decode().splitlines()
    names = {line.split()[0] for line in lines if line.split()[1] == f"py:{kind}"}
    return {name for name in names if "._" not in name}  # no second, private names


def public(test):
    """Dotted names of what the package offers."""
    return {
        f"{module}.{name}"
        for module in MODULES
        for name in importlib.import_module(module).__all__
        if test(getattr(importlib.import_module(module), name))
    }


def methods():
    """Dotted names of public methods that this package wrote."""
    found = set()
    for dotted in public(inspect.isclass):
        module, name = dotted.rsplit(".", 1)
        owner = getattr(importlib.import_module(module), name)
        for method, function in inspect.getmembers(owner, callable):
            written_in = getattr(function, "__module__", None) or ""
            if written_in.startswith("skgmmot") and not method.startswith("_"):
                found.add(f"{dotted}.{method}")
    return found


def test_every_method_is_on_the_pages():
    assert documented("method") == methods()
    assert len(methods()) > 40


def test_the_html_of_an_estimator_would_find_its_page():
    for estimator in public(lambda x: inspect.isclass(x) and hasattr(x, "fit")):
        kind = getattr(skgmmot, estimator.removeprefix("skgmmot."))
        template = kind()._doc_link_template
        page = template.format(estimator_name=kind.__name__).partition("/generated/")[2]
        assert (SITE / "generated" / page).is_file(), page


def test_every_class_and_function_is_on_the_pages():
    assert public(inspect.isclass) == documented("class")
    assert public(inspect.isfunction) == documented("function")


class Links(HTMLParser):
    """Where a page leads, what it shows, and the places on it."""

    def __init__(self):
        super().__init__()
        self.links, self.sources, self.places = set(), set(), set()

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag == "a" and named.get("href"):
            self.links.add(named["href"])
        if tag in ("img", "script", "source") and named.get("src"):
            self.sources.add(named["src"])
        if named.get("id"):
            self.places.add(named["id"])


def pages():
    return sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)


def read(path):
    parser = Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def test_links_and_pictures_within_the_site_lead_somewhere():
    parsed = {path.resolve(): read(path) for path in pages()}
    lost = []
    for page, found in parsed.items():
        for link in found.links | found.sources:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            goal = page
            if parts.path:
                goal = (page.parent / unquote(parts.path)).resolve()
            if not goal.exists():
                lost.append(f"{page.name} -> {link}")
            elif parts.fragment and goal in parsed:
                places = parsed[goal].places
                if unquote(parts.fragment) not in places and parts.fragment != "":
                    lost.append(f"{page.name} -> {link}")
    assert not lost


def test_addresses_elsewhere_are_well_formed():
    """They cannot be followed where there is no network; typing errors can be seen."""
    for path in pages():
        for link in read(path).links:
            parts = urlsplit(link)
            if not (parts.scheme or parts.netloc):
                continue
            assert parts.scheme == "https", f"{path.name} -> {link}"
            assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,}", parts.netloc), link
            assert not re.search(r"[\s<>`]", link), link
            if parts.netloc == "doi.org":
                assert re.fullmatch(r"/10\.\d{4,9}/\S*[^\s.,;]", parts.path), link


def test_sources_of_the_package_are_on_the_page_of_references():
    form = re.compile(r"\b10\.\d{4,9}/[^\s`>\",;]+")
    listed = set(form.findall((ROOT / "doc" / "references.rst").read_text("utf-8")))
    for path in sorted((ROOT / "skgmmot").rglob("*.py")):
        for found in form.findall(path.read_text("utf-8")):
            doi = found.rstrip(".:" if "(" in found else ".:)")
            assert doi in listed, f"{path.name}: {doi}"


def test_no_page_needs_the_network():
    for path in pages():
        outside = [s for s in read(path).sources if urlsplit(s).netloc]
        assert not outside, path


def test_search_knows_predict():
    text = (SITE / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(re.search(r"setIndex\((.*)\)", text, re.DOTALL)[1])
    assert "predict" in index["terms"]
    assert "predict" in json.dumps(index["objects"])


def test_every_example_has_its_picture():
    for path in (ROOT / "examples").glob("plot_*.py"):
        page = SITE / "auto_examples" / f"{path.stem}.html"
        assert any("sphx_glr_" in source for source in read(page).sources), path.name


@pytest.fixture
def address():
    """The site behind a server on this machine, as a browser wants it for search."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(SITE))

        def log_message(self, *arguments):
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def browse(url, folder, width=1280):
    """The page as a browser made it, and what it complained of."""
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}",
            f"--window-size={width},900",
            "--virtual-time-budget=60000",
            "--enable-logging=stderr",
            "--dump-dom",
            url,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = re.findall(r"CONSOLE.*", done.stderr)
    return done.stdout, [line for line in told if "[PST]" not in line]


PROBE = """<html><body><script>
async function look(page) {
  const frame = document.createElement("iframe");
  frame.width = WIDTH; frame.height = 900; frame.src = page;
  document.body.appendChild(frame);
  await new Promise(done => frame.onload = done);
  await new Promise(done => setTimeout(done, 300));
  const inside = frame.contentDocument;
  const lost = [...inside.images].filter(
    i => i.loading != "lazy" && !(i.complete && i.naturalWidth > 0));
  const wide = inside.documentElement.scrollWidth > WIDTH + 1;
  frame.remove();
  return page + (wide ? " is too wide" : "") + (lost.length ? " lacks pictures" : "");
}
(async () => {
  const found = [];
  for (const page of PAGES) found.push(await look(page));
  document.body.innerHTML = "<pre>" + found.join("\\n") + "</pre>";
})();
</script></body></html>"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_is_cut_on_a_phone_or_a_desk(address, tmp_path, width):
    names = [path.relative_to(SITE).as_posix() for path in pages()]
    probe = SITE / "_static" / f"probe{width}.html"
    text = PROBE.replace("WIDTH", str(width))
    text = text.replace("PAGES", json.dumps([f"../{name}" for name in names]))
    probe.write_text(text, encoding="utf-8")
    try:
        page, complaints = browse(f"{address}/_static/{probe.name}", tmp_path, 1500)
    finally:
        probe.unlink()
    found = re.search(r"<pre>(.*)</pre>", page, re.DOTALL)[1].split("\n")
    assert found == [f"../{name}" for name in names]
    assert complaints == []


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_a_browser_shows_formulas_and_finds_predict(address, tmp_path):
    page, complaints = browse(f"{address}/guide_notation.html", tmp_path)
    assert "mjx-container" in page
    assert complaints == []
    page, complaints = browse(f"{address}/search.html?q=predict", tmp_path)
    assert re.search(r"SparseGaussianMixture\.predict", page)
    assert complaints == []
    assert skgmmot.__version__ in page
