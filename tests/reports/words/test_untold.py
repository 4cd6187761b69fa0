"""Terms without a true value are said, with the reason, where their measures would stand."""

from __future__ import annotations

from dataclasses import replace

from nestbench.reports.comparing.shared import shared_of_run
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.report import render
from nestbench.reports.page.survey import survey
from nestbench.reports.words.ademp import estimands
from nestbench.reports.words.untold import untold
from nestbench.reports.words.verdict import verdicts
from nestbench.sim.cells.cell import Cell
from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.model import Model
from nestbench.sim.random_intercept import RandomIntercept
from tests.reports.synthetic import FakeResults, school_study


def fitted(*formulas: str) -> FakeResults:
    """A study by OLS of one condition a formula."""
    from nestbench.estimators.methods import registry

    base = school_study(reps=5, schools=(6,), icc=(0.0,))
    cells, found = [], []
    for formula in formulas:
        cell = Cell(RandomIntercept(), Layout(6, 8), Model(formula))
        cells.append(cell)
        engine = registry.get("ols").reference
        assert engine is not None
        found.append({"ols": engine(cell.draw(1, range(12)), cell.model, {})})
    levels = tuple({"model.formula": formula} for formula in formulas)
    experiment = replace(base.experiment, cells=tuple(cells), levels=levels)
    return FakeResults(experiment, found)


def test_no_measure_that_needs_a_truth_and_a_sentence_instead() -> None:
    results = fitted("grade ~ center(age) + gender")
    table = performance_table(results)
    measures = set(table.loc[table["term"] == "Intercept", "measure"])
    assert {"mean_se", "empirical_se"} & measures
    assert not {"bias", "coverage", "rmse"} & measures
    assert {"bias", "coverage"} <= set(table.loc[table["term"] == "center(age)", "measure"])
    (sentence,) = untold(table, results.experiment)
    assert sentence.startswith(
        "No coverage or bias of `Intercept`: its true value changes from data set to data set"
    )
    assert sentence in [
        verdict.sentence for verdict in verdicts(table, results.experiment, shared_of_run(results))
    ]
    rows = dict(estimands(results.experiment, table)[1])
    assert rows["Intercept"].startswith("none: its true value changes")
    page = render(results, survey(results), "run")
    assert page.count("No coverage or bias of <code>Intercept</code>") == 2


def test_conditions_are_named_where_only_some_lack_it() -> None:
    results = fitted("grade ~ age", "np.log(grade) ~ age")
    (sentence,) = untold(performance_table(results), results.experiment)
    assert sentence.startswith("No coverage or bias of `Intercept` and `age` (formula np.log")
    assert "isn't a linear function of 'grade'" in sentence


def test_nothing_is_said_where_nothing_is_missing() -> None:
    results = fitted("grade ~ age + gender")
    assert untold(performance_table(results), results.experiment) == []
