"""Random studies as tables alone: factors of every kind, with conditions, methods and terms missing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.experiments.experiment import Experiment
from nestbench.reports.measures.performance import COLUMNS, FIT
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from tests.reports.synthetic import FakeResults, Law, estimates_of, estimator

LEVELS: dict[str, tuple[Any, ...]] = {
    "layout.schools": tuple(range(3, 40)),
    "population.icc": (0.0, 0.1, 0.123456, 0.1234561, 0.1234562, 0.2, 1e-7, 0.5),
    "model.level": (0.8, 0.9, 0.95, 0.99),
    "layout.shuffle_sizes": (False, True),
    "layout.students": (6, "5, 5, 60", "4, 8, 15, 16, 23, 42", 30, "5, 5, 61"),
    "model.formula": (
        "grade ~ age + gender + resources",
        "grade ~ age + resources",
        "grade ~ age + gender + resources + C(time)*age + np.log(resources) + np.exp(resources) + gender:age",
        "grade ~ age + gender + resources + C(time)*age + np.log(resources) + np.exp(resources) + gender:time",
    ),
    "design": ("small & balanced", "population.icc=0.1, layout.schools=8", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW"),
}
METHODS = ("ols", "ols-cr1s-t", "reml-satt", "a-method-with-a-rather-long-name")
LONG = "a-method-whose-name-is-as-long-as-the-options-that-make-it-what-it-is"
TERMS = ("resources", "age")
SHARES = ("coverage", "rejection")
MEASURES = (*SHARES, "bias", "se_error")
STATUSES = ("boundary", "not_converged", "singular")


@dataclass(frozen=True)
class Null(Law):
    """A law in which resources have no effect."""

    name: ClassVar[str] = "test-null"

    @property
    def truth(self) -> dict[str, float]:
        return {**super().truth, "resources": 0.0}


@st.composite
def studies(draw: Any, most: int = 9, factors: int = 3, holes: tuple[float, ...] = (0.0, 0.3, 0.7)) -> Any:
    """A study of at most `most` conditions with its table, in which any row may be missing."""
    chosen: dict[str, list[Any]] = {}
    for name in draw(st.lists(st.sampled_from(list(LEVELS)), max_size=factors, unique=True)):
        room = most // max(1, int(np.prod([len(levels) for levels in chosen.values()])))
        if room > 1:
            levels = st.lists(st.sampled_from(LEVELS[name]), min_size=1, max_size=room, unique_by=repr)
            chosen[name] = draw(levels)
    methods = METHODS[: draw(st.integers(1, len(METHODS)))]
    seed, missing = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(holes))
    made = study(chosen, methods, seed)
    return made, table_of(made, np.random.default_rng(seed), missing)


def study(factors: dict[str, list[Any]], methods: tuple[str, ...] = METHODS, seed: int = 1) -> FakeResults:
    """A study of crossed factors; their levels are names but for the level of the intervals."""
    rng = np.random.default_rng(seed)
    levels = [dict(zip(factors, chosen, strict=True)) for chosen in itertools.product(*factors.values())]
    cells = [
        Cell(
            Law() if rng.random() < 0.5 else Null(),
            Layout(schools=schools_of(one.get("layout.schools")), students=4),
            Model("grade ~ age + gender + resources", level=one.get("model.level", 0.95)),
        )
        for one in levels
    ]
    experiment = Experiment(
        name="random",
        title="",
        aims="",
        cells=tuple(cells),
        levels=tuple(levels),
        estimators=tuple(estimator(name) for name in methods),
        replications=100,
    )
    return FakeResults(experiment, [{} for _ in cells])


def schools_of(level: Any) -> int:
    """Return a level that is a number of schools; of any other, which is a name only, six."""
    return level if type(level) is int and level >= 2 else 6


def table_of(
    made: FakeResults, rng: np.random.Generator, missing: float = 0.0, unit: float = 1.0
) -> pd.DataFrame:
    """A performance table with random numbers; conditions, methods in them, and single rows may be missing.

    `unit`: of the estimates, so of the bias.
    """
    experiment, rows = made.experiment, []
    labels = [e.label for e in experiment.estimators]
    whole = [cell for cell in range(len(experiment.cells)) if rng.random() >= missing]
    for cell in whole or [0]:
        for label in [e for e in labels if rng.random() >= missing / 2] or labels[:1]:
            for term, measure in itertools.product(TERMS, MEASURES):
                n = int(rng.integers(20, 400))
                value = rng.integers(n // 2, n + 1) / n if measure in SHARES else rng.normal(0, 3)
                mcse = np.sqrt(value * (1 - value) / n) if measure in SHARES else rng.uniform(0.01, 1)
                value, mcse = (value * unit, mcse * unit) if measure == "bias" else (value, mcse)
                if rng.random() >= missing / 4:
                    attempted = n if rng.random() < 0.6 else n + int(rng.integers(1, n))
                    rows.append((cell, label, term, measure, float(value), float(mcse), n, attempted))
            rows.append((cell, label, FIT, "share_ok", 0.5, 0.01, 400, 400))
            for status in STATUSES:
                share = int(rng.integers(0, 3)) / 20
                rows += [(cell, label, FIT, f"share_{status}", share, 0.01, 400, 400)] if share else []
            if rng.random() >= missing / 4:
                median, more = 10 ** rng.uniform(-5, 1), rng.uniform(1, 5)
                for measure, seconds in (("seconds_median", median), ("seconds_p90", median * more)):
                    rows.append((cell, label, FIT, measure, float(seconds), np.nan, 400, 400))
    frame = pd.DataFrame(rows, columns=["cell", *COLUMNS])
    for factor in experiment.levels[0]:
        frame[factor] = pd.Series([experiment.levels[cell][factor] for cell in frame["cell"]], dtype=object)
    return frame


@st.composite
def studies_of_rows(draw: Any, most: int = 3, holes: tuple[float, ...] = (0.0, 0.3)) -> Any:
    """A study of a few conditions with stored rows: methods, data sets in them and intervals' ends may be missing."""
    levels = draw(st.lists(st.sampled_from(LEVELS["model.level"]), min_size=1, max_size=most, unique=True))
    methods = (*METHODS[: draw(st.integers(1, 3))], LONG)
    return study_of_rows(levels, methods, draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from(holes)))


def study_of_rows(levels: list[Any], methods: tuple[str, ...], seed: int, missing: float) -> FakeResults:
    """A study of conditions that differ in the level of their intervals, with random rows of fits."""
    made = study({"model.level": levels}, methods, seed)
    rng = np.random.default_rng(seed)
    for cell, one in enumerate(made.cells):
        level = made.experiment.cells[cell].model.level
        for label in [label for label in methods if rng.random() >= missing] or methods[:1]:
            one[label] = rows_of_fits(rng, level, missing)
    return made


def rows_of_fits(rng: np.random.Generator, level: float, missing: float) -> Estimates:
    """Rows of some fits: some failed, some without a standard error, some intervals huge or without an end."""
    n = int(rng.integers(8, 25))
    estimate = rng.normal(0.3, 0.4, (n, len(TERMS)))
    std_error = 0.4 * np.sqrt(rng.chisquare(5, (n, len(TERMS))) / 5)
    status = np.where(rng.random(n) < missing, FitStatus.FAILED, FitStatus.OK)
    status[0] = FitStatus.OK
    found = estimates_of(
        estimate, std_error, TERMS, level=level, status=status, replications=np.sort(rng.permutation(40)[:n])
    )
    lower, upper = found.lower.copy(), found.upper.copy()
    far = rng.random(lower.shape) < missing / 6
    lower[far], upper[far] = estimate[far] - 1e4, estimate[far] + 1e4
    lower[rng.random(lower.shape) < missing / 6] = -np.inf
    return replace(found, lower=lower, upper=upper)
