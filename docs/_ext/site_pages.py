"""The pages that are made from what nestbench declares: methods, measures, laws, figures, commands, experiments.

Each function returns Markdown. What is registered appears; nothing is listed here by name.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

from site_references import cited, entries

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE_PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
}
"""Files at the root that are pages of the site, too."""


def plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|$#{}~^])", r"\\\1", text)


def listed(kind: str) -> list[dict[str, Any]]:
    """Return what ``nestbench list KIND --json`` says."""
    from typer.testing import CliRunner

    from nestbench.cli import app

    done = CliRunner().invoke(app, ["list", kind, "--json"], catch_exceptions=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def methods() -> str:
    """Return every method by family: formulas, assumptions, degrees of freedom, options, sources."""
    families: dict[str, list[str]] = {}
    for method in listed("methods"):
        families.setdefault(method["family"], []).append(_method(method))
    return "\n\n".join(f"## {family}\n\n" + "\n\n".join(members) for family, members in families.items())


def _method(one: Mapping[str, Any]) -> str:
    lines = [f"### {one['name']}", f"*{plain(one['label'])}*: {plain(one['summary'])}."]
    lines.extend(f"$$\n{formula}\n$$" for formula in one["formula"])
    options = [f"`{key} = {as_toml(value)}`{_others(one, key)}" for key, value in one["options"].items()]
    fields = {
        "Assumes": plain(one["assumes"]),
        "Degrees of freedom": plain(one["df"]),
        "Engines": " and ".join(one["engines"]),
        "Options": "; ".join(options),
        "Sources": "; ".join(map(_source, one["source"].split("; "))),
    }
    lines.append("\n".join(f":{name}: {text}" for name, text in fields.items() if text))
    return "\n\n".join(lines)


def _others(one: Mapping[str, Any], key: str) -> str:
    others = [value for value in one["choices"].get(key, []) if value != one["options"][key]]
    return " (or " + ", ".join(f"`{as_toml(other)}`" for other in others) + ")" if others else ""


def _source(part: str) -> str:
    return " ".join([plain(part), *(f"[↗](#{key})" for key in cited(part))])


def measures() -> str:
    """Return every measure: definition, unit, what it needs, its n and its Monte Carlo standard error."""
    from nestbench.reports.measures.declared import MEASURES

    return "\n\n".join(_measure(one) for one in MEASURES)


def _measure(one: Any) -> str:
    fields = {
        "Definition": f"`{one.formula}`",
        "Unit": str(one.unit.value),
        "Needs": ", ".join(sorted(one.needs)) or "an estimate",
        "n": _first_line(one.count) if one.count else "K, the usable replications",
        "MCSE": monte_carlo_error(one),
    }
    lines = "\n".join(f":{name}: {text}" for name, text in fields.items())
    return f"## {one.name}\n\n*{plain(one.label)}*\n\n{lines}"


def monte_carlo_error(one: Any) -> str:
    """Return how the Monte Carlo standard error of a measure is made."""
    if one.mcse:
        return f"`{_first_line(one.mcse)}`"
    if one.ddof == 0:
        return f"`sd(IF) / sqrt(K)` with divisor K, `IF_i = {_first_line(one.influence)}`"
    return f"`sd(IF) / sqrt(K)`, `IF_i = {_first_line(one.influence)}`"


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").split("\n")[0].rstrip(".")


def populations() -> str:
    """Return every law, and the layout, with their parameters and defaults."""
    return "\n\n".join(
        f"## {one['name']}\n\n{plain(one['summary'])} Keys of `[{one['table']}]`, with their defaults:\n\n"
        + "\n".join(_parameters(one["parameters"]))
        for one in listed("populations")
    )


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each parameter, one for several that share what they mean."""
    for meaning, several in groupby(parameters, key=lambda parameter: str(parameter["meaning"])):
        yield f":{', '.join(map(_setting, several))}: {plain(meaning)}"


def _setting(parameter: Mapping[str, Any]) -> str:
    if parameter["default"] == "required":
        return f"`{parameter['name']}` (required)"
    limits = ", ".join(filter(None, (parameter["range"], parameter["unit"])))
    return f"`{parameter['name']}` = `{as_toml(parameter['default'])}`" + (f" ({limits})" if limits else "")


def as_toml(value: Any) -> str:
    """Return a value as TOML writes it; ``none`` for what isn't set."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{key} = {as_toml(one)}" for key, one in value.items()) + " }"
            if value
            else "{}"
        )
    return json.dumps(value, ensure_ascii=False)


def figures() -> str:
    """Return every kind of figure: what it shows, and what can be chosen of it."""
    from nestbench.reports.figures.kinds import KINDS

    rows = [
        f"| `{name}` | {plain(kind.says)} | {', '.join(sorted(kind.uses))} |" for name, kind in KINDS.items()
    ]
    return "\n".join(["| kind | shows | can be chosen |", "|---|---|---|", *rows])


def experiments() -> str:
    """Return every experiment of the catalogue with its aim."""
    return "\n\n".join(
        f"### {one['name']}\n\n**{plain(one['summary'])}**\n\n{plain(one['aims'])}"
        for one in listed("experiments")
    )


def commands() -> str:
    """Return every command with its arguments and options, from the parser."""
    import typer

    from nestbench.cli import app

    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in group.commands.items())


def _command(name: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    usage = " ".join([f"nestbench {name}", *(["[OPTIONS]"] if options else []), *map(_place, arguments)])
    lines = [f"## nestbench {name}", plain(inspect.cleandoc(command.help or "")), f"```text\n{usage}\n```"]
    rows = [f":`{_spelled(one)}`: {plain(_help(one))}{_shown_default(one)}" for one in (*arguments, *options)]
    return "\n\n".join([*lines, "\n".join(rows), *_examples(command.epilog or "")])


def _examples(epilog: str) -> list[str]:
    """Return the command lines of a help's end as a block, under its heading."""
    heading, *examples = [line.strip() for line in epilog.splitlines() if line.strip()] or [""]
    return [f"{heading}\n\n```text\n" + "\n".join(examples) + "\n```"] if examples else []


def _place(argument: Any) -> str:
    word = argument.name.upper() + ("..." if argument.nargs != 1 else "")
    return word if argument.required else f"[{word}]"


def _spelled(one: Any) -> str:
    if one.param_type_name == "argument":
        return _place(one)
    return ", ".join([*one.opts, *one.secondary_opts])


def _help(one: Any) -> str:
    text = (one.help or "").strip()
    return text if not text or text.endswith((".", ")")) else f"{text}."


def _shown_default(one: Any) -> str:
    if one.required or not one.show_default or one.default in (None, False, (), []):
        return ""
    return f" Default: `{one.default}`."


def bibliography() -> str:
    """Return every reference, by first author."""
    return "\n\n".join(f"({one.key})=\n{plain(one.text)}{one.link}" for one in entries())


def guide_names() -> Iterator[tuple[str, str]]:
    """Yield (module, name) of whatever the guides import from nestbench besides its public names."""
    seen = set()
    for guide in sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]):
        for module, names in re.findall(
            r"^from (nestbench\.[\w.]+) import ([\w, ]+)$", guide.read_text(), re.M
        ):
            for name in map(str.strip, names.split(",")):
                if (module, name) not in seen:
                    seen.add((module, name))
                    yield module, name


def api() -> str:
    """Return the reference of the public names and of whatever else the guides import, from their docstrings."""
    import nestbench

    public = [name for name in nestbench.__all__ if not name.startswith("__")]
    held = {id(getattr(nestbench, name)) for name in public}
    parts = ["## nestbench", *(_documented("nestbench", name) for name in public)]
    further = [(module, name) for module, name in guide_names() if id(_object(module, name)) not in held]
    for module, members in groupby(sorted(further), key=lambda pair: pair[0]):
        parts.append(f"## {module}")
        parts.extend(_documented(module, name) for _, name in members)
    return "\n\n".join(parts)


def _object(module: str, name: str) -> Any:
    from importlib import import_module

    return getattr(import_module(module), name)


def _documented(module: str, name: str) -> str:
    thing = _object(module, name)
    kind = "function"
    if inspect.isclass(thing):
        kind = "exception" if issubclass(thing, BaseException) else "class"
    members = "\n   :members:" if kind == "class" else ""
    members += "\n   :undoc-members:" if kind == "class" and issubclass(thing, Enum) else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: {module}.{name}{members}\n```"


def root_file(name: str) -> str:
    """Return a file at the repository's root without its title; its links lead to pages of the site."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return at_home(text.split("\n", 1)[1].strip() if text.startswith("# ") else text, ROOT)


def at_home(text: str, folder: Path) -> str:
    """Return the Markdown of a file in `folder` with its links to files of the repository as links to pages.

    Those to pages from a page stay as they are; a file that is no page becomes its name.
    """

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], (folder / found[2]).resolve(), found[3] or ""
        if not target.is_relative_to(ROOT) or (folder != ROOT and target.is_relative_to(DOCS)):
            return found[0]
        if target.parent == ROOT and target.name in SITE_PAGES:
            return f"[{words}](/{SITE_PAGES[target.name]}{anchor})"
        if target.is_relative_to(DOCS):
            return f"[{words}](/{target.relative_to(DOCS)}{anchor})"
        return f"`{target.relative_to(ROOT)}`"

    return re.sub(r"(?<!!)\[([^\]]*)\]\((?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?\)", link, text)


PAGES: Mapping[str, Callable[[], str]] = {
    page.__name__: page
    for page in (methods, measures, populations, figures, experiments, commands, bibliography, api)
}
"""What ``{generated}`` may ask for."""
