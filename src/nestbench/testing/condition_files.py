"""Conditions of failed assertions as files, for `nestbench simulate`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.experiments.toml.fields import json_value
from nestbench.experiments.toml.writing import to_toml
from nestbench.sim.cells.cell import Cell


def name_of(test: str) -> str:
    """Return a test's name as a name of files."""
    return re.sub(r"[^A-Za-z0-9]+", "-", test.split("::")[-1] or "study").strip("-")[:60] or "study"


def simulate(file: Path, replication: int) -> str:
    """Return the command that writes one data set of such a file."""
    return f"nestbench simulate {shlex.quote(str(file))} --replication {replication} --csv data.csv"


def condition_file(estimator: Estimator, cell: Cell, seed: int, folder: Path, test: str) -> Path:
    """Write the condition of a failed assertion as an experiment, for `nestbench simulate`, and return its path.

    Parameters
    ----------
    estimator : Estimator
    cell : Cell
    seed : int
    folder : Path
        pytest's cache.
    test : str
        The test's name, for the file's.
    """
    name = name_of(test)
    # What a test or its modules define, another process doesn't know; data are drawn without it.
    known = estimator.name if registry.built_in(estimator.name) else "ols"
    tables = {
        "experiment": {"name": name, "seed": seed, "estimators": [known]},
        "population": {"law": cell.population.name, **json_value(cell.population)},
        "layout": json_value(cell.layout),
        "model": json_value(cell.model),
    }
    file = folder / f"{name}-{cell.key[:6]}.toml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(to_toml(tables), encoding="utf-8")
    return file
