"""What is attacked: a run with a method and a law of a plugin, its baseline, its TOML, its data."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.methods import registry
from nestbench.experiments.toml import named
from nestbench.sim.laws import registry as laws
from tests.attacks.harms import ELSEWHERE, PRECIOUS
from tests.attacks.harness import invoke

METHOD = """
import nestbench

@nestbench.estimator("own-mean", summary="A mean of one's own.")
def mean(frame, model):
    y = frame["grade"].to_numpy()
    return {"Intercept": {"estimate": y.mean(), "std_error": y.std(ddof=1) / len(y) ** 0.5}}
"""

TOML = """
[experiment]
name = "attacked"
title = "A study that is attacked"
estimators = ["ols", "ols-cr1s-t", "own-mean"]
plugins = ["own.py"]
replications = 12
reference_replications = 12
seed = 7
audit = 4
[population]
effects = { Intercept = 5.0, age = 1.0 }
[layout]
schools = 4
students = 5
[model]
formula = "grade ~ age"
[factors]
"population.icc" = [0.0, 0.2]
"""

FIXED = """
[experiment]
name = "fixed"
estimators = ["ols", "own-mean"]
plugins = ["own.py"]
replications = 6
reference_replications = 6
audit = 0
[population]
law = "fixed-design"
data = "data.csv"
formula = "gender"
effects = { Intercept = 5.0, "gender[T.m]" = 1.0 }
[model]
formula = "grade ~ gender"
"""

PACKED = {"xlsx": "openpyxl", "sav": "pyreadstat"}
"""Kinds of data that need a package of their own."""


@dataclass(frozen=True, slots=True)
class Study:
    """A folder with the run, its baseline, and the user's own files."""

    folder: Path

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.folder / "run"

    @property
    def baseline(self) -> Path:
        """Its baseline, beside the plugin's file."""
        return self.folder / "own" / "accuracy.json"

    @property
    def toml(self) -> Path:
        """The study's file."""
        return self.folder / "own" / "study.toml"

    @property
    def fixed(self) -> Path:
        """The file of a study on people's own data."""
        return self.folder / "own" / "fixed.toml"

    def copied(self, folder: Path) -> Study:
        """Return a copy to be harmed; nothing of an earlier one is left in this process."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return Study(folder)


def make(folder: Path) -> Study:
    """Make the study: its files, its run, its baseline."""
    own = folder / "own"
    own.mkdir(parents=True)
    (folder / ELSEWHERE).mkdir()
    (folder / PRECIOUS).write_text("mine", encoding="utf-8")
    (own / "own.py").write_text(METHOD, encoding="utf-8")
    (own / "study.toml").write_text(TOML, encoding="utf-8")
    (own / "fixed.toml").write_text(FIXED, encoding="utf-8")
    table = people(np.random.default_rng(1))
    table.to_csv(own / "data.csv", index=False)
    table.to_csv(own / "data.csv.gz", index=False)
    table.to_parquet(own / "data.parquet")
    table.to_stata(own / "data.dta", write_index=False)
    if find_spec(PACKED["xlsx"]):
        table.to_excel(own / "data.xlsx", index=False)
    if find_spec(PACKED["sav"]):
        import_module(PACKED["sav"]).write_sav(table, str(own / "data.sav"))
    made = Study(folder)
    for order in (
        ["run", str(made.toml), "-o", str(made.run), "--workers", "1", "-q"],
        ["time", str(made.run), "--schools", "3", "--students", "4", "--rounds", "1"],
        ["baseline", str(made.run), "-o", str(made.baseline)],
    ):
        ended = invoke(order)
        assert ended.how == "ok", ended
    return made


def people(rng: np.random.Generator) -> pd.DataFrame:
    """Return a table as people have it: labels, a category, gaps."""
    schools = np.repeat(np.arange(6), 8)
    return pd.DataFrame(
        {
            "school": [f"S{number:02d}" for number in schools],
            "gender": np.where(rng.random(48) < 0.5, "f", "m"),
            "age": np.where(rng.random(48) < 0.1, np.nan, rng.normal(12.0, 1.0, 48).round(2)),
            "grade": (rng.normal(0.0, 1.0, 6)[schools] + rng.normal(70.0, 3.0, 48)).round(2),
        }
    )


def forget(patch: pytest.MonkeyPatch, names: bool) -> None:
    """Make this process one that never loaded a plugin; with `names`, nor one whose user named any."""
    patch.setattr(registry, "_ADDED", {})
    patch.setattr(laws, "_ADDED", {})
    if names:
        patch.setattr(named, "_NAMED", set())
    for module in [name for name in sys.modules if name.startswith("nestbench_plugin_")]:
        del sys.modules[module]
