"""Nothing of the page is cut off or out of reach: at a desk, on a phone, on paper."""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.report import environment, write_report
from nestbench.reports.page.sheets import fit_across, sheets
from tests.browsing import show_all, size, wait
from tests.reports.synthetic import FakeResults, school_study

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def long_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conditions with long names, a method with few usable fits: whatever could be too wide."""
    return write_report(long_study((6, 10), 4), tmp_path_factory.mktemp("long") / "report.html")


def long_study(schools: tuple[int, ...], icc: int) -> FakeResults:
    """A study of four factors, two of them with long levels."""
    whole = school_study(reps=30, schools=schools, icc=tuple(i / 20 for i in range(icc)))
    formulas = [
        "grade ~ age + gender + resources",
        "grade ~ center(age) + gender + resources + center(age):resources + np.exp(resources / 10) + I(age**2)",
    ]
    levels = tuple(
        {
            "population.effects.treated": i // 4,
            "model.formula": formulas[i // 2 % 2],
            "model.random": ("1", "1 + center(age) + center(age):resources")[i % 2],
            "model.level": 0.95,
        }
        for i in range(len(whole.cells))
    )
    return replace(whole, experiment=replace(whole.experiment, levels=levels))


BEYOND = """
const beyond = (n) => n.offsetParent && n.scrollWidth > n.clientWidth + 1;
const told = (n) => n.previousElementSibling?.matches('.sideways:not([hidden])');
const boxes = [...document.querySelectorAll('.scroll, .plot, pre')].filter(beyond);
return [boxes.filter(n => !told(n)), boxes].map(all => all.map(n => `${n.className} ${n.textContent.slice(0, 60)}`));
"""
"""What is wider than its place: without a word about it, and at all."""


@pytest.mark.parametrize("media", ["390", "1200", "print"])
def test_nothing_on_the_whole_page_is_cut_off(browser: Any, long_words: Path, media: str) -> None:
    """Every section drawn and opened: what is wider than its place scrolls there and says so, on a phone alone."""
    width = 957 if media == "print" else int(media)  # A4 as Chromium prints it
    size(browser, width, 900)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print" if media == "print" else ""})
    browser.get(long_words.as_uri())
    browser.execute_script(
        "document.querySelectorAll('main > section').forEach(s => { s.style.contentVisibility = 'visible'; });"
        "document.querySelectorAll('details').forEach(d => { d.open = true; });"
    )
    show_all(browser)
    wait(browser, "document.querySelectorAll('.scroll').length > 0")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    cut = browser.execute_script(
        "const scrolls = (n) => { for (let p = n; p; p = p.parentElement)"
        " if (p !== document.body && getComputedStyle(p).overflowX === 'auto') return true; return false; };"
        "return [...document.querySelectorAll('main *')].filter(n => !n.closest('.hidden') && !scrolls(n)"
        " && n.getBoundingClientRect().right > arguments[0] + 1).map(n => n.tagName + ' ' + n.id + n.className)",
        width,
    )
    assert cut == []
    untold, beyond = browser.execute_script(BEYOND)
    assert untold == []
    assert [box for box in beyond if media != "390" or box.startswith("plot")] == []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


SHORT = [[f"{schools} schools", f"ICC {i / 20}"] for schools in (6, 10, 30) for i in range(4)]
LONG = [["level 0.8", f"formula grade ~ {' + '.join(['resources'] * i)}"] for i in range(1, 33)]
WHOLE = [[f"formula grade~{'+'.join(['age'] * i)}", f"random 1+{'x' * 30}"] for i in range(1, 9)]
NAMES = ["ols", "ols-cr1s-z", "ols-cr3-t(reference=satterthwaite)", "mixedlm", "reml-satt"]


@pytest.mark.parametrize("media", ["1200", "print"])
def test_tables_of_methods_by_conditions_fit_the_page(browser: Any, tmp_path: Path, media: str) -> None:
    parts = []
    for conditions, methods, text in product(
        (SHORT, LONG, WHOLE), (1, 5, 24), ("–", "1.03 (to 1.20)", "81.4 [43 of 60]")
    ):
        rows = [
            (NAMES[i % 5] + "-i" * (i // 5), [dict(ENTRY, text=text)] * len(conditions))
            for i in range(methods)
        ]
        parts.append(sheets(conditions, {"age": rows}, fit_across(conditions, [{"age": rows}])))
    style = environment().loader.get_source(environment(), "page.css")[0]  # type: ignore[union-attr]
    body = environment().from_string(
        '{% from "matrix.html.jinja" import matrix with context %}'
        "{% for one in parts %}{{ matrix(one, 'Coverage') }}{% endfor %}"
    )
    text = body.render(parts=parts, headline="age", without_table={})
    path = tmp_path / "tables.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style><main>{text}</main>", "utf-8")
    size(browser, 957 if media == "print" else 1200, 900)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print" if media == "print" else ""})
    browser.get(path.as_uri())
    beyond = browser.execute_script(
        "return [...document.querySelectorAll('.sheet')].filter(n => n.scrollWidth > n.clientWidth + 1)"
        ".map(n => [n.scrollWidth, n.querySelector('tbody').textContent.slice(0, 200)])"
    )
    assert beyond == []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


ENTRY = {"grade": "none", "title": "", "said": ""}


@pytest.mark.slow
def test_a_print_is_whole(browser: Any, tmp_path: Path) -> None:
    """Words of the PDF and their places: all on the paper, rows of panels whole, captions with what they're of."""
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext isn't installed")
    study = long_study((6, 10, 20), 12)
    study = replace(study, cells=[found if i % 5 else {} for i, found in enumerate(study.cells)])
    size(browser, 1200, 900)
    browser.get(write_report(study, tmp_path / "report.html").as_uri())
    pages = printed(browser, tmp_path)
    words = [[word for word, *_ in page] for page in pages]
    starts = {head: next(i for i, page in enumerate(words) if in_a_row(page, head)) for head in HEADS}
    assert all(
        a >= 0 and c <= wide and b >= 0 and d <= high for page in pages for _, a, b, c, d, wide, high in page
    )
    table = performance_table(study)
    table = table[(table["term"] == "resources") & (table["measure"] == "coverage")]
    names = set(table["estimator"])
    for i in range(starts["Bias Mean"], starts["Statuses Share"]):
        counts = {sum(word == name for word in words[i]) for name in names}
        assert len(counts) == 1, (i, counts)
    found = Counter(
        word for page in words[starts["Coverage at a"] : starts["Coverage Share"] + 1] for word in page
    )
    assert found >= Counter(f"{100 * value:.1f}" for value in table["value"])
    for head in ("Coverage Share", "Bias Mean", "Standard errors How", "Rejection rate Share"):
        assert names <= {*words[starts[head]]}, head


HEADS = (
    "Coverage at a",
    "Coverage Share",
    "Bias Mean",
    "Standard errors How",
    "Rejection rate Share",
    "Statuses Share",
)
"""Headings with the first word below them."""


def in_a_row(page: list[str], phrase: str) -> bool:
    return f" {phrase} " in f" {' '.join(page)} "


def printed(browser: Any, folder: Path) -> list[list[tuple[Any, ...]]]:
    """The words of a page's PDF by sheet: word, left, top, right, bottom, width and height of the paper."""
    pdf = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    (folder / "page.pdf").write_bytes(base64.b64decode(pdf))
    subprocess.run(["pdftotext", "-bbox", "page.pdf", "page.html"], cwd=folder, check=True)
    text = (folder / "page.html").read_text()
    pages = []
    for size_, body in re.findall(r'<page (width="[^"]*" height="[^"]*")>(.*?)</page>', text, re.S):
        wide, high = (float(x) for x in re.findall(r'"([^"]*)"', size_))
        found = re.findall(r'xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>', body)
        pages.append([(html.unescape(word), *map(float, box), wide, high) for *box, word in found])
    return pages
