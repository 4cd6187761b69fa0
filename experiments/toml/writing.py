"""Plain tables as TOML text: what an experiment built in Python is stored and shown as."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def to_toml(tables: Mapping[str, Any]) -> str:
    """Return tables of tables as TOML: one section each, what is nested deeper inline; None is left out.

    A list of tables becomes one ``[[section]]`` each.
    """
    parts = []
    for section, content in tables.items():
        several = isinstance(content, (list, tuple))
        head = f"[[{section}]]" if several else f"[{section}]"
        for table in content if several else [content]:
            lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None]
            parts.append("\n".join([head, *lines]) + "\n")
    return "\n".join(parts)


def _key(key: str) -> str:
    """Return a key as TOML writes it: quoted where it isn't bare."""
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    """Return a value as TOML writes it."""
    # NumPy's own types first: its truth values are no bool, and would be written as Python has them.
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's but for pairs of surrogates, and TOML refuses a bare DEL, which JSON takes.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(k))} = {_value(v)}" for k, v in value.items() if v is not None)
        return "{ " + inner + " }" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value)
