"""The page's further tables at a glance: ranking, paired differences, why coverage is off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import holm
from nestbench.reports.comparing.biases import Bias
from nestbench.reports.comparing.contrasts import CONTRASTS, contrasts_of_rows
from nestbench.reports.comparing.decomposition import cause_of, schools_of, steps_of_rows
from nestbench.reports.comparing.grades import IN_ORDER, USABLE_ENOUGH, Grade, fixed_terms
from nestbench.reports.comparing.judged import STATE, judged
from nestbench.reports.comparing.ranking import multiples, places
from nestbench.reports.comparing.shared import LEAST, Shared
from nestbench.reports.measures.cell_rows import CellRows
from nestbench.reports.page.sections import MARKS
from nestbench.reports.words.usable import FEW_FITS, FEW_SETS, bracket

Entry = dict[str, str]
NONE: Entry = {"text": "–", "grade": "none", "title": "this method has no answer here", "said": ""}
OTHER: dict[str, Entry] = {
    "paired": {
        **NONE,
        "title": "no interval on the same data sets, or the method that others are compared with",
    },
    "why": {**NONE, "title": "no estimate with a standard error to look at"},
}
"""What an empty entry of a matrix says instead."""
NOT_RUN: Entry = {"text": "", "grade": "none", "title": "not run yet", "said": "not run yet"}
PAIRED = tuple(contrast for contrast in CONTRASTS if contrast.name == "coverage_difference")
_CAUSES = {
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
        "Mean interval score (width plus a penalty for misses) as a multiple of the best method's, over the data sets "
        "that all compared methods answer; a score counts at most as much as a miss by half the usual width, so that "
        "no single interval decides; in brackets without that limit, where it says otherwise. Shaded: can't be told "
        "from the best (paired t tests, Holm's method at 5 % over this table), with the multiple that can't be "
        f"excluded (95 %). 'n of N': answers too few data sets (under {100 * USABLE_ENOUGH:.0f} %) to be compared.",
    ),
    Kind(
        "paired",
        "Coverage against {first}",
        "Difference in coverage from {first} on the data sets both answer, in percentage points; shaded: beyond Monte "
        f"Carlo error (McNemar's variance, t tests, Holm's method at 5 % over this table); {FEW_SETS}.",
    ),
    Kind(
        "why",
        "Why coverage is off",
        "Where coverage lies outside the tolerated band, the one fault whose mending brings it closest to its level: "
        "bias (intervals moved; only where estimates are shown to be biased), SE (right on average), df (t with "
        "schools - 1); 'mixed' where none closes a quarter of the gap; shaded: graded doubtful, fails or too wide; "
        f"{FEW_FITS}.",
    ),
)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An entry, and what it becomes by what the study as a whole says.

    `p` is the p-value of the comparison it shows: `if_rejected`, `if_kept` by the limit of its table. `if_off` is what
    a coverage outside its band is put down to, unless its estimates are biased: then `if_biased`.
    """

    entry: Entry
    p: float = np.nan
    if_rejected: Entry = field(default_factory=dict)
    if_kept: Entry = field(default_factory=dict)
    if_off: Entry = field(default_factory=dict)
    if_biased: Entry = field(default_factory=dict)

    def settled(self, limit: float, said: Said) -> Entry:
        """Return the entry, given the p-value up to which comparisons of its kind are rejected, and verdicts."""
        if self.if_off and said.grade and said.grade not in IN_ORDER:
            off = self.if_biased if said.bias == Bias.BIASED else self.if_off
            return self.entry | off | {"grade": MARKS[Grade(said.grade)], "said": said.grade}
        if np.isnan(self.p):
            return self.entry
        return self.entry | (self.if_rejected if self.p <= limit else self.if_kept)


@dataclass(frozen=True, slots=True)
class Said:
    """The study's verdicts on a method in an estimand: its coverage's grade and its bias; empty where there is none."""

    grade: str = ""
    bias: str = ""


def all_said(table: pd.DataFrame, experiment: Experiment) -> dict[tuple[int, str, str], Said]:
    """Return the verdicts (`judged`) by condition, term and method."""
    verdicts_at: dict[tuple[int, str, str], dict[str, str]] = {}
    rows = judged(table, experiment)
    for name, measure in (("grade", "coverage"), ("bias", "bias")):
        own = rows[rows["measure"] == measure]
        for cell, term, label, state in zip(
            own["cell"], own["term"], own["estimator"], own[STATE], strict=True
        ):
            verdicts_at.setdefault((cell, term, label), {})[name] = state
    return {place: Said(**verdicts) for place, verdicts in verdicts_at.items()}


Entries = dict[tuple[str, str, str], Unsettled]
"""A condition's entries by (kind, term, method)."""


def entries_of_cell(
    experiment: Experiment, index: int, rows: CellRows, first: str, shared: Sequence[Shared]
) -> Entries:
    """Return what a condition's rows say in each matrix; coverage is compared with that of the method `first`.

    Parameters
    ----------
    experiment : Experiment
    index : int
        The condition's number.
    rows : CellRows
    first : str
    shared : sequence of Shared
    """
    entries: Entries = {}
    for one in shared:
        entries |= _rank(one)
    if first in rows.labels:
        entries |= _paired(contrasts_of_rows(rows, first, PAIRED), rows, first)
    cell = experiment.cells[index]
    return entries | _why(steps_of_rows(rows, schools_of(experiment, index)), rows, cell.model.level)


def matrices(
    cells: Sequence[Entries], labels: Sequence[str], table: pd.DataFrame, experiment: Experiment, first: str
) -> list[dict[str, Any]]:
    """Return the matrices that have entries, as the page wants them: by term, rows of (method, entries)."""
    pages, said = [], all_said(table, experiment)
    for kind in KINDS:
        rows = {term: _rows(cells, labels, kind.id, term, said) for term in fixed_terms(table)}
        rows = {term: lines for term, lines in rows.items() if lines}
        if rows:
            words = {"title": kind.title.format(first=first), "words": kind.words.format(first=first)}
            pages.append({"id": kind.id, **words, "terms": rows})
    return pages


def _rows(
    cells: Sequence[Entries],
    labels: Sequence[str],
    kind: str,
    term: str,
    said: Mapping[tuple[int, str, str], Said],
) -> list[tuple[str, list[Entry]]]:
    """Return the rows of one matrix, a method each, graded with all comparisons of the matrix in view."""
    unsettled = [(label, [cell.get((kind, term, label)) for cell in cells]) for label in labels]
    there = [one for _, line in unsettled for one in line if one is not None]
    limit = holm.limit([one.p for one in there])
    none = [OTHER.get(kind, NONE) if cell else NOT_RUN for cell in cells]
    rows = [
        (
            label,
            [
                none[cell] if one is None else one.settled(limit, said.get((cell, term, label), Said()))
                for cell, one in enumerate(line)
            ],
        )
        for label, line in unsettled
    ]
    return rows if there else []


def _rank(shared: Shared) -> Entries:
    """Return the entries that rank methods by interval score."""
    entries: Entries = {}
    for row in places(shared):
        ratio, high, p = row.ratio, row.ratio_high, row.p
        mean = float(multiples(row.mean, float(shared.mean_score.min())))
        note = "" if mean == ratio or abs(mean - ratio) <= 0.05 * ratio else f" [{_multiple(mean)}]"
        title = (
            f"rank {row.rank}; behind the best by {row.behind:.3g}, MCSE {row.behind_mcse:.2g}, n {row.n}"
            f"{f'; mean without limit {_multiple(mean)}' if note else ''}"
        )
        text = _multiple(ratio) + note
        untold = f"{text} (to {_multiple(high)})" if row.rank != 1 else text
        entries["ranking", shared.term, row.estimator] = Unsettled(
            {"text": text, "grade": "none", "said": "", "title": title},
            np.nan if row.rank == 1 else p,
            if_kept={"text": untold, "grade": "holds", "said": "not told from the best"},
        )
        if row.rank == 1:
            first = {"text": text, "grade": "holds", "said": "the best", "title": title}
            entries["ranking", shared.term, row.estimator] = Unsettled(first)
    for label, (answered, of) in shared.left_out.items():
        entries["ranking", shared.term, label] = Unsettled(_uncompared(answered, of))
    if not shared.enough:
        few = f"fewer than {LEAST} data sets in common: {shared.n}"
        entries |= {
            ("ranking", shared.term, label): Unsettled({**NONE, "text": f"n {shared.n}", "title": few})
            for label in shared.labels
        }
    return entries


def _uncompared(answered: int, of: int) -> Entry:
    """Return the entry of a method that answers too few data sets to be compared."""
    title = f"answers {answered:,} of {of:,} data sets: not compared"
    return {**NONE, "text": f"{answered:,} of {of:,}" if answered else "–", "title": title}


def _multiple(ratio: float) -> str:
    """Return a multiple in three digits or so."""
    if not np.isfinite(ratio):
        return "∞"
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def _paired(table: pd.DataFrame, rows: CellRows, first: str) -> Entries:
    """Return the entries that compare coverage with the first method's, on the same data sets."""
    entries: Entries = {}
    for row in table.itertuples(index=False):
        value, mcse = float(row.value), float(row.mcse)  # type: ignore[arg-type]
        if np.isfinite(value):
            label, n = str(row.estimator), int(row.n)  # type: ignore[arg-type]
            # Of both methods the first data sets are fitted.
            both = min(rows.attempted(first), rows.attempted(label))
            entries["paired", str(row.term), label] = Unsettled(
                {
                    "text": f"{100 * value:+.1f}{bracket('coverage_difference', value, n, both)}",
                    "grade": "none",
                    "said": "",
                    "title": f"{100 * value:+.2f} points, MCSE {_error(row)}, n {n} of {both}",
                },
                float(holm.t_p_values(value, mcse, n)),
                if_rejected={"grade": "likely", "said": "beyond Monte Carlo error"},
            )
    return entries


def _error(row: Any) -> str:
    """Return the error of a difference in coverage; where no data set differs, that of one more or less."""
    mcse = float(row.mcse)
    return f"{100 * mcse:.2f}" if mcse > 0 else f"below {100 / row.n:.2g}"


def _why(steps: Iterable[Mapping[str, Any]], rows: CellRows, level: float) -> Entries:
    """Return the entries that say what costs coverage."""
    entries: Entries = {}
    for (label, term), part in groupby(steps, key=lambda step: (step["estimator"], step["term"])):
        own = list(part)
        n, attempted = int(own[0]["n"]), rows.attempted(label)
        values = {step["step"]: step["value"] for step in own}
        few = bracket("cause", np.nan, n, attempted)
        steady, biased = (
            {"text": _CAUSES[cause_of(values, level, biased=shown)] + few} for shown in (False, True)
        )
        told = "; ".join(f"{step.replace('_', ' ')} {100 * value:.1f} %" for step, value in values.items())
        entries["why", term, label] = Unsettled(
            {
                "text": "in order" + few,
                "grade": "none",
                "said": "",
                "title": f"{told}; n {n} of {attempted}",
            },
            if_off=steady,
            if_biased=biased,
        )
    return entries
