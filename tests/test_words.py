"""One word for one thing (ARCHITECTURE.md, "Words"): what a person reads has no older word of code and files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nestbench.cli import app

ROOT = Path(__file__).parents[1]
FOLDERS = ("sim", "estimators", "experiments", "reports", "src/nestbench")

WORDS = {
    "cell": "condition",
    "law": "population (with its layout: data-generating mechanism)",
    "estimator": "method",
    "situation": "estimand",
    "subject": "under study",
}
OLD = re.compile(rf"\b({'|'.join(WORDS)})s?\b", re.IGNORECASE)

NAMES = re.compile(
    r"""
    ```.*?```|``[^`]*``|`[^`]*`|'[^'\s]*'             # code and names in quotes
    |-{1,2}[\w-]+|\[[\w. ]+\]                         # options, sections of TOML
    |\w+[._/]+[\w./]*\w|@[\w.]+                       # dotted and underscored names, paths
    |^\ *\w+(,\ \w+)*\ :\ [\w\[].*$                   # parameters of docstrings
    |\b\w+\ ?=(?!=)|\b[a-z]+\ ==|\bselect\ .*         # keys and their values, SQL
    |(?:variance|within|between|sandwich)\ estimators?   # the field's own phrases
    |(?:table|spreadsheet)'?s?\ cells?
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


def old_words(text: str) -> list[str]:
    """Return the old words that stand in a text's prose, each with what is around it."""
    prose = NAMES.sub("_", text)
    return [prose[max(0, m.start() - 40) : m.end() + 40].replace("\n", " ") for m in OLD.finditer(prose)]


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not any(part.is_symlink() for part in path.parents):
                yield path


def messages(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are sentences or parts of some, f-strings without their values."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.value


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_help_has_no_old_word(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert old_words(shown.split("Examples:")[0]) == []


def test_guides_and_pages_have_no_old_word() -> None:
    """Outside of code; the changelog tells what was."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    files += sorted((ROOT / "reports").rglob("*.jinja"))
    found = {path.name: words for path in files if (words := old_words(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_sentences_of_the_source_have_no_old_word() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): words
        for path in sources()
        if (words := [word for text in messages(path) for word in old_words(text)])
    }
    assert found == {}


def test_the_glossary_has_the_words() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split("## Words", 1)[1].split("\n## ", 1)[0]
    for word in (
        "population",
        "data-generating mechanism",
        "condition",
        "estimand",
        "method",
        "experiment",
        "run",
        "study",
        "step",
        "moved",
    ):
        assert f"\n| {word} |" in table


def test_old_words_are_seen() -> None:
    """In sentences, not in names, keys, options or the field's phrases."""
    assert old_words("the law of this cell, `law`") == ["the law of this cell, _"] * 2
    assert len(old_words("Estimators in every situation")) == 2
    assert old_words("`cell` and --cell and law = 'x' and Cell.law_key and the within estimator") == []
