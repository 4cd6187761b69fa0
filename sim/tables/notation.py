"""Numbers as people write them in tables: decimal commas, thousands apart, currency and percent signs, words for
missing.

A column is read as numbers where every value has one and the same meaning as one. Where two readings are possible
(``7,288``: 7288 or 7.288) and no other column of the file decides, it stays text, and `ambiguous` says so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.sim.counted import plural
from nestbench.sim.observed.batch import Floats

MISSING = frozenset(
    word
    for line in (
        "|.|na|n/a|n.a.|#n/a|<na>|nan|-nan|nat|null",
        "#div/0!|#value!|#num!|#null!|#ref!|#name?|1.#ind|-1.#ind|1.#qnan|-1.#qnan",
    )
    for word in line.split("|")
)
"""What stands for a missing value in any column, after trimming and in any case; ``.`` is Stata's and SAS's."""

_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
"""A number whose points may all stand between thousands."""

CALLED_NONE = "None"
"""Python's word for missing, in this case alone: ``none`` is as good a label as any."""

AMONG_NUMBERS = frozenset(
    word
    for line in (
        "-|--|---|\u2013|\u2014|?|??|*|**|..|...|missing|(missing)|unknown|not available|not applicable|no data",
        "n.d.|nd|k.a.|n.v.",
        "|".join(f".{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
    )
    for word in line.split("|")
)
"""What stands for a missing value where all other values of a column are numbers; else it may be a label."""

CODES = tuple(float(sign + digits) for digits in ("9", "99", "999", "9999", "99999") for sign in ("", "-"))
CODES += (-8.0, -98.0, -998.0, 98.0, 998.0)
"""Numbers that data files use for missing values."""

SLIPS = 0.5
"""Share of numbers above which a column of text is said to be a column of numbers with slips."""

_MARKS = (("", ","), (",", "."), (".", ","), (" ", "."), (" ", ","), ("'", "."), ("'", ","), ("", "."))
"""What may stand between thousands, and before decimals."""

_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ")
_AS_TYPED = {**_SPACES, ord("\u2212"): "-", ord("\u2019"): "'"}
_PARTS = re.compile(
    r"(?P<sign>[+-]?)(?P<before>[^\w\s.,'+()-]?) ?(?P<inner>[+-]?)(?P<digits>[\d.,' ]*\d[.,]?)"
    r"(?P<power>(?:[eE][+-]?\d+)?) ?(?P<after>[^\w\s.,'+()-]?)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A column's known values as numbers.

    Attributes
    ----------
    values : Series of float
        NaN where a word stands for missing.
    said : str
        How they were written, where not as everywhere; with the place of the column's name open: ``'{}' has ...``.
    decimal : str
        The sign before decimals, where one of the values has it for certain.
    """

    values: pd.Series[Any]
    said: str = ""
    decimal: str = ""


def is_missing(text: pd.Series[Any]) -> pd.Series[Any]:
    """Return which trimmed texts stand for a missing value in any column."""
    return _are(text, MISSING) | (text == CALLED_NONE)


def _are(text: pd.Series[Any], words: Collection[str]) -> pd.Series[Any]:
    """Return which texts are one of some words, in capitals or not."""
    # In a list: pandas's own way takes ten times as long, and columns have 100 000 texts.
    return pd.Series(
        [isinstance(value, str) and value.casefold() in words for value in text.tolist()],
        index=text.index,
        dtype=bool,
    )


def numbers_of(known: pd.Series[Any], decimal: str = "") -> Reading | None:
    """Return texts as numbers; None where they aren't, or might be two.

    Parameters
    ----------
    known : Series of str
        Trimmed, none missing.
    decimal : str
        The sign before decimals in other columns of the same file, "" if they don't tell.
    """
    texts = pd.Series(known.unique(), dtype=object)
    word = _are(texts, AMONG_NUMBERS)
    rest = texts[~word]
    points = decimal == "," and grouped(rest)  # may stand between thousands
    reading = ((None if points else _by_pandas(rest)) or _written(rest, decimal)) if len(rest) else None
    if reading is None:
        return None
    values = known.map(dict(zip(rest, reading.values, strict=True))).astype(np.float64)
    if not word.any():
        return Reading(values, reading.said, reading.decimal)
    counts = known[known.isin(texts[word])].value_counts()
    words = ", ".join(f"'{text}' ({count})" for text, count in counts.items())
    said = f"'{{}}' holds {words} among numbers, read as missing"
    return Reading(values, "; ".join(filter(None, (reading.said, said))), reading.decimal)


def ambiguous(known: pd.Series[Any]) -> str:
    """Return what two numbers a text of the column might be, "" unless all are numbers but of unclear size."""
    known = known.drop_duplicates()
    if len(known) and numbers_of(known) is None and len(readings := _readings(known)) > 1:
        first, second = readings[:2]
        place = int(np.argmax(first.to_numpy() != second.to_numpy()))
        return f"{known.iloc[place]!r}, which may be {first.iloc[place]:.15g} or {second.iloc[place]:.15g}"
    return ""


def grouped(known: pd.Series[Any]) -> bool:
    """Whether each point of a column of numbers might stand between thousands, as where decimals follow commas."""
    pointed = [text for text in known.tolist() if "." in text]
    return bool(pointed) and all(map(_GROUPED.fullmatch, pointed))


def share_of_numbers(known: pd.Series[Any]) -> tuple[float, pd.Series[Any]]:
    """Return the share of texts that are numbers as written everywhere, and the others."""
    wrong = known[pd.to_numeric(known, errors="coerce").isna()]
    return 1.0 - len(wrong) / max(len(known), 1), wrong


def perhaps_missing(labels: pd.Series[Any], name: str) -> str:
    """Return what is to be said of a label that stands for missing in columns of numbers."""
    words = labels[labels.str.casefold().isin(AMONG_NUMBERS)]
    if words.empty:
        return ""
    return f"'{name}' has the label {words.iloc[0]!r} in {plural(len(words), 'row')}: if it means missing, blank it"


def far_code(values: Floats) -> tuple[float, int]:
    """Return a number that may stand for missing, for it is far from all others, and how often; 0 times: none does."""
    for code in CODES:
        if count := int((values == code).sum()):
            others = values[values != code]
            reach = float(np.ptp(others)) if len(others) else 0.0
            if reach and not others.min() - reach <= code <= others.max() + reach:
                return code, count
    return 0.0, 0


def _by_pandas(known: pd.Series[Any]) -> Reading | None:
    numbers = pd.to_numeric(known, errors="coerce").astype(np.float64)
    if numbers.isna().any():
        return None
    decimal = "." if any("." in text for text in known.tolist()) and not grouped(known) else ""
    return Reading(numbers, decimal=decimal)


def _written(known: pd.Series[Any], decimal: str) -> Reading | None:
    """Read numbers that are written in another way, the same in all values."""
    parts = _parts(known)
    if parts is None:
        return None
    readings = [(marks, values) for marks in _MARKS if (values := _by(parts, *marks)) is not None]
    if len(_distinct(values for _, values in readings)) > 1:
        readings = [(marks, values) for marks, values in readings if marks[1] == decimal]
    if len(_distinct(values for _, values in readings)) != 1:
        return None
    (between, before), values = readings[0]
    one = all(marks[1] == before for marks, _ in readings)
    certain = before if one and parts["digits"].str.contains(before, regex=False).any() else ""
    return Reading(values, _said(known, parts, between, before, values), certain)


def _said(
    known: pd.Series[Any], parts: pd.DataFrame, between: str, before: str, values: pd.Series[Any]
) -> str:
    """Return words for how numbers are written, with a value that shows it."""
    signs = {"thousands": between, "decimal commas": "," if before == "," else ""}
    shown = {name: parts["digits"].str.contains(sign, regex=False) for name, sign in signs.items() if sign}
    kinds = [name for name, has in shown.items() if has.any()]
    kinds += [f"{sign} signs" for sign in (*parts[["before", "after"]].iloc[0],) if sign]
    if not kinds:
        return ""
    place = int(np.argmax(next((has for name, has in shown.items() if has.any()), known.notna())))
    named = " and ".join("separators of thousands" if kind == "thousands" else kind for kind in kinds)
    return f"'{{}}' has {named}: {known.iloc[place]} is read as {values.iloc[place]:.15g}"


def _parts(known: pd.Series[Any]) -> pd.DataFrame | None:
    """Return sign, digits, power and signs round them of each text; None where one is no number, or signs differ."""
    typed = known.map(lambda text: "".join(map(_digit, text.translate(_AS_TYPED))))
    parts = typed.str.extract(f"^{_PARTS.pattern}$")
    if parts["digits"].isna().any():
        return None
    around = parts[["before", "after"]].drop_duplicates()
    twice = ((parts["sign"] != "") & (parts["inner"] != "")).any()
    if len(around) > 1 or twice or not all(map(_is_sign, (*around.iloc[0],))):
        return None
    return parts


def _digit(sign: str) -> str:
    """Return a sign as an ASCII digit if it is a digit of any script."""
    value = unicodedata.decimal(sign, None)
    return sign if value is None else str(value)


def _is_sign(text: str) -> bool:
    """Whether a text is what may stand beside a number: nothing, per cent, per mille or a currency."""
    return text in ("", "%", "‰") or unicodedata.category(text) == "Sc"


def _by(parts: pd.DataFrame, between: str, before: str) -> pd.Series[Any] | None:
    """Return the numbers if `between` stands between thousands and `before` before decimals; None if not in all."""
    group, point = re.escape(between), re.escape(before)
    whole = rf"(?:[1-9]\d{{0,2}}(?:{group}\d{{3}})+|\d+)" if between else r"\d+"
    if not parts["digits"].str.fullmatch(rf"{whole}(?:{point}\d*)?|{point}\d+").all():
        return None
    digits = parts["digits"].str.replace(between, "", regex=False) if between else parts["digits"]
    text = parts["sign"] + parts["inner"] + digits.str.replace(before, ".", regex=False) + parts["power"]
    return text.astype(np.float64)


def _readings(known: pd.Series[Any]) -> list[pd.Series[Any]]:
    """Return the different ways in which a column's texts can be read as numbers: more than one is a question."""
    parts = _parts(known)
    if parts is None:
        return []
    return _distinct(values for marks in _MARKS if (values := _by(parts, *marks)) is not None)


def _distinct(readings: Iterable[pd.Series[Any]]) -> list[pd.Series[Any]]:
    """Return the columns without those that are equal to an earlier one."""
    kept: list[pd.Series[Any]] = []
    for values in readings:
        if not any(values.equals(other) for other in kept):
            kept.append(values)
    return kept
