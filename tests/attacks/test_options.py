"""Bad input on the command line: anything that people mistype, in every option and argument of every command."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from nestbench.cli import app
from tests.attacks.harness import Tally, invoke, many
from tests.attacks.study import Study, forget
from tests.attacks.test_damage import left_behind
from tests.attacks.test_strangers import CONTROL

pytestmark = pytest.mark.slow

TEXTS = (
    *("", " ", "x", "-1", "0", "nan", "inf", "-inf", "1e23", "99999999999999999999999", "1.5", "True", "None"),
    *("../x", "/", ".", "~", "a/b", "\x1b]0;x\x07", "\u202e", "x" * 300, "1,2", ",", ",,", "ols,ols", "ols:", ":", "="),
    *("ols:draws=x", "ols-wild:draws=0", "ols-wild:draws=-1:weights=[]", "coverage=", "=0.1", "coverage=nan", "age=x"),
    *("[", "{}", "'", '"', "`", "é", "grade ~", "~", "grade ~ nothing", "grade ~ age + (1 | school", "1 + "),
    *("select", "select * from fits; drop table fits", "select * from 'x.csv'", "1/0", "0/1", "3/2", "1/1/1", "a\nb"),
)  # fmt: skip

GOOD: dict[str, list[str]] = {
    "run": ["@own/study.toml", "-o", "@out/new", "--workers", "1", "-q"],
    "estimate": ["@own/data.csv", "--estimators", "ols,ols-wild"],
    "list": [],
    "simulate": ["@own/study.toml"],
    "report": ["@run", "-o", "@out", "--format", "csv,md"],
    "plot": ["@run", "-o", "@out/figure.json"],
    "compare": ["@run", "@whole"],
    "query": ["@run", "select count(*) from fits"],
    "replay": ["@run", "--cell", "0", "--replication", "1"],
    "new": ["@out/mine"],
    "verify": ["@run", "--replications", "1"],
    "time": ["@own/study.toml", "--schools", "3", "--students", "4", "--rounds", "1", "-o", "@out/t.json"],
    "merge": ["@run", "-o", "@out/joined", "-q"],
    "plan": ["@own/study.toml", "--workers", "1"],
    "baseline": ["@run", "-o", "@out/b.json"],
    "check": ["@run", "-b", "@own/accuracy.json"],
    "test": ["@own/own.py"],
    "history": ["@run", "-f", "@out/h.jsonl", "--commit", "1.0", "-o", "@out/h.svg"],
    "league": ["--only", "glmm", "-c", "balanced", "--data-sets", "1", "-o", "@out/league"],
}

LONG = {"test"}
"""Commands that take minutes."""


def options() -> Iterator[tuple[str, Any]]:
    """Yield every parameter of every command that takes a value."""
    group = typer.main.get_command(app)
    commands = group.commands  # type: ignore[attr-defined]
    assert set(GOOD) <= set(commands)
    for name, command in commands.items():
        for parameter in command.params:
            if not getattr(parameter, "is_flag", False) and name not in LONG:
                yield name, parameter


def asked(name: str, parameter: Any, text: str, study: Study) -> list[str]:
    """Return a good command with one value replaced or added."""
    good = [str(study.folder / word[1:]) if word.startswith("@") else word for word in GOOD.get(name, [])]
    if parameter.param_type_name == "argument":
        flags = next((i for i, word in enumerate(good) if word.startswith("-")), len(good))
        place = min(0 if parameter.name in ("run", "experiment", "data", "first") else 1, max(flags - 1, 0))
        return [name, *good[:place], *([text] if good else []), *good[place + 1 :]]
    return [name, *good, f"{max(parameter.opts, key=len)}={text}"]


def test_bad_values_of_every_option(named: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words or a plain answer for each."""
    rng, tally = random.Random(20261125), Tally("bad input")
    every = list(options())
    for trial in range(many(max(60, len(every)))):
        name, parameter = every[trial % len(every)]
        place = named.copied(named.folder.parent / "asked")
        forget(monkeypatch, names=False)
        monkeypatch.chdir(place.folder / "out")
        order = asked(name, parameter, rng.choice(TEXTS), place)
        what = f"trial {trial}: {order[-3:]!r} {parameter.name}"
        ended = invoke(order)
        tally.add(name, "trials")
        tally.add(name, ended.how, f"{what}: {ended.text[:500]}")
        if CONTROL.search(ended.text):
            tally.add(name, "raw control character", f"{what}: {ended.text[:300]!r}")
        for left in left_behind(place):
            tally.add(name, "file left", f"{what}: {left}")
    tally.settle()
