"""The terminal summary: the verdict in words, then one compact table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing.grades import Grade, situations, usable_shares
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.missing import data_sets, missing_sentence
from nestbench.reports.words.verdict import Verdict, tally, verdicts
from nestbench.reports.words.wording import plural

_MARKS = {"use": ("+", "bold green"), "avoid": ("!", "bold red"), "note": ("-", "dim")}


def print_summary(results: Results, console: Console, table: pd.DataFrame | None = None) -> None:
    """Print verdict sentences and a table of methods; readable from 50 columns on.

    `table` is the performance table when the caller has it already.
    """
    table = performance_table(results) if table is None else table
    experiment = results.experiment
    console.print(Text(experiment.title or experiment.name, style="bold"))
    console.print(Text(_size(results), style="dim"))
    if lacking := missing_sentence(results):
        console.print(Text(lacking, style="bold yellow"))
    for verdict in verdicts(table, experiment):
        console.print(Padding(_sentence(verdict), (0, 0, 0, 0)))
    graded = situations(table, experiment)
    if len(graded):
        console.print()
        console.print(methods_table(table, graded, experiment))


def _size(results: Results) -> str:
    experiment = results.experiment
    return ", ".join(
        [
            plural(len(experiment.cells), "condition"),
            plural(len(experiment.estimators), "method"),
            data_sets(results),
        ]
    )


def _sentence(verdict: Verdict) -> Text:
    mark, style = _MARKS[verdict.kind]
    text = Text(f"{mark} ", style=style)
    for i, part in enumerate(verdict.sentence.split("`")):
        text.append(part, style="bold" if i % 2 else "")
    return text


def methods_table(table: pd.DataFrame, graded: pd.DataFrame, experiment: Experiment) -> Table:
    """Return one row a method: lowest and median coverage, situations kept and failed, usable share, runtime."""
    counts = tally(graded)
    middle = graded.groupby("estimator")["coverage"].median()
    usable = usable_shares(table).groupby("estimator").min()
    seconds = table[table["measure"] == "seconds_median"].groupby("estimator")["value"].median()
    made = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    made.add_column("method", overflow="fold", min_width=12)
    for name in ("low", "median", "fails", "usable", "ms/fit"):
        made.add_column(name, justify="right", no_wrap=True)
    for label in _in_order(experiment, counts.index):
        row: Any = counts.loc[label]
        failed = int(row[Grade.FAILS])
        made.add_row(
            escape(label),
            _percent(float(row["lowest"])),
            _percent(float(middle[label])),
            Text(f"{failed}/{int(row['situations'])}", style="red" if failed else ""),
            _percent(float(usable.get(label, np.nan))),
            _milliseconds(float(seconds.get(label, np.nan))),
        )
    made.caption = "Coverage in %; fails: situations (condition x term) clearly below."
    made.caption_justify = "left"
    return made


def _in_order(experiment: Experiment, present: Iterable[str]) -> list[str]:
    there = set(present)
    return [estimator.label for estimator in experiment.estimators if estimator.label in there]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if np.isfinite(share) else "-"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}" if np.isfinite(seconds) else "-"
