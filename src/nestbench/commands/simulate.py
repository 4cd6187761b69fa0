"""``nestbench simulate``: one data set as CSV.

Of an experiment's condition, the very data that a run fits; or of a few options, for whoever only wants data to try
something on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust

EXAMPLES = (
    "nestbench simulate > data.csv",
    "nestbench simulate --schools 20 --icc 0.1 --csv data.csv",
    "nestbench simulate few-schools -c 2 --csv data.csv",
)


def simulate(
    experiment: Annotated[
        str | None,
        typer.Argument(
            help="A catalogue name, a TOML file or a run directory (default: the options).",
            autocompletion=completing.experiments,
        ),
    ] = None,
    cell: Annotated[
        int, typer.Option("-c", "--condition", "--cell", help="Condition of the experiment, from 0.")
    ] = 0,
    replication: Annotated[int, typer.Option(help="Replication: each has its own data.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Seed of the random streams.")] = None,
    schools: Annotated[int | None, typer.Option(help="Number of schools.")] = None,
    students: Annotated[int | None, typer.Option(help="Students per school.")] = None,
    treated_schools: Annotated[int | None, typer.Option(help="Schools that are treated.")] = None,
    icc: Annotated[float | None, typer.Option(help="Intraclass correlation.")] = None,
    law: Annotated[
        str | None,
        typer.Option(
            "--population", "--law", help="See nestbench list populations.", autocompletion=completing.law
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="File to write (default: stdout).")] = None,
    trust: Trust = False,
) -> None:
    """Draw one data set and write it as CSV: nestbench simulate > student_data.csv."""
    from nestbench.commands.output import say_data, write_text
    from nestbench.sim.errors import InvalidInput
    from nestbench.sim.observed.as_csv import csv_of_sample

    layout = {"schools": schools, "students": students, "treated_schools": treated_schools}
    given = {"layout": _given(layout), "population": _given({"law": law, "icc": icc})}
    if experiment is not None and (given["layout"] or given["population"]):
        raise InvalidInput(
            "expected an experiment or options such as --schools, got both; the data of an experiment are those of "
            "its file: choose with --condition"
        )
    if experiment is not None:
        from nestbench.experiments.running.resolving import resolve

        resolved = resolve(experiment, {"seed": seed}, trust)
        say_data(resolved)
    else:
        from nestbench.experiments.toml.conditions import without_methods

        resolved = without_methods(given, seed, "simulate")
    write_text(csv_of_sample(resolved.data_set(cell, replication)), csv)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {key: value for key, value in options.items() if value is not None}
