"""The page in a real headless Chromium: what it shows, what answers, and that nothing leaves the machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nestbench.reports.conditions import panel_titles
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.report import write_report
from tests.browsing import DONE, show_all, size, wait
from tests.reports.figures.reading import plain, read_svg
from tests.reports.synthetic import FakeResults, school_study

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(school_study(reps=150), tmp_path_factory.mktemp("run") / "report.html")


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    """The page, freshly opened at desktop width, without a word on the console and without a request."""
    size(browser, 1200, 900)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(page.as_uri())
    browser.execute_script("document.querySelector('.figure').scrollIntoView({behavior: 'instant'})")
    wait(browser, f"{DONE} > 0")
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert [url for url in requests(browser) if not url.startswith(("file:", "data:", "blob:"))] == []


def requests(browser: Any) -> list[str]:
    found = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in found if m["method"] == "Network.requestWillBeSent"]


def choose(browser: Any, name: str, value: str) -> None:
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))",
        name,
        value,
    )


def text(browser: Any, css: str) -> list[str]:
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter(n => n.offsetParent !== null)"
        ".map(n => n.textContent)",
        css,
    )
    return found


def test_every_figure_is_drawn_and_named(opened: Any) -> None:
    show_all(opened)
    labels = opened.execute_script(
        "return [...document.querySelectorAll('.plot svg')].map(s => s.getAttribute('aria-label'))"
    )
    assert len(labels) == 6
    assert all("table below" in label for label in labels)


def test_the_term_selector_moves_figures_and_tables_together(opened: Any) -> None:
    assert text(opened, ".glance caption")[0] == "Coverage of the intervals for resources"
    assert "dummies-cr1s-z" not in "".join(text(opened, "#figure-coverage svg text"))
    choose(opened, "term", "age")
    wait(opened, "document.querySelector('#figure-coverage svg')?.textContent.includes('dummies-cr1s-z')")
    assert all(caption.endswith(" for age") for caption in text(opened, ".glance caption"))
    assert set(text(opened, "#numbers tbody td:nth-child(3)")) == {"age"}


def test_the_condition_selector_leaves_one_panel(opened: Any) -> None:
    before = opened.execute_script(
        "return document.querySelectorAll('#figure-coverage svg [class*=layer_0_marks] path').length"
    )
    choose(opened, "cell", "3")
    wait(opened, "document.querySelectorAll('#figure-coverage svg [class*=layer_0_marks] path').length === 1")
    assert before == 6
    assert set(text(opened, "#numbers tbody td:first-child")) == {"10 schools and ICC 0.2"}
    assert opened.execute_script("return document.querySelectorAll('.glance td.off').length") > 0
    choose(opened, "cell", "")
    wait(opened, "document.querySelectorAll('#figure-coverage svg [class*=layer_0_marks] path').length === 6")


def test_hover_shows_value_error_and_n(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    dot = opened.find_elements(By.CSS_SELECTOR, "#figure-coverage .mark-symbol path")[1]
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", dot)
    ActionChains(opened).move_to_element(dot).perform()
    wait(opened, "document.querySelector('#vg-tooltip-element.visible') !== null")
    shown = opened.execute_script("return document.querySelector('#vg-tooltip-element').innerText")
    for word in ("method", "condition", "Coverage", "MCSE", "usable fits", "verdict"):
        assert word in shown


def test_the_table_sorts_both_ways_by_keyboard(opened: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    button = opened.find_element(By.CSS_SELECTOR, "#numbers th:nth-child(5) button")
    button.send_keys(Keys.ENTER)
    values = [float(v) for v in text(opened, "#numbers tbody td:nth-child(5)") if v]
    assert values == sorted(values)
    assert (
        opened.find_element(By.CSS_SELECTOR, "#numbers th:nth-child(5)").get_attribute("aria-sort")
        == "ascending"
    )
    button.send_keys(Keys.ENTER)
    values = [float(v) for v in text(opened, "#numbers tbody td:nth-child(5)") if v]
    assert values == sorted(values, reverse=True)


def test_copy_gives_csv_of_what_is_chosen(opened: Any) -> None:
    opened.execute_script(
        "window.copied = null; Object.defineProperty(navigator, 'clipboard', {configurable: true,"
        " value: {writeText: async (t) => { window.copied = t; }}})"
    )
    opened.execute_script("document.getElementById('copy').click()")
    wait(opened, "window.copied !== null")
    lines = opened.execute_script("return window.copied").split("\n")
    assert lines[0] == "cell,layout.schools,population.icc,estimator,term,measure,value,mcse,n,n_attempted"
    assert len(lines) == 1 + 6 * 5
    assert all(",resources,coverage," in line for line in lines[1:])
    wait(opened, "document.getElementById('copied').textContent === 'Copied.'")


def test_dark_and_back(opened: Any) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    assert opened.execute_script(colour) == "rgb(255, 255, 255)"
    opened.execute_script("document.getElementById('theme').click()")
    assert opened.execute_script(colour) == "rgb(20, 25, 31)"
    wait(opened, "document.querySelector('#figure-coverage svg')?.outerHTML.includes('#e8edf2')")
    assert "#1d2733" not in opened.execute_script(
        "return document.querySelector('#figure-coverage svg').outerHTML"
    )
    opened.execute_script("document.getElementById('theme').click()")
    wait(opened, "document.querySelector('#figure-coverage svg')?.outerHTML.includes('#1d2733')")


def test_follows_the_systems_colour_scheme(opened: Any, page: Path) -> None:
    media = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    opened.get(page.as_uri())
    assert opened.execute_script("return document.documentElement.dataset.theme") == "dark"
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_no_sideways_scrolling_at_any_width(opened: Any, page: Path, width: int) -> None:
    size(opened, width, 844)
    opened.get(page.as_uri())
    show_all(opened)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    wide = opened.execute_script(
        "return [...document.querySelectorAll('.plot')].filter(p => p.scrollWidth > p.clientWidth + 1)"
        ".map(p => p.parentElement.id + ' ' + p.scrollWidth)"
    )
    assert wide == []


def test_opens_quickly(opened: Any) -> None:
    spent = opened.execute_script(
        "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    )
    assert spent < 10_000  # 2 s alone on a laptop; this guards against a tenfold loss on a busy machine


def test_words_come_before_figures(opened: Any, page: Path) -> None:
    size(opened, 390, 844)
    opened.get(page.as_uri())
    wait(opened, "document.querySelectorAll('#numbers tbody tr').length > 0")
    assert text(opened, ".verdicts li")
    assert opened.execute_script("return typeof vegaEmbed") == "undefined"  # a megabyte nobody needs yet
    opened.execute_script("document.querySelector('#figure-bias').scrollIntoView()")
    wait(opened, "document.querySelector('#figure-bias svg') !== null")


def test_every_figure_is_printed(opened: Any, page: Path) -> None:
    size(opened, 390, 844)
    opened.get(page.as_uri())
    opened.execute_script(
        f"addEventListener('afterprint', () => {{ window.printed = (() => {{ {DONE} }})(); }})"
    )
    opened.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert opened.execute_script("return window.printed") == 6


def test_saves_svg(opened: Any) -> None:
    opened.execute_script(
        "window.saved = null; const old = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { window.saved = blob; return old(blob); };"
        "HTMLAnchorElement.prototype.click = function () {};"
    )
    opened.execute_script("document.querySelector('#figure-coverage .save').click()")
    wait(opened, "window.saved !== null")
    assert opened.execute_async_script("window.saved.text().then(arguments[0])").startswith("<svg")


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeResults, Path]:
    """A run stopped after 4 of 9 conditions, in one of them after its first method."""
    whole = school_study(reps=60, icc=(0.0, 0.1, 0.2))
    stored = [found if cell in (0, 1, 2, 4) else {} for cell, found in enumerate(whole.cells)]
    stored[2] = {"ols": stored[2]["ols"]}
    study = replace(whole, cells=stored)
    return study, write_report(study, tmp_path_factory.mktemp("unfinished") / "report.html")


def marks(browser: Any, figure: str) -> dict[tuple[str, str], float]:
    """(Condition, method) -> value of a figure's dots, as a reader sees them on the page."""
    picture = read_svg(
        browser.execute_script(f"return document.querySelector('#figure-{figure} svg').outerHTML")
    )
    found = {}
    for dot in picture.dots:
        panel = picture.panel_at(dot.x, dot.y)
        title = plain(picture.title(panel)) if len(picture.panels) > 1 else ""
        found[title, picture.method(dot.y, panel)] = picture.value(dot.x, panel)
    assert len(found) == len(picture.dots)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_an_unfinished_runs_marks_stand_in_their_conditions(
    browser: Any, unfinished: tuple[FakeResults, Path], width: int
) -> None:
    study, path = unfinished
    table = performance_table(study)
    titles = [plain(title) for title in panel_titles(study.experiment)]
    size(browser, width, 900)
    browser.get_log("browser")
    browser.get(path.as_uri())
    for term, cell in (("resources", ""), ("age", ""), ("age", "4"), ("resources", "2"), ("resources", "")):
        choose(browser, "term", term)
        choose(browser, "cell", cell)
        for figure in ("coverage", "bias", "se_error", "rejection"):
            browser.execute_script(f"document.querySelector('#figure-{figure}').scrollIntoView()")
            rows = table[(table["measure"] == figure) & (table["term"] == term)]
            rows = rows if cell == "" else rows[rows["cell"] == int(cell)]
            expected = {
                (titles[r.cell] if cell == "" else "", r.estimator): r.value for r in rows.itertuples()
            }
            for _ in range(100):  # the page draws when it finds time
                time.sleep(0.1)
                found = marks(browser, figure) if drawn(browser, figure) else {}
                if found == pytest.approx(expected, abs=2e-3 * max(1.0, rows["value"].abs().max())):
                    break
            else:
                pytest.fail(f"{figure} for {term}, condition {cell or 'all'}: {found}, expected {expected}")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def drawn(browser: Any, figure: str) -> bool:
    there: bool = browser.execute_script(f"return !!document.querySelector('#figure-{figure} svg')")
    return there
