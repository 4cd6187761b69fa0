"""From the performance table to the records a figure draws: one dot with its interval, in words and numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import grades, holm
from nestbench.reports.comparing.judged import POWER, STATE, judged
from nestbench.reports.conditions import conditions, panel_titles
from nestbench.reports.measures.printed import SHARES, printed_mcse
from nestbench.reports.measures.proportions import wilson
from nestbench.reports.words.usable import BOUNDED, too_few, usable_words
from nestbench.sim.errors import unknown_name
from nestbench.sim.observed.model import alpha_of
from nestbench.sim.theory.ols_tests import NAIVE

Record = dict[str, Any]


def headline_term(table: pd.DataFrame) -> str:
    """Return the fixed effect with the lowest coverage: the one a figure shows when none is asked for."""
    rows = table[(table["measure"] == "coverage") & table["term"].isin(grades.fixed_terms(table))]
    if rows.empty:
        terms = grades.fixed_terms(table)
        return terms[0] if terms else ""
    return str(rows["term"].iloc[int(np.argmin(rows["value"]))])


def records(table: pd.DataFrame, experiment: Experiment, measure: str) -> list[Record]:
    """Return one record per row of a measure: value, interval, n, its condition and its panel's title.

    Intervals are Wilson's for shares and value -+ t MCSE for the others, t with n - 1 degrees of freedom. ``usable``
    says how many fits are usable. ``partial`` says that fewer than 95 % are; then coverage and rejection have a
    ``bound``, with the others as misses or non-rejections, and ``opened`` is where a figure's bracket opens.

    Parameters
    ----------
    table : DataFrame
        The performance table.
    experiment : Experiment
    measure : str
    """
    rows = table[(table["measure"] == measure) & np.isfinite(table["value"])]
    share = measure in SHARES
    low, high = interval(rows, share)
    stands = places(experiment)
    drawn = []
    columns = ("cell", "estimator", "term", "value", "mcse", "n", "n_attempted", *({STATE} & {*rows.columns}))
    rows = rows.assign(mcse=printed_mcse(rows))
    for row, lo, hi in zip(rows[list(columns)].itertuples(index=False), low, high, strict=True):
        record = dict(zip(columns, row, strict=True))
        record["mcse"] = None if np.isnan(record["mcse"]) else record["mcse"]
        fits = record["n"], record["n_attempted"]
        record["usable"] = usable_words(measure, record["value"], *fits)
        record["partial"] = bool(too_few(*fits))
        if record["partial"]:
            record["opened"] = record["value"]
            if measure in BOUNDED:
                record["opened"] = record["bound"] = record["value"] * record["n"] / record["n_attempted"]
        drawn.append({**record, "low": float(lo), "high": float(hi), **stands[record["cell"]]})
    return drawn


def of_term(table: pd.DataFrame, experiment: Experiment, measure: str, term: str | None) -> list[Record]:
    """Return a measure's records of a term, by default the headline term.

    Raises
    ------
    InvalidInput
        No such term has the measure.

    Parameters
    ----------
    table : DataFrame
    experiment : Experiment
    measure : str
    term : str, optional
        ``*`` for all coefficients.
    """
    chosen = headline_term(table) if term is None else term
    chosen_records = [r for r in records(table, experiment, measure) if r["term"] == chosen]
    if not chosen_records:
        known = table.loc[table["measure"] == measure, "term"].unique()
        raise unknown_name(f"term with {measure}", chosen, [str(name) for name in known])
    return chosen_records


def labels_of(drawn: list[Record], experiment: Experiment) -> list[str]:
    """Return the methods that have a record, in the experiment's order."""
    present = {record["estimator"] for record in drawn}
    return [e.label for e in experiment.estimators if e.label in present]


IDEAL = {"variance_ratio": 1.0, "usable_share": 1.0}
"""Where measures that aren't `promised` should lie, if not at 0."""


def promised(experiment: Experiment, measure: str) -> list[float]:
    """Return each condition's level where a measure is a share of intervals that should equal it; empty for others."""
    if measure not in ("coverage", "coverage_bound", "be_coverage"):
        return []
    return [cell.model.level for cell in experiment.cells]


def interval(rows: pd.DataFrame, share: bool) -> tuple[Any, Any]:
    """Return the 95 % Monte Carlo interval of each row."""
    value = rows["value"].to_numpy(dtype=np.float64)
    if share:
        return wilson(value, rows["n"].to_numpy(dtype=np.float64))
    mcse = np.nan_to_num(rows["mcse"].to_numpy(dtype=np.float64))
    # From one fit there is no error and no interval; t with 0 degrees of freedom would be NaN.
    half = np.where(mcse > 0, holm.t_quantile(np.maximum(rows["n"], 2)) * mcse, 0.0)
    return value - half, value + half


def places(experiment: Experiment) -> list[Record]:
    """Return where each condition stands: its condition in words and the title of its panel, no two alike."""
    return [
        {"condition": words, "panel": title}
        for words, title in zip(conditions(experiment), panel_titles(experiment), strict=True)
    ]


NO_DATA, NOT_ITS = "no data", "not in its formula"


def with_holes(
    drawn: list[Record], experiment: Experiment, words: Callable[[int], str] | None = None
) -> list[Record]:
    """Return records and, for each term and each condition without any, one that says so in the condition's panel.

    It names a method of the term, because an empty name would become a method of the axis. `words` says what is
    missing from a condition, by default that it has no data or that the term isn't in its formula.

    An empty panel says why it is empty: no number and not yet run look the same otherwise.
    """
    stands = places(experiment)
    methods: dict[Any, str] = {}
    cells: dict[Any, set[int]] = {}
    for record in drawn:
        methods.setdefault(record.get("term"), record["estimator"])
        cells.setdefault(record.get("term"), set()).add(record["cell"])
    holes = [
        {"cell": cell, "estimator": methods[term], **({} if term is None else {"term": term}), **stands[cell]}
        for term, there in cells.items()
        for cell in range(len(stands))
        if cell not in there
    ]
    formulas = [set(cell.found.terms) for cell in experiment.cells] if words is None else []
    for hole in holes:
        hole["missing"] = _lacking(hole, formulas) if words is None else words(hole["cell"])
    return drawn + holes


def _lacking(hole: Record, formulas: list[set[str]]) -> str:
    """Return why a condition has no records of a term: its formula (its terms, a condition each) may not have it."""
    term = hole.get("term")
    foreign = term not in formulas[hole["cell"]] and any(term in terms for terms in formulas)
    return NOT_ITS if foreign else NO_DATA


def graded(table: pd.DataFrame, experiment: Experiment) -> list[Record]:
    """Return coverage records with their grade, their nominal level and its tolerated band."""
    drawn = records(judged(table, experiment), experiment, "coverage")
    for record in drawn:
        level = experiment.cells[record["cell"]].model.level
        low, high = grades.band(level)
        record |= {"ideal": level, "band_low": low, "band_high": high}
    return drawn


def against(table: pd.DataFrame, experiment: Experiment, measure: str, ideal: float = 0.0) -> list[Record]:
    """Return a measure's records with the study's verdict on each (`judged`), beside an ideal value."""
    return [record | {"ideal": ideal} for record in records(judged(table, experiment), experiment, measure)]


def sized(table: pd.DataFrame, experiment: Experiment) -> list[Record]:
    """Return rejection records: type I errors (of tests of the true value) graded like coverage, power left plain."""
    drawn = records(judged(table, experiment), experiment, "rejection")
    for record in drawn:
        power = record[STATE] == POWER
        record["kind"] = "power" if power else "type I error"
        if not power:
            record["ideal"] = alpha_of(experiment.cells[record["cell"]].model.level)
    return drawn


def tested(experiment: Experiment, terms: Collection[str]) -> str:
    """Return which values tests are of, as a part of a title; nothing where all are of 0."""
    values = sorted({cell.model.null_of(term) for cell in experiment.cells for term in terms})
    return f" (tests of {' or '.join(f'{value:.10g}' for value in values)})" if any(values) else ""


def with_theory(drawn: list[Record], experiment: Experiment) -> list[Record]:
    """Return coverage records with the coverage theory expects, where the population knows it."""
    return _expected(drawn, experiment, "coverage", lambda x: x)


def with_se_theory(drawn: list[Record], experiment: Experiment) -> list[Record]:
    """Return SE-error records with the error theory expects, where the population knows it."""
    return _expected(drawn, experiment, "se_ratio", lambda ratio: 100.0 * (ratio - 1.0))


_THEORY: dict[tuple[str, frozenset[str]], Mapping[str, Any]] = {}


def theory_of(experiment: Experiment, index: int) -> Mapping[str, Any]:
    """Return what a condition's population knows without simulation, of tests those that the experiment's methods are;
    computed once a condition, for it may take a second."""
    cell, tests = experiment.cells[index], _tests(experiment)
    if (cell.key, tests) not in _THEORY:
        _THEORY[cell.key, tests] = cell.theory(tests)
    return _THEORY[cell.key, tests]


def remember_theory(experiment: Experiment, index: int, known: Mapping[str, Any]) -> None:
    """Take over what another process found for `theory_of`."""
    _THEORY[experiment.cells[index].key, _tests(experiment)] = known


def _tests(experiment: Experiment) -> frozenset[str]:
    """Return the names of an experiment's methods, and of the tests that they are."""
    return frozenset(name for method in experiment.estimators for name in (method.label, *method.theory))


def _expected(
    drawn: list[Record], experiment: Experiment, key: str, scale: Callable[[float], float]
) -> list[Record]:
    """Add ``theory`` where it is known: for any method under `key`, for naive OLS under ``naive_`` + `key`."""
    methods = {estimator.label: estimator for estimator in experiment.estimators}
    theory = {i: theory_of(experiment, i) for i in {record["cell"] for record in drawn}}
    for record in drawn:
        known = theory[record["cell"]]
        tests = {NAIVE: known.get(f"naive_{key}", {}), **known.get(key, {})}
        expected = methods[record["estimator"]].known_in(tests).get(record["term"])
        if expected is not None:
            record["theory"] = scale(float(expected))
    return drawn
