"""Kernels compiled and loaded before the clock of an answer runs: on a few schools, since they don't depend on sizes.

Compiled in processes side by side, once for a version; then loaded by this process, of which the simulation's are
forks. On the analyst's own data the same fits would take as long as the data are large, one after another.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nestbench.advising.analysis import Analysis, analysis_of
from nestbench.advising.as_experiment import choice_of, experiment_of
from nestbench.advising.scenarios import Scenario
from nestbench.estimators.estimator import Estimator
from nestbench.estimators.honoured import RandomPart, intercept_alone
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running import warming
from nestbench.experiments.running.backends import LOCAL
from nestbench.experiments.running.execute import compile_all, cores
from nestbench.experiments.running.progress import Quiet
from nestbench.own_data.bar import Step
from nestbench.sim.observed.model import Model

SCHOOLS, STUDENTS = 8, 6
SCENARIOS = (
    Scenario("by statistics", "", {"icc": 0.1}),
    Scenario("row by row", "", {"icc": 0.1, "residual_shape": "t(5)"}),
)
"""The two ways in which data sets are drawn."""


class Heard(Quiet):
    """Tells a step what goes on."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def doing(self, text: str) -> None:
        """Say it."""
        self.step(0, 1, text)


def warm_up(analysis: Analysis, methods: Sequence[Estimator], workers: int | None, step: Step) -> None:
    """Compile what the methods need, if that was never done in this version, and load it."""
    small = stand_in(analysis.model)
    methods = [
        m for m in methods if m.random is not RandomPart.INTERCEPT or intercept_alone(small.model.random)
    ]
    with tempfile.TemporaryDirectory() as name:
        by_statistics, row_by_row = (_experiment(small, methods, law, Path(name)) for law in SCENARIOS)
        if warming.needed(by_statistics):
            step(0, 1, "compiling, once for this version")
            compile_all(by_statistics, workers or cores(), LOCAL, Heard(step))
        else:
            warming.load_kernels(by_statistics)
        warming.load_kernels(row_by_row)


def _experiment(analysis: Analysis, methods: Sequence[Estimator], law: Scenario, folder: Path) -> Experiment:
    """Return the condition without a planted effect: one with it compiles nothing more."""
    chosen = [choice_of(method) for method in methods]
    folder = folder / law.name.replace(" ", "-")
    found = experiment_of(analysis, "treated", [law], chosen, 1.0, 2, 1, folder)
    return replace(found, cells=found.cells[:1], levels=found.levels[:1])


def stand_in(model: Model) -> Analysis:
    """Return an analysis of made-up data with the parts of a model that kernels are compiled for: a random slope,
    classes."""
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(SCHOOLS), STUDENTS)
    columns = {
        "treated": school % 2,
        "age": rng.normal(size=len(school)),
        "class": np.arange(len(school)) % 3,
    }
    frame = pd.DataFrame({"school": school, "grade": rng.normal(size=len(school)), **columns})
    random = "1" if intercept_alone(model.random) else "1 + age"
    subgroup = None if model.subgroup is None else "class"
    return analysis_of(frame, Model("grade ~ treated + age", random=random, subgroup=subgroup))
