"""Every kind of figure by name: what ``nestbench plot --kind`` draws and what a notebook can ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from nestbench.experiments.results import Results
from nestbench.reports.figures import curves, draws, fits, panels
from nestbench.reports.figures.theme import Chart
from nestbench.reports.measures.performance import performance_table
from nestbench.sim.errors import unknown_name


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a figure: a term, a condition's number, methods, a measure; each may be left open."""

    term: str | None = None
    cell: int = 0
    methods: Sequence[str] = ()
    measure: str | None = None


Table = Callable[[], pd.DataFrame]
Kind = Callable[[Results, Table, Wish], Chart]

KINDS: Mapping[str, Kind] = {
    "coverage": lambda r, t, w: panels.coverage(t(), r.experiment, w.term),
    "bias": lambda r, t, w: panels.bias(t(), r.experiment, w.term),
    "se-error": lambda r, t, w: panels.se_error(t(), r.experiment, w.term),
    "rejection": lambda r, t, w: panels.rejection(t(), r.experiment, w.term),
    "zip": lambda r, t, w: draws.zip_plot(r, w.cell, w.term, w.methods),
    "nested-loop": lambda r, t, w: curves.nested_loop(t(), r.experiment, w.measure or "coverage", w.term),
    "lollipop": lambda r, t, w: curves.lollipop(t(), r.experiment, w.measure or "bias", w.term),
    "se-estimate": lambda r, t, w: draws.se_against_estimate(r, w.cell, w.term, w.methods),
    "methods": lambda r, t, w: draws.method_against_method(r, w.cell, w.term, w.methods),
    "p-values": lambda r, t, w: draws.p_value_ecdf(r, w.cell, w.term, w.methods),
    "power": lambda r, t, w: curves.power_curves(t(), r.experiment, w.measure or "rejection", w.term),
    "runtime": lambda r, t, w: fits.runtime(t(), r.experiment),
    "runtime-size": lambda r, t, w: curves.runtime_curves(t(), r.experiment),
    "frontier": lambda r, t, w: curves.frontier(t(), r.experiment, w.term),
    "failures": lambda r, t, w: fits.failures(t(), r.experiment),
}


def figure(results: Results, kind: str, wish: Wish | None = None, table: pd.DataFrame | None = None) -> Chart:
    """Return one figure of a run as an Altair chart.

    `table` is the performance table when the caller has it; kinds that show single replications don't need one.
    """
    if kind not in KINDS:
        raise unknown_name("kind of figure", kind, KINDS)
    return KINDS[kind](
        results, lambda: performance_table(results) if table is None else table, wish or Wish()
    )
