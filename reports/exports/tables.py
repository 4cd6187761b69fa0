"""Publication tables: one block a term, conditions down, methods across; digits follow the Monte Carlo error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.grades import USABLE_ENOUGH, fixed_terms
from nestbench.reports.frames import rows_of
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.measure import Measure, Unit
from nestbench.reports.measures.printed import printed_mcse
from nestbench.reports.words.conditions import conditions
from nestbench.reports.words.wording import rounded

STANDARD = ("bias", "empirical_se", "se_error", "coverage", "rejection")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text: caption, column heads, rows."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def text_tables(
    table: pd.DataFrame, experiment: Experiment, measures: Sequence[str] = STANDARD
) -> list[TextTable]:
    """Return one table per measure and fixed effect: conditions by methods, ``value (MCSE)``."""
    chosen = [measure_named(name) for name in measures]
    made = [_one(table, experiment, measure, term) for measure in chosen for term in fixed_terms(table)]
    return [one for one in made if one.rows]


def _one(table: pd.DataFrame, experiment: Experiment, measure: Measure, term: str) -> TextTable:
    rows = table[(table["measure"] == measure.name) & (table["term"] == term)]
    scale = 100.0 if measure.unit is Unit.SHARE else 1.0
    columns = (rows["cell"], rows["estimator"], rows["value"], printed_mcse(rows))
    texts = {
        (cell, label): rounded(scale * value, scale * mcse)
        for cell, label, value, mcse in zip(*columns, strict=True)
    }
    partial = rows["n"] < USABLE_ENOUGH * rows["n_attempted"]
    for row in rows_of(rows[partial], ("cell", "estimator", "value", "n", "n_attempted")):
        texts[row.cell, row.estimator] += _partial(measure, row)
    labels = [e.label for e in experiment.estimators if e.label in set(rows["estimator"])]
    cells = sorted(set(rows["cell"]))
    unit = {Unit.SHARE: ", %", Unit.PERCENT: ", %"}.get(measure.unit, "")
    where = conditions(experiment)
    return TextTable(
        f"{measure.label}{unit} for {term}: {measure.formula} (Monte Carlo standard error)"
        + (f"; {PARTIAL}" if partial.any() else ""),
        ("Condition", *labels),
        tuple((where[c], *(texts.get((c, label), "") for label in labels)) for c in cells),
    )


PARTIAL = (
    "in brackets, where under 95 % of the fits are usable: how many, and the share if the others are misses"
)


def _partial(measure: Measure, row: Any) -> str:
    """Return what marks a number of too few usable fits: how many of how many, and a share's bound."""
    bound = f"; {100.0 * row.value * row.n / row.n_attempted:.1f}" if measure.name in BOUNDED else ""
    return f" [{row.n} of {row.n_attempted}{bound}]"


BOUNDED = frozenset({"coverage", "rejection"})


def to_markdown(tables: Sequence[TextTable]) -> str:
    """Return tables as GitHub Markdown, numbers aligned to the right."""
    return "\n\n".join(_markdown(table) for table in tables) + "\n"


def _markdown(table: TextTable) -> str:
    def line(entries: Sequence[str]) -> str:
        return "| " + " | ".join(_escaped(entry, _MARKDOWN) for entry in entries) + " |"

    rule = "|" + "|".join([" --- ", *[" ---: "] * (len(table.heads) - 1)]) + "|"
    return "\n".join(
        [f"**{_escaped(table.caption, _MARKDOWN)}**", "", line(table.heads), rule, *map(line, table.rows)]
    )


LINE = 104
"""Characters that fit on a line of a portrait page in the size that LaTeX tables are set in."""


def to_latex(tables: Sequence[TextTable]) -> str:
    """Return tables as LaTeX for the booktabs package; every special character is escaped.

    Methods that don't fit beside each other on a portrait page follow in further blocks of the same table.
    """
    return "\n".join(_latex(table) for table in tables)


def _latex(table: TextTable) -> str:
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{_escaped(table.caption, _LATEX)}}}",
            "\n\\\\[1.5ex]\n".join(_block(table, columns) for columns in _blocks(table)),
            r"\end{table}",
            "",
        ]
    )


def _block(table: TextTable, columns: Sequence[int]) -> str:
    def line(entries: Sequence[str]) -> str:
        texts = [_escaped(entries[k], _LATEX) for k in (0, *columns)]
        return " & ".join(re.sub(r"^-(?=\d)", "--", text) for text in texts) + r" \\"

    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            line(table.heads),
            r"\midrule",
            *map(line, table.rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _blocks(table: TextTable) -> list[list[int]]:
    """Return the columns of each block, as even as they fit into `LINE` beside the first column."""
    widths = [max(len(row[k]) for row in (table.heads, *table.rows)) + 2 for k in range(len(table.heads))]
    columns = list(range(1, len(widths)))
    for count in range(1, len(columns) + 1):
        size = -(-len(columns) // count)
        blocks = [columns[i : i + size] for i in range(0, len(columns), size)]
        if all(widths[0] + sum(widths[k] for k in block) <= LINE for block in blocks):
            return blocks
    return [[k] for k in columns]


def latex_document(body: str) -> str:
    """Return a document that compiles on its own around tables."""
    return "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage[margin=2.5cm]{geometry}",
            r"\usepackage{booktabs}",
            r"\begin{document}",
            body,
            r"\end{document}",
            "",
        ]
    )


_MARKDOWN = {"|": r"\|", "*": r"\*", "_": r"\_", "<": "&lt;", "\n": " "}
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\n": " ",
}


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)
