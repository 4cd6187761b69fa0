"""Parameters of populations, layouts and models, declared once, with their field: type, default, range, meaning, unit.

Whoever checks, lists or documents them, or makes a schema of them, reads that one declaration. A user's population may
say the same by class attributes `ranges` and `choices` and in the section ``Attributes`` of its docstring.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from nestbench.sim import checks

T = TypeVar("T")

_KEY = "declared"
_UNWRITTEN = "unwritten"
PLAIN, SLOPES, OTHER = "plain", "slopes", "other"
_HEAD = re.compile(r"^(\w+(?:, \w+)*)(?: : .+)?$")


@dataclass(frozen=True, slots=True)
class Declared:
    """What is said of a parameter beside its type and default.

    Attributes
    ----------
    meaning : str
        In a sentence; ``code`` in double backticks.
    unit : str
        What a number is in; empty where that is nothing or goes without saying.
    allowed : mapping
        Arguments of `nestbench.sim.checks.number` or `count`: the range of a number, or of each of several.
    choices : tuple of str or None
        The words it may be; of a table, its keys.
    check : callable or None
        Refuses a value that is no number; takes the name and the value.
    errors : str
        What another value than the default makes of errors that were normal, alike and independent of the covariates:
        `PLAIN` (it leaves them so), `SLOPES` (slopes vary over schools), or `OTHER`.
    """

    meaning: str
    unit: str = ""
    allowed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    choices: tuple[str, ...] | None = None
    check: Callable[[str, Any], Any] | None = None
    errors: str = OTHER

    @property
    def range(self) -> str:
        """The range in words: ``in [0, 1)``, ``>= 0``; empty where any number will do."""
        return checks.interval(**self.allowed) if self.allowed else ""


def parameter(
    default: Any = dataclasses.MISSING,
    meaning: str = "",
    *,
    factory: Any = dataclasses.MISSING,
    unit: str = "",
    choices: Iterable[str] | None = None,
    check: Callable[[str, Any], Any] | None = None,
    errors: str = OTHER,
    metadata: Mapping[str, Any] | None = None,
    unwritten: Any = dataclasses.MISSING,
    **allowed: Any,
) -> Any:
    """Return the field of a dataclass that is a parameter; see `Declared`. Without a default it must be given.

    `unwritten` is what it was before it was declared, or before its default changed: keys leave that value out, and
    where a stored run or baseline doesn't say, it is that (`nestbench.sim.cells.cell.primitives`).

    One declaration for the reader of TOML files, the schema of editors, the lists of the command line and the site:
    what a parameter means and may be is nowhere said twice.
    """
    said = Declared(meaning, unit, allowed, None if choices is None else tuple(choices), check, errors)
    kept = {} if unwritten is dataclasses.MISSING else {_UNWRITTEN: unwritten}
    return dataclasses.field(
        default=default, default_factory=factory, metadata={**(metadata or {}), **kept, _KEY: said}
    )


def unwritten_of(kind: Any) -> dict[str, Any]:
    """Return field -> its value where nothing is written, of the fields that say so (`parameter`)."""
    return {f.name: f.metadata[_UNWRITTEN] for f in dataclasses.fields(kind) if _UNWRITTEN in f.metadata}


def like(kind: Any, name: str) -> Any:
    """Return the field of a parameter that another class has declared."""
    other = {field.name: field for field in dataclasses.fields(kind)}[name]
    return dataclasses.field(default=other.default, metadata=other.metadata)


@lru_cache(maxsize=256)
def declared_of(kind: Any) -> dict[str, Declared]:
    """Return what is said of each parameter of a class."""
    described, ranges, choices = meanings(kind), getattr(kind, "ranges", {}), getattr(kind, "choices", {})
    parameters = {}
    for field in dataclasses.fields(kind):
        if field.init:
            name = field.name
            other = Declared(described.get(name, ""), "", ranges.get(name, {}), choices.get(name))
            parameters[name] = field.metadata.get(_KEY, other)
    return parameters


def check_declared(owner: Any, section: str) -> None:
    """Check each parameter of a population or layout that has a range, choices or a check of its own.

    Raises
    ------
    InvalidInput
        Names the parameter, its value and what is allowed.
    """
    kind: Any = type(owner)
    # Texts, since annotations aren't evaluated here: of any other type the owner checks its values itself.
    types = {field.name: field.type for field in dataclasses.fields(kind)}
    for name, said in declared_of(kind).items():
        where, value = f"{section}.{name}", getattr(owner, name)
        if said.check is not None:
            said.check(where, value)
        elif types[name] == "int":
            checks.count(where, value, **said.allowed)
        elif types[name] == "float":
            checks.number(where, value, **said.allowed)
        elif types[name] == "str" and said.choices is not None:
            checks.choice(where, value, said.choices)


def documented(kind: T) -> T:
    """Give a class's docstring the section ``Attributes`` that its declarations make, before ``Raises``."""
    fields: Any = dataclasses.fields(kind)  # type: ignore[arg-type]
    if kind.__doc__:
        text, raises, rest = inspect.cleandoc(kind.__doc__).partition("\nRaises\n")
        lines = "".join(_entry(field, declared_of(kind)) for field in fields)
        kind.__doc__ = f"{text.rstrip()}\n\nAttributes\n----------\n{lines}{raises}{rest}"
    return kind


def _entry(field: dataclasses.Field[Any], declared: Mapping[str, Declared]) -> str:
    if field.name not in declared:
        return ""
    said = declared[field.name]
    words = re.sub(r"Mapping\[str, float\]", "table", str(field.type)).replace(" | ", " or ")
    limits = ", ".join(filter(None, (words, said.range, said.unit)))
    meaning = textwrap.fill(said.meaning, 116, initial_indent="    ", subsequent_indent="    ")
    return f"{field.name} : {limits}\n{meaning}\n"


def meanings(kind: type[Any]) -> dict[str, str]:
    """Return the meaning of each field in a numpydoc docstring, as one line; a text under ``a, b : float`` is of both.

    Under ``python -OO`` there are no docstrings, and no meanings.
    """
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    if "Attributes" not in lines:
        return {}
    texts: dict[str, list[str]] = {}
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
                texts.setdefault(name, []).append(line.strip())
    return {name: " ".join(text) for name, text in texts.items()}
