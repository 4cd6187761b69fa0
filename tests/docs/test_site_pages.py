"""The site's reference is made from declarations: whatever is registered appears in it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import nestbench
from nestbench.cli import app
from nestbench.estimators.methods import registry
from nestbench.experiments import catalog
from nestbench.reports.figures.kinds import KINDS
from nestbench.reports.measures.declared import MEASURES
from nestbench.sim.laws.registry import known_laws

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages() -> Iterator[Any]:
    """The module that writes the pages, as the site's configuration finds it."""
    folder = str(ROOT / "docs" / "_ext")
    sys.path.insert(0, folder)
    try:
        yield import_module("site_pages")
    finally:
        sys.path.remove(folder)


def headings(text: str) -> list[str]:
    return [line.lstrip("# ") for line in text.splitlines() if re.match(r"#{2,3} ", line)]


def test_every_method_has_formulas_df_and_a_source(pages: Any) -> None:
    sections = {part.split("\n", 1)[0]: part for part in pages.methods().split("\n### ")[1:]}
    assert set(sections) == set(registry.known())
    for name, text in sections.items():
        assert text.count("$$") >= 2, name
        assert text.count("$$") % 2 == 0
        assert ":Degrees of freedom: " in text
        assert ":Sources: " in text


def test_a_method_that_is_registered_appears_by_itself(pages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = replace(
        registry.get("ols"), name="mine-t", info=replace(registry.get("ols").info, source="Me 2026")
    )
    monkeypatch.setitem(registry._ADDED, "mine-t", mine)
    assert "### mine-t\n" in pages.methods()
    assert ":Sources: Me 2026" in pages.methods()


def test_every_measure_law_figure_experiment_and_command_appears(pages: Any) -> None:
    assert headings(pages.measures()) == [measure.name for measure in MEASURES]
    assert headings(pages.populations()) == [*known_laws(), "layout"]
    assert re.findall(r"^\| `([\w-]+)` \|", pages.figures(), re.M) == list(KINDS)
    assert headings(pages.experiments()) == list(catalog.names())
    names = [command.name for command in app.registered_commands]
    assert headings(pages.commands()) == [f"nestbench {name}" for name in names]


def test_every_measure_says_what_its_error_is(pages: Any) -> None:
    sections = pages.measures().split("\n## ")
    assert len(sections) == len(MEASURES)
    for text in sections:
        error = text.split(":MCSE: ")[1]
        assert re.search(r"`[^`]*[\w)][^`]*`", error), text
        assert "IF_i = `" not in error, text


def test_every_option_of_every_command_is_described(pages: Any) -> None:
    text = pages.commands()
    assert not re.findall(r"^:`[^`]+`: *$", text, re.M)
    assert ":`-o, --out`: Run directory" in text
    assert "```text\nnestbench run\nnestbench run few-schools" in text


def test_the_reference_has_all_public_names_and_what_the_guides_import(pages: Any) -> None:
    text = pages.api()
    for name in nestbench.__all__:
        assert name.startswith("__") or f":: nestbench.{name}\n" in text, name
    named = list(pages.guide_names())
    assert named
    for module, name in named:
        thing = getattr(import_module(module), name)
        assert any(getattr(nestbench, public, None) is thing for public in nestbench.__all__) or (
            f":: {module}.{name}\n" in text
        ), name


def test_every_source_that_is_cited_is_in_the_bibliography(pages: Any) -> None:
    keys = set(re.findall(r"^\((\w+)\)=$", pages.bibliography(), re.M))
    cited = set(re.findall(r"\(#(\w+)\)", pages.methods()))
    assert len(cited) > 10
    assert cited <= keys
    assert not re.search(r"[{}]|\\\\", pages.bibliography())


@pytest.mark.parametrize(
    ("text", "folder", "expected"),
    [
        ("[a](../ARCHITECTURE.md#x)", ROOT / "docs", "[a](/architecture.md#x)"),
        ("[a](docs/reports.md)", ROOT, "[a](/reports.md)"),
        ("[a](reports.md#numbers)", ROOT / "docs", "[a](reports.md#numbers)"),
        ("[a](tests/README.md)", ROOT, "`tests/README.md`"),
        ("[a](https://example.org/x.md) [b](#c)", ROOT, "[a](https://example.org/x.md) [b](#c)"),
    ],
)
def test_links_to_files_of_the_repository_lead_to_pages(
    pages: Any, text: str, folder: Path, expected: str
) -> None:
    assert pages.at_home(text, folder) == expected
