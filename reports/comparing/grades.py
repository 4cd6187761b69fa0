"""Does a method keep its promised coverage? Grades by one stated rule, Monte Carlo error included."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import holm
from nestbench.reports.measures.performance import FIT
from nestbench.reports.measures.proportions import shown_error, wilson
from nestbench.sim.observed.batch import Floats
from nestbench.sim.observed.model import alpha_of

RULE = (
    "Coverage is in order between 1 - 1.5 alpha and 1 - 0.5 alpha (Bradley's 1978 liberal criterion: 92.5 % to 97.5 % "
    "for 95 % intervals). 'fails': below this band beyond Monte Carlo error; 'too wide': above it (exact binomial "
    "tests, by Holm's method at 5 % over all estimands of the experiment together). 'holds': the 95 % Wilson interval "
    "of the simulated coverage lies inside the band. The rest is open: 'doubtful' where the estimate lies below the "
    "band, 'perhaps too wide' where it lies above, else 'seems to hold'. A type I error is graded as the coverage "
    "that it leaves, with the same limit."
)
USABLE_ENOUGH = 0.95
"""Share of usable fits below which a method's numbers are of other data sets than the rest's."""


class Grade(StrEnum):
    """How a simulated coverage stands to the promised one."""

    HOLDS = "holds"
    LIKELY = "seems to hold"
    DOUBTFUL = "doubtful"
    FAILS = "fails"
    WIDE = "too wide"
    LOOSE = "perhaps too wide"


IN_ORDER = frozenset({Grade.HOLDS, Grade.LIKELY})
"""Grades of an estimate inside the band."""
EDGE = 1e-9
"""Of a coverage and the band's ends: differences of rounding, so that an estimate at an end lies inside."""


@overload
def band(level: float) -> tuple[float, float]: ...
@overload
def band(level: Floats) -> tuple[Floats, Floats]: ...
def band(level: float | Floats) -> tuple[float | Floats, float | Floats]:
    """Return Bradley's liberal band around a nominal level: (1 - 1.5 alpha, 1 - 0.5 alpha)."""
    alpha = alpha_of(level)
    return 1.0 - 1.5 * alpha, 1.0 - 0.5 * alpha


def missed(coverage: npt.ArrayLike, level: npt.ArrayLike) -> Floats:
    """Return ``(1 - coverage) / (1 - level)``: how far coverages fall short, comparable between levels."""
    return np.asarray((1.0 - np.asarray(coverage)) / alpha_of(np.asarray(level)), dtype=np.float64)


def below_p(coverage: npt.ArrayLike, n: npt.ArrayLike, low: npt.ArrayLike) -> Floats:
    """Return the exact chance of at most so many hits of n, were the coverage `low`. Shapes broadcast.

    Exact, and one-sided: whether coverage is too low and whether it is too high are two questions with two costs.

    Parameters
    ----------
    coverage : array of float
        Simulated shares.
    n : array of int
        Data sets behind each.
    low : array of float
        The lower end of the band.
    """
    size = np.asarray(n, dtype=np.float64)
    hits = np.rint(np.asarray(coverage) * size)
    # 0.5 where all are hits, since betainc has no parameter 0; the last line answers for it.
    tail = special.betainc(np.maximum(size - hits, 0.5), hits + 1.0, 1.0 - np.asarray(low))
    return np.asarray(np.where(hits >= size, 1.0, tail), dtype=np.float64)


def above_p(coverage: npt.ArrayLike, n: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """Return the exact chance of at least so many hits of n, were the coverage `high`. Shapes broadcast."""
    size = np.asarray(n, dtype=np.float64)
    # Rounded first, so that both tails are of the same number of hits.
    return below_p(1.0 - np.rint(np.asarray(coverage) * size) / size, size, 1.0 - np.asarray(high))


def outside_p(coverage: npt.ArrayLike, n: npt.ArrayLike, level: npt.ArrayLike) -> Floats:
    """Return two-sided p-values against a coverage inside the band of its level: twice the smaller tail."""
    low, high = band(np.asarray(level, dtype=np.float64))
    return np.minimum(1.0, 2.0 * np.minimum(below_p(coverage, n, low), above_p(coverage, n, high)))


def grade(coverage: float, n: int, level: float, limit: float = holm.ALPHA) -> Grade:
    """Return the grade of a simulated coverage over n replications (`RULE`); `limit` as in `grades_of`.

    Parameters
    ----------
    coverage : float
    n : int
    level : float
        Nominal.
    limit : float
        p-value below which a departure counts, by Holm's method over all estimands.
    """
    return Grade(grades_of([coverage], [n], [level], limit)[0])


def grades_of(
    coverage: npt.ArrayLike, n: npt.ArrayLike, level: npt.ArrayLike, limit: float = holm.ALPHA
) -> list[str]:
    """Return the grades of simulated coverages over n replications each (`RULE`).

    `limit` is the two-sided p-value at which a coverage is outside the band beyond Monte Carlo error: `limit_of` a
    study, or 5 % for an estimand by itself.
    """
    share = np.asarray(coverage, dtype=np.float64)
    low, high = band(np.asarray(level, dtype=np.float64))
    lower, upper = wilson(share, n)
    grades = np.select(
        [
            2.0 * below_p(share, n, low) <= limit,
            2.0 * above_p(share, n, high) <= limit,
            share < low - EDGE,
            share > high + EDGE,
            (low <= lower) & (upper <= high),
        ],
        [str(g) for g in (Grade.FAILS, Grade.WIDE, Grade.DOUBTFUL, Grade.LOOSE, Grade.HOLDS)],
        str(Grade.LIKELY),
    )
    return [str(g) for g in grades]


def fixed_terms(table: pd.DataFrame) -> list[str]:
    """Return the fixed effects of a performance table in order; without the intercept unless it stands alone."""
    # What is in parentheses are quantities of the fit: an ICC has no interval.
    names = [str(term) for term in table["term"].unique() if not str(term).startswith("(")]
    return [name for name in names if name != "Intercept"] or names


def _answers(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[(table["measure"] == "coverage") & table["term"].isin(fixed_terms(table))]
    answered: pd.DataFrame = rows[(rows["n"] > 0) & np.isfinite(rows["value"])]
    return answered


def _levels(experiment: Experiment, cells: Sequence[int]) -> Floats:
    return np.array([experiment.cells[cell].model.level for cell in cells], dtype=np.float64)


def limit_of(table: pd.DataFrame, experiment: Experiment) -> float:
    """Return the two-sided p-value at which Holm's method calls a coverage outside the band, over all estimands.

    A method that gives p-values alone is judged by its type I errors. Where there is a coverage too they are the same
    test, and count once.
    """
    there = pd.MultiIndex.from_frame(_answers(table)[KEYS])
    sizes = type_i_errors(table, experiment)
    alone = sizes[~pd.MultiIndex.from_frame(sizes[KEYS]).isin(there)]
    rows = pd.concat([_answers(table), alone.assign(value=1.0 - alone["value"])])
    return holm.limit(outside_p(rows["value"], rows["n"], _levels(experiment, rows["cell"].tolist())))


KEYS = ["cell", "estimator", "term"]


def type_i_errors(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Return the rejection rates of estimands whose test is of the true value."""
    rows = table[(table["measure"] == "rejection") & table["term"].isin(fixed_terms(table))]
    places = zip(rows["cell"], rows["term"], strict=True)
    true = np.array([experiment.cells[cell].is_null(term) for cell, term in places], dtype=np.bool_)
    sizes: pd.DataFrame = rows[true & (rows["n"] > 0) & np.isfinite(rows["value"])]
    return sizes


def estimands(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Return one row per condition x method x fixed effect that has an answer, with its coverage and grade.

    Besides the columns of the performance table: ``coverage``, ``level`` (promised), ``missed`` (the share of misses as
    a multiple of the one allowed), ``error`` (the coverage's MCSE as printed: `shown_error`), ``grade``, ``partial``
    (fewer than `USABLE_ENOUGH` of the fits are usable), and ``bound`` (the coverage with unusable fits as misses).
    """
    rows: pd.DataFrame = (
        _answers(table).rename(columns={"value": "coverage"}).drop(columns="measure").reset_index(drop=True)
    )
    limit = limit_of(table, experiment)
    levels = _levels(experiment, rows["cell"].tolist())
    rows["level"], rows["missed"] = levels, missed(rows["coverage"], levels)
    rows["error"] = shown_error(rows["coverage"], rows["mcse"], rows["n"])
    rows["grade"] = pd.Series(grades_of(rows["coverage"], rows["n"], levels, limit), dtype="str")
    rows["partial"] = rows["n"] < USABLE_ENOUGH * rows["n_attempted"]
    rows["bound"] = rows["coverage"] * rows["n"] / rows["n_attempted"]
    return rows


def asked(table: pd.DataFrame) -> pd.DataFrame:
    """Return the estimands every method was asked about: ``estimator, cell, term, answered``.

    An estimand is a fixed effect of a condition whose coverage some method can have there; a method is asked where it
    has fits, whether they gave an answer or not.
    """
    known = table["measure"].isin(["coverage", "coverage_bound"]) & table["term"].isin(fixed_terms(table))
    places = table.loc[known, ["cell", "term"]].drop_duplicates()
    fits = table.loc[table["term"] == FIT, ["cell", "estimator"]].drop_duplicates()
    pairs = fits.merge(places, on="cell")
    answers = _answers(table)
    there = set(zip(answers["cell"], answers["estimator"], answers["term"], strict=True))
    keys = zip(pairs["cell"], pairs["estimator"], pairs["term"], strict=True)
    pairs["answered"] = [key in there for key in keys]
    return pairs[["estimator", "cell", "term", "answered"]]


def tally(graded: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """Return counts of estimands by method (rows) and grade (columns), all of them, those without an answer.

    Columns: the grades, ``none`` (no answer), ``estimands``, ``missed`` (the largest). `places` are those of `asked`.
    """
    # Grades that nobody has, and methods without any answer, are counted too: as 0.
    counts = pd.crosstab(graded["estimator"], graded["grade"]).reindex(columns=[*Grade], fill_value=0)
    by_method = places.groupby("estimator")["answered"]
    counts = counts.reindex(by_method.size().index, fill_value=0)
    counts["none"] = by_method.size() - by_method.sum()
    counts["estimands"] = by_method.size()
    counts["missed"] = graded.groupby("estimator")["missed"].max().reindex(counts.index)
    return counts


def count(counts: Any, label: str, column: str) -> int:
    """Return one number of a `tally`."""
    return int(counts.loc[label, column])


def usable_shares(table: pd.DataFrame) -> pd.Series[float]:
    """Return the share of usable fits by (condition, method): OK or BOUNDARY."""
    usable = {"share_ok", "share_boundary"}
    rows = table[(table["term"] == FIT) & table["measure"].isin(usable)]
    return rows.groupby(["cell", "estimator"], sort=False)["value"].sum()
