"""The study that a failed claim names: another process, which knows no method of the tests, reads and draws it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from nestbench.cli import app
from nestbench.estimators.methods import registry
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from nestbench.testing.condition_files import condition_file, simulate

CELL = Cell(RandomIntercept(icc=0.2), Layout(4, 3), Model("grade ~ age"))


@pytest.mark.parametrize("added", [False, True])
def test_a_pasted_line_needs_no_method_of_the_test(
    added: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = replace(registry.get("ols"), name="mine")
    with monkeypatch.context() as here:
        if added:  # what @nestbench.estimator does
            here.setitem(registry._ADDED, "mine", mine)
        line = simulate(condition_file(mine, CELL, 3, tmp_path / "kept", "t.py::test_it"), 7)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv("data.csv")) == 12
