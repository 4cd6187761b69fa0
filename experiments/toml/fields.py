"""From plain tables (TOML, JSON, dictionaries) to validated dataclasses, collecting every problem.

Types and bounds stand at the dataclasses' fields; pydantic checks them one field at a time, and its messages are put
into words for somebody who writes TOML and has never heard of pydantic.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError

from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.parameter import unwritten_of

T = TypeVar("T")

WORDS = {
    "string_pattern_mismatch": "a name of letters, digits, '.', '_' and '-'",
    "string_type": "a text",
    "dict_type": "a table",
    "list_type": "a list",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "too_short": "a list of at least one",
    "string_too_long": "shorter",
}
"""What pydantic's errors mean to who writes TOML."""


class Problems:
    """What is wrong with an input, each line naming key, value and what is allowed; duplicates are said once.

    `times` counts every one, said before or not.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.times = 0

    def add(self, line: str) -> None:
        """Note one problem."""
        self.times += 1
        if line not in self.lines:
            self.lines.append(line)

    def refuse(self, source: str) -> None:
        """Raise `InvalidInput` with everything noted, if anything was."""
        if len(self.lines) == 1:
            raise InvalidInput(f"{source}: {self.lines[0]}")
        if self.lines:
            listed = "\n".join(f"  - {line}" for line in self.lines)
            raise InvalidInput(f"{source}: {len(self.lines)} problems:\n{listed}")


def build(kind: type[T], table: Any, where: str, problems: Problems) -> T | None:
    """Return a dataclass made from a table of its fields, or None with the problems noted.

    Values are checked strictly (no number from a text, no truncation), lists become tuples where the field wants one,
    and errors of ``__post_init__`` (`InvalidInput`; ValueError of a user's population) become problems too.

    Parameters
    ----------
    kind : type
        The dataclass; its type hints say what each key may be.
    table : Any
        What stood in the file.
    where : str
        The section's name, for messages.
    problems : Problems
        Takes what is wrong.
    """
    if not isinstance(table, Mapping):
        problems.add(f"{where} should be a table of keys, got {show(table)}")
        return None
    before = problems.times
    adapters = adapters_of(cast(Any, kind))
    check_keys(table, adapters, where, problems)
    values = {}
    for name, value in table.items():
        if name in adapters:
            values[name] = _validated(adapters[name], value, f"{where}.{name}", problems)
    for name in sorted(required(kind) - set(table)):
        problems.add(f"{where}.{name} is missing; it has no default")
    if problems.times > before:
        return None
    try:
        return kind(**values)
    except ValueError as error:
        problems.add(str(error) if f"{where}." in str(error) else f"{where}: {error}")
    return None


def check_keys(table: Mapping[str, Any], allowed: Mapping[str, Any], where: str, problems: Problems) -> None:
    """Note every key that isn't allowed, with the nearest that is."""
    for key in table:
        if key not in allowed:
            known = ", ".join(allowed)
            problems.add(f"unknown key {_join(where, key)}.{did_you_mean(key, allowed)} Allowed: {known}")


def json_value(value: Any) -> Any:
    """Return a dataclass as a table of the fields that differ from their defaults, everything as JSON values.

    A field that was another where nothing was written (`nestbench.sim.parameter.parameter`) is always in it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return {name: json_value(v) for name, v in changed.items() if not _is_default(value, name)}
    if isinstance(value, Mapping):
        return {str(key): json_value(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(v) for v in value]
    return value.item() if hasattr(value, "item") else value


def show(value: Any, limit: int = 60) -> str:
    """Return a value as it would stand in a TOML file, shortened."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 3] + "..."


@lru_cache(maxsize=256)
def adapters_of(kind: Any) -> dict[str, TypeAdapter[Any]]:
    """Return, for each field of a dataclass that a table may set, what validates its value."""
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: TypeAdapter(hints[f.name]) for f in dataclasses.fields(kind) if f.init}


def required(kind: Any) -> set[str]:
    """Return the fields of a dataclass that have no default."""
    missing = dataclasses.MISSING
    return {
        f.name
        for f in dataclasses.fields(kind)
        if f.init and f.default is missing and f.default_factory is missing
    }


def _validated(adapter: TypeAdapter[Any], value: Any, where: str, problems: Problems) -> Any:
    """Validate as strict JSON: there a list is a tuple's natural form, yet "3" is no number and 2.5 no integer."""
    try:
        # Through JSON, whose strict mode knows lists as tuples.
        return adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        _describe(error, value, where, problems)
        return None


def _describe(error: ValidationError, value: Any, where: str, problems: Problems) -> None:
    """Note each place with an error once, with what every member of a union would have allowed there."""
    allowed_by_place: dict[tuple[Any, ...], list[str]] = {}
    inputs = {}
    for item in error.errors(include_url=False):
        place = tuple(part for part in item["loc"] if _leads_into(value, part))
        inputs[place] = item["input"]
        allowed = WORDS.get(item["type"]) or item["msg"].removeprefix("Input should be ")
        if allowed not in allowed_by_place.setdefault(place, []):
            allowed_by_place[place].append(allowed)
    for place, allowed_there in allowed_by_place.items():
        problems.add(
            f"{_join(where, *place)} should be {' or '.join(allowed_there)}, got {show(inputs[place])}"
        )


def _leads_into(value: Any, part: Any) -> bool:
    """Whether part of an error's place is a key or index of the input (pydantic adds names of union members)."""
    if isinstance(part, int):
        return isinstance(value, (list, tuple))
    return isinstance(value, Mapping) and part in value


def _is_default(owner: Any, name: str) -> bool:
    """Whether a field has its default, now and ever; a default that a factory makes is compared by value."""
    if name in unwritten_of(owner):
        return False
    field = {f.name: f for f in dataclasses.fields(owner)}[name]
    if field.default is not dataclasses.MISSING:
        return bool(getattr(owner, name) == field.default)
    if field.default_factory is not dataclasses.MISSING:
        return bool(getattr(owner, name) == field.default_factory())
    return False


def _join(*parts: Any) -> str:
    """Return a dotted place, without its empty parts."""
    return ".".join(str(part) for part in parts if part != "")
