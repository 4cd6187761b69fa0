"""Writing exports: a format's name to its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nestbench.experiments.files import own_folder, write_atomically
from nestbench.experiments.results import Results
from nestbench.reports.comparing.shared import Shared, shared_of_run
from nestbench.reports.exports.citations import bibtex
from nestbench.reports.exports.methods import methods_paragraph
from nestbench.reports.exports.tables import (
    STANDARD,
    TABLE_NOTE,
    in_latex,
    in_markdown,
    latex_document,
    text_tables,
    to_latex,
    to_markdown,
)
from nestbench.reports.frames import csv_of
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.performance import parquet_bytes, performance_table
from nestbench.reports.page.gallery import write_figures
from nestbench.reports.page.report import render
from nestbench.reports.page.survey import survey
from nestbench.reports.words.missing import missing_sentence, unrepeatable
from nestbench.reports.words.sentence import Verdict
from nestbench.reports.words.symbols import EXPLAINED, formula_words
from nestbench.reports.words.verdict import verdicts
from nestbench.sim.errors import unknown_name

FORMATS = ("html", "md", "latex", "csv", "parquet", "svg", "pdf")


def write_exports(results: Results, directory: Path, formats: Sequence[str], run: str) -> Written:
    """Write a run's report in some formats into a directory; return the files and the performance table.

    ``html`` report.html, ``md`` report.md (verdict, tables, methods paragraph), ``latex`` tables.tex (compiles on its
    own) with references.bib, ``csv`` and ``parquet`` the performance table, ``svg`` and ``pdf`` every figure of the
    page in ``figures/``.

    Parameters
    ----------
    results : Results
    directory : Path
    formats : sequence of str
        ``html``, ``md``, ``latex``, ``csv``, ``parquet``, ``svg``, ``pdf``.
    run : str
        What the commands on the page call the run.

    Raises
    ------
    InvalidInput
        An unknown format.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
    # The survey reads every condition once for all that follows; without a page the cheaper tables do.
    seen = survey(results) if "html" in formats else None
    table = performance_table(results) if seen is None else seen.table
    shared = shared_of_run(results) if seen is None else seen.shared
    written: list[Path] = []
    for name in dict.fromkeys(formats):
        # One figure a file, so a folder of their own, and one that isn't a link to elsewhere.
        if name in ("svg", "pdf"):
            written += write_figures(table, results.experiment, own_folder(directory / "figures"), name)
            continue
        page = {} if seen is None or name != "html" else {"report.html": render(results, seen, run).encode()}
        for file, data in (page or _files(results, table, shared, name)).items():
            write_atomically(directory / file, data)
            written.append(directory / file)
    return Written(table, shared, None if seen is None else seen.verdicts, written)


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_exports` made: the performance table, the methods on equal data by condition, the verdicts where a
    page has them, and the files."""

    table: pd.DataFrame
    shared: list[list[Shared]]
    said: list[Verdict] | None
    files: list[Path]


def _files(
    results: Results, table: pd.DataFrame, shared: Sequence[Sequence[Shared]], name: str
) -> dict[str, bytes]:
    """Return the files of one format, name -> bytes."""
    experiment = results.experiment
    if name == "csv":
        return {"performance.csv": csv_of(table).encode()}
    if name == "parquet":
        return {"performance.parquet": parquet_bytes(table)}
    tables = text_tables(table, experiment)
    if name == "latex":
        return {
            "tables.tex": latex_document(f"{in_latex(notes(table))}\n\n{to_latex(tables)}").encode(),
            "references.bib": bibtex(experiment).encode(),
        }
    return {"report.md": markdown(results, table, shared, to_markdown(tables)).encode()}


def markdown(results: Results, table: pd.DataFrame, shared: Sequence[Sequence[Shared]], tables: str) -> str:
    """Return the Markdown report: verdict, methods paragraph, tables with what their numbers are."""
    experiment = results.experiment
    cautions = filter(None, (missing_sentence(results), unrepeatable(results)))
    sentences = "\n".join(f"- {in_markdown(v.sentence)}" for v in verdicts(table, experiment, shared))
    sentences = "\n\n".join([*(f"**{in_markdown(caution)}**" for caution in cautions), sentences])
    words = in_markdown(methods_paragraph(results, table))
    title = in_markdown(experiment.title or experiment.name)
    parts = [f"# {title}", sentences, f"## Methods\n\n{words}", f"## Results\n\n{in_markdown(notes(table))}"]
    return "\n\n".join([*parts, tables.strip()]) + "\n"


def notes(table: pd.DataFrame) -> str:
    """Return what the tables' numbers are: brackets and n, the measures' definitions, the symbols in them."""
    measures = [m for m in map(measure_named, STANDARD) if (table["measure"] == m.name).any()]
    defined = "; ".join(f"{m.label}: {formula_words(m.formula)}" for m in measures)
    return f"{TABLE_NOTE} Measures are {defined}. Here {EXPLAINED}" if measures else TABLE_NOTE
