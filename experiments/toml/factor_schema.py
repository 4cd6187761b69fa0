"""The part of the JSON Schema that is about ``[factors]``: dotted keys, alone, in lists or tables, and their levels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nestbench.experiments.toml.combinations import FILTERS, MOST
from nestbench.experiments.toml.factors import SECTIONS

Schema = dict[str, Any]


def levels_of(level: Schema | bool) -> Schema:
    """Return the schema of a factor's levels."""
    return {"type": "array", "minItems": 1, "maxItems": MOST, "uniqueItems": True, "items": level}


def factors_under(tables: Mapping[str, Schema]) -> Schema:
    """Return the schema of factors, of which those that set keys of some sections are held to the sections' tables.

    Parameters
    ----------
    tables : mapping
        Section -> the schema of its table. Of other sections any key may be set.
    """
    keys = {name: schema for section, table in tables.items() for name, schema in _dotted(section, table)}
    within = {
        f"^{re.escape(name)}\\.": schema["additionalProperties"]
        for name, schema in {**tables, **keys}.items()
        if isinstance(schema.get("additionalProperties"), dict)
    }
    names = "|".join(
        [*(rf"{section}(\.[^,]+)?" for section in SECTIONS if section not in tables), *_names(tables)]
    )
    joint = {
        "type": "object",
        "properties": {"label": True, **keys},
        "propertyNames": {"pattern": f"^(label|{names})$"},
    }
    return {
        "type": "object",
        "propertyNames": {
            "anyOf": [{"pattern": rf"^\s*({names})\s*(,\s*({names})\s*)*$"}, {"not": {"pattern": _DOTTED}}],
        },
        "properties": {
            **{name: levels_of(level) for name, level in keys.items()},
            **{key: {"type": "array", "items": {"type": "object", "minProperties": 1}} for key in FILTERS},
            **{name: levels_of(_part(table)) for name, table in tables.items()},
        },
        "patternProperties": {
            _DOTTED: levels_of(True),
            ",": {"items": {"type": "array", "minItems": 2}},
            **{pattern: levels_of(level) for pattern, level in within.items()},
        },
        "additionalProperties": levels_of(joint),
    }


def setting_a_law() -> Schema:
    """Return the schema of factors one of which sets the population: by its key, with its section, or in a table of
    keys."""
    by_name = {"propertyNames": {"not": {"pattern": r"(^|,)\s*population(\.law)?\s*(,|$)"}}}
    by_table = {
        "additionalProperties": {"items": {"propertyNames": {"not": {"pattern": r"^population(\.law)?$"}}}}
    }
    return {"not": {"allOf": [by_name, by_table]}}


_DOTTED = rf"^\s*({'|'.join(SECTIONS)})\s*(\.|,|$)|,"
"""Names that set keys of a section, or several; any other name is one of a table of keys."""


def _dotted(name: str, table: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the keys of a table and of the tables in it, dotted, with the schema of each."""
    for key, schema in table.get("properties", {}).items():
        yield f"{name}.{key}", schema
        yield from _dotted(f"{name}.{key}", schema)


def _names(tables: Mapping[str, Schema]) -> Iterator[str]:
    """Yield a pattern for each name that sets a table, a key of one, or a key of a table that may have any."""
    for section, table in tables.items():
        for name, schema in ((section, table), *_dotted(section, table)):
            any_key = isinstance(schema.get("additionalProperties"), dict)
            yield re.escape(name) + (r"(\.[^,]+)?" if any_key else "")


def _part(table: Schema) -> Schema:
    """The schema of a whole section as a level: some of its keys, and a label."""
    named = {name: schema for name, schema in table.items() if name != "required"}
    return {**named, "properties": {"label": True, **named["properties"]}} if "properties" in named else named
