"""What a version answers, and what moved between two: measures of the same data sets.

Versions see the same data sets, so nothing about a difference is random: one beyond rounding is a fact. A measure has
moved where it differs by more than

    max(beyond x MCSE, 1e-6 x |value|)

with the larger Monte Carlo error of the two; `beyond` is 0.001 unless asked otherwise, which is more than an
optimiser's last digits make and far less than any other error of the measure. It has moved, too, where one of the two
versions has no number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nestbench.estimators.estimates import FitStatus
from nestbench.experiments.results import Results
from nestbench.reports.accuracy.baseline import KEPT
from nestbench.reports.accuracy.changes import beyond_rounding
from nestbench.reports.conditions import conditions
from nestbench.reports.measures.cell_rows import rows_of
from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.measures.performance import estimator_rows
from nestbench.sim.errors import InvalidInput, unknown_name

BEYOND = 0.001

Key = tuple[str, str, str, str]
"""Condition in words, method, term, measure."""
Number = tuple[float, float, int]
"""Value, Monte Carlo error, n."""
Answer = Mapping[Key, Number]
NOTHING: Number = (math.nan, math.nan, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which measures are looked at: their names (none: those a baseline keeps), terms and conditions (none: all)."""

    measures: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    conditions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        known = [measure.name for measure in MEASURES]
        for name in self.measures:
            if name not in known:
                raise unknown_name("measure", name, known)


@dataclass(frozen=True, slots=True)
class Move:
    """A measure that moved: where, before and after."""

    key: Key
    before: Number
    after: Number

    @property
    def size(self) -> float:
        """The difference in units of the larger Monte Carlo error; infinite where a number came or went."""
        gap, error = abs(self.after[0] - self.before[0]), _larger(self.before, self.after)
        return gap / error if gap >= 0 and error > 0 else math.inf


def answer_of(results: Results, wanted: Wanted) -> dict[Key, Number]:
    """Return the measures of a run that are looked at.

    Raises
    ------
    InvalidInput
        A condition or term that the run doesn't have.
    """
    words = conditions(results.experiment)
    numbers = wanted.conditions or tuple(range(len(words)))
    if unknown := [c for c in numbers if not 0 <= c < len(words)]:
        raise InvalidInput(f"expected a condition from 0 to {len(words) - 1}, got {unknown[0]}")
    found: dict[Key, Number] = {}
    for number in numbers:
        rows = rows_of(results, number)
        for label in rows.labels:
            for block in estimator_rows(label, rows):
                if block.measure in (wanted.measures or KEPT):
                    columns = zip(block.terms, block.value, block.mcse, block.n, strict=True)
                    for term, value, mcse, n in columns:
                        found[words[number], label, term, block.measure] = (float(value), float(mcse), int(n))
    return _of_terms(found, wanted.terms)


def silent(results: Results) -> str:
    """Return the method that has no usable fit in any condition, with what its first fit said; nothing where none is.

    A package that can't be imported is met there: it fails in every fit.
    """
    cells = [results.estimates(number) for number in range(len(results.experiment.cells))]
    for label in cells[0] if cells else ():
        every = [found[label] for found in cells if label in found and found[label].size]
        if every and not any((one.status <= FitStatus.BOUNDARY).any() for one in every):
            said = every[0].texts()[0] or FitStatus(int(every[0].status[0])).name
            return f"{label} gave no usable answer in any fit; the first: {said}"
    return ""


def _of_terms(found: dict[Key, Number], terms: Sequence[str]) -> dict[Key, Number]:
    """Return what is of some terms."""
    known = {key[2] for key in found}
    for term in terms:
        if term not in known:
            raise unknown_name("term", term, known)
    return {key: number for key, number in found.items() if not terms or key[2] in terms}


def moves(before: Answer, after: Answer, beyond: float = BEYOND) -> list[Move]:
    """Return what moved, the largest first; see above for the rule.

    Parameters
    ----------
    before, after : mapping
    beyond : float
        In Monte Carlo errors.
    """
    keys = dict.fromkeys([*before, *after])
    pairs = [Move(key, before.get(key, NOTHING), after.get(key, NOTHING)) for key in keys]
    return sorted(
        (pair for pair in pairs if beyond_rounding(pair.before, pair.after, beyond)),
        key=lambda move: -move.size,
    )


def _larger(first: Number, second: Number) -> float:
    """Return the larger Monte Carlo error that is known."""
    return max((error for _, error, _ in (first, second) if not math.isnan(error)), default=0.0)
