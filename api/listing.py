"""What there is: experiments of the catalogue, estimators, populations. Printed by ``nestbench list``."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from nestbench.estimators import registry
from nestbench.estimators.estimator import Estimator
from nestbench.experiments import catalog
from nestbench.sim.errors import unknown_name
from nestbench.sim.laws import known_laws
from nestbench.sim.layout import Layout


def entries(kind: str) -> list[dict[str, Any]]:
    """Return what there is of a kind, as plain tables.

    Parameters
    ----------
    kind : str
        ``experiments``, ``estimators`` or ``populations``.
    """
    kinds = {"experiments": _experiments, "estimators": _estimators, "populations": _populations}
    if kind not in kinds:
        raise unknown_name("kind of list", kind, kinds)
    return kinds[kind]()


def to_json(kind: str) -> str:
    """Return the list as JSON."""
    return json.dumps(entries(kind), indent=2, ensure_ascii=False, default=str)


def print_list(kind: str, console: Console | None = None) -> None:
    """Print the list: each name with one line, and what belongs to it below."""
    out = console or Console(highlight=False)
    for entry in entries(kind):
        out.print(Text.assemble((entry["name"], "bold"), "  ", entry["summary"]))
        for line in _details(entry):
            out.print(Padding(Text(line), (0, 0, 0, 4)))


def _experiments() -> list[dict[str, Any]]:
    found = []
    for name in catalog.names():
        experiment = tomllib.loads(catalog.path_of(name).read_text(encoding="utf-8")).get("experiment", {})
        aims = " ".join(str(experiment.get("aims", "")).split())
        found.append({"name": name, "summary": str(experiment.get("title", name)), "aims": aims})
    return found


def _estimators() -> list[dict[str, Any]]:
    return [_estimator(one) for one in registry.known().values()]


def _estimator(one: Estimator) -> dict[str, Any]:
    engines = [name for name in ("reference", "batched") if getattr(one, name) is not None]
    return {
        "name": one.name,
        "summary": one.info.summary,
        "assumes": one.info.assumes,
        "df": one.info.df,
        "engines": engines,
        "source": one.info.source,
        "options": dict(one.options),
        "version": one.version,
    }


def _populations() -> list[dict[str, Any]]:
    laws = [
        {"name": name, "summary": _first_line(law), "table": "population", "parameters": _parameters(law)}
        for name, law in known_laws().items()
    ]
    layout = {
        "name": "layout",
        "summary": _first_line(Layout),
        "table": "layout",
        "parameters": _parameters(Layout),
    }
    return [*laws, layout]


def _first_line(thing: type) -> str:
    return (thing.__doc__ or "").strip().split("\n")[0]


def _parameters(thing: type) -> list[dict[str, Any]]:
    """Return the fields that the docstring describes; others are not for users to set."""
    said = dict(_described(thing.__doc__ or ""))
    return [
        {"name": field.name, "default": _default(field), "meaning": said[field.name]}
        for field in dataclasses.fields(thing)
        if said.get(field.name)
    ]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return "required"


def _described(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield (name, meaning) of the entries of a numpydoc Attributes section."""
    lines = docstring.split("\n")
    starts = [i for i, line in enumerate(lines) if line.strip() == "Attributes"]
    if not starts:
        return
    names: list[str] = []
    words: list[str] = []
    margin = len(lines[starts[0]]) - len(lines[starts[0]].lstrip())
    for line in [*lines[starts[0] + 2 :], " " * margin + "end : of section"]:
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth <= margin:
            yield from ((name, " ".join(words)) for name in names)
            names, words = [name.strip() for name in line.split(" : ")[0].split(",")], []
        elif line.strip():
            words.append(line.strip())


def _details(entry: dict[str, Any]) -> list[str]:
    if "aims" in entry:
        return [entry["aims"]] if entry["aims"] else []
    if "parameters" in entry:
        return [_parameter_line(parameter) for parameter in entry["parameters"]]
    options = ", ".join(f"{key} = {_shown(value)}" for key, value in entry["options"].items())
    return [
        f"assumes {entry['assumes']}",
        f"df {entry['df']}; engines {', '.join(entry['engines'])}; {entry['source']}",
        *([f"options {options}"] if options else []),
    ]


def _parameter_line(parameter: dict[str, Any]) -> str:
    if parameter["default"] == "required":
        return f"{parameter['name']} (required): {parameter['meaning']}"
    return f"{parameter['name']} = {_shown(parameter['default'])}: {parameter['meaning']}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_shown(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)
