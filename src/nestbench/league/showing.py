"""What a person reads of the league: words for standings, the table on a terminal, the numbers of one fit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nestbench.estimators.estimates import DF, ESTIMATE, LOWER, P_VALUE, STD_ERROR, UPPER
from nestbench.league.asked import BY_TERM, LOGLIK, VARIANCE
from nestbench.league.judging import NEAR, NEAR_DF, RIGHT, Number, Outcome
from nestbench.league.standing import Standing

COUNTED = (
    Outcome.RIGHT,
    Outcome.NEAR,
    Outcome.OTHER,
    Outcome.UNJUDGED,
    Outcome.REFUSED,
    Outcome.WRONG,
    Outcome.HUNG,
    Outcome.CRASHED,
)
MISSED = 0.01
"""Probability with which failures of the rate that the page states aren't met in any fit."""
QUANTITIES = {
    ESTIMATE: "estimate",
    STD_ERROR: "SE",
    DF: "df",
    P_VALUE: "p",
    UPPER: "interval",
    VARIANCE: "variances",
    LOGLIK: "log-likelihood",
}
"""In words; the interval's other end goes without saying."""
SHORT = {Outcome.NEAR: "≤ 1e-3"}
"""What stands for a word alone; beside a count it would read as an inequality."""
WIDE = 16
"""Characters of a version on a terminal."""
RULE = (
    f"A number is right up to an error of {RIGHT:g}; within an optimiser's tolerance up to {NEAR:g} "
    f"(df of mixed models: {NEAR_DF:g}; p-values and intervals: what such df make of them besides); wrong beyond. The "
    "error of an estimate is in exact standard errors, of an interval's end in its exact half-width, of a standard "
    "error and of df relative to the exact value, of a p-value and of a log-likelihood as it is, of a variance "
    "relative to itself plus the total variance. What rests on "
    "estimated df is not judged where a variance is estimated at 0. What stands in the table is the worst of a "
    "condition's data sets. Refused: an exception, a value that isn't given, or a wrong number of a fit that says it "
    "did not converge. Other convention: wrong by the stated convention, all right by another that the way names "
    "because none is settled. Not judged: there is no exact value; such data sets say nothing of the others."
)
"""How standings are made."""


def standing_words(standing: Standing) -> str:
    """Return a standing in words: one where all its data sets ended alike, else how many ended how, the worst first."""
    ends = standing.ends
    (first, *others) = ends
    return counts_words(ends) if others else SHORT.get(first, str(first))


def counts_words(counts: Mapping[Any, int]) -> str:
    """Return how many ended how, the worst first: ``1 wrong, 11 right``."""
    words = sorted(counts, key=lambda word: -Outcome(word).severity)
    return ", ".join(f"{counts[word]} {word}" for word in words)


def reason_words(standing: Standing) -> str:
    """Return what is wrong with the worst fit in a line: its number that is furthest off, else what it says."""
    first = next((number for number in standing.numbers if number.wrong), None)
    if first is None:
        return standing.note.split("; ")[0]
    name = f"{first.quantity} {first.term}".strip()
    if math.isnan(first.reported):
        return f"{name} not given, for {first.exact:.4g}"
    # As many digits as tell the two apart.
    pairs = [[f"{value:.{digits}g}" for value in (first.reported, first.exact)] for digits in range(4, 17)]
    reported, exact = next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1])
    return f"{name} {reported} for {exact}"


def summary(standings: Sequence[Standing]) -> str:
    """Return a row a way: version, in how many conditions its worst data set ended how, how many of these are judged in
    some data sets only, how many are red, seconds a fit."""
    heads = ["", "version", *(str(outcome) for outcome in COUNTED), "judged in part", "red", "s a fit"]
    rows = [heads]
    for label in dict.fromkeys(standing.label for standing in standings):
        mine = [standing for standing in standings if standing.label == label]
        found = Counter(standing.outcome for standing in mine)
        part, red = (str(sum(flags)) for flags in zip(*((s.in_part, s.red) for s in mine), strict=True))
        counts = [str(found[outcome] or ".") for outcome in COUNTED]
        rows.append(
            [
                label,
                brief(mine[0].version or "missing"),
                *counts,
                part if part != "0" else ".",
                red,
                seconds_words(mine),
            ]
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(heads))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def brief(version: str) -> str:
    """Return a version as a table on a terminal has room for: of R's several packages the first."""
    return version if len(version) <= WIDE else f"{version[: WIDE - 3].rsplit(',', 1)[0]}..."


def seconds_words(standings: Sequence[Standing]) -> str:
    """Return the median over conditions of a fit's processor seconds."""
    times = sorted(standing.seconds for standing in standings if not math.isnan(standing.seconds))
    return f"{times[len(times) // 2]:.2g}" if times else "-"


def number_row(number: Number) -> list[str]:
    """Return a number as a row: quantity, term, reported, exact, error, allowed."""
    error = "not judged" if math.isnan(number.error) else f"{number.error:.2g}"
    reported = "not given" if math.isnan(number.reported) else f"{number.reported:.10g}"
    exact = "none" if math.isnan(number.exact) else f"{number.exact:.10g}"
    return [number.quantity, number.term, reported, exact, error, f"{number.allowed:.2g}"]


def claims_words(claims: Sequence[str]) -> str:
    """Return what a way reports, and what of the rest it can't be wrong in."""
    quantities = (*BY_TERM, VARIANCE, LOGLIK)
    absent = ", ".join(QUANTITIES[name] for name in quantities if name not in claims and name != LOWER)
    said = ", ".join(QUANTITIES[name] for name in quantities if name in claims and name != LOWER)
    return said + (f"; no {absent}" if absent else "")


def failures_words(standings: Sequence[Standing]) -> str:
    """Return from which rate on failures of single fits are seen with probability .99: 1 - .01^(1/n) of n fits."""
    fits = sum(standing.telling for standing in standings)
    return f"{100.0 * (1.0 - MISSED ** (1.0 / fits)):.2g} %" if fits else "-"


HEADS = ("quantity", "of", "reported", "exact", "error", "allowed")


def numbers_text(numbers: Sequence[Number]) -> str:
    """Return numbers as a table for a terminal; those beyond what is allowed are marked."""
    rows = [list(HEADS), *(number_row(number) for number in numbers)]
    marks = ["", *("!" if number.wrong else "" for number in numbers)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADS))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + f"  {mark}"
        for row, mark in zip(rows, marks, strict=True)
    ]
    return "\n".join(line.rstrip() for line in lines)
