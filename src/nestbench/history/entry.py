"""One line of a history: the measures of a term by a method in a condition, as one run had them."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nestbench.reports.accuracy.baseline import Value
from nestbench.sim.observed.batch import Floats

BATCHES = 40
"""Parts of a run that are compared with those of another on the same data sets; replication r is in part r mod 40."""
FORMAT = 1
_MOST = 32767


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A measure: value, Monte Carlo error, n, and what each batch adds to the value.

    Attributes
    ----------
    value : (value, MCSE, n)
    unit : float
        Of the codes.
    codes : int16 [40] or None
        Batch b adds ``unit codes[b]`` to the value, with mean 0; None where the measure has no such parts.
    """

    value: Value
    unit: float = 0.0
    codes: Any = None

    @property
    def batches(self) -> Floats | None:
        """What each batch adds to the value [40]."""
        return None if self.codes is None else self.unit * self.codes.astype(np.float64)

    @property
    def plain(self) -> list[Any]:
        """As JSON values: 9 digits, the codes as base64."""
        numbers = [_short(self.value[0]), _short(self.value[1]), self.value[2]]
        if self.codes is None:
            return numbers
        return [*numbers, _short(self.unit), base64.b64encode(self.codes.astype("<i2").tobytes()).decode()]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A line.

    Attributes
    ----------
    study, commit, date, version : str
        The experiment's name; the commit of the project under test, its date (ISO 8601), and nestbench's version.
    seed, replications : int
    condition, where : str
        Key of the condition, and its name in words.
    method, term : str
    digest : str
        Of all numbers of the method in the condition: two runs with the same are the same.
    points : mapping
        Measure -> `Point`.
    """

    study: str
    commit: str
    date: str
    version: str
    seed: int
    replications: int
    condition: str
    where: str
    method: str
    term: str
    digest: str
    points: Mapping[str, Point] = field(repr=False)

    @property
    def run(self) -> tuple[str, int]:
        """What a run is known by: commit and seed."""
        return self.commit, self.seed

    @property
    def series(self) -> tuple[str, str, str]:
        """What it continues: condition, method, term."""
        return self.condition, self.method, self.term

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON values, the keys in one order."""
        names = [name for name in self.__dataclass_fields__ if name != "points"]
        measures = {name: point.plain for name, point in self.points.items()}
        return {"format": FORMAT, **{name: getattr(self, name) for name in names}, "measures": measures}


def entry_of_plain(plain: Mapping[str, Any]) -> Entry:
    """Return a line from its JSON values; `KeyError`, `TypeError` or `ValueError` where they aren't one."""
    fields: dict[str, Any] = {name: _text(plain[name]) for name in _TEXTS}
    fields |= {name: int(plain[name]) for name in ("seed", "replications")}
    points = {_text(name): _point(numbers) for name, numbers in plain["measures"].items()}
    return Entry(**fields, points=points)


_TEXTS = ("study", "commit", "date", "version", "condition", "where", "method", "term", "digest")


def point_of(value: Value, batches: Floats | None) -> Point:
    """Return a measure with what its batches add [40] or None, coded."""
    if batches is None or not np.isfinite(batches).all():
        return Point(value)
    unit = float(np.abs(batches).max()) / _MOST
    codes = np.round(batches / unit) if unit > 0 else np.zeros(BATCHES)
    return Point(value, unit, codes.astype(np.int16))


def _point(numbers: Any) -> Point:
    """Return a measure from its JSON values."""
    value = (_number(numbers[0]), _number(numbers[1]), int(numbers[2]))
    if len(numbers) == 3:
        return Point(value)
    codes = np.frombuffer(base64.b64decode(numbers[4], validate=True), dtype="<i2")
    if len(codes) != BATCHES:
        raise ValueError(f"{len(codes)} batches")
    return Point(value, float(numbers[3]), codes)


def _text(value: Any) -> str:
    """Return a text; `TypeError` for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _short(value: float) -> float | str | None:
    """Return a number with 9 digits, None for NaN, a text for infinity."""
    if math.isnan(value):
        return None
    return float(f"{value:.9g}") if math.isfinite(value) else str(value)


def _number(value: Any) -> float:
    """Return a number from its JSON value."""
    return math.nan if value is None else float(value)
