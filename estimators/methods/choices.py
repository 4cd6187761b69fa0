"""Methods as they are typed on one line: ``ols,ols-wild:draws=9999:weights=webb,means(weights=size)``.

Two spellings of options, for two sources: colons need no quotes in a shell; parentheses are how a label stands in
results, so that a label can be copied from a report to the command line.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from nestbench.sim.errors import InvalidInput

_OPTION = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.+?)\s*", re.DOTALL)


def choices_of(text: str) -> list[str | dict[str, Any]]:
    """Return the methods of a list with commas; one with options as a table.

    Options follow a name after colons (``ols-wild:draws=9999``) or stand in parentheses, as labels of results have
    them (``means(weights=size)``). A value is a number, ``true``, ``false``, or else a text.

    Raises
    ------
    InvalidInput
        No method, or an option that isn't ``key=value``.
    """
    choices = [_choice(part) for part in _split(text, ",") if part]
    if not choices:
        raise InvalidInput(
            f"expected at least one method, several with commas, got '{text}'; e.g. ols,ols-cr1s-t"
        )
    return choices


def _choice(text: str) -> str | dict[str, Any]:
    """Return one method: a name, or a table of its name and options."""
    label = re.fullmatch(r"([^(:]+)\((.*)\)", text, re.DOTALL)
    name, *options = [label[1].strip(), *_split(label[2], ",")] if label else _split(text, ":")
    if not options:
        return name
    table: dict[str, Any] = {"name": name}
    for option in options:
        pair = _OPTION.fullmatch(option)
        if pair is None or pair[1] in table:
            what = "once each" if pair else "as key=value"
            raise InvalidInput(
                f"expected the options of '{name}' {what}, got '{text}'; e.g. ols-wild:draws=9999"
            )
        table[pair[1]] = _value(pair[2])
    return table


def _split(text: str, separator: str) -> list[str]:
    """Split at separators outside of parentheses and brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _value(text: str) -> Any:
    """Return an option's value as a number or truth value where it is one, else as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError, ValueError, RecursionError):
        return text
