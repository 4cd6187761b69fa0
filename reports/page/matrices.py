"""The page's further tables at a glance: ranking, paired differences, why coverage is off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.contrasts import contrasts_of_cell
from nestbench.reports.comparing.decomposition import decomposition_of_cell
from nestbench.reports.comparing.grades import fixed_terms
from nestbench.reports.comparing.ranking import ranking

Entry = dict[str, str]
NONE: Entry = {"text": "–", "grade": "none", "title": "this method has no answer here", "said": ""}
_CAUSES = {
    "none": "in order",
    "standard error": "SE",
    "reference distribution": "df",
    "bias": "bias",
    "mixed": "mixed",
}


@dataclass(slots=True)
class Matrix:
    """Methods down, conditions across, one table a term: (term, method, cell) -> entry."""

    id: str
    title: str
    words: str
    entries: dict[tuple[str, str, int], Entry] = field(default_factory=dict)

    def terms(self, labels: list[str], cells: int) -> dict[str, list[tuple[str, list[Entry]]]]:
        """Return the rows by term."""
        names = dict.fromkeys(term for term, _, _ in self.entries)
        return {
            term: [
                (label, [self.entries.get((term, label, c), NONE) for c in range(cells)]) for label in labels
            ]
            for term in names
        }


@dataclass(frozen=True, slots=True)
class Matrices:
    """The page's matrices, filled cell by cell (`add`): ranking, paired coverage differences from the first method,
    and the causes of wrong coverage."""

    experiment: Experiment
    labels: list[str]
    shown: list[str]
    rank: Matrix
    paired: Matrix
    why: Matrix

    def add(self, index: int, found: Mapping[str, Estimates]) -> None:
        """Enter what a cell's estimates say."""
        cell = self.experiment.cells[index]
        truth, level = cell.population.truth, cell.model.level
        for term in self.shown:
            _rank(self.rank, found, term, index, truth, level)
        if self.labels[0] in found:
            _paired(self.paired, contrasts_of_cell(found, self.labels[0], truth, level), index)
        _why(self.why, decomposition_of_cell(found, truth, level, cell.layout.schools), index)

    def for_page(self) -> list[dict[str, Any]]:
        """Return those with entries, as the page wants them."""
        made = []
        for m in (self.rank, self.paired, self.why):
            m.entries = {key: entry for key, entry in m.entries.items() if key[0] in self.shown}
            if m.entries:
                terms = m.terms(self.labels, len(self.experiment.cells))
                made.append({"id": m.id, "title": m.title, "words": m.words, "terms": terms})
        return made


def empty_matrices(table: pd.DataFrame, experiment: Experiment) -> Matrices | None:
    """Return the matrices of a performance table's methods and terms, to be filled; None without methods."""
    present = set(table["estimator"])
    labels = [e.label for e in experiment.estimators if e.label in present]
    if not labels:
        return None
    rank = Matrix(
        "ranking",
        "Ranking",
        "Interval score (short intervals that cover score low) relative to the best method's; shaded: can't be told "
        "from the best, by the paired difference and its Monte Carlo error (5 %, Bonferroni over methods).",
    )
    paired = Matrix(
        "paired",
        f"Coverage against {labels[0]}",
        f"Difference in coverage from {labels[0]} on the same data sets, in percentage points; shaded: "
        "beyond 1.96 Monte Carlo errors (McNemar's variance).",
    )
    why = Matrix(
        "why",
        "Why coverage is off",
        "The one fault whose mending brings coverage closest to its level: bias (intervals moved), SE (right on "
        "average), df (t with schools - 1); 'mixed' where none closes a quarter of the gap.",
    )
    return Matrices(experiment, labels, fixed_terms(table), rank, paired, why)


def _rank(
    matrix: Matrix,
    found: Mapping[str, Estimates],
    term: str,
    cell: int,
    truth: Mapping[str, float],
    level: float,
) -> None:
    table = ranking(found, term, truth, level)
    for row in table.itertuples(index=False):
        ratio = float(row.value) / float(table["value"].iloc[0])  # type: ignore[arg-type]
        matrix.entries[(term, str(row.estimator), cell)] = {
            "text": f"{ratio:.2f}",
            "grade": "holds" if row.best else "none",
            "said": "not told from the best" if row.best else "",
            "title": f"rank {row.rank}; behind the best by {row.behind:.3g}, MCSE {row.behind_mcse:.2g}, n {row.n}",
        }


def _paired(matrix: Matrix, table: pd.DataFrame, cell: int) -> None:
    rows = table[table["contrast"] == "coverage_difference"]
    for row in rows.itertuples(index=False):
        value, mcse = 100.0 * float(row.value), 100.0 * float(row.mcse)  # type: ignore[arg-type]
        if np.isfinite(value):
            matrix.entries[(str(row.term), str(row.estimator), cell)] = {
                "text": f"{value:+.1f}",
                "grade": {"tie": "none"}.get(str(row.outcome), "likely"),
                "said": "",
                "title": f"{value:+.2f} points, MCSE {mcse:.2f}, n {row.n}",
            }


def _why(matrix: Matrix, table: pd.DataFrame, cell: int) -> None:
    for (label, term), part in table.groupby(["estimator", "term"], sort=False):
        cause = str(part["cause"].iloc[0])
        steps = "; ".join(
            f"{step.replace('_', ' ')} {100 * value:.1f} %"
            for step, value in zip(part["step"], part["value"], strict=True)
        )
        matrix.entries[(str(term), str(label), cell)] = {
            "text": _CAUSES[cause],
            "grade": "none" if cause == "none" else "doubtful",
            "said": "",
            "title": steps,
        }
