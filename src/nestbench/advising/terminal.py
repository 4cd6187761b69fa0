"""Advice on a terminal: ten lines of 80 columns, the estimate in the last columns of the last lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nestbench.advising.advice import Advice
from nestbench.advising.design import number
from nestbench.advising.sentences import (
    assumption,
    limits,
    power_words,
    precaution,
    spelled,
    sure_words,
    verdict,
    worth,
)
from nestbench.estimators.estimates import ESTIMATE, P_VALUE, STD_ERROR
from nestbench.own_data.fit import Fit
from nestbench.own_data.row_cells import digits_of, p_text
from nestbench.own_data.row_cells import number as decimals
from nestbench.sim.counted import plural

WIDTH = 80


LINES = 10
ECONOMIES = (
    "power",
    "ols-hc1",
    "effective",
    "ols-cr1s-z",
    "sure",
    "names",
    "design",
    "precaution",
    "worth",
    "reml-z",
    "ols",
)
"""What is left out, one after the other, until the answer has ten lines: sentences, parts of them, and methods that
aren't the ones named. All of it stands on the page."""


def text_of(advice: Advice, width: int = WIDTH, lines: int = LINES) -> str:
    """Return the answer as lines of at most `width` columns: of 80 at most `lines` of them, and in fewer columns the
    same words."""
    for count in range(len(ECONOMIES) + 1):
        left = ECONOMIES[:count]
        if len(_filled(said(advice, left), WIDTH)) + len(table_lines(advice, WIDTH, left)) <= lines:
            break
    return "\n".join([*_filled(said(advice, left), width), *table_lines(advice, width, left)])


def said(advice: Advice, left: Sequence[str] = ()) -> str:
    """Return what is said above the table, without what is `left` out (`ECONOMIES`)."""
    texts = {
        "verdict": verdict(advice),
        "assumption": assumption(advice),
        "sure": sure_words(advice, others=False),
        "worth": worth(advice),
        "design": design_line(advice, "effective" not in left),
        "power": power_words(advice),
        "precaution": precaution(advice, reason=False),
        "remarks": " ".join(advice.remarks),
    }
    text = " ".join(text for name, text in texts.items() if text and name not in left)
    for label in _answer(advice) if "names" in left else ():
        text = text.replace(spelled(label, advice), label)
    return text


def _filled(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _answer(advice: Advice) -> list[str]:
    """Return the methods that the answer names."""
    choice = advice.choice
    return [name for name in (choice.least_bad, choice.assuming, choice.guarding) if name]


def design_line(advice: Advice, effective: bool = True) -> str:
    """Return the design in a sentence, with its effective clusters or without."""
    design, found = advice.design, advice.calibration
    sides = [f"{count:,} with {value:g}" for value, count in sorted(design.carriers.items())]
    carried = f": {' and '.join(sides)}" if design.fewest < design.schools else ""
    return (
        f"{plural(design.rows, 'student')}, {plural(design.schools, 'school')}{carried}"
        + (f" ({design.effective:.1f} effective), " if effective else ", ")
        + (
            "ICC unknown (one student in every school)."
            if design.rows == design.schools
            else f"ICC {number(found.icc)} ({number(found.icc_low)} to {number(found.icc_high)})."
        )
    )


LEFT_OUT: tuple[tuple[int, ...], ...] = ((), (3,), (2, 3))
"""Columns of the table that make room for the data's: none, power, width and power."""


def table_lines(advice: Advice, width: int = WIDTH, left: Sequence[str] = ()) -> list[str]:
    """Return the methods but those `left` out, a line each: how they do on this design, then what they say of the
    data."""
    shown = set(_answer(advice))
    cells = [row for row in _cells(advice) if row[0] in shown or row[0] not in left]
    for left_out in LEFT_OUT:
        lines = _columns([[c for k, c in enumerate(row) if k not in left_out] for row in cells])
        if max(map(len, lines)) <= width:
            break
    return lines


def _cells(advice: Advice) -> list[list[str]]:
    rows = summary(advice)
    fits = {fit.estimator: fit for fit in advice.fits}
    digits = decimals_of(advice)
    level = f"{100 * advice.model.level:g} % interval"
    cells = [["", "coverage", "width", "power", "estimate", level, "p"]]
    for label in fits:
        row: Any = rows.loc[label]
        cells.append(
            [
                label,
                f"{percent(row['coverage'])}{mark(str(row['grade']))}",
                "-" if math.isnan(row["relative"]) else f"{row['relative']:.2f}",
                percent(row["power"]),
                *own(fits[label], advice.term, digits),
            ]
        )
    return cells


def summary(advice: Advice) -> pd.DataFrame:
    """Return by method, over the scenarios that count: lowest coverage, its grade, width relative to the method named
    (geometric mean), and lowest power."""
    table = advice.table[advice.table["scenario"].isin(advice.choice.judged)]
    worst = table.loc[table.groupby("method")["coverage"].apply(lambda c: c.fillna(-1.0).idxmin())].set_index(
        "method"
    )
    wide = table.pivot(index="scenario", columns="method", values="width")
    relative = wide.div(wide[advice.choice.least_bad], axis=0).apply(_geometric)
    return pd.DataFrame(
        {
            "coverage": worst["coverage"],
            "scenario": worst["scenario"],
            "grade": worst["grade"],
            "relative": relative,
            "power": table.groupby("method")["power"].min(),
        }
    )


def _geometric(values: pd.Series[float]) -> float:
    logs = [math.log(v) if v > 0 and math.isfinite(v) else math.nan for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def mark(grade: str) -> str:
    """Return the sign of a grade that isn't in order."""
    return {"fails": "!", "doubtful": "?", "too wide": "+", "no answer": "!"}.get(grade, " ")


def percent(share: float) -> str:
    """Return a share in percent."""
    return "-" if math.isnan(share) else f"{100 * share:.1f}"


def has(fit: Fit, term: str) -> bool:
    """Whether a fit has the term."""
    return term in fit.terms.index


def decimals_of(advice: Advice) -> int | None:
    """Return the decimals that the fits of the term deserve."""
    terms: list[Any] = [fit.terms.loc[advice.term] for fit in advice.fits if has(fit, advice.term)]
    return digits_of([float(row[STD_ERROR]) for row in terms], 3)


def own(fit: Fit, term: str, digits: int | None) -> list[str]:
    """Return estimate, interval and p of a term."""
    if not has(fit, term):
        return ["-", "-", "-"]
    row: Any = fit.terms.loc[term]
    return [decimals(row[ESTIMATE], digits), limits(row, digits), p_text(float(row[P_VALUE]))]


def _columns(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in cells
    ]
