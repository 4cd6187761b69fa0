"""From stored estimates to the performance table, condition by condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import P_VALUE, STD_ERROR, Estimates, FitStatus
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.files import write_atomically
from nestbench.experiments.results import Results
from nestbench.reports.frames import csv_of
from nestbench.reports.measures.cell_rows import CellRows, rows_of
from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.measures.draws import Draws, Truth
from nestbench.reports.measures.measure import (
    FAILURES,
    INTERVAL,
    NONZERO,
    NOT_NULL,
    TRUTH,
    Measure,
    evaluate,
    root,
)
from nestbench.reports.measures.statistics import order_statistic_mcse
from nestbench.reports.parallel import over_cells
from nestbench.sim.cells.cell import SAME
from nestbench.sim.observed.batch import Floats, Ints
from nestbench.sim.observed.model import Model

FIT = "(fit)"
"""Term of rows about whole fits: shares by status, seconds."""

COLUMNS = ("estimator", "term", "measure", "value", "mcse", "n", "n_attempted")

_MODEL_ONLY = frozenset({STD_ERROR, INTERVAL, P_VALUE})
_PLACE = {measure.name: place for place, measure in enumerate(MEASURES)}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Values of one measure for k terms of one method: a block of the table."""

    estimator: str
    terms: tuple[str, ...]
    measure: str
    value: Floats
    mcse: Floats
    n: Ints
    attempted: int


def performance_table(results: Results, workers: int | None = None) -> pd.DataFrame:
    """Return the tidy performance table of a run.

    Columns: ``cell``, one per factor, then ``estimator, term, measure, value, mcse, n, n_attempted``; one row
    per number, ordered by condition, method, measure, term. Terms in parentheses are fit-level quantities;
    ``(fit)`` carries the shares by status and the seconds per fit. `workers` as in `over_cells`.
    """
    return joined(over_cells(results, cell_table, workers))


def joined(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the tables of conditions as one; without any, a table without rows."""
    tables = list(frames)
    return pd.concat(tables, ignore_index=True) if tables else frame_of([])


def cell_table(results: Results, index: int) -> pd.DataFrame:
    """Return the rows of one condition with its number and factors."""
    return cell_rows_table(results.experiment, index, rows_of(results, index))


def cell_rows_table(experiment: Experiment, index: int, rows: CellRows) -> pd.DataFrame:
    """Return `cell_table` from the rows of the condition."""
    frame = frame_of([*rows_of_cell(rows), *runtime_rows(rows.seconds())])
    for position, (factor, level) in enumerate(experiment.levels[index].items()):
        frame.insert(position, factor, [level] * len(frame))
    frame.insert(0, "cell", index)
    return frame


def performance_of_cell(estimates: Mapping[str, Estimates], truth: Truth, model: Model) -> pd.DataFrame:
    """Return the performance table of one condition, from estimates by label.

    Parameters
    ----------
    estimates : mapping
        Label -> Estimates.
    truth : mapping
        Term -> true value; an array is indexed by replication number. Terms without a truth get the measures that need
        none.
    model : Model
        Its level and null values are what intervals and tests are judged by.

    Returns
    -------
    DataFrame
        The columns of `performance_table` but for ``cell`` and the factors.
    """
    return frame_of(rows_of_cell(CellRows(estimates, truth, model.level, null=model.null)))


def rows_of_cell(rows: CellRows) -> Iterator[Rows]:
    """Yield every block of one condition, method by method."""
    for label in rows.labels:
        yield from estimator_rows(label, rows)
        yield from status_rows(label, rows)


def estimator_rows(label: str, rows: CellRows) -> Iterator[Rows]:
    """Yield the measures of one method's terms, then of its quantities (which have no standard error)."""
    if not rows.attempted(label):
        return
    fits_exist = bool((rows.estimates[label].status <= FitStatus.BOUNDARY).any())
    of_terms = [
        one
        for block in rows.blocks(label)
        for measure in MEASURES
        for draws in block.draws(measure.columns)
        for one in _block(label, measure, draws, fits_exist)
    ]
    # Stable: a measure's terms stay in the model's order, whether they were read together or one by one.
    yield from sorted(of_terms, key=lambda one: _PLACE[one.measure])
    without_errors = [measure for measure in MEASURES if not measure.needs & _MODEL_ONLY]
    of_quantities = [
        one
        for draws in rows.quantities(label)
        for measure in without_errors
        for one in _block(label, measure, draws, fits_exist)
    ]
    yield from of_quantities


def _block(label: str, measure: Measure, draws: Draws, fits_exist: bool) -> Iterator[Rows]:
    """Yield a measure of the terms that it is defined for; nothing where there are none."""
    keep = _defined(measure, draws, fits_exist)
    if not keep.any():
        return
    value, mcse, n = evaluate(measure, draws)
    terms = tuple(term for term, kept in zip(draws.terms, keep, strict=True) if kept)
    yield Rows(label, terms, measure.name, value[keep], mcse[keep], n[keep], draws.attempted)


def _defined(measure: Measure, draws: Draws, fits_exist: bool) -> Any:
    """Which terms a measure is defined for [k]: it has the truth it needs, and something to be measured.

    The bounds count failures, so they exist only where there are some; a term no fit ever estimated although
    fits were usable (a school-constant term beside school dummies) is not a failure and has none.
    """
    keep = np.ones(len(draws.terms), dtype=bool)
    if measure.needs & {TRUTH, NONZERO, NOT_NULL}:
        keep &= np.isfinite(draws.truth).all(axis=1)
    if NOT_NULL in measure.needs:
        # A truth that is the null value but for rounding is the null value: of .1 + .2 and .3, say.
        keep &= (np.abs(draws.truth - draws.null) > SAME * np.abs(draws.null)).all(axis=1)
    if NONZERO in measure.needs:
        keep &= (draws.truth != 0).all(axis=1)
    if FAILURES in measure.needs and (draws.n == draws.attempted or (draws.n == 0 and fits_exist)):
        keep[:] = False
    if draws.n == 0 and not measure.over_attempts:
        keep[:] = False
    if draws.n and not measure.of_tests:
        keep &= ~np.isnan(draws.estimate).all(axis=1)  # p-values are all there is
    return keep


def status_rows(label: str, rows: CellRows) -> Iterator[Rows]:
    """Yield the share of each status among the attempted fits, statuses that occur only (and OK)."""
    statuses = rows.estimates[label].status
    n = len(statuses)
    for status in FitStatus if n else ():
        share = float((statuses == status).mean())
        # A table without OK rows would look as if nothing had been counted.
        if share > 0 or status is FitStatus.OK:
            mcse = np.sqrt(share * (1.0 - share) / n)
            yield _single(label, f"share_{status.name.lower()}", share, mcse, n)


def runtime_rows(timings: pd.DataFrame) -> Iterator[Rows]:
    """Yield mean, median and 90th percentile of the stored seconds per fit (perhaps made under load)."""
    by_label = timings.groupby("estimator", sort=False, observed=True)["seconds"] if len(timings) else ()
    for label, column in by_label:
        seconds = column.to_numpy(dtype=np.float64)
        # Fits made in child processes have no time that could be compared.
        seconds = seconds[np.isfinite(seconds)]
        if n := len(seconds):
            mean = float(seconds.mean())
            error = root(np.array([np.mean((seconds - mean) ** 2)]), n)
            yield _single(str(label), "seconds_mean", mean, float(error[0]), n)
            for name, q in (("seconds_median", 0.5), ("seconds_p90", 0.9)):
                value, mcse = np.quantile(seconds, q), order_statistic_mcse(seconds, q)
                yield _single(str(label), name, float(value), float(mcse), n)


def _single(label: str, measure: str, value: float, mcse: float, n: int) -> Rows:
    """Return a number about whole fits as a block."""
    return Rows(label, (FIT,), measure, np.array([value]), np.array([mcse]), np.array([n]), n)


def frame_of(blocks: Iterable[Rows]) -> pd.DataFrame:
    """Return blocks as a DataFrame with the columns `COLUMNS`."""
    rows = list(blocks)
    sizes = [len(block.terms) for block in rows]

    def repeated(values: Iterable[Any]) -> Any:
        """Return one value a block as one value a row."""
        return np.repeat(np.array(list(values), dtype=object), sizes)

    def joined(values: Iterable[Any], kind: str) -> Any:
        """Return the blocks' arrays as one."""
        parts = list(values)
        return np.concatenate(parts).astype(kind) if parts else np.empty(0, dtype=kind)

    return pd.DataFrame(
        {
            "estimator": pd.Series(repeated(b.estimator for b in rows), dtype="str"),
            "term": pd.Series([term for b in rows for term in b.terms], dtype="str"),
            "measure": pd.Series(repeated(b.measure for b in rows), dtype="str"),
            "value": joined((b.value for b in rows), "float64"),
            "mcse": joined((b.mcse for b in rows), "float64"),
            "n": joined((b.n for b in rows), "int64"),
            "n_attempted": np.repeat(np.array([b.attempted for b in rows], dtype=np.int64), sizes),
        }
    )


def write_performance(table: pd.DataFrame, directory: Path) -> tuple[Path, Path]:
    """Write ``performance.csv`` and ``performance.parquet`` into a directory; return their paths.

    Both forms, since one is read by everything and the other keeps types and every digit. Each is written whole or
    not at all.
    """
    csv, parquet = directory / "performance.csv", directory / "performance.parquet"
    write_atomically(csv, csv_of(table).encode())
    write_atomically(parquet, parquet_bytes(table))
    return csv, parquet


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """Return the table as Parquet; a factor's levels that aren't all numbers, all truth values or all text become text.

    A number beside a list of sizes is such a factor.
    """
    uniform = table.copy()
    for column in factors_of(table):
        kinds = {"number" if kind in (int, float) else kind for kind in map(type, uniform[column].tolist())}
        if not (len(kinds) == 1 and kinds <= {"number", bool, str}):
            uniform[column] = uniform[column].map(str)
        elif kinds == {"number"}:
            uniform[column] = pd.to_numeric(uniform[column])
    written: bytes = uniform.to_parquet(index=False)
    return written


def factors_of(table: pd.DataFrame) -> list[str]:
    """Return the names of a performance table's factor columns."""
    return [name for name in table.columns if name not in COLUMNS and name != "cell"]
