"""The fake package in the league: in children, and in this process where only numbers are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nestbench.league.child import fitted
from nestbench.league.condition import chosen
from nestbench.league.judging import Judgement
from nestbench.league.running import Entry, Settings, draw, entries, judged, named, standings_of
from nestbench.league.standing import Standing

FAKE = str(Path(__file__).with_name("fake_package.py"))


def entry(way: str) -> Entry:
    return named(entries([FAKE]), [f"fake {way}"])[0]


def in_children(
    way: str, conditions: Sequence[str], data_sets: int = 1, seconds: float = 20.0
) -> list[Standing]:
    settings = Settings(1, tuple(range(data_sets)), seconds, 1)
    return standings_of(entry(way), draw(chosen(conditions), settings), settings)


def here(way: str, conditions: Sequence[str], data_sets: int, seed: int = 1) -> list[tuple[str, Judgement]]:
    drawn = draw(chosen(conditions), Settings(seed, tuple(range(data_sets))))
    one = entry(way).way
    return [(d.condition.name, judged(fitted(one, d.data, d.condition.asked), d, one)) for d in drawn]
