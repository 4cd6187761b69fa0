"""``nestbench estimate``: methods side by side on a user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.options import Formula, Group, Level, Random, Subgroup, Table
from nestbench.commands.output import say

EXAMPLES = (
    "nestbench estimate data.csv",
    'nestbench estimate data.csv --formula "grade ~ age" --all',
    'nestbench estimate data.csv --formula "grade~(1|school)"',
    "nestbench estimate data.csv --methods ols,reml-kr",
    "nestbench estimate data.csv --null age=2 --json",
)


def estimate(
    data: Table,
    formula: Formula = "grade ~ age + gender",
    group: Group = "school",
    estimators: Annotated[
        str | None,
        typer.Option(
            "--methods",
            "--estimators",
            help="Names with commas, options after colons: ols,ols-wild:draws=9999; default: the usual ones and "
            "those for few schools.",
            show_default=False,
            autocompletion=completing.methods,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every method that applies.")] = False,
    random: Random = "1",
    subgroup: Subgroup = None,
    level: Level = 0.95,
    null: Annotated[
        list[str] | None,
        typer.Option(
            help="Value that a term is tested for instead of 0: treated=0.3; may be given several times.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto, reference or batched.", autocompletion=completing.engine)
    ] = "auto",
    plugin: Annotated[
        list[Path] | None,
        typer.Option(
            help="A Python file with methods of your own; may be given several times.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one row a method and term.")] = False,
) -> None:
    """Fit methods to your own data and show them side by side.

    The usual methods and those for few schools, or with --all every one that applies; from 5000 groups on without
    those that a trial on some groups expects to take more than a minute. Which one to believe: nestbench advise.
    """
    from nestbench.estimators.methods.choices import choices_of
    from nestbench.experiments.plugins import load_file
    from nestbench.own_data.bar import shown
    from nestbench.own_data.side_by_side import fit_all, print_tables, to_csv, to_json
    from nestbench.own_data.user_data import groups_of, null_values
    from nestbench.own_data.usual import shown_line, shown_unasked
    from nestbench.sim.errors import InvalidInput
    from nestbench.sim.observed.model import Model
    from nestbench.sim.tables.reading import read_table

    if as_json and as_csv:
        raise InvalidInput("expected one of --json and --csv, got both; leave one out")
    if every and estimators is not None:
        raise InvalidInput("expected one of --all and --methods, got both; leave one out")
    # Before names are read, which may be those of its methods.
    for file in plugin or ():
        load_file(file)
    model = Model(formula, group, random, level, subgroup, null_values(null or ()))
    usual = estimators is None and not every
    names = choices_of(estimators) if estimators is not None else shown_unasked(model) if usual else None
    table = read_table(data, groups_of(model))
    with shown(len(table.frame)) as step:
        fits = fit_all(table.frame, model, names, engine, table.messages, step, unasked=usual)
    if as_json:
        typer.echo(to_json(fits))
    elif as_csv:
        typer.echo(to_csv(fits), nl=False)
    else:
        print_tables(fits)
        if usual:
            say(shown_line(len(fits.fits)))
    fits.require_an_answer()
