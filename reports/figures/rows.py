"""From the performance table to the records a figure draws: one dot with its interval, in words and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.grades import Grade
from nestbench.reports.measures.performance import factors_of
from nestbench.reports.measures.proportions import wilson
from nestbench.reports.measures.statistics import Z95
from nestbench.reports.words.wording import condition, level_words
from nestbench.sim.cell import Cell

Record = dict[str, Any]

OFF, WITHIN = "beyond Monte Carlo error", "within Monte Carlo error"


def headline_term(table: pd.DataFrame) -> str:
    """Return the fixed effect with the lowest coverage: the one a figure shows when none is asked for."""
    rows = table[(table["measure"] == "coverage") & table["term"].isin(grades.fixed_terms(table))]
    if rows.empty:
        terms = grades.fixed_terms(table)
        return terms[0] if terms else ""
    return str(rows["term"].iloc[int(np.argmin(rows["value"]))])


def records(table: pd.DataFrame, experiment: Experiment, measure: str) -> list[Record]:
    """Return one record per row of a measure: value, interval, n, condition, facet labels.

    Intervals are Wilson's for shares and value -+ 1.96 MCSE for the others.
    """
    rows = table[(table["measure"] == measure) & np.isfinite(table["value"])]
    share = measure in SHARES
    low, high = interval(rows, share)
    places = [place(experiment, table, i) for i in range(len(experiment.cells))]
    made = []
    columns = ("cell", "estimator", "term", "value", "mcse", "n", "n_attempted")
    for row, lo, hi in zip(rows[list(columns)].itertuples(index=False), low, high, strict=True):
        record = dict(zip(columns, row, strict=True))
        record["mcse"] = None if np.isnan(record["mcse"]) else record["mcse"]
        made.append({**record, "low": float(lo), "high": float(hi), **places[record["cell"]]})
    return made


SHARES = frozenset(
    {
        "coverage",
        "coverage_bound",
        "be_coverage",
        "rejection",
        "rejection_bound",
        "usable_share",
        "miss_below",
        "miss_above",
        "type_s",
    }
)


def interval(rows: pd.DataFrame, share: bool) -> tuple[Any, Any]:
    """Return the 95 % Monte Carlo interval of each row."""
    value = rows["value"].to_numpy(dtype=np.float64)
    if share:
        return wilson(value, rows["n"].to_numpy(dtype=np.float64))
    half = Z95 * np.nan_to_num(rows["mcse"].to_numpy(dtype=np.float64))
    return value - half, value + half


def place(experiment: Experiment, table: pd.DataFrame, cell: int) -> Record:
    """Return where a cell stands: its condition in words and the labels of its panel's column and row."""
    factors, levels = factors_of(table), experiment.levels[cell]
    words = [level_words(factor, levels[factor]) for factor in factors if factor in levels]
    return {
        "condition": condition(levels),
        "column": words[0] if words else "",
        "row": ", ".join(words[1:]),
    }


def graded(made: list[Record], experiment: Experiment) -> list[Record]:
    """Return coverage records with their grade."""
    for record in made:
        level = experiment.cells[record["cell"]].model.level
        record["state"] = str(grades.grade(record["value"], record["n"], level))
    return made


def against(made: list[Record], ideal: float) -> list[Record]:
    """Return records that say whether their interval holds an ideal value."""
    for record in made:
        record["state"] = WITHIN if record["low"] <= ideal <= record["high"] else OFF
    return made


def sized(made: list[Record], experiment: Experiment) -> list[Record]:
    """Return rejection records: type I errors graded like coverage, power left plain."""
    for record in made:
        truth = experiment.cells[record["cell"]].truth.get(record["term"])
        level = experiment.cells[record["cell"]].model.level
        null = truth == 0
        record["kind"] = "type I error" if null else "power"
        if null:
            found = grades.grade(1.0 - record["value"], record["n"], level)
            record["state"] = str(found)
            record["nominal"] = round(1.0 - level, 10)
        else:
            record["state"] = "power"
    return made


def with_theory(made: list[Record], experiment: Experiment) -> list[Record]:
    """Return coverage records with the coverage theory expects, where the law knows it."""
    return _expected(made, experiment, "coverage", lambda x: x)


def with_se_theory(made: list[Record], experiment: Experiment) -> list[Record]:
    """Return SE-error records with the error theory expects, where the law knows it."""
    return _expected(made, experiment, "se_ratio", lambda ratio: 100.0 * (ratio - 1.0))


_THEORY: dict[str, Mapping[str, Any]] = {}


def theory_of(cell: Cell) -> Mapping[str, Any]:
    """Return what a cell's law knows without simulation; computed once a cell, for it may take a second."""
    if cell.key not in _THEORY:
        _THEORY[cell.key] = cell.population.theory(cell.layout, cell.model)
    return _THEORY[cell.key]


def remember_theory(cell: Cell, known: Mapping[str, Any]) -> None:
    """Take over what another process found for `theory_of`."""
    _THEORY[cell.key] = known


def _expected(
    made: list[Record], experiment: Experiment, key: str, scale: Callable[[float], float]
) -> list[Record]:
    """Add ``theory`` where it is known: for any method under `key`, for naive OLS under ``naive_`` + `key`."""
    theory = {i: theory_of(experiment.cells[i]) for i in {record["cell"] for record in made}}
    for record in made:
        known = theory[record["cell"]]
        methods = {"ols": known.get(f"naive_{key}", {}), **known.get(key, {})}
        expected = methods.get(record["estimator"], {}).get(record["term"])
        if expected is not None:
            record["theory"] = scale(float(expected))
    return made


STATES = (*[str(g) for g in Grade], WITHIN, OFF, "power")
