"""Cells: population x layout x analysis model, and their keys."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nestbench.sim.batch import Batch
from nestbench.sim.layout import Layout
from nestbench.sim.model import Model
from nestbench.sim.population import Population
from nestbench.sim.streams import StreamSource
from nestbench.sim.truth import truth_of


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of an experiment.

    Two keys: `law_key` names what is drawn (population x layout) and seeds the streams, so that two models of one law
    see the same data sets; `key` names the whole cell. Both hash canonical JSON of primitives that differ from their
    defaults, so a parameter added later, with a default that changes nothing, changes no key. A field whose
    metadata say ``key=False`` (a path) is no part of them.

    Raises
    ------
    InvalidInput
        From the population's `check`, where it has one: a parameter that can't be combined with the layout.
    """

    population: Population
    layout: Layout
    model: Model

    def __post_init__(self) -> None:
        check = getattr(self.population, "check", None)
        if check is not None:
            check(self.layout)

    @property
    def law_key(self) -> str:
        """Hash of population and layout."""
        return _hash({"population": _law(self.population), "layout": primitives(self.layout)})

    @property
    def key(self) -> str:
        """Hash of population, layout and model."""
        return _hash(
            {
                "population": _law(self.population),
                "layout": primitives(self.layout),
                "model": primitives(self.model),
            }
        )

    @property
    def truth(self) -> Mapping[str, float]:
        """Term -> true value under the law, of the terms the model estimates; see `nestbench.sim.truth`."""
        return truth_of(self.population, self.model)

    def draw(self, seed: int, replications: range) -> Batch:
        """Draw the observed data sets of some replications."""
        return self.population.draw(self.layout, StreamSource(seed, self.law_key), replications)


def primitives(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults, as JSON primitives."""
    chosen = {}
    for field in (f for f in dataclasses.fields(value) if f.metadata.get("key", True)):
        got = getattr(value, field.name)
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            default = dataclasses.MISSING
        if got != default:
            chosen[field.name] = _primitive(got)
    return chosen


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys, no spaces, shortest round-trip floats: the text that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _law(population: Population) -> dict[str, Any]:
    return {"law": population.name, **primitives(population)}


def _primitive(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return primitives(value)
    if isinstance(value, Mapping):
        return {str(k): _primitive(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_primitive(v) for v in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return float(value) if isinstance(value, (float, int)) else str(value)


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
