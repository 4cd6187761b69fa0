"""The league's page as a person uses it: a red cell opens to its numbers, its line and its script, which runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nestbench.cli import app
from tests.browsing import browser, size, wait  # noqa: F401
from tests.league.running import FAKE

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.posix]
OPEN = "document.querySelectorAll('details[open]').length"
WIDER = "return document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("league")
    only = ["--add", FAKE, "--only", "fake right,fake se,fake sign,fake changed,fake crash"]
    done = CliRunner().invoke(
        app,
        ["league", *only, "-c", "balanced,labels-text,unequal-few", "--data-sets", "1", "-o", str(out)],
    )
    assert done.exit_code == 0, done.output
    return out


def red(browser: Any) -> list[Any]:  # noqa: F811
    return list(browser.find_elements("css selector", "td.g-fails a"))


@pytest.mark.parametrize("width", [1200, 400])
def test_a_red_cell_opens_and_the_page_is_no_wider_than_its_window(
    browser: Any,  # noqa: F811
    folder: Path,
    width: int,
) -> None:
    size(browser, width, 900)
    browser.get((folder / "league.html").as_uri())
    assert browser.execute_script(f"return {OPEN}") == 0
    assert browser.execute_script(WIDER) <= 0
    first = next(link for link in red(browser) if "wrong" in link.text)
    first.send_keys("\n")
    wait(browser, f"{OPEN} === 1")
    opened = browser.find_element("css selector", "details[open]")
    assert opened.is_displayed()
    assert "std_error" in opened.text or "estimate" in opened.text
    assert opened.find_elements("css selector", "tr.over")
    assert browser.execute_script(WIDER) <= 0
    asked = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert asked == []


def test_the_names_of_package_and_condition_stay_in_sight(browser: Any, folder: Path) -> None:  # noqa: F811
    """In a narrow window, wherever the table is scrolled to."""
    size(browser, 400, 900)
    browser.get((folder / "league.html").as_uri())
    for left in (0, 100):
        browser.execute_script("document.querySelector('.scroll').scrollLeft = arguments[0]", left)
        assert browser.execute_script("return document.querySelector('.scroll').scrollLeft") == left
        for name in ("thead [scope=colgroup] span", "thead th[rowspan]", "tbody th"):
            left_end, right_end = browser.execute_script(
                "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.right]",
                f".glance {name}",
            )
            assert 0 <= left_end < right_end <= 400, (left, name)


def test_the_line_of_a_red_cell_shows_its_numbers_again(browser: Any, folder: Path) -> None:  # noqa: F811
    browser.get((folder / "league.html").as_uri())
    next(link for link in red(browser) if "wrong" in link.text).send_keys("\n")
    wait(browser, f"{OPEN} === 1")
    opened = browser.find_element("css selector", "details[open]")
    line = opened.find_element("css selector", "code").text
    over = [cell.text for cell in opened.find_elements("css selector", "tr.over:first-child td")]
    program, *words = shlex.split(line)
    done = CliRunner().invoke(app, [*words, "--add", FAKE])
    assert (program, done.exit_code) == ("nestbench", 0)
    marked = [row.split() for row in done.output.splitlines() if row.endswith("!")]
    assert over[:4] in [row[:4] for row in marked]


def test_scripts_stand_alone(browser: Any, folder: Path) -> None:  # noqa: F811
    """Two that the page links to, run without nestbench: what they report is off by what was planted."""
    browser.get((folder / "league.html").as_uri())
    links = browser.execute_script(
        "return [...document.querySelectorAll('details a')].map(a => a.getAttribute('href'))"
    )
    assert len(links) == len(set(links)) >= 4
    for name, factor in (("fake-se-balanced", 1.05), ("fake-se-labels-text", 1.05)):
        (path,) = [folder / link for link in links if name in link]
        forbidding = f"import sys, runpy; sys.modules['nestbench'] = None; runpy.run_path({str(path)!r})"
        done = subprocess.run([sys.executable, "-c", forbidding], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        row = next(line for line in done.stdout.splitlines() if line.startswith("std_error age"))
        reported, exact = map(float, row.split()[-2:])
        assert reported / exact == pytest.approx(factor, rel=1e-6)
