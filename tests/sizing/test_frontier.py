"""Schools against students: the cheapest design, and the best that a budget buys, against the closed form."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nestbench
from nestbench.experiments.running.progress import Quiet
from nestbench.experiments.toml.writing import to_toml
from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import answers
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sizing import tradeoff
from nestbench.sizing.as_json import json_of
from nestbench.sizing.bought import rows_of, text_of, verdict
from nestbench.sizing.files import write_sizing
from nestbench.sizing.frontier import Frontier
from nestbench.sizing.page import Detail, render, write_page
from nestbench.sizing.trial import Trial

COST = (300.0, 10.0)


def school_cost(students: float) -> float:
    return COST[0] + COST[1] * students


def bought(budget: float, **more: Any) -> Frontier:
    found = nestbench.size(
        solve="effect", icc=0.1, cost=COST, budget=budget, methods="means", workers=1, **more
    )
    assert isinstance(found, Frontier)
    return found


@pytest.fixture(scope="module")
def found() -> Frontier:
    return bought(9_000.0, effect=0.4, most=500)


def test_what_a_budget_buys_is_as_precise_as_the_formula_says(found: Frontier) -> None:
    """School means of equal schools are exactly noncentral t: each row's effect, and its power for another."""
    for row in found.table.to_dict("records"):
        trial = SchoolsRandomised(
            schools=row["schools"],
            students=row["students"],
            icc=0.1,
            treated_share=round(row["schools"] / 2) / row["schools"],
        )
        assert 8_000 < row["cost"] <= 9_000.0
        # the interval is 2 errors either way; 5.3 are a chance of 1e-7
        error = (row["high"] - row["low"]) / 3.92
        assert abs(row["effect"] - answers.smallest_effect(trial)) < 5.3 * error
        assert row["power"] == pytest.approx(answers.power(trial, 0.4), abs=0.1)
    best = found.best_row
    assert best is not None
    assert best["effect"] == min(found.table["effect"])
    assert found.best is not None
    assert found.best.question.cell(None).layout.schools == best["schools"]
    plain = json.loads(json_of(found))
    assert (plain["budget"], len(plain["frontier"])) == (9_000.0, len(found.table))
    assert max(map(len, found.shown.splitlines())) <= 80
    assert "power for 0.4" in found._repr_html_()
    lines = text_of(found, 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[-1].split()[0] == f"{max(found.table['students'])}"


def test_the_page_of_a_budget(found: Frontier) -> None:
    """The table of the terminal, and designs that find the same effect touching the line of equal cost at the best."""
    best, row = found.best, found.best_row
    assert best is not None
    assert row is not None
    html = render(best, Detail(best.curve, (), ()), found)
    assert html.count("<svg") == 6  # three figures, light and dark
    assert verdict(found) in html
    assert "this design finds the smallest effect" in html
    assert [text in html for text in rows_of(found)[1]] == [True] * len(rows_of(found)[1])
    students = [float(n) for n in found.table["students"]]
    cost = dict(tradeoff.equal_cost(found, students))
    alike = dict(tradeoff.equal_precision(found, students))
    assert cost[row["students"]] * school_cost(row["students"]) == pytest.approx(9_000.0)
    # 500 data sets: an effect is known to 2 %, schools to 4 %
    assert alike[row["students"]] == pytest.approx(row["schools"], rel=0.1, abs=1.0)
    assert all(alike[n] >= 0.9 * cost[n] for n in students)


def test_designs_out_of_reach_say_why(found: Frontier, tmp_path: Path) -> None:
    """The file has them, and there is no page to write."""
    limited = tuple(replace(each, limits=("Schools limit it.",)) for each in found.sizings)
    none = replace(found, table=found.table.assign(effect=math.inf, method=""), sizings=limited)
    assert none.best is None
    assert verdict(none) == "Out of reach with any of these designs. Schools limit it."
    assert write_page(none, tmp_path) is None
    write_sizing(none, tmp_path, 1, Quiet())
    assert [file.name for file in tmp_path.iterdir()] == ["size.json"]
    assert json.loads((tmp_path / "size.json").read_text())["words"] == [verdict(none)]


def test_a_file_is_asked_as_the_same_trial_in_words_is(found: Frontier, tmp_path: Path) -> None:
    """Its own numbers of schools and students give way to those that are looked for; prices have names, too."""
    file = tmp_path / "trial.toml"
    file.write_text(to_toml(Trial(schools=14, students=35, icc=0.1, effect=0.4).tables()))
    prices = {"school": 300.0, "student": 10.0}
    asked: dict[str, Any] = {"effect": 0.4, "methods": "means", "most": 500, "workers": 1}
    same = nestbench.size(file, solve="effect", cost=prices, budget=9_000.0, **asked)
    assert isinstance(same, Frontier)
    assert same.table.equals(found.table)
    with pytest.raises(InvalidInput, match=r"300, \"student\": 10"):
        nestbench.size(file, solve="effect", cost={"school": 300.0}, budget=9_000.0, **asked)


def test_other_populations_have_no_students_to_look_about(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("school,x\n" + "".join(f"{i // 3},{i % 5}\n" for i in range(30)))
    file = tmp_path / "fixed.toml"
    file.write_text(
        '[population]\nlaw = "fixed-design"\ndata = "x.csv"\nformula = "x"\neffects = { x = 1.0 }\n'
        '[model]\nformula = "y ~ x"\n'
    )
    with pytest.raises(InvalidInput, match="of others nothing says which"):
        nestbench.size(file, solve="schools", cost=COST, effect=1.0, term="x", workers=1)


def test_a_budget_for_no_trial_is_refused() -> None:
    with pytest.raises(InvalidInput, match="raise it"):
        bought(1_000.0)


@pytest.mark.slow
def test_the_cheapest_design_is_that_of_the_closed_form() -> None:
    """sqrt((1 - icc) / icc * 300 / 10) students; the cost there is flat, so the costs are compared."""
    found = nestbench.size(solve="schools", icc=0.1, effect=0.5, cost=COST, methods="means", workers=1)
    assert isinstance(found, Frontier)
    assert found.best is not None
    table = found.table[np.isfinite(found.table["cost"])]
    best = table["cost"].min()
    optimum = round(np.sqrt(0.9 / 0.1 * 300 / 10))
    near = table.loc[(table["students"] - optimum).abs().idxmin(), "cost"]
    assert near <= 1.05 * best
    assert table["cost"].iloc[0] > best


@pytest.mark.slow
def test_a_budget_and_its_target_are_inverse() -> None:
    """The cheapest design for an effect costs about what finds that effect."""
    effect = float(bought(20_000.0).table["effect"].min())
    found = nestbench.size(solve="schools", icc=0.1, effect=effect, cost=COST, methods="means", workers=1)
    assert isinstance(found, Frontier)
    # A school of 20 students is 500, 2.5 % of it.
    assert math.isclose(found.table["cost"].min(), 20_000.0, rel_tol=0.05)
