"""The answer to a question of size: plain data, which terminal, JSON, page and notebook read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nestbench.reports.comparing.grades import Grade
from nestbench.sizing.question import Question

VALID = frozenset(map(str, (Grade.HOLDS, Grade.LIKELY, Grade.LOOSE, Grade.WIDE)))
"""Grades of the type I error with which a method's answer counts."""
CONSERVATIVE = frozenset(map(str, (Grade.LOOSE, Grade.WIDE)))
"""Grades of a type I error below Bradley's band."""
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class MethodAnswer:
    """What one method's tests need, and whether they hold there.

    Attributes
    ----------
    method : str
    value : float
        The unknown; NaN where the method has no answer, or the target isn't reached.
    low, high : float
        95 % interval, of Monte Carlo error.
    reached : bool
        Whether the target is reached within what was searched; `value` is the end of that if not.
    power, power_mcse : float
        Of the effect at that design; NaN with a half-width as target and no effect.
    size, size_mcse : float
        Type I error at that design.
    half_width, half_width_mcse : float
        Mean half-width of the intervals there.
    grade : str
        Of the type I error, as the reports grade it, or "no answer".
    n : int
        Data sets of that design.
    """

    method: str
    value: float
    low: float
    high: float
    reached: bool
    power: float
    power_mcse: float
    size: float
    size_mcse: float
    half_width: float
    half_width_mcse: float
    grade: str
    n: int

    @property
    def valid(self) -> bool:
        """Whether its tests hold at its design."""
        return self.grade in VALID

    @property
    def conservative(self) -> bool:
        """Whether its type I error lies below the band: its tests hold, and find less than their level would allow."""
        return self.grade in CONSERVATIVE


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """What a formula says of the same question.

    Attributes
    ----------
    value : float
        The unknown; infinite where no value reaches the target.
    ceiling : float
        Largest power as the unknown grows, 1 where there is no ceiling.
    name, source : str
        What it is of, and whose it is.
    power : float
        What it says of the power at the answer of the method named; NaN where there is none.
    half_width : float
        What it says of the half-width there, where that is the target; else NaN.
    agrees : bool
        Whether the simulation agrees there, within Monte Carlo error.
    method : str
        The method whose test it is, to which it is held; nothing where there is none.
    """

    value: float
    ceiling: float
    name: str
    source: str
    power: float = float("nan")
    half_width: float = float("nan")
    agrees: bool = True
    method: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sizing:
    """How large a trial must be, or what it can find.

    Attributes
    ----------
    question : Question
    answers : tuple of MethodAnswer
        A method each, in the order asked.
    named : str or None
        The valid method that needs least; None where none holds or reaches the target.
    closed : ClosedForm or None
        Where there is a formula.
    curve : DataFrame
        All that was simulated: a row a design and method, ``value, method, n, power, power_mcse, size, size_mcse,
        detectable, detectable_mcse, half_width, half_width_mcse``; ``detectable`` is the effect found with the power
        wanted.
    limits : tuple of str
        Of a target that isn't reached: what limits it, and what would reach it.
    data_sets : int
        Drawn in all.
    seed : int
    toml : str
        The experiment at the answers, to run, store and replay.
    notes : tuple of str
        What a pilot says, and what its uncertainty makes of the answer.
    other_iccs : DataFrame or None
        The answer of the method named at other ICCs: ``icc, value, low, high``.
    shown, html : str
        The answer for a terminal and for a notebook.
    """

    question: Question
    answers: tuple[MethodAnswer, ...]
    named: str | None
    closed: ClosedForm | None
    curve: pd.DataFrame
    limits: tuple[str, ...]
    data_sets: int
    seed: int
    toml: str
    notes: tuple[str, ...] = ()
    other_iccs: pd.DataFrame | None = None
    shown: str = ""
    html: str = ""

    @property
    def answer(self) -> MethodAnswer | None:
        """The answer of the method named."""
        return next((a for a in self.answers if a.method == self.named), None)

    @property
    def value(self) -> float:
        """The unknown, by the method named; NaN where there is none."""
        found = self.answer
        return float("nan") if found is None else found.value

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        found = self.answer
        return (float("nan"), float("nan")) if found is None else (found.low, found.high)

    @property
    def table(self) -> pd.DataFrame:
        """The answers, a row a method."""
        return pd.DataFrame([{**_fields(a), "valid": a.valid} for a in self.answers]).set_index("method")

    def __repr__(self) -> str:
        return self.shown

    def _repr_html_(self) -> str:
        return self.html


def _fields(answer: MethodAnswer) -> Mapping[str, Any]:
    return {name: getattr(answer, name) for name in MethodAnswer.__slots__}
