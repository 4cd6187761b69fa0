"""The commands that read a run: report, plot, compare, query; by running them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nestbench.commands.compare import lines
from tests.commands.conftest import Cli

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


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import nestbench as nb

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(TOML)
    nb.run(folder / "tiny.toml", out=folder / "run", workers=1)
    return folder / "run"


def test_report_writes_every_format(cli: Cli, run: Path, tmp_path: Path) -> None:
    code, said, _ = cli("report", str(run), "-o", str(tmp_path), "--format", "md,latex,csv,parquet")
    assert code == 0
    assert "A tiny study" in said
    for name in ("report.md", "tables.tex", "references.bib", "performance.csv", "performance.parquet"):
        assert (tmp_path / name).exists()
        assert name in said


def test_report_refuses_unknown_formats_and_no_run(cli: Cli, run: Path, tmp_path: Path) -> None:
    code, _, said = cli("report", str(run), "--format", "htm")
    assert code == 2
    assert "unknown format 'htm'. Did you mean 'html'?" in said
    code, _, said = cli("report", str(tmp_path))
    assert code == 2
    assert "expected a run directory" in said


def test_plot_writes_a_file(cli: Cli, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "zip.svg"
    code, _, _ = cli(
        "plot", str(run), "--kind", "zip", "--term", "age", "--cell", "1", "-e", "ols", "-o", str(file)
    )
    assert code == 0
    assert file.read_text().startswith("<svg")
    code, _, said = cli("plot", str(run), "--kind", "zap")
    assert code == 2
    assert "unknown kind of figure 'zap'. Did you mean 'zip'?" in said


def test_plot_refuses_what_it_cannot_show(cli: Cli, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "none.svg"
    for arguments, words in (
        (["--term", "ressources"], "unknown term with coverage 'ressources'. Did you mean 'resources'?"),
        (["--kind", "lollipop", "--measure", "cov"], "unknown measure 'cov'."),
    ):
        code, _, said = cli("plot", str(run), *arguments, "-o", str(file))
        assert code == 2
        assert words in said
        assert not file.exists()


def test_compare_and_query(cli: Cli, run: Path) -> None:
    code, said, _ = cli("compare", str(run), str(run))
    assert code == 0
    assert "0 of " in said
    pytest.importorskip("duckdb", reason="the extra nestbench[query] isn't installed")
    code, said, _ = cli("query", str(run), "select count(*) as rows from fits where term = 'age'", "--csv")
    assert code == 0
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
