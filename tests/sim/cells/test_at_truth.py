"""What of a law's theory holds for a cell's true values."""

from __future__ import annotations

import pytest

from nestbench.sim.cells.at_truth import at_truth
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept

LAYOUT = Layout(schools=10, students=8)


def test_a_stated_truth_takes_the_coverage_of_another_value_away() -> None:
    model = Model(formula="grade ~ age + gender + resources")
    own, other = (Cell(RandomIntercept(), LAYOUT, model, stated) for stated in ({}, {"resources": 0.0}))
    known, stated = own.theory(), other.theory()
    assert "resources" in known["coverage"]["iid-t"]
    assert set(known["coverage"]["iid-t"]) - set(stated["coverage"]["iid-t"]) == {"resources"}
    assert set(known["coverage_mcse"]["iid-t"]) - set(stated["coverage_mcse"]["iid-t"]) == {"resources"}
    assert "resources" in known["naive_coverage"]
    assert "resources" not in stated["naive_coverage"]
    assert stated["se_ratio"] == known["se_ratio"]
    same = Cell(RandomIntercept(), LAYOUT, model, {"resources": 0.5})
    assert same.theory() == known


def test_a_bias_is_from_the_laws_value() -> None:
    law = RandomIntercept(age_icc=0.3, age_confounding=0.5)
    model = Model(formula="grade ~ age")
    assert Cell(law, LAYOUT, model).theory()["bias"]["ols"]["age"] == pytest.approx(0.5 * 0.3**0.5 * 0.2**0.5)
    assert "age" not in Cell(law, LAYOUT, model, {"age": 2.1}).theory()["bias"]["ols"]


def test_theory_of_laws_that_do_not_say_of_what_it_is() -> None:
    known = {"naive_coverage": {"x": 0.6, "z": 0.7}, "coverage": {"ols": {"x": 0.6}}, "design_effect": 3.0}
    named = {"x": 1.0, "z": 0.0}
    assert at_truth(known, named, named) == known
    found = at_truth(known, named, {"x": 1.5, "z": 0.0})
    assert found == {"naive_coverage": {"z": 0.7}, "coverage": {"ols": {}}, "design_effect": 3.0}
