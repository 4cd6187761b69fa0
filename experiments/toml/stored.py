"""Experiments as plain JSON and back: what a run directory keeps, whole, to be read without the TOML file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.experiments import plugins
from nestbench.experiments.experiment import MOST_REPLICATIONS, Experiment, Plugin, Precision
from nestbench.experiments.toml.fields import Problems, build, json_value
from nestbench.experiments.toml.kept_method import kept_method
from nestbench.experiments.toml.settings import NAME
from nestbench.sim.cells.cell import Cell, identity_of
from nestbench.sim.cells.kept_law import BROUGHT, KeptLaw
from nestbench.sim.cells.layout import Layout
from nestbench.sim.cells.truth import Truth
from nestbench.sim.errors import StoreError
from nestbench.sim.laws.registry import LAWS, known_laws
from nestbench.sim.observed.model import Model
from nestbench.sim.parameter import unwritten_of
from nestbench.sim.visible import visible_in

Count = Annotated[int, Field(ge=1, le=MOST_REPLICATIONS)]


@dataclasses.dataclass(frozen=True, slots=True)
class KeptMethod:
    """A method as kept; `info` where it isn't built in."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    version: int
    options: dict[str, Any]
    info: dict[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class KeptPlugin:
    """A plugin as kept: a file of the run's own folder, nowhere else."""

    name: Annotated[str, Field(pattern=r"^[^/\\:\x00]+\.py$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclasses.dataclass(frozen=True, slots=True)
class KeptCell:
    """A condition as kept; `truth` is what the user stated, `identity` and `found` stand where its population isn't
    built in."""

    population: dict[str, Any]
    layout: dict[str, Any]
    model: dict[str, Any]
    truth: dict[str, float] = dataclasses.field(default_factory=dict)
    identity: dict[str, Any] | None = None
    found: Truth | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class KeptExperiment:
    """What a run or baseline keeps of an experiment, with the bounds of a TOML's ``[experiment]``."""

    name: Annotated[str, Field(pattern=NAME, max_length=80)]
    title: str
    aims: str
    replications: Count
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    engine: Literal["auto", "reference", "batched"]
    reference_replications: Count
    audit: Annotated[int, Field(ge=0, le=MOST_REPLICATIONS)]
    fit_timeout: Annotated[float, Field(gt=0)] | None
    fit_memory: Annotated[int, Field(ge=1)] | None
    source: str
    cells: list[KeptCell]
    levels: list[dict[str, Any]]
    estimators: Annotated[list[KeptMethod], Field(min_length=1)]
    plugins: list[KeptPlugin]
    precision: Precision | None


SCALARS = tuple(
    f.name
    for f in dataclasses.fields(KeptExperiment)
    if f.name not in ("cells", "levels", "estimators", "plugins", "precision")
)


def to_stored(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as JSON values; plugins by file name and hash, methods by name, version and options."""
    return {
        **{name: getattr(experiment, name) for name in SCALARS},
        "cells": [_stored_cell(cell) for cell in experiment.cells],
        "levels": [json_value(levels) for levels in experiment.levels],
        "estimators": [_stored_method(e, bool(experiment.brought)) for e in experiment.estimators],
        "precision": dataclasses.asdict(experiment.precision) if experiment.precision else None,
        "plugins": [{"name": Path(p.path).name, "sha256": p.sha256} for p in experiment.plugins],
    }


def from_stored(table: Mapping[str, Any], plugin_folder: Path, code: bool = False) -> Experiment:
    """Return the experiment of `to_stored`; plugin files are looked for in a folder, and run only if `code` says so.

    Without their code, methods and populations that no installed package has are stood in for by what is kept of them.

    Raises
    ------
    InvalidInput, StoreError
        Not what `to_stored` makes, or a method or population this installation doesn't have, or has in another version.
    """
    absent = [f.name for f in dataclasses.fields(KeptExperiment) if f.name not in table]
    if absent:
        raise StoreError(
            f"expected a stored experiment of this version, got one without {', '.join(absent)}; read it with the "
            "version of nestbench that wrote it, or run the experiment anew"
        )
    problems = Problems()
    kept = build(KeptExperiment, visible_in(table), "experiment", problems)
    if kept is None:
        raise StoreError(f"a stored experiment can't be read with this version: {'; '.join(problems.lines)}")
    if len(kept.levels) != len(kept.cells):
        raise StoreError(
            f"expected levels for each of {len(kept.cells)} stored conditions, got {len(kept.levels)}"
        )
    loaded = tuple(Plugin(str(plugin_folder / p.name), p.sha256) for p in kept.plugins)
    for plugin in loaded if code else ():
        plugins.load_plugin(plugin)
    brought = any(cell.population.get("law") == BROUGHT for cell in kept.cells)
    return Experiment(
        **{name: getattr(kept, name) for name in SCALARS},
        cells=tuple(_cell(cell) for cell in kept.cells),
        levels=tuple(kept.levels),
        estimators=tuple(_method(method, brought) for method in kept.estimators),
        plugins=loaded,
        precision=kept.precision,
    )


def _stored_method(estimator: Estimator, brought: bool) -> dict[str, Any]:
    """Return a method as JSON values; with its words where it isn't built in, since reading a run loads no code."""
    stored: dict[str, Any] = {
        "name": estimator.name,
        "version": estimator.version,
        "options": {key: json_value(estimator.options[key]) for key in estimator.changed},
    }
    # In results that users bring, "ols" is what they call so.
    own = brought or not registry.built_in(estimator.name)
    words = {key: text for key, text in dataclasses.asdict(estimator.info).items() if isinstance(text, str)}
    return stored | ({"info": words} if own else {})


def _method(kept: KeptMethod, brought: bool) -> Estimator:
    """Return the method of stored values, or what stands in for one whose code isn't here.

    Names may be any text where results were read from a table; elsewhere they are those that a plugin may give.
    """
    if not brought and re.fullmatch(plugins.NAME, kept.name) is None:
        raise StoreError(
            f"a stored experiment can't be read with this version: no method can be called '{kept.name}'"
        )
    if kept.info is not None and (brought or kept.name not in registry.known()):
        return kept_method(kept.name, kept.version, kept.info, kept.options)
    return registry.get({**kept.options, "name": kept.name})


def _stored_cell(cell: Cell) -> dict[str, Any]:
    """Return a condition as JSON values; with its identity and truth where its population isn't built in."""
    law = cell.population
    stored: dict[str, Any] = {
        "population": {"law": law.name, **(law.parameters if isinstance(law, KeptLaw) else json_value(law))},
        "layout": json_value(cell.layout),
        "model": json_value(cell.model),
        **({"truth": json_value(cell.stated)} if cell.stated else {}),
    }
    if type(law) not in LAWS:
        stored |= {"identity": dict(identity_of(law, cell.layout)), "found": dataclasses.asdict(cell.found)}
    return stored


def _cell(kept: KeptCell) -> Cell:
    """Return the condition of stored values; what can't be read any more is a StoreError with its reason."""
    problems = Problems()
    parameters = dict(kept.population)
    name = str(parameters.pop("law", None))
    layout = build(Layout, kept.layout, "layout", problems)
    model = build(Model, kept.model, "model", problems)
    law: Any = None
    # Whoever has a population of that name: results read from a table have none.
    if name != BROUGHT and (kind := known_laws().get(name)) is not None:
        law = build(kind, unwritten_of(kind) | parameters, "population", problems)
    elif kept.identity is not None and kept.found is not None:
        law = KeptLaw(name, parameters, kept.identity, kept.found)
    else:
        problems.add(f"there is no population '{name}' here")
    if law is None or layout is None or model is None:
        raise StoreError(f"a stored condition can't be read with this version: {'; '.join(problems.lines)}")
    try:
        return Cell(law, layout, model, kept.truth)
    except ValueError as error:
        raise StoreError(f"a stored condition can't be read with this version: {error}") from error
