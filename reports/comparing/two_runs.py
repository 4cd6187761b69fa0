"""Two runs of the same conditions: what changed beyond Monte Carlo error, paired where the data sets are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing import holm
from nestbench.reports.conditions import conditions
from nestbench.reports.measures.cell_rows import Block, matched, rows_of
from nestbench.reports.measures.declared import measure_named
from nestbench.reports.measures.draws import Paired
from nestbench.reports.measures.measure import TRUTH, Measure, Unit, evaluate, mean_square, root
from nestbench.reports.measures.proportions import shown_error
from nestbench.sim.cells.cell import places_of
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Floats

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
    """Return what changed from run A to run B, over the conditions and methods both have.

    Columns: ``cell`` (number in A), ``condition, estimator, term, measure, a, b, change, mcse, n, paired, beyond``.
    Where population and seed are equal the two runs saw the same data sets, and `mcse` is the paired one, over the
    replications both have; else the two errors add up as independent ones do. `beyond`: the change is more than Monte
    Carlo error explains: t tests, by Holm's method at 5 % over all rows.

    Parameters
    ----------
    first, second : Results
        A and B: changes are B less A.
    measures : tuple of str

    Raises
    ------
    InvalidInput
        The runs have no condition, or no method, in common.
    """
    chosen = [measure_named(name) for name in measures]
    common = common_conditions(first.experiment, second.experiment)
    if not common:
        raise InvalidInput(
            "expected two runs with conditions in common, got none; compare runs of one experiment, or of experiments "
            "that share population, layout and model"
        )
    same_seed = first.experiment.seed == second.experiment.seed
    words = conditions(first.experiment)
    rows: list[dict[str, Any]] = []
    for i, j in common:
        where = words[i]
        same_data = same_seed and first.experiment.cells[i].law_key == second.experiment.cells[j].law_key
        a, b = rows_of(first, i), rows_of(second, j)
        for label in (label for label in a.labels if label in b.labels):
            # Whichever run is long, both are read term by term.
            for names in a.groups(label) if a.names else b.groups(label):
                blocks = a.block(label, names), b.block(label, names)
                changes = _changes_of(*blocks, measures=chosen, same_data=same_data)
                rows += [{"cell": i, "condition": where, "estimator": label, **row} for row in changes]
    table = pd.DataFrame(rows, columns=COLUMNS)
    away = np.where(table["change"].abs() > ROUNDING * table["a"].abs(), table["change"], 0.0)
    p = holm.t_p_values(away, table["mcse"], table["n"])
    return table.assign(beyond=p <= holm.limit(p))


def common_conditions(first: Experiment, second: Experiment) -> list[tuple[int, int]]:
    """Return the places of each condition that two experiments have, in the first and in the second
    (`nestbench.sim.cells.cell.places_of`)."""
    places = places_of([cell.key for cell in first.cells], second.cells)
    return [(i, j) for i, j in enumerate(places) if j is not None]


SPREADS = {"empirical_se": 0.0, "rmse": 0.0, "se_error": 100.0}
"""Measures proportional to an empirical SE once this is added."""
ROUNDING = 1e-9
"""Share of a number below which a change may be the rounding of sums taken in another order."""


def _changes_of(a: Block, b: Block, measures: Sequence[Measure], same_data: bool) -> Iterator[dict[str, Any]]:
    """Yield the changes of a method's terms between two runs, paired where the data are the same."""
    for measure in measures:
        if same_data:
            pairs = list(matched(a, b, measure.columns))
        else:
            pairs = [
                Paired(left, right)
                for left in a.draws(measure.columns)
                for right in b.draws(measure.columns)
                if left.n and right.n and set(left.terms) & set(right.terms)
            ]
        for pair in pairs:
            yield from _changes(measure, pair, same_data)


@cache
def _gap(measure: Measure) -> Callable[[Paired], Floats]:
    """Return the influence function of a change in a measure, on the same replications."""
    assert measure.influence is not None
    influence = measure.influence
    return lambda pair: influence(pair.second) - influence(pair.first)


def _changes(measure: Measure, pair: Paired, same_data: bool) -> Iterator[dict[str, Any]]:
    """Yield the changes of one measure, each with its Monte Carlo error."""
    left, right = pair.first, pair.second
    (va, ea, na), (vb, eb, nb) = evaluate(measure, left), evaluate(measure, right)
    # Without influence values, as a median is, there is nothing to be subtracted replication by replication.
    together = same_data and measure.influence is not None
    with np.errstate(all="ignore"):
        errors = root(pair.once(mean_square(_gap(measure))), pair.n) if together else None
    for p, term in enumerate(left.terms):
        if term not in right.terms or (TRUTH in measure.needs and not np.isfinite(left.truth[p]).all()):
            continue
        q = right.terms.index(term)
        change = float(vb[q] - va[p])
        if errors is not None:
            mcse = float(errors[p])
        else:
            # As of independent runs: on the same data sets too large, if anything.
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
            }


def _error(value: float, mcse: float, n: int, measure: Measure) -> float:
    """The MCSE; of a share `shown_error`, of what is proportional to an empirical SE `holm.spread_error`."""
    if measure.name in SPREADS:
        return float(holm.spread_error(SPREADS[measure.name] + value, mcse, n))
    return float(shown_error(value, mcse, n)) if measure.unit is Unit.SHARE else float(mcse)
