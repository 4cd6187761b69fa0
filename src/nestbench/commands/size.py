"""``nestbench size``: how many schools, how many students, which effect - for methods whose tests hold there."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nestbench.commands import completing
from nestbench.commands.output import say

if TYPE_CHECKING:
    from nestbench.sizing.answer import Sizing
    from nestbench.sizing.frontier import Frontier
    from nestbench.sizing.pilot import Pilot

EXAMPLES = (
    "nestbench size --students 20 --icc .1 --effect .25",
    "nestbench size --students 20 --icc .1 --half-width .2",
    "nestbench size trial.toml --solve effect --power .9",
    "nestbench size trial.toml --solve layout.schools",
)

TRIAL, PILOT, COST = "The trial", "From a pilot", "Costs"


def whole(text: str) -> int:
    """Return a whole number; a fraction is told the next one."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise typer.BadParameter(f"expected a whole number, got {text}")
    if value != int(value):
        raise typer.BadParameter(f"expected a whole number, got {text}; use {math.ceil(value)}")
    return int(value)


def _planned(help_: str) -> Any:
    return typer.Option(help=help_, show_default=False, rich_help_panel=TRIAL)


def _number(help_: str) -> Any:
    return typer.Option(help=help_, show_default=False, rich_help_panel=TRIAL, parser=whole, metavar="<int>")


def size(
    toml: Annotated[
        Path | None,
        typer.Argument(
            help="A TOML file with population, layout and model, instead of the options of a trial."
        ),
    ] = None,
    solve: Annotated[
        str | None,
        typer.Option(
            help="What is unknown: schools, students (a school), treated (schools), effect or icc; default: schools, "
            "with a budget effect.",
            show_default=False,
        ),
    ] = None,
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
    effect_spread: Annotated[
        float,
        typer.Option(help="SD of what is believed of the effect: the power is averaged over it (assurance)."),
    ] = 0.0,
    icc_spread: Annotated[
        float,
        typer.Option(
            help="SD of what is believed of the ICC, about --icc: the power is averaged over it, too."
        ),
    ] = 0.0,
    term: Annotated[
        str | None, typer.Option(help="Term asked about; default: treated.", show_default=False)
    ] = None,
    trial: Annotated[
        str | None,
        typer.Option(
            help="Who is randomised: schools, pairs (of schools), blocks (schools within blocks), students (in every "
            "school), or classes (schools with students in classes). Default: schools.",
            show_default=False,
            rich_help_panel=TRIAL,
        ),
    ] = None,
    schools: Annotated[int | None, _number("Number of schools.")] = None,
    students: Annotated[int | None, _number("Students a school; the mean, where sizes differ.")] = None,
    treated_share: Annotated[
        float | None, _planned("Share treated, of schools or of each school's students; default: 0.5.")
    ] = None,
    treated_schools: Annotated[int | None, _number("Treated schools, as a number.")] = None,
    icc: Annotated[
        float | None, _planned("Intraclass correlation: the schools' share of the outcome's variance.")
    ] = None,
    classes: Annotated[int | None, _number("Classes a school.")] = None,
    block_size: Annotated[int | None, _number("Schools a block.")] = None,
    class_icc: Annotated[float | None, _planned("The classes' share of the outcome's variance.")] = None,
    r2_school: Annotated[
        float | None, _planned("Share of the schools' variance that covariates explain.")
    ] = None,
    r2_class: Annotated[float | None, _planned("The same of the classes' variance.")] = None,
    r2_student: Annotated[float | None, _planned("The same of the students' variance.")] = None,
    effect_sd: Annotated[
        float | None, _planned("SD of the effect over schools (students randomised).")
    ] = None,
    size_cv: Annotated[float | None, _planned("Coefficient of variation of the schools' sizes.")] = None,
    lost_schools: Annotated[float | None, _planned("Share of schools that drop out.")] = None,
    lost_students: Annotated[float | None, _planned("Share of students that drop out.")] = None,
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
    like: Annotated[
        Path | None,
        typer.Option(
            help="A pilot, a row a student: what isn't given of ICC, R^2, sizes and SD is taken from it.",
            show_default=False,
            rich_help_panel=PILOT,
        ),
    ] = None,
    formula: Annotated[
        str | None,
        typer.Option(help="Outcome and covariates of the pilot.", show_default=False, rich_help_panel=PILOT),
    ] = None,
    group: Annotated[
        str, typer.Option(help="Column of the pilot's schools.", rich_help_panel=PILOT)
    ] = "school",
    cost_school: Annotated[
        float | None,
        typer.Option(
            help="Of a school: with the cost of a student, the cheapest design is looked for.",
            show_default=False,
            rich_help_panel=COST,
        ),
    ] = None,
    cost_student: Annotated[
        float | None, typer.Option(help="Of a student.", show_default=False, rich_help_panel=COST)
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            help="With both costs: of the designs that it buys the one that finds the smallest effect.",
            show_default=False,
            rich_help_panel=COST,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="Folder for size.html (curves, what if, a paragraph for a grant), size.json, experiment.toml and its "
            "run; the same command goes on where it was stopped.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how large a trial must be, or which effect it can find, with tests that hold there.

    Each method's answer stands beside its type I error at that very
    design: a test that rejects too often promises too much.

    Students a school, ICC and the effect to be found are enough to begin
    with. --trial says who is randomised, --solve asks for something else
    than the number of schools, --like takes what isn't given from a
    pilot, and prices of a school and a student ask for the cheapest
    design.
    """
    from nestbench.own_data.bar import shown
    from nestbench.sim.errors import Interrupted, InvalidInput
    from nestbench.sizing.asking import Settings, answered
    from nestbench.sizing.page import write_page
    from nestbench.sizing.posing import Options

    described = {
        "kind": trial,
        "schools": schools,
        "students": students,
        "treated_share": treated_share,
        "treated_schools": treated_schools,
        "icc": icc,
        "classes": classes,
        "block_size": block_size,
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
    if (cost_school is None) != (cost_student is None):
        raise InvalidInput("expected --cost-school and --cost-student together, got one of them; give both")
    costs = None if cost_school is None or cost_student is None else (cost_school, cost_student)
    solve = solve or ("schools" if budget is None else "effect")
    asked = Options(
        toml, solve, power, half_width, alpha, term, effect, effect_spread, icc_spread, methods, given
    )
    pilot = None if like is None else pilot_in(like, formula, group, term)
    try:
        with shown(0) as step:
            found = answered(asked, Settings(seed, workers, out=out), pilot, costs, budget, step)
            if out is not None:
                write_page(found, out, workers, step)
    except KeyboardInterrupt:
        kept = "nothing is kept without --out" if out is None else f"the same command goes on from {out}"
        raise Interrupted(f"stopped; {kept}") from None
    show(found, out, workers, as_json)


def pilot_in(file: Path, formula: str | None, group: str, term: str | None) -> Pilot:
    """Return what a file's data say of a trial."""
    from nestbench.sim.tables.reading import read_table
    from nestbench.sizing.pilot import formula_of, pilot_of

    table = read_table(file, (group,))
    return pilot_of(table.frame, formula_of(formula), group, term or "treated")


def text_at(found: Sizing | Frontier, width: int) -> str:
    """Return the answer in a terminal's width."""
    from nestbench.sizing import bought, terminal
    from nestbench.sizing.answer import Sizing

    return terminal.text_of(found, width) if isinstance(found, Sizing) else bought.text_of(found, width)


def show(found: Sizing | Frontier, out: Path | None, workers: int | None, as_json: bool) -> None:
    """Write what is to be kept, and print the answer."""
    from nestbench.experiments.running.progress import automatic
    from nestbench.sizing.answer import Sizing
    from nestbench.sizing.as_json import json_of
    from nestbench.sizing.files import RUN, write_sizing
    from nestbench.sizing.page import PAGE

    if out is not None:
        write_sizing(found, out, workers, automatic())
    if as_json:
        typer.echo(json_of(found))
        return
    say(text_at(found, min(shutil.get_terminal_size().columns, 80)))
    if out is not None and (isinstance(found, Sizing) or found.best is not None):
        say(f"Report: {out / PAGE}")
        say(f"Run: {out / RUN}")
