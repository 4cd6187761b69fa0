"""The terminal summary: the verdict in words, then one compact table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing.grades import (
    USABLE_ENOUGH,
    Grade,
    asked,
    count,
    estimands,
    missed,
    tally,
    usable_shares,
)
from nestbench.reports.comparing.shared import Shared, shared_of_run
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.missing import data_sets, missing_sentence, unrepeatable
from nestbench.reports.words.sentence import Verdict
from nestbench.reports.words.verdict import verdicts
from nestbench.sim.counted import plural

_MARKS = {"use": ("+", "bold green"), "avoid": ("!", "bold red"), "note": ("-", "dim")}


def print_summary(
    results: Results,
    console: Console,
    table: pd.DataFrame | None = None,
    shared: Sequence[Sequence[Shared]] | None = None,
    said: Sequence[Verdict] | None = None,
) -> None:
    """Print verdict sentences and a table of methods; readable from 50 columns on.

    `table` is the performance table, `shared` the methods on equal data (`shared_of_run`), `said` the verdicts on these
    when the caller has them.

    Parameters
    ----------
    results : Results
    console : Console
    table : DataFrame, optional
    shared : sequence of sequence of Shared, optional
    said : sequence of Verdict, optional
    """
    table = performance_table(results) if table is None else table
    experiment = results.experiment
    if said is None:
        said = verdicts(table, experiment, shared_of_run(results) if shared is None else shared)
    console.print(Text(experiment.title or experiment.name, style="bold"))
    console.print(Text(_size(results), style="dim"))
    for caution in filter(None, (missing_sentence(results), unrepeatable(results))):
        console.print(Text(caution, style="bold yellow"))
    for verdict in said:
        console.print(Padding(_sentence(verdict), (0, 0, 0, 0)))
    graded = estimands(table, experiment)
    if len(graded):
        console.print()
        console.print(methods_table(table, graded, experiment))


def _size(results: Results) -> str:
    """Return how many conditions, methods and data sets there are, in words."""
    experiment = results.experiment
    return ", ".join(
        [
            plural(len(experiment.cells), "condition"),
            plural(len(experiment.estimators), "method"),
            data_sets(results),
        ]
    )


def _sentence(verdict: Verdict) -> Text:
    """Return a verdict's sentence with its mark; names between backticks are bold."""
    mark, style = _MARKS[verdict.kind]
    text = Text(f"{mark} ", style=style)
    for i, part in enumerate(verdict.sentence.split("`")):
        text.append(part, style="bold" if i % 2 else "")
    return text


def methods_table(table: pd.DataFrame, graded: pd.DataFrame, experiment: Experiment) -> Table:
    """Return one row a method: its worst term with its coverage and failures, other failures, usable share, time.

    Terms are not pooled: a method that fails for the school-level terms alone would look harmless among the others.
    """
    places = asked(table)
    counts = tally(graded, places)
    usable = usable_shares(table).groupby("estimator").min()
    seconds = table[table["measure"] == "seconds_median"].groupby("estimator")["value"].median()
    silent = bool(counts["none"].any())
    several_levels = graded["level"].nunique() > 1
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    shown.add_column("method", overflow="fold", min_width=8)
    shown.add_column("worst for", overflow="fold", min_width=5)
    for name in ("low", "fails", *(["none"] if silent else []), "usable", "ms/fit"):
        shown.add_column(name, justify="right", no_wrap=True)
    for label in _in_order(experiment, counts.index):
        worst = worst_term(graded[graded["estimator"] == label])
        asked_in = int(((places["estimator"] == label) & (places["term"] == worst.term)).sum())
        further = count(counts, label, Grade.FAILS) - worst.fails
        shown.add_row(
            # `ols-wild[draws=99]` would be a style of Rich's.
            escape(label),
            escape(worst.term),
            f"{_percent(worst.low)}{'*' if worst.partial else ''}"
            + (f"/{100 * worst.level:g}" if several_levels and worst.term else ""),
            Text(
                (f"{worst.fails}/{asked_in}" if asked_in else "-") + (f" +{further}" if further else ""),
                style="red" if worst.fails else "",
            ),
            *([str(counts.loc[label, "none"])] if silent else []),
            _percent(float(usable.get(label, np.nan))),
            _milliseconds(float(seconds.get(label, np.nan))),
        )
    shown.caption = _caption(graded, silent, several_levels)
    shown.caption_justify = "left"
    return shown


def _caption(graded: pd.DataFrame, silent: bool, several_levels: bool) -> str:
    """Return what the columns of the table mean, as far as they are there."""
    low = "lowest coverage for that term, in %"
    if several_levels:
        low = "coverage for that term / the nominal level there, in %, where it falls furthest short"
    words = f"low: {low}; fails: conditions where it falls short, + for other terms."
    words += " none: estimands without an answer." if silent else ""
    if graded["partial"].any():
        bound = graded.loc[graded["partial"], "bound"].min()
        words += (
            f" * of the usable fits, fewer than {100 * USABLE_ENOUGH:.0f} % somewhere; coverage is down to "
            f"{100 * bound:.1f} with the others as misses."
        )
    return words


@dataclass(frozen=True, slots=True)
class Worst:
    """A method's worst term: the one that fails most often, then the one with the lowest coverage for its level."""

    term: str = ""
    low: float = np.nan
    level: float = np.nan
    fails: int = 0
    partial: bool = False


def worst_term(own: pd.DataFrame) -> Worst:
    """Return the worst term of one method's estimands."""
    worst_by_term = [
        Worst(
            str(term),
            *_lowest(rows),
            int((rows["grade"] == Grade.FAILS).sum()),
            bool(rows["partial"].any()),
        )
        for term, rows in own.groupby("term", sort=False)
    ]
    return min(
        worst_by_term,
        key=lambda worst: (-worst.fails, -float(missed(worst.low, worst.level))),
        default=Worst(),
    )


def _lowest(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the coverage whose share of misses is the largest multiple of the one allowed there, and its level."""
    row = rows.iloc[int(np.argmax(rows["missed"]))]
    return float(row["coverage"]), float(row["level"])


def _in_order(experiment: Experiment, present: Iterable[str]) -> list[str]:
    """Return the labels that are there, in the experiment's order."""
    there = set(present)
    return [estimator.label for estimator in experiment.estimators if estimator.label in there]


def _percent(share: float) -> str:
    """Return a share in per cent, a dash for none."""
    return f"{100 * share:.1f}" if np.isfinite(share) else "-"


def _milliseconds(seconds: float) -> str:
    """Return seconds in milliseconds, a dash for none."""
    return f"{1e3 * seconds:.3g}" if np.isfinite(seconds) else "-"
