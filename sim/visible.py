"""Text from elsewhere made harmless: what moves a cursor is shown, what a spreadsheet would compute is text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters (C0 but for tab and newline, C1), marks of direction, and what no text may hold."""


def visible(text: str) -> str:
    """Return a text with its control characters written out: ESC becomes ``\\x1b``."""
    return _HIDDEN.sub(lambda hidden: hidden[0].encode("unicode_escape").decode(), text)


def is_visible(text: str) -> bool:
    """Whether a text has none of them."""
    return _HIDDEN.search(text) is None


def visible_in(value: Any) -> Any:
    """Return a value of JSON with `visible` texts throughout, keys too."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(key)): visible_in(part) for key, part in value.items()}
    return [visible_in(part) for part in value] if isinstance(value, (list, tuple)) else value


def harmless(value: Any) -> Any:
    """Return a value that a spreadsheet won't take for a formula."""
    if not isinstance(value, str) or value[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return value
    try:
        # A negative number begins like a formula.
        float(value)
    except ValueError:
        return f"'{value}"
    return value
