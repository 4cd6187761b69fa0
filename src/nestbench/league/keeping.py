"""The league's results as a small file, which grows by what later runs and others' files have: standings by version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from nestbench.experiments.files import write_atomically
from nestbench.league.judging import Outcome
from nestbench.league.standing import Standing, standing_of_plain
from nestbench.sim.errors import InvalidInput

FORMAT = "nestbench league 1"
FILE = "league.json"


def save(standings: Sequence[Standing], path: Path) -> None:
    """Write standings as JSON, a line each."""
    lines = ",\n".join(json.dumps(standing.plain, ensure_ascii=False) for standing in standings)
    text = f'{{"format": "{FORMAT}", "standings": [\n{lines}\n]}}\n'
    write_atomically(path, text.encode())


def load(path: Path) -> list[Standing]:
    """Return the standings of a file.

    Raises
    ------
    InvalidInput
        The file can't be read, or isn't a league's.
    """
    try:
        read: Any = json.loads(path.read_text(encoding="utf-8"))
        if read["format"] != FORMAT:
            raise ValueError(f"its format is {read['format']!r}")
        return [standing_of_plain(plain) for plain in read["standings"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"expected {path} to be results of the league (format '{FORMAT}'), got {type(error).__name__}: {error}; "
            "they are what nestbench league -o FOLDER writes as league.json"
        ) from error


def merged(standings: Iterable[Standing]) -> list[Standing]:
    """Return one standing a package, way, version and condition: the latest, in the order in which they came first."""
    kept: dict[tuple[str, str, str, str], Standing] = {}
    for standing in standings:
        if standing.key not in kept or standing.date >= kept[standing.key].date:
            kept[standing.key] = standing
    return list(kept.values())


def latest(standings: Iterable[Standing]) -> list[Standing]:
    """Return the standings that the page shows: of each way and condition those of the newest version, of the last
    run where versions aren't numbers; missing ones only where there never was another."""
    newest: dict[tuple[str, str, str], Standing] = {}
    for standing in standings:
        key = (standing.package, standing.way, standing.condition)
        if key not in newest or _age(standing) >= _age(newest[key]):
            newest[key] = standing
    return list(newest.values())


def earlier(standing: Standing, standings: Iterable[Standing]) -> list[Standing]:
    """Return what other versions did on the same data sets, the newest first."""
    same = [
        one
        for one in standings
        if (one.package, one.way, one.condition, one.data)
        == (standing.package, standing.way, standing.condition, standing.data)
        and one.version not in ("", standing.version)
    ]
    return sorted(same, key=_age, reverse=True)


def changes(standings: Sequence[Standing]) -> list[tuple[Standing, Standing]]:
    """Return pairs of successive versions that ended otherwise on the same data sets, the older first."""
    pairs = []
    for standing in latest(standings):
        line = [*reversed(earlier(standing, standings)), standing]
        pairs += [
            (before, after)
            for before, after in pairwise(line)
            if before.data_sets == after.data_sets and _ended(before) != _ended(after)
        ]
    return pairs


def _ended(standing: Standing) -> tuple[Outcome, int]:
    """Return how the worst fits ended, and how many unless they are answers: right ones among those within the
    tolerance come and go."""
    return standing.outcome, 0 if standing.answered else standing.count


def _age(standing: Standing) -> tuple[bool, Version, str]:
    """Return what orders standings of a way from old to new: its version, and the day it was run."""
    try:
        version = Version(standing.version)
    except InvalidVersion:  # of R's packages there are several
        version = Version("0")
    return bool(standing.version), version, standing.date
