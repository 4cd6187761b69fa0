"""The JSON Schema of an experiment's TOML, for editors: made from what the reader reads with, so that neither drifts.

Types and bounds are those of the dataclasses behind the sections, with what populations, layout and model declare of
their keys and check them by; names are those of the registries. What plugins may add (methods, populations) is left
open where a file names plugins. What several keys or the data decide together stays with the reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.experiments.toml.factor_schema import factors_under, setting_a_law
from nestbench.experiments.toml.fields import adapters_of, json_value, required
from nestbench.experiments.toml.published_tables import PublishedTable
from nestbench.experiments.toml.settings import PrecisionLimits, Settings
from nestbench.sim.cells.layout import Layout
from nestbench.sim.laws.registry import known_laws
from nestbench.sim.observed.model import Model
from nestbench.sim.parameter import declared_of

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "An experiment of nestbench"
WITHOUT_PLUGINS: Schema = {"properties": {"experiment": {"properties": {"plugins": {"maxItems": 0}}}}}


def experiment_schema(measures: Iterable[str] = ()) -> Schema:
    """Return the schema of an experiment's tables (JSON Schema, draft 2020-12).

    Parameters
    ----------
    measures : iterable of str
        What ``[precision]`` may name; any name, if there are none.
    """
    methods, laws = tuple(registry.known().values()), known_laws()
    layout, model = table_of(Layout), table_of(Model)
    truth = {"type": "object", "additionalProperties": {"type": "number"}}
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "type": "object",
        "required": ["experiment"],
        "additionalProperties": False,
        "properties": {
            "experiment": _settings(methods),
            "population": _any_law(laws),
            "layout": layout,
            "model": model,
            "truth": truth,
            "factors": factors_under({"layout": layout, "model": model, "truth": truth}),
            "precision": _precision(measures),
            "published": {"type": "array", "items": table_of(PublishedTable)},
        },
        "allOf": [
            {"if": WITHOUT_PLUGINS, "then": _known_names(methods, laws)},
            *({"if": _has_law(name, laws), "then": _under_law(name, law)} for name, law in laws.items()),
        ],
    }


def table_of(kind: Any) -> Schema:
    """Return the schema of a table of a dataclass's fields."""
    needed = sorted(required(kind))
    table: Schema = {"type": "object", "additionalProperties": False, "properties": properties_of(kind)}
    return {**table, "required": needed} if needed else table


def properties_of(kind: Any) -> dict[str, Schema]:
    """Return the schema of each field: type, bounds, words allowed, default and meaning."""
    declared, properties = declared_of(kind), {}
    defaults = {f.name: f.default for f in dataclasses.fields(kind)}
    for name, adapter in adapters_of(kind).items():
        said = declared[name]
        schema = _among(_within(_set(_typed(adapter)), said.allowed), said.choices)
        usual = json_value(defaults[name])
        properties[name] = {
            **schema,
            **({"description": said.meaning.replace("`", "")} if said.meaning else {}),
            **({"default": usual} if isinstance(usual, (bool, int, float, str)) else {}),
        }
    return properties


def _typed(adapter: TypeAdapter[Any]) -> Schema:
    """Return the schema of a type, one that allows anything where JSON Schema has no words for a population's own
    type."""
    try:
        schema = adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return {}
    # References to "#/$defs" start at the whole schema's root, of which this becomes a part.
    return {} if "$defs" in schema else schema


def _set(schema: Schema) -> Schema:
    """Return the schema of a value that is set: TOML knows no null."""
    left = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return left[0] if len(left) == 1 else schema


def _within(schema: Schema, allowed: Mapping[str, Any]) -> Schema:
    """Return a schema whose numbers, those of a list too, are within a range of `nestbench.sim.checks`."""
    if schema.get("type") in ("number", "integer"):
        low = "exclusiveMinimum" if allowed.get("open_low") else "minimum"
        high = "exclusiveMaximum" if allowed.get("open_high") else "maximum"
        bounds = {low: allowed.get("low"), high: allowed.get("high")}
        return {**schema, **{name: bound for name, bound in bounds.items() if bound is not None}}
    listed = (key for key in ("anyOf", "prefixItems") if key in schema)
    inner: Schema = {key: [_within(one, allowed) for one in schema[key]] for key in listed}
    items = {"items": _within(schema["items"], allowed)} if isinstance(schema.get("items"), dict) else {}
    return {**schema, **inner, **items}


def _among(schema: Schema, words: Iterable[str] | None) -> Schema:
    """Return the schema of one of some words, or of a table whose keys are some of them."""
    if words is None:
        return schema
    if schema.get("type") != "object":
        return {**schema, "enum": list(words)}
    return {
        **schema,
        "properties": dict.fromkeys(words, schema["additionalProperties"]),
        "additionalProperties": False,
    }


def _settings(methods: Sequence[Estimator]) -> Schema:
    """``[experiment]``: methods by any name, those that are known to choose from."""
    table = table_of(Settings)
    named = {"enum": [method.name for method in methods]}
    any_of = [named, {"type": "string"}, {"type": "object", "required": ["name"]}]
    table["properties"]["estimators"]["items"] = {"anyOf": any_of}
    return table


def _known_names(methods: Sequence[Estimator], laws: Mapping[str, Any]) -> Schema:
    """What holds without plugins: methods are among the known, with their options, and so are populations."""
    listed = {"items": {"anyOf": [{"enum": [method.name for method in methods]}, _with_options(methods)]}}
    law = {"properties": {"law": {"enum": list(laws)}}}
    return {"properties": {"experiment": {"properties": {"estimators": listed}}, "population": law}}


def _with_options(methods: Sequence[Estimator]) -> Schema:
    """A table of a method's name and options; methods with the same options share a condition."""
    kinds: dict[str, tuple[list[str], Schema]] = {}
    for method in methods:
        options: Schema = {
            key: {"default": usual, **({"enum": list(method.choices[key])} if key in method.choices else {})}
            for key, usual in method.options.items()
        }
        kinds.setdefault(repr(options), ([], options))[0].append(method.name)
    return {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": [method.name for method in methods]}},
        "allOf": [
            {
                "if": {"properties": {"name": {"enum": names}}},
                "then": {"properties": {"name": True, **options}, "additionalProperties": False},
            }
            for names, options in kinds.values()
        ],
    }


def _any_law(laws: Mapping[str, Any]) -> Schema:
    """``[population]`` of any population: keys to choose from, with their meaning but not yet their bounds."""
    known: dict[str, Schema] = {}
    for law in laws.values():
        for name, schema in properties_of(law).items():
            known.setdefault(name, {key: schema[key] for key in ("description", "default") if key in schema})
    named = {
        "anyOf": [{"enum": list(laws)}, {"type": "string"}],
        "description": "See nestbench list populations.",
    }
    return {"type": "object", "properties": {"law": named, **known}}


def _has_law(name: str, laws: Mapping[str, Any]) -> Schema:
    """The condition that every condition has this population (the usual one need not be named): no plugin, no factor
    sets it."""
    law = {"population": {"properties": {"law": {"const": name}}}}
    named = {"required": ["population"], "properties": {"population": {"required": ["law"]}}}
    usual = name == next(iter(laws))
    return {
        "allOf": [WITHOUT_PLUGINS, {"properties": law}, *([] if usual else [named])],
        "not": {"required": ["factors"], "properties": {"factors": setting_a_law()}},
    }


def _under_law(name: str, law: Any) -> Schema:
    """What holds of ``[population]``, and of factors that set its keys, under one population."""
    table = table_of(law)
    needed = {"population": {"required": table.pop("required", [])}}
    named = {**table, "properties": {"law": {"const": name}, **table["properties"]}}
    return {
        "properties": {"population": named, "factors": factors_under({"population": table})},
        # With factors a key may be set in each condition instead.
        "if": {"not": {"required": ["factors"]}},
        "then": {
            "properties": needed,
            **({"required": ["population"]} if needed["population"]["required"] else {}),
        },
    }


def _precision(measures: Iterable[str]) -> Schema:
    """``[precision]``: limits, and the largest Monte Carlo error by measure."""
    table = table_of(PrecisionLimits)
    target: Schema = {"type": "number", "exclusiveMinimum": 0}
    named = {name: {**target, "description": f"Largest Monte Carlo error of {name}."} for name in measures}
    return {
        **table,
        "properties": {**named, **table["properties"]},
        "additionalProperties": False if named else target,
        "minProperties": 1,
    }
