"""Random parts as lme4 writes them, ``(1 + x | school)``, taken out of a formula."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nestbench.sim.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Bars:
    """A formula without its random part, and what that part said.

    Attributes
    ----------
    formula : str
    random : str
        What varies over groups, as a right-hand side: ``1 + x``.
    group : str
    subgroup : str or None
    """

    formula: str
    random: str
    group: str
    subgroup: str | None


def split_bars(formula: str) -> Bars | None:
    """Return a formula's random part apart; None where there is none.

    ``(1 | a/b)`` is ``(1 | a) + (1 | a:b)``, as in lme4: groups b within groups a.

    Raises
    ------
    InvalidInput
        Several random parts that are not those of nested groups, or one that can't be read.
    """
    places = list(_segments(formula))
    if not places:
        return None
    parts = [_part(formula[first + 1 : last - 1], formula) for first, last in places]
    parts = [piece for part in parts for piece in _nested(part)]
    outer = [(random, group) for random, group in parts if ":" not in group]
    inner = [(random, group) for random, group in parts if ":" in group]
    if len(outer) != 1 or len(inner) > 1:
        raise _unreadable(formula, "one grouping, (1 + x | school), or groups in groups, (1 | school/class)")
    (random, group), subgroup = outer[0], None
    if inner:
        over, subgroup = inner[0][0], _within(inner[0][1], group, formula)
        if over != "1":
            raise _unreadable(formula, f"an intercept alone for '{subgroup}', (1 | {group}:{subgroup})")
    return Bars(_without(formula, places), random, group, subgroup)


def _segments(formula: str) -> Iterator[tuple[int, int]]:
    """Yield where the parentheses with a bar at their own level begin and end."""
    opened: list[tuple[int, bool]] = []
    quote = ""
    for place, sign in enumerate(formula):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "`'\"":
            quote = sign
        elif sign == "(":
            opened.append((place, False))
        elif sign == "|" and opened:
            opened[-1] = (opened[-1][0], True)
        elif sign == ")" and opened:
            first, barred = opened.pop()
            # The parentheses of a call, ``f(a | b)``, hold no random part.
            if barred and not re.search(r"\w$", formula[:first]):
                yield first, place + 1


def _part(inside: str, formula: str) -> tuple[str, str]:
    """Return what varies and over which groups, of what stands between the brackets of ``(1 + x | school)``."""
    if "||" in inside:
        raise _unreadable(
            formula,
            "one bar; for uncorrelated random effects give methods the option covariance = diagonal "
            "(--methods reml-kr:covariance=diagonal)",
        )
    random, _, group = inside.partition("|")
    if not random.strip() or not group.strip() or "|" in group:
        raise _unreadable(formula, "what varies and over which groups: (1 + x | school)")
    return random.strip(), group.strip()


def _nested(part: tuple[str, str]) -> list[tuple[str, str]]:
    """Return a random part as lme4 expands ``a/b``: one over a and one over b within a."""
    random, group = part
    names = [name.strip().strip("`") for name in group.split("/")]
    if len(names) == 1:
        return [(random, ":".join(name.strip().strip("`") for name in group.split(":")))]
    # Slopes stay with the outer groups only where lme4 would have them in both: that is refused further on.
    return [(random, names[0]), (random, ":".join(names))]


def _within(pair: str, group: str, formula: str) -> str:
    """Return the group that lies within the schools."""
    names = pair.split(":")
    if len(names) != 2 or group not in names:
        raise _unreadable(formula, f"groups within '{group}': (1 | {group}/class)")
    return names[1 - names.index(group)]


def _without(formula: str, places: list[tuple[int, int]]) -> str:
    """Return a formula without some of its parts, and without the plus signs that joined them."""
    # From the end: what is cut out moves no place that is still to be cut.
    for first, last in reversed(places):
        head, tail = formula[:first].rstrip(), formula[last:].lstrip()
        if head.endswith("+"):
            head = head[:-1].rstrip()
        elif tail.startswith("+"):
            tail = tail[1:].lstrip()
        formula = f"{head} {tail}".strip()
    return formula if not formula.rstrip().endswith("~") else f"{formula} 1"


def _unreadable(formula: str, expected: str) -> InvalidInput:
    """Return what to say of a random part that can't be read."""
    return InvalidInput(f"expected {expected}, got '{formula}'")
