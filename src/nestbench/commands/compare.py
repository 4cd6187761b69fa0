"""``nestbench compare``: two runs of the same conditions.

A table for people: only what is beyond Monte Carlo error, unless `--all` asks for every comparison; `--csv` has them
all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = (
    "nestbench compare runs/before runs/after",
    "nestbench compare runs/before runs/after --csv all.csv",
)


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run directory.")],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one.")],
    csv: Annotated[Path | None, typer.Option(help="Also write every comparison to a file.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print what did not change, too.")] = False,
) -> None:
    """Say what changed beyond Monte Carlo error, paired where both runs saw the same data sets."""
    from rich.console import Console

    from nestbench.commands.output import say_missing, write_csv
    from nestbench.experiments.storing.store import Store
    from nestbench.reports.comparing.two_runs import compare_runs
    from nestbench.sim.counted import plural

    stores = Store.open(first), Store.open(second)
    table = compare_runs(*stores)
    for store in stores:
        say_missing(store, f"{store.folder}: ")
    if csv is not None:
        write_csv(table, csv)
    console = Console()
    beyond = int(table["beyond"].sum())
    kind = "the same data sets (paired)" if table["paired"].all() else "different data sets"
    if kind.startswith("different") and table["paired"].any():
        kind = "the same data sets (paired) in some conditions, different ones in others"
    console.print(
        f"{beyond} of {plural(len(table), 'comparison')} beyond Monte Carlo error, on {kind} (Holm's method: by chance "
        "any at all in 5 % of such comparisons of runs).",
        highlight=False,
    )
    shown = table if every else table[table["beyond"]]
    if not len(shown):
        return
    for line in lines(shown):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def lines(shown: pd.DataFrame) -> list[str]:
    """Return a table of the changes under a heading for each condition and term: narrow enough for 60 columns."""
    from nestbench.reports.wording import rounded

    places = [tuple(place) for place in shown[["condition", "term"]].to_numpy().tolist()]
    rows = [("method", "measure", "A", "B", "change (MCSE)")]
    for row in shown.to_dict("records"):
        numbers = (_like(row["a"], row["mcse"]), _like(row["b"], row["mcse"]))
        rows.append((row["estimator"], row["measure"], *numbers, rounded(row["change"], row["mcse"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = ["  " + "  ".join(_set(row, widths)).rstrip() for row in rows]
    texts_by_place = [texts[0]]
    for place in dict.fromkeys(places):
        texts_by_place.append(f"{place[0]}, {place[1]}:")
        texts_by_place += [text for text, there in zip(texts[1:], places, strict=True) if there == place]
    return texts_by_place


def _set(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    """Yield the entries of a row at the widths of their columns: words to the left, numbers to the right."""
    for k, (text, width) in enumerate(zip(row, widths, strict=True)):
        yield text.ljust(width) if k < 2 else text.rjust(width)


def _like(value: float, mcse: float) -> str:
    """Return a value with the decimals that the change has."""
    from nestbench.reports.wording import decimals

    return f"{value:.{decimals(mcse)}f}" if math.isfinite(mcse) and mcse > 0 else f"{value:.4g}"
