"""The simulation as an ordinary experiment: a design file, a TOML file, and the methods asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nestbench.advising.calibration import school_means
from nestbench.advising.scenarios import MEANS, Scenario, needs_means
from nestbench.advising.subject import Subject
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.files import write_atomically
from nestbench.experiments.toml.reading import read_experiment
from nestbench.experiments.toml.writing import to_toml
from nestbench.own_data.usual import USUAL
from nestbench.reports.frames import csv_of
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.design import design_of

CANDIDATES = (
    "reml-kr",
    "reml-satt",
    "reml-bw",
    "ols-cr2-satt",
    "ols-cr3-t",
    "ols-jackknife-t",
    "reml-cr2",
    "ols-wild",
)
FOR_SCHOOLS = ("means",)
WITH_MEANS = ("mundlak-kr", "mundlak-satt", "mundlak-cr2-satt")
FOR_STUDENTS = ("dummies-cr2-satt", "dummies", *WITH_MEANS)
FOR_CLASSES = ("nested-satt", "nested-z")
SLOW = {"ols-wild": 1000, "ols-hc1": 1000}
"""Most data sets of a scenario for methods that take hundreds of times as long as the others."""
SLOWER = 200
"""What these limits fall to where one such fit takes milliseconds."""
WILD_SCHOOLS, READ_ROWS = 200_000, 20_000_000
"""Schools in all bootstraps of a scenario, students in all data sets whose rows are read."""
ROWS, A_SCHOOL = 400_000_000, 150
"""Students drawn for a scenario unless told otherwise; as many as a school costs all methods together."""
MOST, LEAST = 10_000, 400
DESIGN, STUDY = "design.csv", "experiment.toml"


def methods_for(subject: Subject, term: str) -> tuple[str, ...]:
    """Return the names of the methods that are tried for a term, in the order in which equals are preferred."""
    if subject.single:
        # Means of schools are the students, and deviations from them nothing.
        return (*CANDIDATES, *USUAL)
    constant = bool(subject.constant[subject.position(term)])
    found = [*(FOR_CLASSES[:1] if subject.model.subgroup else ()), *CANDIDATES]
    found += FOR_SCHOOLS if constant else FOR_STUDENTS
    found += FOR_CLASSES[1:] if subject.model.subgroup else ()
    return (*found, *USUAL)


def replications_for(subject: Subject) -> int:
    """Return how many data sets of a scenario are drawn unless told otherwise."""
    size = len(subject.residuals) + A_SCHOOL * subject.schools
    return int(np.clip(ROWS // size, LEAST, MOST))


def limits_of(subject: Subject) -> dict[str, int]:
    """Return the most data sets of a scenario for methods that take long, fewer where data are large."""
    asked = {"ols-wild": WILD_SCHOOLS // subject.schools, "ols-hc1": READ_ROWS // len(subject.residuals)}
    return {name: int(np.clip(asked[name], SLOWER, most)) for name, most in SLOW.items()}


def study_of(
    subject: Subject,
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
    frame = subject.blind.replication(0).frame().drop(columns=subject.outcome)
    if needs_means(laws):
        frame[MEANS] = school_means(subject, term)
    write_atomically(folder / DESIGN, csv_of(frame).encode())
    tables = tables_of(subject, term, laws, methods, planted, replications, seed)
    write_atomically(folder / STUDY, to_toml(tables).encode())
    experiment = read_experiment(folder / STUDY)
    # CSV knows no types: levels that read as numbers, or missing values, would make another design.
    _require_same(subject, experiment)
    return experiment


def tables_of(
    subject: Subject,
    term: str,
    laws: Sequence[Scenario],
    methods: Sequence[str | Mapping[str, Any]],
    planted: float,
    replications: int,
    seed: int,
) -> dict[str, Any]:
    """Return the experiment's tables."""
    model = subject.simulated
    levels = []
    for law in laws:
        chosen = {f"population.{key}": value for key, value in law.parameters.items()}
        if MEANS in law.parameters.get("effects", {}):
            chosen["population.formula"] = f"{subject.right} + {MEANS}"
        levels.append({"label": law.name, **chosen})
    return {
        "experiment": {
            "name": "advise",
            "title": f"Which method for {term}?",
            "aims": f"Methods for {term} in {subject.model.formula}, on the design as it is, errors "
            "drawn from scenarios that the "
            "residuals don't rule out. Effects are 0.",
            "replications": replications,
            "reference_replications": min(replications, SLOW["ols-hc1"]),
            "seed": seed,
            "estimators": list(methods),
        },
        "population": {
            "law": "fixed-design",
            "version": 2,
            "data": DESIGN,
            "school": subject.model.group,
            "formula": subject.right,
            "outcome": subject.outcome,
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


def null_cells(experiment: Experiment, term: str) -> list[int]:
    """Return the conditions with tests of 0, one a scenario, in order: planting an effect shifts what they give."""
    return [i for i, cell in enumerate(experiment.cells) if not cell.model.null_of(term)]


def _require_same(subject: Subject, experiment: Experiment) -> None:
    """Refuse a design that isn't the user's after a turn through its file."""
    cell = experiment.cells[0]
    batch = cell.draw(experiment.seed, range(1))
    design = batch.once(design_of, cell.model)
    same = design.terms == subject.terms and np.allclose(design.fixed(batch), subject.x, rtol=1e-12, atol=0)
    if not same:
        raise InvalidInput(
            "expected a formula that means the same on the columns it names alone, got "
            f"'{subject.model.formula}'; name "
            "the columns instead of '.', and give categories labels that are no numbers"
        )
