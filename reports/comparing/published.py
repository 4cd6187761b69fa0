"""Published numbers beside ours: the difference in Monte Carlo errors of both sides.

The Monte Carlo error of a published number isn't known; it is taken to be ours for as many replications, and that
of a proportion is at least what the published value itself implies, so that a rate of 0 or 1 on our side keeps an
error. An exact value has none. A difference is marked when it exceeds 5 errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.files import write_atomically
from nestbench.experiments.toml.published_tables import Published, published_of
from nestbench.reports.conditions import where
from nestbench.reports.frames import csv_of
from nestbench.reports.measures.performance import FIT
from nestbench.reports.measures.printed import printed_mcse
from nestbench.reports.wording import head_words, several, unsigned

LIMIT = 5.0
"""Differences beyond this many Monte Carlo errors are marked."""

SHOWN = 40
"""Rows printed at most."""

PROPORTIONS = ("coverage", "rejection", "usable_share", "share_boundary", "share_ok")


def compare_published(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Return one row a published number that has a counterpart in the performance table.

    Columns: one per factor, ``estimator, term, measure, published, replications, published_mcse, ours, mcse, n,
    difference, errors`` (difference over the root of both squared errors), ``source, note``.
    """
    table = table.assign(mcse=printed_mcse(table))
    factors = list(experiment.levels[0]) if experiment.levels else []
    index = table.set_index(["estimator", "term", "measure"]).sort_index() if len(table) else table
    rows = [row for number in published_of(experiment) for row in _matches(index, number, factors)]
    columns = (
        "estimator",
        "term",
        "measure",
        "published",
        "replications",
        "published_mcse",
        "ours",
        "mcse",
        "n",
    )
    return pd.DataFrame(rows, columns=[*factors, *columns, "difference", "errors", "source", "note"])


def _matches(index: pd.DataFrame, number: Published, factors: list[str]) -> list[dict[str, object]]:
    """Return the run's numbers for a published one: several where a factor isn't named."""
    key = (number.estimator, number.term, number.measure)
    if not len(index) or key not in index.index:
        return []
    # A list, or pandas gives a single row as a series.
    rows = index.loc[[key]]
    for factor, level in number.levels.items():
        rows = rows[rows[factor] == level]
    return [
        {name: row[name] for name in factors}
        | _row(number, float(row["value"]), float(row["mcse"]), int(row["n"]))
        for row in rows.to_dict("records")
    ]


def _row(number: Published, ours: float, mcse: float, n: int) -> dict[str, object]:
    """Return a published number beside ours, with their difference in Monte Carlo errors of both."""
    theirs = published_mcse(number, mcse, n)
    own = max(mcse, _rate_error(number.value, n)) if number.measure in PROPORTIONS else mcse
    both = float(np.hypot(own, theirs))
    difference = ours - number.value
    return {
        "estimator": number.estimator,
        "term": number.term,
        "measure": number.measure,
        "published": number.value,
        "replications": number.replications or "exact",
        "published_mcse": theirs,
        "ours": ours,
        "mcse": mcse,
        "n": n,
        "difference": difference,
        "errors": difference / both if both > 0 else (0.0 if difference == 0 else np.inf),
        "source": number.source,
        "note": number.note,
    }


def published_mcse(number: Published, mcse: float, n: int) -> float:
    """Return the Monte Carlo error of a published number: ours for its replications; 0 for an exact one.

    Publications rarely state theirs: it is taken to be what ours would be with as many data sets, 0 for exact
    numbers.
    """
    if number.replications is None:
        return 0.0
    error = mcse * float(np.sqrt(n / number.replications))
    return (
        max(error, _rate_error(number.value, number.replications)) if number.measure in PROPORTIONS else error
    )


def _rate_error(rate: float, n: int) -> float:
    """Error of a proportion with one success and one failure added, so that it is never 0."""
    shrunk = (rate * n + 1.0) / (n + 2.0)
    return float(np.sqrt(shrunk * (1.0 - shrunk) / n))


def _factors(compared: pd.DataFrame) -> list[str]:
    """Return the columns that are factors: those before the method."""
    return list(compared.columns[: list(compared.columns).index("estimator")])


def published_sentence(compared: pd.DataFrame, experiment: Experiment) -> str:
    """Return how many published numbers are reproduced, in one sentence."""
    worst = compared.iloc[int(np.argmax(compared["errors"].abs()))]
    off = int((compared["errors"].abs() > LIMIT).sum())
    total = len(compared)
    within = f"All {total}" if not off else f"{total - off} of {total}"
    opening = f"{within} published numbers lie within" if total > 1 else "The one published number lies "
    if total == 1:
        opening += "outside" if off else "within"
    errors = unsigned(f"{worst['errors']:+.1f}")
    levels = {name: worst[name] for name in _factors(compared)}
    there = where(experiment, [dict(level) for level in experiment.levels].index(levels))
    return (
        f"{opening} {LIMIT:g} Monte Carlo errors of ours; the furthest is "
        f"`{worst['estimator']}` ({worst['measure']} of `{worst['term']}`{there}): "
        f"published {worst['published']:g}, ours {worst['ours']:.4f}, {errors} errors."
    )


def print_published(table: pd.DataFrame, experiment: Experiment, console: Console) -> None:
    """Print the comparison, if the experiment has published numbers; of a long one the furthest `SHOWN` rows."""
    compared = compare_published(table, experiment)
    if not len(compared):
        return
    shown = compared
    if len(compared) > SHOWN:
        furthest = compared["errors"].abs().sort_values(ascending=False).index[:SHOWN]
        shown = compared.loc[furthest.sort_values()]
    console.print()
    console.print(Text(f"Published numbers beside ours: {_about(compared)} (* exact)", style="bold"))
    console.print(published_lines(shown))
    if len(shown) < len(compared):
        console.print(f"the {SHOWN} furthest of {len(compared)}; all are in published.csv", style="dim")
    console.print(published_sentence(compared, experiment).replace("`", ""), markup=False, highlight=False)


def _about(compared: pd.DataFrame) -> str:
    """Return which measures of which terms are compared."""
    measures, terms = (list(compared[name].unique()) for name in ("measure", "term"))
    coefficients = [str(term) for term in terms if term != FIT]
    return several([str(m) for m in measures]) + (f" of {several(coefficients)}" if coefficients else "")


def published_lines(compared: pd.DataFrame) -> Table:
    """Return the comparison as a table for the terminal; differences beyond `LIMIT` are red.

    The measure has a column only where there are several.
    """
    layout = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    factors = _factors(compared)
    for factor in factors:
        layout.add_column(head_words(factor), overflow="fold")
    layout.add_column("method", overflow="fold")
    many = compared["measure"].nunique() > 1
    if many:
        layout.add_column("measure", overflow="fold")
    for name in ("published", "ours", "(mcse)", "errors"):
        layout.add_column(name, justify="right", no_wrap=True)
    for row in compared.to_dict("records"):
        errors = float(row["errors"])
        exact = "*" if row["replications"] == "exact" else " "
        cells = [*(escape(str(row[f])) for f in factors), escape(str(row["estimator"]))]
        cells += [str(row["measure"])] if many else []
        numbers = [
            f"{row['published']:.4f}{exact}",
            f"{row['ours']:.4f}",
            f"({row['mcse']:.4f})",
            f"{errors:+.1f}",
        ]
        layout.add_row(*cells, *numbers, style="red" if abs(errors) > LIMIT else "")
    return layout


def published_section(table: pd.DataFrame, experiment: Experiment) -> dict[str, Any] | None:
    """Return the comparison for the page: a sentence, heads, rows of text, words; None without published numbers."""
    compared = compare_published(table, experiment)
    if not len(compared):
        return None
    factors = _factors(compared)
    return {
        "sentence": published_sentence(compared, experiment),
        "heads": [*map(head_words, factors), "method", "term", "measure", *_HEADS],
        "rows": [_page_row(row, factors) for row in compared.to_dict("records")],
        "words": "Errors: the difference over the Monte Carlo errors of both sides; exact values have none. "
        + " ".join(f"{source}." for source in dict.fromkeys(compared["source"]))
        + "".join(f" Note: {note}." for note in dict.fromkeys(compared["note"]) if note),
    }


_HEADS = ("published", "their data sets", "ours", "MCSE", "errors")


def _page_row(row: Mapping[Any, Any], factors: list[str]) -> list[str]:
    """Return a row as the page shows it; a difference beyond the limit is marked."""
    mark = " !" if abs(row["errors"]) > LIMIT else ""
    return [
        *(str(row[name]) for name in (*factors, "estimator", "term", "measure")),
        f"{row['published']:.4f}",
        str(row["replications"]),
        f"{row['ours']:.4f}",
        f"{row['mcse']:.4f}",
        f"{row['errors']:+.1f}{mark}",
    ]


def write_published(table: pd.DataFrame, experiment: Experiment, folder: Path) -> Path | None:
    """Write the comparison as ``published.csv`` into a run directory, if there is one."""
    compared = compare_published(table, experiment)
    if not len(compared):
        return None
    write_atomically(folder / "published.csv", csv_of(compared).encode())
    return folder / "published.csv"
