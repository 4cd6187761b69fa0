"""What fields mean, read from the section ``Attributes`` of their class's docstring: the one place where it stands."""

from __future__ import annotations

import inspect
import re
from typing import Any

_HEAD = re.compile(r"^(\w+(?:, \w+)*)(?: : .+)?$")


def meanings(kind: type[Any]) -> dict[str, str]:
    """Return the meaning of each field in a numpydoc docstring, as one line; a text under ``a, b : float`` is of both.

    Under ``python -OO`` there are no docstrings, and no meanings.
    """
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    if "Attributes" not in lines:
        return {}
    found: dict[str, list[str]] = {}
    named: list[str] = []
    for line, after in zip(
        lines[lines.index("Attributes") + 2 :], [*lines[lines.index("Attributes") + 3 :], ""], strict=True
    ):
        if after and set(after) == {"-"}:
            break
        if (head := _HEAD.match(line)) is not None:
            named = head[1].split(", ")
        elif line.strip():
            for name in named:
                found.setdefault(name, []).append(line.strip())
    return {name: " ".join(text).replace("``", "").replace("`", "") for name, text in found.items()}
