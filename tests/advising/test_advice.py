"""The advice: it doesn't peek, its experiment runs again, and it is honest where nothing holds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nestbench
from nestbench.advising import asking as module
from nestbench.advising.advice import Advice
from nestbench.advising.analysis import analysis_of, asked_terms
from nestbench.advising.as_json import known_blindly, primitives_of
from nestbench.advising.asking import Settings, advice_of
from nestbench.advising.calibration import calibrate
from nestbench.advising.design import design_of_term
from nestbench.advising.files import write_advice
from nestbench.advising.scenarios import scenarios_of
from nestbench.advising.terminal import text_of
from nestbench.estimators.estimator import Info
from nestbench.estimators.methods import registry
from nestbench.experiments.frame_engine import own_method
from nestbench.experiments.running.in_memory import InMemory
from nestbench.experiments.toml.reading import read_experiment
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model

FORMULA = "grade ~ treated + age + gender"
FAST: dict[str, Any] = {"replications": 100, "methods": "reml-kr,ols-cr2-satt", "workers": 1, "placebos": 50}


def data(schools: int = 9, treated: int = 3, seed: int = 1, sd: float = 0.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 12, schools)
    school = np.repeat(np.arange(schools), sizes)
    n = len(school)
    frame = pd.DataFrame({"school": school, "treated": (school < treated) * 1.0, "age": rng.normal(size=n)})
    frame["gender"] = rng.choice(["f", "m"], n)
    frame["class"] = np.arange(n) % 2
    frame["grade"] = 3.0 + frame["age"] + sd * rng.normal(size=schools)[school] + rng.normal(size=n)
    return frame


def advised(frame: pd.DataFrame, term: str = "treated", formula: str = FORMULA, **changes: Any) -> Advice:
    analysis = analysis_of(frame, Model(formula))
    return advice_of(analysis, term, Settings(**{**FAST, **changes}))


@pytest.fixture(scope="module")
def advice() -> Advice:
    return advised(data())


EFFECTS = {
    "c": st.floats(-1e4, 1e4),
    "term": st.sampled_from(["treated", "age", "gender[T.m]", "treated:age"]),
    "seed": st.integers(0, 50),
}


@settings(max_examples=6, deadline=None)
@given(**EFFECTS)
def test_neither_design_nor_laws_see_the_effect(c: float, term: str, seed: int) -> None:
    unseen(c, term, seed)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(**EFFECTS)
def test_neither_design_nor_laws_see_any_effect(c: float, term: str, seed: int) -> None:
    unseen(c, term, seed)


def column_of(frame: pd.DataFrame, term: str) -> Any:
    columns = frame.assign(**{"gender[T.m]": (frame["gender"] == "m") * 1.0})
    return columns[term.split(":")].prod(axis=1)


def formula_with(term: str) -> str:
    return f"{FORMULA} + {term}" if ":" in term else FORMULA


def unseen(c: float, term: str, seed: int) -> None:
    """Adding c times a term to the outcome changes no number that laws are made of, and no sentence."""
    frame = data(seed=seed)
    column, formula = column_of(frame, term), formula_with(term)
    found = []
    for outcome in (frame["grade"], frame["grade"] + c * column):
        analysis = analysis_of(frame.assign(grade=outcome), Model(formula))
        calibrated = calibrate(analysis, term)
        found.append(
            (
                calibrated,
                scenarios_of(calibrated, term, None),
                design_of_term(analysis, term, calibrated).findings,
            )
        )
    assert repr(found[0]) == repr(found[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("c", "term"), [(-3.0, "treated"), (7000.0, "treated"), (40.0, "age"), (-9.0, "treated:age")]
)
def test_no_word_or_number_of_the_advice_sees_the_effect(c: float, term: str) -> None:
    frame, formula = data(), formula_with(term)
    own, other = (
        advised(frame.assign(grade=frame["grade"] + k * column_of(frame, term)), term, formula)
        for k in (0.0, c)
    )
    assert json.dumps(known_blindly(other)) == json.dumps(known_blindly(own))
    moved = other.fit.terms.loc[term, "estimate"] - own.fit.terms.loc[term, "estimate"]
    assert moved == pytest.approx(c)


def test_what_is_known_blindly_is_all_but_the_fits(advice: Advice) -> None:
    assert set(primitives_of(advice)) - set(known_blindly(advice)) == {"fits", "remarks"}


def test_the_experiment_that_is_written_gives_the_same_numbers(advice: Advice, tmp_path: Path) -> None:
    write_advice([advice], tmp_path)
    experiment = read_experiment(tmp_path / "experiment.toml")
    results = InMemory(experiment)
    table = advice.table.set_index(["scenario", "method"])
    for cell, levels in enumerate(experiment.levels):
        planted = bool(experiment.cells[cell].model.null_of("treated"))
        for label, fits in results.estimates(cell).items():
            k = fits.terms.index("treated")
            row = table.loc[(levels["scenario"], label)]
            rejected = (fits.p_value[:, k] <= 0.05)[fits.usable[:, k]].mean()
            if planted:
                assert rejected == pytest.approx(row["power"])
            else:
                covers = ((fits.lower[:, k] <= 0) & (fits.upper[:, k] >= 0))[fits.usable[:, k]]
                assert (covers.mean(), rejected) == pytest.approx((row["coverage"], row["size"]))


@pytest.mark.slow
def test_the_power_of_a_method_that_need_not_shift_is_of_fits_to_planted_effects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user's method that shrinks estimates to a tenth: its intervals on planted data aren't its null intervals moved,
    which would all exclude 0."""

    def shrunk(frame: pd.DataFrame, model: Model) -> dict[str, dict[str, float]]:
        arms = frame.groupby("treated")["grade"].mean()
        return {"treated": {"estimate": 0.1 * float(arms[1.0] - arms[0.0]), "std_error": 0.2}}

    known = registry.known()
    method = own_method("shrunk", 1, Info("shrunk", "a tenth", "", "", ""), shrunk)
    monkeypatch.setattr(registry, "known", lambda: {**known, "shrunk": method})
    found = advised(data(), methods="shrunk", placebos=5)
    row = found.table[found.table["method"] == "shrunk"].iloc[0]
    assert row["size"] < 0.05
    assert row["power"] < 0.2


@pytest.mark.slow
def test_workers_change_nothing(advice: Advice) -> None:
    assert json.dumps(primitives_of(advised(data(), workers=2))) == json.dumps(primitives_of(advice))


def test_the_page_says_the_verdict_first_and_the_estimate_last(advice: Advice, tmp_path: Path) -> None:
    page = write_advice([advice], tmp_path)[0].read_text()
    estimate = f"{advice.fit.terms.loc['treated', 'estimate']:.3f}"
    assert page.index("intervals cover") < page.index("The design") < page.index("What the data say")
    assert estimate in page[page.index("What the data say") :]
    assert not re.search(r"(?:src|href)=['\"](?!#)", page)


def test_the_terminal_has_80_columns_and_the_notebook_the_same_words(advice: Advice) -> None:
    lines = text_of(advice).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 10
    narrow = text_of(advice, 60).splitlines()
    assert max(map(len, narrow)) <= 60
    assert " ".join(narrow).split(" coverage")[0].split() == " ".join(lines).split(" coverage")[0].split()
    assert all(name in " ".join(narrow) for name in (advice.choice.least_bad, "ols", "ols-cr1s-t", "reml-z"))
    assert "treated: use " in repr(advice)
    assert advice.choice.least_bad in advice._repr_html_()
    assert advice.scenarios["scenario"].iloc[0] == "as estimated"


@pytest.mark.slow
def test_one_treated_school_is_told_to_need_an_assumption() -> None:
    found = advised(data(treated=1))
    assert found.method is None
    assert "without an assumption" in text_of(found)
    assert len(text_of(found).splitlines()) <= 10
    assert len(found.fits) == 6


@pytest.mark.slow
def test_two_treated_schools_are_told_to_need_an_assumption(tmp_path: Path) -> None:
    """Which method holds with it and what that covers without, which falls least short: in words, fits and JSON."""
    found = advised(data(schools=16, treated=2), replications=400)
    choice = found.choice
    assert (found.method, choice.unless) == (None, "spread not ruled out")
    assert [fit.estimator for fit in found.fits[:2]] == [choice.assuming, choice.guarding]
    assert [choice.assuming, choice.guarding] == ["reml-kr", "ols-cr2-satt"]
    words = " ".join(text_of(found).split())
    assert len(text_of(found).splitlines()) <= 10
    assert (
        "use none without an assumption, for schools with the rarer value of treated may vary up to" in words
    )
    covered = found.table.set_index(["method", "scenario"]).loc[("reml-kr", choice.unless), "coverage"]
    assert f"else {100 * covered:.1f} %" in words
    assert known_blindly(found)["unless"] == choice.unless
    page = write_advice([found], tmp_path)[0].read_text()
    assert page.index("Least bad either way: ols-cr2-satt") < page.index("The design")


@pytest.mark.slow
def test_one_student_in_every_school_is_told_and_needs_no_schools() -> None:
    """The ICC isn't identified, and no scenario has one: errors are independent whatever it is."""
    frame = data(schools=40, treated=15).drop_duplicates("school")
    found = advised(frame, methods=None)
    assert "one student in every school" in " ".join(text_of(found).split())
    assert {law.parameters["icc"] for law in found.laws} == {0.0}
    assert found.method is not None
    assert found.planted == pytest.approx(2.8 * found.calibration.ideal_se, rel=1e-2)


@pytest.mark.slow
def test_two_schools_get_an_honest_answer() -> None:
    frame = data(schools=2, treated=1)
    found = advised(frame, "age", "grade ~ age")
    assert found.design.schools == 2
    assert 0 < len(text_of(found).splitlines()) <= 10


@pytest.mark.slow
def test_classes_and_lme4s_notation() -> None:
    analysis = analysis_of(data(), Model("grade ~ age + (1 | school/class)"))
    found = advice_of(analysis, "age", Settings(**{**FAST, "methods": "nested-satt"}))
    assert analysis.model.subgroup == "class"
    assert "nested-satt" in set(found.table["method"])
    assert list(found.table["usable"].unique()) == [1.0]


@pytest.mark.slow
def test_own_scenarios_are_laws_beside_the_estimated_ones(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[scenario]]\nname = "strong"\nicc = 0.6\n')
    found = advised(data(), scenario=file)
    assert found.laws[-1].parameters["icc"] == 0.6
    assert "strong" in set(found.table["scenario"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[scenario]\nicc = 1", "tables"),
        ('[[scenario]]\nname = "a"\nrho = 1', "'rho'"),
        ("[[scenario", "TOML"),
        ('[[scenario]]\nname = "a"\nicc = 3.0', "icc"),
    ],
)
def test_scenarios_that_cannot_be_are_refused(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=words):
        advised(data(), scenario=file)


def test_terms_are_by_default_those_constant_in_schools() -> None:
    analysis = analysis_of(data(), Model(FORMULA))
    assert asked_terms(analysis, []) == ["treated"]
    assert asked_terms(analysis_of(data(), Model("grade ~ age + gender")), []) == ["age"]


@pytest.mark.parametrize(
    ("change", "formula", "term", "words"),
    [
        ({}, FORMULA, "tretaed", "Did you mean 'treated'"),
        ({"twin": 2.0}, "grade ~ age + twin", "twin", "depends linearly"),
        ({"twin": 2.0}, "grade ~ age + twin", "age", "Intercept, twin, which depend linearly"),
        ({"grade": 4.0}, FORMULA, "treated", "fits exactly"),
        ({"grade": np.linspace(1, 9e299, len(data()))}, FORMULA, "treated", "other units"),
        ({"school": 1}, FORMULA, "treated", "at least two"),
    ],
)
def test_what_cannot_be_advised_on_is_refused(
    change: dict[str, Any], formula: str, term: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        nestbench.advise(data().assign(**change), formula=formula, term=term, workers=1)


@pytest.mark.slow
def test_a_binary_outcome_is_called_a_linear_probability_model() -> None:
    frame = data()
    found = advised(frame.assign(grade=(frame["grade"] > 3) * 1.0))
    assert "linear probability" in text_of(found)
    assert len(text_of(found).splitlines()) <= 10


@pytest.mark.slow
def test_the_fit_is_made_after_the_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything before sees residuals: an outcome that can't be read then stops the fit alone."""
    seen: list[str] = []
    real = module.choose
    monkeypatch.setattr(module, "choose", lambda *a, **k: (seen.append("choice"), real(*a, **k))[1])
    fit = module.fit_one
    monkeypatch.setattr(module, "fit_one", lambda *a, **k: (seen.append("fit"), fit(*a, **k))[1])
    advised(data())
    assert seen[0] == "choice"
    assert set(seen[1:]) == {"fit"}
