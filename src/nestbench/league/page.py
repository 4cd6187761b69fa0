"""The league's page: one HTML file that loads nothing, a row a condition, a column a way; what is red opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any

import jinja2
import markupsafe

from nestbench.league.condition import conditions
from nestbench.league.judging import Outcome
from nestbench.league.keeping import changes, earlier, latest
from nestbench.league.package import Way
from nestbench.league.running import Entry
from nestbench.league.showing import (
    HEADS,
    RULE,
    claims_words,
    counts_words,
    failures_words,
    number_row,
    reason_words,
    seconds_words,
    standing_words,
)
from nestbench.league.standing import Standing
from nestbench.reports.page.report import environment

KINDS = {
    Outcome.RIGHT: "holds",
    Outcome.NEAR: "likely",
    Outcome.OTHER: "likely",
    Outcome.REFUSED: "wide",
    Outcome.NOT_RUN: "none",
    Outcome.MISSING: "none",
    Outcome.UNJUDGED: "none",
}
"""Which of the house's shades a standing has; red ones have that of what fails."""


def render(
    standings: Sequence[Standing], taking_part: Sequence[Entry], scripts: Mapping[tuple[str, ...], str]
) -> str:
    """Return the page.

    Parameters
    ----------
    standings : sequence of Standing
        All there are, earlier versions too.
    taking_part : sequence of Entry
        For what the ways claim, and by which convention.
    scripts : mapping
        Standing key -> path of its script beside the page.
    """
    shown = latest(standings)
    known = {entry.label: entry.way for entry in taking_part}
    jinja = environment().overlay(loader=jinja2.PackageLoader("nestbench.league", "."))
    return jinja.get_template("league.html.jinja").render(
        rule=RULE,
        heads=HEADS,
        packages=heads_of(shown),
        ways=[way_of(label, shown, known.get(label)) for label in labels_of(shown)],
        rows=rows_of(shown),
        opened=[
            opened(standing, standings, known.get(standing.label), scripts)
            for standing in shown
            if not standing.answered and told(standing)
        ],
        changes=[change(before, after) for before, after in changes(standings)],
        dates=sorted({standing.date for standing in shown}),
        data_sets=sorted({standing.data_sets for standing in shown}),
        seeds=sorted({standing.seed for standing in shown}),
        style=markupsafe.Markup(
            files("nestbench.reports.page").joinpath("page.css").read_text(encoding="utf-8")
        ),
    )


def told(standing: Standing) -> bool:
    """Whether there is something to open: not of packages that aren't here."""
    return standing.outcome not in (Outcome.MISSING, Outcome.UNJUDGED)


def labels_of(standings: Sequence[Standing]) -> list[str]:
    """Return the ways in the order of the standings."""
    return list(dict.fromkeys(standing.label for standing in standings))


def heads_of(standings: Sequence[Standing]) -> list[tuple[str, str, int]]:
    """Return package, version and how many of its ways stand below."""
    firsts = [
        next(standing for standing in standings if standing.label == label) for label in labels_of(standings)
    ]
    grouped = groupby(firsts, key=lambda standing: (standing.package, standing.version or "missing"))
    return [(package, version, len(list(ways))) for (package, version), ways in grouped]


def way_of(label: str, standings: Sequence[Standing], way: Way | None) -> dict[str, str]:
    """Return a way's column: its name, convention, seconds, and what its fits can show; None: a way of others."""
    mine = [standing for standing in standings if standing.label == label]
    return {
        "label": label,
        "way": mine[0].way,
        "convention": way.convention if way else "",
        "claims": claims_words(way.claims) if way else "",
        "seconds": seconds_words(mine),
        "failures": failures_words(mine),
    }


def rows_of(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Return a row a condition: its name, what it is, a standing a way."""
    by_place = {(standing.label, standing.condition): standing for standing in standings}
    ran = {standing.condition for standing in standings}
    return [
        {
            "name": condition.name,
            "says": condition.says,
            "standings": [shade(by_place.get((label, condition.name))) for label in labels_of(standings)],
        }
        for condition in conditions()
        if condition.name in ran
    ]


def shade(standing: Standing | None) -> dict[str, str]:
    """Return a standing of the matrix: shade, words, what it opens."""
    if standing is None:
        return {"kind": "none", "words": "", "id": "", "title": "not fitted in this way"}
    kind = "fails" if standing.red else KINDS[standing.outcome]
    target = id_of(standing) if not standing.answered and told(standing) else ""
    return {
        "kind": kind,
        "words": standing_words(standing),
        "id": target,
        "title": f"{standing.label}: {counts_words(standing.outcomes)}",
    }


def id_of(standing: Standing) -> str:
    """Return a standing's place on the page."""
    return "".join(c if c.isalnum() else "-" for c in f"{standing.label}-{standing.condition}")


def opened(
    standing: Standing,
    standings: Sequence[Standing],
    way: Way | None,
    scripts: Mapping[tuple[str, ...], str],
) -> dict[str, Any]:
    """Return what a standing opens to: its worst fit's numbers, the line and the script that show it, its history."""
    return {
        "id": id_of(standing),
        "head": f"{standing.package} {standing.version}, {standing.way}: {standing.condition}",
        "counts": counts_words(standing.outcomes),
        "reason": reason_words(standing) if standing.red else "",
        "data_set": standing.worst,
        "note": standing.note,
        "convention": way.convention if way else "",
        "numbers": [(number.wrong, number_row(number)) for number in standing.numbers],
        "printed": standing.printed,
        "replay": standing.replay,
        "script": scripts.get(standing.key, ""),
        "history": [
            f"{one.version} ({one.date}): {standing_words(one)}" for one in earlier(standing, standings)
        ],
    }


def change(before: Standing, after: Standing) -> dict[str, str]:
    """Return a row of what changed: way, condition, both versions with their dates and words."""
    return {
        "label": after.label,
        "condition": after.condition,
        "before": f"{before.version} ({before.date})",
        "was": standing_words(before),
        "after": f"{after.version} ({after.date})",
        "is": standing_words(after),
    }
