"""Power averaged over what is believed of effect and ICC, against the closed form; and its experiment, run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import nestbench
from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import points
from nestbench.sim.theory.planning.assurance import Assurance
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sizing.answer import Sizing

ASKED: dict[str, Any] = {"solve": "schools", "students": 20, "methods": "means", "workers": 1}


def asked(**trial: Any) -> Sizing:
    found = nestbench.size(**{**ASKED, **trial})
    assert isinstance(found, Sizing)
    return found


def exact_assurance(schools: int, icc: float, spread: float, effect: float, effect_spread: float) -> float:
    """Of the t test of school means, with 60 points of the beta distribution."""
    treated = round(schools / 2) / schools
    trial = SchoolsRandomised(schools=schools, students=20, icc=icc, treated_share=treated)
    if effect_spread:
        return Assurance(effect, effect_spread, spread, alpha=0.025, sides=1).value(trial)
    return Assurance(effect, 0.0, spread).value(trial)


def test_iccs_that_stand_for_a_distribution() -> None:
    """Their mean is its mean, each is the mean between two quantiles, and curved functions are averaged as well."""
    likely = points.equally_likely(0.1, 0.05, 10)
    beta = stats.beta(*points.beta_of(0.1, 0.05))
    assert likely.mean() == pytest.approx(0.1, rel=1e-12)
    between = beta.expect(lambda x: x, lb=beta.ppf(0.2), ub=beta.ppf(0.3), conditional=True)
    assert likely[2] == pytest.approx(between, rel=1e-6)
    assert np.exp(-3 * likely).mean() == pytest.approx(beta.expect(lambda x: np.exp(-3 * x)), rel=1e-3)


@pytest.mark.parametrize(
    "trial",
    [
        {"icc": 0.1, "icc_spread": 0.06, "effect": 0.9},
        pytest.param({"icc": 0.1, "icc_spread": 0.06, "effect": 0.5}, marks=pytest.mark.slow),
        pytest.param(
            {"icc": 0.2, "icc_spread": 0.1, "effect": 0.5, "effect_spread": 0.2}, marks=pytest.mark.slow
        ),
        pytest.param({"icc": 0.1, "effect": 0.6, "effect_spread": 0.3}, marks=pytest.mark.slow),
    ],
)
def test_the_answer_is_that_of_the_closed_form(trial: dict[str, Any]) -> None:
    found = asked(**trial)
    schools, answer = int(found.value), found.answer
    assert found.closed is not None
    assert answer is not None
    beliefs = (trial["icc"], trial.get("icc_spread", 0.0), trial["effect"], trial.get("effect_spread", 0.0))
    assert abs(found.closed.value - schools) <= 1
    # what the ICCs that are drawn are off by is .002 at most
    assert answer.power == pytest.approx(
        exact_assurance(schools, *beliefs), abs=4.9 * answer.power_mcse + 0.002
    )
    assert exact_assurance(int(found.closed.value), *beliefs) >= 0.8
    assert exact_assurance(int(found.closed.value) - 1, *beliefs) < 0.8


@pytest.mark.slow
def test_its_experiment_draws_the_same_data_sets(tmp_path: Path) -> None:
    """A condition an ICC, whose mean power is the assurance."""
    found = asked(icc=0.2, icc_spread=0.1, r2_school=0.5, effect=1.1, most=1000)
    file = tmp_path / "again.toml"
    file.write_text(found.toml)
    table = nestbench.run(file, out=tmp_path / "run", workers=1).performance()
    rows = table[(table["measure"] == "rejection") & (table["term"] == "treated")]
    power = rows[rows["model.null.treated"] == 0.0]
    assert found.answer is not None
    assert len(power) == 10
    assert power["n"].sum() == found.answer.n
    assert power["value"].mean() == pytest.approx(found.answer.power, abs=4 * found.answer.power_mcse + 0.01)


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ({"icc": 0.1, "effect": 0.5, "icc_spread": 0.4}, "SD of ICCs about 0.1"),
        ({"icc": 0.0, "effect": 0.5, "icc_spread": 0.1}, "SD of ICCs about 0"),
        ({"icc": 0.1, "effect": 0.5, "icc_spread": -0.1}, "SD of ICCs"),
        ({"icc": 0.1, "half_width": 0.5, "icc_spread": 0.1}, "SD of the ICC"),
        ({"solve": "icc", "schools": 20, "effect": 0.5, "icc_spread": 0.1}, "SD of the ICC"),
        ({"icc": 0.1, "effect": 0.6, "effect_spread": 0.9}, "no trial finds more"),
    ],
)
def test_beliefs_that_can_not_be(trial: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        asked(**trial)


@pytest.mark.slow
def test_drop_out_goes_with_the_schools(tmp_path: Path) -> None:
    """In the experiment of several answers, each number of schools has its own number that drop out."""
    found = asked(students=10, icc=0.2, effect=0.9, lost_schools=0.3, methods="means,ols", most=500)
    file = tmp_path / "again.toml"
    file.write_text(found.toml)
    cells = nestbench.run(file, out=tmp_path / "run", workers=1).experiment.cells
    lost = {cell.layout.schools: getattr(cell.population, "missing_schools", 0) for cell in cells}
    assert len(lost) > 1
    assert all(missing == round(0.3 * schools) for schools, missing in lost.items())
