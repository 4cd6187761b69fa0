"""A data set as CSV, written without pandas: what takes a moment to draw shall take no longer to write."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from nestbench.sim.observed.batch import Category, Column, Sample
from nestbench.sim.visible import harmless


def csv_of_sample(sample: Sample) -> str:
    """Return the columns of `Sample.frame` as CSV: floats as the shortest text that reads back the same."""
    columns = {name: _values(column, sample.rows) for name, column in sample.batch.columns.items()}
    labels = np.asarray([harmless(label) for label in sample.labels], dtype=object)
    columns[sample.batch.group] = np.repeat(labels, sample.school_sizes).tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([harmless(name) for name in columns])
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _values(column: Column, rows: slice) -> list[Any]:
    """Return the rows of a column as numbers or as texts."""
    if isinstance(column, Category):
        levels = np.array([harmless(level) for level in column.levels], dtype=object)
        return list(levels[column.codes[rows]])
    return ["" if value != value else value for value in column[rows].tolist()]
