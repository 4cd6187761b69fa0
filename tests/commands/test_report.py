"""The commands that read a run: report, plot, compare, query; by running them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from nestbench.commands.compare import lines

TOML = """
[experiment]
name = "tiny"
title = "A tiny study"
aims = "To test."
seed = 5
replications = 12
estimators = ["ols", "ols-cr1s-t"]

[population]
law = "random-intercept"

[layout]
schools = 6
students = 8

[model]
formula = "grade ~ age + resources"
group = "school"

[factors]
"population.icc" = [0.0, 0.2]
"""


def nestbench(*arguments: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "nestbench", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import nestbench as nb

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(TOML)
    nb.run(folder / "tiny.toml", out=folder / "run", workers=1)
    return folder / "run"


def test_report_writes_every_format(run: Path, tmp_path: Path) -> None:
    said = nestbench("report", run, "-o", tmp_path, "--format", "md,latex,csv,parquet")
    assert "A tiny study" in said
    for name in ("report.md", "tables.tex", "references.bib", "performance.csv", "performance.parquet"):
        assert (tmp_path / name).exists()
        assert name in said


def test_report_refuses_unknown_formats_and_no_run(run: Path, tmp_path: Path) -> None:
    assert "unknown format 'htm'. Did you mean 'html'?" in nestbench("report", run, "--format", "htm", code=2)
    assert "expected a run directory" in nestbench("report", tmp_path, code=2)


def test_plot_writes_a_file(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "zip.svg"
    nestbench("plot", run, "--kind", "zip", "--term", "age", "--cell", "1", "-e", "ols", "-o", file)
    assert file.read_text().startswith("<svg")
    assert "unknown kind of figure 'zap'. Did you mean 'zip'?" in nestbench(
        "plot", run, "--kind", "zap", code=2
    )


def test_plot_refuses_what_it_cannot_show(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "none.svg"
    for arguments, words in (
        (["--term", "ressources"], "unknown term with coverage 'ressources'. Did you mean 'resources'?"),
        (["--kind", "lollipop", "--measure", "cov"], "unknown measure 'cov'."),
    ):
        assert words in nestbench("plot", run, *arguments, "-o", file, code=2)
        assert not file.exists()


def test_compare_and_query(run: Path) -> None:
    assert "0 of " in nestbench("compare", run, run)
    pytest.importorskip("duckdb", reason="the extra nestbench[query] isn't installed")
    said = nestbench("query", run, "select count(*) as rows from fits where term = 'age'", "--csv")
    assert said.split() == ["rows", "48"]


def test_changes_are_grouped_and_have_the_decimals_of_their_error() -> None:
    changes = pd.DataFrame(
        [
            ("6 schools", "ols", "age", "coverage", 0.98, 0.9, -0.08, 0.04),
            ("6 schools", "reml-satt", "age", "se_error", 22.4, -7.2, -29.6, 14.0),
            ("9 schools", "ols", "resources", "bias", 0.0068, -0.0412, -0.048, 0.02),
            ("6 schools", "ols", "age", "rmse", 0.5, 0.5, 0.0, 0.0),
        ],
        columns=["condition", "estimator", "term", "measure", "a", "b", "change", "mcse"],
    )
    assert lines(changes) == [
        "  method     measure      A      B  change (MCSE)",
        "6 schools, age:",
        "  ols        coverage  0.98   0.90   -0.08 (0.04)",
        "  reml-satt  se_error    22     -7       -30 (14)",
        "  ols        rmse       0.5    0.5          0 (0)",
        "9 schools, resources:",
        "  ols        bias      0.01  -0.04   -0.05 (0.02)",
    ]
