"""Strangers counted: code in each place where code could hide, and names that lead out, in runs, baselines and files.

A stranger's checksums are right. No code runs that the user didn't name, nothing is written elsewhere, and what is
shown on a terminal is text.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import marshal
import random
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nestbench.experiments.storing.manifest import read_manifest, write_manifest
from nestbench.experiments.toml import named as toml_named
from nestbench.reports.accuracy.baseline_file import checksum
from tests.attacks.harms import ELSEWHERE, PRECIOUS
from tests.attacks.harness import Tally, invoke, many
from tests.attacks.study import METHOD, Study, forget
from tests.attacks.test_damage import OF_BASELINES, OF_RUNS, left_behind

pytestmark = pytest.mark.slow

MARK = "code-ran"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def codes(mark: Path) -> tuple[str, ...]:
    """Return texts that leave a mark if anything evaluates them: as Python, as a formula, as a template, in a shell."""
    path = str(mark)
    call = f"__import__('pathlib').Path({path!r}).touch()"
    return (
        call,
        f"grade ~ age + {{({call} or age)}}",
        f"grade ~ age + I({call} or age)",
        f"grade ~ {call}",
        f"({call}) ~ age",
        f"grade ~ age + C(age, levels=[{call}])",
        f"grade ~ age + np.__loader__.load_module('os').system('touch {path}')",
        f"age.__class__.__base__.__subclasses__() + ({call} or age)",
        f"1 + {{({call} or age)}}",
        f"$(touch {path})",
        f"`touch {path}`",
        f"; touch {path} #",
        f"{{{{ self.__init__.__globals__.__builtins__.__import__('pathlib').Path({path!r}).touch() }}}}",
        f"lambda: {call}",
        f"!!python/object/apply:os.system ['touch {path}']",
    )


NAMES = (
    *("../../far", "/abs/far", "../../far.py", "..", ".", "", "a/b", "a\\b", "C:\\x", "x" * 300, "nul\0", "-o"),
    *("\x1b]0;owned\x07", "\x9b31m", "\u202ecod", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>"),
    *("=cmd|' /C calc'!A0", "\\input{/etc/passwd}", "\\write18{x}", "[link](javascript:alert(1))", "%s{0}", "~/x"),
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**23, 1e308, float("inf"), [], {}, [[]], [{}], "", "0-99999999999999"),
    *([1, "x"], {"law": []}, {"": {}}, 0.5),
)  # fmt: skip


Place = tuple[Any, ...]


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Yield every place in nested tables and lists."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


def put(content: Any, place: Place, value: Any) -> Any:
    """Return a copy with a value at a place."""
    made = copy.deepcopy(content)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return made


def hostile(rng: random.Random, mark: Path, old: Any) -> Any:
    """Return what a stranger puts somewhere: mostly texts where texts are."""
    if isinstance(old, str) and rng.random() < 0.8:
        return rng.choice((*codes(mark), *NAMES))
    return rng.choice((*codes(mark), *NAMES, *VALUES, *VALUES))


def sealed_manifest(study: Study, change: Callable[[Any], Any]) -> None:
    """Change a run's manifest, with right checksums."""
    found = read_manifest(study.run)
    assert found is not None
    write_manifest(study.run, change(found))


def sealed_baseline(study: Study, change: Callable[[Any], Any]) -> None:
    """Change a baseline, with a right checksum."""
    content = change(json.loads(study.baseline.read_text(encoding="utf-8")))
    if isinstance(content, dict):
        content["checksum"] = checksum(content)
    study.baseline.write_text(json.dumps(content), encoding="utf-8")


def attack(
    study: Study,
    orders: list[str],
    arguments: Callable[[str, Study], list[str]],
    change: Callable[[Study, random.Random, Path], str],
    trials: int,
    patch: pytest.MonkeyPatch,
    title: str,
) -> Tally:
    """Change something, call a command, and count what must not happen."""
    rng, tally = random.Random(20261125), Tally(title)
    for trial in range(trials):
        place = study.copied(study.folder.parent / "foreign")
        mark = study.folder.parent / MARK
        forget(patch, names=True)
        patch.chdir(place.folder / "out")
        before = outside(study.folder.parent)
        name = orders[trial % len(orders)]
        what = f"trial {trial}: {change(place, rng, mark)}"
        ended = invoke(arguments(name, place))
        tally.add(name, "trials")
        tally.add(name, ended.how, f"{what}: {ended.text[:500]}")
        if mark.exists():
            mark.unlink()
            tally.add(name, "code run", what)
        if CONTROL.search(ended.text):
            tally.add(name, "raw control character", f"{what}: {ended.text[:300]!r}")
        for left in (*left_behind(place), *sorted(outside(study.folder.parent) - before)):
            tally.add(name, "file left", f"{what}: {left}")
    return tally


def outside(folder: Path) -> set[str]:
    """Return what is beside the studies, where nothing may be written."""
    return {str(item) for item in folder.parent.iterdir() if "far" in item.name} | {
        str(item) for item in folder.iterdir() if item.name not in ("whole", "foreign", MARK)
    }


def test_runs_of_strangers(foreign: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any place of the manifest holds anything."""

    def change(place: Study, rng: random.Random, mark: Path) -> str:
        told = ""

        def edit(found: Any) -> Any:
            nonlocal told
            for _ in range(rng.choice((1, 1, 2))):
                inside = [p for p in places(found) if p[0] not in ("checksum", "format")]
                where = rng.choice(inside)
                old = found
                for key in where:
                    old = old[key]
                value = hostile(rng, mark, old)
                told += f"{where} = {str(value)[:80]!r}; "
                found = put(found, where, value)
            return found

        sealed_manifest(place, edit)
        return told

    tally = attack(
        foreign,
        list(OF_RUNS),
        lambda name, place: OF_RUNS[name].arguments(place),
        change,
        many(24),
        monkeypatch,
        "strangers' runs",
    )
    tally.settle()


def test_baselines_of_strangers(foreign: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any place of the baseline holds anything."""

    def change(place: Study, rng: random.Random, mark: Path) -> str:
        told = ""

        def edit(found: Any) -> Any:
            nonlocal told
            # Half of the places in the experiment: the rest is mostly numbers.
            all_of = list(places(found))
            half = [p for p in all_of if p[0] == "experiment"] if rng.random() < 0.5 else all_of
            where = rng.choice([p for p in half if p[0] != "checksum"])
            old = found
            for key in where:
                old = old[key]
            value = hostile(rng, mark, old)
            told = f"{where} = {str(value)[:80]!r}"
            return put(found, where, value)

        sealed_baseline(place, edit)
        return told

    tally = attack(
        foreign,
        list(OF_BASELINES),
        lambda name, place: OF_BASELINES[name].arguments(place),
        change,
        many(16),
        monkeypatch,
        "strangers' baselines",
    )
    tally.settle()


FORMULA_FILES = {
    "model.formula": ('formula = "grade ~ age"', "formula = {}"),
    "model.random": ("[factors]", "random = {}\n[factors]"),
    "model.group": ("[factors]", "group = {}\n[factors]"),
    "truth": ("[factors]", "[truth]\n{} = 1.0\n[factors]"),
    "law": ("[population]", "[population]\nlaw = {}"),
    "effects": ("age = 1.0", "{} = 1.0"),
    "layout.students": ("students = 5", "students = {}"),
    "estimators": ('"own-mean"]', "{}]"),
    "option": ('"own-mean"]', '{{ name = "ols-wild", weights = {} }}]'),
    "plugins": ('plugins = ["own.py"]', "plugins = [{}]"),
    "name": ('name = "attacked"', "name = {}"),
    "title": ('title = "A study that is attacked"', "title = {}"),
    "precision": ("[factors]", "[precision]\ncoverage = {}\n[factors]"),
    "published": (
        "[factors]",
        '[[published]]\nsource = {}\nterm = "age"\nmeasure = "bias"\nrows = [["ols", 0.0]]\n[factors]',
    ),
    "factor": ('"population.icc" =', "{} ="),
    "level": ("[0.0, 0.2]", "[{}, 0.2]"),
}  # fmt: skip
"""Places of a file where a text could be evaluated: what stands there, and what is put there."""

OF_FILES = ["plan", "simulate", "run", "time"]


def test_files_of_strangers(foreign: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that names no plugin but the user's runs no code."""

    def change(place: Study, rng: random.Random, mark: Path) -> str:
        where = rng.choice(list(FORMULA_FILES))
        old, new = FORMULA_FILES[where]
        text = place.toml.read_text(encoding="utf-8")
        assert old in text
        value = rng.choice((*codes(mark), *NAMES))
        place.toml.write_text(text.replace(old, new.format(json.dumps(value)), 1), encoding="utf-8")
        return f"{where} = {value[:90]!r}"

    def arguments(name: str, place: Study) -> list[str]:
        more = {
            "run": ["-o", "new", "--workers", "1", "-q"],
            "time": ["--schools", "3", "--students", "4", "--rounds", "1"],
            "plan": ["--workers", "1"],
        }
        return [name, str(place.toml), *more.get(name, [])]

    attack(foreign, OF_FILES, arguments, change, many(16), monkeypatch, "strangers' files").settle()


def planted(place: Study, mark: Path, kind: str) -> None:
    """Put code beside a plugin that the user named: compiled, imported, as a link, as a package."""
    folder = place.run / "plugins"
    evil = f"import pathlib; pathlib.Path({str(mark)!r}).touch()\n"
    if kind == "compiled":
        # An unchecked compiled file: Python would run it instead of the source, whatever that holds.
        cached = Path(importlib.util.cache_from_source(str(folder / "own.py")))
        cached.parent.mkdir()
        head = importlib.util.MAGIC_NUMBER + struct.pack("<L", 0b01) + b"\0" * 8
        cached.write_bytes(head + marshal.dumps(compile(evil, "own.py", "exec")))
    elif kind == "modules":
        for name in ("nestbench", "numpy", "random", "sitecustomize", "conftest", "joblib"):
            (folder / f"{name}.py").write_text(evil, encoding="utf-8")
            (place.run / f"{name}.py").write_text(evil, encoding="utf-8")
            (place.folder / "out" / f"{name}.py").write_text(evil, encoding="utf-8")
    elif kind == "changed":
        (folder / "own.py").write_text(METHOD + evil, encoding="utf-8")
    elif kind == "changed and sealed":
        (folder / "own.py").write_text(METHOD + evil, encoding="utf-8")
        digest = hashlib.sha256((folder / "own.py").read_bytes()).hexdigest()
        sealed_manifest(place, lambda found: put(found, ("experiment", "plugins", 0, "sha256"), digest))
    elif kind == "elsewhere":
        far = place.folder.parent / "far.py"
        far.write_text(METHOD + evil, encoding="utf-8")
        digest = hashlib.sha256(far.read_bytes()).hexdigest()
        for name in ("../../../far.py", str(far)):
            kept = {"name": name, "sha256": digest}
            sealed_manifest(place, lambda found, kept=kept: put(found, ("experiment", "plugins", 0), kept))
    elif kind == "a link":
        far = place.folder.parent / "far.py"
        far.write_text(METHOD + evil, encoding="utf-8")
        (folder / "own.py").unlink()
        (folder / "own.py").symlink_to(far)


@pytest.mark.parametrize(
    "kind", ["compiled", "modules", "changed", "changed and sealed", "elsewhere", "a link"]
)
def test_code_beside_a_plugin_that_was_named(
    foreign: Study, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The user once named the plugin's content; whatever else lies there doesn't run, and is refused if it must."""
    digest = hashlib.sha256(METHOD.encode()).hexdigest()
    tally = Tally(f"beside a plugin: {kind}")
    mark = foreign.folder.parent / MARK
    for name in ("report", "verify --store", "check", "replay", "simulate"):
        place = foreign.copied(foreign.folder.parent / "foreign")
        forget(monkeypatch, names=True)
        monkeypatch.chdir(place.folder / "out")
        monkeypatch.setattr(toml_named, "_NAMED", {digest})
        planted(place, mark, kind)
        ended = invoke(OF_RUNS[name].arguments(place))
        tally.add(name, "trials")
        tally.add(name, ended.how, ended.text[:400])
        if mark.exists():
            mark.unlink()
            tally.add(name, "code run", ended.text[:200])
    tally.settle()


OUTPUTS = (
    "report.html",
    "report.md",
    "performance.csv",
    "performance.parquet",
    "tables.tex",
    "references.bib",
)
LINKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("report --format html,md,latex,csv,parquet -q", OUTPUTS),
    ("report --format svg -q", ("figures",)),
    ("time --schools 3 --students 4 --rounds 1", ("timing.json",)),
    *(
        ("run --workers 1 -q --replications 16", (name,))
        for name in (
            "lock",
            "journal",
            "experiment.toml",
            "manifest.json",
            "plugins",
            "fits",
            "fits/c00001",
            "times",
        )
    ),
    ("run --workers 1 -q --replications 16", ("published.csv", *OUTPUTS)),
)
"""Commands that write into a run, and what they write."""


def test_names_of_a_run_that_lead_out(foreign: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written through a link in a stranger's run."""
    tally = Tally("links that lead out")
    for words, names in LINKED:
        command, *options = words.split()
        place = foreign.copied(foreign.folder.parent / "foreign")
        forget(monkeypatch, names=True)
        monkeypatch.chdir(place.folder / "out")
        monkeypatch.setattr(toml_named, "_NAMED", {hashlib.sha256(METHOD.encode()).hexdigest()})
        for name in names:
            link = place.run / name
            folder = link.is_dir() or name == "figures"
            shutil.rmtree(link) if link.is_dir() else link.unlink(missing_ok=True)
            link.symlink_to(place.folder / (ELSEWHERE if folder else PRECIOUS))
        ended = invoke([command, str(place.run), *options])
        tally.add(command, "trials")
        tally.add(command, ended.how, f"{names}: {ended.text[:300]}")
        for left in left_behind(place):
            tally.add(command, "file left", f"{names}: {left}")
    tally.settle()
