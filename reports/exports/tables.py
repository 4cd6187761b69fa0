"""Publication tables: one block a term, conditions down, methods across; digits follow the Monte Carlo error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.grades import fixed_terms
from nestbench.reports.conditions import conditions
from nestbench.reports.frames import rows_of
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.measure import Measure, Unit
from nestbench.reports.measures.printed import printed_mcse
from nestbench.reports.wording import rounded
from nestbench.reports.words.usable import FEW, bracket

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
    """Return one table per measure and fixed effect: conditions by methods, ``value (MCSE)``, then each one's n.

    Parameters
    ----------
    table : DataFrame
        The performance table.
    experiment : Experiment
    measures : sequence of str
        By name; those without numbers give no table.
    """
    declared = [measure_named(name) for name in measures]
    tables = [_one(table, experiment, measure, term) for measure in declared for term in fixed_terms(table)]
    return [one for one in tables if one.rows]


TABLE_NOTE = (
    "Numbers in parentheses are Monte Carlo standard errors; n is the number of fits with a usable answer, of those "
    f"attempted where some had none. {FEW[0].upper()}{FEW[1:]}. An empty entry was not run yet or has no "
    "answer."
)


def _one(table: pd.DataFrame, experiment: Experiment, measure: Measure, term: str) -> TextTable:
    """Return the table of one measure and term: methods in columns, conditions in rows."""
    rows = table[(table["measure"] == measure.name) & (table["term"] == term)]
    scale = 100.0 if measure.unit is Unit.SHARE else 1.0
    columns = (rows["cell"], rows["estimator"], rows["value"], printed_mcse(rows))
    texts = {
        (cell, label): rounded(scale * value, scale * mcse)
        for cell, label, value, mcse in zip(*columns, strict=True)
    }
    texts = _unusable(table, term, rows) | texts
    for row in rows_of(rows, ("cell", "estimator", "value", "n", "n_attempted")):
        texts[row.cell, row.estimator] += bracket(measure.name, row.value, row.n, row.n_attempted)
    labels = [e.label for e in experiment.estimators if e.label in set(rows["estimator"])]
    unit = {Unit.SHARE: " (%)", Unit.PERCENT: " (%)"}.get(measure.unit, "")
    body = [
        (where, *(texts.get((cell, label), "") for label in labels))
        for cell, where in enumerate(conditions(experiment))
    ]
    counts = ("n", *(_count(rows[rows["estimator"] == label]) for label in labels))
    heads = ("Condition", *labels)
    return TextTable(f"{measure.label}{unit} for {term}", heads, (*body, counts) if labels else ())


def _unusable(table: pd.DataFrame, term: str, rows: pd.DataFrame) -> dict[tuple[int, str], str]:
    """Return what stands where a method that is asked for the term has no usable fit at all."""
    asked = table[(table["measure"] == "usable_share") & (table["term"] == term) & (table["value"] == 0.0)]
    there = set(rows["estimator"])
    return {
        (row.cell, row.estimator): f"none usable [0 of {row.n_attempted:,}]"
        for row in rows_of(asked, ("cell", "estimator", "n_attempted"))
        if row.estimator in there
    }


def _count(rows: pd.DataFrame) -> str:
    """Return the usable fits of a method over the conditions: ``60``, ``8 to 12 of 12``."""
    usable = _range(rows["n"])
    return (
        usable if (rows["n"] == rows["n_attempted"]).all() else f"{usable} of {_range(rows['n_attempted'])}"
    )


def _range(counts: pd.Series[int]) -> str:
    """Return the least and largest count, in words."""
    low, high = int(counts.min()), int(counts.max())
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"


def to_markdown(tables: Sequence[TextTable]) -> str:
    """Return tables as GitHub Markdown, numbers aligned to the right."""
    return "\n\n".join(_markdown(table) for table in tables) + "\n"


def _markdown(table: TextTable) -> str:
    """Return a table in Markdown."""

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
    """Return a table in LaTeX, for booktabs."""
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
    """Return some columns of a table as a tabular: a wide table is set in several."""

    def line(entries: Sequence[str]) -> str:
        texts = [_escaped(entries[k], _LATEX) for k in (0, *columns)]
        # A hyphen is no minus; ranges and names keep theirs.
        return " & ".join(re.sub(r"^-(?=\d)", "$-$", text) for text in texts) + r" \\"

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


def in_latex(text: str) -> str:
    """Return words as LaTeX: every special character escaped."""
    return _escaped(text, _LATEX)


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


def in_markdown(text: str) -> str:
    """Return words as Markdown: what stands in backticks is code, everything else is escaped."""
    parts = text.split("`")
    return "`".join(
        part if i % 2 else _escaped(part, _MARKDOWN).replace("](", r"]\(") for i, part in enumerate(parts)
    )


_MARKDOWN = {"|": r"\|", "*": r"\*", "_": r"\_", "<": r"\<", "\n": " "}
# `<`, `>` and `|` are other signs in LaTeX's old default encoding (OT1), into which a table may be pasted.
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
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≠": r"$\neq$",
    "θ": r"$\theta$",
}


def _escaped(text: str, table: dict[str, str]) -> str:
    """Return a text with the signs that mean something to a format replaced."""
    # Sign by sign: replaced one after the other, the backslashes of one escape would be escaped by the next.
    return "".join(table.get(character, character) for character in text)
