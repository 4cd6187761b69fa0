"""The page's further tables at a glance: ranking, paired differences, why coverage is off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.contrasts import CONTRASTS, contrasts_of_rows
from nestbench.reports.comparing.decomposition import decomposition_of_rows
from nestbench.reports.comparing.ranking import rankings
from nestbench.reports.measures.cell_rows import CellRows

Entry = dict[str, str]
NONE: Entry = {"text": "–", "grade": "none", "title": "this method has no answer here", "said": ""}
PAIRED = tuple(contrast for contrast in CONTRASTS if contrast.name == "coverage_difference")
_CAUSES = {
    "none": "in order",
    "standard error": "SE",
    "reference distribution": "df",
    "bias": "bias",
    "mixed": "mixed",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of matrix: methods down, conditions across, one table a term."""

    id: str
    title: str
    words: str


KINDS = (
    Kind(
        "ranking",
        "Ranking",
        "Interval score (short intervals that cover score low) relative to the best method's; shaded: can't be told "
        "from the best, by the paired difference and its Monte Carlo error (5 %, Bonferroni over methods).",
    ),
    Kind(
        "paired",
        "Coverage against {first}",
        "Difference in coverage from {first} on the same data sets, in percentage points; shaded: "
        "beyond 1.96 Monte Carlo errors (McNemar's variance).",
    ),
    Kind(
        "why",
        "Why coverage is off",
        "The one fault whose mending brings coverage closest to its level: bias (intervals moved), SE (right on "
        "average), df (t with schools - 1); 'mixed' where none closes a quarter of the gap.",
    ),
)

Entries = dict[tuple[str, str, str], Entry]
"""A cell's entries by (kind, term, method)."""


def entries_of_cell(experiment: Experiment, index: int, rows: CellRows, first: str) -> Entries:
    """Return what a cell's rows say in each matrix; coverage is compared with that of the method `first`."""
    made: Entries = {}
    for term, table in rankings(rows).items():
        made |= _rank(term, table)
    if first in rows.labels:
        made |= _paired(contrasts_of_rows(rows, first, PAIRED))
    return made | _why(decomposition_of_rows(rows, experiment.cells[index].layout.schools))


def matrices(
    cells: Sequence[Entries], labels: Sequence[str], terms: Sequence[str], first: str
) -> list[dict[str, Any]]:
    """Return the matrices that have entries, as the page wants them: by term, rows of (method, entries)."""
    made = []
    for kind in KINDS:
        rows = {term: _rows(cells, labels, kind.id, term) for term in terms}
        rows = {term: lines for term, lines in rows.items() if lines}
        if rows:
            words = {"title": kind.title.format(first=first), "words": kind.words.format(first=first)}
            made.append({"id": kind.id, **words, "terms": rows})
    return made


def _rows(
    cells: Sequence[Entries], labels: Sequence[str], kind: str, term: str
) -> list[tuple[str, list[Entry]]]:
    rows = [(label, [cell.get((kind, term, label), NONE) for cell in cells]) for label in labels]
    return rows if any(entry is not NONE for _, entries in rows for entry in entries) else []


def _rank(term: str, table: pd.DataFrame) -> Entries:
    made: Entries = {}
    for row in table.itertuples(index=False):
        ratio = float(row.value) / float(table["value"].iloc[0])  # type: ignore[arg-type]
        made["ranking", term, str(row.estimator)] = {
            "text": f"{ratio:.2f}",
            "grade": "holds" if row.best else "none",
            "said": "not told from the best" if row.best else "",
            "title": f"rank {row.rank}; behind the best by {row.behind:.3g}, MCSE {row.behind_mcse:.2g}, n {row.n}",
        }
    return made


def _paired(table: pd.DataFrame) -> Entries:
    made: Entries = {}
    for row in table.itertuples(index=False):
        value, mcse = 100.0 * float(row.value), 100.0 * float(row.mcse)  # type: ignore[arg-type]
        if np.isfinite(value):
            made["paired", str(row.term), str(row.estimator)] = {
                "text": f"{value:+.1f}",
                "grade": {"tie": "none"}.get(str(row.outcome), "likely"),
                "said": "",
                "title": f"{value:+.2f} points, MCSE {mcse:.2f}, n {row.n}",
            }
    return made


def _why(table: pd.DataFrame) -> Entries:
    made: Entries = {}
    for (label, term), part in table.groupby(["estimator", "term"], sort=False):
        cause = str(part["cause"].iloc[0])
        steps = "; ".join(
            f"{step.replace('_', ' ')} {100 * value:.1f} %"
            for step, value in zip(part["step"], part["value"], strict=True)
        )
        made["why", str(term), str(label)] = {
            "text": _CAUSES[cause],
            "grade": "none" if cause == "none" else "doubtful",
            "said": "",
            "title": steps,
        }
    return made
