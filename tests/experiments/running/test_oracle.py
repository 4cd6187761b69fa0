"""The one method that is told a truth gets each cell's own, under one label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nestbench.estimators.methods import registry
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.running.replaying import replay
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.toml.reading import experiment_from


def test_gls_gets_the_truth_of_its_cell(tables: dict[str, Any], tmp_path: Path) -> None:
    tables["experiment"] |= {"estimators": ["gls", "ols"], "audit": 3}
    experiment = experiment_from(tables)
    thetas = [with_truth(experiment.estimators, cell)[0].options["theta"] for cell in experiment.cells]
    assert thetas == pytest.approx([0.0, 0.5, 0.0, 0.5]), "sqrt(icc / (1 - icc))"
    store = run_experiment(experiment, tmp_path / "run", workers=1)
    at_zero, ols = store.estimates(0)["gls"], store.estimates(0)["ols"]
    np.testing.assert_allclose(at_zero.estimate, ols.estimate, rtol=1e-8, err_msg="theta = 0 is OLS")
    assert not np.allclose(store.estimates(1)["gls"].estimate, store.estimates(1)["ols"].estimate, rtol=1e-3)
    assert [fit.verdict for fit in replay(store, 3, 4)] == ["identical", "identical"]
    assert store.audits()["disagreements"].sum() == 0


def test_a_given_theta_stays(tables: dict[str, Any]) -> None:
    given = registry.get({"name": "gls", "theta": 2.0})
    cell = experiment_from(tables).cells[1]
    assert with_truth([given], cell)[0] is given
