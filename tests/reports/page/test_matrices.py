"""The ranking at a glance: on equal data, with magnitudes, shaded by Holm's method over the table."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.comparing import holm
from nestbench.reports.comparing.biases import Bias
from nestbench.reports.comparing.ranking import ranking
from nestbench.reports.comparing.shared import shared_of_run
from nestbench.reports.figures.records import against
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.measures.printed import printed_mcse
from nestbench.reports.page.sections import glance
from nestbench.reports.page.survey import survey
from tests.reports.synthetic import FakeResults, estimates_of, school_study


def shortened(found: Estimates, n: int) -> Estimates:
    names = ("replications", "estimate", "std_error", "df", "lower", "upper", "p_value", "status", "message")
    cut = {name: getattr(found, name)[:n] for name in (*names, "seconds")}
    return replace(found, quantities={k: v[:n] for k, v in found.quantities.items()}, **cut)


@pytest.fixture(scope="module")
def study() -> FakeResults:
    """`ols-cr2-satt` has 12 of 400 data sets; `ols-cr1s-t` one interval of ten thousand."""
    made = school_study(reps=400, schools=(6, 30), icc=(0.2,))
    for cell in made.cells:
        cell["ols-cr2-satt"] = shortened(cell["ols-cr2-satt"], 12)
        cell["ols-cr1s-t"].lower[3], cell["ols-cr1s-t"].upper[3] = -5e3, 5e3
    return made


def matrix(study: FakeResults, kind: str, term: str) -> dict[str, list[dict[str, str]]]:
    (found,) = [one for one in survey(study).matrices if one["id"] == kind]
    return dict(found["terms"][term])


def test_ranking_is_on_equal_data_and_gives_magnitudes(study: FakeResults) -> None:
    table = matrix(study, "ranking", "resources")
    assert [entry["text"] for entry in table["ols-cr2-satt"]] == ["12 of 400", "12 of 400"]
    assert all("not compared" in entry["title"] for entry in table["ols-cr2-satt"])
    assert all(
        "[" in entry["text"] for entry in table["ols-cr1s-t"]
    )  # the mean without the limit says otherwise
    for cell, column in enumerate(zip(*table.values(), strict=True)):
        firsts = [entry for entry in column if entry["said"] == "the best"]
        assert len(firsts) == 1, cell
        for entry in column:
            if entry["said"] == "not told from the best":
                assert re.search(r"\(to [\d.,]+\)", entry["text"])


def test_shading_is_held_over_the_whole_table(study: FakeResults) -> None:
    table = matrix(study, "ranking", "resources")
    found = [
        ranking(one).set_index("estimator")
        for cell in shared_of_run(study)
        for one in cell
        if one.term == "resources"
    ]
    others = [
        (c, label, p) for c, t in enumerate(found) for label, p in t["p"].items() if t["rank"][label] > 1
    ]
    limit = holm.limit([p for *_, p in others])
    for cell, label, p in others:
        assert (table[str(label)][cell]["grade"] == "holds") == (p > limit)


def test_few_usable_fits_are_marked_beside_the_coverage(study: FakeResults) -> None:
    rows = dict(glance(performance_table(study), study.experiment)["terms"]["age"])
    for cell, entry in enumerate(rows["mixedlm"]):
        usable = float((study.cells[cell]["mixedlm"].status <= 1).mean())
        if usable < 0.95:
            said = re.fullmatch(r"([\d.]+) \[(\d+) of (\d+); ([\d.]+)\]", entry["text"])
            assert said is not None
            assert float(said[4]) == pytest.approx(usable * float(said[1]), abs=0.11)
            assert int(said[2]) / int(said[3]) == usable
        else:
            assert "[" not in entry["text"]


@pytest.mark.parametrize("unusable", [3, 4])
def test_matrices_mark_answers_to_under_95_percent_of_the_data_sets(unusable: int) -> None:
    """60 data sets: 57 are 95 %, 56 are fewer. A paired difference needs the answers of both methods."""
    made = school_study(reps=60, schools=(6,), icc=(0.2,))
    first, other = made.cells[0]["ols"], made.cells[0]["ols-cr1s-t"]
    for found in made.cells[0].values():
        found.status[:] = FitStatus.OK
    first.status[:2] = other.status[2:unusable] = FitStatus.SINGULAR
    names = {one["id"]: one["title"] for one in survey(made).matrices}
    assert names["paired"] == "Coverage against ols"
    mark = f" [{60 - unusable} of 60]"
    for term in ("age", "resources"):
        paired, why = matrix(made, "paired", term), matrix(made, "why", term)
        assert paired["ols-cr1s-t"][0]["text"].endswith(mark) == (unusable == 4)
        assert f"n {60 - unusable} of 60" in paired["ols-cr1s-t"][0]["title"]
        assert "[" not in paired["ols-cr2-satt"][0]["text"]  # 58 of 60 answered by both
        assert "[" not in why["ols"][0]["text"] + why["ols-cr1s-t"][0]["text"]
    other.status[:unusable] = FitStatus.SINGULAR
    for term in ("age", "resources"):
        assert matrix(made, "why", term)["ols-cr1s-t"][0]["text"].endswith(mark) == (unusable == 4)


def test_no_share_is_printed_without_an_error() -> None:
    made = school_study(reps=20, schools=(6,), icc=(0.2,))
    wide = made.cells[0]["ols"]
    made.cells[0]["ols"] = estimates_of(wide.estimate, 50 * wide.std_error, wide.terms)
    table = performance_table(made)
    row = table[(table["measure"] == "coverage") & (table["estimator"] == "ols")]
    assert (row["mcse"] == 0).all()
    z2 = 1.959964**2
    assert printed_mcse(row) == pytest.approx(z2 / (20 + z2) / (2 * 1.959964), rel=1e-5)
    assert "MCSE 0.0" not in str(glance(table, made.experiment))


@pytest.mark.slow
def test_red_diamonds_are_beyond_chance_among_many() -> None:
    """Unbiased methods in 40 studies: any red diamond in 5 % of them; by single intervals in nearly all."""
    red = 0
    for seed in range(40):
        made = school_study(reps=30, seed=seed, schools=(6, 10), icc=(0.0, 0.2))
        found = against(performance_table(made), made.experiment, "bias")
        red += any(
            r["state"] != Bias.OPEN
            for r in found
            if r["term"] != "Intercept" and not r["term"].startswith("(")
        )
    assert red <= 12  # binomial(40, 0.05): 12 or fewer with a chance of 1 - 1e-7
