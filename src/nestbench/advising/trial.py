"""A trial of the advice: data sets from scenarios it doesn't know, and the true coverage of what it names there.

``python -m nestbench.advising.trial --sets 4`` prints a row a scenario. For each, `REPETITIONS` data sets tell
every method's true coverage and width; then some single data sets are advised on, as a user would hold them. Beside the
advice stand two rules of thumb: Stata's cluster default whatever the data, and the same from 40 schools on, else
CR2 with Bell and McCaffrey's degrees of freedom.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.advising.asking import Settings, advice_of
from nestbench.advising.simulating import draws_of
from nestbench.advising.study import SLOW, methods_for
from nestbench.advising.subject import subject_of
from nestbench.estimators.methods import registry
from nestbench.experiments.running.work import fit_all
from nestbench.reports.comparing.grades import band
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept.law import RandomIntercept

REPETITIONS = 2000
MANY = 40
"""Schools from which on the rule of thumb trusts Stata's default."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario, and the term that is asked about."""

    name: str
    cell: Cell
    term: str


def _case(
    name: str,
    term: str,
    population: Mapping[str, object],
    layout: Mapping[str, object],
    subgroup: str | None = None,
) -> Case:
    model = Model("grade ~ treated + age + gender", subgroup=subgroup)
    return Case(
        name,
        Cell(RandomIntercept(**population), Layout(**layout), model),  # type: ignore[arg-type]
        term,
    )


def cases() -> tuple[Case, ...]:
    """Return the scenarios of the trial."""
    return (
        _case("8 schools", "treated", {"icc": 0.2}, {"schools": 8, "students": 20, "treated_schools": 4}),
        _case(
            "unequal schools",
            "treated",
            {"icc": 0.2},
            {"schools": 15, "students": 20, "size_cv": 1.0, "treated_schools": 7},
        ),
        _case(
            "one giant",
            "treated",
            {"icc": 0.15},
            {"schools": 12, "students": 10, "giant_school": 150, "treated_schools": 6},
        ),
        _case(
            "3 of 30 treated", "treated", {"icc": 0.2}, {"schools": 30, "students": 15, "treated_schools": 3}
        ),
        _case(
            "confounded",
            "age",
            {"icc": 0.3, "age_icc": 0.3, "age_confounding": 0.7},
            {"schools": 25, "students": 12, "treated_schools": 12},
        ),
        _case(
            "unequal arms",
            "treated",
            {"icc": 0.2, "treated_variance_ratio": 4.0, "treated_school_variance_ratio": 4.0},
            {"schools": 20, "students": 20, "treated_schools": 6},
        ),
        _case(
            "random slopes",
            "age",
            {"icc": 0.2, "slope_sd": 0.4},
            {"schools": 15, "students": 20, "treated_schools": 7},
        ),
        _case(
            "heavy tails",
            "treated",
            {"icc": 0.2, "residual_shape": "t(3)", "school_errors": "lognormal(1)"},
            {"schools": 10, "students": 20, "treated_schools": 5},
        ),
        _case(
            "classes",
            "treated",
            {"icc": 0.1, "class_icc": 0.15},
            {"schools": 12, "students": 18, "classes": 3, "treated_schools": 6},
            "class",
        ),
        _case("ICC 0", "treated", {"icc": 0.0}, {"schools": 10, "students": 15, "treated_schools": 4}),
        _case("ICC .5", "treated", {"icc": 0.5}, {"schools": 40, "students": 10, "treated_schools": 20}),
    )


def trial(
    chosen: Sequence[Case],
    sets: int,
    replications: int,
    seed: int,
    workers: int | None,
    repetitions: int = REPETITIONS,
) -> Iterator[dict[str, object]]:
    """Yield a row a data set: the method advised, its true coverage and relative width, and those of the rules."""
    for case in chosen:
        truth: pd.DataFrame | None = None
        for number in range(sets):
            # Not the data that tell the true coverage: those are of `seed`.
            frame = case.cell.draw(seed + 1, range(number, number + 1)).replication(0).frame()
            subject = subject_of(frame, case.cell.model)
            names = [name for name in methods_for(subject, case.term) if name not in SLOW]
            truth = true_measures(case, names, seed, repetitions) if truth is None else truth
            asked = Settings(replications, seed, names, workers, placebos=20)
            advice = advice_of(subject, case.term, asked)
            rule = "ols-cr1s-t" if subject.schools >= MANY else "ols-cr2-satt"
            yield {
                "law": case.name,
                "set": number,
                "best": best_of(truth, case.cell.model.level),
                **row_of("advised", advice.method, truth, case.cell.model.level),
                **row_of("rule", rule, truth, case.cell.model.level),
                **row_of("stata", "ols-cr1s-t", truth, case.cell.model.level),
            }


def true_measures(case: Case, names: Sequence[str], seed: int, repetitions: int) -> pd.DataFrame:
    """Return every method's coverage and mean width over draws of the scenario, by method."""
    truth = case.cell.truth[case.term]
    methods = tuple(map(registry.get, names))
    found = fit_all(case.cell, seed, range(repetitions), methods, "auto")
    rows = {}
    for label, fits in found.items():
        draws = draws_of(fits, case.term)
        good = draws.usable
        covers = (draws.lower[good] <= truth) & (draws.upper[good] >= truth)
        width = float((draws.upper - draws.lower)[good].mean()) if good.any() else np.nan
        rows[label] = (float(covers.mean()) if good.mean() > 0.95 else np.nan, width)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["coverage", "width"])


def best_of(truth: pd.DataFrame, level: float) -> str:
    """Return the narrowest method whose true coverage lies in Bradley's band; "none" where none does."""
    low, high = band(level)
    valid = truth[(truth["coverage"] >= low) & (truth["coverage"] <= high)]
    return str(valid["width"].idxmin()) if len(valid) else "none"


def row_of(who: str, method: str | None, truth: pd.DataFrame, level: float) -> dict[str, object]:
    """Return what a choice comes to: its method, true coverage, whether that is in the band, width over the
    best's."""
    low, high = band(level)
    best = best_of(truth, level)
    if method is None:
        return {who: "none", f"{who}_coverage": np.nan, f"{who}_in": best == "none", f"{who}_width": np.nan}
    known: Any = truth
    coverage, width = (float(known.loc[method, column]) for column in ("coverage", "width"))
    relative = width / float(known.loc[best, "width"]) if best != "none" else np.nan
    return {
        who: method,
        f"{who}_coverage": coverage,
        f"{who}_in": low <= coverage <= high,
        f"{who}_width": relative,
    }


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return by scenario, and over all: the share in the band and the mean relative width of advice and rules."""
    shown = {}
    for law, rows in [*table.groupby("law", sort=False), ("all", table)]:
        named = rows["advised"].value_counts()
        shown[law] = {
            "advised": ", ".join(f"{name} {count}" for name, count in named.items()) if law != "all" else "",
            **{f"{who} in band": float(rows[f"{who}_in"].mean()) for who in ("advised", "rule", "stata")},
            **{f"{who} width": float(rows[f"{who}_width"].mean()) for who in ("advised", "rule", "stata")},
            "width <= 1.1": float((rows["advised_width"] <= 1.1).mean()),
        }
    return pd.DataFrame.from_dict(shown, orient="index")


def main() -> None:
    """Run the trial and print its table."""
    parser = argparse.ArgumentParser(prog="python -m nestbench.advising.trial", description=__doc__)
    parser.add_argument("--sets", type=int, default=4, help="data sets of each scenario")
    parser.add_argument(
        "--replications", type=int, default=2000, help="data sets that advice simulates of a scenario"
    )
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--csv", help="where every data set's row goes")
    asked = parser.parse_args()
    rows = []
    for row in trial(cases(), asked.sets, asked.replications, asked.seed, asked.workers):
        rows.append(row)
        print(row, flush=True)
    table = pd.DataFrame(rows)
    if asked.csv:
        table.to_csv(asked.csv, index=False)
    print(summary(table).to_string(float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
