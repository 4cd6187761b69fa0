"""``nestbench league``: other packages' numbers beside the exact ones of the same data sets."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.league.running import Drawn, Entry, Settings
    from nestbench.league.standing import Standing

EXAMPLES = (
    "nestbench league -o league",
    "nestbench league --only statsmodels,glmm -c balanced",
    'nestbench league --only "glmm lmm" -c icc-0 --data-set 3',
    "nestbench league -o league --no-run --merge new.json",
)


def league(
    only: Annotated[
        str | None,
        typer.Option(help="Packages, or packages with a way, with commas; default: all.", show_default=False),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            "-c", "--condition", help="Conditions, with commas; default: all 40.", show_default=False
        ),
    ] = None,
    data_sets: Annotated[int, typer.Option(min=1, help="Data sets a condition.")] = 12,
    data_set: Annotated[
        int | None,
        typer.Option(min=0, help="One data set of each condition, with all its numbers.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the data sets.")] = 20261126,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds a fit may take.")] = 20.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes at a time.")] = 2,
    add: Annotated[
        list[Path] | None,
        typer.Option(help="A Python file with a PACKAGE of your own (its code is run).", show_default=False),
    ] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option(help="Results of others, or of before, that join the page.", show_default=False),
    ] = None,
    run: Annotated[bool, typer.Option(help="Fit, or only make the page of what is there.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="Folder for league.html, league.json and scripts.", show_default=False
        ),
    ] = None,
) -> None:
    """Hold every number that other packages report to the exact one of the same data set.

    Each package fits in processes of its own: one that is missing, crashes, hangs or prints is told there.
    """
    from nestbench.league.condition import chosen
    from nestbench.league.keeping import latest
    from nestbench.league.packages import PLACES
    from nestbench.league.running import Settings, draw, entries, named
    from nestbench.league.showing import summary
    from nestbench.league.writing import held, write_league

    held(out, merge or ())  # what can't be read or joined is said now, not after minutes
    every = entries([*PLACES, *map(str, add or ())])
    taking_part = named(every, _names(only))
    numbers = tuple(range(data_sets)) if data_set is None else (data_set,)
    settings = Settings(seed, numbers, timeout, workers)
    drawn = draw(chosen(_names(condition)), settings) if run else []
    if data_set is not None:
        _show(taking_part, drawn, settings)
        return
    found: dict[str, list[Standing]] = {}
    try:
        if run:
            _run(taking_part, drawn, settings, found)
    finally:
        # In the order of the page, not in that of ending; what was through before an interrupt is kept.
        standings = [one for entry in taking_part for one in found.get(entry.label, ())]
        if out is not None and (standings or not run):
            standings = latest(write_league(standings, every, out, merge or ()))
        if run and len(found) < len(taking_part):
            kept = f"what they found is in {out}" if out and found else "nothing was kept"
            say(f"{len(found)} of {len(taking_part)} ways were through; {kept}", err=True)
    say(summary(standings))
    if out is not None:
        say(f"Page: {out / 'league.html'}")


def _run(
    taking_part: list[Entry], drawn: list[Drawn], settings: Settings, found: dict[str, list[Standing]]
) -> None:
    """Put what each way has come to into `found`, as it ends."""
    from nestbench.league.running import each_way

    with contextlib.closing(each_way(taking_part, drawn, settings)) as ways:
        for entry, standings in ways:
            found[entry.label] = standings
            say(f"done: {entry.label}", err=True)


def _names(text: str | None) -> list[str]:
    """Return names with commas as a list."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _show(taking_part: list[Entry], drawn: list[Drawn], settings: Settings) -> None:
    """Print all numbers of single fits."""
    from nestbench.league.running import judged, lines_of
    from nestbench.league.showing import numbers_text

    for entry in taking_part:
        mine = {k: one for k, one in enumerate(drawn) if one.condition.asked.random in entry.way.exact}
        for k, line in lines_of(entry, mine, settings).items():
            found = judged(line, mine[k], entry.way)
            head = f"{entry.package.name} {entry.package.version or ''}, {entry.way.name}: {mine[k].condition.name}"
            say(
                f"{head}, data set {mine[k].number}: {found.outcome}{'; ' + found.note if found.note else ''}"
            )
            say(f"exact: {entry.way.convention}")
            if found.numbers:
                say(numbers_text(found.numbers))
