"""Methods and populations of an installed package: offered by its entry points, left out with a warning if broken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

PACKAGE = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

import nestbench


@nestbench.estimator("middle", df="G - 1")
def middle(frame, model):
    """The mean of school medians."""
    medians = frame.groupby(model.group)["grade"].median()
    return {"Intercept": {"estimate": medians.mean(), "std_error": medians.sem(), "df": len(medians) - 1}}


@dataclass(frozen=True)
class Laplace:
    """Laplace school effects."""

    name: ClassVar[str] = "laplace"
    scale: float = 1.0

    @property
    def truth(self):
        return {"Intercept": 3.0}

    def frame(self, layout, rng):
        school = np.repeat(np.arange(layout.schools), layout.sizes())
        grade = 3.0 + rng.laplace(0, self.scale, layout.schools)[school] + rng.normal(size=len(school))
        return pd.DataFrame({"grade": grade, "school": school})
'''

TOML = """
[experiment]
name = "offered"
replications = 30
reference_replications = 30
estimators = ["ols-cr1s-t", "middle"]
[population]
law = "laplace"
scale = 0.5
[layout]
schools = 6
students = 4
[model]
formula = "grade ~ 1"
"""


def install(folder: Path, code: str, points: str) -> None:
    """Lay out a distribution as pip would."""
    (folder / "offering.py").write_text(code)
    info = folder / "offering-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nestbench", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_an_installed_package_offers_a_method_and_a_law(tmp_path: Path) -> None:
    """Entry points name a decorated function and a plain dataclass; a run with two workers uses both unasked."""
    points = "[nestbench.estimators]\nmiddle = offering:middle\n[nestbench.populations]\nlaplace = offering:Laplace\n"
    install(tmp_path, PACKAGE, points)
    (tmp_path / "offered.toml").write_text(TOML)
    done = typed(tmp_path, "run", "offered.toml", "-o", "run", "--workers", "2", "--quiet")
    assert done.returncode == 0, done.stderr
    rows = pd.concat(pd.read_parquet(file) for file in (tmp_path / "run" / "fits").rglob("*.parquet"))
    found = rows[rows["estimator"] == "middle"]
    assert len(found) == 30
    assert (found["status"] == 0).all()
    assert abs(found["estimate"].mean() - 3.0) < 4.9 * found["estimate"].std() / 30**0.5
    listed = typed(tmp_path, "list", "populations")
    assert "laplace" in listed.stdout
    assert "The mean of school medians." in typed(tmp_path, "list", "estimators").stdout


def test_a_broken_package_is_left_out_with_a_warning(tmp_path: Path) -> None:
    install(tmp_path, "import nowhere_at_all\n", "[nestbench.estimators]\nmiddle = offering:middle\n")
    done = typed(tmp_path, "list", "estimators")
    assert done.returncode == 0
    assert "ols-cr2-satt" in done.stdout
    assert "'middle' of the package offering (nestbench.estimators) is left out" in done.stderr
