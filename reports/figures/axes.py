"""Axes and keys whose words can be read: numbers that stay short and in their panel, methods' names that are whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from nestbench.reports.figures.letters import text_width, wrapped

SHARE = "~%"
"""Format of an axis of shares: as many decimals as its ticks need; a fixed number would round the ticks' labels."""

STEP, LINE = 17, 13
"""Height of a method's line, and what each further line of its name adds; px."""

GAP = 34
"""Between panels side by side, px."""

NAME, LETTERS = 220, 11
"""Room for a method's name beside an axis, and the size of its letters; px."""

SHORT = (
    "abs(datum.value) >= 1e4 || (datum.value != 0 && abs(datum.value) < 1e-3) "
    "? replace(format(datum.value, '.6~e'), 'e+', 'e') : datum.label"
)
"""Labels of an axis: long numbers by their exponent, with all the digits that set neighbours apart."""


def numbers(share: bool, **more: Any) -> alt.Axis:
    """Return an axis of numbers whose labels reach no further than halfway to the next panel; others are left out."""
    labels: dict[str, Any] = {"format": SHARE} if share else {"labelExpr": SHORT}
    return alt.Axis(**{"tickCount": 5, "labelOverlap": True, "labelBound": GAP // 2 - 1, **labels, **more})


def heights(share: bool) -> alt.Axis:
    """Return an upright axis of numbers."""
    return alt.Axis(format=SHARE) if share else alt.Axis(labelExpr=SHORT)


def names(labels: Sequence[str], width: float = NAME, size: float = LETTERS) -> dict[str, str]:
    """Return methods' names in lines of at most a width, px; nothing of them is left out."""
    return {label: "\n".join(wrapped(label, width, size)) for label in labels}


def whole(shown: Mapping[str, str]) -> dict[str, Any]:
    """Return what makes an axis or a key show names in lines; nothing where each fits one."""
    broken = {label: lines for label, lines in shown.items() if lines != label}
    if not broken:
        return {"labelLimit": 0}
    return {"labelLimit": 0, "labelExpr": f"({json.dumps(broken)})[datum.label] || datum.label"}


def methods(labels: Sequence[str]) -> alt.Y:
    """Return the axis of methods, one line each, in this order."""
    shown = names(labels)
    axis = whole(shown)
    several = [label for label, lines in shown.items() if "\n" in lines]
    if several:  # the first line stands where a label does: with two, one should stand above and one below
        test = f"indexof({json.dumps(several)}, datum.value) >= 0"
        axis["labelBaseline"] = {"condition": {"test": test, "value": "bottom"}, "value": "middle"}
    return alt.Y("estimator:N", title=None, sort=list(labels), axis=alt.Axis(**axis))


def step(labels: Sequence[str]) -> int:
    """Return the height of a method's line: that of the name with the most lines, px."""
    lines = max((text.count("\n") + 1 for text in names(labels).values()), default=1)
    return STEP + LINE * (lines - 1)


KEY, SYMBOL = 640, 40
"""Width of a key above a figure, and of the symbol beside a name; px."""


def key(labels: Sequence[str], width: float = KEY) -> alt.Legend:
    """Return a key of lines, in as many columns as the longest name leaves room for."""
    shown = names(labels, width - SYMBOL)
    widest = max(
        (text_width(line, LETTERS) for text in shown.values() for line in text.split("\n")), default=0.0
    )
    columns = max(1, min(5, int(width / (widest + SYMBOL))))
    # A key takes the opacity of the faintest layer, and a faded colour may be that of another method.
    return alt.Legend(columns=columns, symbolType="stroke", symbolOpacity=1, **whole(shown))
