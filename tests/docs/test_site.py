"""The built site: whole, without a dead link, and without anything that is fetched from elsewhere.

It is built here, or taken from where ``NESTBENCH_SITE`` says that it was built by ``make docs``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import nestbench
from nestbench.cli import app
from nestbench.estimators.methods import registry
from nestbench.experiments import catalog
from nestbench.reports.figures.kinds import KINDS
from nestbench.reports.measures.declared import MEASURES
from nestbench.sim.laws.registry import known_laws

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LOADING = {
    ("script", "src"), ("img", "src"), ("img", "srcset"), ("iframe", "src"), ("source", "src"), ("video", "src"),
    ("audio", "src"), ("embed", "src"), ("object", "data"), ("use", "href"), ("image", "href"), ("form", "action"),
}  # fmt: skip
"""Attributes whose address a browser loads, or sends a form to; those of <link> are judged by their `rel`."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if built := os.environ.get("NESTBENCH_SITE"):
        return Path(built).resolve()
    for needed in ("sphinx", "numpydoc", "myst_parser", "pydata_sphinx_theme"):
        pytest.importorskip(needed, reason="the extra [docs] isn't installed")
    out = tmp_path_factory.mktemp("docs") / "html"
    flags = ["-b", "html", "-n", "-W", "--keep-going", "-q", "-d", str(out.parent / "doctrees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *flags, str(ROOT / "docs"), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


class Page(HTMLParser):
    """What a page loads, where it links to, what can be linked to in it, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self._silent = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self._silent += tag in ("script", "style")
        self.loads += [found[key] for element, key in LOADING if element == tag and key in found]
        self.loads += re.findall(r"url\(([^)]*)\)", found.get("style", ""))
        if tag == "link" and found.get("rel", "") not in {
            "author",
            "index",
            "search",
            "next",
            "prev",
            "canonical",
        }:
            self.loads.append(found.get("href", ""))
        if tag == "a":
            self.links.append(found.get("href", ""))
        self.anchors |= {found[key] for key in ("id", "name") if key in found}

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)


@cache
def read(file: Path) -> Page:
    return Page(file.read_text(encoding="utf-8"))


def pages(site: Path) -> Iterator[Path]:
    return (file for file in sorted(site.rglob("*.html")) if "_static" not in file.relative_to(site).parts)


def remote(address: str) -> bool:
    return bool(urlsplit(address.strip("'\" ")).netloc)


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert {file.name: loads for file in pages(site) if (loads := [*filter(remote, read(file).loads)])} == {}
    for sheet in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        found = re.findall(r"url\(([^)]*)\)|@import\s+([^;]+)", text)
        assert [address for pair in found for address in pair if remote(address)] == [], sheet


def test_the_check_sees_what_is_loaded() -> None:
    text = '<link rel="preconnect" href="//fonts.example"><script src="https://cdn.example/x.js"></script>'
    page = Page(
        text + '<p style="background: url(http://example.org/a.png)"><a href="https://example.org">out</a>'
    )
    assert len([*filter(remote, page.loads)]) == 3
    assert page.links == ["https://example.org"]


def has(file: Path, anchor: str) -> bool:
    """Whether a page has an anchor; those of a run's report are made by its script."""
    return file.suffix != ".html" or file.parent.name == "reports" or anchor in read(file).anchors


def test_no_link_is_dead(site: Path) -> None:
    dead = []
    for file in pages(site):
        for link in read(file).links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (file.parent / unquote(address.path)).resolve() if address.path else file
            if not target.is_file() or (address.fragment and not has(target, unquote(address.fragment))):
                dead.append((file.name, link))
    assert dead == []


def test_every_source_is_a_page_that_another_links_to(site: Path) -> None:
    sources = {
        file.relative_to(ROOT / "docs").with_suffix(".html")
        for file in (ROOT / "docs").rglob("*.md")
        if "_build" not in file.parts
    }
    built = {file.relative_to(site) for file in pages(site)}
    assert sources <= built
    linked = {
        (file.parent / urlsplit(link).path).resolve() for file in pages(site) for link in read(file).links
    }
    assert {page for page in sources if site / page not in linked} == set()


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("methods", list(registry.known())),
        ("measures", [measure.name.replace("_", "-") for measure in MEASURES]),
        ("populations", [*known_laws(), "layout"]),
        ("experiments", list(catalog.names())),
        ("commands", [f"nestbench-{command.name}" for command in app.registered_commands]),
        ("api", [f"nestbench.{name}" for name in nestbench.__all__ if not name.startswith("__")]),
    ],
)
def test_what_is_declared_can_be_linked_to(site: Path, page: str, names: list[str]) -> None:
    assert len(names) > 1
    assert set(names) - read(site / "reference" / f"{page}.html").anchors == set()


def test_every_kind_of_figure_is_named(site: Path) -> None:
    assert set(KINDS) <= set(read(site / "reference" / "figures.html").words)


def test_formulas_are_shown_not_spelled(site: Path) -> None:
    page = site / "reference" / "methods.html"
    assert page.read_text().count("<math") > 100
    assert not re.search(r"\\(frac|hat|sum|left|quad)", " ".join(read(page).words))


def test_reports_of_the_gallery_are_real_pages(site: Path) -> None:
    reports = [*(site / "reports").glob("*.html")]
    linked = [link for link in read(site / "gallery.html").links if link.startswith("reports/")]
    assert set(linked) == {f"reports/{file.name}" for file in reports}
    assert len(reports) >= 2
    for file in reports:
        assert "Coverage at a glance" in " ".join(read(file).words)


AMISS = """
const right = e => e.getBoundingClientRect().right;
const own = e => e.closest('pre, .formula, .pst-scrollable-table-container');
return [
  ...[...document.querySelectorAll('math')].filter(m => m.getBoundingClientRect().height < 5),
  ...[...document.querySelectorAll('img')].filter(i => !i.naturalWidth && i.loading != 'lazy'),
  ...[...document.querySelectorAll('article *')].filter(e => right(e) > innerWidth + 1 && !own(e)),
].map(e => e.outerHTML.slice(0, 200));
"""
"""Formulas without a height, pictures that aren't there, and what is cut off at the right but doesn't scroll."""


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_pages_fit_a_screen_and_ask_for_nothing(site: Path, browser: Any, width: int, scheme: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    amiss = {}
    for page in pages(site):
        if page.parent.name == "reports":
            continue
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.dataset.theme") == scheme, page
        amiss |= {page.name: found} if (found := browser.execute_script(AMISS)) else {}
        assert [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
        asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
        assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == [], page
    assert amiss == {}


@pytest.mark.browser
def test_a_formula_is_set_as_one(site: Path, browser: Any) -> None:
    """An index stands right of its accented letter and below it, a fraction's halves one above the other."""
    browser.get((site / "reference" / "methods.html").as_uri())
    beside, sums, overlapping = browser.execute_script(
        """
        const box = e => e.getBoundingClientRect(), all = s => [...document.querySelectorAll(s)];
        const hat = all('math msub').filter(m => m.firstElementChild.localName == 'mover');
        const low = hat.every(m => box(m.children[1]).left >= box(m.children[0]).right - 2
                              && box(m.children[1]).bottom > box(m.children[0]).bottom);
        const sums = all('.formula munder, .formula munderover').length;
        const parts = all('math mfrac').filter(f => box(f.children[0]).bottom > box(f.children[1]).top + 1);
        return [hat.length > 0 && low, sums, parts.length];
        """
    )
    assert beside
    assert sums > 10
    assert overlapping == 0
