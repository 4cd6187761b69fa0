"""The runtime section: shown where the run directory has timings, and told apart from the run's own times."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.experiments.running.fit_times import DRAWING, Timed, load
from nestbench.reports.page.runtime import duration, heads, machine_words, rows
from nestbench.sim.errors import StoreError

ONE = Timed("ols", "batched", 10, 20, 2e-6, 1.9e-6, 2.3e-6, 0.25, 5, 1.9e-6)
TOML = """[experiment]
name = "small"
replications = 4
audit = 0
estimators = ["ols"]
[population]
law = "random-intercept"
[layout]
schools = 4
students = 3
[model]
formula = "grade ~ age"
"""


def test_rows_have_every_size_its_spread_and_the_slope() -> None:
    curve = [dataclasses.replace(ONE, schools=g, seconds=2e-7 * g) for g in (10, 40)]
    alone = dataclasses.replace(ONE, engine="reference", seconds=0.0431, cpu_seconds=math.nan)
    drawn = dataclasses.replace(ONE, estimator=DRAWING)
    timed = [*curve, alone, drawn]
    assert heads(timed) == ["Method", "Engine", "Students", "10 schools", "40 schools", "Slope"]
    spread = "1.9 µs to 2.3 µs; 0.25 F; CPU 1.9 µs"
    assert rows(timed) == [
        [("ols", ""), ("batched", ""), ("20", ""), ("2 µs", spread), ("8 µs", spread), ("1.00", "")],
        [
            ("ols", ""),
            ("reference", ""),
            ("20", ""),
            ("43.1 ms", spread.partition("; CPU")[0]),
            ("–", ""),
            ("–", ""),
        ],
        [("drawing the data", ""), ("", ""), ("20", ""), ("2 µs", spread), ("–", ""), ("–", "")],
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2.5, "2.5 s"), (0.04312, "43.1 ms"), (1.234e-5, "12.3 µs"), (5e-8, "50 ns"), (1234.0, "1234 s")],
)
def test_durations_have_the_unit_that_suits(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_machine_is_named() -> None:
    words = machine_words({"cpu": "Fast 1", "cores": 2, "platform": "OS", "packages": {"numpy": "2.4"}})
    assert words.startswith("Fast 1, 2 cores, OS; ")
    assert "numpy 2.4" in words


def test_the_report_of_a_run_shows_the_times_saved_in_it(tmp_path: Path) -> None:
    toml, run = tmp_path / "small.toml", tmp_path / "run"
    toml.write_text(TOML)
    runner = CliRunner()
    assert runner.invoke(app, ["run", str(toml), "-o", str(run), "--workers", "1"]).exit_code == 0
    assert 'id="timing-head"' not in (run / "report.html").read_text(encoding="utf-8")
    sizes = ["--schools", "4,6", "--students", "3", "--rounds", "1"]
    told = runner.invoke(app, ["time", str(toml), *sizes, "-o", str(run)])
    assert told.exit_code == 0, told.output
    assert f"nestbench report {run}" in told.output
    assert runner.invoke(app, ["report", str(run), "--quiet"]).exit_code == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    saved = json.loads((run / "timing.json").read_text())
    assert 'id="timing-head"' in page
    assert "6 schools" in page
    assert saved["machine"]["platform"] in page
    assert duration(saved["timings"][0]["seconds"]) in page


@pytest.mark.parametrize("text", ["{", "[]", '{"timings": [{"a": 1}], "machine": {}}', '{"machine": {}}'])
def test_other_files_are_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "timing.json").write_text(text)
    with pytest.raises(StoreError, match="expected timings saved by nestbench time"):
        load(tmp_path / "timing.json")
