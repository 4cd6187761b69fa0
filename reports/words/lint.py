"""Lint of a study: what a careful reviewer would ask before believing its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
from scipy import special

from nestbench.estimators.estimates import FitStatus
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing.grades import fixed_terms
from nestbench.reports.conditions import condition_of
from nestbench.reports.measures import statistics as st
from nestbench.reports.measures.cell_rows import Block, CellRows, rows_of
from nestbench.reports.measures.draws import Draws
from nestbench.reports.measures.performance import FIT
from nestbench.reports.wording import several
from nestbench.sim.counted import plural
from nestbench.sim.observed.batch import Floats

COVERAGE_MCSE = 0.01
PATTERN = 7e-6
"""Two-sided p-value of a pattern among failures: rare enough for thousands of terms."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark: its rule's name, what was found, what to do."""

    rule: str
    found: str
    advice: str


def lint(results: Results, table: pd.DataFrame) -> list[Remark]:
    """Return the remarks of every rule, over the performance table and, condition by condition, the stored rows."""
    experiment = results.experiment
    cells = range(len(experiment.cells))
    rows = (remarks_of_cell(experiment, i, rows_of(results, i)) for i in cells)
    return first_of_each(table_remarks(table, experiment), *rows)


def table_remarks(table: pd.DataFrame, experiment: Experiment) -> list[Remark]:
    """Return the remarks of the rules over the performance table."""
    return [remark for rule in TABLE_RULES for remark in rule(table, experiment)]


def remarks_of_cell(experiment: Experiment, index: int, rows: CellRows) -> Iterator[Remark]:
    """Yield the remarks of the rules over the stored rows of one condition."""
    where = condition_of(experiment, index)
    for label in rows.labels:
        for block in rows.blocks(label):
            for of_block in BLOCK_RULES:
                yield from of_block(label, block, where)
        for rule in METHOD_RULES:
            yield from rule(label, rows, where)


def first_of_each(*remarks: Iterable[Remark]) -> list[Remark]:
    """Return the first remark of each rule."""
    seen: dict[str, Remark] = {}
    for remark in chain(*remarks):
        seen.setdefault(remark.rule, remark)
    return list(seen.values())


def replications_needed(share: float, mcse: float) -> int:
    """Return share (1 - share) / mcse^2: replications for a proportion to have a Monte Carlo error."""
    # A rounding error more (0.09 / 0.01^2 gives 900.0000000000001) shouldn't be a replication more.
    return int(np.ceil(share * (1.0 - share) / mcse**2 - 1e-9))


def too_few_replications(table: pd.DataFrame, experiment: Experiment) -> Iterator[Remark]:
    """Coverage with an MCSE above one percentage point can't show whole per cents."""
    rows = table[(table["measure"] == "coverage") & table["term"].isin(fixed_terms(table))]
    levels = np.array([experiment.cells[cell].model.level for cell in rows["cell"]])
    coarse = rows[np.sqrt(levels * (1.0 - levels) / rows["n"]) > COVERAGE_MCSE]  # its own is 0 at 20 of 20
    if len(coarse):
        n = int(coarse["n"].min())
        yield Remark(
            "too few replications",
            f"a coverage at its level has a Monte Carlo error above 1 percentage point in {len(coarse)} of "
            f"{plural(len(rows), 'place')} (n down to {n})",
            f"{replications_needed(0.95, 0.007):,} replications put the error of a coverage of 95 % at 0.7 points",
        )


def no_null(table: pd.DataFrame, experiment: Experiment) -> Iterator[Remark]:
    """Without a test of the true value there is no type I error rate to be seen."""
    terms = fixed_terms(table)
    if terms and not any(cell.is_null(term) for cell in experiment.cells for term in terms):
        yield Remark(
            "no null effect",
            f"no condition has a true effect of 0 among {several(terms)}: rejection rates are all power"
            if not any(cell.model.null for cell in experiment.cells)
            else f"no condition tests the true value of any of {several(terms)}: rejection rates are all power",
            "set one effect to 0 to see type I errors, or test the true value (null in [model])",
        )


def timings_under_load(table: pd.DataFrame, experiment: Experiment) -> Iterator[Remark]:
    """Seconds stored by a run come from many processes at once."""
    if table["measure"].str.startswith("seconds_").any():
        yield Remark(
            "timings made under load",
            "seconds per fit were taken while all workers were busy",
            "compare orders of magnitude only",
        )


def failing_often(table: pd.DataFrame, experiment: Experiment) -> Iterator[Remark]:
    """A method that fails often is judged on the data sets it could fit."""
    rows = table[(table["term"] == FIT) & table["measure"].isin(["share_ok", "share_boundary"])]
    usable = rows.groupby(["cell", "estimator"])["value"].sum()
    bad = sorted({str(label) for _, label in usable[usable < 0.95].index})
    if bad:
        yield Remark(
            "many failures",
            f"{several(bad)} failed in more than 5 % of the fits of some condition",
            "read their measures together with the bounds that count failures as misses",
        )


def truth_out_of_range(label: str, block: Block, where: str) -> Iterator[Remark]:
    """A truth that no estimate comes near is a different estimand, or a mistake."""
    for draws in block.draws():
        least, most = draws.once(_EXTREME_ERRORS).T
        for k, term in enumerate(draws.terms):
            # 20 estimates around the truth lie on one side of it once in half a million.
            if draws.n >= 20 and np.isfinite(draws.truth[k]).all() and not least[k] <= 0.0 <= most[k]:
                truth = f"{draws.truth[k, 0]:g}" if np.ptp(draws.truth[k]) == 0 else "of its data set"
                yield Remark(
                    "truth outside the sampled range",
                    f"no estimate of {term} by {label} with {where} lies on the other side of the truth {truth}",
                    "either something left out biases it, or the method estimates something else than the term of the "
                    "formula; another true value can be stated in [truth], or by --truth where results are read",
                )


def constant_estimates(label: str, block: Block, where: str) -> Iterator[Remark]:
    """Estimates that never change are not estimates."""
    for draws in block.draws():
        least, most = draws.once(_EXTREMES).T
        for k, term in enumerate(draws.terms):
            if draws.n > 1 and least[k] == most[k]:
                yield Remark(
                    "constant estimates",
                    f"every estimate of {term} by {label} with {where} is {least[k]:g}",
                    "check the method",
                )


def _ends(n: int) -> tuple[int, int]:
    """Return the ranks of the least and the largest."""
    return 0, n - 1


def _estimate(draws: Draws) -> Floats:
    """Return the estimates."""
    return draws.estimate


_EXTREMES, _EXTREME_ERRORS = st.ordered(_estimate, _ends), st.ordered(st.error, _ends)


def duplicated_replications(label: str, rows: CellRows, where: str) -> Iterator[Remark]:
    """Two replications with equal numbers to the last bit are one replication counted twice."""
    repeated = _repeated(rows, label)
    if repeated:
        yield Remark(
            "duplicated replications",
            f"{plural(repeated, 'replication')} of {label} with {where} repeat another one exactly",
            "check the random numbers that the data sets were drawn with",
        )


def _repeated(rows: CellRows, label: str) -> int:
    """Fits, all of their terms usable, that repeat another one: by 64 bits mixed of all their numbers."""
    # By a mark and not the numbers: rows of long conditions are at hand a term at a time.
    usable = np.ones(rows.attempted(label), dtype=np.bool_)
    mark = np.zeros(len(usable), dtype=np.uint64)
    for block in rows.blocks(label):
        usable &= block.usable().all(axis=1)
        for values in block.estimates.estimate.T:
            # Fibonacci hashing: 2^64 over the golden ratio.
            mark = (mark ^ np.ascontiguousarray(values).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mark ^= mark >> np.uint64(32)
    ascending = np.sort(mark[usable])
    different = 1 + int(np.count_nonzero(np.diff(ascending))) if len(ascending) else 0
    # Where all are equal `constant_estimates` says it better.
    return int(usable.sum()) - different if different > 1 else 0


def failure_pattern(label: str, block: Block, where: str) -> Iterator[Remark]:
    """Failed fits whose estimates differ from those of the others bias what is left.

    Compares stored estimates of unusable fits with usable ones by Welch's t test of the means.
    """
    bad = block.estimates.status > FitStatus.BOUNDARY
    if bad.sum() < 10:
        return
    for term, values in zip(block.estimates.terms, block.estimates.estimate.T, strict=True):
        failed, fitted = (values[chosen & np.isfinite(values)] for chosen in (bad, ~bad))
        if min(len(failed), len(fitted)) >= 10 and welch(failed, fitted) <= PATTERN:
            yield Remark(
                "failures related to the estimate",
                f"{label} with {where}: estimates of {term} average {failed.mean():.3g} where the fit failed and "
                f"{fitted.mean():.3g} where it did not",
                "measures over usable fits are biased here; read the bounds, or compare on all data sets",
            )


def welch(first: Floats, second: Floats) -> float:
    """Return the p-value of Welch's t test of two means; NaN where neither sample varies."""
    # NumPy's variance is over n, so this is s^2 / n.
    squares = [values.var() / (len(values) - 1.0) for values in (first, second)]
    if not sum(squares) > 0.0:
        return np.nan
    df = sum(squares) ** 2 / sum(v**2 / (len(x) - 1.0) for v, x in zip(squares, (first, second), strict=True))
    return float(2.0 * special.stdtr(df, -abs(first.mean() - second.mean()) / np.sqrt(sum(squares))))


TableRule = Callable[[pd.DataFrame, Experiment], Iterator[Remark]]
BlockRule = Callable[[str, Block, str], Iterator[Remark]]
MethodRule = Callable[[str, CellRows, str], Iterator[Remark]]

TABLE_RULES: tuple[TableRule, ...] = (too_few_replications, no_null, failing_often, timings_under_load)
BLOCK_RULES: tuple[BlockRule, ...] = (truth_out_of_range, failure_pattern, constant_estimates)
METHOD_RULES: tuple[MethodRule, ...] = (duplicated_replications,)
