"""The architecture, tested: what loads when, which names are public, which never leak."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import nestbench
from nestbench import cli

ROOT = Path(__file__).parent.parent


def loaded_after(code: str, where: Path) -> set[str]:
    """Names in sys.modules after running code in a fresh interpreter."""
    script = f"{code}\nimport sys, json; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=where, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_no_heavy_module(tmp_path: Path) -> None:
    code = "import sys\nfrom nestbench.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass"
    loaded = loaded_after(code, tmp_path)
    assert "typer" in loaded
    assert not loaded & {"statsmodels", "pandas", "numpy", "scipy", "numba", "altair", "pyarrow"}


HEAVY = {"statsmodels", "pandas", "scipy", "formulaic", "numba", "pyarrow", "altair", "joblib"}
"""What takes longer to load than NumPy and all that is declared here together."""


def test_what_is_declared_loads_no_heavy_package(tmp_path: Path) -> None:
    """Every module of populations, engines and methods names its packages and loads none: those who compute do."""
    code = (
        "import importlib, pkgutil, nestbench.sim, nestbench.estimators\n"
        "for room in (nestbench.sim, nestbench.estimators):\n"
        "    for module in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "        if module.name not in BARRED: importlib.import_module(module.name)"
    )
    barred = {
        "nestbench.sim.compile_cache",
        "nestbench.sim.laws.design_file",
        "nestbench.estimators.stored_rows",
    }
    tables = {f"nestbench.sim.tables.{name}" for name in ("formats", "notation", "reading", "usable")}
    loaded = loaded_after(f"BARRED = {barred | tables!r}\n{code}", tmp_path)
    assert "nestbench.estimators.methods.registry" in loaded
    assert "nestbench.sim.theory.sizes" in loaded
    assert not loaded & HEAVY


def test_lists_and_data_sets_load_what_they_need(tmp_path: Path) -> None:
    """A list needs nothing compiled; a data set the kernels that draw it, and neither tables, formulas nor methods."""
    command = "from nestbench.cli import app\ntry: app({!r})\nexcept SystemExit: pass"
    assert not loaded_after(command.format(["list", "methods"]), tmp_path) & HEAVY
    drawn = loaded_after(command.format(["simulate", "--csv", "data.csv"]), tmp_path)
    assert "numba" in drawn
    assert not drawn & (HEAVY - {"numba", "scipy"})
    assert "nestbench.estimators.methods.registry" not in drawn
    assert (tmp_path / "data.csv").is_file()


def test_kernels_from_the_cache_load_no_compiler(tmp_path: Path) -> None:
    """A table fitted by the usual methods: tables, and kernels that were compiled before, and no more of numba.

    What compiles needs SciPy's linear algebra, a sum of columns no formulaic: a second of a command that takes one.
    """
    table = "school,age,grade\n" + "".join(f"{i % 4},{i * 7 % 11},{i * 5 % 13}\n" for i in range(24))
    (tmp_path / "data.csv").write_text(table)
    words = ["estimate", "data.csv", "--formula", "grade ~ age"]
    command = f"from nestbench.cli import application\ntry: application(['estimate'])({words})\nexcept SystemExit: pass"
    never = {
        "numba.np.linalg",
        "scipy.linalg",
        "scipy.special",
        "formulaic",
        "statsmodels",
        "altair",
        "joblib",
    }
    loaded = loaded_after(command, tmp_path)
    if "numba.np.linalg" in loaded:  # kernels were compiled, and kept
        loaded = loaded_after(command, tmp_path)
    assert "numba" in loaded
    assert not loaded & never
    other = {f"nestbench.commands.{path.stem}" for path in (ROOT / "src/nestbench/commands").glob("*.py")}
    shared = {
        f"nestbench.commands.{name}" for name in ("completing", "estimate", "narrow", "options", "output")
    }
    assert loaded & other == shared


def collections(words: list[str], where: Path) -> tuple[int, int, list[int]]:
    """How often a command collects garbage until it ends and at the end, and the thresholds that it leaves."""
    code = (
        "import atexit, gc, json, sys\n"
        "from nestbench import cli\n"
        "gc.collect()\n"
        "seen = []\n"
        "gc.callbacks.append(lambda phase, info: seen.append(phase == 'stop'))\n"
        "atexit.register(lambda: print('\\n' + json.dumps([sum(seen), gc.get_freeze_count(), gc.get_threshold()])))\n"
        f"sys.argv = ['nestbench', *{words}]\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=where, check=True)
    times, frozen, thresholds = json.loads(done.stdout.splitlines()[-1])
    return times, frozen, thresholds


def test_short_commands_look_for_no_garbage(tmp_path: Path) -> None:
    """All they load stays until they end: looking through it took a fifth of their time. Longer ones look as ever."""
    times, frozen, _ = collections(["list", "methods"], tmp_path)
    assert times == 0
    assert frozen > 50_000
    times, frozen, thresholds = collections(["run", "--help"], tmp_path)
    assert times > 10
    assert frozen == 0
    assert thresholds[0] < cli.GARBAGE


def test_import_is_lazy_and_names_are_public(tmp_path: Path) -> None:
    loaded = loaded_after("import nestbench", tmp_path)
    assert not loaded & {"statsmodels", "pandas", "numpy"}
    for name in nestbench.__all__:
        assert getattr(nestbench, name) is not None


def test_public_names_are_pinned() -> None:
    assert set(nestbench.__all__) == {
        "Advice", "Cell", "Estimates", "Experiment", "Fit", "FitStatus", "FixedDesign", "InvalidInput", "Layout",
        "Model", "NestbenchError", "RandomIntercept", "Run", "Sizing", "Store", "StoreError", "__version__", "advise",
        "estimate", "estimator", "figure", "load", "population", "read_results", "run", "simulate", "size",
    }  # fmt: skip


def test_folders_never_become_top_level_modules(tmp_path: Path) -> None:
    code = "import nestbench\nfor name in nestbench.__all__: getattr(nestbench, name)"
    loaded = loaded_after(code, ROOT if os.environ.get("NESTBENCH_IN_TREE") else tmp_path)
    assert not loaded & {"sim", "estimators", "experiments", "reports", "src"}
    assert not set(sys.modules) & {"sim", "estimators", "experiments", "reports", "src"}


def test_layers_hold() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [str(linter), "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_public_name_is_that_of_a_module_beside_it() -> None:
    """`from nestbench.testing import conformance` would give the module as soon as anything has imported that."""
    packages = [
        file
        for file in Path(nestbench.__file__).parent.rglob("__init__.py")
        if "__getattr__" in file.read_text(encoding="utf-8")
    ]
    assert packages
    for file in packages:
        names = {
            name.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, (ast.List, ast.Dict, ast.Tuple))
            for name in (node.keys if isinstance(node, ast.Dict) else node.elts)
            if isinstance(name, ast.Constant) and isinstance(name.value, str)
        }
        beside = {path.stem for path in file.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
        assert not names & (beside - {"__init__"}), file


def test_names_of_result_columns_are_typed_in_the_schema_alone() -> None:
    """Who needs a column imports its name: one that is renamed, or missing, is an error where it is used."""
    typed = set()
    folders = ("sim", "estimators", "experiments", "reports", "src/nestbench")
    # What calls other packages is copied as it stands into scripts that need nothing of ours.
    alone = ROOT / "src/nestbench/league/packages"
    for file in (
        file for folder in folders for file in (ROOT / folder).rglob("*.py") if file.parent != alone
    ):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            words = {n.value for n in ast.iter_child_nodes(node) if isinstance(n, ast.Constant)}
            if words & {"std_error", "p_value"} or words >= {"lower", "upper"}:
                typed.add(file.name)
    # A p-value of a comparison is no column of results, and names in users' tables are their own.
    assert typed == {"estimates.py", "check_formats.py", "showing.py", "names.py"}
