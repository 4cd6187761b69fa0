"""What there is: experiments of the catalogue, methods, populations. Printed by ``nestbench list``."""

from __future__ import annotations

import dataclasses
import itertools
import json
import tomllib
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from nestbench.estimators.estimator import Estimator
from nestbench.estimators.methods import registry
from nestbench.experiments import catalog
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput, did_you_mean
from nestbench.sim.laws.registry import known_laws
from nestbench.sim.parameter import Declared, declared_of
from nestbench.sim.random_intercept.parameters import FORMS

KINDS = ("experiments", "methods", "populations")

SHAPES = {
    "normal": "the default",
    "t(d)": "symmetric with heavy tails, d > 2 degrees of freedom",
    "lognormal(s)": "skewed to the right, s the SD of the logarithm",
    "chi2(d)": "skewed to the right, d degrees of freedom",
    "bimodal(m)": "two normal modes at -m and m, 0 < m < 1",
    "uniform": "no tails",
}
_FORMS = FORMS.replace("``", "")


def entries(kind: str, search: str = "") -> list[dict[str, Any]]:
    """Return what there is of a kind, as plain tables.

    Parameters
    ----------
    kind : str
        ``experiments``, ``methods`` (or ``estimators``, as before) or ``populations``; or the name of one of them.
    search : str
        Only those that hold every word of it, anywhere in what is said of them.
    """
    makers = (_experiments, _methods, _populations)
    kinds = dict(zip(KINDS, makers, strict=True))
    kind = as_named(kind)
    if kind in kinds:
        words = search.casefold().split()
        return [entry for entry in kinds[kind]() if all(word in _all_text(entry) for word in words)]
    named = [entry for make in kinds.values() for entry in make() if entry["name"] == kind]
    if not named:
        names = [entry["name"] for make in kinds.values() for entry in make()]
        raise InvalidInput(
            f"unknown kind of list '{kind}'.{did_you_mean(kind, [*kinds, *names])} Known: {', '.join(kinds)}, "
            "and the names in them"
        )
    return named


def as_named(kind: str) -> str:
    """Return a kind of list by the name it has now: methods were called `estimators`."""
    return "methods" if kind == "estimators" else kind


def to_json(kind: str, search: str = "") -> str:
    """Return the list as JSON."""
    return json.dumps(entries(kind, search), indent=2, ensure_ascii=False, default=str)


def print_list(kind: str, console: Console | None = None, search: str = "") -> None:
    """Print the list: each name with one line, and what belongs to it below; methods by family."""
    out, kind = console or Console(highlight=False), as_named(kind)
    listed = entries(kind, search)
    heading = ""
    for entry in sorted(listed, key=_family_order) if kind == "methods" else listed:
        if kind == "methods" and entry["family"] != heading:
            heading = entry["family"]
            out.print(Text(f"\n{heading}", style="underline"))
        out.print(Text.assemble((entry["name"], "bold"), "  ", entry["summary"]))
        for line in _details(entry):
            out.print(Padding(Text(line), (0, 0, 0, 4)))
    if any(_FORMS in p["meaning"] for entry in listed for p in entry.get("parameters", [])):
        out.print(Text.assemble(("shapes", "bold"), "  Errors of any shape have mean 0 and SD 1."))
        for shape, meaning in SHAPES.items():
            out.print(Padding(Text(f'"{shape}": {meaning}'), (0, 0, 0, 4)))
    if not listed:
        out.print(Text(f"nothing in the list of {kind} has '{search}' in it"))


def _all_text(entry: dict[str, Any]) -> str:
    """Return everything said of an entry, for the search; formulas and lists of choices aside, which would match too
    much.
    """
    what_it_is = {key: value for key, value in entry.items() if key not in {"choices", "formula"}}
    return json.dumps(what_it_is, ensure_ascii=False, default=str).casefold()


def _family_order(entry: dict[str, Any]) -> int:
    order = [*registry.FAMILIES, registry.OTHER_PACKAGES, registry.ADDED]
    return order.index(entry["family"])


def _experiments() -> list[dict[str, Any]]:
    """Return the catalogue's experiments, read as tables: nothing is loaded that only a run would need."""
    listed = []
    for name in catalog.names():
        experiment = tomllib.loads(catalog.path_of(name).read_text(encoding="utf-8")).get("experiment", {})
        aims = " ".join(str(experiment.get("aims", "")).split())
        listed.append({"name": name, "summary": str(experiment.get("title", name)), "aims": aims})
    return listed


def _methods() -> list[dict[str, Any]]:
    """Return the methods as plain tables."""
    return [_estimator(one) for one in registry.known().values()]


def _estimator(one: Estimator) -> dict[str, Any]:
    """Return a method as a plain table."""
    engines = [name for name in ("reference", "batched") if getattr(one, name) is not None]
    return {
        "name": one.name,
        "family": registry.family_of(one.name),
        "label": one.info.label,
        "summary": one.info.summary,
        "assumes": one.info.assumes,
        "df": one.info.df,
        "engines": engines,
        "source": one.info.source,
        "formula": list(one.info.formula),
        "options": dict(one.options),
        "choices": {key: list(among) for key, among in one.choices.items()},
        "version": one.version,
    }


def _populations() -> list[dict[str, Any]]:
    """Return populations, and the layout beside them, with what each parameter means."""
    return [
        {
            "name": name,
            "summary": (thing.__doc__ or "").strip().split("\n")[0],
            "table": "layout" if thing is Layout else "population",
            "parameters": [
                _parameter(field, said)
                for field in dataclasses.fields(thing)
                if (said := declared_of(thing).get(field.name)) and said.meaning
            ],
        }
        for name, thing in {**known_laws(), "layout": Layout}.items()
    ]


def _parameter(field: dataclasses.Field[Any], said: Declared) -> dict[str, Any]:
    """Return a parameter as a plain table."""
    return {
        "name": field.name,
        "default": _default(field),
        "range": said.range,
        "unit": said.unit,
        "meaning": said.meaning.replace("``", ""),
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return a field's default."""
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return "required"


def _details(entry: dict[str, Any]) -> list[str]:
    """Return the lines below an entry's name."""
    if "aims" in entry:
        return [entry["aims"]] if entry["aims"] else []
    if "parameters" in entry:
        alike = itertools.groupby(entry["parameters"], key=lambda parameter: parameter["meaning"])
        return [f"{', '.join(map(_setting, several))}: {meaning}" for meaning, several in alike]
    options = ", ".join(_option(key, value, entry) for key, value in entry["options"].items())
    return [
        f"assumes {entry['assumes']}",
        f"df {entry['df']}; engines {', '.join(entry['engines'])}; {entry['source']}",
        *([f"options {options}"] if options else []),
    ]


def _option(key: str, value: Any, entry: dict[str, Any]) -> str:
    """Return an option with its default and its other choices."""
    others = [_shown(other) for other in entry["choices"].get(key, []) if other != value]
    return f"{key} = {_shown(value)}" + (f" (or {', '.join(others)})" if others else "")


def _setting(parameter: dict[str, Any]) -> str:
    """Return a parameter with its default and what it may be."""
    if parameter["default"] == "required":
        return f"{parameter['name']} (required)"
    limits = ", ".join(filter(None, (parameter["range"], parameter["unit"])))
    return f"{parameter['name']} = {_shown(parameter['default'])}" + (f" ({limits})" if limits else "")


def _shown(value: Any) -> str:
    """Return a value as it would stand in a TOML file."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, dict):
        if not value:
            return "{}"
        return "{ " + ", ".join(f"{key} = {_shown(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)
