"""A small interpreter of a composite action: its steps read from the file, their `run` lines done by bash.

It knows as much of YAML and of GitHub's expressions as `action.yml` uses, and refuses what it doesn't know.
"""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EXPRESSION = re.compile(r"\$\{\{ (.+?) \}\}")


@dataclass(frozen=True)
class Step:
    """One step: its plain keys, its `env` or `with`, its lines."""

    keys: dict[str, str]
    env: dict[str, str]
    run: str


@dataclass
class Context:
    """What expressions can name, and where a step runs."""

    values: dict[str, str]
    folder: Path
    environment: dict[str, str]
    log: list[str] = field(default_factory=list)

    def text(self, text: str) -> str:
        """Fill in the expressions of a text."""
        return EXPRESSION.sub(lambda found: str(self.value(found[1])), text)

    def value(self, expression: str) -> object:
        """Evaluate names, texts, ==, !=, && and ||."""
        words = re.findall(r"'[^']*'|==|!=|&&|\|\||[\w.-]+|\S", expression)
        python = [{"&&": "and", "||": "or"}.get(word, word) for word in words]
        named = [
            repr(self.values[word]) if re.fullmatch(r"[a-z][\w-]*(\.[\w-]+)+", word) else word
            for word in python
        ]
        return eval(" ".join(named), {"__builtins__": {}})


def steps(action: Path) -> list[Step]:
    """Return the steps of an action."""
    text = action.read_text().partition("\n  steps:\n")[2]
    assert text, "no steps"
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    parts = re.split(r"^    - ", "\n".join(lines), flags=re.MULTILINE)[1:]
    return [_step(textwrap.dedent("      " + part)) for part in parts]


def _step(text: str) -> Step:
    """Read a step: ``key: value``, blocks of deeper lines."""
    keys, nested, run = {}, {}, ""
    for found in re.finditer(r"^([\w-]+):([^\n]*)\n?((?:(?:  [^\n]*)?(?:\n|\Z))*)", text, re.MULTILINE):
        key, value, block = found[1], found[2].strip(), textwrap.dedent(found[3])
        if key == "run":
            run = block if value == "|" else value
        elif key == "env":
            nested = dict(re.findall(r"^([\w-]+): (.*)$", block, re.MULTILINE))
        else:
            keys[key] = value or block
    return Step(keys, nested, run)


def inputs(action: Path) -> dict[str, str]:
    """Return the inputs of an action with their defaults."""
    text = action.read_text().partition("\ninputs:\n")[2].partition("\noutputs:\n")[0]
    found = re.findall(r"^  ([\w-]+):\n    description: .+\n    default: (.*)$", text, re.MULTILINE)
    assert len(found) == len(re.findall(r"^  [\w-]+:$", text, re.MULTILINE)), "an input without a default"
    return {name: default.strip('"') for name, default in found}


def perform(step: Step, context: Context) -> int:
    """Run a step as GitHub does where its condition holds; return its exit code."""
    condition = step.keys.get("if", "true").replace("always()", "'always'")
    if condition != "true" and not context.value(condition):
        return 0
    if not step.run:
        context.log.append(f"uses {step.keys['uses']}")
        return 0
    output, summary = (context.folder / name for name in ("output.txt", "summary.md"))
    output.touch()
    environment = {
        **os.environ,
        **context.environment,
        **{name: context.text(value) for name, value in step.env.items()},
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.run],
        cwd=context.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    context.log.append(done.stdout + done.stderr)
    if "id" in step.keys:
        said: Mapping[str, str] = dict(line.split("=", 1) for line in output.read_text().splitlines())
        context.values |= {f"steps.{step.keys['id']}.outputs.{name}": value for name, value in said.items()}
    return done.returncode
