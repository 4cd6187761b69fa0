"""Square brackets around marks of too few usable fits (`words.usable`): the same sign in every figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from nestbench.reports.figures.records import Record
from nestbench.reports.figures.theme import LIGHT, Chart

SIDE = 7
"""Between a dot and the bracket beside it, px."""

_SIGNS = ("[", "first"), ("]", "last")


def marked(records: Sequence[Record]) -> bool:
    """Return whether any record needs brackets, and give all of them what the layers of brackets read.

    Records without brackets have empty words: a layer that a term's choice empties has no extent, and Vega warns.
    """
    if not any("opened" in record for record in records):
        return False
    for record in records:
        record["opens"] = record.get("opened", record["value"])
        for sign, field in _SIGNS:
            record[field] = sign if "opened" in record else ""
    return True


def lying(x: Callable[[str], alt.X], y: alt.Y, bounded: bool, tooltip: Sequence[alt.Tooltip]) -> list[Chart]:
    """Return brackets of marks whose value lies across: from the bound, where there is one, to behind the dot."""
    # A bound is a place on the axis, where its bracket stands exactly; else the bracket only goes round the dot.
    places = ("first", "opens", 0 if bounded else -SIDE), ("last", "value", SIDE)
    return [
        alt.Chart()
        .mark_text(dx=dx, color=LIGHT["ink"], fontSize=13)
        .encode(x=x(field), y=y, text=alt.Text(f"{text}:N"), tooltip=list(tooltip))
        for text, field, dx in places
    ]


def standing(
    x: Sequence[alt.X], y: Callable[[str], Any], dx: int = SIDE, colour: Any = alt.Undefined
) -> list[Chart]:
    """Return brackets of marks whose value stands upright: beside the dot, with a dotted line to the bound.

    `x` are the places of the dotted line, of the left and of the right bracket; `colour` tells methods apart.
    """
    middle, *sides = x
    rule = (
        alt.Chart()
        .mark_rule(color=LIGHT["soft"], strokeDash=[1, 3])
        .encode(x=middle, y=y("opens"), y2="value:Q")
    )
    return [
        rule,
        *(
            alt.Chart()
            .mark_text(dx=way * dx, color=LIGHT["ink"], fontSize=13)
            .encode(x=place, y=y("value"), text=alt.Text(f"{text}:N"), color=colour)
            for place, way, text in zip(sides, (-1, 1), ("first", "last"), strict=True)
        ),
    ]
