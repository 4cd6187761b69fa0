"""``nestbench history``: a study's measures over the commits of a project, with the steps in them.

The file goes into version control. Exit codes: 0 done, 2 input that can't be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = (
    "nestbench history runs/few-schools --commit 1.2.0",
    "nestbench history --json",
    "nestbench history --measure coverage -o coverage.png",
)


def history(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="A run directory whose measures are added (default: show what is there).", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="The history, a line a condition, method and term.")
    ] = Path("history.jsonl"),
    commit: Annotated[
        str | None,
        typer.Option(help="The run's commit, or version (default: git's here).", show_default=False),
    ] = None,
    date: Annotated[
        str | None, typer.Option(help="Its date, ISO 8601 (default: the commit's).", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="Figure: .svg, .pdf, .png, .html or .json (default: FILE with .svg)."
        ),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="A measure drawn; may be given several times (default: those with steps)."),
    ] = None,
    term: Annotated[
        str | None, typer.Option(help="The term drawn (default: the one with the most steps).")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-e", help="A method drawn; may be given several times (default: all)."),
    ] = None,
    alpha: Annotated[
        float,
        typer.Option(min=1e-12, max=0.5, help="Chance of any step where nothing changed, over all of it."),
    ] = 1e-4,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Add a run to a small file of measures by commit; say what changed when, and draw it.

    Of one commit and seed the last run counts. Runs on the same data sets are compared in pairs: the file holds what
    that takes.
    """
    from nestbench.experiments.storing.store import Store
    from nestbench.history.commits import commit_here
    from nestbench.history.keeping import load, save, with_run
    from nestbench.history.picture import Chosen, picture
    from nestbench.history.recording import entries_of
    from nestbench.history.showing import to_json, to_text
    from nestbench.history.steps import steps_of
    from nestbench.reports.figures.theme import write_chart
    from nestbench.sim.errors import InvalidInput

    entries = load(file)
    if run is None and (commit or date):
        raise InvalidInput("expected a run beside --commit and --date, got none; name its directory")
    if run is not None:
        from nestbench.commands.output import say_missing

        store = Store.open(run)
        say_missing(store)
        entries = with_run(entries, entries_of(store, commit_here(file, commit, date)))
        save(entries, file)
    steps = steps_of(entries, alpha)
    if json:
        typer.echo(to_json(entries, steps, alpha), nl=False)
    else:
        say(to_text(entries, steps, alpha))
    if entries:
        path = out or file.with_suffix(".svg")
        write_chart(picture(entries, steps, Chosen(tuple(measure or ()), tuple(method or ()), term)), path)
        say(f"Wrote {path}", err=True)
