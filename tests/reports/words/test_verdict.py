"""Sentences by rule: grades at their limits, recommendation, warnings, bias, failures, terminal widths."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.comparing.choice import Choice
from nestbench.reports.comparing.grades import Grade, band, estimands, fixed_terms, grade
from nestbench.reports.comparing.shared import shared_of_run
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.sentence import Verdict
from nestbench.reports.words.summary import print_summary
from nestbench.reports.words.verdict import _sureness, verdicts
from tests.reports.synthetic import FakeResults, estimates_of, estimator, school_study


@pytest.fixture(scope="module")
def study() -> FakeResults:
    return school_study(reps=400)


@pytest.fixture(scope="module")
def sentences(study: FakeResults) -> list[str]:
    return [v.sentence for v in verdicts_of(study)]


def verdicts_of(study: FakeResults) -> list[Verdict]:
    return verdicts(performance_table(study), study.experiment, shared_of_run(study))


@pytest.mark.parametrize(
    ("coverage", "n", "expected"),
    [
        (0.95, 10_000, Grade.HOLDS),
        (0.95, 100, Grade.LIKELY),
        (0.92, 100, Grade.DOUBTFUL),
        (0.91, 10_000, Grade.FAILS),
        (0.60, 50, Grade.FAILS),
        (0.99, 10_000, Grade.WIDE),
        (1.0, 50, Grade.LOOSE),
        (0.98, 100, Grade.LOOSE),
        (0.975, 200, Grade.LIKELY),
        (0.925, 200, Grade.LIKELY),
        (1.0, 1000, Grade.WIDE),
    ],
)
def test_grades(coverage: float, n: int, expected: Grade) -> None:
    assert grade(coverage, n, 0.95) is expected


def test_band_is_bradleys() -> None:
    assert band(0.95) == pytest.approx((0.925, 0.975))
    assert band(0.90) == pytest.approx((0.85, 0.95))


def test_recommends_a_method_that_fails_nowhere(sentences: list[str]) -> None:
    assert sentences[0].startswith(
        "Use `ols-cr1s-t`: its 95 % intervals are shown to fall short in none of 18"
    )
    assert "More replications would settle the open ones." in sentences[0]
    assert re.match(r"The choice is settled: 9\d % of 500 resampled runs name `ols-cr1s-t`", sentences[1])
    assert sentences[2].startswith("This holds for the population that was simulated")


def test_equal_methods_are_both_named() -> None:
    study, other = (school_study(reps=400, seed=seed) for seed in (104, 105))
    even = [
        {"ols-cr1s-t": one["ols-cr1s-t"], "ols-cr2-satt": two["ols-cr1s-t"]}
        for one, two in zip(study.cells, other.cells, strict=True)
    ]
    first, second, *_ = (v.sentence for v in verdicts_of(FakeResults(study.experiment, even)))
    assert first.startswith("Not settled between `ols-cr")
    assert ": the 95 % intervals of neither are shown to fall short in any of 18 estimands" in first
    assert re.match(
        r"The choice isn't settled: \d+ % of 500 resampled runs name `[\w-]+` and \d+ % `[\w-]+`", second
    )


def test_that_resampled_studies_find_no_method_in_order_is_said() -> None:
    choice = Choice("a", pd.DataFrame(), pd.DataFrame(), {"a": 0.7, "b": 0.12}, 0.18, 400, 0.95, 0.01)
    assert _sureness(choice) == (
        "The choice isn't settled: 70 % of 500 resampled runs name `a` and 12 % `b`; in 18 % no method is in order."
    )
    alone = replace(choice, shares={"a": 1.0}, nobody=0.0)
    assert _sureness(alone) == "The choice is settled: all 500 resampled runs name `a`."


def test_levels_are_not_pooled() -> None:
    """Which coverage is lowest, or falls shortest, is a matter of what was promised there."""
    study, levels = school_study(reps=1000, schools=(10, 30), icc=(0.0, 0.2)), (0.8, 0.95, 0.97, 0.95)
    cells = tuple(
        replace(cell, model=replace(cell.model, level=level))
        for cell, level in zip(study.experiment.cells, levels, strict=True)
    )
    made = FakeResults(replace(study.experiment, cells=cells), study.cells)
    table = performance_table(made)
    graded = estimands(table, made.experiment)
    said = " ".join(v.sentence for v in verdicts(table, made.experiment, shared_of_run(made)))
    failing = graded[graded["grade"] == Grade.FAILS]
    times = [(1 - row.coverage) / (1 - levels[row.cell]) for row in failing.itertuples()]
    worst = failing.iloc[int(np.argmax(times))]
    promised = f"where {100 * levels[worst.cell]:g} % was promised"
    assert re.search(rf"Don't trust `{worst.estimator}` for `{re.escape(worst.term)}`: .*, {promised}", said)
    assert re.search(r"Too wide.*\(up to [\d.]+ % \(MCSE [\d.]+\) of 80 % intervals: ", said)
    assert re.search(r"lowest coverage (is )?[\d.]+ % \(MCSE [\d.]+\) of (80|95|97) % intervals", said)


def test_many_replications_take_the_reservation_away() -> None:
    study = school_study(reps=6000, schools=(10,), icc=(0.2,))
    first = verdicts_of(study)[0].sentence
    assert first.startswith("Use `ols-cr")
    assert "coverage is in order beyond Monte Carlo error everywhere." in first


def test_names_the_worst_failure_with_its_numbers(study: FakeResults, sentences: list[str]) -> None:
    table = performance_table(study)
    rows = table[
        (table["measure"] == "coverage") & (table["term"] == "resources") & (table["estimator"] == "ols")
    ]
    worst = rows.loc[rows["value"].idxmin()]
    found = next(s for s in sentences if s.startswith("Don't trust `ols` for `resources`: with "))
    assert f"{worst['layout.schools']} schools and ICC 0.2 it covers {100 * worst.value:.0f} %" in found
    assert f"(MCSE {100 * worst.mcse:.1f}), where 95 % was promised" in found


def test_failures_are_named_where_they_are_worst(sentences: list[str]) -> None:
    assert any(s.startswith("No usable answer: `mixedlm` in ") for s in sentences)


def test_a_method_that_often_fails_is_not_recommended(study: FakeResults) -> None:
    for cell in study.cells:
        assert (cell["mixedlm"].status > FitStatus.BOUNDARY).mean() > 0.02
    first = verdicts_of(study)[0]
    assert "mixedlm" not in first.sentence


def test_every_verdict_states_its_rule(study: FakeResults) -> None:
    for verdict in verdicts_of(study):
        assert len(verdict.rule) > 20
        assert verdict.kind in {"use", "avoid", "note"}


def test_no_method_good_everywhere_names_the_closest() -> None:
    study = school_study(reps=300)
    only = [{"ols": cell["ols"], "ols-cr1s-z": cell["ols-cr1s-z"]} for cell in study.cells]
    found = verdicts_of(FakeResults(study.experiment, only))
    assert found[0].sentence.startswith("No method keeps its promise everywhere. Closest is `ols`")


def test_bias_is_named_when_it_is_large() -> None:
    study = school_study(reps=300, schools=(6,), icc=(0.2,))
    biased = study.cells[0]["ols"]
    shifted = estimates_of(biased.estimate + 3 * biased.std_error, biased.std_error, biased.terms)
    found = verdicts_of(FakeResults(study.experiment, [{**study.cells[0], "ols": shifted}]))
    assert any(v.sentence.startswith("`ols` is biased for ") for v in found)


def test_no_intervals_is_said() -> None:
    study = school_study(reps=20, schools=(6,), icc=(0.2,))
    old = study.cells[0]["ols"]
    for name in ("lower", "upper"):
        getattr(old, name)[:] = np.nan
    found = verdicts_of(FakeResults(study.experiment, [{"ols": old}]))
    assert found[0].sentence.startswith("There is nothing to judge yet")


def test_the_intercept_is_not_judged_beside_others(study: FakeResults) -> None:
    assert fixed_terms(performance_table(study)) == ["age", "gender[T.male]", "resources"]


@pytest.mark.parametrize("width", [50, 80])
def test_summary_fits_the_terminal(study: FakeResults, width: int) -> None:
    stream = io.StringIO()
    print_summary(study, Console(file=stream, width=width, force_terminal=False))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(stream.getvalue().split())
    assert "Which method survives few schools?" in text
    assert "+ Use ols-cr1s-t" in text
    assert "ms/fit" in text


def test_summary_prints_markup_of_users_as_it_is() -> None:
    study = school_study(reps=30, schools=(6,), icc=(0.2,))
    found = study.cells[0].pop("ols")
    study.cells[0]["[red]x[/red]"] = found
    stream = io.StringIO()
    print_summary(study, Console(file=stream, width=80))
    assert "[red]x[/red]" in stream.getvalue()


def two_cells(**methods: tuple[float, float, float]) -> FakeResults:
    """A term in two conditions; a method is (SE over the true one, share failing, share endless) in the first."""
    base = school_study(reps=2, schools=(6,), icc=(0.0, 0.2))
    rng, reps = np.random.default_rng(4), 600
    cells = []
    for k in range(2):
        error = rng.normal(0, 1, (reps, 1))
        cell = {}
        for label, (scale, failing, endless) in methods.items():
            status = np.where(rng.random(reps) < (0 if k else failing), FitStatus.FAILED, FitStatus.OK)
            cell[label] = estimates_of(0.5 + error, np.full((reps, 1), scale), ["resources"], status=status)
            open_ended = rng.random(reps) < (0 if k else endless)
            cell[label].lower[open_ended], cell[label].upper[open_ended] = -np.inf, np.inf
        cells.append(cell)
    experiment = replace(base.experiment, estimators=tuple(map(estimator, methods)), replications=reps)
    return FakeResults(experiment, cells)


def test_endless_intervals_are_never_recommended_nor_as_good() -> None:
    found = verdicts_of(two_cells(endless=(1.0, 0.0, 1.0), plain=(1.0, 0.0, 0.0)))
    assert found[0].sentence.startswith("Use `plain`")
    assert "endless" not in found[0].sentence
    assert any(v.sentence.startswith("Intervals without an end: `endless` in 100 %") for v in found)


def test_what_is_too_wide_is_said_and_never_sure_everywhere() -> None:
    found = verdicts_of(two_cells(wide=(3.0, 0.0, 0.0), short=(0.5, 0.0, 0.0)))
    assert found[0].sentence.startswith("Use `wide`, though it is too wide in 2 of 2 estimands")
    assert "everywhere" not in found[0].sentence
    assert any(v.sentence.startswith("Too wide, at the cost of power: `wide` in 2 of 2") for v in found)


def test_conditions_without_an_answer_stay_in_the_denominator() -> None:
    found = verdicts_of(two_cells(silent=(0.5, 1.0, 0.0), short=(0.5, 0.0, 0.0)))
    assert found[0].sentence.startswith("No method keeps its promise everywhere.")
    told = " ".join(v.sentence for v in found)
    assert "`silent` (1 of 2 estimands, no answer in 1)" in told
    assert "`silent` in all fits with 6 schools and ICC 0" in told
    assert "`silent` (0 of 600 data sets for `resources` with 6 schools and ICC 0)" in told


def test_the_terminal_names_the_term_a_method_fails_for(study: FakeResults) -> None:
    """OLS fails for `resources` alone: the median over all terms would be in order."""
    stream = io.StringIO()
    print_summary(study, Console(file=stream, width=100))
    (line,) = [line for line in stream.getvalue().splitlines() if line.startswith("ols ")]
    assert line.split()[1] == "resources"
    assert line.split()[3] == "3/6"
    (mixedlm,) = [line for line in stream.getvalue().splitlines() if line.startswith("mixedlm ")]
    assert "*" in mixedlm
