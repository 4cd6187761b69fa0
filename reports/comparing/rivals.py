"""Two runs of the same cells: what changed beyond Monte Carlo error, paired where the data sets are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.results import Results
from nestbench.reports.measures.cell_rows import matched
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.draws import Draws, Truth, draws_of
from nestbench.reports.measures.measure import TRUTH, Measure, evaluate, root
from nestbench.reports.measures.proportions import wilson
from nestbench.reports.measures.statistics import Z95
from nestbench.reports.words.wording import condition
from nestbench.sim.errors import InvalidInput

COMPARED = ("bias", "empirical_se", "se_error", "coverage", "rejection", "rmse")
COLUMNS = [
    "cell",
    "condition",
    "estimator",
    "term",
    "measure",
    "a",
    "b",
    "change",
    "mcse",
    "n",
    "paired",
    "beyond",
]


def compare_runs(first: Results, second: Results, measures: tuple[str, ...] = COMPARED) -> pd.DataFrame:
    """Return what changed from run A to run B, over the cells and methods both have.

    Columns: ``cell`` (number in A), ``condition, estimator, term, measure, a, b, change, mcse, n, paired, beyond``.
    Where law and seed are equal the two runs saw the same data sets, and `mcse` is the paired one, over the
    replications both have; else the two errors add up as independent ones do. `beyond`: the change exceeds 1.96 MCSE.
    """
    chosen = [measure_named(name) for name in measures]
    places = {cell.key: index for index, cell in enumerate(second.experiment.cells)}
    common = [(i, places[cell.key]) for i, cell in enumerate(first.experiment.cells) if cell.key in places]
    if not common:
        raise InvalidInput(
            "expected two runs with conditions in common, got none; compare runs of one experiment, or of experiments "
            "that share population, layout and model"
        )
    same_data = first.experiment.seed == second.experiment.seed
    rows: list[dict[str, Any]] = []
    for i, j in common:
        cell, where = first.experiment.cells[i], condition(first.experiment.levels[i])
        a, b = first.estimates(i), second.estimates(j)
        for label in [name for name in a if name in b]:
            found = _rows(a[label], b[label], cell.population.truth, cell.model.level, chosen, same_data)
            rows += [{"cell": i, "condition": where, "estimator": label, **row} for row in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    a: Estimates, b: Estimates, truth: Truth, level: float, measures: list[Measure], same_data: bool
) -> Iterator[dict[str, Any]]:
    for measure in measures:
        if same_data:
            sides = (list(draws_of(one, truth, level, measure.columns)) for one in (a, b))
            for pair in matched(*sides):
                yield from _changes(measure, pair.first, pair.second, same_data)
        else:
            for left, right in _apart(a, b, truth, level, measure):
                yield from _changes(measure, left, right, same_data)


def _apart(
    a: Estimates, b: Estimates, truth: Truth, level: float, measure: Measure
) -> Iterator[tuple[Draws, Draws]]:
    for left in draws_of(a, truth, level, measure.columns):
        for right in draws_of(b, truth, level, measure.columns):
            if left.n and right.n and set(left.terms) & set(right.terms):
                yield left, right


def _changes(measure: Measure, left: Draws, right: Draws, same_data: bool) -> Iterator[dict[str, Any]]:
    (va, ea, na), (vb, eb, nb) = evaluate(measure, left), evaluate(measure, right)
    for p, term in enumerate(left.terms):
        if term not in right.terms or (TRUTH in measure.needs and not np.isfinite(left.truth[p]).all()):
            continue
        q = right.terms.index(term)
        change = float(vb[q] - va[p])
        if same_data and measure.influence is not None:
            with np.errstate(all="ignore"):
                gap = measure.influence(right)[q] - measure.influence(left)[p]
            mcse = float(root(np.array([np.mean(gap**2)]), len(gap))[0])
        else:
            mcse = float(np.hypot(_error(va[p], ea[p], na[p], measure), _error(vb[q], eb[q], nb[q], measure)))
        if np.isfinite(change):
            yield {
                "term": term,
                "measure": measure.name,
                "a": float(va[p]),
                "b": float(vb[q]),
                "change": change,
                "mcse": mcse,
                "n": int(min(na[p], nb[q])),
                "paired": same_data,
                "beyond": bool(abs(change) > Z95 * mcse) if mcse > 0 else change != 0,
            }


def _error(value: float, mcse: float, n: int, measure: Measure) -> float:
    """The MCSE; for a proportion of 0 or 1, where it says nothing, half of Wilson's interval over 1.96."""
    if measure.ddof == 0 and mcse == 0:
        low, high = wilson(value, n)
        return float(high - low) / (2.0 * Z95)
    return float(mcse)
