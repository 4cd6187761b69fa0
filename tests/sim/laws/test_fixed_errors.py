"""Slopes, spreads and classes of the fixed-design law: what is drawn has the covariance that is stated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.observed.model import Model

SIZES = (3, 5, 4, 2)
MODEL = Model("score ~ hours + treated")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    school = np.repeat(np.arange(4), SIZES)
    frame = pd.DataFrame({"hours": rng.normal(size=14), "school": school, "treated": school % 2})
    frame["class"] = np.arange(14) % 2
    frame.to_csv(tmp_path / "design.csv", index=False)
    return tmp_path / "design.csv"


def law(file: Path, **parameters: Any) -> FixedDesign:
    chosen = {"formula": "hours + treated", "outcome": "score", "icc": 0.3, "total_sd": 2.0, **parameters}
    return FixedDesign(data=str(file), **chosen)


VARIANTS: list[dict[str, Any]] = [
    {"slope": "hours", "slope_sd": 0.8, "slope_correlation": -0.5},
    {"spread": "treated", "residual_spread": 0.9},
    {"spread": "hours", "residual_spread": -0.7},
    {"spread": "treated", "residual_spread": 0.3, "school_spread": 1.1},
    {"subgroup": "class", "class_icc": 0.25},
]


@pytest.mark.parametrize("parameters", VARIANTS, ids=["slope", "arms", "student-level", "schools", "classes"])
def test_the_draws_have_the_covariance_that_is_stated(file: Path, parameters: dict[str, Any]) -> None:
    """Every entry of the covariance, by the fourth moments of normal errors: 105 entries, false alarm 1e-6 in all."""
    population, n, reps = law(file, **parameters), sum(SIZES), 5_000
    batch = Cell(population, Layout(), MODEL).draw(3, range(reps))
    y = np.asarray(batch.columns["score"]).reshape(reps, n)
    b, d = population.covariance(Layout(), batch, slice(n, 2 * n))  # type: ignore[misc]
    same = np.repeat(np.arange(4), SIZES)
    stated = (b.T @ b) * (same[:, None] == same) + np.diag(d)
    error = np.sqrt((stated**2 + np.outer(np.diag(stated), np.diag(stated))) / reps)
    limit = stats.norm.isf(1e-6 / n / n)
    assert (np.abs(y.T @ y / reps - stated) < limit * error).all()


@pytest.mark.parametrize("parameters", VARIANTS[1:4], ids=["arms", "student-level", "schools"])
def test_spreads_leave_the_mean_variances(file: Path, parameters: dict[str, Any]) -> None:
    b, d = law(file, **parameters).covariance(
        Layout(), Cell(law(file), Layout(), MODEL).draw(1, range(1)), slice(0, 14)
    )  # type: ignore[misc]
    assert d.mean() == pytest.approx(0.7 * 4.0)
    assert (b**2).sum(axis=0).mean() == pytest.approx(0.3 * 4.0)


def test_schools_differ_in_spread_as_asked(file: Path) -> None:
    """Given e, log residual variances differ between schools with the lognormal's variance; the mean stays."""
    reps, cv = 4000, 1.5
    y = np.asarray(
        Cell(law(file, icc=0.0, residual_cv=cv), Layout(), MODEL).draw(3, range(reps)).columns["score"]
    )
    squares = y.reshape(reps, 14) ** 2
    fourth = 3 * (1 + cv**2) * 16.0
    assert abs(squares[:, 0].mean() - 4.0) < stats.norm.isf(5e-7) * np.sqrt(fourth / reps) * 1.5
    together = np.cov(squares[:, 3], squares[:, 4])[0, 1] / (cv**2 * 16.0)
    apart = np.corrcoef(squares[:, 0], squares[:, 3])[0, 1]
    assert 0.3 < together < 2.5
    assert abs(apart) < 0.15


def test_the_truth_names_the_components_in_the_models_terms(file: Path) -> None:
    population = law(file, slope="hours", slope_sd=0.8, slope_correlation=-0.5)
    truth = Cell(population, Layout(), Model("score ~ hours + treated", random="1 + hours")).truth
    hours = pd.read_csv(file)["hours"].mean()
    at_zero = 1.2 + 2 * 0.5 * np.sqrt(1.2) * 0.8 * hours + 0.64 * hours**2
    assert truth["(slope_sd[hours])"] == pytest.approx(0.8)
    assert truth["(school_sd)"] == pytest.approx(np.sqrt(at_zero))


def test_a_parameter_at_its_default_changes_no_key_and_no_number(file: Path) -> None:
    plain = Cell(law(file), Layout(), MODEL)
    named = Cell(law(file, slope="", spread="", residual_cv=0.0), Layout(), MODEL)
    assert plain.key == named.key
    assert Cell(law(file, residual_cv=0.2), Layout(), MODEL).key != plain.key


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"slope_sd": 1.0, "slope": "age"}, "population.slope"),
        ({"residual_spread": 1.0}, "population.spread"),
        ({"school_spread": 1.0, "spread": "hours"}, "constant in schools"),
        ({"class_icc": 0.2, "subgroup": "klass"}, "population.subgroup"),
        ({"class_icc": 0.7, "subgroup": "class"}, "nothing to the residuals"),
        ({"slope_correlation": 0.5}, "slopes would not differ"),
        ({"residual_cv": -1.0}, "residual_cv"),
    ],
)
def test_what_cannot_be_is_refused(file: Path, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        law(file, **parameters)
