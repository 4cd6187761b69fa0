"""Every code block in docs/ and README.md runs.

A guide is run top to bottom in an empty directory: ``python`` blocks share one namespace; a fenced block whose
info string names a file (```` ```toml few.toml ````) is written there instead; a ``console`` block is a list of
``nestbench`` commands after ``$``, each of which must exit with 0. A block ```` ```text output ```` is what the guide
prints there, but for blanks at the ends of lines; other blocks marked ``text``, and ``sh``, are for reading only.
A block whose info string ends in ``slow`` makes its guide a slow test.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    kind: str
    info: str
    text: str
    line: int


def blocks_of(guide: Path) -> list[Block]:
    text = guide.read_text()
    return [
        Block(m[1], m[2].strip(), m[3], text[: m.start()].count("\n") + 1)
        for m in FENCE.finditer(text)
        if m[1] in {"python", "toml", "console"} or m[2].strip() == "output"
    ]


def is_slow(guide: Path) -> bool:
    return any(block.info.endswith("slow") for block in blocks_of(guide))


def cases() -> list[object]:
    chosen = [guide for guide in GUIDES if blocks_of(guide)]
    return [
        pytest.param(guide, id=guide.stem, marks=[pytest.mark.slow] if is_slow(guide) else [])
        for guide in chosen
    ]


@pytest.mark.parametrize("guide", cases())
def test_guide_runs(guide: Path, tmp_path: Path) -> None:
    script = tmp_path / "_guide.py"
    pieces, shown = [], []
    for block in blocks_of(guide):
        name = block.info.removesuffix("slow").strip()
        if name == "output":
            shown.append(block.text)
        elif name:
            (tmp_path / name).write_text(block.text)
        elif block.kind == "python":
            pieces.append("\n" * 2 + f"# {guide.name} line {block.line}\n" + block.text)
        elif block.kind == "console":
            commands = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
            pieces.extend(f"\n_shell({command!r})\n" for command in commands)
    script.write_text(PRELUDE + "".join(pieces))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "COLUMNS": "100",
            "NESTBENCH_COMMAND": str(Path(sys.executable).parent / "nestbench"),
        },
    )
    assert done.returncode == 0, f"{guide.name}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    printed = "\n".join(map(str.rstrip, done.stdout.splitlines()))
    for text in shown:
        assert text.strip("\n") in printed, f"{guide.name} doesn't print\n{text}\nbut\n{printed[-3000:]}"


PRELUDE = """
import os, shlex, subprocess

def _shell(command):
    words = shlex.split(command.replace("nestbench", os.environ["NESTBENCH_COMMAND"], 1))
    if ">" in words:
        at = words.index(">")
        with open(words[at + 1], "w") as out:
            subprocess.run(words[:at], check=True, stdout=out)
    else:
        subprocess.run(words, check=True)

if __name__ != "__main__":
    raise SystemExit
"""


def test_blocks_are_found() -> None:
    sample = "```python\nx = 1\n```\n\n```text\nno\n```\n"
    assert [m[1] for m in FENCE.finditer(sample)] == ["python", "text"]
    assert shlex.split("nestbench run a.toml")[0] == "nestbench"
