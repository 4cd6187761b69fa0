"""A trial of the advice: data sets from populations it doesn't know, and the true coverage of what it names there.

``python -m nestbench.advising.trial --csv trial.csv`` takes 4 populations of each of 13 kinds (`unseen`) and 5 data
sets of each. `REPETITIONS` data sets of a population tell every method's true coverage and width; the 5 are advised
on, as a user would hold them. Beside the advice stand rules of thumb: Stata's cluster default whatever the data, the
same from 40 schools on, else CR2 with Bell and McCaffrey's degrees of freedom, and a mixed model with Kenward and
Roger's. Rows are added to the file as they come; what it has already isn't done again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.advising.analysis import analysis_of
from nestbench.advising.asking import Settings, advice_of
from nestbench.advising.candidates import SLOW, methods_for
from nestbench.advising.simulating import draws_of
from nestbench.advising.unseen import Case, cases
from nestbench.estimators.methods import registry
from nestbench.experiments.running.work import fit_all
from nestbench.reports.comparing.grades import band

REPETITIONS = 4000
MANY = 40
"""Schools from which on the rule of thumb trusts Stata's default."""
RULES = ("rule", "stata", "mixed")


@dataclass(frozen=True, slots=True)
class Asked:
    """How much is simulated in a trial."""

    sets: int = 5
    replications: int = 10_000
    seed: int = 20261125
    workers: int | None = None
    repetitions: int = REPETITIONS


def trial(chosen: Sequence[Case], asked: Asked) -> Iterator[dict[str, object]]:
    """Yield a row a data set: the method advised, its true coverage and relative width, and those of the rules."""
    for case in chosen:
        truth: pd.DataFrame | None = None
        level = case.cell.model.level
        for number in range(asked.sets):
            # Not the data that tell the true coverage: those are of `seed`.
            frame = case.cell.draw(asked.seed + 1, range(number, number + 1)).replication(0).frame()
            analysis = analysis_of(frame, case.cell.model)
            names = [name for name in methods_for(analysis, case.term) if name not in SLOW]
            truth = true_measures(case, names, asked) if truth is None else truth
            settings = Settings(asked.replications, asked.seed, names, asked.workers, placebos=20)
            advice = advice_of(analysis, case.term, settings)
            rule = "ols-cr1s-t" if analysis.schools >= MANY else "ols-cr2-satt"
            yield {
                "kind": case.kind,
                "population": case.number,
                "set": number,
                "scenarios": "; ".join(law.name for law in advice.laws),
                "best": best_of(truth, level),
                "best_coverage": coverage_of(best_of(truth, level), truth),
                "assuming": advice.choice.assuming or "",
                "assuming_coverage": coverage_of(advice.choice.assuming, truth),
                **row_of("advised", advice.method, truth, level),
                **row_of("rule", rule, truth, level),
                **row_of("stata", "ols-cr1s-t", truth, level),
                **row_of("mixed", "reml-kr", truth, level),
            }


def true_measures(case: Case, names: Sequence[str], asked: Asked) -> pd.DataFrame:
    """Return every method's coverage and mean width over draws of the population, by method."""
    value = case.cell.truth[case.term]
    methods = tuple(map(registry.get, names))
    found = fit_all(case.cell, asked.seed, range(asked.repetitions), methods, "auto")
    rows = {}
    for label, fits in found.items():
        draws = draws_of(fits, case.term)
        good = draws.usable
        covers = (draws.lower[good] <= value) & (draws.upper[good] >= value)
        width = float((draws.upper - draws.lower)[good].mean()) if good.any() else np.nan
        rows[label] = (float(covers.mean()) if good.mean() > 0.95 else np.nan, width)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["coverage", "width"])


def best_of(truth: pd.DataFrame, level: float) -> str:
    """Return the narrowest method whose true coverage lies in Bradley's band; "none" where none does."""
    low, high = band(level)
    valid = truth[(truth["coverage"] >= low) & (truth["coverage"] <= high)]
    return str(valid["width"].idxmin()) if len(valid) else "none"


def coverage_of(method: str | None, truth: pd.DataFrame) -> float:
    """Return a method's true coverage; NaN of none."""
    return float(truth["coverage"].get(method, np.nan)) if method else float("nan")


def row_of(who: str, method: str | None, truth: pd.DataFrame, level: float) -> dict[str, object]:
    """Return what a choice comes to: its method, true coverage, whether that is in the band, width over the best's."""
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
    """Return by kind, and over all: data sets, shares in the band, and mean relative widths, of advice and rules."""
    shown = {}
    for kind, rows in [*table.groupby("kind", sort=False), ("all", table)]:
        named = rows["advised"].value_counts()
        shown[kind] = {
            "sets": len(rows),
            "advised": ", ".join(f"{name} {count}" for name, count in named.items()) if kind != "all" else "",
            "coverage": f"{100 * rows['advised_coverage'].min():.1f} to {100 * rows['advised_coverage'].max():.1f}",
            **{f"{who} in": int(rows[f"{who}_in"].sum()) for who in ("advised", *RULES)},
            **{f"{who} width": float(rows[f"{who}_width"].mean()) for who in ("advised", *RULES)},
            "width <= 1.1": int((rows["advised_width"] <= 1.1).sum()),
        }
    return pd.DataFrame.from_dict(shown, orient="index")


def left(chosen: Sequence[Case], done: pd.DataFrame, sets: int) -> list[Case]:
    """Return the populations of which not all data sets are done."""
    counts = done.groupby(["kind", "population"]).size() if len(done) else pd.Series(dtype=int)
    return [case for case in chosen if counts.get((case.kind, case.number), 0) < sets]


def main() -> None:
    """Run the trial and print its table."""
    parser = argparse.ArgumentParser(prog="python -m nestbench.advising.trial", description=__doc__)
    usual = Asked()
    parser.add_argument("--populations", type=int, default=4, help="populations of each kind")
    parser.add_argument("--sets", type=int, default=usual.sets, help="data sets of each population")
    words = "data sets that advice simulates of a scenario"
    parser.add_argument("--replications", type=int, default=usual.replications, help=words)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--most", type=int, default=None, help="populations at most, this time")
    parser.add_argument("--csv", default="trial.csv", help="where every data set's row goes")
    given = parser.parse_args()
    file = Path(given.csv)
    done = pd.read_csv(file) if file.exists() else pd.DataFrame()
    chosen = cases(given.populations, given.seed)
    asked = Asked(given.sets, given.replications, given.seed, given.workers)
    for case in left(chosen, done, given.sets)[: given.most]:
        done = pd.concat([done, pd.DataFrame(list(trial([case], asked)))], ignore_index=True)
        done.to_csv(file, index=False)
    print(summary(done).to_string(float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
