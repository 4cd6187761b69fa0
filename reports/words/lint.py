"""Lint of a study: what a careful reviewer would ask before believing its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.results import Results
from nestbench.reports.comparing.grades import fixed_terms
from nestbench.reports.measures.performance import FIT
from nestbench.reports.words.wording import condition, plural, several
from nestbench.sim.batch import Floats

COVERAGE_MCSE = 0.01
PATTERN = 4.5


@dataclass(frozen=True, slots=True)
class Remark:
    """One remark: its rule's name, what was found, what to do."""

    rule: str
    found: str
    advice: str


def lint(results: Results, table: pd.DataFrame) -> list[Remark]:
    """Return the remarks of every rule, over the performance table and, cell by cell, the stored rows."""
    cells = range(len(results.experiment.cells))
    rows = (remarks_of_cell(results.experiment, i, results.estimates(i)) for i in cells)
    return first_of_each(table_remarks(table, results.experiment), *rows)


def table_remarks(table: pd.DataFrame, experiment: Experiment) -> list[Remark]:
    """Return the remarks of the rules over the performance table."""
    return [remark for rule in TABLE_RULES for remark in rule(table, experiment)]


def remarks_of_cell(
    experiment: Experiment, index: int, estimates: Mapping[str, Estimates]
) -> Iterator[Remark]:
    """Yield the remarks of the rules over the stored rows of one cell."""
    where, truth = condition(experiment.levels[index]), dict(experiment.cells[index].population.truth)
    for label, found in estimates.items():
        for rule in ROW_RULES:
            yield from rule(label, found, truth, where)


def first_of_each(*remarks: Iterable[Remark]) -> list[Remark]:
    """Return the first remark of each rule."""
    seen: dict[str, Remark] = {}
    for remark in chain(*remarks):
        seen.setdefault(remark.rule, remark)
    return list(seen.values())


def replications_needed(share: float, mcse: float) -> int:
    """Return share (1 - share) / mcse^2: replications for a proportion to have a Monte Carlo error."""
    return int(np.ceil(share * (1.0 - share) / mcse**2 - 1e-9))


def too_few_replications(table: pd.DataFrame, experiment: Experiment) -> Iterator[Remark]:
    """Coverage with an MCSE above one percentage point can't show whole per cents."""
    rows = table[(table["measure"] == "coverage") & table["term"].isin(fixed_terms(table))]
    coarse = rows[rows["mcse"] > COVERAGE_MCSE]
    if len(coarse):
        n = int(coarse["n"].min())
        yield Remark(
            "too few replications",
            f"coverage has a Monte Carlo error above 1 percentage point in {len(coarse)} of {len(rows)} places "
            f"(n down to {n})",
            f"{replications_needed(0.95, 0.007):,} replications put the error of a coverage of 95 % at 0.7 points",
        )


def no_null(table: pd.DataFrame, experiment: Experiment) -> Iterator[Remark]:
    """Without a true effect of 0 there is no type I error rate to be seen."""
    terms = fixed_terms(table)
    if terms and not any(cell.population.truth.get(term) == 0 for cell in experiment.cells for term in terms):
        yield Remark(
            "no null effect",
            f"no condition has a true effect of 0 among {several(terms)}: rejection rates are all power",
            "set one effect to 0 to see type I errors",
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


def truth_out_of_range(label: str, found: Estimates, truth: dict[str, float], where: str) -> Iterator[Remark]:
    """A truth that no estimate comes near is a different estimand, or a mistake."""
    for k, term in enumerate(found.terms):
        values = found.estimate[found.usable[:, k], k]
        if term in truth and len(values) >= 20 and not values.min() <= truth[term] <= values.max():
            yield Remark(
                "truth outside the sampled range",
                f"no estimate of {term} by {label} with {where} lies on the other side of the truth {truth[term]:g}",
                "check that the model estimates what the population calls by this name",
            )


def duplicated_replications(
    label: str, found: Estimates, truth: dict[str, float], where: str
) -> Iterator[Remark]:
    """Two replications with equal numbers to the last bit are one replication counted twice."""
    usable = found.usable.all(axis=1) if found.terms else np.zeros(found.size, dtype=bool)
    values = found.estimate[usable]
    if len(values) > 1 and np.ptp(values, axis=0).any():
        repeated = _repeated(values)
        if repeated:
            yield Remark(
                "duplicated replications",
                f"{plural(repeated, 'replication')} of {label} with {where} repeat another one exactly",
                "check the random numbers of the law",
            )


def _repeated(values: Floats) -> int:
    """Rows that repeat another one, to the last bit; only rows whose first entry repeats can."""
    _, place, counts = np.unique(values[:, 0], return_inverse=True, return_counts=True)
    rows = values[counts[place] > 1]
    return len(rows) - len(np.unique(rows, axis=0))


def failure_pattern(label: str, found: Estimates, truth: dict[str, float], where: str) -> Iterator[Remark]:
    """Failed fits whose estimates differ from those of the others bias what is left.

    Compares stored estimates of unusable fits with usable ones by a two-sample z of the means.
    """
    bad = found.status > FitStatus.BOUNDARY
    for k, term in enumerate(found.terms):
        there = np.isfinite(found.estimate[:, k])
        left, right = found.estimate[there & bad, k], found.estimate[there & ~bad, k]
        if min(len(left), len(right)) < 10:
            continue
        spread = np.sqrt(left.var(ddof=1) / len(left) + right.var(ddof=1) / len(right))
        if spread > 0 and abs(left.mean() - right.mean()) > PATTERN * spread:
            yield Remark(
                "failures related to the estimate",
                f"{label} with {where}: estimates of {term} average {left.mean():.3g} where the fit failed and "
                f"{right.mean():.3g} where it did not",
                "measures over usable fits are biased here; read the bounds, or compare on all data sets",
            )


def constant_estimates(label: str, found: Estimates, truth: dict[str, float], where: str) -> Iterator[Remark]:
    """Estimates that never change are not estimates."""
    for k, term in enumerate(found.terms):
        values = found.estimate[found.usable[:, k], k]
        if len(values) > 1 and np.ptp(values) == 0:
            yield Remark(
                "constant estimates",
                f"every estimate of {term} by {label} with {where} is {values[0]:g}",
                "check the method",
            )


TableRule = Callable[[pd.DataFrame, Experiment], Iterator[Remark]]
RowRule = Callable[[str, Estimates, "dict[str, float]", str], Iterator[Remark]]

TABLE_RULES: tuple[TableRule, ...] = (too_few_replications, no_null, failing_often, timings_under_load)
ROW_RULES: tuple[RowRule, ...] = (
    truth_out_of_range,
    duplicated_replications,
    failure_pattern,
    constant_estimates,
)
