"""``nestbench advise``: which method to use on a user's own data, by simulation on its design."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.options import Formula, Group, Level, Random, Subgroup, Table
from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.advising.advice import Advice

EXAMPLES = (
    "nestbench advise data.csv",
    'nestbench advise data.csv --formula "grade ~ age + gender"',
    "nestbench advise data.csv --term age --out advice",
    "nestbench advise data.csv --replications 2000 --json",
)


def advise(
    data: Table,
    formula: Formula = "grade ~ age + gender",
    group: Group = "school",
    term: Annotated[
        list[str] | None,
        typer.Option(
            help="Term asked about; may be given several times. Default: all constant in schools, else the first.",
            show_default=False,
        ),
    ] = None,
    random: Random = "1",
    subgroup: Subgroup = None,
    level: Level = 0.95,
    replications: Annotated[
        int | None,
        typer.Option(
            min=100,
            help="Data sets of each scenario; default: 10 000, fewer for large data.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 20261125,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods tried beside the usual ones, with commas; default: all that apply.",
            show_default=False,
            autocompletion=completing.methods,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: one a core.", show_default=False)
    ] = None,
    scenario: Annotated[
        Path | None,
        typer.Option(help="A TOML file with scenarios of your own.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="Folder for advise.html, the design and the experiment.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which method to use for a term, by simulation on your own design.

    Errors are calibrated from the residuals of your model, never from the effect you ask about; the estimate comes
    last.
    """
    from nestbench.sim.errors import Interrupted

    terms: list[str] = []
    found: list[Advice] = []
    try:
        # What is imported takes seconds, too, in which somebody may think better of it.
        from nestbench.advising.analysis import analysis_of, asked_terms
        from nestbench.advising.asking import Settings, advice_of
        from nestbench.own_data.bar import shown
        from nestbench.own_data.user_data import groups_of
        from nestbench.sim.observed.model import Model
        from nestbench.sim.tables.reading import read_table

        model = Model(formula, group, random, level, subgroup)
        table = read_table(data, groups_of(model))
        analysis = analysis_of(table.frame, model, table.messages)
        settings = Settings(replications, seed, methods, workers, scenario)
        terms += asked_terms(analysis, term or ())
        with shown(len(table.frame)) as step:
            # One after another: those before a stop are in the list then.
            found.extend(advice_of(analysis, name, settings, step) for name in terms)
    except KeyboardInterrupt:
        lost = f"of the advice on {', '.join(terms[len(found) :])} " if terms else ""
        raise Interrupted(f"stopped; {lost}nothing is kept") from None
    finally:
        if found:
            _show(found, out, as_json)


def _show(found: list[Advice], out: Path | None, as_json: bool) -> None:
    """Write advice where it is to be kept, and print it."""
    from nestbench.advising.as_json import json_of
    from nestbench.advising.files import write_advice
    from nestbench.advising.terminal import LINES, WIDTH, text_of

    if out is not None:
        write_advice(found, out)
    if as_json:
        typer.echo(json_of(found))
        return
    for message in found[0].messages:
        say(message)
    width = min(shutil.get_terminal_size().columns, WIDTH)
    # The line that names the report is one of the ten.
    lines = LINES - (out is not None)
    say("\n\n".join(text_of(advice, width, lines) for advice in found))
    if out is not None:
        say(f"Report: {out / 'advise.html'}")
