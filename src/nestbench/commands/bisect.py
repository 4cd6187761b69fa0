"""``nestbench bisect``: the version of a package at which a measure moved.

Exit codes: 0 looked at, whether anything moved or not; 2 input that can't be used; 130 stopped by the user with
environments and runs kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands import completing
from nestbench.commands.options import Trust
from nestbench.commands.output import say

EXAMPLES = (
    "nestbench bisect glmm 0.5.0 0.6.2 --study mixed.toml",
    "nestbench bisect glmm 0.5.0 0.6.2 -s mixed.toml --every",
)


def bisect(
    package: Annotated[str, typer.Argument(help="The package, as pip installs it.")],
    old: Annotated[str, typer.Argument(help="A version that answers as it should.")],
    new: Annotated[str, typer.Argument(help="A later version that doesn't.")],
    study: Annotated[
        str,
        typer.Option(
            "--study",
            "-s",
            help="The experiment that each version runs: a TOML file or a name of the catalogue.",
            autocompletion=completing.experiments,
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-e", help="A method of the study; may be given several times (default: all)."
        ),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="A measure looked at; may be given several times (default: those of baselines)."),
    ] = None,
    term: Annotated[
        list[str] | None,
        typer.Option(help="A term looked at; may be given several times (default: all)."),
    ] = None,
    condition: Annotated[
        list[int] | None,
        typer.Option("-c", "--condition", help="A condition's number; may be given several times."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the study.")] = None,
    replications: Annotated[int | None, typer.Option(help="Replications of the study.")] = None,
    beyond: Annotated[
        float, typer.Option(min=0.0, help="Monte Carlo errors by which a measure must differ to have moved.")
    ] = 0.001,
    every: Annotated[bool, typer.Option("--every", help="Try all versions, find all steps.")] = False,
    pre: Annotated[bool, typer.Option("--pre", help="Pre-releases, too.")] = False,
    build: Annotated[
        bool, typer.Option("--build", help="Build versions without a wheel from source (their code is run).")
    ] = False,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="A package that versions need without saying so; may be given several times."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=1.0, help="Seconds that a version may take.", show_default=False)
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of environments and runs, which are used again.")
    ] = Path("runs/bisect"),
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the package's environments at the end.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes of a run.")] = None,
    trust: Trust = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the version of a package at which a measure moved.

    Each version gets a virtual environment with that version in front of what is installed here, and runs the study on
    the same data sets. Versions are halved; one that can't be installed, or crashes, is skipped and said.
    """
    from nestbench.bisecting.answers import Wanted
    from nestbench.bisecting.asking import Question, ask
    from nestbench.bisecting.showing import to_json, to_text
    from nestbench.bisecting.trying import Study, Trials
    from nestbench.bisecting.versions import require_name

    asked = {"seed": seed, "replications": replications}
    changes = {name: value for name, value in asked.items() if value is not None}
    trials = Trials(
        package,
        Study(study, tuple(method or ()), changes, workers, trust, timeout),
        Wanted(tuple(measure or ()), tuple(term or ()), tuple(condition or ())),
        out,
        build,
        tuple(more or ()),
        lambda text: say(text, err=True),
    )
    for name in trials.more:
        require_name(name)
    outcome = ask(trials, Question(old, new, beyond, every, pre))
    if json:
        typer.echo(to_json(outcome, trials, beyond), nl=False)
    else:
        say(to_text(outcome, trials, beyond))
    if remove:
        trials.remove()
