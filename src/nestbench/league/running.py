"""Running the league: data sets and exact values here, fits in children, one standing a way and condition."""

from __future__ import annotations

import hashlib
import json
import statistics
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from nestbench.league.child import package_at
from nestbench.league.children import Line, fit_all
from nestbench.league.condition import Condition
from nestbench.league.exact import Truths, truths_of
from nestbench.league.judging import Judgement, Outcome, judge
from nestbench.league.package import Package, Way
from nestbench.league.standing import Standing, largest_first, worst_of
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.user_code import in_words, user_code
from nestbench.sim.visible import visible


@dataclass(frozen=True, slots=True)
class Drawn:
    """One data set of a condition, with what has its exact values (None: our methods refuse it)."""

    condition: Condition
    number: int
    data: pd.DataFrame
    truths: Truths | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A way of a package that takes part, and where the package's file is."""

    place: str
    package: Package
    way: Way

    @property
    def label(self) -> str:
        """Package and way."""
        return f"{self.package.name} {self.way.name}"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a league is run: seed, numbers of the data sets, wall seconds a fit may take, children at a time."""

    seed: int
    numbers: tuple[int, ...]
    seconds: float = 20.0
    workers: int = 2


def entries(places: Iterable[str]) -> list[Entry]:
    """Return the ways of some packages; `InvalidInput` where a file isn't Python with a ``PACKAGE``."""
    packages = [(place, _package(place)) for place in places]
    return [Entry(place, package, way) for place, package in packages for way in package.ways]


def named(every: Sequence[Entry], only: Sequence[str]) -> list[Entry]:
    """Return the ways of some names, of packages or of packages with a way; all, where none is given.

    Raises
    ------
    InvalidInput
        A name of none.
    """
    for name in only:
        if not any(name in (entry.package.name, entry.label) for entry in every):
            packages = [*dict.fromkeys(entry.package.name for entry in every)]
            near = did_you_mean(name, [*packages, *(entry.label for entry in every)])
            raise InvalidInput(
                f"expected a package of the league, or one with its way, got '{name}'.{near} "
                f"Packages: {', '.join(packages)}"
            )
    return [entry for entry in every if not only or {entry.package.name, entry.label} & set(only)]


def _package(place: str) -> Package:
    """Return a package; what a user's file raises becomes a sentence."""
    try:
        with user_code():
            return package_at(place)
    except Exception as error:
        raise InvalidInput(
            f"expected {place} to be a Python file (.py) with a PACKAGE, got {in_words(error)}; those in "
            "nestbench/league/packages are examples"
        ) from error


def draw(conditions: Iterable[Condition], settings: Settings) -> list[Drawn]:
    """Return all data sets, condition by condition."""
    drawn = []
    for condition in conditions:
        for number in settings.numbers:
            data = condition.data_set(number, settings.seed)
            drawn.append(Drawn(condition, number, data, truths_of(data, condition.asked)))
    return drawn


def each_way(
    taking_part: Sequence[Entry], drawn: Sequence[Drawn], settings: Settings
) -> Generator[tuple[Entry, list[Standing]], None, None]:
    """Yield the standings of each way when it is through; closed early, it ends the children and waits for none."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(settings.workers)
    try:
        # Slow ways first, those given few data sets: begun last, one keeps a worker busy while the others have nothing.
        order = sorted(taking_part, key=lambda one: one.way.most)
        futures = {pool.submit(standings_of, one, drawn, settings, stop): one for one in order}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def standings_of(
    entry: Entry, drawn: Sequence[Drawn], settings: Settings, stop: threading.Event | None = None
) -> list[Standing]:
    """Return the standings of one way."""
    by_condition: dict[str, list[int]] = {}
    for k, one in enumerate(drawn):
        numbers = by_condition.setdefault(one.condition.name, [])
        if one.condition.asked.random in entry.way.exact and len(numbers) < entry.way.most:
            numbers.append(k)
    mine = {k: drawn[k] for numbers in by_condition.values() for k in numbers}
    lines = lines_of(entry, mine, settings, stop)
    return [
        _standing(entry, [mine[k] for k in numbers], [lines[k] for k in numbers], settings)
        for numbers in by_condition.values()
        if numbers
    ]


def lines_of(
    entry: Entry, mine: Mapping[int, Drawn], settings: Settings, stop: threading.Event | None = None
) -> dict[int, Line]:
    """Return what became of each data set; a package that isn't installed needs no child."""
    package = entry.package
    if package.version is None:
        why = f"not installed; {package.install or f'pip install {package.distribution}'}"
        return {k: {"lost": "missing", "why": why} for k in mine}
    if package.lacks:
        return {k: {"lost": "refused", "why": package.lacks} for k in mine}
    jobs = [(k, one.data, one.condition.asked) for k, one in mine.items()]
    return fit_all(entry.place, entry.way.name, jobs, settings.seconds, stop)


def judged(line: Line, one: Drawn, way: Way) -> Judgement:
    """Return the judgement of one fit."""
    if "lost" in line:
        return Judgement(Outcome(line["lost"]), visible(line["why"]), ())
    if "error" in line:
        return Judgement(Outcome.REFUSED, visible(line["error"]), ())
    exact = one.truths.of(way) if one.truths else None
    others = one.truths.others(way) if one.truths else {}
    found = judge(line["answer"], exact, way, others)
    notes = [found.note, *line["warnings"]] if found.outcome != Outcome.RIGHT else [found.note]
    return Judgement(found.outcome, visible("; ".join(filter(None, notes))), found.numbers)


def _standing(entry: Entry, drawn: Sequence[Drawn], lines: Sequence[Line], settings: Settings) -> Standing:
    """Return the standing of one way in one condition."""
    found = [judged(line, one, entry.way) for line, one in zip(lines, drawn, strict=True)]
    k = worst_of(found)
    times = [line["seconds"] for line in lines if "seconds" in line]
    condition = drawn[0].condition
    return Standing(
        entry.package.name,
        entry.way.name,
        entry.package.version or "",
        condition.name,
        mark(condition, settings.seed),
        settings.seed,
        len(drawn),
        date.today().isoformat(),
        dict(Counter(str(one.outcome) for one in found)),
        statistics.median(times) if times else float("nan"),
        drawn[k].number,
        found[k].note,
        largest_first(found[k].numbers) if found[k].outcome != Outcome.RIGHT else (),
        sum(int(line.get("printed", 0)) for line in lines),
    )


def mark(condition: Condition, seed: int) -> str:
    """Return what tells a condition's data sets from others: outcomes on other data are no history of these."""
    asked = condition.asked
    said: list[Any] = [condition.tables, condition.made, asked.lme4, asked.level, seed]
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=4).hexdigest()
