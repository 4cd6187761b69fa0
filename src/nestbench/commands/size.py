"""``nestbench size``: how many schools, how many students, which effect - for methods whose tests hold there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nestbench.commands import completing
from nestbench.commands.output import say

EXAMPLES = (
    "nestbench size --students 20 --icc .1 --effect .25",
    "nestbench size trial.toml --solve effect --power .9",
    "nestbench size trial.toml --solve layout.schools",
    "nestbench size trial.toml --solve students --json",
)

TRIAL = "The trial"


def _whole(help_: str) -> Any:
    return typer.Option(help=help_, show_default=False, rich_help_panel=TRIAL)


def _share(help_: str) -> Any:
    return typer.Option(help=help_, show_default=False, rich_help_panel=TRIAL)


def size(
    toml: Annotated[
        Path | None,
        typer.Argument(
            help="A TOML file with population, layout and model, instead of the options of a trial."
        ),
    ] = None,
    solve: Annotated[
        str,
        typer.Option(help="What is unknown: schools, students (a school), treated (schools), effect or icc."),
    ] = "schools",
    power: Annotated[
        float | None, typer.Option(help="To be reached; default: 0.8.", show_default=False)
    ] = None,
    half_width: Annotated[
        float | None,
        typer.Option(
            help="Half-width of the interval to be reached, instead of a power.", show_default=False
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Of the two-sided tests.")] = 0.05,
    effect: Annotated[
        float | None,
        typer.Option(
            help="To be found, in SDs of the outcome (of a TOML file: in its units).", show_default=False
        ),
    ] = None,
    term: Annotated[
        str | None, typer.Option(help="Term asked about; default: treated.", show_default=False)
    ] = None,
    trial: Annotated[
        str | None,
        typer.Option(
            help="Who is randomised: schools, pairs (of schools), students (in every school), or classes (schools with "
            "students in classes). Default: schools.",
            show_default=False,
            rich_help_panel=TRIAL,
        ),
    ] = None,
    schools: Annotated[int | None, _whole("Number of schools.")] = None,
    students: Annotated[int | None, _whole("Students a school; the mean, where sizes differ.")] = None,
    treated_share: Annotated[
        float | None, _share("Share treated, of schools or of each school's students; default: 0.5.")
    ] = None,
    treated_schools: Annotated[int | None, _whole("Treated schools, as a number.")] = None,
    icc: Annotated[float | None, _share("Schools' share of the outcome's variance.")] = None,
    classes: Annotated[int | None, _whole("Classes a school.")] = None,
    class_icc: Annotated[float | None, _share("Classes' share of the outcome's variance.")] = None,
    r2_school: Annotated[
        float | None, _share("Share of the schools' variance that covariates explain.")
    ] = None,
    r2_class: Annotated[float | None, _share("The same of the classes' variance.")] = None,
    r2_student: Annotated[float | None, _share("The same of the students' variance.")] = None,
    effect_sd: Annotated[float | None, _share("SD of the effect over schools (students randomised).")] = None,
    size_cv: Annotated[float | None, _share("Coefficient of variation of the schools' sizes.")] = None,
    lost_schools: Annotated[float | None, _share("Share of schools that drop out.")] = None,
    lost_students: Annotated[float | None, _share("Share of students that drop out.")] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="With commas; default: five.", show_default=False, autocompletion=completing.methods
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 20261126,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Threads; default: one a core. The answer doesn't depend on it.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for size.html (curves, what if, a paragraph for a grant), size.json, experiment.toml and its "
            "run; the same command goes on where it was stopped.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how large a trial must be, or which effect it can find, with tests that hold there.

    Each method's answer stands beside its type I error at that very design: a test that rejects too often promises
    too much.
    """
    from nestbench.experiments.running.progress import automatic
    from nestbench.own_data.bar import shown
    from nestbench.sim.errors import Interrupted
    from nestbench.sizing.asking import Settings, sizing_of
    from nestbench.sizing.files import RUN, write_sizing
    from nestbench.sizing.page import PAGE, write_page
    from nestbench.sizing.plain import json_of
    from nestbench.sizing.posing import question_of

    described = {
        "kind": trial,
        "schools": schools,
        "students": students,
        "treated_share": treated_share,
        "treated_schools": treated_schools,
        "icc": icc,
        "classes": classes,
        "class_icc": class_icc,
        "r2_school": r2_school,
        "r2_class": r2_class,
        "r2_student": r2_student,
        "effect_sd": effect_sd,
        "size_cv": size_cv,
        "lost_schools": lost_schools,
        "lost_students": lost_students,
    }
    # An option that wasn't given leaves the trial its default, and contradicts no TOML file.
    given = {name: value for name, value in described.items() if value is not None}
    question = question_of(toml, solve, power, half_width, alpha, term, effect, methods, given)
    try:
        with shown(0) as step:
            sizing = sizing_of(question, Settings(seed, workers, out=out), step)
            if out is not None:
                write_page(sizing, out, workers, step)
    except KeyboardInterrupt:
        kept = "nothing is kept without --out" if out is None else f"the same command goes on from {out}"
        raise Interrupted(f"stopped; {kept}") from None
    if out is not None:
        write_sizing(sizing, out, workers, automatic())
    if as_json:
        typer.echo(json_of(sizing))
        return
    say(sizing.shown)
    if out is not None:
        say(f"Report: {out / PAGE}")
        say(f"Run: {out / RUN}")
