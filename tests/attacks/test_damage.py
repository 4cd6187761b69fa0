"""Damage counted: every command that reads a run, a baseline, an experiment's file or data, on hundreds of harmed ones.

What counts is what a person gets: the same numbers, or words. Never a traceback, a hang, another number without a
word, a temporary file left behind, or a file of somebody else's changed. The counts are printed (``pytest -s``).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from nestbench.experiments.storing.rows import all_rows
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import NestbenchError
from tests.attacks.harms import (
    ELSEWHERE,
    PRECIOUS,
    TO_FILES,
    TO_FOLDERS,
    Harm,
    a_pipe,
    closed,
    flipped,
    zeroed,
)
from tests.attacks.harness import Ended, Tally, invoke, many, rights_count
from tests.attacks.study import PACKED, Study, forget

pytestmark = pytest.mark.slow

SQL = "select cell, estimator, term, measure, value, n from performance where measure not like 'seconds%' order by all"
LACKING = re.compile(r"Unfinished|missing|not stored|lacks|damaged|isn't finished|Fewer data sets")
"""How a command says that something isn't there."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command: its arguments, and what of it must stay the same (nothing: its numbers are times)."""

    arguments: Callable[[Study], list[str]]
    numbers: Callable[[Ended, Study], str] = lambda ended, study: ended.text.replace(str(study.folder), "")
    weight: int = 3


def rows_in(place: str) -> Callable[[Ended, Study], str]:
    """Return how to read the rows that a command left in a run."""

    def read(_: Ended, study: Study) -> str:
        rows = all_rows(Store.open(study.folder / place)).astype(str)
        return str(rows.sort_values(list(rows.columns)).to_csv(index=False))

    return read


def table_in(place: str) -> Callable[[Ended, Study], str]:
    """Return how to read the performance table that a command wrote, and what it said but for times."""

    def read(_: Ended, study: Study) -> str:
        table = pd.read_csv(study.folder / place)
        return str(table[~table["measure"].str.startswith("seconds")].to_csv(index=False))

    return read


def text_in(place: str) -> Callable[[Ended, Study], str]:
    """Return how to read the text that a command wrote."""
    return lambda _, study: (study.folder / place).read_text(encoding="utf-8")


def nothing(_: Ended, __: Study) -> str:
    """Return the same for all."""
    return ""


def at(*words: str) -> Callable[[Study], list[str]]:
    """Return a command's arguments: what begins with @ is a place of the study."""
    return lambda study: [str(study.folder / word[1:]) if word.startswith("@") else word for word in words]


OF_RUNS: dict[str, Order] = {
    "report": Order(
        at("report", "@run", "-o", "@out", "--format", "csv,md"), table_in("out/performance.csv")
    ),
    "report in place": Order(at("report", "@run", "-q"), table_in("run/performance.csv"), 1),
    "plot": Order(at("plot", "@run", "-o", "@out/figure.json"), text_in("out/figure.json")),
    "compare": Order(at("compare", "@run", "@whole", "--all")),
    **({"query": Order(at("query", "@run", SQL))} if find_spec("duckdb") else {}),
    "verify --store": Order(at("verify", "@run", "--store")),
    "verify": Order(at("verify", "@run", "--replications", "2")),
    "merge": Order(at("merge", "@run", "-o", "@out/joined"), rows_in("out/joined"), 1),
    "check": Order(at("check", "@run", "-b", "@own/accuracy.json", "--json")),
    "baseline": Order(at("baseline", "@run", "-o", "@out/b.json"), text_in("out/b.json")),
    "replay": Order(at("replay", "@run", "--cell", "1", "--replication", "3")),
    "run": Order(at("run", "@run", "--workers", "1", "-q"), rows_in("run"), 1),
    "plan": Order(at("plan", "@run", "--workers", "1"), nothing, 1),
    "time": Order(at("time", "@run", "--schools", "3", "--students", "4", "--rounds", "1"), nothing, 1),
    "simulate": Order(at("simulate", "@run", "--cell", "1", "--replication", "3")),
}

OF_BASELINES: dict[str, Order] = {
    "check": Order(at("check", "@run", "-b", "@own/accuracy.json", "--json")),
    "check anew": Order(at("check", "-b", "@own/accuracy.json", "--workers", "1", "-q", "--json"), weight=1),
}

OF_FILES: dict[str, Order] = {
    "plan": Order(at("plan", "@own/study.toml", "--workers", "1"), nothing),
    "simulate": Order(at("simulate", "@own/study.toml"), nothing),
    "simulate fixed": Order(at("simulate", "@own/fixed.toml"), nothing),
    "run": Order(at("run", "@own/study.toml", "-o", "@out/new", "--workers", "1", "-q"), nothing),
    "run fixed": Order(at("run", "@own/fixed.toml", "-o", "@out/new", "--workers", "1", "-q"), nothing),
    "resume": Order(at("run", "@own/study.toml", "-o", "@run", "--workers", "1", "-q"), nothing),
    "time": Order(
        at("time", "@own/study.toml", "--schools", "3", "--students", "4", "--rounds", "1"), nothing
    ),
    "check": Order(
        at("check", "@own/study.toml", "-b", "@own/accuracy.json", "--workers", "1", "-q"), nothing
    ),
    "estimate --plugin": Order(
        at("estimate", "@own/data.csv", "--plugin", "@own/own.py", "--estimators", "ols,own-mean", "--json"),
        nothing,
    ),
}

KINDS = ("csv", "csv.gz", "parquet", "dta", *(kind for kind, package in PACKED.items() if find_spec(package)))

OF_DATA: dict[str, Order] = {
    kind: Order(
        at("estimate", f"@own/data.{kind}", "--estimators", "ols,ols-cr1s-t,reml-satt", "--json"), nothing
    )
    for kind in KINDS
}


def harm(place: Path, rng: random.Random, gentle: bool) -> Harm:
    """Choose what happens to a place, a file or a folder, and do it."""
    chosen = rng.choice(TO_FOLDERS if place.is_dir() else TO_FILES)
    while gentle and chosen in (flipped, zeroed):
        chosen = rng.choice(TO_FILES)
    chosen(place, rng)
    return chosen


def attack(
    study: Study,
    orders: dict[str, Order],
    victims: list[str],
    trials: int,
    patch: pytest.MonkeyPatch,
    title: str,
) -> Tally:
    """Harm one or two places a trial, call a command, and count how it ended."""
    rng, tally = random.Random(20261125), Tally(title)
    names = [name for name, order in orders.items() for _ in range(order.weight)]
    whole: dict[str, str] = {}
    for trial in range(-len(orders), trials):
        place = study.copied(study.folder.parent / "harmed")
        name = list(orders)[trial] if trial < 0 else rng.choice(names)
        forget(patch, names=False)
        patch.chdir(place.folder / "out")
        done = []
        for _ in range(0 if trial < 0 else 1 + (rng.random() < 0.25)):
            victim = place.folder / rng.choice(victims)
            if victim.is_file() or victim.is_dir():
                done.append(
                    f"{harm(victim, rng, name == 'estimate --plugin').__name__} {victim.relative_to(place.folder)}"
                )
        with rights_count():
            ended = invoke(orders[name].arguments(place))
        how = judge(ended, orders[name], place, whole.get(name))
        if trial < 0:
            assert ended.how == "ok", (name, ended)
            whole[name] = orders[name].numbers(ended, place)
            continue
        tally.add(name, "trials")
        tally.add(name, how, f"trial {trial}: {', '.join(done)}: {ended.text[:600]}")
        for left in left_behind(place):
            tally.add(name, "file left", f"trial {trial}: {', '.join(done)}: {left}")
    return tally


def judge(ended: Ended, order: Order, place: Study, whole: str | None) -> str:
    """Return how a trial ended: another number counts where nothing was said."""
    if ended.how != "ok" or whole is None:
        return ended.how
    try:
        numbers = order.numbers(ended, place)
    except (OSError, NestbenchError) as error:
        numbers = f"unreadable: {error}"
    if numbers == whole:
        return "ok"
    return "ok, says what is missing" if LACKING.search(ended.text) else "changed number"


def left_behind(place: Study) -> list[str]:
    """Return temporary files, and what happened to files that are none of the command's business."""
    found = [str(item) for item in place.folder.rglob("*") if item.name.endswith(".part")]
    if (place.folder / PRECIOUS).read_text(encoding="utf-8") != "mine":
        found.append("somebody's file was changed")
    if list((place.folder / ELSEWHERE).iterdir()):
        found.append("something was written into somebody's folder")
    return found


def inside(study: Study, *folders: str) -> list[str]:
    """Return the files and folders of a study that can be harmed."""
    return [
        str(item.relative_to(study.folder))
        for folder in folders
        for item in sorted((study.folder / folder).rglob("*"))
        if item.name not in ("lock", "report.html")
    ]


def test_runs(named: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command that reads a run, on harmed ones."""
    victims = [
        *inside(named, "run"),
        *["run/manifest.json", "run/manifest.copy.json", "run/journal"] * 2,
        "run",
    ]
    tally = attack(named, OF_RUNS, victims, many(30), monkeypatch, "harmed runs")
    assert tally.total() == many(30)
    tally.settle()


def test_baselines(named: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` with harmed baselines, of a run and of its own experiment."""
    attack(named, OF_BASELINES, ["own/accuracy.json"], many(12), monkeypatch, "harmed baselines").settle()


def test_files(named: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments' files, the plugins and data that they name."""
    victims = ["own/study.toml", "own/fixed.toml", "own/own.py", "own/data.csv"]
    attack(named, OF_FILES, victims, many(14), monkeypatch, "harmed files").settle()


def test_data(named: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data as people have them, harmed."""
    victims = [f"own/data.{kind}" for kind in OF_DATA]
    attack(named, OF_DATA, victims, many(14), monkeypatch, "harmed data").settle()


def test_the_harms_harm(named: Study, tmp_path: Path) -> None:
    """A harness whose harms did nothing would count nothing: each changes what is read or how."""
    for harm in dict.fromkeys((*TO_FILES, *TO_FOLDERS)):
        place = named.copied(tmp_path / "harmed")
        file = place.folder / ("run/journal" if harm in TO_FILES else "run/fits")
        harm(file, random.Random(1))
        if harm is a_pipe:
            assert file.is_fifo()
        elif harm is closed:
            assert not file.stat().st_mode & 0o777
            file.chmod(0o755)
        else:
            assert not file.is_file() or file.read_bytes() != (named.run / "journal").read_bytes()
