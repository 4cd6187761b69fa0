"""Experiments as plain JSON and back: what a run directory keeps, whole, to be read without the TOML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nestbench.estimators import registry
from nestbench.experiments import plugins
from nestbench.experiments.experiment import Experiment, Plugin, Precision
from nestbench.experiments.toml.fields import Problems, build, plain
from nestbench.sim.cell import Cell
from nestbench.sim.errors import StoreError
from nestbench.sim.laws import law_named
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model

SCALARS = (
    "name",
    "title",
    "aims",
    "replications",
    "seed",
    "engine",
    "reference_replications",
    "audit",
    "fit_timeout",
    "fit_memory",
    "source",
)


def to_plain(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as JSON values; plugins by file name and hash, estimators by name, version and options."""
    return {
        **{name: getattr(experiment, name) for name in SCALARS},
        "cells": [_cell_plain(cell) for cell in experiment.cells],
        "levels": [plain(levels) for levels in experiment.levels],
        "estimators": [
            {
                "name": e.name,
                "version": e.version,
                "options": {key: plain(e.options[key]) for key in e.changed},
            }
            for e in experiment.estimators
        ],
        "precision": dataclasses.asdict(experiment.precision) if experiment.precision else None,
        "plugins": [{"name": Path(p.path).name, "sha256": p.sha256} for p in experiment.plugins],
    }


def from_plain(table: Mapping[str, Any], plugin_folder: Path) -> Experiment:
    """Return the experiment of `to_plain`; plugin files are looked for in a folder.

    Raises
    ------
    InvalidInput, StoreError
        An estimator or law this installation doesn't have, or has in another version.
    """
    absent = [
        name
        for name in (*SCALARS, "cells", "levels", "estimators", "plugins", "precision")
        if name not in table
    ]
    if absent:
        raise StoreError(
            f"expected a stored experiment of this version, got one without {', '.join(absent)}; read it with the "
            "version of nestbench that wrote it, or run the experiment anew"
        )
    loaded = tuple(Plugin(str(plugin_folder / p["name"]), p["sha256"]) for p in table["plugins"])
    for plugin in loaded:
        plugins.load_plugin(plugin)
    return Experiment(
        **{name: table[name] for name in SCALARS},
        cells=tuple(_cell(cell) for cell in table["cells"]),
        levels=tuple(table["levels"]),
        estimators=tuple(registry.get({"name": e["name"], **e["options"]}) for e in table["estimators"]),
        plugins=loaded,
        precision=Precision(**table["precision"]) if table["precision"] else None,
    )


def _cell_plain(cell: Cell) -> dict[str, Any]:
    return {
        "population": {"law": cell.population.name, **plain(cell.population)},
        "layout": plain(cell.layout),
        "model": plain(cell.model),
        **({"truth": plain(cell.stated)} if cell.stated else {}),
    }


def _cell(table: Mapping[str, Any]) -> Cell:
    problems = Problems()
    population = dict(table["population"])
    law = build(law_named(population.pop("law")), population, "population", problems)
    layout = build(Layout, table["layout"], "layout", problems)
    model = build(Model, table["model"], "model", problems)
    if law is None or layout is None or model is None:
        raise StoreError(f"a stored cell can't be read with this version: {'; '.join(problems.lines)}")
    return Cell(law, layout, model, table.get("truth", {}))
