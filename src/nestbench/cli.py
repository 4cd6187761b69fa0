"""The ``nestbench`` command: one line a command, whose file is loaded, and imports what it needs, when it runs."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any

# Workers run one fit per core; a BLAS that starts its own threads inside each would fight over the same cores and make
# times and last bits depend on the machine. These must be set before NumPy loads.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import typer  # noqa: E402

from nestbench.commands import narrow  # noqa: E402

COMMANDS = {
    "run": "run.run",
    "advise": "advise.advise",
    "size": "size.size",
    "estimate": "estimate.estimate",
    "read": "read.read",
    "list": "listing.listing",
    "simulate": "simulate.simulate",
    "report": "report.report",
    "plot": "plot.plot",
    "compare": "compare.compare",
    "query": "query.query",
    "replay": "replay.replay",
    "new": "new.new",
    "schema": "schema.schema",
    "verify": "verify.verify",
    "time": "timing.time",
    "league": "league.league",
    "merge": "merge.merge",
    "plan": "plan.plan",
    "baseline": "baseline.baseline",
    "check": "check.check",
    "ci": "ci.ci",
    "history": "history.history",
    "bisect": "bisect.bisect",
    "test": "conformance.conform",
}
"""Command -> its file in `nestbench.commands` and its function there, in the order of the help."""

BRIEF = ("estimate", "list", "new", "schema", "simulate")
"""Commands that load, work once and end."""
GARBAGE = 200_000
"""Objects that these may make before Python looks among all for garbage: as many as are loaded, and stay."""

FIRST_STEPS = (
    "nestbench list",
    "nestbench run few-schools",
    "nestbench estimate data.csv",
    "nestbench new my-study",
)


def _epilog(examples: Sequence[str]) -> str:
    """Return examples as the end of a help text; blank lines keep each on a line of its own."""
    # Rich would take `[query]` for a style and leave it out.
    return "\n\n".join(["Examples:", *examples]).replace("[", "\\[")


def _version(asked: bool) -> None:
    """Print the version and end."""
    if asked:
        from nestbench import __version__

        typer.echo(f"nestbench {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show version.")
    ] = False,
) -> None:
    """Which method to trust on nested data."""


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with some of the commands: reading the options of all takes longer than most of them."""
    made = typer.Typer(
        name="nestbench",
        cls=narrow.Group,
        help="Which method to trust on nested data: simulate, fit, compare, with known effects and Monte Carlo error.",
        epilog=_epilog(FIRST_STEPS),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",  # texts are escaped for it; older typers have another default
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_options)
    for name in names:
        _add(made, name)
    return made


def _add(made: typer.Typer, name: str) -> None:
    """Add a command, whose help ends with the examples of its file."""
    module, function = COMMANDS[name].split(".")
    file = import_module(f"nestbench.commands.{module}")
    made.command(name, cls=narrow.Command, epilog=_epilog(file.EXAMPLES))(getattr(file, function))


def __getattr__(name: str) -> Any:
    """Return the whole command line as `app`, made when it is first asked for."""
    if name != "app":
        raise AttributeError(f"module 'nestbench.cli' has no attribute '{name}'")
    globals()["app"] = application()
    return globals()["app"]


def main() -> None:
    """Run the command; errors made on purpose become one message on stderr and their exit code."""
    from nestbench.sim.errors import NestbenchError
    from nestbench.sim.visible import visible

    _with_streams()
    try:
        named = [word for word in sys.argv[1:2] if word in COMMANDS]
        if set(named) & set(BRIEF):
            _collect_rarely()
        # Where none is named all are needed: help lists them, and a mistyped word is like one of them.
        application(named or COMMANDS)()
        # A full disk is met here, not when Python ends: it would say "Exception ignored" and exit with 120.
        sys.stdout.flush()
    except NestbenchError as error:
        typer.echo(f"nestbench: {visible(str(error))}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        _say_unwritten(error)
        sys.exit(1)
    except MemoryError:
        typer.echo("nestbench: expected enough memory, got none left; what was stored is kept", err=True)
        sys.exit(1)


def _collect_rarely() -> None:
    """Look for garbage rarely, and not at the end: in all that is loaded there is none, and looking takes a fifth."""
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)


def _with_streams() -> None:
    """Stand in for a stream that the caller closed: what is said there goes nowhere, the work is done all the same.

    Its number is taken, too: workers inherit it, and a file of a run that got it would be written to as a stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if nothing == number:
                os.set_inheritable(nothing, True)
            setattr(sys, name, open(nothing, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115


def _say_unwritten(error: OSError) -> None:
    """Say that the output could not be written; a reader who wanted no more ends in click, with exit code 1."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python says it again at its end
        typer.echo(f"nestbench: expected to write the output, got '{error.strerror}'", err=True)
