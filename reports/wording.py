"""Words and numbers for people: conditions, percentages, digits that follow the Monte Carlo error."""

from __future__ import annotations

import math
from typing import Any

_WORDS = {
    "layout.schools": ("{} school", "{} schools"),
    "layout.students": ("{} student a school", "{} students a school"),
    "layout.treated_schools": ("{} treated school", "{} treated schools"),
    "population.icc": ("ICC {}", "ICC {}"),
}
"""What a level is called, where it is 1 and else."""


_EFFECTS = "population.effects."

_NAMES = {
    "layout.schools": "number of schools",
    "layout.students": "students a school",
    "layout.treated_schools": "number of treated schools",
    "population.icc": "ICC",
    "model.level": "level of the intervals",
}


NULL = "model.null."
"""Factors whose levels are null values, not effects."""


def named_level(factor: str, text: str, name: str) -> str:
    """Return a level's text with its factor: in the factor's own words where it has some, else behind `name`."""
    if factor in _WORDS:
        return _WORDS[factor][text != "1"].format(text)
    if factor.startswith(_EFFECTS):
        return f"effect of {name.removeprefix('effects.')} {text}"
    if factor.startswith(NULL):
        return f"test of {factor.removeprefix(NULL)} = {text}"
    return f"{spaced(name)} {text}"


def value_words(value: Any) -> str:
    """Return a level's value, short: lists of sizes as their range."""
    if isinstance(value, (list, tuple)):
        if len(value) > 3 and all(isinstance(v, (int, float)) for v in value):
            return f"{min(value)}-{max(value)}"
        return ", ".join(value_words(v) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def joined_words(parts: list[str]) -> str:
    """Return the words of a condition's levels as one phrase; ``the one condition`` without factors."""
    if not parts:
        return "the one condition"
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def head_words(factor: str) -> str:
    """Return a factor's name at the head of a column: ``schools``, ``ICC``, ``effect of treated``."""
    return named(factor) if factor.startswith((_EFFECTS, NULL)) else spaced(factor.rsplit(".", 1)[-1])


def factor_words(factor: str) -> str:
    """Return a factor's name for an axis: ``Schools``, ``ICC``, ``Slope SD``."""
    name = head_words(factor)
    return name[:1].upper() + name[1:]


def spaced(name: str) -> str:
    """Return a key as words: ``slope SD`` for ``slope_sd``."""
    return " ".join({"sd": "SD", "icc": "ICC", "cv": "CV"}.get(part, part) for part in name.split("_"))


def named(factor: str) -> str:
    """Return a factor's name in a sentence: ``number of schools``, ``ICC``, ``effect of treated``."""
    if factor in _NAMES:
        return _NAMES[factor]
    if factor.startswith(_EFFECTS):
        return f"effect of {factor.removeprefix(_EFFECTS)}"
    if factor.startswith(NULL):
        return f"null value of {factor.removeprefix(NULL)}"
    return spaced(factor.rsplit(".", 1)[-1])


def percent(share: float, mcse: float | None = None) -> str:
    """Return a share as ``62 %`` or, with its error, ``62.4 % (MCSE 1.5)``: digits follow the error."""
    if not math.isfinite(share):
        return "-"
    if mcse is None:
        return f"{100 * share:.0f} %"
    digits = decimals(100 * mcse)
    return f"{100 * share:.{digits}f} % (MCSE {100 * mcse:.{max(digits, 1)}f})"


def decimals(mcse: float, most: int = 6) -> int:
    """Return how many decimals a number deserves: those down to the first significant digit of its MCSE."""
    if not math.isfinite(mcse) or mcse <= 0:
        return 1
    printed = float(f"{mcse:.0e}")  # 0.0097 is printed as 0.01: two decimals, not three
    return min(max(-math.floor(math.log10(printed)), 0), most)


def rounded(value: float, mcse: float) -> str:
    """Return ``0.948 (0.007)``: the value to the first significant digit of its MCSE, in brackets."""
    if not math.isfinite(value):
        return "" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if not math.isfinite(mcse):
        return unsigned(f"{value:.3g}")
    if mcse == 0:
        return f"{unsigned(f'{value:.4g}')} (0)"
    digits = decimals(mcse)
    return f"{unsigned(f'{value:.{digits}f}')} ({mcse:.{digits}f})"


def unsigned(text: str) -> str:
    """Return a number's text without the minus of a zero."""
    return text.removeprefix("-") if not text.strip("-0.") else text


def several(items: list[str], most: int = 4) -> str:
    """Return ``a, b and c``; beyond `most`, ``a, b, c, d and 3 more``."""
    if len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most} more"
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"
