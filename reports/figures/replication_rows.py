"""The stored replications that a figure of one condition shows: methods, the term, and where neither is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nestbench.estimators.estimates import ENDS, Estimates
from nestbench.experiments.results import Results
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.cell_rows import LONG
from nestbench.reports.measures.draws import Draws, Truth, draws_of
from nestbench.sim.errors import InvalidInput, unknown_name


def first_data_sets(results: Results, cell: int) -> Mapping[str, Estimates]:
    """Return a condition's estimates by method: all of most conditions, of others as good a sample as any."""
    start = results.span(cell).start
    return results.estimates(cell, within=range(start, start + LONG))


def term_of(results: Results, cell: int, term: str | None) -> str:
    """Return a fixed effect of a condition: the one asked for, or the one with the lowest coverage by any method."""
    stored = dict(first_data_sets(results, cell))
    known = list(dict.fromkeys(name for estimates in stored.values() for name in estimates.terms))
    if not known:
        raise InvalidInput(
            f"expected stored rows in condition {cell}, got none yet; let the run finish a task first"
        )
    if term is None:
        law = results.experiment.cells[cell]
        lowest = _lowest_coverage(stored.values(), law.truth, law.model.level)
        shown = [name for name in known if name != "Intercept"] or known
        return min(shown, key=lambda name: lowest.get(name, 1.0))
    if term not in known:
        raise unknown_name("term", term, known)
    return term


def _lowest_coverage(stored: Iterable[Estimates], truth: Truth, level: float) -> dict[str, float]:
    """Return each term's lowest coverage by any method."""
    lowest: dict[str, float] = {}
    for estimates in stored:
        for draws in draws_of(estimates, truth, level, frozenset(ENDS)):
            if draws.n:
                for name, share in zip(draws.terms, draws.once(st.covers).mean(axis=-1), strict=True):
                    lowest[name] = min(float(share), lowest.get(name, 1.0))
    return lowest


Chosen = list[tuple[str, Draws, int]]
"""Of each method: its label, its draws, and the row of the term in them."""


def chosen_rows(
    results: Results,
    cell: int,
    term: str | None,
    methods: Sequence[str],
    columns: frozenset[str] = frozenset(ENDS),
) -> Chosen:
    """Return (method, its draws, the term's row) for the methods asked for that answer for the term."""
    cells = len(results.experiment.cells)
    if not 0 <= cell < cells:
        raise InvalidInput(
            f"expected a condition from 0 to {cells - 1}, got {cell}; nestbench query lists them"
        )
    name = term_of(results, cell, term)
    stored = first_data_sets(results, cell)
    for method in methods:
        if method not in stored:
            raise unknown_name("method with stored rows", method, stored)
    law = results.experiment.cells[cell]
    chosen = [
        (label, draws, draws.terms.index(name))
        for label in (methods or [e.label for e in results.experiment.estimators if e.label in stored])
        for draws in draws_of(stored[label], law.truth, law.model.level, columns)
        if name in draws.terms and draws.n
    ]
    answering = {label for label, _, _ in chosen}
    silent = [method for method in methods if method not in answering]
    if silent or not chosen:
        by = f" of {', '.join(silent)}" if silent else ""
        raise InvalidInput(
            f"expected usable rows for '{name}'{by} in condition {cell}, got none; choose another term"
            + (" or leave it out" if silent else "")
        )
    return chosen


def refuse_unknown_truth(results: Results, chosen: Chosen, cell: int, term: str | None) -> None:
    """Refuse figures that need a true value of a term without any."""
    if not all(np.isfinite(draws.truth[k]).all() for _, draws, k in chosen):
        raise InvalidInput(
            f"expected a term with a known true value, got '{term_of(results, cell, term)}'; choose another term, or "
            "draw se-estimate, methods or p-values, which need none"
        )
