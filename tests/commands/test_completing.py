"""Completion as shells ask for it: commands, options, names; and methods without loading them at every TAB."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nestbench.commands import completing
from nestbench.estimators.methods import registry
from nestbench.experiments import catalog
from nestbench.reports.figures.kinds import KINDS
from nestbench.sim.laws.registry import known_laws

COMMAND = Path(sys.executable).parent / "nestbench"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nestbench" / "names.json"


def asked(shell: str, line: str) -> list[str]:
    """Return what the command answers a shell that completes a line, without what is shown beside it."""
    words = line.split(" ")
    by_shell = {
        "bash": {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    env = os.environ | by_shell[shell] | {"_NESTBENCH_COMPLETE": f"complete_{shell}"}
    done = subprocess.run([COMMAND], env=env, capture_output=True, text=True, check=False)
    assert not done.stderr
    if shell == "zsh":
        return re.findall(r'"([\w.,-]+)":"', done.stdout)
    return [part.split("\t")[0] for part in done.stdout.splitlines() if part]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_answered(shell: str) -> None:
    assert set(asked(shell, "nestbench re")) == {"read", "report", "replay"}
    assert asked(shell, "nestbench run few-s") == ["few-schools"]


def test_names_are_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name, _ in completing.method("")]
    assert names == list(registry.known())
    assert completing.methods("ols,reml-s") == [("ols,reml-satt", registry.known()["reml-satt"].info.label)]
    assert [name for name, _ in completing.law("")] == list(known_laws())
    assert [name for name, _ in completing.kind_of_figure("")] == list(KINDS)
    assert completing.engine("b") == [("batched", "")]
    monkeypatch.chdir(tmp_path)
    assert [name for name, _ in completing.experiments("")][: len(catalog.names())] == catalog.names()
    for name in ("mine.toml", "mine.csv", "mine$(reboot).toml"):
        (tmp_path / name).write_text("")
    (tmp_path / "runs").mkdir()
    assert [name for name, _ in completing.experiments("min")] == ["mine.toml"]
    assert [name for name, _ in completing.experiments("ru")] == ["runs"]
    assert ("reml-kr", registry.known()["reml-kr"].info.label) in completing.listed("reml")


def test_names_are_loaded_once_for_the_same_code(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []
    real = completing._loaded_names
    monkeypatch.setattr(completing, "_loaded_names", lambda: (loads.append(1), real())[1])
    first = completing.kept_names()
    assert completing.kept_names() == first
    assert len(loads) == 1
    kept = json.loads(cache.read_text())
    kept["mark"][1] += 1  # another file of code
    cache.write_text(json.dumps(kept))
    assert completing.kept_names() == first
    assert len(loads) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"mark": 1}', "\x00"])
def test_a_damaged_cache_is_made_anew(cache: Path, content: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(content)
    assert [name for name, _ in completing.method("ols-hc")] == ["ols-hc1", "ols-hc2", "ols-hc3"]
    assert "ols-hc1" in cache.read_text()


def test_nothing_that_is_no_name_is_offered(cache: Path) -> None:
    """A shell types what it is offered."""
    completing.kept_names()
    kept = json.loads(cache.read_text())
    kept["methods"] += [["ols;reboot", ""], ["$(reboot)", ""], ["ols-x", "two\nlines"]]
    cache.write_text(json.dumps(kept))
    offered = completing.method("")
    assert ("ols-x", "two lines") in offered
    assert not [name for name, _ in offered if set(name) & set(";$( ")]


@pytest.mark.posix
@pytest.mark.parametrize(("system", "usual"), [("linux", ".cache"), ("darwin", "Library/Caches")])
def test_names_are_kept_where_each_system_keeps_caches(
    system: str, usual: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", system)
    assert completing._cache() == tmp_path / usual / "nestbench" / "names.json"


def test_without_a_place_to_keep_them_names_are_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert completing.method("ols-hc1") == [("ols-hc1", registry.known()["ols-hc1"].info.label)]
