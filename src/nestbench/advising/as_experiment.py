"""The simulation as an ordinary experiment: a design file, a TOML file, and the methods asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nestbench.advising.analysis import Analysis
from nestbench.advising.calibration import school_means
from nestbench.advising.candidates import SLOW
from nestbench.advising.scenarios import MEANS, Scenario, needs_means
from nestbench.estimators.estimator import Estimator
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.files import write_atomically
from nestbench.experiments.toml.reading import read_experiment
from nestbench.experiments.toml.writing import to_toml
from nestbench.reports.frames import csv_of
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.design import design_of

DESIGN, EXPERIMENT = "design.csv", "experiment.toml"


def experiment_of(
    analysis: Analysis,
    term: str,
    laws: Sequence[Scenario],
    methods: Sequence[str | Mapping[str, Any]],
    planted: float,
    replications: int,
    seed: int,
    folder: Path,
) -> Experiment:
    """Write the design and the experiment into a folder and return the experiment, as read from there.

    The design's file has the columns of the model but no outcome: no scenario knows it. Effects are 0; `planted` is
    tested for by ``model.null``, which is the same as planting it.

    Raises
    ------
    InvalidInput
        The formula isn't the same on the design alone (``.``), or the folder can't be written to.
    """
    frame = analysis.blind.replication(0).frame().drop(columns=analysis.outcome)
    if needs_means(laws):
        frame[MEANS] = school_means(analysis, term)
    write_atomically(folder / DESIGN, csv_of(frame).encode())
    tables = tables_of(analysis, term, laws, methods, planted, replications, seed)
    write_atomically(folder / EXPERIMENT, to_toml(tables).encode())
    experiment = read_experiment(folder / EXPERIMENT)
    # CSV knows no types: levels that read as numbers, or missing values, would make another design.
    _require_same(analysis, experiment)
    return experiment


def tables_of(
    analysis: Analysis,
    term: str,
    laws: Sequence[Scenario],
    methods: Sequence[str | Mapping[str, Any]],
    planted: float,
    replications: int,
    seed: int,
) -> dict[str, Any]:
    """Return the experiment's tables."""
    model = analysis.simulated
    levels = []
    for law in laws:
        chosen = {f"population.{key}": value for key, value in law.parameters.items()}
        if MEANS in law.parameters.get("effects", {}):
            chosen["population.formula"] = f"{analysis.right} + {MEANS}"
        levels.append({"label": law.name, **chosen})
    return {
        "experiment": {
            "name": "advise",
            "title": f"Which method for {term}?",
            "aims": f"Methods for {term} in {analysis.model.formula}, on the design as it is, errors "
            "drawn from scenarios that the "
            "residuals don't rule out. Effects are 0.",
            "replications": replications,
            "reference_replications": min(replications, SLOW["ols-hc1"]),
            "seed": seed,
            "estimators": list(methods),
        },
        "population": {
            "law": "fixed-design",
            "version": 3,
            "data": DESIGN,
            "school": analysis.model.group,
            "formula": analysis.right,
            "outcome": analysis.outcome,
        },
        "model": {
            "formula": model.formula,
            "group": model.group,
            "random": model.random,
            "level": model.level,
            "subgroup": model.subgroup,
        },
        "truth": {term: 0.0},
        "factors": {
            "scenario": levels,
            f"model.null.{term}": [0.0, -planted],
        },
    }


def choice_of(method: Estimator) -> str | dict[str, Any]:
    """Return a method as a TOML file names it."""
    if not method.changed:
        return method.name
    return {"name": method.name, **{key: method.options[key] for key in method.changed}}


def null_cells(experiment: Experiment, term: str) -> list[int]:
    """Return the conditions with tests of 0, one a scenario, in order: planting an effect shifts what they give."""
    return [i for i, cell in enumerate(experiment.cells) if not cell.model.null_of(term)]


def _require_same(analysis: Analysis, experiment: Experiment) -> None:
    """Refuse a design that isn't the user's after a turn through its file."""
    cell = experiment.cells[0]
    batch = cell.draw(experiment.seed, range(1))
    design = batch.once(design_of, cell.model)
    same = design.terms == analysis.terms and np.allclose(design.fixed(batch), analysis.x, rtol=1e-12, atol=0)
    if not same:
        raise InvalidInput(
            "expected a formula that means the same on the columns it names alone, got "
            f"'{analysis.model.formula}'; name "
            "the columns instead of '.', and give categories labels that are no numbers"
        )
