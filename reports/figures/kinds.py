"""Every kind of figure: its name, what it shows, what can be chosen of it, and where its record stands.

``nestbench plot`` draws and describes what stands here, a notebook calls `figure`. Nothing heavy is imported, since the
help is made from this: how a kind is drawn and what is said under it is its record, beside the function that draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from nestbench.reports.figures.wishes import CELL as CELL
from nestbench.reports.figures.wishes import MEASURE as MEASURE
from nestbench.reports.figures.wishes import METHODS as METHODS
from nestbench.reports.figures.wishes import TERM as TERM
from nestbench.reports.figures.wishes import Kind
from nestbench.reports.figures.wishes import Wish as Wish
from nestbench.sim.errors import InvalidInput, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from nestbench.experiments.experiment import Experiment
    from nestbench.experiments.results import Results
    from nestbench.reports.figures.drawing import FromReplications, FromTable
    from nestbench.reports.figures.theme import Chart


_PANELS = frozenset({TERM, CELL, METHODS})
_FITS = frozenset({CELL, METHODS})
_ACROSS = frozenset({TERM, METHODS, MEASURE})

KINDS: Mapping[str, Kind] = {
    "coverage": Kind("share of intervals that hold the true value", _PANELS, "panels:COVERAGE"),
    "bias": Kind("mean error of the estimates", _PANELS, "panels:BIAS"),
    "se-error": Kind("standard errors against the spread of the estimates", _PANELS, "panels:SE_ERROR"),
    "rejection": Kind("type I error or power", _PANELS, "panels:REJECTION"),
    "lollipop": Kind("a measure's distance from its ideal", _PANELS | {MEASURE}, "lollipops:LOLLIPOP"),
    "nested-loop": Kind("a measure over all conditions on one axis", _ACROSS, "nested:NESTED_LOOP"),
    "power": Kind("a measure against a numeric factor", _ACROSS, "lines:POWER"),
    "zip": Kind("every interval, by distance from the truth", _PANELS, "replications:ZIP"),
    "se-estimate": Kind("standard error against estimate", _PANELS, "replications:SE_ESTIMATE"),
    "methods": Kind("estimates of each method against the first one's", _PANELS, "replications:METHODS"),
    "p-values": Kind("distribution of the p-values", _PANELS, "replications:P_VALUES"),
    "failures": Kind("fits that were not OK, by status", _FITS, "fits:FAILURES"),
    "runtime": Kind("milliseconds a fit in the run", _FITS, "fits:RUNTIME"),
    "runtime-size": Kind(
        "milliseconds a fit in the run against the number of students",
        frozenset({METHODS}),
        "times:RUNTIME_SIZE",
    ),
    "frontier": Kind("coverage against runtime", _PANELS, "frontier:FRONTIER"),
}


def figure(results: Results, kind: str, wish: Wish | None = None, table: pd.DataFrame | None = None) -> Chart:
    """Return one figure of a run as an Altair chart.

    `table` is the performance table when the caller has it; kinds that show single replications don't need one.

    Raises
    ------
    InvalidInput
        A kind, term, condition, method or measure that there isn't, a choice the kind has no use for, or nothing to
        draw.
    """
    if kind not in KINDS:
        raise unknown_name("kind of figure", kind, KINDS)
    wish = wish or Wish()
    check(kind, wish, results.experiment)
    return record_of(kind).chart(results, wish, table)


def record_of(kind: str) -> FromTable | FromReplications:
    """Return how a kind is drawn, and what is said under it."""
    module, name = KINDS[kind].home.split(":")
    record: FromTable | FromReplications = getattr(import_module(f"nestbench.reports.figures.{module}"), name)
    return record


def check(kind: str, wish: Wish, experiment: Experiment) -> None:
    """Refuse what a kind has no use for, and conditions, methods and measures that there aren't.

    Refused, not ignored: a figure that silently shows something else than what was asked for is worse than none.

    Parameters
    ----------
    kind : str
    wish : Wish
        Term, condition, methods, measure; None where nothing was asked for.
    experiment : Experiment
    """
    for name, value in wish.asked().items():
        if name not in KINDS[kind].uses:
            got = f"'{value}'" if isinstance(value, str) else value
            got = ", ".join(value) if isinstance(value, (list, tuple)) else got
            raise InvalidInput(
                f"expected no choice of {name} for the figure '{kind}', got {got}; leave it out, or draw one of "
                f"{', '.join(users(name))}"
            )
    cells = len(experiment.cells)
    if wish.cell is not None and not 0 <= wish.cell < cells:
        raise InvalidInput(f"expected a condition from 0 to {cells - 1}, got {wish.cell}")
    labels = [estimator.label for estimator in experiment.estimators]
    for method in wish.methods:
        if method not in labels:
            raise unknown_name("method", method, labels)
    if wish.measure is not None:
        from nestbench.reports.measures.declared import measure_named

        measure_named(wish.measure)


def users(name: str) -> list[str]:
    """Return the kinds of which something can be chosen."""
    return [kind for kind, declared in KINDS.items() if name in declared.uses]


def described() -> str:
    """Return every kind with what it shows."""
    return "; ".join(f"{name}: {kind.says}" for name, kind in KINDS.items()) + "."


def used_by(name: str) -> str:
    """Return the kinds of which something can be chosen, in words: named, or as all but those named."""
    having = users(name)
    lacking = [kind for kind in KINDS if kind not in having]
    if not lacking:
        return "every kind"
    return _list(having) if len(having) <= len(lacking) else f"all kinds but {_list(lacking)}"


def _list(names: Iterable[str]) -> str:
    """Return names in words."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
