"""True values stated in ``[truth]``: what they are checked against, and what they change."""

from __future__ import annotations

from typing import Any

import pytest

from nestbench.experiments.toml.reading import experiment_from
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.sim.errors import InvalidInput


def study(truth: dict[str, Any] | None = None, **factors: Any) -> dict[str, Any]:
    tables: dict[str, Any] = {
        "experiment": {"name": "stated", "estimators": ["ols"]},
        "layout": {"schools": 5, "students": 6},
        "model": {"formula": "grade ~ center(age) + resources"},
        "factors": factors,
    }
    return tables if truth is None else tables | {"truth": truth}


def test_a_stated_value_is_the_truth_and_enters_the_cell_key_alone() -> None:
    plain, told = experiment_from(study()).cells[0], experiment_from(study({"Intercept": 80.5})).cells[0]
    assert "Intercept" not in plain.truth
    assert told.truth["Intercept"] == 80.5
    assert told.law_key == plain.law_key
    assert told.key != plain.key
    assert experiment_from(study({})).cells[0].key == plain.key


def test_it_is_kept_with_the_run(tmp_path: Any) -> None:
    made = experiment_from(study({"Intercept": 80.5, "(icc)": 0.3}))
    again = from_stored(to_stored(made), tmp_path)
    assert again.cells == made.cells
    assert again.cells[0].truth["(icc)"] == 0.3


def test_it_may_vary_and_its_terms_may_hold_dots() -> None:
    tables = study(**{"truth.np.log(age)": [29.0, 30.0]})
    tables["model"]["formula"] = "grade ~ np.log(age)"
    assert [cell.truth["np.log(age)"] for cell in experiment_from(tables).cells] == [29.0, 30.0]


def test_a_term_counts_in_the_models_that_have_it() -> None:
    formulas = {"model.formula": ["grade ~ np.log(age)", "grade ~ np.sqrt(age)"]}
    log, root = experiment_from(study({"np.log(age)": 30.0}, **formulas)).cells
    assert log.truth["np.log(age)"] == 30.0
    assert "np.log(age)" not in root.truth


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({"Intercpt": 1.0}, "truth.Intercpt belongs to no term of a model. Did you mean 'Intercept'"),
        ({"Intercept": "high"}, "truth.Intercept to be a finite number"),
        ({"Intercept": True}, "truth.Intercept to be a finite number"),
        (3, "[truth] should be a table"),
    ],
)
def test_mistakes(truth: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        experiment_from(study(truth))
    assert message in str(caught.value)
