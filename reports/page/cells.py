"""The parts of the page made from stored rows: one pass over the cells, each read once and forgotten."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nestbench.experiments.results import Results
from nestbench.reports.page.matrices import empty_matrices
from nestbench.reports.page.parts import failures_of_cell
from nestbench.reports.words.lint import first_of_each, remarks_of_cell, table_remarks


def parts_of_cells(results: Results, table: pd.DataFrame, run: str) -> dict[str, Any]:
    """Return the page's ``matrices``, ``remarks`` and ``failures``."""
    experiment = results.experiment
    matrices, remarks = empty_matrices(table, experiment), table_remarks(table, experiment)
    failures: list[dict[str, Any]] = []
    for index in range(len(experiment.cells)):
        found = dict(results.estimates(index))
        if matrices is not None:
            matrices.add(index, found)
        remarks = first_of_each(remarks, remarks_of_cell(experiment, index, found))
        failures += failures_of_cell(experiment, index, found, run)
    return {
        "matrices": [] if matrices is None else matrices.for_page(),
        "remarks": remarks,
        "failures": sorted(failures, key=lambda failure: -failure["count"]),
    }
