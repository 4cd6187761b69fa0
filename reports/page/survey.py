"""What a report needs of the stored rows, each condition read once: the performance table and the page's parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from nestbench.experiments.results import Results
from nestbench.reports.comparing.shared import Shared, shared_of_rows
from nestbench.reports.figures.records import remember_theory, theory_of
from nestbench.reports.figures.vega import vega_script
from nestbench.reports.measures.cell_rows import rows_of
from nestbench.reports.measures.performance import cell_rows_table, joined
from nestbench.reports.page.matrices import Entries, entries_of_cell, matrices
from nestbench.reports.page.sections import failures_of_cell
from nestbench.reports.parallel import over_cells
from nestbench.reports.words.lint import Remark, first_of_each, remarks_of_cell, table_remarks
from nestbench.reports.words.sentence import Verdict
from nestbench.reports.words.verdict import verdicts
from nestbench.sim.cells.truth import Truth


@dataclass(frozen=True, slots=True)
class Survey:
    """The performance table of a run, its methods on equal data by condition, the verdicts on these, and the page's
    matrices, remarks, failures."""

    table: pd.DataFrame
    shared: list[list[Shared]]
    verdicts: list[Verdict]
    matrices: list[dict[str, Any]]
    remarks: list[Remark]
    failures: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CellSeen:
    """What one condition adds to a `Survey`, and what its population knows without simulation: its truth, theory."""

    table: pd.DataFrame
    shared: list[Shared]
    entries: Entries
    remarks: list[Remark]
    failures: list[dict[str, Any]]
    theory: Mapping[str, Any]
    found: Truth


def survey(results: Results, workers: int | None = None) -> Survey:
    """Return what a report needs of a run; `workers` as in `over_cells`."""
    experiment = results.experiment
    stored = {label for cell in range(len(experiment.cells)) for label in results.estimates(cell)}
    labels = [e.label for e in experiment.estimators if e.label in stored]
    first = labels[0] if labels else ""
    # All before any is used: an error in one condition is raised before anything is remembered.
    seen = []
    for one in over_cells(results, partial(see_cell, first=first), workers):
        seen.append(one)
        vega_script()  # while other processes work
    for index, (cell, one) in enumerate(zip(experiment.cells, seen, strict=True)):
        remember_theory(experiment, index, one.theory)
        cell.remember(one.found)
    table = joined(one.table for one in seen)
    failures = [failure for one in seen for failure in one.failures]
    shared = [one.shared for one in seen]
    return Survey(
        table=table,
        shared=shared,
        verdicts=verdicts(table, experiment, shared),
        matrices=matrices([one.entries for one in seen], labels, table, experiment, first),
        remarks=first_of_each(table_remarks(table, experiment), *(one.remarks for one in seen)),
        failures=sorted(failures, key=lambda failure: -failure["count"]),
    )


def see_cell(results: Results, index: int, first: str) -> CellSeen:
    """Return what a report needs of one condition; `first` is the method whose coverage the others' is compared
    with.

    Long runs are read once: what every part of the page needs of a condition is taken while its rows are at hand.
    """
    experiment, rows = results.experiment, rows_of(results, index)
    shared = shared_of_rows(rows)
    return CellSeen(
        table=cell_rows_table(experiment, index, rows),
        shared=shared,
        entries=entries_of_cell(experiment, index, rows, first, shared),
        remarks=first_of_each(remarks_of_cell(experiment, index, rows)),
        failures=failures_of_cell(experiment, index, rows),
        theory=theory_of(experiment, index),
        found=experiment.cells[index].found,
    )
