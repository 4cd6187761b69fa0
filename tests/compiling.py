"""Compile the kernels before the whole suite, on all cores side by side: ``python tests/compiling.py``.

Without it every worker of pytest-xdist compiles what it needs, at the same time and mostly the same, which on two cores
is a third of the suite's time where nothing has been compiled before.
"""

from __future__ import annotations

from dataclasses import replace

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.honoured import RandomPart
from nestbench.estimators.methods.registry import ESTIMATORS
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running import warming
from nestbench.experiments.running.backends import LOCAL
from nestbench.experiments.running.execute import cores, mapped
from nestbench.experiments.running.work import Work
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

MODEL = Model("grade ~ age + gender + treated", subgroup="class")
LAYOUT = Layout(schools=10, students=8, classes=2, treated_share=0.5)
READY = tuple(e.with_options({"theta": 0.6}) if e.name == "gls" else e for e in ESTIMATORS)


def experiments() -> list[Experiment]:
    """Return experiments whose fits call every method's kernels; those of random slopes take longest."""
    sloped = tuple(e for e in READY if e.random is RandomPart.ANY)
    return [fits(sloped, "1 + age"), fits(READY, "1"), fits(sloped, "0 + age")]


def fits(methods: tuple[Estimator, ...], random: str) -> Experiment:
    """Return fits of a model with a random part."""
    cell = Cell(RandomIntercept(class_icc=0.05), LAYOUT, replace(MODEL, random=random))
    return Experiment("compiling", "", "", (cell,), ({},), methods)


def main() -> None:
    """Compile; a part that fails is left to the tests, which say why."""
    works = (Work.of(experiment, part) for experiment in experiments() for part in warming.parts(experiment))
    for _ in mapped(warming.compile_part, works, cores(), LOCAL):
        pass


if __name__ == "__main__":
    main()
